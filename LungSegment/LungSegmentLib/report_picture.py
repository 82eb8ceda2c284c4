"""``picture.png``: the lungs from the front and in one slice, the light, and the figures in words."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from CTVolumeLib import render
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

from .lungs import AIRWAY, LEFT, RIGHT
from .measure import LungMeasures, histogram
from .quality import Light

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = {LEFT: "#e4572e", RIGHT: "#3d8bfd", AIRWAY: "#2ca02c"}
"""Of the outlines; bright, since the usual colours of lungs can't be told apart on a grey picture."""

_NAMES = {LEFT: "left lung", RIGHT: "right lung", AIRWAY: "airways"}
_LIGHTS = {"green": "#2ca02c", "amber": "#f0a30a", "red": "#d62728"}
_SHORTEST_MM = 100.0
"""A scan of few slices is still shown this high, so that its picture is not a line."""

_AROUND_MM = 70.0
"""Of a scan that is longer than the lungs this much is shown above and below them."""

_COLUMNS, _LINE = 74, 0.078
"""Letters in a line of words, and its height as a share of their box."""

_USE = "Research use only, not a medical device."


def draw(
    volume: CTVolume,
    labels: np.ndarray | None,
    light: Light | None,
    measures: Sequence[LungMeasures],
    title: str,
    refused: str = "",
) -> bytes:
    """The picture as a PNG file.

    Args:
        volume: the scan.
        labels: (k, j, i) on its grid, None where nothing was found.
        light: how far to trust them.
        measures: of left, right and both lungs.
        title: name of the scan.
        refused: why nothing was found.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    axial = volume.as_axial()
    shown = None if labels is None else volume.with_array(labels).as_axial().array
    k, at_mm = _places(axial, shown)
    figure = Figure(figsize=(11, 7.6), dpi=100, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=12, fontweight="bold")
    grid = figure.add_gridspec(2, 2, height_ratios=(3, 2))
    front, slice_, words, chart = (figure.add_subplot(grid[place]) for place in ((0, 0), (0, 1), (1, 0), (1, 1)))
    _show(front, render.upright(axial, "coronal", at_mm, render.LUNG), "from the front", "S")
    _show(slice_, render.axial(axial, k, render.LUNG), f"slice at z {axial.superior()[k]:.0f} mm, from below", "P")
    if shown is not None:
        for value in COLORS:
            part = axial.with_array((shown == value).astype(np.float32))
            _outline(front, render.upright(part, "coronal", at_mm, (0.5, 1.0)), COLORS[value])
            _outline(slice_, render.axial(part, k, (0.5, 1.0)), COLORS[value])
    front.set_ylim(*_heights(axial, shown, front.get_ylim()))
    _say(words, light, measures, refused)
    if shown is None:
        chart.axis("off")
    else:
        _chart(chart, axial, shown)
    figure.text(0.005, 0.005, _USE, ha="left", va="bottom", fontsize=7, color="0.4")
    file = io.BytesIO()
    # Without the program's name and version: the same scan gives the same bytes.
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _places(axial: CTVolume, labels: np.ndarray | None) -> tuple[int, float | None]:
    """The slice with most lung, and LPS P of the plane from the front with most lung."""
    lung = None if labels is None else (labels == LEFT) | (labels == RIGHT)
    if lung is None or not lung.any():
        return len(axial.array) // 2, None
    k = int(lung.sum(axis=(1, 2)).argmax())
    # Where most lung is, or nearly: the middle of those planes shows the hila and the airways.
    area = lung.sum(axis=(0, 2))
    j = float(np.mean(np.flatnonzero(area > 0.8 * area.max())))
    return k, float(axial.origins()[k][1] + j * axial.spacing[1])


def _heights(axial: CTVolume, labels: np.ndarray | None, whole: tuple[float, float]) -> tuple[float, float]:
    """LPS z from where to where the picture from the front shows the scan: the lungs with what is around them."""
    low, high = whole
    if labels is not None and labels.any():
        z_mm = axial.superior()[labels.any(axis=(1, 2))]
        low, high = max(low, z_mm.min() - _AROUND_MM), min(high, z_mm.max() + _AROUND_MM)
    missing = max(0.0, _SHORTEST_MM - (high - low)) / 2
    return low - missing, high + missing


def _show(axes: Axes, picture: render.Picture, title: str, upward: str) -> None:
    axes.imshow(picture.pixels, cmap="gray", vmin=0, vmax=255, extent=picture.extent_mm, interpolation="bilinear")
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("L mm", fontsize=8)
    axes.set_ylabel(f"{upward} mm", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.set_facecolor("black")
    for x, side in ((0.02, "R"), (0.98, "L")):
        axes.text(x, 0.97, side, color="white", transform=axes.transAxes, va="top", fontsize=9,
                  ha="left" if side == "R" else "right",
                  bbox={"facecolor": "black", "edgecolor": "none", "pad": 1.5})  # fmt: skip


def _outline(axes: Axes, picture: render.Picture, color: str) -> None:
    inside = picture.pixels > 127
    if not inside.any():
        return
    left, right, bottom, top = picture.extent_mm
    rows, columns = inside.shape
    across = left + (np.arange(columns) + 0.5) * (right - left) / columns
    down = top + (np.arange(rows) + 0.5) * (bottom - top) / rows
    smooth = ndimage.gaussian_filter(np.pad(inside, 1).astype(np.float32), 0.7)[1:-1, 1:-1]
    axes.contour(across, down, smooth, levels=[0.5], colors=[color], linewidths=1.1)


def _say(axes: Axes, light: Light | None, measures: Sequence[LungMeasures], refused: str) -> None:
    """The light and the figures, line by line."""
    axes.axis("off")
    said = [] if light is None else [f"- {sign.text}" for sign in (*light.signs, *light.notes)]
    for scale in (1.0, 0.9, 0.8, 0.7, 0.6):  # many reasons are written smaller
        columns = round(_COLUMNS / scale)
        lines = sum(len(textwrap.wrap(text, columns)) for text in said) + len(measures) + 2.5
        if lines * _LINE * scale < 0.98:
            break
    y = 0.98

    def write(text: str, *, fontsize: float = 9, **kwargs: object) -> None:
        nonlocal y
        for line in textwrap.wrap(text, columns) or [""]:
            axes.text(0.0, y, line, transform=axes.transAxes, va="top", fontsize=fontsize * scale, **kwargs)
            y -= _LINE * scale

    if light is None:
        write(refused, color=_LIGHTS["red"], fontweight="bold")
        return
    words = {"green": "nothing speaks against the result", "amber": "look at it", "red": "do not trust it unseen"}
    write(f"● {light.colour}: {words[light.colour]}", color=_LIGHTS[light.colour], fontweight="bold", fontsize=11)
    for text in said:
        write(text)
    y -= 0.5 * _LINE * scale
    row = "{:<11}{:>9}{:>9}{:>9}{:>10}{:>10}"
    mono = {"family": "monospace", "fontsize": 8}
    write(row.format("", "volume", "mean", "mass", "< -950", "15th pct"), **mono, fontweight="bold")
    for one in measures:
        if not one.volume_ml:
            write(f"{one.name:<11}{'none':>9}", **mono)
            continue
        write(row.format(
            one.name, f"{one.volume_ml:.0f} mL", f"{one.mean_hu:.0f} HU", f"{one.mass_g:.0f} g",
            f"{one.below_950_percent:.1f} %", f"{one.percentile_15_hu:.0f} HU",
        ), **mono)  # fmt: skip


def _chart(axes: Axes, axial: CTVolume, labels: np.ndarray) -> None:
    hu, parts = histogram(axial, labels)
    for value in (LEFT, RIGHT):
        axes.step(hu, parts[_NAMES[value]], where="post", color=COLORS[value], label=_NAMES[value])
    if (labels == AIRWAY).any():
        axes.plot([], [], color=COLORS[AIRWAY], label=f"{_NAMES[AIRWAY]} (outline)")
    axes.set_xlabel("HU", fontsize=8)
    axes.set_ylabel("mL per 10 HU", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)

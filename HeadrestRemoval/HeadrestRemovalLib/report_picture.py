"""``picture.png``: the scan with its equipment in colours, beside it the scan without, and the figures in words."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from CTVolumeLib import render
from CTVolumeLib.volume import CTVolume

from .labels import EQUIPMENT, HEADREST, NAMES, PATIENT, SEGMENTS
from .measure import EquipmentMeasures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WINDOW = (-300.0, 1400.0)
"""Center and width in HU: foam is seen as well as bone."""

_COLORS = {segment.value: segment.color for segment in SEGMENTS}
_OPACITY = 0.55
_SHORTEST_MM = 100.0
"""A scan of few slices is still shown this high, so that its picture is not a line."""

_MARGIN_MM = 12.0
"""So much around patient and equipment is shown; a head is small in a wide field of view."""

_LINE = 0.155
_MOST_LINES = 6
_USE = "Research use only, not a medical device."


def draw(
    volume: CTVolume,
    labels: np.ndarray | None,
    cleaned: CTVolume | None,
    measures: Sequence[EquipmentMeasures],
    warnings: Sequence[str],
    title: str,
    refused: str = "",
) -> bytes:
    """The picture as a PNG file.

    Args:
        volume: the scan.
        labels: (k, j, i) on its grid, None where there is no result.
        cleaned: the scan without equipment, None likewise.
        measures: of headrest, table, other and all equipment.
        warnings: sentences.
        title: name of the scan.
        refused: why there is no result.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    axial = volume.as_axial()
    shown = None if labels is None else volume.with_array(labels).as_axial().array
    k, front_mm, side_mm = _places(axial, shown)
    box = _box(axial, shown)
    rows = 1 if cleaned is None else 2
    figure = Figure(figsize=(12.6, 1.8 + 3.9 * rows), dpi=100, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(h_pad=0.08)
    figure.suptitle(title, fontsize=12, fontweight="bold")
    grid = figure.add_gridspec(rows + 1, 3, height_ratios=(*[4] * rows, 1.25))
    after = axial if cleaned is None else cleaned.as_axial()
    shows = ((axial, shown, "the scan"), (after, None, "without equipment"))
    for row, (scan, painted, said) in enumerate(shows[:rows]):
        where = (f"z {axial.superior()[k]:.0f} mm", _place("P", front_mm), _place("L", side_mm))
        planes = zip(("axial", "coronal", "sagittal"), (k, front_mm, side_mm), where, "LLP", "PSS")
        for column, (plane, at, place, across, upward) in enumerate(planes):
            axes = figure.add_subplot(grid[row, column])
            _show(axes, _cut(scan, plane, at, WINDOW), across, upward)
            _zoom(axes, box, across, upward)
            axes.set_title(f"{said}, {plane}{place and ', '}{place}", fontsize=9)
            if painted is not None:
                _paint(axes, axial, painted, plane, at)
    _say(figure.add_subplot(grid[-1, :2]), measures, refused)
    _warn(figure.add_subplot(grid[-1, 2]), warnings)
    figure.text(0.005, 0.003, _USE, ha="left", va="bottom", fontsize=7, color="0.4")
    file = io.BytesIO()
    # Without the program's name and version: the same scan gives the same bytes.
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _places(axial: CTVolume, labels: np.ndarray | None) -> tuple[int, float | None, float | None]:
    """The slice, LPS P of the plane from the front and LPS L of the plane from the side that show most."""
    if labels is None or not np.isin(labels, EQUIPMENT).any():
        return len(axial.array) // 2, None, None
    equipment = labels == HEADREST
    if not equipment.any():
        equipment = np.isin(labels, EQUIPMENT)
    patient = labels == PATIENT
    # Where there is much patient and some equipment: the cut between them is what is to be looked at.
    k, j = (
        int(np.argmax(np.sqrt(equipment.sum(axis=others, dtype=float)) * (patient.sum(axis=others, dtype=float) + 1)))
        for others in ((1, 2), (0, 2))
    )
    seen = patient if patient.any() else equipment
    profile = seen.sum(axis=(0, 1))
    i = int(np.mean(np.flatnonzero(profile > 0.8 * profile.max())))
    first = axial.origins()[k]
    return k, float(first[1] + j * axial.spacing[1]), float(first[0] + i * axial.spacing[0])


def _place(axis: str, at_mm: float | None) -> str:
    return "" if at_mm is None else f"{axis} {at_mm:.0f} mm"


def _cut(axial: CTVolume, plane: str, at: float | int | None, window: tuple[float, float]) -> render.Picture:
    if plane == "axial":
        return render.axial(axial, int(at), window)
    return render.upright(axial, plane, at, window)


def _show(axes: Axes, picture: render.Picture, across: str, upward: str) -> None:
    axes.imshow(picture.pixels, cmap="gray", vmin=0, vmax=255, extent=picture.extent_mm, interpolation="bilinear")
    axes.set_xlabel(f"{across} mm", fontsize=7, labelpad=1)
    axes.set_ylabel(f"{upward} mm", fontsize=7, labelpad=1)
    axes.tick_params(labelsize=7)
    axes.set_facecolor("black")
    for x, side in ((0.02, "A" if across == "P" else "R"), (0.98, "P" if across == "P" else "L")):
        axes.text(x, 0.97, side, color="white", transform=axes.transAxes, va="top", fontsize=9,
                  ha="left" if x < 0.5 else "right")  # fmt: skip


def _box(axial: CTVolume, labels: np.ndarray | None) -> dict[str, tuple[float, float]]:
    """From where to where along L, P and S (LPS mm) patient and equipment reach, and a little more."""
    if labels is None or not labels.any():
        return {}
    used = [np.flatnonzero(labels.any(axis=others)) for others in ((0, 1), (0, 2))]
    origins, z_mm = axial.origins(), axial.superior()[labels.any(axis=(1, 2))]
    box = {"S": (z_mm.min() - _MARGIN_MM, z_mm.max() + _MARGIN_MM)}
    for axis, (name, at) in enumerate(zip("LP", used)):
        low, high = origins[:, axis].min() + at[0] * axial.spacing[axis], origins[:, axis].max()
        box[name] = (low - _MARGIN_MM, high + at[-1] * axial.spacing[axis] + _MARGIN_MM)
    return box


def _zoom(axes: Axes, box: dict[str, tuple[float, float]], across: str, upward: str) -> None:
    """Show what is in the box; a scan of few slices is still shown as high as can be seen."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    low, high = box.get(across, (left, right))
    axes.set_xlim(max(left, low), min(right, high))
    low, high = box.get(upward, (min(bottom, top), max(bottom, top)))
    if upward == "P":  # grows downwards
        axes.set_ylim(min(bottom, high), max(top, low))
        return
    low, high = max(bottom, low), min(top, high)
    missing = max(0.0, _SHORTEST_MM - (high - low)) / 2
    axes.set_ylim(low - missing, high + missing)


def _paint(axes: Axes, axial: CTVolume, labels: np.ndarray, plane: str, at: float | int | None) -> None:
    """Colour the equipment; half-transparent, so that what lies below is still seen."""
    for value, color in _COLORS.items():
        mask = axial.with_array((labels == value).astype(np.int16))
        picture = _cut(mask, plane, at, (0.5, 1.0))
        inside = picture.pixels > 127
        if inside.any():
            layer = np.zeros((*inside.shape, 4), np.float32)
            layer[inside] = (*color, _OPACITY)
            axes.imshow(layer, extent=picture.extent_mm, interpolation="nearest")


def _say(axes: Axes, measures: Sequence[EquipmentMeasures], refused: str) -> None:
    """The figures, line by line; the names in the colours of the picture."""
    axes.axis("off")
    if refused:
        axes.text(0.0, 0.95, textwrap.fill(refused, 110), transform=axes.transAxes, va="top", color="#d62728",
                  fontsize=10, fontweight="bold")  # fmt: skip
        return
    colors = {NAMES[value]: color for value, color in _COLORS.items()}
    row = "{:<18}{:>12}{:>12}{:>10}{:>14}"
    lines = [(row.format("removed", "volume", "mean", "SD", "touches"), "bold", None)]
    for one in measures:
        cells = [
            f"{one.volume_ml:.1f} mL",
            f"{one.mean_hu:.0f} HU",
            f"{one.sd_hu:.0f} HU",
            f"{one.contact_cm2:.1f} cm²",
        ]
        text = row.format(one.name, *cells) if one.volume_ml else row.format(one.name, "none", "", "", "")
        lines.append((text, "normal", colors.get(one.name)))
    for number, (text, weight, color) in enumerate(lines):
        y = 0.95 - number * _LINE
        if color is not None:
            axes.text(0.0, y, "■", transform=axes.transAxes, va="top", fontsize=10, color=color)
        axes.text(0.022, y, text, transform=axes.transAxes, va="top", fontsize=9, family="monospace", fontweight=weight)


def _warn(axes: Axes, warnings: Sequence[str]) -> None:
    """What is to be said, as far as there is room; report.json has all of it."""
    axes.axis("off")
    lines = [line for text in warnings for line in textwrap.wrap(f"- {text}", 68, subsequent_indent="  ")]
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], "  ... more in report.json"]
    for number, line in enumerate(lines):
        axes.text(0.0, 0.95 - number * _LINE, line, transform=axes.transAxes, va="top", fontsize=8, color="#9a4b00")

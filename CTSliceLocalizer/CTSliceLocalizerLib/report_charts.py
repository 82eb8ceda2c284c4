"""The plots of a report as SVG by hand: a few kilobytes, coloured by the page's style in light and dark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from .landmarks import body_to_location
from .results import ScanLocation

SHORT_NAMES = {
    "Top of head": "Vertex",
    "Center of orbit": "Orbit",
    "Aortic arch": "Arch",
    "Bifurcation of trachea": "Carina",
    "Right dome of diaphragm": "Dome",
    "Tip of iliac crest": "Crest",
    "Head of femur": "Femur",
}
"""For narrow places; a landmark that is not here keeps its name."""

# The plot's frame inside its view box of 560 x 520.
_LEFT, _RIGHT, _TOP, _BOTTOM = 66.0, 546.0, 12.0, 474.0


def location_chart(location: ScanLocation) -> str:
    """Location against z: raw dots, fitted line, band of two standard deviations, landmarks."""
    if not len(location.z_mm):
        return ""
    z_mm, fitted = location.z_mm, location.location
    spread = np.where(np.isfinite(location.sigma_mm), location.sigma_mm, 0.0)
    lower, upper = (body_to_location(location.body_mm + side * 2 * spread) for side in (-1, 1))
    margin = max(2.0, 0.03 * float(np.ptp(z_mm)))
    y_range = (float(z_mm.min()) - margin, float(z_mm.max()) + margin)
    finite_raw = location.raw[np.isfinite(location.raw)]
    # A wild raw value must not squeeze the curve: the axis holds the band and nearly all the dots.
    ends = np.concatenate([lower, upper, np.percentile(finite_raw, [2, 98]) if len(finite_raw) else fitted])
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    x_range = (low - 0.03 * (high - low) - 1e-3, high + 0.03 * (high - low) + 1e-3)
    y = to_y(z_mm, y_range)
    content = area(to_x(lower, x_range), y, to_x(upper, x_range), y, "spread")
    content += dots(to_x(np.clip(location.raw, *x_range), x_range), y, "raw")
    content += line(to_x(fitted, x_range), y, "fit")
    for estimate in location.landmarks:
        if estimate.inside and estimate.z_mm is not None:
            place_x = float(to_x(estimate.location, x_range))
            place_y = float(to_y(estimate.z_mm, y_range))
            anchor, shift = ("end", -9) if place_x > 490 else ("start", 9)
            short = SHORT_NAMES.get(estimate.name, estimate.name)
            if np.isfinite(estimate.sigma_mm):
                ends_y = to_y(estimate.z_mm + np.array([-1, 1]) * estimate.sigma_mm, y_range)
                content += (
                    f'<line class="error" x1="{place_x:.1f}" x2="{place_x:.1f}" y1="{ends_y[0]:.1f}" '
                    f'y2="{ends_y[1]:.1f}"/>'
                )
            content += f'<circle class="point" cx="{place_x:.1f}" cy="{place_y:.1f}" r="4.5"/>'
            content += (
                f'<text class="name" x="{place_x + shift:.1f}" y="{place_y - 6:.1f}" '
                f'text-anchor="{anchor}">{short}</text>'
            )
    content += _cursor("y", "baseline", y_range)
    label = "Location against z: single slices, fitted curve, band of two standard deviations, landmarks"
    drawn = chart(x_range, y_range, "location", "z in mm", content, label=label, x_digits=2)
    key = legend(
        [
            ("background:var(--raw);border-radius:4px;width:8px", "slice by itself"),
            ("background:var(--fit);height:2px", "fitted"),
            ("background:var(--band)", "± 2 standard deviations"),
            ("background:var(--mark);border-radius:4px;width:8px", "landmark"),
        ]
    )
    return (
        f'<section class="card tall" aria-label="Location against z"><h2>Location against z</h2>{drawn}{key}</section>'
    )


def match_chart(
    z_mm: Sequence[np.ndarray], matched: np.ndarray, sigma: np.ndarray, locations: Sequence[ScanLocation]
) -> str:
    """Follow-up z against baseline z with a band of two standard deviations; grey where it is not covered."""
    covered = np.isfinite(matched)
    if not covered.any():
        return ""
    ranges = []
    for heights in z_mm:
        margin = max(2.0, 0.03 * float(np.ptp(heights)))
        ranges.append((float(heights.min()) - margin, float(heights.max()) + margin))
    x_range, y_range = ranges
    x, y = to_x(z_mm[0], x_range), to_y(matched, y_range)
    spread = 2 * np.nan_to_num(sigma)
    content = ""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (~covered).astype(int), [0]])))
    half = np.median(np.diff(x)) / 2 if len(x) > 1 else 5.0
    for start, stop in zip(edges[::2], edges[1::2]):
        left, right = x[start] - half, x[stop - 1] + half
        content += f'<rect class="uncovered" x="{left:.1f}" y="0" width="{right - left:.1f}" height="520"/>'
    ups, downs = to_y(matched + spread, y_range), to_y(matched - spread, y_range)
    content += area(x[covered], ups[covered], x[covered], downs[covered], "spread")
    content += line(x, y, "fit")
    for first, second in zip(*(location.landmarks for location in locations)):
        if first.inside and second.inside and first.z_mm is not None and second.z_mm is not None:
            at_x, at_y = float(to_x(first.z_mm, x_range)), float(to_y(second.z_mm, y_range))
            short = SHORT_NAMES.get(first.name, first.name)
            anchor, shift = ("end", -8) if at_x > 490 else ("start", 8)
            content += f'<circle class="point" cx="{at_x:.1f}" cy="{at_y:.1f}" r="4.5"/>'
            content += (
                f'<text class="name" x="{at_x + shift:.1f}" y="{at_y + 14:.1f}" text-anchor="{anchor}">{short}</text>'
            )
    content += _cursor("x", "baseline", x_range) + _cursor("y", "followup", y_range)
    drawn = chart(
        x_range,
        y_range,
        "z in the baseline, mm",
        "z in the follow-up, mm",
        content,
        label="Height in the follow-up against height in the baseline, with landmarks",
    )
    key = legend(
        [
            ("background:var(--fit);height:2px", "matched height"),
            ("background:var(--band)", "± 2 standard deviations"),
            ("background:var(--mark);border-radius:4px;width:8px", "landmark, in each scan by itself"),
            ("background:var(--muted);opacity:.3", "not covered"),
        ]
    )
    return (
        '<section class="card tall" aria-label="Matched heights"><h2>Height in the follow-up against height in the '
        f"baseline</h2>{drawn}{key}</section>"
    )


def nice_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers inside a range, at most about so many."""
    span = max(high - low, 1e-6)
    step = 10.0 ** math.floor(math.log10(span / most))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= most)
    first = math.ceil(low / step - 1e-9)
    return [n * step + 0.0 for n in range(first, math.floor(high / step + 1e-9) + 1)]


def chart(
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    x_label: str,
    y_label: str,
    content: str,
    *,
    label: str,
    x_digits: int = 0,
    y_digits: int = 0,
) -> str:
    """A plot as SVG, coloured by the page's style; ``content`` is drawn with ``to_x`` and ``to_y``."""
    grid = ""
    for value in nice_ticks(*x_range, 6):
        x = to_x(value, x_range)
        text = f"{value:.{x_digits}f}".replace("-", "−")
        grid += f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_BOTTOM}"/>'
        grid += f'<text x="{x:.1f}" y="{_BOTTOM + 17}" text-anchor="middle">{text}</text>'
    for value in nice_ticks(*y_range, 7):
        y = to_y(value, y_range)
        text = f"{value:.{y_digits}f}".replace("-", "−")
        grid += f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        grid += f'<text x="{_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
    middle_x, middle_y = (_LEFT + _RIGHT) / 2, (_TOP + _BOTTOM) / 2
    return (
        f'<svg class="chart" viewBox="0 0 560 520" role="img" aria-label="{escape(label)}">{grid}'
        f'<clipPath id="frame"><rect x="{_LEFT}" y="{_TOP}" width="{_RIGHT - _LEFT}" height="{_BOTTOM - _TOP}"/>'
        "</clipPath>"
        f'<g clip-path="url(#frame)">{content}</g>'
        f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{_RIGHT - _LEFT}" height="{_BOTTOM - _TOP}"/>'
        f'<text x="{middle_x}" y="{_BOTTOM + 37}" text-anchor="middle">{escape(x_label)}</text>'
        f'<text transform="translate(14 {middle_y}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text></svg>'
    )


def to_x(value: np.ndarray | float, x_range: tuple[float, float]) -> np.ndarray:
    """Abscissa in the plot's view box."""
    return _LEFT + (np.asarray(value) - x_range[0]) / (x_range[1] - x_range[0]) * (_RIGHT - _LEFT)


def to_y(value: np.ndarray | float, y_range: tuple[float, float]) -> np.ndarray:
    """Ordinate in the plot's view box."""
    return _BOTTOM - (np.asarray(value) - y_range[0]) / (y_range[1] - y_range[0]) * (_BOTTOM - _TOP)


def _cursor(axis: str, of: str, value_range: tuple[float, float]) -> str:
    """A line across the plot that the script moves.

    Args:
        axis: "x" for a vertical line that moves along x, "y" for a level one.
        of: "baseline" or "followup", whose height it follows.
        value_range: of the axis.
    """
    along = f'x1="{_LEFT}" x2="{_RIGHT}"' if axis == "y" else f'y1="{_TOP}" y2="{_BOTTOM}"'
    ends = (_BOTTOM, _TOP) if axis == "y" else (_LEFT, _RIGHT)
    limits = f"{value_range[0]} {value_range[1]} {ends[0]} {ends[1]}"
    return f'<line class="now" data-axis="{axis}" data-of="{of}" data-range="{limits}" {along}/>'


def line(x: np.ndarray, y: np.ndarray, style: str) -> str:
    """A line through points of the view box, broken where a value is not finite."""
    good = np.isfinite(x) & np.isfinite(y)
    text = "".join(f"{'L' if n and good[n - 1] else 'M'}{x[n]:.1f} {y[n]:.1f}" for n in range(len(x)) if good[n])
    return f'<path class="{style}" d="{text}"/>'


def dots(x: np.ndarray, y: np.ndarray, style: str) -> str:
    """Points of the view box as one path of dots."""
    good = np.isfinite(x) & np.isfinite(y)
    return f'<path class="{style}" d="{"".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(x[good], y[good]))}"/>'


def area(x: np.ndarray, y: np.ndarray, x_back: np.ndarray, y_back: np.ndarray, style: str) -> str:
    """The area between two lines of the view box, given in the same direction."""
    points = np.concatenate([np.stack([x, y], axis=1), np.stack([x_back, y_back], axis=1)[::-1]])
    points = points[np.all(np.isfinite(points), axis=1)]
    return f'<polygon class="{style}" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}"/>'


def legend(items: Iterable[tuple[str, str]]) -> str:
    """The legend of a plot: style of a small patch, and what it stands for."""
    return (
        '<p class="legend">'
        + "".join(f'<span><i style="{style}"></i>{escape(text)}</span>' for style, text in items)
        + "</p>"
    )

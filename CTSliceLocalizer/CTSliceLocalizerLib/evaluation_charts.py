"""The plots of an evaluation's page, drawn with the pieces of the reports' plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from .evaluation_cases import Case
from .landmarks import body_to_location
from .report_charts import SHORT_NAMES, chart, dots, legend, line, nice_ticks, to_x, to_y

CASE_KEY = legend(
    [
        ("background:var(--muted);height:3px", "annotated"),
        ("background:var(--fit);height:2px", "found"),
        ("background:var(--raw);border-radius:4px;width:8px", "slice by itself"),
    ]
)
"""What the lines of ``location_chart`` are."""


def location_chart(case: Case) -> str:
    """Location against z of one scan: annotated, found, and each slice by itself.

    Args:
        case: a scan.
    """
    true, found, raw = (body_to_location(values) for values in (case.true_mm, case.found_mm, case.raw_mm))
    margin = max(2.0, 0.03 * float(np.ptp(case.place)))
    y_range = (float(case.place.min()) - margin, float(case.place.max()) + margin)
    values = np.concatenate([true, found[np.isfinite(found)]])
    low, high = float(values.min()), float(values.max())
    x_range = (low - 0.05 * (high - low) - 1e-3, high + 0.05 * (high - low) + 1e-3)
    y = to_y(case.place, y_range)
    content = dots(to_x(np.clip(raw, *x_range), x_range), y, "raw")
    content += line(to_x(np.where(case.known, true, np.nan), x_range), y, "true")
    content += line(to_x(found, x_range), y, "fit")
    label = f"Location against {'z' if case.has_z else 'the number of the slice'} of {case.name}"
    y_label = "z in mm" if case.has_z else "number of the slice"
    return chart(x_range, y_range, "location", y_label, content, label=label, x_digits=2)


def error_chart(family: Mapping[str, Any]) -> str:
    """Distance by landmark: median with its interval, and where 90 % lie.

    Args:
        family: figures of one family, see ``evaluation_figures``.
    """
    rows = [row for row in family["landmarks"] if row["median_mm"] is not None]
    if not rows:
        return ""
    highest = max(max(row["p90_mm"], (row["interval_mm"] or [0, 0])[1]) for row in rows)
    limit = max(5.0, 1.08 * highest)
    left, right, height = 76.0, 540.0, 26.0
    bottom = 10 + height * len(rows)

    def across(value: float) -> float:
        return left + value / limit * (right - left)

    content = ""
    for tick in nice_ticks(0, limit, 8):
        x = across(tick)
        content += f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{bottom}"/>'
        content += f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{tick:g}</text>'
    for n, row in enumerate(rows):
        y = 10 + height * (n + 0.5)
        name = SHORT_NAMES.get(row["name"], row["name"])
        content += f'<text class="name" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>'
        content += (
            f'<rect class="spread" x="{left}" width="{across(row["p90_mm"]) - left:.1f}" y="{y - 8:.1f}" height="16"/>'
        )
        if row["interval_mm"]:
            low, high = (across(end) for end in row["interval_mm"])
            content += f'<line class="error" x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        content += f'<circle class="point" cx="{across(row["median_mm"]):.1f}" cy="{y:.1f}" r="4.5"/>'
    middle = (left + right) / 2
    key = legend(
        [
            ("background:var(--mark);border-radius:4px;width:8px", "median"),
            ("background:var(--mark);height:2px", "its 95 % interval, where there are enough patients"),
            ("background:var(--band)", "90 % of the landmarks"),
        ]
    )
    return (
        f'<svg class="chart" viewBox="0 0 560 {bottom + 44:.0f}" role="img" aria-label="Distance by landmark">{content}'
        f'<text x="{middle}" y="{bottom + 37}" text-anchor="middle">distance in mm</text></svg>{key}'
    )


def calibration_chart(calibration: Mapping[str, Any]) -> str:
    """How often the truth lies in the interval claimed, against how often it should.

    Args:
        calibration: of one family, see ``evaluation_figures``.
    """
    full = (0.0, 1.0)
    content = line(to_x(np.array(full), full), to_y(np.array(full), full), "true")
    items = [("background:var(--muted);height:3px", "honest")]
    for name, style, colour in (("slices", "fit", "fit"), ("landmarks", "marked", "mark")):
        part = calibration[name]
        if part is not None:
            content += line(to_x(np.array(part["claimed"]), full), to_y(np.array(part["observed"]), full), style)
            items.append((f"background:var(--{colour});height:2px", f"{name} ({part['count']})"))
    drawn = chart(
        full, full, "share claimed", "share observed", content, label="Calibration of sigma", x_digits=1, y_digits=1
    )
    return drawn + legend(items)


def scatter_chart(cases: Sequence[Case]) -> str:
    """Found against annotated location of all slices with known truth.

    Args:
        cases: of one family.
    """
    true = np.concatenate([body_to_location(case.true_mm[case.known]) for case in cases])
    found = np.concatenate([body_to_location(case.found_mm[case.known]) for case in cases])
    good = np.isfinite(found)
    true, found = true[good], found[good]
    if not len(true):
        return ""
    if len(true) > 4000:
        some = np.linspace(0, len(true) - 1, 4000).astype(int)
        true, found = true[some], found[some]
    low, high = float(min(true.min(), found.min())), float(max(true.max(), found.max()))
    span = (low - 0.02, high + 0.02)
    ends = np.array([low, high])
    content = line(to_x(ends, span), to_y(ends, span), "true")
    content += dots(to_x(true, span), to_y(found, span), "raw")
    return chart(
        span, span, "annotated location", "found location", content,
        label="Found against annotated location of all slices", x_digits=2, y_digits=2,
    )  # fmt: skip

"""The page of an evaluation: one HTML file with tables, plots and pictures of the worst; it loads nothing."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from . import evaluation_charts as charts
from . import report_html, report_pictures
from .evaluation_cases import Case, LandmarkError
from .evaluation_figures import GROSS_MM, MIN_PATIENTS, worst
from .report_charts import legend
from .report_pictures import View

_NOTHING = '<p class="caption">There is nothing to show.</p>'
_TITLE = "Evaluation of a slice localizer"
WORST = 8
MOST_CHARTS = 60
_FAMILIES = {"hn": "head-and-neck planning CT", "other": "diagnostic CT", "all": "all scans"}

_WORST_KEY = legend([("background:#2f9e4f;height:3px", "annotated"), ("background:#c98a00;height:2px", "found")])

Figures = Mapping[str, Any]


def make(found: Figures, cases: Sequence[Case], about: Mapping[str, str], alerts: Sequence[str] = ()) -> str:
    """The whole page as text.

    Args:
        found: from ``evaluation_figures.figures``.
        cases: that it was made from.
        about: terms and what they say: model, its hash, which part of the data, ...
        alerts: what has to be known before the figures are read.
    """
    alerts = [*alerts]
    for name, family in found["families"].items():
        if family["patients"] < MIN_PATIENTS:
            of = f" ({_FAMILIES.get(name, name)})" if len(found["families"]) > 1 else ""
            alerts.append(
                f"{_count(family['patients'], 'patient')}{of}: too few for an interval, and the figures say little "
                f"about other patients. At least {MIN_PATIENTS} are needed."
            )
    if found["refused"]:
        alerts.append(f"The model refused {found['refused']} of {found['scans']} scans; they are in no figure.")
    listed = "".join(f"<li><strong>Note:</strong> {escape(text)}</li>" for text in alerts)
    body = f'<div class="top"><p class="summary">{_summary(found)}</p>'
    body += f'<ul class="alerts" aria-label="Notes">{listed}</ul></div>' if listed else "</div>"
    for name, family in found["families"].items():
        body += _family(name, family, [case for case in cases if case.family == name], len(found["families"]) > 1)
    body += _worst(cases) + _cases(cases) + _about(about, found)
    return report_html.page(_TITLE, _TITLE, body)


def _summary(found: Figures) -> str:
    parts = []
    for name, family in found["families"].items():
        row = family["all_landmarks"]
        kind = f"{escape(_FAMILIES.get(name, name))}: " if len(found["families"]) > 1 else ""
        if row["median_mm"] is None:
            parts.append(f"{kind}no landmark to compare")
            continue
        parts.append(
            f"{kind}landmarks are off by <strong>{row['median_mm']:g} mm</strong> (median{_between(row)}) in "
            f"{_count(family['patients'], 'patient')}, {_count(family['scans'], 'scan')}, "
            f"{_count(row['landmarks'], 'landmark')}"
        )
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def _family(name: str, family: Figures, cases: Sequence[Case], several: bool) -> str:
    of = f" ({escape(_FAMILIES.get(name, name))})" if several else ""
    gross = family["all_landmarks"]["gross_not_flagged"]
    landmarks = _landmark_table([*family["landmarks"], family["all_landmarks"]])
    ranges = _range_table([*family["ranges"], family["all_slices"]])
    pictures = _plot("Found against annotated location", charts.scatter_chart(cases))
    calibration = family["calibration"]
    if calibration is not None:
        pictures += _plot("Calibration of sigma", charts.calibration_chart(calibration))
    return (
        f'<div class="details figures"><section class="card"><h2>By landmark{of}</h2>{landmarks}<p class="caption">'
        f"{gross or 'None'} of them {'is' if gross < 2 else 'are'} off by more than {GROSS_MM:.0f} mm in a scan "
        f"without a warning.</p></section>"
        f'<section class="card"><h2>Distance by landmark{of}</h2>{charts.error_chart(family) or _NOTHING}</section>'
        f'<section class="card"><h2>By part of the body{of}</h2>{ranges}'
        '<p class="caption">Distances along the body of an average adult, slices between the outermost annotated '
        f"landmarks of each scan. Up is positive.</p><h2>What the sigma is worth</h2>{_calibration(calibration)}"
        f'</section><section class="card"><div class="charts">{pictures}</div></section></div>'
    )


def _plot(title: str, drawn: str) -> str:
    return f"<div><h2>{title}</h2>{drawn or _NOTHING}</div>"


def _landmark_table(rows: Sequence[Figures]) -> str:
    heads = ("Landmark", "patients", "landmarks", "median", "95 % interval", "mean", "90 % in", "worst", "bias",
             "missed")  # fmt: skip
    cells = [
        (
            escape(row["name"]), row["patients"], row["landmarks"], _mm(row["median_mm"]), _ends(row),
            _mm(row["mean_mm"]), _mm(row["p90_mm"]), _mm(row["worst_mm"]), _signed(row["bias_mm"]), row["missed"],
        )
        for row in rows
    ]  # fmt: skip
    return _table(heads, cells)


def _range_table(rows: Sequence[Figures]) -> str:
    heads = ("Part of the body", "patients", "slices", "mean", "95 % interval", "median", "90 % in", "worst", "bias")
    cells = [
        (
            escape(row["name"]), row["patients"], row["slices"], _mm(row["mean_mm"]), _ends(row),
            _mm(row["median_mm"]), _mm(row["p90_mm"]), _mm(row["worst_mm"]), _signed(row["bias_mm"]),
        )
        for row in rows
    ]  # fmt: skip
    return _table(heads, cells)


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of numbers; the last row is the sum of the others."""
    head = "".join(f'<th scope="col"{"" if n == 0 else _NUMBER}>{text}</th>' for n, text in enumerate(heads))
    lines = ""
    for number, row in enumerate(rows):
        kind = ' class="total"' if number == len(rows) - 1 else ""
        cells = "".join(f"<td{'' if n == 0 else _NUMBER}>{cell}</td>" for n, cell in enumerate(row))
        lines += f"<tr{kind}>{cells}</tr>"
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


_NUMBER = ' class="number"'


def _calibration(calibration: Figures | None) -> str:
    if calibration is None:
        return "<p>The model claims no standard deviation.</p>"
    lines = "".join(
        f"<p>{name.capitalize()} ({part['count']}): errors are <strong>{part['rms']:g}</strong> times the claimed "
        f"sigma (root mean square; 1 is honest, above 1 is too sure); {100 * part['within_1_sigma']:.0f} % lie within "
        f"one sigma (68 % are expected), {100 * part['within_2_sigma']:.0f} % within two (95 %).</p>"
        for name, part in (("landmarks", calibration["landmarks"]), ("slices", calibration["slices"]))
        if part is not None
    )
    patients = _count(calibration["patients"], "patient")
    return f'{lines}<p class="caption">{patients}. Slices of one scan err together, so their number says little.</p>'


def _worst(cases: Sequence[Case]) -> str:
    by_name = {case.name: case for case in cases}
    figures = [_worst_landmark(by_name[error.scan], error) for error in worst(cases, WORST)]
    if all(case.volume is None for case in cases):
        figures = [_worst_slice(case, k) for case, k in _worst_slices(cases)]
    if not figures:
        return ""
    key = "" if all(case.volume is None for case in cases) else _WORST_KEY
    return f'<section class="card"><h2>The worst</h2>{key}<div class="worst">{"".join(figures)}</div></section>'


def _worst_landmark(case: Case, error: LandmarkError) -> str:
    """Coronal and sagittal view of a scan with the landmark as annotated and as found."""
    missed = error.error_mm is None
    off = "missed: said to lie outside the scan" if missed else f"{_signed(error.error_mm)} mm"
    sigma = f", claimed {report_html.plus_minus(error.sigma_mm)}" if np.isfinite(error.sigma_mm) else ""
    flagged = ", flagged" if error.flagged else ""
    caption = f"<strong>{escape(error.landmark)}</strong> {off}{sigma}{flagged}<br>{escape(case.name)}"
    lines = [("truth", error.true_z_mm)] + ([] if missed else [("found", error.true_z_mm + error.error_mm)])
    if case.volume is None:
        return f"<figure><figcaption>{caption}</figcaption></figure>"
    pictures = report_pictures.draw(case.volume())
    shown = "".join(_view(view, lines) for view in (pictures.coronal, pictures.sagittal) if view is not None)
    return f'<figure><div class="pair">{shown}</div><figcaption>{caption}</figcaption></figure>'


def _view(view: View, lines: Sequence[tuple[str, float]]) -> str:
    height = view.top_mm - view.bottom_mm
    marks = "".join(
        f'<div class="mark {kind}" style="top:{min(max(100 * (view.top_mm - z) / height, 0), 100):.2f}%"></div>'
        for kind, z in lines
    )
    aspect = view.width_mm / height
    return (
        f'<div class="picture still" style="flex:{view.width_mm:.1f} 1 0;aspect-ratio:{aspect:.4f}">'
        f'<img src="{view.section}" alt="">{marks}</div>'
    )


def _worst_slices(cases: Sequence[Case]) -> list[tuple[Case, int]]:
    """For networks that see single slices: the worst slice of each of the worst scans."""
    found = []
    for case in cases:
        off = np.where(case.known, np.abs(case.raw_mm - case.true_mm), np.nan)
        if case.picture is not None and np.isfinite(off).any():
            k = int(np.nanargmax(off))
            found.append((float(off[k]), case, k))
    found.sort(key=lambda entry: -entry[0])
    return [(case, k) for _, case, k in found[:WORST]]


def _worst_slice(case: Case, k: int) -> str:
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(case.picture(k)).save(data, "PNG")
    source = f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
    caption = (
        f"<strong>{_signed(case.true_mm[k] - case.raw_mm[k])} mm</strong> along an average adult, slice "
        f"{case.place[k]:g}<br>{escape(case.name)}"
    )
    return f'<figure><img src="{source}" alt="Axial slice"><figcaption>{caption}</figcaption></figure>'


def _cases(cases: Sequence[Case]) -> str:
    """Location against z of each scan, the worst first."""

    def badness(case: Case) -> float:
        off = np.abs(case.off_mm)
        return float(off.mean()) if len(off) else np.inf

    ordered = sorted(cases, key=badness, reverse=True)
    shown = ""
    for case in ordered[:MOST_CHARTS]:
        off = np.abs(case.off_mm)
        size = f"mean distance {off.mean():.1f} mm, {_count(len(off), 'slice')}" if len(off) else "no answer"
        notes = "".join(f"<br>{escape(text)}" for text in case.warnings)
        shown += (
            f"<figure>{charts.location_chart(case)}<figcaption>{escape(case.name)}: {size}{notes}</figcaption></figure>"
        )
    left_out = len(ordered) - MOST_CHARTS
    note = f'<p class="caption">{left_out} better ones are left out.</p>' if left_out > 0 else ""
    what = "z" if any(case.has_z for case in cases) else "the number of the slice"
    return (
        f'<section class="card"><h2>Location against {what}, the worst scans first</h2>{charts.CASE_KEY}'
        f'<div class="cases">{shown}</div>{note}</section>'
    )


def _about(about: Mapping[str, str], found: Figures) -> str:
    rows = [*about.items(), ("Scans", str(found["scans"])), ("Patients", str(found["patients"]))]
    terms = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in rows)
    return (
        f'<section class="card"><h2>About</h2><dl>{terms}</dl><p class="caption">Distances are between found and '
        "annotated; up is positive. 95 % intervals come from drawing patients with replacement (bootstrap) and hold "
        "for the median by landmark and the mean by part of the body. A landmark is missed where it is annotated "
        "within the scan and said to lie outside.</p></section>"
    )


def _mm(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1f}".replace("-", "−")


def _ends(row: Figures) -> str:
    return "–" if row["interval_mm"] is None else "{:.1f} to {:.1f}".format(*row["interval_mm"])


def _between(row: Figures) -> str:
    return "" if row["interval_mm"] is None else ", 95 % interval {:g} to {:g}".format(*row["interval_mm"])


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"

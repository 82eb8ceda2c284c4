"""The pieces that a report's page is put together from; everything that a user or a file named is escaped here."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from .report_charts import SHORT_NAMES, nice_ticks
from .report_pictures import SCALE_CODE, SCALE_HU, View
from .results import Flag, LandmarkEstimate, ScanLocation

# Coronal and sagittal view side by side are too small where they are wider than this, as a share of their height.
_STACKED_SHAPE = 2.2

WINDOWS = (("soft", "Soft tissue", 400, 40), ("lung", "Lung", 1500, -600), ("bone", "Bone", 1800, 400))
"""Name, label, width and level in HU."""


def page(title: str, heading: str, body: str, data: Mapping[str, Any] | None = None) -> str:
    """The whole page as text.

    Args:
        title: of the window.
        heading: of the page; both are escaped here.
        body: HTML.
        data: what the script scrolls through; None for a page without a script.
    """
    folder = Path(__file__).parent
    script = "" if data is None else "\n" + (folder / "report.js").read_text(encoding="utf-8")
    # "<" never appears inside the data, so that no file name can end the element.
    content = json.dumps(finite(data or {}), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    parts = {
        "title": escape(title),
        "heading": escape(heading),
        "css": (folder / "report.css").read_text(encoding="utf-8"),
        "body": body,
        "filters": _filters(),
        "data": content,
        "script": script,
        "script_hash": "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    # One pass, so that braces in a file name are never filled in.
    template = (folder / "report.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def finite(value: Any) -> Any:
    """The same JSON value with null for every number that is not finite, which JSON does not know."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def mm(value: float | None) -> str:
    """A height in mm with one decimal and a real minus sign."""
    return "unknown" if value is None or not math.isfinite(value) else f"{round(value, 1) + 0.0:.1f}".replace("-", "−")


def plus_minus(sigma_mm: float | None) -> str:
    """A standard deviation in words."""
    if sigma_mm is None or not math.isfinite(sigma_mm):
        return "± unknown"
    return f"± {sigma_mm:.{1 if sigma_mm < 10 else 0}f} mm"


def source_name(location: ScanLocation) -> str:
    """The name of the scan's folder or file as the result gives it, without the folders above it."""
    source = str(location.series.get("source") or "scan")
    return PurePath(source.replace("\\", "/")).name or source


def alerts(refused: Iterable[tuple[str, Flag | None]], flags: Iterable[tuple[str, Flag]]) -> str:
    """Refusals, then flags, at the top of the page; a quiet line where there are none.

    Args:
        refused: whose refusal, and the refusal.
        flags: whose flag, and the flag.
    """
    items = [
        f'<li class="stop"><strong>No result{_whose(who)}:</strong> {escape(flag.text)} '
        f"<code>{escape(flag.code)}</code></li>"
        for who, flag in refused
        if flag is not None
    ]
    items += [
        f"<li><strong>Warning{_whose(who)}:</strong> {escape(flag.text)} <code>{escape(flag.code)}</code></li>"
        for who, flag in flags
    ]
    if not items:
        return '<p class="no-alerts">No warnings.</p>'
    return f'<ul class="alerts" aria-label="Warnings">{"".join(items)}</ul>'


def slider(
    location: ScanLocation, scan: str, z_mm: np.ndarray, below: str, *, covered: np.ndarray | None = None
) -> str:
    """The slider with the landmarks as ticks; its left end is the head.

    Args:
        location: of the scan that the slider scrolls.
        scan: id of that scan on the page.
        z_mm: (k,) heights of its slices.
        below: HTML between the names of its ends.
        covered: (k,) whether the follow-up covers the slice, to be shown on the track.
    """
    ticks = ""
    for estimate in _inside(location):
        at = np.interp(estimate.z_mm, z_mm, np.arange(len(z_mm))) / max(1, len(z_mm) - 1)
        ticks += (
            f'<span class="tick" style="--at:{1 - at:.4f}">'
            f"{_jump(scan, estimate, SHORT_NAMES.get(estimate.name, estimate.name))}</span>"
        )
    track = "" if covered is None else f' style="--track:{_track(covered)}"'
    return (
        f'<div class="slider"><div class="ticks" role="group" aria-label="Landmarks">{ticks}</div>'
        f'<input type="range" id="slider" min="0" max="{max(0, len(z_mm) - 1)}" step="1" value="0"{track} '
        'aria-label="Slice, from the head to the feet" title="Arrow keys, Page Up and Down, Home, End or the wheel">'
        f'<div class="ends"><span aria-hidden="true">head</span>{below}<span aria-hidden="true">feet</span></div></div>'
    )


def tools(*, views: bool) -> str:
    """The buttons for the window and, where there are coronal and sagittal views, for their kind."""
    text = _choice("window", "Window", [(name, f"{label} {width}/{level}") for name, label, width, level in WINDOWS])
    if views:
        text += _choice("mode", "Coronal and sagittal view", [("section", "Section"), ("projection", "X-ray")])
    return f'<div class="tools">{text}</div>'


def axial(*, empty: str, reason: str = "", name: str = "") -> str:
    """The pane of the axial slices.

    Args:
        empty: what it says in large letters where there is no slice to show.
        reason: and below it in small ones.
        name: of the scan, in its corner.
    """
    return (
        '<div class="axial" role="group" aria-label="Axial slice">'
        '<img alt="" decoding="sync" style="filter:url(#window-soft)">'
        '<span class="corner tl"></span><span class="corner bl"></span>'
        f'<span class="corner tr">{escape(name)}</span>'
        '<span class="corner r" aria-hidden="true">R</span><span class="corner l" aria-hidden="true">L</span>'
        '<span class="corner a" aria-hidden="true">A</span>'
        f'<div class="empty" hidden><span>{escape(empty)}</span><small>{escape(reason)}</small></div></div>'
    )


def views(
    location: ScanLocation, scan: str, coronal: View | None, sagittal: View | None, *, short: bool = False
) -> str:
    """Coronal and sagittal view side by side with one mm axis, landmark lines and their (short) names between them."""
    shown = [view for view in (coronal, sagittal) if view is not None]
    if not shown:
        return '<p class="caption">The scan is too thin for a coronal or sagittal view.</p>'
    top, bottom = shown[0].top_mm, shown[0].bottom_mm
    marks = labels = ""
    for estimate in _inside(location):
        at = _percent(estimate.z_mm, top, bottom)
        if math.isfinite(estimate.sigma_mm):
            upper = max(0.0, _percent(estimate.z_mm + estimate.sigma_mm, top, bottom))
            lower = min(100.0, _percent(estimate.z_mm - estimate.sigma_mm, top, bottom))
            marks += f'<div class="band" style="top:{upper:.2f}%;height:{lower - upper:.2f}%"></div>'
        marks += f'<div class="mark" style="top:{at:.2f}%"></div>'
        name = SHORT_NAMES.get(estimate.name, estimate.name) if short else estimate.name
        labels += _jump(scan, estimate, name, f' data-at="{at:.2f}" style="top:{at:.2f}%"')
    ticks = "".join(
        f'<span style="top:{_percent(z, top, bottom):.2f}%">{f"{z:.0f}".replace("-", "−")}</span>'
        for z in nice_ticks(bottom, top, 6)
    )
    axis = f'<div class="axis" aria-hidden="true">{ticks}</div>'
    kind = "short" if short else "long"
    gutter = (
        f'<div class="gutter {kind if labels else "bare"}" role="group" aria-label="Landmarks">'
        f'<svg aria-hidden="true"><path d=""/></svg>{labels}</div>'
    )
    pictures = [
        _picture(view, name, sides, marks)
        for view, name, sides in ((coronal, "Coronal", "RL"), (sagittal, "Sagittal", "AP"))
        if view is not None
    ]
    widths = [view.width_mm for view in shown]
    if short or sum(widths) < _STACKED_SHAPE * (top - bottom):
        shape = sum(widths) / (top - bottom)
        return f'<div class="views" data-mode="section" style="--shape:{shape:.4f}">{axis}{gutter.join(pictures)}</div>'
    # A short scan: one above the other, at one scale, so that both are large enough.
    shape = max(widths) / (top - bottom)
    return "".join(
        f'<div class="views stacked" data-mode="section" style="--shape:{shape:.4f}">{axis}{picture}{gutter}'
        f'<div style="flex:{max(widths) - width:.1f} 1 0"></div></div>'
        for picture, width in zip(pictures, widths)
    )


def landmark_table(location: ScanLocation, scan: str) -> str:
    """The twelve landmarks: location, z, standard deviation, inside or not."""
    rows = ""
    for estimate in location.landmarks:
        if estimate.inside and estimate.z_mm is not None:
            rows += (
                f'<tr><td>{_jump(scan, estimate, estimate.name)}</td><td class="number">{estimate.location:g}</td>'
                f'<td class="number">{mm(estimate.z_mm)}</td><td class="number">{plus_minus(estimate.sigma_mm)}</td>'
                "<td>inside</td></tr>"
            )
        else:
            rows += (
                f'<tr class="outside"><td>{escape(estimate.name)}</td><td class="number">{estimate.location:g}</td>'
                '<td class="number">–</td><td class="number">–</td><td>not in the scan</td></tr>'
            )
    return (
        '<div class="scroll"><table><thead><tr><th scope="col">Landmark</th>'
        '<th scope="col" class="number">Location</th>'
        '<th scope="col" class="number">z in mm</th><th scope="col" class="number">±</th><th scope="col">In the scan'
        f"</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def facts(location: ScanLocation, extra: Sequence[tuple[str, str]] = ()) -> str:
    """What scan and which model, as a list of terms.

    Args:
        location: the result.
        extra: further terms and what they say.
    """
    series, model = location.series, location.model
    rows = [("Scan", source_name(location)), ("Modality", str(series.get("modality") or "unknown"))]
    rows += extra
    if location.coverage is not None:
        low, high = sorted((location.coverage.start, location.coverage.stop))
        rows.append(("Coverage", f"{location.coverage.words} (location {low:.3f} to {high:.3f})".replace("-0", "−0")))
    rows += [("Model", str(model.get("name") or "none")), ("Model SHA-256", str(model.get("sha256") or "none"))]
    return "<dl>" + "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in rows) + "</dl>"


def _whose(who: str) -> str:
    return f" ({escape(who)})" if who else ""


def _inside(location: ScanLocation) -> list[LandmarkEstimate]:
    return [estimate for estimate in location.landmarks if estimate.inside and estimate.z_mm is not None]


def _jump(scan: str, estimate: LandmarkEstimate, text: str, more: str = "") -> str:
    """A button that scrolls a scan to a landmark."""
    title = f"{estimate.name}, z {mm(estimate.z_mm)} mm {plus_minus(estimate.sigma_mm)}"
    return (
        f'<button type="button" data-jump="{scan}" data-z="{estimate.z_mm:.3f}" title="{escape(title)}"{more}>'
        f"{escape(text)}</button>"
    )


def _choice(name: str, label: str, options: Sequence[tuple[str, str]]) -> str:
    buttons = "".join(
        f'<button type="button" data-set="{name}" value="{value}" aria-pressed="{str(n == 0).lower()}">{text}</button>'
        for n, (value, text) in enumerate(options)
    )
    return f'<span class="choice" role="group" aria-label="{label}">{buttons}</span>'


def _picture(view: View, name: str, sides: str, marks: str) -> str:
    aspect = view.width_mm / (view.top_mm - view.bottom_mm)
    return (
        f'<div class="picture" data-view="{name.lower()}" '
        f'style="flex:{view.width_mm:.1f} 1 0;aspect-ratio:{aspect:.4f}">'
        f'<img class="section" src="{view.section}" alt="{name} section with landmarks" draggable="false">'
        f'<img class="projection" src="{view.projection}" alt="{name} X-ray view with landmarks" draggable="false">'
        f'{marks}<div class="cursor" hidden></div>'
        f'<span class="side" aria-hidden="true">{sides[0]}</span><span class="side right" aria-hidden="true">{sides[1]}'
        "</span></div>"
    )


def _percent(z_mm: float, top: float, bottom: float) -> float:
    """Height as per cent from the upper edge of a view."""
    return 100 * (top - z_mm) / (top - bottom)


def _track(covered: np.ndarray) -> str:
    """The slider's track as a gradient: coloured where the follow-up covers the slice; its left end is the head."""
    states = np.asarray(covered, dtype=bool)[::-1]
    edges = [0, *(np.flatnonzero(states[1:] != states[:-1]) + 1), len(states)]
    stops = [
        f"{'var(--accent)' if states[start] else 'var(--line)'} {100 * start / len(states):.2f}% "
        f"{100 * stop / len(states):.2f}%"
        for start, stop in itertools.pairwise(edges)
    ]
    return f"linear-gradient(90deg,{','.join(stops)})"


def _filters() -> str:
    """SVG filters that turn the 8-bit codes of the pictures into the grey values of each window."""
    hu = np.interp(np.arange(256), SCALE_CODE, SCALE_HU)
    text = ""
    for name, _, width, level in WINDOWS:
        grey = np.clip((hu - (level - width / 2)) / width, 0, 1)
        values = " ".join(f"{value:.3g}" for value in grey)
        channels = "".join(f'<feFunc{channel} type="table" tableValues="{values}"/>' for channel in "RGB")
        text += (
            f'<filter id="window-{name}" color-interpolation-filters="sRGB" x="0" y="0" width="1" height="1">'
            f"<feComponentTransfer>{channels}</feComponentTransfer></filter>"
        )
    return f'<svg width="0" height="0" style="position:absolute" aria-hidden="true">{text}</svg>'

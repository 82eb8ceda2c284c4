"""The body of the report of a match: two scans, one slider, how follow-up heights go with baseline heights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import report_charts
from . import report_html as html
from .report_pictures import Pictures
from .results import ScanLocation

if TYPE_CHECKING:
    from .matching import Match

NOT_COVERED = "Not covered by the follow-up"


def body(
    z_mm: Sequence[np.ndarray],
    locations: Sequence[ScanLocation],
    match: Match,
    pictures: Sequence[Pictures],
    notes: Sequence[str],
    geometry: Sequence[list[tuple[str, str]]],
) -> tuple[str, dict[str, Any]]:
    """The page's body and what the script needs of the match; everything comes as baseline, follow-up.

    Args:
        z_mm: (k,) LPS z of the slices of each scan.
        locations: results.
        match: of the two.
        pictures: of each scan.
        notes: HTML below each axial pane.
        geometry: facts of each scan.
    """
    matched, sigma = _matched(match, len(z_mm[0]))
    covered = np.isfinite(matched)
    empty = "No match" if match.refused is not None else NOT_COVERED
    reason = (
        match.refused.text
        if match.refused is not None
        else "The follow-up scan does not reach this place."
        + (" Scroll to the coloured part of the slider." if covered.any() else "")
    )
    refused = [("baseline", locations[0].refused), ("follow-up", locations[1].refused)]
    if not any(flag for _, flag in refused):  # else the match only repeats the reason
        refused = [("", match.refused)]
    flags = [("match", flag) for flag in match.flags]
    for who, location in zip(("baseline", "follow-up"), locations):
        flags += [(who, flag) for flag in location.flags]
    sides = ""
    for scan, title, location, drawn, note in zip(
        ("baseline", "followup"), ("Baseline", "Follow-up"), locations, pictures, notes
    ):
        sides += (
            f'<section id="{scan}" aria-label="{title}">'
            f"{html.axial(empty=empty, reason=reason, name=html.source_name(location))}{note}"
            f"{html.views(location, scan, drawn.coronal, drawn.sagittal, short=True)}</section>"
        )
    tools = html.tools(views=any(drawn.coronal is not None for drawn in pictures))
    text = f"""
<div class="top">{html.alerts(refused, flags)}{_summary(z_mm[0], covered, match)}</div>
<section class="card viewer" id="viewer" aria-label="Slices of both scans">
  <div class="bar">
    <div class="readouts">
      <div class="readout"><strong>Baseline <span class="number" id="baseline-z"></span></strong>
      <span id="place"></span><span class="muted number" id="baseline-numbers"></span></div>
      <div class="readout"><strong>Follow-up <span class="number" id="followup-z"></span></strong>
      <span id="followup-place"></span><span class="muted number" id="followup-numbers"></span></div>
    </div>
    {html.slider(locations[0], "baseline", z_mm[0], tools, covered=covered)}
  </div>
  <div class="panes two">{sides}</div>
  <p class="caption">One slider scrolls both scans. The follow-up shows the slice nearest to the matched height. Blue
  lines: the slices shown; the others: landmarks, with a band of one standard deviation. Click in a picture to go to
  that height.</p>
</section>
<div class="details">
  {report_charts.match_chart(z_mm, matched, sigma, locations)}
  <section class="card" aria-label="Landmarks in both scans"><h2>Landmarks in both scans</h2>
  {_table(z_mm[0], matched, locations)}</section>
  <section class="card" aria-label="Scans and model"><h2>Baseline</h2>{html.facts(locations[0], geometry[0])}
  <h2 style="margin-top:14px">Follow-up</h2>{html.facts(locations[1], geometry[1])}
  <p class="caption">Matched by: {html.escape(_methods(match))}. In another breath the base of the lungs lies
  elsewhere in the same body.</p></section>
</div>"""
    pairs = [[float(z), float(s)] if np.isfinite(z) else [None, None] for z, s in zip(matched, sigma)]
    return text, {
        "pairs": pairs,
        "empty": "no match" if match.refused is not None else "not covered",
        "start": _start(covered),
    }


def _matched(match: Match, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(k,) follow-up heights in mm and their standard deviations; NaN where the follow-up does not cover."""
    matched, sigma = np.full(count, np.nan), np.full(count, np.nan)
    if match.refused is None:
        for k, pair in enumerate(match.pairs):
            if pair.covered and pair.followup_z_mm is not None:
                matched[k] = pair.followup_z_mm
                sigma[k] = np.nan if pair.sigma_mm is None else pair.sigma_mm
    return matched, sigma


def _start(covered: np.ndarray) -> int:
    """The slice to begin with: the middle of what both scans show."""
    shared = np.flatnonzero(covered)
    return int(shared[len(shared) // 2]) if len(shared) else len(covered) // 2


def _methods(match: Match) -> str:
    names = {"curve": "the two location curves", "registered": "registration of the two scans"}
    used = sorted({pair.method for pair in match.pairs if pair.covered})
    return " and ".join(names.get(method, method) for method in used) or "nothing"


def _summary(z_mm: np.ndarray, covered: np.ndarray, match: Match) -> str:
    if match.refused is not None:
        return ""
    if not covered.any():
        return '<p class="summary">The follow-up covers <strong>no slice</strong> of the baseline.</p>'
    shared = z_mm[covered]
    return (
        f'<p class="summary">The follow-up covers <strong>{int(covered.sum())} of {len(covered)}</strong> slices of '
        f'the baseline, <span class="number">z {html.mm(shared.min())} to {html.mm(shared.max())} mm</span>.</p>'
    )


def _table(z_mm: np.ndarray, matched: np.ndarray, locations: Sequence[ScanLocation]) -> str:
    """The landmarks that both scans show, each as found by itself and as matched."""
    rows = ""
    for first, second in zip(*(location.landmarks for location in locations)):
        if not (first.inside and second.inside) or first.z_mm is None or second.z_mm is None:
            continue
        at = float(np.interp(first.z_mm, z_mm, matched)) if len(z_mm) > 1 else float(matched[0])
        away = f"{round(at - second.z_mm, 1) + 0.0:+.1f}".replace("-", "−") if np.isfinite(at) else "–"
        rows += (
            f'<tr><td><button type="button" data-jump="baseline" data-z="{first.z_mm:.3f}">{html.escape(first.name)}'
            f'</button></td><td class="number">{html.mm(first.z_mm)} {html.plus_minus(first.sigma_mm)}</td>'
            f'<td class="number">{html.mm(second.z_mm)} {html.plus_minus(second.sigma_mm)}</td>'
            f'<td class="number">{html.mm(at) if np.isfinite(at) else "–"}</td><td class="number">{away}</td></tr>'
        )
    if not rows:
        return '<p class="muted">There is no landmark that both scans show.</p>'
    return (
        '<div class="scroll"><table><thead><tr><th scope="col">Landmark</th>'
        '<th scope="col" class="number">z in the baseline</th><th scope="col" class="number">z in the follow-up</th>'
        '<th scope="col" class="number">matched z</th><th scope="col" class="number">difference</th></tr></thead>'
        f'<tbody>{rows}</tbody></table></div><p class="caption">In mm. Landmarks are found in each scan by itself; the '
        "match uses all that both scans show, so it is the better guide where the two differ.</p>"
    )

"""The page of an evaluation: one HTML file that loads nothing."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from CTVolumeLib.batch import Outcome

from . import evaluation_charts as charts
from .crossvalidation import Evaluation
from .evaluation_cases import CaseShown
from .evaluation_figures import HEADER, HISTOGRAM, NETWORK, SHUFFLED, Figures
from .scores import Figure

_NAMES = {
    NETWORK: "the network",
    HISTOGRAM: "baseline: histogram and logistic regression",
    SHUFFLED: "check: the network, labels shuffled",
    HEADER: "check: spacing, size and scanner alone",
}
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def make(found: Evaluation, figures: Figures, cases: Sequence[CaseShown], about: Mapping[str, str]) -> str:
    """The whole page as text.

    Args:
        found: the scores, for the plots.
        figures: of them.
        cases: to be shown with pictures.
        about: terms and what they say: network, parts, versions, ...
    """
    body = f'<p class="summary">{escape(figures.verdict)}</p>{_notes(figures)}'
    body += _table(figures) + _plots(found) + _cases(cases) + _left_out(found.failed) + _about(about)
    return page("Evaluation of a classifier", body)


def page(title: str, body: str) -> str:
    """A page about classifiers.

    Args:
        title: plain text.
        body: HTML.
    """
    style = (Path(__file__).parent / "evaluation.css").read_text(encoding="utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>"
        f"<header><h1>{escape(title)}</h1><p>Research use only, not a medical device</p></header>"
        f"<main>{body}</main><footer><p>Made by ct-classify. Nothing was sent anywhere.</p></footer></body></html>"
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as HTML; the cells are escaped here. Columns but the first are numbers; the first row counts most."""
    head = "".join(f'<th scope="col"{_number(n)}>{escape(text)}</th>' for n, text in enumerate(heads))
    lines = "".join(
        f"<tr{' class=first' if number == 0 else ''}>"
        + "".join(f"<td{_number(n)}>{escape(cell)}</td>" for n, cell in enumerate(row))
        + "</tr>"
        for number, row in enumerate(rows)
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _notes(figures: Figures) -> str:
    listed = "".join(f"<li><strong>Note:</strong> {escape(text)}</li>" for text in figures.alerts)
    good = "".join(f'<p class="good">✓ {escape(text)}</p>' for text in figures.good)
    return (f'<ul class="notes" aria-label="Notes">{listed}</ul>' if listed else "") + good


def _table(figures: Figures) -> str:
    heads = ["Scored by", "AUC", "accuracy", "sensitivity", "specificity", "Brier score"]
    several = len(figures.rows[NETWORK].repetitions) > 1
    if several:
        heads.append("AUC of each repetition")
    rows = []
    for name in (NETWORK, HISTOGRAM, SHUFFLED, HEADER):
        if name in figures.rows:
            row = figures.rows[name]
            cells = (row.auc, row.accuracy, row.sensitivity, row.specificity, row.brier)
            each = ", ".join(f"{value:.2f}" for value in row.repetitions)
            rows.append([_NAMES[name], *(_text(cell) for cell in cells), *([each] if several else [])])
    return (
        f'<section class="card"><h2>Figures</h2>{table(heads, rows)}<p class="caption">In brackets the 95 % interval, '
        "by drawing patients with replacement (2000 times). Each scan is scored by networks that never saw its "
        "patient; the AUC compares scans of the same fold only. Thresholds were chosen on each fold's validation "
        f"patients. Network less baseline: {_text(figures.better)}; network less spacing, size and scanner: "
        f"{_text(figures.better_than_header)}.</p></section>"
    )


def _plots(found: Evaluation) -> str:
    key = (
        '<p class="legend"><span><i style="background:var(--network)"></i>network</span>'
        '<span><i style="background:var(--simple)"></i>histogram and logistic regression</span></p>'
    )
    return (
        f'<section class="card plots"><div><h2>ROC, mean of the folds</h2>'
        f"{charts.roc_chart(found.network, found.histogram)}{key}</div><div><h2>Calibration of the network</h2>"
        f'{charts.calibration_chart(found.network)}<p class="caption">Groups of scans with similar probability; bars '
        "are 95 % intervals. On the dashed line a probability means what it says.</p></div></section>"
    )


def _cases(cases: Sequence[CaseShown]) -> str:
    wrong, right = ([case for case in cases if case.right == kind] for kind in (False, True))
    if not cases:
        return ""
    key = (
        '<p class="caption">What the network sees, in three planes through the place that says most; below, orange '
        "speaks for the finding and blue against it: by how much the answer changes when a box there is replaced by "
        "the mean of scans without the finding. The patient's right is at the left.</p>"
    )
    shown = (("Wrong, the farthest off", _figures(wrong), key), ("Right, the surest", _figures(right), ""))
    return "".join(
        f'<section class="card"><h2>{head}</h2><div class="cases">{pictures}</div>{text}</section>'
        for head, pictures, text in shown
    )


def _figures(cases: Sequence[CaseShown]) -> str:
    if not cases:
        return '<p class="caption">None.</p>'
    return "".join(
        f'<figure><img alt="{escape(case.name)} in three planes, plain and coloured" '
        f'src="data:image/png;base64,{base64.b64encode(case.picture).decode()}"><figcaption>'
        f"<strong>{'With' if case.label else 'Without'} the finding, probability {case.score:.2f}</strong> "
        f"(called a finding from {case.threshold:.2f})<br>{escape(case.name)}</figcaption></figure>"
        for case in cases
    )


def _left_out(failed: Sequence[Outcome]) -> str:
    if not failed:
        return ""
    rows = "".join(
        f"<tr><td>{escape(one.name)}</td><td>{escape(f'{one.message} {one.hint}'.strip())}</td></tr>" for one in failed
    )
    return (
        '<section class="card"><h2>Left out</h2><div class="scroll"><table><thead><tr><th scope="col">Scan</th>'
        f'<th scope="col">Why</th></tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


def _about(about: Mapping[str, str]) -> str:
    terms = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in about.items())
    return f'<section class="card"><h2>About</h2><dl>{terms}</dl></section>'


def _number(column: int) -> str:
    return "" if column == 0 else ' class="number"'


def _text(figure: Figure) -> str:
    return figure.text().replace("-", "−") if figure.value == figure.value else "–"

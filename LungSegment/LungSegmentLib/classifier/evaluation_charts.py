"""The two plots of an evaluation as SVG, coloured by the page's style in light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from . import scores
from .scores import Scored

_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 406.0, 12.0, 366.0


def roc_chart(network: Scored, histogram: Scored) -> str:
    """ROC curves of the network and of the histogram, means of the folds.

    Args:
        network: scores.
        histogram: scores on the same folds.
    """
    content = _path([0, 1], [0, 1], "chance")
    for scored, style in ((histogram, "simple"), (network, "network")):
        false_rates, true_rates = scores.roc(scored)
        content += _path(np.append(0, false_rates), np.append(0, true_rates), style)
    return _chart(content, "1 − specificity", "sensitivity", "ROC curves of the network and of the histogram")


def calibration_chart(network: Scored) -> str:
    """Share of findings against the probability that the network gives.

    Args:
        network: scores.
    """
    content = _path([0, 1], [0, 1], "chance")
    groups = scores.calibration(network)
    for given, share, low, high, count in groups:
        x = _x(given)
        content += f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{_y(low):.1f}" y2="{_y(high):.1f}"/>'
        title = f"{count} scans: {given:.2f} given, {share:.2f} found"
        content += f'<circle class="dot" cx="{x:.1f}" cy="{_y(share):.1f}" r="5"><title>{title}</title></circle>'
    content += _path([group[0] for group in groups], [group[1] for group in groups], "network thin")
    return _chart(content, "probability given", "share with the finding", "Calibration of the network")


def _chart(content: str, x_label: str, y_label: str, label: str) -> str:
    grid = ""
    for value in np.linspace(0, 1, 6):
        x, y = _x(value), _y(value)
        grid += f'<line class="grid" x1="{x}" x2="{x}" y1="{_TOP}" y2="{_BOTTOM}"/>'
        grid += f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{y}" y2="{y}"/>'
        grid += f'<text x="{x}" y="{_BOTTOM + 18}" text-anchor="middle">{value:.1f}</text>'
        grid += f'<text x="{_LEFT - 7}" y="{y + 4}" text-anchor="end">{value:.1f}</text>'
    middle = (_TOP + _BOTTOM) / 2
    return (
        f'<svg class="chart" viewBox="0 0 420 410" role="img" aria-label="{escape(label)}">{grid}{content}'
        f'<text x="{(_LEFT + _RIGHT) / 2}" y="{_BOTTOM + 38}" text-anchor="middle">{escape(x_label)}</text>'
        f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text></svg>'
    )


def _path(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray, style: str) -> str:
    points = " ".join(f"{_x(a):.1f},{_y(b):.1f}" for a, b in zip(x, y) if np.isfinite(a) and np.isfinite(b))
    return f'<polyline class="{style}" points="{points}"/>'


def _x(value: float) -> float:
    return _LEFT + float(value) * (_RIGHT - _LEFT)


def _y(value: float) -> float:
    return _BOTTOM - float(value) * (_BOTTOM - _TOP)

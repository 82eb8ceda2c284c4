"""The figures of an evaluation and what they say in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from . import scores
from .crossvalidation import Evaluation
from .scores import Figure, Scored

NETWORK, HISTOGRAM, HEADER, SHUFFLED = "network", "histogram", "header", "shuffled"

ENOUGH_PATIENTS = 30
"""With fewer patients of a label an AUC's interval is about 0.2 wide or wider."""

MANY_PARAMETERS = 1000
"""Parameters for each training scan from which on a network is told to be too large."""


@dataclass(frozen=True)
class Row:
    """The figures of one way to score scans."""

    auc: Figure
    accuracy: Figure
    sensitivity: Figure
    specificity: Figure
    brier: Figure
    repetitions: tuple[float, ...]


@dataclass(frozen=True)
class Figures:
    """All figures.

    Attributes:
        rows: by name: network, histogram, header, and shuffled where it was made.
        better: AUC of the network less that of the histogram.
        better_than_header: AUC of the network less that of the header.
        scans: number of scored scans with the finding and without.
        patients: the same of patients.
        parameters: of the network, for each scan that it learned from.
        verdict: whether the network beats the histogram, in words.
        alerts: what has to be known before the figures are read.
        good: what was checked and found to be right.
    """

    rows: Mapping[str, Row]
    better: Figure
    better_than_header: Figure
    scans: tuple[int, int]
    patients: tuple[int, int]
    parameters: float
    verdict: str
    alerts: tuple[str, ...]
    good: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data for evaluation.json."""
        return {"schema": "ct-classifier-evaluation/1", **asdict(self)}


def figures(found: Evaluation, parameters: int) -> Figures:
    """The figures of an evaluation.

    Args:
        found: the scores.
        parameters: of the network.
    """
    weights = scores.draws(found.network.patients)
    scored = {NETWORK: found.network, HISTOGRAM: found.histogram, HEADER: found.header, SHUFFLED: found.shuffled}
    rows = {name: _row(one, weights) for name, one in scored.items() if one is not None}
    better = scores.auc_difference(found.network, found.histogram, weights)
    better_than_header = scores.auc_difference(found.network, found.header, weights)
    counts = [
        (
            sum(scan.label == label for scan in found.scans),
            len({scan.patient for scan in found.scans if scan.label == label}),
        )
        for label in (1, 0)
    ]
    scans, people = zip(*counts)
    each = parameters / max(found.training_scans, 1)
    few = min(people) < ENOUGH_PATIENTS
    alerts, good = _checks(rows, better_than_header, few)
    if few:
        alerts.insert(0, _too_few(people))
    if each > MANY_PARAMETERS:
        alerts.append(
            f"The network has {parameters:,} parameters, {each:,.0f} for each scan that it learns from. That is too "
            "many: it can learn the scans by heart. Take --network small, or more scans."
        )
    if found.failed:
        alerts.append(f"Scans that could not be used, in no figure and listed below: {len(found.failed)}.")
    if len(found.histogram_of) > 1:
        odd = found.histogram_of.get("whole scan", 0)
        alerts.append(f"In {odd} scans no lungs were found, so their histogram is that of the whole scan.")
    verdict = _verdict(rows[NETWORK].auc, rows[HISTOGRAM].auc, better, few)
    return Figures(rows, better, better_than_header, scans, people, each, verdict, tuple(alerts), tuple(good))


def _row(scored: Scored, weights: Any) -> Row:
    single = [Scored(scored.patients, *(part[n : n + 1] for part in _parts(scored))) for n in range(len(scored.labels))]
    return Row(
        scores.auc(scored, weights),
        scores.accuracy(scored, weights),
        scores.sensitivity(scored, weights),
        scores.specificity(scored, weights),
        scores.brier(scored, weights),
        tuple(float(scores.auc_draws(one, weights[:1])[0]) for one in single),
    )


def _parts(scored: Scored) -> tuple:
    return scored.labels, scored.scores, scored.folds, scored.thresholds


def _verdict(network: Figure, histogram: Figure, better: Figure, few: bool) -> str:
    reached = f"On patients that it never saw the network reaches an AUC of {network.text()}"
    other = f"a histogram with logistic regression, without any network, reaches {histogram.text()}"
    apart = f"the difference is {better.text()}"
    if few:
        return (
            f"Too few patients to say whether the network is worth anything. {reached}; {other}; {apart}. The brackets "
            "are 95 % intervals, and with so few patients they are too narrow rather than too wide."
        )
    if better.low > 0:
        return f"The network beats the baseline. {reached}; {other}; {apart}."
    if better.high < 0:
        return f"The network is worse than the baseline. {reached}; {other}; {apart}. Use the histogram."
    return (
        f"The network does not beat the baseline. {reached}; {other}; {apart}, which may be chance. Nothing speaks for "
        "the network yet."
    )


def _too_few(people: tuple[int, int]) -> str:
    return (
        f"There are {people[0]} patients with the finding and {people[1]} without: too few. The figures say little "
        f"about other patients; at least {ENOUGH_PATIENTS} of each are wanted, and some hundred are better."
    )


def _checks(rows: Mapping[str, Row], better_than_header: Figure, few: bool) -> tuple[list[str], list[str]]:
    """What the two checks for leaks found: what is wrong, and what is right."""
    alerts, good = [], []
    shuffled, header = rows.get(SHUFFLED), rows[HEADER].auc
    if shuffled is None:
        alerts.append("Whether the evaluation leaks was not checked with shuffled labels.")
    elif shuffled.auc.low <= 0.5 <= shuffled.auc.high:
        if not few:  # of few patients every interval holds chance
            good.append(f"With shuffled labels the network reaches {shuffled.auc.text()}: chance, as it must be.")
    else:
        alerts.append(
            f"With shuffled labels the network reaches {shuffled.auc.text()}, and only chance (0.5) is right. The "
            "evaluation leaks, or this is the one time in twenty that a 95 % interval is wrong: take another --seed."
        )
    if header.low > 0.5:
        alerts.append(
            f"Spacing, size and scanner alone tell the label with an AUC of {header.text()}. Scans with and without "
            "the finding were made in different ways, and the network may have learned that instead of the finding."
        )
        if better_than_header.low <= 0:
            alerts.append("The network is not better than spacing, size and scanner alone.")
    elif not few:
        good.append(f"Spacing, size and scanner alone reach {header.text()}: they do not tell the label.")
    return alerts, good

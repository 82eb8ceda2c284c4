"""Figures of scored scans: AUC, accuracy, calibration, each with an interval by bootstrap over patients.

Scores of different folds come from different networks, which need not mean the same by 0.7. So the AUC counts pairs of
a scan with and one without the finding inside each fold only, and means the share of them that is in the right order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 2000
_LEVELS = (2.5, 97.5)


@dataclass(frozen=True, eq=False)
class Scored:
    """All scans, each scored once a repetition by a network that never saw its patient.

    Attributes:
        patients: (n,) of each scan.
        labels: (r, n) 1 or 0; the same in each repetition but where labels were shuffled.
        scores: (r, n) probability of the finding.
        folds: (r, n) the fold in which each scan was in the test part.
        thresholds: (r, n) from which on a score is called a finding, from the fold's validation part.
    """

    patients: Sequence[str]
    labels: np.ndarray
    scores: np.ndarray
    folds: np.ndarray
    thresholds: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """(r, n) bool: whether the call was right."""
        return (self.scores >= self.thresholds) == (self.labels == 1)


@dataclass(frozen=True)
class Figure:
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float

    def text(self, digits: int = 2) -> str:
        """For people: ``0.93 (0.88 to 0.97)``."""
        return f"{self.value:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def draws(patients: Sequence[str], seed: int = 0, count: int = DRAWS) -> np.ndarray:
    """(count + 1, n) how often each scan counts: once each in the first row, then patients drawn with replacement."""
    _, index = np.unique(np.asarray(patients), return_inverse=True)
    number = index.max() + 1
    drawn = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), size=count)
    return np.vstack([np.ones(number, int), drawn])[:, index].astype(float)


def auc_draws(scored: Scored, weights: np.ndarray) -> np.ndarray:
    """(draws,) the AUC of each draw; NaN where a draw has no pair."""
    right, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for labels, scores, folds in zip(scored.labels, scored.scores, scored.folds):
        for fold in np.unique(folds):
            yes = np.flatnonzero((folds == fold) & (labels == 1))
            no = np.flatnonzero((folds == fold) & (labels == 0))
            difference = scores[yes][:, None] - scores[no][None, :]
            order = (difference > 0) + 0.5 * (difference == 0)
            right += ((weights[:, yes] @ order) * weights[:, no]).sum(axis=1)
            pairs += weights[:, yes].sum(axis=1) * weights[:, no].sum(axis=1)
    return np.divide(right, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


def auc(scored: Scored, weights: np.ndarray) -> Figure:
    """Area under the ROC curve, within folds.

    Args:
        scored: the scans.
        weights: from ``draws``.
    """
    return _figure(auc_draws(scored, weights))


def auc_difference(first: Scored, second: Scored, weights: np.ndarray) -> Figure:
    """AUC of the first less that of the second, both of the same patients in each draw."""
    return _figure(auc_draws(first, weights) - auc_draws(second, weights))


def accuracy(scored: Scored, weights: np.ndarray) -> Figure:
    """Share of right calls at the thresholds of the validation parts."""
    return _share(scored.right, np.ones_like(scored.right), weights)


def sensitivity(scored: Scored, weights: np.ndarray) -> Figure:
    """Share of the scans with the finding that are called so."""
    return _share(scored.right, scored.labels == 1, weights)


def specificity(scored: Scored, weights: np.ndarray) -> Figure:
    """Share of the scans without the finding that are called so."""
    return _share(scored.right, scored.labels == 0, weights)


def threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """The score from which on to call a finding: where sensitivity + specificity is largest (Youden's index).

    It lies half-way between two scores, in the middle of the best ones where several are as good.

    Args:
        scores: (n,) of the validation part.
        labels: (n,) 1 or 0, both there.
    """
    ordered = np.unique(scores)
    places = np.concatenate([[ordered[0]], (ordered[1:] + ordered[:-1]) / 2, [np.nextafter(ordered[-1], 2)]])
    called = scores[None, :] >= places[:, None]
    index = called[:, labels == 1].mean(axis=1) - called[:, labels == 0].mean(axis=1)
    best = np.flatnonzero(index >= index.max() - 1e-12)
    return float(places[best[len(best) // 2]])


def roc(scored: Scored, points: int = 101) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rate, the mean of the folds' curves.

    Returns:
        (points,) false positive rates from 0 to 1 and the (points,) mean true positive rates there.
    """
    places, curves = np.linspace(0, 1, points), []
    for labels, scores, folds in zip(scored.labels, scored.scores, scored.folds):
        for fold in np.unique(folds):
            yes = np.sort(scores[(folds == fold) & (labels == 1)])
            no = np.sort(scores[(folds == fold) & (labels == 0)])[::-1]
            if not len(yes) or not len(no):
                continue
            # At a false positive rate the threshold is the score of the next false one; a tie counts half.
            limits = np.append(no, -np.inf)[np.minimum(np.floor(places * len(no) + 1e-9).astype(int), len(no))]
            above = len(yes) - (np.searchsorted(yes, limits, "right") + np.searchsorted(yes, limits, "left")) / 2
            curves.append(above / len(yes))
    return places, np.mean(curves, axis=0) if curves else np.full(points, np.nan)


def calibration(scored: Scored, bins: int = 6) -> list[tuple[float, float, float, float, int]]:
    """Of groups of scans with similar score: mean score, share with the finding, its 95 % interval (Wilson), count.

    Args:
        scored: with the same labels in each repetition.
        bins: groups, of about as many scans each.
    """
    mean, labels = scored.scores.mean(axis=0), scored.labels[0]
    groups = [group for group in np.array_split(np.argsort(mean), min(bins, max(1, len(mean) // 5))) if len(group)]
    found = []
    for group in groups:
        share, count = float(labels[group].mean()), len(group)
        found.append((float(mean[group].mean()), share, *_wilson(share, count), count))
    return found


def brier(scored: Scored, weights: np.ndarray) -> Figure:
    """Mean squared distance of score and label: 0 is perfect, 0.25 is a coin."""
    off = (scored.scores - scored.labels) ** 2
    return _figure((weights @ off.mean(axis=0)) / weights.sum(axis=1))


def _share(right: np.ndarray, counted: np.ndarray, weights: np.ndarray) -> Figure:
    hits, all_ = weights @ (right & counted).sum(axis=0), weights @ counted.sum(axis=0)
    return _figure(np.divide(hits, all_, out=np.full(len(weights), np.nan), where=all_ > 0))


def _figure(values: np.ndarray) -> Figure:
    """The first is that of all scans, the others those of the draws."""
    drawn = values[1:][np.isfinite(values[1:])]
    low, high = np.percentile(drawn, _LEVELS) if len(drawn) else (np.nan, np.nan)
    return Figure(float(values[0]), float(low), float(high))


def _wilson(share: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """E. B. Wilson's interval of a share (1927), which stays inside 0 to 1 for few scans, too."""
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return float(middle - half), float(middle + half)

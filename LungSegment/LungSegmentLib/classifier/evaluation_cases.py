"""The cases of an evaluation's page: the surest right ones and the worst wrong ones, with where the network looked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import evaluation_saliency as saliency
from .crossvalidation import TRUE, Evaluation, run_folder
from .evaluation_pictures import Shown, draw
from .prepared import PreparedScan

_FINE, _COARSE, _MANY_PARAMETERS = 7, 4, 200_000
"""Places of the box along each axis, for small networks and for those that take long."""


@dataclass(frozen=True)
class CaseShown:
    """A case of the page.

    Attributes:
        name: of the scan.
        label: 1 or 0.
        score: probability that the network gave in its first repetition.
        threshold: from where on it is a finding.
        picture: PNG.
    """

    name: str
    label: int
    score: float
    threshold: float
    picture: bytes

    @property
    def right(self) -> bool:
        """Whether it was called right."""
        return (self.score >= self.threshold) == bool(self.label)


def choose(found: Evaluation, each: int) -> list[int]:
    """Indices of scans: of each label the surest right ones, and the wrong ones that are farthest off."""
    scores, thresholds = found.network.scores[0], found.network.thresholds[0]
    labels, right = found.network.labels[0], found.network.right[0]
    distance = np.abs(scores - thresholds)
    chosen: list[int] = []
    for wanted in (False, True):
        for label in (1, 0):
            group = np.flatnonzero((labels == label) & (right == wanted))
            chosen += group[np.argsort(-distance[group], kind="stable")][:each].tolist()
    return chosen


def make(found: Evaluation, each: int = 2, parameters: int = 0) -> list[CaseShown]:
    """The cases, wrong ones first.

    Args:
        found: the evaluation; the networks of its first repetition are read from disk.
        each: how many of each kind: with and without the finding, right and wrong.
        parameters: of the network; large ones are asked less often.
    """
    from . import training

    chosen = choose(found, each)
    without = [scan for scan in found.scans if scan.label == 0]
    usual = saliency.usual_input([scan.input for scan in without])
    places = _COARSE if parameters > _MANY_PARAMETERS else _FINE
    shown = {}
    for fold in sorted({int(found.network.folds[0, n]) for n in chosen}):
        model = training.trained(run_folder(found.out, TRUE, 0, fold), found.settings, found.options.shape)

        def score(inputs: np.ndarray, model: object = model) -> np.ndarray:
            return training.score(model, inputs)

        for n in chosen:
            if int(found.network.folds[0, n]) == fold:
                shown[n] = draw(_shown(found.scans[n], usual, score, places))
        training.forget()
    network = found.network
    return [
        CaseShown(
            found.scans[n].name, int(network.labels[0, n]), float(network.scores[0, n]),
            float(network.thresholds[0, n]), shown[n],
        )
        for n in chosen
    ]  # fmt: skip


def _shown(scan: PreparedScan, usual: np.ndarray, score: saliency.Score, places: int) -> Shown:
    picture = scan.input()
    heat = saliency.occlusion(picture, usual, score, places)
    return Shown(picture, heat, scan.features()["extent_mm"])

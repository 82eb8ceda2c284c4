"""Evaluations of classifiers with made-up scores."""

from __future__ import annotations

import numpy as np
from LungSegmentLib.classifier import training
from LungSegmentLib.classifier.crossvalidation import Evaluation, Plan
from LungSegmentLib.classifier.inputs import InputOptions
from LungSegmentLib.classifier.prepared import PreparedScan
from LungSegmentLib.classifier.scores import Scored


def made_up(network=1.5, histogram=0.0, header=0.0, shuffled=0.0, patients=80, scans=120, seed=0):
    """An evaluation whose scores are drawn; the numbers tell how far apart the labels are."""
    rng = np.random.default_rng(seed)
    labels = np.tile(np.arange(patients) % 2, (2, 1))
    people = [f"p{n}" for n in range(patients)]
    folds = np.tile(np.arange(patients) // 2 % 5, (2, 1))

    def scored(apart):
        values = 1 / (1 + np.exp(-rng.normal(apart * (labels - 0.5), 1)))
        return Scored(people, labels, values, folds, np.full(labels.shape, 0.5))

    ready = [PreparedScan(f"s{n}", int(labels[0, n]), people[n], None) for n in range(patients)]
    return Evaluation(
        ready, [], scored(network), scored(histogram), scored(header), scored(shuffled), None, Plan(),
        training.Settings(), InputOptions(),
        {"lungs": patients}, scans,
    )  # fmt: skip

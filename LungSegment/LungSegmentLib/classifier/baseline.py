"""Logistic regression on a few numbers of each scan: what a network has to beat, and what must not tell the label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_STRENGTHS = (0.003, 0.03, 0.3, 3.0)
"""Of the regularisation, inverse, as scikit-learn has it; the validation part chooses."""


def histogram_rows(scans: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """(n, bins) of histograms; roots of shares, so that rare values count as well.

    Args:
        scans: from ``PreparedScan.features``.
    """
    return np.sqrt(np.array([scan["histogram"] for scan in scans], dtype=float))


def header_rows(scans: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """(n, columns) of what the headers tell; text becomes a column of 0 and 1 for each word.

    Args:
        scans: from ``PreparedScan.features``.
    """
    from sklearn.feature_extraction import DictVectorizer

    return DictVectorizer(sparse=False).fit_transform([dict(scan["header"]) for scan in scans])


def scores(
    rows: np.ndarray, labels: np.ndarray, train: np.ndarray, validation: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities by logistic regression that learned from the training part.

    Args:
        rows: (n, columns) of all scans.
        labels: (n,) 1 or 0.
        train: indices to learn from.
        validation: indices by which the strength of the regularisation is chosen.
        test: indices to score.

    Returns:
        The probabilities of the validation and of the test part.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    best, lowest = None, np.inf
    for strength in _STRENGTHS:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000))
        model.fit(rows[train], labels[train])
        loss = log_loss(labels[validation], model.predict_proba(rows[validation])[:, 1], labels=[0, 1])
        if loss < lowest:
            best, lowest = model, loss
    return tuple(best.predict_proba(rows[part])[:, 1] for part in (validation, test))

"""Parts of the data that share no patient: folds with about the same share of findings in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from CTVolumeLib.errors import CTError


@dataclass(frozen=True, eq=False)
class Fold:
    """Indices of scans.

    Attributes:
        train: the network learns from these.
        validation: decide when training stops and where the threshold lies.
        test: are scored, and nothing else.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split(labels: Sequence[int], patients: Sequence[str], folds: int, seed: int) -> list[Fold]:
    """Folds of which each is the test part once and the validation part once.

    Args:
        labels: 1 or 0 of each scan.
        patients: of each scan; one patient's scans stay together.
        folds: at least three, so that something is left to learn from.
        seed: of the drawing.

    Raises:
        CTError: ``too_few`` patients for as many folds.
    """
    parts = _parts(labels, patients, folds, seed)
    found = []
    for number in range(folds):
        next_one = (number + 1) % folds
        rest = [part for other, part in enumerate(parts) if other not in (number, next_one)]
        found.append(Fold(np.sort(np.concatenate(rest)), parts[next_one], parts[number]))
        if len(set(np.asarray(labels)[found[-1].train].tolist())) < 2:
            raise _too_few("a part to learn from has one label only")
    return found


def hold_out(labels: Sequence[int], patients: Sequence[str], share: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the scans to learn from and of one part in so many to validate on.

    Raises:
        CTError: ``too_few`` patients.
    """
    parts = _parts(labels, patients, share, seed)
    return np.sort(np.concatenate(parts[1:])), parts[0]


def _parts(labels: Sequence[int], patients: Sequence[str], count: int, seed: int) -> list[np.ndarray]:
    from sklearn.model_selection import StratifiedGroupKFold

    labels = np.asarray(labels)
    least = min(len({patients[n] for n in np.flatnonzero(labels == label)}) for label in (0, 1))
    if least < count:
        raise _too_few(f"{least} patients have one of the labels, for {count} parts")
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    return [test for _, test in splitter.split(np.zeros(len(labels)), labels, np.asarray(patients))]


def _too_few(why: str) -> CTError:
    return CTError("too_few", f"There are too few patients: {why}.", "Add scans or ask for other folds.")

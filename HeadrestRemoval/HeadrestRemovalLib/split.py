"""Which patients train the network and which measure it: decided by a hash, so that it is the same everywhere."""

from __future__ import annotations

import hashlib

FIRST_TRAINING_SEED = 1000
"""Phantoms with this seed or a higher one train or, from the next on, validate; lower ones measure."""
FIRST_VALIDATION_SEED = 1_000_000


def held_out(patient: str) -> bool:
    """Whether a patient is kept for measuring; about four of ten are.

    Args:
        patient: the key that all scans of a patient share.
    """
    return _tenth(patient) < 4


def validates(patient: str) -> bool:
    """Whether a patient only tells when to stop training; about one of six that are not held out."""
    return _tenth(patient) == 4


def _tenth(patient: str) -> int:
    return int(hashlib.sha256(patient.encode()).hexdigest(), 16) % 10

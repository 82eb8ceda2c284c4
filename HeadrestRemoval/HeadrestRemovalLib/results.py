"""What finding equipment gives: the labels, how they were found, and what is to be said about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TOUCHING = "touching"
TRUNCATED = "truncated"
NO_EQUIPMENT = "no_equipment"
UNCERTAIN = "uncertain"
"""Codes of warnings."""


@dataclass(frozen=True, eq=False)
class EquipmentResult:
    """Equipment of a scan.

    Attributes:
        labels: (k, j, i) uint8 on the volume's own grid, numbers as in ``labels``.
        method: "clustering", "network" or "both".
        contact_cm2: area over which patient and equipment touch.
        warnings: pairs of a code and a sentence. ``touching``: equipment may touch the head or body there, so that
            the cut between them is a guess; ``truncated``: the picture cuts the patient; ``no_equipment``: nothing
            was found, nothing is removed; ``uncertain``: something may be patient or equipment and was left.
    """

    labels: np.ndarray
    method: str = "clustering"
    contact_cm2: float = 0.0
    warnings: tuple[tuple[str, str], ...] = ()

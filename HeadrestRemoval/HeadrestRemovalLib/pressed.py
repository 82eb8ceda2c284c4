"""What is pressed on the patient from behind and was taken for the patient: pads and the faces of holders."""

from __future__ import annotations

import numpy as np

from . import faces, pads
from .grid import Factors, Step


def take(labels: np.ndarray, hu: np.ndarray, step: Step, factors: Factors) -> None:
    """Give pads and faces behind the patient to the equipment.

    Args:
        labels: (k, j, i) uint8, slices from the feet to the head, rows from front to back; is changed.
        hu: (k, j, i) the scan.
        step: mm along k, j, i.
        factors: voxels in a cell along k, j, i.
    """
    holder = faces.find(labels, hu, step, factors)
    # No skin ends at a face: the film between a pad and its shell is none between pad and skin.
    faceless = labels.copy()
    faces.take(faceless, hu, step, factors, holder)
    pads.take(labels, hu, step, factors, faceless)
    faces.take(labels, hu, step, factors, holder)

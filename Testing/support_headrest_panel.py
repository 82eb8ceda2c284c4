"""What tests of the panel of Headrest Removal do again and again."""

from __future__ import annotations

import numpy as np


def equipment_of(patient) -> np.ndarray:
    """(k, j, i) truth of the digital patient: 2 headrest, 3 table, 1 patient."""
    labels = np.zeros(patient.volume.array.shape, np.uint8)
    for value, name in ((1, "patient"), (3, "table"), (2, "headrest")):
        labels[patient.masks[name]] = value
    return labels


def answer(monkeypatch, labels, warnings=(), contact_cm2: float = 0.0, steps: int = 5) -> list:
    """Let the algorithm give these labels; the methods that it was asked for."""
    from CTVolumeLib.errors import CTError
    from HeadrestRemovalLib import equipment
    from HeadrestRemovalLib.results import EquipmentResult

    asked = []

    def find(_volume, method="auto", progress=None):
        asked.append(method)
        for done in range(steps):
            if progress is not None and not progress(done, steps, "Looking"):
                raise CTError("cancelled", "Cancelled.", "")
        return EquipmentResult(labels.copy(), "clustering", contact_cm2, tuple(warnings))

    monkeypatch.setattr(equipment, "find", find)
    return asked


def voxels(node) -> np.ndarray:
    """(k, j, i) of a volume node."""
    import slicer.util

    return slicer.util.arrayFromVolume(node)


def composite():
    """Which volumes the red view shows."""
    import slicer

    return slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()

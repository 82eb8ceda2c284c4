"""A small head on a headrest whose truth is known, for tests of files and commands rather than of accuracy."""

from __future__ import annotations

from functools import cache

import numpy as np
from CTVolumeLib.phantom import Phantom, PhantomParameters, make
from CTVolumeLib.volume import CTVolume
from HeadrestRemovalLib.contact import contact_cm2
from HeadrestRemovalLib.labels import HEADREST, PATIENT, TABLE
from HeadrestRemovalLib.results import TOUCHING, EquipmentResult

TOUCHES = (TOUCHING, "The headrest may touch the head.")


@cache
def head() -> Phantom:
    """Vertex to shoulders in coarse voxels, on a curved headrest and a table."""
    return make(PhantomParameters(coverage=(-0.01, 0.17), spacing=(5.0, 5.0, 10.0), headrest="curved", noise=10.0))


def true_labels(phantom: Phantom) -> np.ndarray:
    """(k, j, i) uint8 labels of a phantom, as finding equipment should give them."""
    labels = np.zeros(phantom.volume.array.shape, np.uint8)
    for value, mask in ((PATIENT, "patient"), (HEADREST, "headrest"), (TABLE, "table")):
        labels[phantom.masks[mask]] = value
    return labels


def find_truth(volume: CTVolume, method: str = "auto", progress: object = None) -> EquipmentResult:
    """In place of ``equipment.find`` for ``head()`` in any storage order: the truth, and at once."""
    axial = volume.as_axial()
    labels = np.zeros(volume.array.shape, np.uint8)
    target = volume.with_array(labels).as_axial().array
    truth = true_labels(head())
    assert axial.array.shape == truth.shape
    target[...] = truth
    return EquipmentResult(
        labels, "clustering" if method == "auto" else method, contact_cm2(volume, labels), (TOUCHES,)
    )

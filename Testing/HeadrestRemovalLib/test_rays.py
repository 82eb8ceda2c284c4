"""How deep voxels lie beneath the outer face."""

from __future__ import annotations

import numpy as np
import pytest
from HeadrestRemovalLib import rays
from HeadrestRemovalLib.labels import PATIENT

STEP = (3.0, 2.0, 2.0)


@pytest.mark.parametrize("slope", [0.0, 0.4, 1.0])
def test_the_outer_face_is_known_between_the_voxels(slope):
    """A voxel's own place is off by half of it; the blurred edge tells where the face of a slanted wall lies."""
    _, j, i = np.mgrid[:6, :30, :30].astype(float)
    depth = (2 * (j - 9.3) - slope * 2 * (i - 15)) / np.hypot(1, slope)  # mm beneath a third of the wall's density
    hu = (-1000 + 1000 * np.clip(depth / 2 + 0.35, 0, 1)).astype(np.int16)
    labels = np.where(hu > -650, PATIENT, 0).astype(np.uint8)
    where = np.nonzero((labels == PATIENT) & (np.abs(i - 15) < 6) & (np.abs(j - 10) < 8))
    zero = np.zeros(len(where[0]))
    box = (slice(0, 6), slice(0, 30), slice(0, 30))
    near = rays.Voxels(box, where, np.stack(where, axis=1), zero.astype(int), zero, zero == 0)
    deep = rays.below_face(labels, hu, near, STEP, 5.0)
    true = depth[where]
    assert np.abs(deep - true)[true < 4].max() < 0.5  # a quarter of a voxel
    assert np.all(np.isinf(deep[true > 5.5]))


def test_what_is_as_faint_as_air_lies_nowhere():
    hu = np.full((4, 8, 8), -900, np.int16)
    where = np.nonzero(hu < 0)
    zero = np.zeros(hu.size)
    near = rays.Voxels(
        (slice(0, 4),) + (slice(0, 8),) * 2, where, np.stack(where, 1), zero.astype(int), zero, zero == 0
    )
    assert np.all(np.isinf(rays.below_face(np.full(hu.shape, PATIENT, np.uint8), hu, near, STEP, 5.0)))

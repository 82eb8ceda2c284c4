"""The round field of view, whole, cut off centre, and what only looks like one."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib import volumefile
from HeadrestRemovalLib import body, cluster, field
from HeadrestRemovalLib.labels import PATIENT
from support_trunk import cells_from

SPACING = (2.0, 2.0, 3.0)
MUSCLE, LUNG = 50, -850


def round_field(lung_columns: tuple[int, int] = (0, 0)) -> tuple[np.ndarray, np.ndarray]:
    """HU of a trunk in a round field that cuts it, with a lung in some columns, and (j, i) bool: beyond the field."""
    hu = np.full((20, 100, 100), -1000)
    j, i = np.mgrid[:100, :100]
    hu[:, np.hypot((j - 50) / 0.8, i - 49.5) < 52] = MUSCLE
    hu[:, np.hypot(j - 50, i - np.mean(lung_columns)) < np.ptp(lung_columns) / 2] = LUNG
    beyond = np.hypot(j - 49.5, i - 49.5) > 49.5
    hu[:, beyond] = -1024
    return hu, beyond


@pytest.mark.parametrize("cut", [(0, 100, 0, 100), (0, 90, 0, 94), (12, 100, 0, 80), (8, 92, 0, 100)])
def test_it_is_found_wherever_the_picture_is_cut(cut):
    hu, beyond = round_field()
    box = (slice(*cut[:2]), slice(*cut[2:]))
    found = field.outside(cells_from(hu[:, *box], SPACING))
    assert np.mean(found[beyond[box]]) > 0.95
    assert not (found & ~beyond[box]).any()


@pytest.mark.parametrize(("columns", "within"), [((30, 70), True), ((0, 70), False)])
def test_a_picture_within_the_patient_shows_no_air_along_its_edge(columns, within):
    hu, _ = round_field((40, 75))
    cells = cells_from(hu[:, 25:75, slice(*columns)], SPACING)
    assert field.is_within(cells, field.outside(cells)) == within


def test_the_front_of_a_chest_is_none():
    """A picture of the front half of a body that others cut out of its background."""
    hu = np.full((20, 60, 120), -1024)
    j, i = np.mgrid[:60, :120]
    hu[:, np.hypot(j - 60, i - 59.5) < 52] = MUSCLE
    assert not field.outside(cells_from(hu, SPACING)).any()


@pytest.mark.parametrize("air", [-1000, -1024])
def test_a_cropped_patient_makes_no_round_field(air):
    """Around it all is as low as beyond a round field, so that its farthest elbow looks like the rim of one."""
    hu = np.full((20, 100, 100), -1024)
    j, i = np.mgrid[:100, :100]
    hu[:, np.hypot(j - 49.5, i - 49.5) < 46] = air
    hu[:, ((j - 49.5) / 0.6) ** 2 + (i - 49.5) ** 2 < 38**2] = MUSCLE
    cells = cells_from(hu, SPACING)
    assert field.outside(cells).any() == (air > -1024)
    assert not body.find(cells, -300).cut


@pytest.mark.realct
def test_a_lung_at_its_rim_stays_where_the_picture_is_cut(ct_data):
    volume = volumefile.read(ct_data / "vol" / "ch05.nii.gz")
    before = cluster.label(volume).labels
    j, i = (np.flatnonzero((before == PATIENT).any(axis=axes)) for axes in ((0, 2), (0, 1)))
    box = (slice(j[0], j[-1] + 1), slice(i[0], i[-1] + 1))
    labels = cluster.label(volume.crop(j=box[0], i=box[1])).labels
    lost = (before[:, *box] == PATIENT) & (labels > PATIENT)
    assert np.count_nonzero(lost) * np.prod(volume.spacing) / 1000 < 40  # a lung has 400

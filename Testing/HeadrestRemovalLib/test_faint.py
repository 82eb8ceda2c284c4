"""Foam and hair beside a head: both are faint, and foam is smooth."""

from __future__ import annotations

import numpy as np
import pytest
import support_headrests
from HeadrestRemovalLib import evaluation, evaluation_cases, evaluation_patients, faint
from HeadrestRemovalLib.body import Body
from support_trunk import cells_from

SHAPE, SPACING = (40, 60, 60), (3.0, 3.0, 3.0)


@pytest.mark.parametrize("smooth", [True, False])
def test_foam_that_lies_alone_against_the_neck_is_equipment_and_hair_is_not(smooth):
    j, i = np.mgrid[: SHAPE[1], : SHAPE[2]]
    neck = np.repeat((np.hypot(j - 25, i - 30) < 15)[None], SHAPE[0], 0)
    random = np.random.default_rng(5)
    hu = random.normal(-1000, 8, SHAPE)
    lump = np.zeros(SHAPE, bool)
    lump[12:28, 36:44, 18:30] = True  # no farther off than hair, and in too few slices to be steady
    lump &= ~neck
    hu[lump] = random.normal(-900, 8 if smooth else 90, SHAPE)[lump]
    hu[neck] = 40
    head, none = np.ones(SHAPE[0], bool), np.zeros(SHAPE, bool)
    body = Body(neck, neck, none, head, ~head, none[0], False)
    found = faint.find(cells_from(hu, SPACING), body)
    inner = lump & (j > 38)[None]
    inner[[12, 27]] = False
    own, other = (found.mask, found.hair) if smooth else (found.hair, found.mask)
    assert own[inner].mean() > 0.8
    assert other[inner].mean() < 0.05


@pytest.mark.realct
@pytest.mark.parametrize(("name", "least_ml"), [("hn96", 100), ("hn333", 170)])
def test_foam_beside_real_necks_goes(ct_data, name, least_ml):
    """Half of it used to stay as hair."""
    assert support_headrests.removed_ml(ct_data / "vol" / f"{name}.nii.gz", -940, -860) > least_ml


@pytest.mark.slow
def test_short_hair_on_fine_pixels_stays():
    """Hair of 4 mm was just too thin to be seen as hair, so that all of it went with the holder, 150 mL."""
    case = evaluation_cases.make(evaluation_patients.phantom_head(802, spacing=(1.0, 1.0, 3.0)), "gap 2 mm", 2)
    row = evaluation.run(case, evaluation.CLUSTERING)
    assert row.lost_all_ml < 30
    assert row.left_seen_percent < 1

"""Pads as dense as tissue that are pressed against the skin."""

from __future__ import annotations

import numpy as np
import pytest
import support_headrests
from HeadrestRemovalLib import cluster, evaluation, evaluation_cases, pads
from HeadrestRemovalLib.labels import HEADREST, PATIENT

STEP = (4.0, 2.0, 2.0)
FACTORS = (1, 1, 1)
NOISE_HU = 8.0


def back_with_a_pad(pad_hu=60.0, halves=(9, 18), thick=16.0, grain=NOISE_HU, bump=0.0):
    """A cylinder of tissue on a board with a pad between them; the skin beneath the pad bulges by ``bump`` mm.

    Returns:
        HU, labels as clustering leaves them (the pad is the patient's) and what is pad.
    """
    k, j, i = np.ogrid[:40, :90, :100]
    rng = np.random.default_rng(0)
    depth = 60 - np.hypot((j - 35) * STEP[1], (i - 50) * STEP[2]) + 0 * k  # mm within the skin
    inner = np.maximum(np.abs(k - 20) / halves[0], np.abs(i - 50) / halves[1])
    depth = depth + bump * np.clip(2 - 2 * inner, 0, 1) * (j > 40)
    share = np.clip(depth / STEP[1] + 0.5, 0, 1)
    hu, body = -1000 + 1030 * share, depth > 0
    board = (j >= 72) & (j < 78) & (i > 10) & (i < 90) & (k >= 0)
    pad = (np.abs(k - 20) <= halves[0]) & (np.abs(i - 50) <= halves[1]) & (j > 40) & (j < 72) & ~body
    pad &= j * STEP[1] > 72 * STEP[1] - thick
    hu = np.where(pad & (depth < -STEP[1] / 2), pad_hu, np.where(board, 150.0, hu))
    hu = np.where(pad & (depth >= -STEP[1] / 2), pad_hu * 0.5 + 15, hu)
    hu = np.where(body & pad.any(axis=1, keepdims=True) & (j > 40), 30 * share + pad_hu * (1 - share), hu)
    hu = hu + grain * rng.standard_normal(hu.shape)
    labels = np.where(body | pad, PATIENT, np.where(board, HEADREST, 0)).astype(np.uint8)
    return hu.astype(np.int16), labels, pad


@pytest.mark.parametrize("pad_hu", [-80.0, 30.0, 110.0])
def test_a_pad_goes_and_the_skin_beneath_it_stays(pad_hu):
    hu, labels, pad = back_with_a_pad(pad_hu)
    patient = (labels == PATIENT) & ~pad
    pads.take(labels, hu, STEP, FACTORS)
    assert np.mean(labels[pad] == HEADREST) > 0.85
    assert (labels[patient] == PATIENT).all()


@pytest.mark.parametrize("bump", [-4.0, 4.0])
def test_a_pad_of_another_density_than_skin_tells_where_it_ends(bump):
    """There the skin around tells less."""
    hu, labels, pad = back_with_a_pad(120.0, thick=22.0, bump=bump)
    patient = (labels == PATIENT) & ~pad & (hu > -300)
    pads.take(labels, hu, STEP, FACTORS)
    assert np.mean(labels[pad] == HEADREST) > 0.9
    assert np.count_nonzero(labels[patient] != PATIENT) * np.prod(STEP) / 1000 < 0.1


def test_what_hung_on_the_body_by_the_pad_alone_goes_with_it():
    hu, labels, _ = back_with_a_pad()
    labels[10:30, 72:78, 38:62] = PATIENT  # part of the board
    pads.take(labels, hu, STEP, FACTORS)
    assert np.mean(labels[10:30, 72:78, 38:62] == HEADREST) > 0.95


def test_what_is_of_several_materials_is_no_pad():
    hu, labels, pad = back_with_a_pad()
    rng = np.random.default_rng(1)
    hu[pad] = rng.choice([-100, 60, 300], pad.sum())
    before = labels.copy()
    pads.take(labels, hu, STEP, FACTORS)
    assert np.array_equal(labels, before)


def test_a_back_that_lies_on_a_table_in_full_stays():
    k, j, i = np.ogrid[:40, :90, :100]
    body = ((j - 35) / 33) ** 2 + ((i - 50) / 45) ** 2 + 0 * k < 1
    body &= j < 60  # pressed flat
    table = (j >= 60) & (j < 66) & (i >= 0) & (k >= 0)
    hu = np.where(body, 20, np.where(table, 100, -1000)).astype(np.int16)
    labels = np.where(body, PATIENT, np.where(table, HEADREST, 0)).astype(np.uint8)
    before = labels.copy()
    pads.take(labels, hu, STEP, FACTORS)
    assert np.array_equal(labels, before)


def test_nothing_is_done_without_equipment_or_patient():
    for value in (0, PATIENT, HEADREST):
        labels = np.full((5, 8, 6), value, np.uint8)
        pads.take(labels, np.full(labels.shape, 40, np.int16), (3.0, 1.0, 1.0), (2, 2, 2))
        assert (labels == value).all()


def test_no_values_are_no_error():
    hu, labels, pad = back_with_a_pad()
    hu = np.where(hu < -900, np.nan, hu).astype(np.float32)
    pads.take(labels, hu, STEP, FACTORS)
    assert np.mean(labels[pad] == HEADREST) > 0.85


@pytest.mark.parametrize(
    ("kind", "number", "seed", "left"), [("contact 60 cm2", 2, 905, 3.0), ("contact 30 cm2", 1, 900, 1.0)]
)
def test_a_head_pressed_on_its_holder(kind, number, seed, left):
    case = support_headrests.case(kind, number, seed=seed)
    result = cluster.label(case.volume)
    row = evaluation.compare(case, evaluation.CLUSTERING, result.labels)
    assert row.left_seen_percent <= left
    assert row.lost_ml <= 0.5
    assert "touching" in [code for code, _ in result.warnings]


@pytest.mark.slow
def test_a_head_on_fine_pixels_keeps_its_skull_and_brain():
    """The whole back of the head seemed to touch the holder, so that the skin was thought to run through the brain."""
    patient = evaluation_cases.phantom_head(907, spacing=(1.0, 1.0, 2.0))
    case = evaluation_cases.make(patient, "gap 3 mm", 0)
    row = evaluation.run(case, evaluation.CLUSTERING)
    assert row.lost_ml < 0.5
    assert row.left_seen_percent < 1

"""Pads as dense as tissue that are pressed against the skin."""

from __future__ import annotations

import numpy as np
import pytest
import support_headrests
from CTVolumeLib import dicom
from HeadrestRemovalLib import cluster, evaluation, evaluation_cases, evaluation_patients, pads
from HeadrestRemovalLib.evaluation_equipment import Scene
from HeadrestRemovalLib.labels import BACKGROUND, HEADREST, PATIENT, TABLE
from scipy import ndimage

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


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("pad_hu", [30.0, 110.0])
def test_a_small_bump_stays_where_a_gap_is_behind_it(pad_hu, free):
    """Nothing but its shape tells such a bump from a pad, and a pad lies on something."""
    hu, labels, pad = back_with_a_pad(pad_hu, halves=(4, 10), thick=24.0)
    if free:
        hu[:, 71], labels[:, 71] = -1000, BACKGROUND
    before = labels.copy()
    pads.take(labels, hu, STEP, FACTORS)
    assert np.array_equal(labels, before) if free else np.mean(labels[pad] == HEADREST) > 0.8


@pytest.mark.parametrize(("weight", "noise"), [(1.2, 0.0), (0.0, 80.0)])
def test_a_pad_goes_in_sharp_and_in_noisy_scans(weight, noise):
    """A sharp kernel makes the edges of plastic as dense as bone, and noise one material look like several."""
    hu, labels, pad = back_with_a_pad(130.0)
    patient = (labels == PATIENT) & ~pad & (hu > -300)
    hu = hu + weight * (hu - ndimage.gaussian_filter(hu.astype(float), (0, 1, 1)))
    hu = hu + noise * np.random.default_rng(1).standard_normal(hu.shape)
    pads.take(labels, hu.astype(np.int16), STEP, FACTORS)
    assert np.mean(labels[pad] == HEADREST) > 0.85
    assert np.count_nonzero(labels[patient] != PATIENT) * np.prod(STEP) / 1000 < 0.5


def test_no_seam_lies_deep_beneath_a_narrow_pad():
    """A dark layer within the flesh was followed beneath what is pressed on it."""
    hu, labels, pad = back_with_a_pad(30.0, halves=(5, 10), thick=24.0)
    depth = 60 - np.hypot((np.arange(90)[:, None] - 35) * STEP[1], (np.arange(100) - 50) * STEP[2])
    hu[:, (depth > 8) & (depth < 10)] = -400
    patient = (labels == PATIENT) & ~pad & (hu > -300)
    pads.take(labels, hu, STEP, FACTORS)
    assert np.count_nonzero(labels[patient] != PATIENT) * np.prod(STEP) / 1000 < 0.5


def test_of_a_pad_fainter_than_fat_nothing_denser_goes():
    hu, labels, pad = back_with_a_pad(-300.0)
    patient = (labels == PATIENT) & ~pad & (hu > -180)
    pads.take(labels, hu, STEP, FACTORS)
    assert np.mean(labels[pad] == HEADREST) > 0.95
    assert (labels[patient] == PATIENT).all()


def test_what_hung_on_the_body_by_the_pad_alone_goes_with_it():
    hu, labels, _ = back_with_a_pad()
    labels[10:30, 72:78, 38:62] = PATIENT  # part of the board
    pads.take(labels, hu, STEP, FACTORS)
    assert np.mean(labels[10:30, 72:78, 38:62] == HEADREST) > 0.95


def test_of_large_parts_that_hung_on_it_those_that_are_thin_go():
    """A holder's wing is thin, an arm isn't."""
    for rows, goes in ((6, True), (30, False)):
        hu, labels, _ = back_with_a_pad()
        hu, labels = (
            np.pad(one, ((0, 0), (0, 30), (0, 0)), constant_values=low) for one, low in ((hu, -1000), (labels, 0))
        )
        part = np.zeros(labels.shape, bool)
        part[2:38, 72 : 72 + rows, 12:88] = True
        labels[part], hu[part] = PATIENT, 60
        labels[10:30, 72 + rows : 75 + rows, 38:62], hu[10:30, 72 + rows : 75 + rows, 38:62] = HEADREST, 150
        pads.take(labels, hu, STEP, FACTORS)
        gone = np.mean(labels[part] == HEADREST)
        assert gone > 0.95 if goes else gone < 0.2


def test_beside_a_pad_beneath_the_back_no_edge_of_a_lung_is_its_seam():
    patient = evaluation_patients.phantom_body(2050)
    scene = Scene(patient)
    evaluation_cases.BODY_KINDS["table, contact"](scene, 0)
    z = np.percentile(scene.z, 30)
    behind = scene.back[np.abs(scene.z[:, 0, 0] - z).argmin()]
    back = behind[np.isfinite(behind)].max()
    away = np.sqrt((scene.x / 90) ** 2 + ((scene.y - back) / 12) ** 2 + ((scene.z - z) / 50) ** 2)
    scene.paint(30 * (away - 1), -60, TABLE)
    volume, truth, _ = scene.finish()
    labels = cluster.label(volume).labels
    tissue = (truth == PATIENT) & (volume.array > -300)
    assert np.count_nonzero(tissue & (labels > PATIENT)) * np.prod(volume.spacing) / 1000 < 1
    equipment = (truth > PATIENT) & (volume.array > -900)
    assert (labels[equipment] > PATIENT).mean() > 0.99


def test_what_is_of_several_materials_is_no_pad():
    hu, labels, pad = back_with_a_pad()
    k, _, i = np.nonzero(pad)
    hu[pad] = np.array([-100, 60, 300])[(k // 4 + i // 6) % 3]
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


def table_pressed_on_a_back(film, lung=False, unseen=0):
    """A broad back, the free part of which shows around what fills the room to the table beneath it, over 200 cm2.

    Where ``film``, every third column shows a dark voxel between them, but in so many unseen ones at each side of the
    middle; where ``lung``, the lung is thinly covered.

    Returns:
        HU, labels as clustering leaves them (what fills the room is the patient's) and what fills it.
    """
    k, j, i = np.ogrid[:60, :70, :140]
    depth = 160 - np.hypot(j * STEP[1] + 60, (i - 70) * STEP[2]) + 0 * k  # mm within the skin, which ends at 100 mm
    body = depth > 0
    table = (j >= 52) & (j < 58) & (i >= 0) & (k >= 0)
    pad = (np.abs(k - 30) <= 22) & (np.abs(i - 70) <= 30) & (j < 52) & ~body
    hu = np.where(body, -80.0, np.where(pad | table, -80.0, -1000.0))
    hu = hu + NOISE_HU * np.random.default_rng(0).standard_normal(hu.shape)
    last = body & ~np.roll(body, -1, axis=1)
    hu[last & pad.any(axis=1, keepdims=True) & ((i + k) % 3 == 0) & (np.abs(i - 70) >= unseen) & film] = -400
    if lung:
        hu[depth > 14] = -850 + 40 * np.random.default_rng(1).standard_normal(np.count_nonzero(depth > 14))
    labels = np.where(body | pad, PATIENT, np.where(table, HEADREST, 0)).astype(np.uint8)
    return hu.astype(np.int16), labels, pad


@pytest.mark.parametrize("lung", [False, True])
def test_what_is_large_goes_where_its_seam_shows(lung):
    hu, labels, pad = table_pressed_on_a_back(True, lung)
    patient = (labels == PATIENT) & ~pad
    pads.take(labels, hu, STEP, FACTORS)
    assert np.mean(labels[pad] == HEADREST) > 0.97
    lost_mm = np.count_nonzero(labels[patient] != PATIENT) * STEP[1] / np.count_nonzero(pad.any(axis=1))
    assert lost_mm < 0.3  # whole voxels at the skin, which the plate cuts


@pytest.mark.parametrize("lung", [False, True])
def test_what_is_large_stays_where_no_seam_shows(lung):
    """The edge of the lung is dark, too."""
    hu, labels, _ = table_pressed_on_a_back(False, lung)
    before = labels.copy()
    pads.take(labels, hu, STEP, FACTORS)
    assert np.array_equal(labels, before)


@pytest.mark.parametrize(("unseen", "goes"), [(14, True), (24, False)])
def test_between_places_where_the_seam_shows_a_pad_goes(unseen, goes):
    hu, labels, pad = table_pressed_on_a_back(True, unseen=unseen)
    middle = pad & (np.abs(np.arange(140) - 70) < 5)
    patient = (labels == PATIENT) & ~pad & middle.any(axis=1, keepdims=True)
    pads.take(labels, hu, STEP, FACTORS)
    gone = np.mean(labels[middle] == HEADREST)
    assert gone > 0.8 if goes else gone < 0.2
    assert (labels[patient] == PATIENT).all()


def test_where_the_face_of_a_holder_is_known_no_seam_is_looked_for(monkeypatch):
    hu, labels, _ = back_with_a_pad()
    faceless = np.where(np.arange(90)[:, None] < 70, labels, HEADREST)
    seen = []
    monkeypatch.setattr(pads.beneath, "find", lambda back, patch, columns, step_mm: seen.append(columns()))
    pads.take(labels, hu, STEP, FACTORS, faceless)
    _, own, bare = seen[0]
    assert np.array_equal(own[:, :70], bare[:, :70])
    assert own[:, 70:].any()
    assert not bare[:, 70:].any()


def test_foam_behind_a_pad_goes_with_it():
    hu, labels, pad = back_with_a_pad()
    foam = np.zeros(pad.shape, bool)
    foam[:, 78:81, 20:80] = True
    hu[foam] = -860
    pads.take(labels, hu, STEP, FACTORS)
    assert (labels[foam] == 0).all()  # behind the board, which was no patient
    hu, labels, pad = back_with_a_pad()
    hu[foam] = -860
    labels[10:30, 72:78, 38:62] = PATIENT  # the board was taken for the patient
    pads.take(labels, hu, STEP, FACTORS)
    assert np.mean(labels[12:28, 78:81, 40:60] == HEADREST) > 0.95


@pytest.mark.slow
@pytest.mark.realct
@pytest.mark.parametrize("name", ["hn155", "hn322"])
def test_necks_and_ears_on_their_supports_stay(ct_data, name, monkeypatch):
    """They fall away at the sides, where the plate says little: up to 60 mL were taken for pads."""
    taken = []

    def watched(labels, hu, step, factors, faceless):
        before = labels.copy()
        take(labels, hu, step, factors, faceless)
        taken.append(np.count_nonzero((before == PATIENT) & (labels > PATIENT) & (hu > -300)) * np.prod(step) / 1000)

    take = pads.take
    monkeypatch.setattr(pads, "take", watched)
    cluster.label(dicom.read(ct_data / "vol" / f"{name}.nii.gz"))
    assert taken[0] < 0.5


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
    ("kind", "number", "seed", "left"), [("contact 60 cm2", 2, 905, 1.0), ("contact 30 cm2", 1, 900, 1.0)]
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
    patient = evaluation_patients.phantom_head(907, spacing=(1.0, 1.0, 2.0))
    case = evaluation_cases.make(patient, "gap 3 mm", 0)
    row = evaluation.run(case, evaluation.CLUSTERING)
    assert row.lost_ml < 0.5
    assert row.left_seen_percent < 1

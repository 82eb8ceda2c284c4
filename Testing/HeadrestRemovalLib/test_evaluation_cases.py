"""Tests of the cases whose truth is known: is what they claim there?"""

from __future__ import annotations

import collections

import numpy as np
import pytest
import support_headrests
from HeadrestRemovalLib import evaluation_cases, evaluation_kernels, evaluation_patients, evaluation_supports, split
from HeadrestRemovalLib.contact import contact_cm2
from HeadrestRemovalLib.evaluation_equipment import Scene
from HeadrestRemovalLib.labels import BACKGROUND, HEADREST, OTHER, PATIENT, TABLE
from scipy import ndimage


def distance_mm(case) -> float:
    """The smallest distance of equipment from the patient."""
    steps = case.volume.spacing[::-1]
    return float(ndimage.distance_transform_edt(case.truth != PATIENT, steps)[case.truth > PATIENT].min())


@pytest.mark.parametrize("number", range(4))
def test_a_headrest_that_does_not_touch_is_apart(number):
    case = support_headrests.case("not touching", number)
    assert (case.truth == HEADREST).sum() > 1000
    assert 2 < distance_mm(case) <= 10


@pytest.mark.parametrize(("kind", "cm2"), evaluation_cases.CONTACT.items())
def test_a_headrest_touches_over_the_wanted_area(kind, cm2):
    case = support_headrests.case(kind, 1)
    assert contact_cm2(case.volume, case.truth) == pytest.approx(cm2, rel=0.35, abs=4)


@pytest.mark.parametrize("kind", evaluation_cases.HEAD_KINDS)
def test_every_class_has_the_equipment_that_it_is_named_for(kind):
    case = support_headrests.case(kind)
    there = {value for value in (HEADREST, TABLE, OTHER) if (case.truth == value).any()}
    wanted = {
        "no equipment": set(), "stereotactic frame": {OTHER}, "straps": {HEADREST, OTHER},
        "mask and frame": {HEADREST, OTHER},
    }.get(kind, {HEADREST})  # fmt: skip
    assert there == wanted
    assert not (case.rim & (case.truth != BACKGROUND)).any()


@pytest.mark.parametrize("kind", evaluation_supports.KINDS)
def test_a_support_touches_the_head_and_holds_more_than_a_plate(kind):
    case = support_headrests.case(kind)
    wanted = {
        "cervical collar": {HEADREST, OTHER},
        "head blocks": {HEADREST, TABLE},
        "flat couch": {HEADREST, TABLE},
        "sandbags": {TABLE, OTHER},
        "ice pack": {HEADREST, OTHER},
        "thick straps": {HEADREST, OTHER},
    }.get(kind, {HEADREST})
    assert {value for value in (HEADREST, TABLE, OTHER) if (case.truth == value).any()} == wanted
    assert contact_cm2(case.volume, case.truth) > 1
    assert (case.truth > PATIENT).sum() * np.prod(case.volume.spacing) / 1000 > 80
    assert not (case.rim & (case.truth != BACKGROUND)).any()


def test_the_patient_is_not_changed_by_equipment():
    patient, case = support_headrests.head(), support_headrests.case("vacuum cushion")
    inside = ndimage.binary_erosion(patient.mask, np.ones((1, 3, 3), bool))
    assert (case.volume.array[inside] == patient.volume.array[inside]).all()
    assert (case.truth[patient.mask] == PATIENT).all()
    before = patient.volume.array[~patient.mask & (case.truth == HEADREST)]
    assert (before < -300).mean() > 0.98, "there was air, and some of the skin's blurred edge"


def test_equipment_has_the_density_that_it_was_drawn_with():
    case = support_headrests.case("not touching", 3)
    core = ndimage.binary_erosion(case.truth == HEADREST, np.ones((1, 1, 3), bool))
    assert np.percentile(case.volume.array[core], 90) > 60, "hard plastic"
    assert abs(np.median(case.volume.array[(case.truth == BACKGROUND) & ~case.rim]) + 1000) < 20


def test_all_cases_have_names_of_their_own():
    makers = evaluation_cases.phantom_cases()
    small = [maker for maker in makers if maker.args and maker.args[0] in (961, 963)] + makers[:2]
    assert len(makers) > 45
    assert len({maker().name for maker in small}) == len(small)


def test_each_class_is_drawn_on_fine_pixels_by_every_kernel_in_turn():
    makers = evaluation_cases.fine_cases(None)
    assert len(makers) == 4 * len(evaluation_cases.HEAD_KINDS)
    turns = collections.defaultdict(list)
    for maker in makers:
        phantom, kernel, _ = maker.args
        turns[phantom.args[1]].append(kernel)
    assert all(sorted(each) == sorted(evaluation_kernels.KERNELS) for each in turns.values())
    case = next(maker for maker in makers if maker.args[1] == "soft")()
    assert case.volume.spacing[:2] == (1.0, 1.0)
    assert case.name.endswith(", 1 mm, soft")
    assert case.kind.endswith(evaluation_cases.FINE)
    beside = ndimage.binary_dilation(case.truth > PATIENT, np.ones((1, 3, 3), bool), 2)
    assert case.rim[beside & (case.truth == BACKGROUND)].all(), "the edge is blurred over more pixels"


def test_kernels_sharpen_smooth_and_add_noise_and_leave_the_mean():
    case = support_headrests.case("not touching", 3)
    plain = case.volume.array[:, 40:80, 40:80].astype(float)
    tissue = plain > -100  # air is cut off at -1024
    edge, spread = {}, {}
    for kernel in evaluation_kernels.KERNELS:
        array = evaluation_kernels.by(case.volume, kernel).array[:, 40:80, 40:80].astype(float)
        edge[kernel] = np.abs(np.diff(array, axis=2)).max()
        spread[kernel] = np.std((array - plain)[tissue])
        assert np.median(array[tissue]) == pytest.approx(np.median(plain[tissue]), abs=6)
    assert edge["soft"] < edge["plain"] < edge["sharp"]
    assert spread["plain"] == 0
    assert spread["noisy"] == pytest.approx(25, abs=3)
    with pytest.raises(ValueError, match="no kernel"):
        evaluation_kernels.by(case.volume, "bony")


def test_people_on_whom_nothing_was_set_are_others_and_those_the_network_is_measured_on_did_not_train_it():
    first, more, fresh = (
        [[arg for arg in maker.args if isinstance(arg, int) and arg >= 100] for maker in makers]
        for makers in map(evaluation_cases.phantom_cases, (900, 800, 700))
    )
    assert [[seed + 100 for seed in seeds] for seeds in more] == first
    assert [[seed + 200 for seed in seeds] for seeds in fresh] == first
    assert all(len(seeds) == 1 and seeds[0] < split.FIRST_TRAINING_SEED for seeds in first)
    known = [*evaluation_cases.HEADS, *evaluation_cases.MORE_HEADS]
    heads = evaluation_cases.FRESH_HEADS
    assert len({*known, *heads}) == len(known) + len(heads)
    assert all(map(split.held_out, known))
    assert all(map(evaluation_cases.is_fresh, [*heads, *(f"phantom {seed}" for (seed,) in fresh)]))
    assert not any(map(evaluation_cases.is_fresh, [*known, *(f"phantom {seed}" for (seed,) in first + more)]))


def test_a_prone_patient_lies_on_the_face():
    truth = evaluation_cases._prone(902).truth
    rows = {value: np.nonzero(truth == value)[1].mean() for value in (PATIENT, HEADREST)}
    assert rows[HEADREST] < rows[PATIENT], "the cushion lies in front"


def test_a_scene_measures_the_head_it_draws_about():
    scene = Scene(support_headrests.head())
    left, right, front, back, low, high = scene.head_box()
    assert 120 < right - left < 190
    assert 160 < back - front < 240
    assert high > low


@pytest.mark.realct
@pytest.mark.slow
def test_real_heads_end_at_the_skin(ct_data):
    patient = evaluation_patients.real_head(ct_data, "hn12")
    assert (patient.volume.array[~patient.mask] < -200).mean() > 0.99
    assert np.median(patient.volume.array[patient.mask]) > -200
    assert patient.head.stop - patient.head.start > 10

"""Faces of stiff holders that were taken for the patient who lies against them."""

from __future__ import annotations

import numpy as np
import pytest
from HeadrestRemovalLib import faces
from HeadrestRemovalLib.labels import HEADREST, PATIENT

STEP = (3.0, 2.0, 2.0)
FACTORS = (1, 1, 1)
CONTACT = slice(18, 26)


def head_on_a_shell(lean=0.0, shell_hu=110.0, face=1, everywhere=False):
    """A head whose skin lies on a shell over some slices, and clear of it elsewhere.

    Args:
        lean: rows by which the shell moves from slice to slice.
        shell_hu: of the shell.
        face: rows of the shell that are labelled as patient where it is touched.
        everywhere: whether it touches in all slices.

    Returns:
        HU, labels and what is shell.
    """
    k, j, i = np.ogrid[:44, :60, :40]
    touching = (k >= CONTACT.start) & (k < CONTACT.stop) | everywhere
    top = 40 + np.rint(lean * (k - 22)).astype(int)
    middle = np.abs(i - 20) < 8
    body = (j < np.where(touching & middle, top, top - 6)) & (j > 5) & (np.abs(i - 20) < 15)
    shell = (j >= top) & (j < top + 3) & (i >= 0)
    hu = np.where(body, 40.0, np.where(shell, shell_hu, -1000.0))
    hu = hu + 10 * np.random.default_rng(0).standard_normal(hu.shape)
    taken = shell & touching & middle & (j < top + face)
    return hu.astype(np.int16), np.where(body | taken, PATIENT, np.where(shell, HEADREST, 0)).astype(np.uint8), shell


@pytest.mark.parametrize("lean", [0.0, 0.4])
@pytest.mark.parametrize("face", [1, 2])
def test_the_face_goes_and_the_skin_on_it_stays(face, lean):
    hu, labels, shell = head_on_a_shell(lean, face=face)
    patient = (labels == PATIENT) & ~shell
    faces.take(labels, hu, STEP, FACTORS)
    assert (labels[shell] == HEADREST).all()
    assert (labels[patient] == PATIENT).all()


def test_a_blurred_face_that_holds_skin_instead_of_air_goes():
    hu, labels, shell = head_on_a_shell()
    first = shell & ~np.roll(shell, 1, axis=1)
    hu[first] = -420
    hu[first & (labels == PATIENT)] = 80
    faces.take(labels, hu, STEP, FACTORS)
    assert (labels[shell] == HEADREST).all()


def test_skin_pressed_into_foam_stays():
    """Foam is where the head is not."""
    hu, labels, _ = head_on_a_shell(shell_hu=-850.0)
    hu[CONTACT] = np.where((labels == PATIENT)[CONTACT], 40, hu[CONTACT])  # the head sinks in by a row
    before = labels.copy()
    faces.take(labels, hu, STEP, FACTORS)
    assert np.array_equal(labels, before)


def on_foam(shell_hu, empty=0):
    """The shell lies on foam, and all of it is labelled as patient where it is touched; HU, labels and what is shell.

    Where some are given, so many empty slices part those that touch from those that are free.
    """
    hu, labels, shell = head_on_a_shell(shell_hu=shell_hu, face=3)
    foam = np.roll(shell, 3, axis=1)
    hu[foam], labels[foam] = -860, HEADREST
    if empty:
        between = (np.full((empty, *hu.shape[1:]), value, hu.dtype) for value in (-1000, 0, 0))
        free, touched = slice(0, CONTACT.start), slice(*CONTACT.indices(len(hu)))
        hu, labels, shell = (
            np.concatenate([one[free], gap.astype(one.dtype), one[touched]])
            for one, gap in zip((hu, labels, shell), between)
        )
    return hu, labels, shell


def test_a_shell_on_foam_goes():
    hu, labels, shell = on_foam(110.0)
    patient = (labels == PATIENT) & ~shell
    faces.take(labels, hu, STEP, FACTORS)
    assert (labels[shell] == HEADREST).all()
    assert (labels[patient] == PATIENT).all()


def test_the_cover_of_foam_stays_since_it_gives_way():
    hu, labels, _ = on_foam(-300.0)
    before = labels.copy()
    faces.take(labels, hu, STEP, FACTORS)
    assert np.array_equal(labels, before)


@pytest.mark.parametrize(("empty", "goes"), [(12, True), (40, False)])
def test_slices_that_are_farther_off_tell_what_a_holder_is(empty, goes):
    hu, labels, shell = on_foam(110.0, empty)
    faces.take(labels, hu, STEP, FACTORS)
    assert (labels[shell] == HEADREST).all() == goes


def test_slices_near_by_tell_more_than_those_farther_off():
    """A holder that is shorter than the scan is no less steady."""
    hu, labels, shell = on_foam(110.0)
    hu, labels, shell = (np.concatenate([one] * 2) for one in (hu, labels, shell))
    hu[:44], labels[:44] = np.roll(hu[:44], 4, axis=1), np.roll(labels[:44], 4, axis=1)
    faces.take(labels, hu, STEP, FACTORS)
    assert (labels[50:][shell[50:]] == HEADREST).all()


def test_what_is_not_as_dense_as_the_holder_stays():
    hu, labels, shell = head_on_a_shell()
    hu[shell & (labels == PATIENT)] = 700  # bone, where a thin holder gives way
    before = labels.copy()
    faces.take(labels, hu, STEP, FACTORS)
    assert np.array_equal(labels, before)


def test_where_the_holder_is_nowhere_free_nothing_is_known():
    hu, labels, _ = head_on_a_shell(everywhere=True)
    before = labels.copy()
    faces.take(labels, hu, STEP, FACTORS)
    assert np.array_equal(labels, before)


def test_nothing_is_done_without_equipment_or_patient():
    for value in (0, PATIENT, HEADREST):
        labels = np.full((5, 8, 6), value, np.uint8)
        faces.take(labels, np.full(labels.shape, 40, np.int16), (3.0, 1.0, 1.0), (2, 2, 2))
        assert (labels == value).all()


def test_no_values_are_no_error():
    hu, labels, shell = head_on_a_shell()
    faces.take(labels, np.where(hu < -900, np.nan, hu).astype(np.float32), STEP, FACTORS)
    assert (labels[shell] == HEADREST).all()


def test_an_ear_at_the_steep_side_of_a_holder_stays():
    """They share voxels there."""
    k, j, i = np.ogrid[:44, :60, :40]
    top = 40 - np.clip(6 * (i - 20), 0, 24)
    holder = (j >= top) & (k >= 0)
    ear = (j >= top) & (j < top + 1) & (np.abs(i - 22) < 2) & (k >= CONTACT.start) & (k < CONTACT.stop)
    hu = np.where(holder, 60, -1000).astype(np.int16)
    labels = np.where(ear, PATIENT, np.where(holder, HEADREST, 0)).astype(np.uint8)
    before = labels.copy()
    faces.take(labels, hu, STEP, FACTORS)
    assert np.array_equal(labels, before)

"""Headrest, table and others around a head on a trunk, and which slices are the head's."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from CTVolumeLib import phantom
from CTVolumeLib.phantom import Phantom, PhantomParameters
from CTVolumeLib.phantom_tissue import HEADREST as IN_HEADREST
from CTVolumeLib.phantom_tissue import TABLE as IN_TABLE
from HeadrestRemovalLib import body, cluster, head, kinds
from HeadrestRemovalLib.grid import cells_of
from HeadrestRemovalLib.labels import HEADREST, OTHER, PATIENT, TABLE
from HeadrestRemovalLib.results import EquipmentResult
from support_trunk import cells_from


@functools.cache
def made(headrest: str) -> Phantom:
    """Vertex to shoulders."""
    return phantom.make(PhantomParameters(coverage=(-0.01, 0.2), headrest=headrest, spacing=(2.0, 2.0, 4.0)))


@functools.cache
def found(headrest: str) -> EquipmentResult:
    return cluster.label(made(headrest).volume)


@pytest.mark.parametrize("headrest", ["flat", "curved", "box"])
def test_the_headrest_and_the_table_are_told_apart(headrest):
    labels, scan = found(headrest).labels, made(headrest)
    above = (scan.volume.superior() > scan.landmarks["C7"] + 20)[:, None, None]  # below are the shoulders
    for value, inside, where in ((HEADREST, IN_HEADREST, above), (TABLE, IN_TABLE, True)):
        kinds = labels[(scan.labels == inside) & (labels > PATIENT) & where]
        assert np.mean(kinds == value) > 0.95, (headrest, value)


def test_the_same_patient_prone():
    """Turned about z in the scanner, the table still lies where the back was, in front."""
    volume = made("curved").volume
    turned = volume.with_array(volume.array[:, ::-1, ::-1])
    labels = cluster.label(turned).labels[:, ::-1, ::-1]
    assert np.mean(labels == found("curved").labels) > 0.999


def test_slices_of_the_head():
    scan = made("curved")
    cells = cells_of(scan.volume.as_axial())
    in_head, scalp = head.head_slices(cells, np.isin(scan.labels, (0, IN_HEADREST, IN_TABLE), invert=True))
    z = scan.volume.superior()
    assert in_head[z > scan.landmarks["C1"]].all()
    assert not in_head[z < scan.landmarks["Aortic arch"]].any()
    assert scalp[z > scan.landmarks["Center of orbit"] + 40].all()
    assert not scalp[z < scan.landmarks["C1"]].any()


def skull(gap_mm: float, slices: int) -> np.ndarray:
    """HU of slices through a skull that is open at the back, cells of 2 mm."""
    j, i = (np.mgrid[:110, :110] - 54.5) * 2.0
    away = np.hypot(j, i)
    plane = np.where(away < 70, 35, np.where(away < 76, 900, np.where(away < 82, 20, -1000)))
    plane[(away >= 70) & (away < 76) & (np.abs(i) < gap_mm / 2) & (j > 0)] = 20
    return np.repeat(plane[None], slices, 0)


@pytest.mark.parametrize(("gap_mm", "seen"), [(0.0, True), (8.0, True), (30.0, False)])
def test_a_skull_may_have_a_gap(gap_mm, seen):
    """Where bone is thin or was opened; but a ring that is open is no skull."""
    cells = cells_from(skull(gap_mm, 10), (2.0, 2.0, 3.0))
    assert head.head_slices(cells, cells.hu > -500)[0].all() == seen


def test_a_skull_that_has_gaps_at_its_base_begins_there():
    """Not where its bone is closed, at the top: the head would end in the face."""
    hu = np.concatenate([skull(30.0, 40), skull(8.0, 30), skull(0.0, 10)])
    cells = cells_from(hu, (2.0, 2.0, 3.0))
    assert int(head.head_slices(cells, cells.hu > -500)[0].argmax()) == 40 - round(110 / 3)


def test_a_trunk_has_no_head():
    scan = phantom.make(PhantomParameters(coverage=(0.2, 0.45), spacing=(3.0, 3.0, 8.0)))
    cells = cells_of(scan.volume.as_axial())
    in_head, scalp = head.head_slices(cells, scan.masks["patient"])
    assert not in_head.any()
    assert not scalp.any()


def test_a_straight_edge_of_a_mask_on_the_chest_is_no_table():
    """A scan that ends at the skin shows no table: what little lasts from slice to slice may lie in front."""
    cells = cells_from(np.full((40, 80, 80), -1000), (3.0, 3.0, 3.0))
    j, i = np.mgrid[:80, :80]
    inside = np.repeat((np.hypot(j - 40, i - 40) < 22)[None], 40, 0)
    mask = np.zeros(inside.shape, bool)
    mask[:, 12:14, 38:42] = True  # the edge lasts
    for k in range(40):
        mask[k, 16:30, 10 + k % 20 : 14 + k % 20] = True  # the rest wanders about
    mask &= ~inside
    none = np.zeros(40, bool)
    patient = body.Body(inside, inside, mask, none, none, np.zeros((80, 80), bool), cut=False)
    kind = kinds.tell_apart(mask, patient, cells)
    assert (kind[mask] == OTHER).all()

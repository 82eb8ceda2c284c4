"""From cells to voxels: what is pressed against the skin goes, and skin stays."""

from __future__ import annotations

import numpy as np
import pytest
from HeadrestRemovalLib import surface
from HeadrestRemovalLib.body import Body
from HeadrestRemovalLib.faint import Equipment
from HeadrestRemovalLib.labels import HEADREST, PATIENT
from support_trunk import cells_from

SHAPE, COVER_HU, BEADS_HU = (6, 70, 70), -350, -870


def _labels(on_head=True, hair="", covered=True):
    """Labels of a patient (rows up to 18) on a cushion whose cover (row 19) is taken for skin; with hair perhaps."""
    hu = np.full(SHAPE, -1000, np.int16)
    body, kind, hairs = np.zeros(SHAPE, bool), np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, bool)
    hu[:, 8:19, 20:50] = 40
    if covered:
        hu[:, 20:46, 8:62] = COVER_HU
    hu[:, 20:44, 10:60], hu[:, 19, 20:50] = BEADS_HU, COVER_HU
    body[:, 8:20, 20:50], kind[:, 20:46, 8:62] = True, HEADREST
    if hair:
        hairs[:, {"there": slice(20, 22), "elsewhere": slice(5, 8), "nowhere left": slice(0, 0)}[hair], 20:50] = True
        kind[hairs] = 0
    slices, none = np.full(SHAPE[0], on_head), np.zeros(SHAPE, bool)
    patient = Body(body, body, none, slices, slices, none[0], False)
    labels = np.zeros(SHAPE, np.uint8)
    equipment = Equipment(kind > 0, hairs, -1000.0, -960.0, bool(hair))
    surface.onto_voxels(patient, equipment, kind, cells_from(hu, (2.0, 2.0, 3.0)), hu, labels)
    return labels


@pytest.mark.parametrize(
    ("how", "label"),
    [
        ({}, HEADREST),
        ({"hair": "elsewhere"}, HEADREST),
        ({"hair": "there"}, PATIENT),
        ({"hair": "nowhere left"}, PATIENT),
        ({"on_head": False}, PATIENT),
        ({"covered": False}, PATIENT),
    ],
)
def test_a_cover_pressed_on_bare_skin_of_a_head_goes_and_as_dense_a_rim_elsewhere_stays(how, label):
    labels = _labels(**how)
    assert (labels[:, 19, 22:48] == label).all()
    assert (labels[:, 8:19, 20:50] == PATIENT).all()
    assert (labels[:, 24:42, 12:58] == HEADREST).all()
    assert (labels[:, 20:22, 22:48] == (PATIENT if how.get("hair") == "there" else HEADREST)).all()

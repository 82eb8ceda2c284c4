"""What a patient wears for treatment stays: dressings and bandages on the head, tubes within the body."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib.phantom_shapes import tube
from HeadrestRemovalLib import cluster, evaluation_equipment
from HeadrestRemovalLib.evaluation_equipment import Scene
from HeadrestRemovalLib.labels import HEADREST, OTHER, PATIENT
from support_headrests import head


def scene(seed):
    """A head over a headrest that it doesn't touch: bald (900, 905), with 4 mm of hair (902) or 8 (904)."""
    made = Scene(head(seed), 7)
    evaluation_equipment.headrest(made, "cradle", 14.0)
    return made


def dressing(made, hu):
    """5 mm of gauze on one side of the forehead."""
    left, right, front, back, low, high = made.head_box()
    where = np.maximum(np.abs(made.z - low - 0.75 * (high - low)) - 40, np.abs(made.x - (left + right) / 2 - 30) - 45)
    made.shell(-1.0, 5.0, hu, OTHER, np.maximum(where, made.y - (front + back) / 2), grain=40)


def bandage(made, hu):
    """3 mm of gauze all around the head, 7 cm wide."""
    *_, low, high = made.head_box()
    where = np.abs(made.z - low - 0.75 * (high - low)) - 35
    made.shell(-1.0, 3.0, hu, OTHER, np.broadcast_to(where, made.labels.shape), grain=40)


@pytest.mark.parametrize(("seed", "hu"), [(900, -400.0), (905, -400.0), (902, -600.0), (904, -600.0)])
@pytest.mark.parametrize("draw", [dressing, bandage])
def test_gauze_on_the_head_stays(seed, hu, draw):
    """Denser one over hair can't be told from a mask."""
    made = scene(seed)
    draw(made, hu)
    volume, truth, _ = made.finish()
    labels = cluster.label(volume).labels
    gauze = (truth == OTHER) & (volume.array > -900)
    assert np.count_nonzero(gauze) * np.prod(volume.spacing) / 1000 > 25
    assert np.mean(labels[gauze] <= PATIENT) > 0.98
    assert np.mean(labels[truth == HEADREST] > PATIENT) > 0.98


def test_a_breathing_tube_stays_within_the_body():
    """Outside it may go, as a cable does."""
    made = scene(900)
    left, right, _, _, low, high = made.head_box()
    x, z = (left + right) / 2, low + 0.25 * (high - low)
    k, i = np.abs(made.z[:, 0, 0] - z).argmin(), np.abs(made.x[0, 0] - x).argmin()
    lips = evaluation_equipment.front_of(made)[k, i]
    way = [(x, lips + 40, -z), (x, lips, -z), (x + 5, lips - 30, -z - 10), (x + 70, lips - 40, -z - 15)]
    volume, truth, _ = made.finish()
    hu = volume.array.astype(np.float32)
    for radius, value in ((5.0, 120.0), (3.4, -1000.0)):
        away = np.minimum.reduce([np.asarray(part.distance(made.x, made.y, -made.z)) for part in tube(way, radius)])
        hu += np.clip(0.5 - away / max(made.step[1:]), 0, 1) * (value - hu)
    labels = cluster.label(volume.with_array(np.rint(hu).astype(np.int16))).labels
    inside = (truth == PATIENT) & (away < 2)
    assert np.count_nonzero(inside) > 50
    assert (labels[inside] <= PATIENT).all()

"""What the network of a view adds to those of the slices."""

from __future__ import annotations

import numpy as np
import pytest
from CTSliceLocalizerLib.curve import Sequence
from CTSliceLocalizerLib.frontal import joined
from CTSliceLocalizerLib.landmarks import NAMES
from CTSliceLocalizerLib.members import VIEWS
from scipy.special import softmax

SKELETON, AIRWAY = VIEWS


def sure_of(cell: int) -> Sequence:
    """Sure that every landmark lies in one cell of nine, and the whole at one place of the body."""
    landmarks = np.full((9, len(NAMES)), -4.0)
    landmarks[cell] = 4.0
    body = np.zeros((9, 92))
    body[:, 10 * cell] = 5.0
    return Sequence(body, landmarks)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_tells_what_it_shows_and_the_slices_tell_the_rest(view):
    both = joined(sure_of(2), sure_of(6), view)
    for number, name in enumerate(NAMES):
        assert both.landmarks[:, number].argmax() == (6 if name in view.shows else 2), name


def test_no_landmark_is_asked_of_two_views():
    assert not set(SKELETON.shows) & set(AIRWAY.shows)


def test_places_of_the_body_are_multiplied():
    rng = np.random.default_rng(1)
    one, other = (Sequence(rng.normal(size=(4, 92)), rng.normal(size=(4, 12))) for _ in range(2))
    product = (softmax(one.body, axis=1) * softmax(other.body, axis=1)) ** SKELETON.body_share
    found = softmax(joined(one, other, SKELETON).body, axis=1)
    np.testing.assert_allclose(found, product / product.sum(axis=1, keepdims=True), atol=1e-9)
    np.testing.assert_array_equal(joined(one, other, AIRWAY).body, one.body)


@pytest.mark.parametrize(("by_slices", "by_bones", "inside"), [(-3, -3, 0), (3, 3, 1), (-3, 6, 1), (3, -6, 0)])
def test_whether_a_vertebra_is_in_the_scan_is_asked_of_both(by_slices, by_bones, inside):
    one, other = (Sequence(np.zeros((9, 92)), np.full((9, 12), level - np.log(9))) for level in (by_slices, by_bones))
    odds = np.log(np.exp(joined(one, other, SKELETON).landmarks).sum(axis=0))
    assert odds[NAMES.index("T12")] == pytest.approx(by_slices + by_bones)
    assert odds[NAMES.index("Aortic arch")] == pytest.approx(by_slices)
    assert (odds[NAMES.index("T12")] > 0) == inside

"""The location scale and the body coordinate."""

from __future__ import annotations

import numpy as np
import pytest
from CTSliceLocalizerLib import landmarks
from CTSliceLocalizerLib.groundtruth import Annotation, body_targets, locations


def test_landmarks_lie_in_order_on_both_scales() -> None:
    assert len(landmarks.LANDMARKS) == 12
    assert np.all(np.diff(landmarks.LOCATIONS) > 0)
    assert np.all(np.diff(landmarks.BODY_MM) > 0)
    assert len({landmark.key for landmark in landmarks.LANDMARKS}) == 12


def test_the_scales_convert_into_each_other_also_beyond_the_ends() -> None:
    location = np.linspace(-0.05, 0.6, 50)
    np.testing.assert_allclose(landmarks.body_to_location(landmarks.location_to_body(location)), location)
    np.testing.assert_allclose(landmarks.body_to_location(landmarks.BODY_MM), landmarks.LOCATIONS)


def test_beyond_the_last_landmark_the_nearest_two_go_on() -> None:
    # The article: extrapolated from the nearest two landmarks.
    truth = locations(np.array([100.0, 40.0, 10.0, -20.0]), {"C7": 40.0, "T1": 20.0})
    np.testing.assert_allclose(truth, [0.15 - 0.01 * 3, 0.15, 0.165, 0.18])


def test_between_landmarks_the_article_interpolates_in_z() -> None:
    truth = locations(np.array([75.0]), {"C1": 100.0, "C7": 0.0})
    np.testing.assert_allclose(truth, [0.1125])


def test_body_targets_follow_the_bones_not_the_breath() -> None:
    bones = {"T1": Annotation(0.0, 3.0), "T12": Annotation(-238.5, 3.0)}
    z = np.array([50.0, 0.0, -100.0, -238.5, -300.0])
    body, sigma = body_targets(z, bones | {"Right dome of diaphragm": Annotation(-120.0, 3.0)})
    np.testing.assert_allclose(body, [245.5, 295.5, 395.5, 534.0, 595.5])
    assert sigma[0] > sigma[1]


@pytest.mark.parametrize(("body_mm", "words"), [(10, "vertex"), (290, "lower neck"), (570, "upper abdomen, about L1")])
def test_words(body_mm: float, words: str) -> None:
    assert landmarks.words(body_mm) == words

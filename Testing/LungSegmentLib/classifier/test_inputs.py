from __future__ import annotations

import itertools

import numpy as np
import pytest
from CTVolumeLib import phantom, resample
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume
from LungSegmentLib import lungs
from LungSegmentLib.classifier import inputs
from LungSegmentLib.classifier.inputs import InputOptions

SIZE = (12, 24, 20)


@pytest.fixture(scope="module")
def chest():
    made = phantom.make(phantom.PhantomParameters(spacing=(4, 4, 6), field_mm=400, coverage=(0.17, 0.31), arms="up"))
    return made.volume, lungs.segment(made.volume).labels


def turned(volume, order, flips):
    """The same scan stored along other axes."""
    array = np.flip(volume.array.transpose(order), [axis for axis in range(3) if flips[axis]])
    axes, spacing = volume.axes(), np.array(volume.spacing)
    columns, steps, origin = [], [], np.array(volume.origin, float)
    for axis in (2, 1, 0):  # i, j, k of the new one
        old = 2 - order[axis]
        sign = -1 if flips[axis] else 1
        columns.append(sign * axes[:, old])
        steps.append(spacing[old])
        if flips[axis]:
            origin = origin + axes[:, old] * spacing[old] * (volume.array.shape[order[axis]] - 1)
    direction = np.stack(columns, axis=1)
    return CTVolume(array, tuple(steps), tuple(origin), tuple(direction.ravel()), meta=volume.meta)


@pytest.mark.parametrize("part", ["whole", "centre", "body", "lung", "lungs"])
def test_the_way_a_scan_is_stored_changes_nothing(chest, part):
    volume, labels = chest
    options = InputOptions(part=part, slices=10, shape=SIZE)
    truth = inputs.make(volume, options, labels)
    assert truth.values.shape == SIZE
    assert truth.values.dtype == np.float16
    assert 0 <= truth.values.min() < 0.1
    assert 0.5 < truth.values.max() <= 1
    for order, flips in itertools.islice(
        itertools.product(itertools.permutations(range(3)), [(0, 1, 0), (1, 0, 1)]), 12
    ):
        other = turned(volume, order, flips)
        same = np.flip(labels.transpose(order), [axis for axis in range(3) if flips[axis]])
        made = inputs.make(other, options, same)
        np.testing.assert_allclose(made.values, truth.values, atol=2e-3)
        np.testing.assert_allclose(made.extent_mm, truth.extent_mm)


def test_the_box_of_the_lungs_is_what_is_seen(chest):
    volume, labels = chest
    whole = inputs.make(volume, InputOptions(part="whole", shape=SIZE))
    box = inputs.make(volume, InputOptions(part="lungs", margin_mm=0, shape=SIZE), labels)
    used = [np.flatnonzero(np.isin(labels, (1, 2)).any(axis=other)) for other in ((1, 2), (0, 2), (0, 1))]
    wanted = [(rows[-1] - rows[0] + 1) * step for rows, step in zip(used, volume.spacing[::-1])]
    np.testing.assert_allclose(box.extent_mm, wanted)
    assert np.prod(box.extent_mm) < 0.5 * np.prod(whole.extent_mm)
    with pytest.raises(CTError, match="no lungs"):
        inputs.make(volume, InputOptions(part="lungs", shape=SIZE))


def test_slices_about_the_largest(chest):
    volume, labels = chest
    area = resample.body_area(volume)
    options = InputOptions(part="body", slices=1, shape=(8, *volume.array.shape[1:]))
    made = inputs.make(volume, options)
    wanted = np.clip((volume.array[np.argmax(area)] + 1000.0) / 1400, 0, 1)
    np.testing.assert_allclose(made.values[3], wanted, atol=2e-3)
    lung = inputs.make(volume, InputOptions(part="lung", slices=1, shape=(8, *volume.array.shape[1:])), labels)
    k = np.argmax(np.isin(labels, (1, 2)).sum(axis=(1, 2)))
    np.testing.assert_allclose(lung.values[3], np.clip((volume.array[k] + 1000.0) / 1400, 0, 1), atol=2e-3)


def test_values_are_those_of_the_articles():
    array = np.array([-2000, -1000, -300, 400, 3000], np.int16).reshape(1, 1, 5)
    volume = CTVolume(np.repeat(np.repeat(array, 8, 0), 8, 1))
    made = inputs.make(volume, InputOptions(part="whole", shape=(8, 8, 8)))
    assert made.values[4, 4, 0] == 0
    assert made.values[4, 4, -1] == 1


@pytest.mark.parametrize("factor", [0.001, 1.0, 37.0])
def test_mr_values_do_not_depend_on_the_units(factor):
    rng = np.random.default_rng(0)
    array = np.zeros((10, 20, 20), np.float32)
    array[:, 4:16, 4:16] = rng.normal(300, 40, (10, 12, 12))
    values = inputs.mr_values(array * factor)
    np.testing.assert_allclose(values, inputs.mr_values(array), atol=1e-5)
    inside = values[:, 4:16, 4:16]
    assert abs(np.mean(inside == 0) - 0.01) < 0.006
    assert abs(np.mean(inside == 1) - 0.01) < 0.006
    assert inputs.mr_values(np.zeros((4, 4, 4))).max() == 0


def test_spline_is_as_smooth_as_linear_is_right(chest):
    volume, _ = chest
    linear, spline = (
        inputs.make(volume, InputOptions(part="whole", shape=SIZE, zoom=zoom)).values.astype(float)
        for zoom in ("linear", "spline")
    )
    assert np.corrcoef(linear.ravel(), spline.ravel())[0, 1] > 0.95


@pytest.mark.parametrize(
    "wrong",
    [{"part": "heart"}, {"values": "us"}, {"zoom": "no"}, {"shape": (4, 64, 64)}, {"slices": 0},
     {"values": "mr", "part": "lungs"}],
)  # fmt: skip
def test_wrong_options_are_refused(wrong):
    with pytest.raises(CTError) as caught:
        InputOptions(**wrong)
    assert caught.value.code == "bad_option"

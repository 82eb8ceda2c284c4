"""The scan as networks want it: place, spacing and values."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume
from LungSegmentLib.lungs import AIRWAY, LEFT, RIGHT
from LungSegmentLib.preprocess import PreprocessOptions, crop_to_lungs, preprocess

SPACING = (2.0, 2.5, 5.0)
NONE = PreprocessOptions(crop_margin_mm=None, spacing_mm=None, normalize=False, zero_center=False)


@pytest.fixture
def volume() -> CTVolume:
    array = np.random.default_rng(0).integers(-1024, 1500, (12, 40, 50)).astype(np.int16)
    return CTVolume(array, SPACING, (-40.0, -30.0, 100.0))


@pytest.fixture
def labels(volume) -> np.ndarray:
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[4:8, 10:20, 30:41] = LEFT
    labels[3:7, 12:22, 6:15] = RIGHT
    labels[:, 15, 25] = AIRWAY  # the box is that of the lungs
    return labels


def test_nothing_to_do(volume, labels):
    assert preprocess(volume, labels, NONE) is volume


@pytest.mark.parametrize(
    ("margin", "box"),
    [
        (0.0, (slice(3, 8), slice(10, 22), slice(6, 41))),
        (10.0, (slice(1, 10), slice(6, 26), slice(1, 46))),
        (25.0, (slice(0, 12), slice(0, 32), slice(0, 50))),
    ],
)
def test_crop_box(volume, labels, margin, box):
    cut = crop_to_lungs(volume, labels, margin)
    np.testing.assert_array_equal(cut.array, volume.array[box])
    place = [start * step for start, step in zip((box[2].start, box[1].start, box[0].start), SPACING)]
    np.testing.assert_allclose(cut.origin, np.add(volume.origin, place))
    assert cut.spacing == SPACING


def test_crop_without_lungs(volume, labels):
    with pytest.raises(CTError) as refused:
        preprocess(volume, np.where(labels == AIRWAY, labels, 0), PreprocessOptions())
    assert refused.value.code == "no_lungs"
    assert refused.value.hint


def test_values(volume, labels):
    normalized = preprocess(volume, labels, PreprocessOptions(None, None, normalize=True, zero_center=False))
    wanted = np.clip((volume.array.astype(float) + 1000) / 1400, 0, 1)
    np.testing.assert_allclose(normalized.array, wanted, atol=1e-6)
    assert normalized.array.dtype == np.float32
    centred = preprocess(volume, labels, PreprocessOptions(None, None))
    np.testing.assert_allclose(centred.array, wanted - 0.25, atol=1e-6)


def test_zero_centring_needs_normalising():
    with pytest.raises(CTError) as refused:
        preprocess(
            CTVolume(np.zeros((2, 2, 2), np.int16)), np.zeros((2, 2, 2), np.uint8), PreprocessOptions(normalize=False)
        )
    assert refused.value.code == "bad_option"


@pytest.mark.parametrize("spacing", [1.0, 1.3, 3.0])
def test_true_spacing(volume, labels, spacing):
    """The box keeps its extent, so the spacing is extent by number of voxels, not what was asked for."""
    even = preprocess(volume, labels, PreprocessOptions(10.0, spacing, normalize=False, zero_center=False))
    extent = np.array([45, 20, 9]) * SPACING
    counts = np.array(even.array.shape[::-1])
    np.testing.assert_allclose(np.array(even.spacing) * counts, extent)
    np.testing.assert_array_equal(counts, np.maximum(1, np.round(extent / spacing)))
    corner = np.array(volume.origin) + np.array([1, 6, 1]) * SPACING - np.array(SPACING) / 2
    np.testing.assert_allclose(np.array(even.origin) - np.array(even.spacing) / 2, corner)


def test_resampled_values_are_where_they_were(labels):
    """HU that grow evenly along all axes still do, by place in mm."""
    k, j, i = (np.arange(size) * step for size, step in zip((12, 40, 50), SPACING[::-1]))
    ramp = (-900 + 4 * k[:, None, None] + 3 * j[:, None] + 2 * i).astype(np.float32)
    volume = CTVolume(ramp, SPACING)
    even = preprocess(volume, labels, PreprocessOptions(10.0, 1.0, normalize=False, zero_center=False))
    z, y, x = (even.origin[axis] + np.arange(even.array.shape[2 - axis]) * even.spacing[axis] for axis in (2, 1, 0))
    wanted = -900 + 4 * z[:, None, None] + 3 * y[:, None] + 2 * x
    inner = (slice(3, -3),) * 3
    np.testing.assert_allclose(even.array[inner], wanted[inner], atol=0.01)


def test_the_usual_way(volume, labels):
    even = preprocess(volume, labels)
    assert even.array.dtype == np.float32
    assert -0.25 <= even.array.min() < even.array.max() <= 0.75
    assert max(abs(step - 1) for step in even.spacing) < 0.02

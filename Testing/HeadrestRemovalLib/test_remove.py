"""What is removed becomes air; what is kept stays bit for bit, whatever numbers the scan is made of."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume
from HeadrestRemovalLib.labels import BACKGROUND, HEADREST, OTHER, PATIENT, TABLE
from HeadrestRemovalLib.remove import remove


def scan(dtype=np.int16) -> tuple[CTVolume, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.choice([BACKGROUND, PATIENT, HEADREST, TABLE, OTHER], (4, 20, 30)).astype(np.uint8)
    hu = np.choose(labels, [-990, 40, -600, 100, -300]) + rng.integers(-3, 4, labels.shape)
    hu[0, :5][labels[0, :5] == BACKGROUND] = -1024  # padding
    return CTVolume(hu.astype(dtype), (0.5, 0.7, 2.0), (1, 2, 3), meta={"kernel": "B30"}), labels


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
def test_kept_voxels_type_and_geometry_stay(dtype):
    volume, labels = scan(dtype)
    before = volume.array.copy()
    cleaned = remove(volume, labels)
    kept = labels <= PATIENT
    assert cleaned.array[kept].tobytes() == before[kept].tobytes()
    assert (cleaned.array[~kept] == -1000).all()
    assert cleaned.array.dtype == dtype
    assert cleaned.array.shape == before.shape
    assert (cleaned.spacing, cleaned.origin, cleaned.direction) == (volume.spacing, volume.origin, volume.direction)
    assert cleaned.meta == volume.meta
    assert np.array_equal(volume.array, before)


def test_nan_stays():
    volume, labels = scan(np.float32)
    volume.array[labels == PATIENT] = np.nan
    assert np.isnan(remove(volume, labels).array[labels == PATIENT]).all()


def test_fill_with_a_number_or_with_the_scan_s_air():
    volume, labels = scan()
    removed = labels > PATIENT
    assert (remove(volume, labels, -700).array[removed] == -700).all()
    assert np.unique(remove(volume, labels, "air").array[removed]).tolist() == [-990]


def test_the_air_of_a_scan_without_air_is_that_of_the_book():
    volume, labels = scan()
    labels[labels == BACKGROUND] = PATIENT
    assert (remove(volume, labels, "air").array[labels > PATIENT] == -1000).all()


@pytest.mark.parametrize("fill", [40000, -1000.5, float("nan"), float("inf"), "black", None])
def test_fills_that_do_not_fit(fill):
    volume, labels = scan()
    with pytest.raises(CTError) as caught:
        remove(volume, labels, fill)
    assert caught.value.code == "bad_fill"
    assert caught.value.hint


def test_floats_take_any_number():
    volume, labels = scan(np.float32)
    assert (remove(volume, labels, -999.5).array[labels > PATIENT] == -999.5).all()


def test_labels_of_another_scan():
    volume, labels = scan()
    with pytest.raises(CTError) as caught:
        remove(volume, labels[:, 1:])
    assert caught.value.code == "bad_labels"

"""Measures and contact areas, against numbers known beforehand."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from CTVolumeLib.volume import CTVolume
from HeadrestRemovalLib import measure
from HeadrestRemovalLib.contact import contact_cm2
from HeadrestRemovalLib.labels import HEADREST, OTHER, PATIENT, TABLE

SPACING = (1.0, 2.0, 5.0)


@pytest.fixture
def scan() -> tuple[CTVolume, np.ndarray]:
    labels = np.zeros((10, 40, 50), np.uint8)
    labels[:, 10:20, 10:40] = PATIENT
    labels[2:8, 20:24, 10:40] = HEADREST  # below the patient: a face of 6 * 5 mm x 30 * 1 mm
    labels[:, 30:36] = TABLE
    hu = np.where(labels == HEADREST, 100, -500).astype(np.int16)
    hu[2:8, 20:22, 10:40] = 300
    return CTVolume(hu, SPACING), labels


def test_numbers_of_each_kind(scan):
    by_name = {one.name: one for one in measure.measure(*scan)}
    assert list(by_name) == ["headrest", "table", "other equipment", "all equipment"]
    rest = by_name["headrest"]
    assert rest.volume_ml == pytest.approx(6 * 4 * 30 * 10 / 1000)
    assert (rest.mean_hu, rest.sd_hu) == (200, 100)
    assert rest.contact_cm2 == pytest.approx(9.0)
    assert by_name["table"].contact_cm2 == 0
    assert by_name["all equipment"].volume_ml == pytest.approx(rest.volume_ml + by_name["table"].volume_ml)
    assert by_name["all equipment"].contact_cm2 == pytest.approx(9.0)
    assert by_name["other equipment"].volume_ml == 0
    assert np.isnan(by_name["other equipment"].mean_hu)


def test_a_slanting_contact_is_not_counted_as_its_stairs():
    _k, j, i = np.meshgrid(*(np.arange(60),) * 3, indexing="ij")
    labels = np.where(j + i < 60, PATIENT, TABLE).astype(np.uint8)
    volume = CTVolume(np.zeros(labels.shape, np.int16))
    assert contact_cm2(volume, labels) == pytest.approx(60 * 60 * np.sqrt(2) / 100, rel=0.03)


def test_contact_of_what_is_dense_only(scan):
    volume, labels = scan
    volume.array[labels == PATIENT] = 40
    assert contact_cm2(volume, labels, above_hu=-300) == pytest.approx(9.0)
    volume.array[:, 20] = -400
    assert contact_cm2(volume, labels, above_hu=-300) == 0
    assert contact_cm2(volume, labels, (OTHER,)) == 0


def test_uneven_slices_count_with_their_median_distance(scan):
    volume, labels = scan
    uneven = CTVolume(volume.array, SPACING, positions=np.array([0, 3, 6, 9, 12, 15, 18, 21, 24, 90.0]))
    assert measure.measure(uneven, labels)[0].volume_ml == pytest.approx(6 * 4 * 30 * 6 / 1000)


def test_nan_is_left_out(scan):
    volume, labels = scan
    array = volume.array.astype(np.float32)
    array[2:8, 20:22, 10:40] = np.nan
    assert measure.measure(volume.with_array(array), labels)[0].mean_hu == 100


def test_as_table_and_as_json(scan):
    found = measure.measure(*scan)
    rows = list(csv.DictReader(io.StringIO(measure.to_csv(found))))
    assert [row["name"] for row in rows] == [one.name for one in found]
    assert float(rows[0]["volume_ml"]) == pytest.approx(found[0].volume_ml)
    parsed = json.loads(json.dumps(measure.to_dict(found), allow_nan=False))
    assert parsed["other equipment"]["mean_hu"] is None
    assert parsed["headrest"] == {"volume_ml": 7.2, "mean_hu": 200.0, "sd_hu": 100.0, "contact_cm2": 9.0}

from __future__ import annotations

import json

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from CTVolumeLib import phantom
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume
from LungSegmentLib.classifier import features, mr, prepared, table
from LungSegmentLib.classifier.inputs import InputOptions
from support_classifier import SHAPE, write_table
from support_mr import write_series

OPTIONS = InputOptions(part="whole", shape=SHAPE)


def test_what_can_not_be_read_is_listed_and_the_rest_goes_on(tmp_path):
    scans = table.read(write_table(tmp_path, 4))
    (tmp_path / "scans/p00-0.nii.gz").unlink()
    (tmp_path / "scans/p01-0.nii.gz").write_bytes(b"no scan at all")
    ready, failed = prepared.prepare(scans, OPTIONS, tmp_path / "out")
    assert [scan.name for scan in ready] == ["p02-0", "p03-0"]
    assert [(one.name, one.code) for one in failed] == [("p00-0", "not_found"), ("p01-0", "bad_volume_file")]
    assert all(one.message for one in failed)
    assert [scan.label for scan in ready] == [1, 0]
    assert ready[0].input().shape == SHAPE
    assert not any("SECRET" in path.read_text("latin-1") for path in (tmp_path / "out").rglob("*") if path.is_file())


def test_nothing_is_made_twice_and_other_options_make_it_anew(tmp_path):
    scans = table.read(write_table(tmp_path, 2))
    prepared.prepare(scans, OPTIONS, tmp_path / "out")
    path = tmp_path / "out/p00-0/input.npy"
    made = path.stat().st_mtime_ns
    prepared.prepare(scans, OPTIONS, tmp_path / "out")
    assert path.stat().st_mtime_ns == made
    prepared.prepare(scans, InputOptions(part="whole", shape=(8, 8, 8)), tmp_path / "out")
    assert np.load(path).shape == (8, 8, 8)


def test_a_chest_has_the_histogram_of_its_lungs(tmp_path):
    made = phantom.make(phantom.PhantomParameters(spacing=(4, 4, 6), field_mm=400, coverage=(0.17, 0.31), arms="up"))
    phantom.write_dicom(made.volume, tmp_path / "dicom/chest")
    table.write(tmp_path / "scans.csv", [(tmp_path / "dicom/chest", 1, "x")])
    options = InputOptions(part="lungs", shape=(8, 16, 16))
    (scan,), failed = prepared.prepare(table.read(tmp_path / "scans.csv"), options, tmp_path / "out")
    known = scan.features()
    assert (failed, known["region"]) == ([], "lungs")
    assert sum(known["histogram"]) == pytest.approx(1)
    low, high = features.LUNG_HU
    edges = np.linspace(low, high, len(known["histogram"]) + 1)
    assert -900 < edges[np.argmax(known["histogram"])] < -780
    assert known["header"]["maker"] == "CTSliceLocalizer phantom"
    assert known["header"]["spacing i"] == 4
    assert len(known["extent_mm"]) == 3
    text = json.dumps(known)
    assert "PHANTOM" not in text.replace("CTSliceLocalizer phantom", "")


def test_lungs_are_needed_only_where_they_are_asked_for():
    water = CTVolume(np.pad(np.zeros((10, 20, 20), np.int16), 5, constant_values=-1000), (4.0, 4.0, 5.0))
    made, labels = prepared.make(water, OPTIONS)
    assert labels is None
    assert made.values.shape == SHAPE
    with pytest.raises(CTError) as caught:
        prepared.make(water, InputOptions(part="lungs", shape=SHAPE))
    assert caught.value.code == "no_lungs"


def test_mr_from_dicom_and_from_a_file(tmp_path):
    array = np.random.default_rng(0).integers(0, 900, (6, 16, 12)).astype(np.int16)
    write_series(array, tmp_path / "mr", spacing=(1.5, 1.5, 4.0))
    volume = mr.read(tmp_path / "mr")
    np.testing.assert_array_equal(volume.array, array)
    np.testing.assert_allclose(volume.spacing, (1.5, 1.5, 4.0))
    assert volume.meta["modality"] == "MR"
    assert pydicom.dcmread(volume.sources[0]).Modality == "MR"
    image = sitk.GetImageFromArray(array)
    sitk.WriteImage(image, str(tmp_path / "mr.nii.gz"))
    np.testing.assert_array_equal(mr.read(tmp_path / "mr.nii.gz").array, array)
    with pytest.raises(CTError, match="no DICOM images"):
        mr.read(tmp_path)
    with pytest.raises(CTError, match="There is no file"):
        mr.read(tmp_path / "nowhere")

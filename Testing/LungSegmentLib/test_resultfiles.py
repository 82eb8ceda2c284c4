"""The files of one scan: what they hold, where they lie, and what they say of a scan without lungs."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume
from LungSegmentLib import lungs, measure, quality, resultfiles
from LungSegmentLib.preprocess import PreprocessOptions
from LungSegmentLib.segments import SEGMENTS
from support_chest import chest, dice, stored_otherwise
from support_volume_nodes import rotation

FILES = {"lungs.seg.nrrd", "lungs.nii.gz", "measures.csv", "histogram.csv", "picture.png", "result.json"}
NOTE = ("gap", "There are 3 slices missing.")


@pytest.fixture(scope="module")
def found() -> resultfiles.Found:
    """The phantom as it is read from somewhere."""
    volume = chest().volume
    meta = {**volume.meta, "source": "chest.nii.gz", "warnings": (NOTE,)}
    return resultfiles.find(replace(volume, meta=meta))


@pytest.fixture(scope="module")
def folder(found, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "chest"
    resultfiles.write(folder, found)
    return folder


def result_of(folder) -> dict:
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))


def test_all_files_are_there_and_nothing_else(folder):
    assert {path.name for path in folder.iterdir()} == FILES


def test_result_tells_what_was_found(folder, found):
    content = result_of(folder)
    assert content["schema"] == "ct-lungs/1"
    assert content["refused"] is None
    assert content["series"]["source"] == "chest.nii.gz"
    assert content["series"]["slices"] == len(chest().volume.array)
    assert content["light"]["colour"] == found.light.colour
    assert content["warnings"][0] == dict(zip(("code", "text"), NOTE))
    said = [sign.code for sign in (*found.light.signs, *found.light.notes)]
    assert [entry["code"] for entry in content["warnings"][1:]] == said
    assert content["labels"] == {"1": "left lung", "2": "right lung", "3": "trachea"}
    assert content["options"]["threshold_hu"] == -320
    assert content["airway"]["sealed"] is True
    for row, mask in zip(content["measures"], ("left lung", "right lung")):
        true_ml = np.count_nonzero(chest().masks[mask]) * 3.5 * 3.5 * 7 / 1000
        assert row["name"] == mask
        assert row["volume_ml"] == pytest.approx(true_ml, rel=0.06)


def test_the_same_scan_gives_the_same_bytes(folder, found, tmp_path):
    resultfiles.write(tmp_path, found, PreprocessOptions())
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_labels_lie_on_the_scan_and_left_is_left(folder):
    volume = chest().volume
    image = sitk.ReadImage(str(folder / "lungs.nii.gz"))
    labels = sitk.GetArrayFromImage(image)
    for value, mask in ((1, "left lung"), (2, "right lung"), (3, "airway")):
        assert dice(labels == value, chest().masks[mask]) > 0.9
    assert image.GetOrigin() == pytest.approx(volume.origins()[0], abs=1e-3)
    assert image.GetSpacing() == pytest.approx(volume.spacing)
    same = sitk.ReadImage(str(folder / "lungs.seg.nrrd"))
    assert np.array_equal(sitk.GetArrayFromImage(same), labels)
    assert [same.GetMetaData(f"Segment{n}_Name") for n in range(3)] == [entry.name for entry in SEGMENTS]
    assert "SCT^7771000^Left" in same.GetMetaData("Segment0_Tags")


@pytest.mark.parametrize("oblique", [False, True])
def test_left_is_left_in_any_storage(tmp_path, oblique):
    """By what other programs make of the file: nibabel's points are RAS, SimpleITK's LPS."""
    volume = stored_otherwise(chest().volume)
    if oblique:
        direction = rotation(8, -6, 10) @ volume.axes()
        volume = replace(volume, direction=tuple(float(value) for value in direction.ravel()))
    found = resultfiles.find(volume)
    resultfiles.write(tmp_path, found)
    image = sitk.ReadImage(str(tmp_path / "lungs.nii.gz"))
    labels, other = sitk.GetArrayFromImage(image), nibabel.load(tmp_path / "lungs.nii.gz")
    assert labels.shape == volume.array.shape
    assert np.array_equal(np.asarray(other.dataobj).T, labels)
    middles = {value: np.argwhere(labels == value).mean(axis=0)[::-1] for value in (1, 2)}
    left, right = (image.TransformContinuousIndexToPhysicalPoint(middles[value].tolist()) for value in (1, 2))
    assert left[0] > right[0] + 80
    left, right = (other.affine @ [*middles[value], 1] for value in (1, 2))
    assert left[0] < right[0] - 80


def test_measures_and_histogram_are_those_of_the_masks(folder, found):
    with (folder / "measures.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["left lung", "right lung", "both lungs"]
    assert float(rows[2]["volume_ml"]) == pytest.approx(found.measures[2].volume_ml, abs=0.01)
    with (folder / "histogram.csv").open(newline="", encoding="utf-8") as file:
        bins = list(csv.DictReader(file))
    assert list(bins[0]) == ["hu", "left_lung_ml", "right_lung_ml"]
    total = sum(float(row["left_lung_ml"]) for row in bins)
    assert total == pytest.approx(found.measures[0].volume_ml, abs=0.1)


def test_a_missing_lung_is_null_not_nan(found):
    labels = np.where(found.result.labels == lungs.LEFT, np.uint8(0), found.result.labels)
    result = replace(found.result, labels=labels, two_lungs=False)
    light, measures = quality.judge(found.volume, result), measure.measure(found.volume, labels)
    content = resultfiles.to_json(replace(found, result=result, light=light, measures=measures))
    assert content["measures"][0]["volume_ml"] == 0
    assert content["measures"][0]["mean_hu"] is None
    assert content["light"]["colour"] == "red"
    json.dumps(content, allow_nan=False)


def test_a_scan_without_lungs_gets_a_reason_and_no_mask(tmp_path):
    volume = chest().volume
    water = volume.with_array(np.where(chest().masks["patient"], np.int16(40), volume.array))
    found = resultfiles.find(water)
    resultfiles.write(tmp_path, found, PreprocessOptions())
    assert {path.name for path in tmp_path.iterdir()} == {"picture.png", "result.json"}
    content = result_of(tmp_path)
    assert content["refused"]["code"] == "no_lungs"
    assert content["light"] is None
    assert content["measures"] == []


def test_other_problems_are_no_result(monkeypatch):
    def fail(*_):
        raise CTError("cancelled", "Finding the lungs was cancelled.")

    monkeypatch.setattr(lungs, "segment", fail)
    with pytest.raises(CTError, match="cancelled"):
        resultfiles.find(chest().volume)


class TestPrepared:
    def test_npz_holds_the_grid(self, tmp_path, found):
        options = PreprocessOptions(crop_margin_mm=12.0, spacing_mm=5.0)
        resultfiles.write(tmp_path, found, options, "npz")
        with np.load(tmp_path / "prepared.npz") as file:
            pixels, spacing, origin = file["pixels"], file["spacing"], file["origin"]
            assert json.loads(str(file["options"])) == {
                "crop_margin_mm": 12.0, "spacing_mm": 5.0, "normalize": True, "zero_center": True,
            }  # fmt: skip
        assert spacing == pytest.approx([5, 5, 5], abs=0.2)
        assert -0.25 <= pixels.min() < -0.2
        assert 0.5 < pixels.max() <= 0.75
        lung = np.argwhere(np.isin(found.result.labels, (1, 2)))
        low = found.volume.origins()[0] + lung.min(axis=0)[::-1] * found.volume.spacing
        assert np.all(origin <= low - 12 + 3)
        assert np.all(origin > low - 25)

    @pytest.mark.parametrize(("kind", "name"), [("nifti", "prepared.nii.gz"), ("nrrd", "prepared.nrrd")])
    def test_volume_files_keep_hu_on_request(self, tmp_path, found, kind, name):
        options = PreprocessOptions(crop_margin_mm=None, spacing_mm=None, normalize=False, zero_center=False)
        resultfiles.write(tmp_path, found, options, kind)
        image = sitk.ReadImage(str(tmp_path / name))
        assert np.array_equal(sitk.GetArrayFromImage(image), found.volume.array)
        assert image.GetSpacing() == pytest.approx(found.volume.spacing)


class TestPicture:
    def test_outlines_lie_on_the_lungs(self, folder):
        """Outlines of both colours and of the airway, left lung at the right of each picture."""
        pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "picture.png")))[..., :3].astype(int)
        assert pixels.shape[1] >= 1000
        upper = pixels[: int(0.55 * len(pixels))]
        left = upper[..., 0] - upper[..., 2] > 110
        right = upper[..., 2] - upper[..., 0] > 110
        half = pixels.shape[1] // 2
        for part in (slice(0, half), slice(half, None)):
            assert left[:, part].sum() > 150
            assert right[:, part].sum() > 150
            assert np.argwhere(left[:, part])[:, 1].mean() > np.argwhere(right[:, part])[:, 1].mean() + 50

    def test_scans_of_a_few_slices_and_without_lungs_are_drawn(self, tmp_path):
        thin = chest().volume.crop(k=slice(20, 23))
        refused = resultfiles.Found(thin, lungs.LungOptions(), refused=CTError("no_lungs", "No lungs were found."))
        resultfiles.write(tmp_path, refused)
        assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_uneven_slices_are_written_voxel_for_voxel(tmp_path):
    volume = chest().volume
    z_mm = np.arange(len(volume.array)) * 7.0
    z_mm[10:] += 7.0
    uneven = CTVolume(volume.array, volume.spacing, volume.origin, volume.direction, z_mm, meta=volume.meta)
    resultfiles.write(tmp_path, resultfiles.find(uneven))
    image = sitk.ReadImage(str(tmp_path / "lungs.nii.gz"))
    assert sitk.GetArrayFromImage(image).shape == volume.array.shape
    assert image.GetSpacing()[2] == pytest.approx(z_mm[-1] / (len(z_mm) - 1), abs=1e-3)

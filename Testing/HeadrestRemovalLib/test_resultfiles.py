"""The files of one scan: what they hold, where they lie, and what they say where nothing was found."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import matplotlib.image
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from CTVolumeLib import dicom
from CTVolumeLib.errors import CTError
from CTVolumeLib.phantom import write_dicom
from CTVolumeLib.volume import CTVolume
from HeadrestRemovalLib import measure, report_picture, resultfiles
from HeadrestRemovalLib.labels import HEADREST, PATIENT, TABLE
from HeadrestRemovalLib.remove import remove
from HeadrestRemovalLib.results import EquipmentResult
from support_chest import stored_otherwise
from support_equipment import TOUCHES, find_truth, head, true_labels
from support_validation import errors_in

FILES = {"equipment.seg.nrrd", "equipment.nii.gz", "cleaned.nrrd", "picture.png", "report.json"}
NOTE = ("gap", "There are 3 slices missing.")


def found_in(volume: CTVolume, labels: np.ndarray | None = None) -> resultfiles.Found:
    """A result by the truth, or by given labels."""
    result = find_truth(volume) if labels is None else EquipmentResult(labels, "clustering", 0.0, ())
    measures = measure.measure(volume, result.labels)
    return resultfiles.Found(volume, result, measures, remove(volume, result.labels))


@pytest.fixture(scope="module")
def found() -> resultfiles.Found:
    """The phantom as it is read from somewhere."""
    volume = head().volume
    return found_in(replace(volume, meta={**volume.meta, "source": "head.nii.gz", "warnings": (NOTE,)}))


@pytest.fixture(scope="module")
def folder(found, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "head"
    resultfiles.write(folder, found)
    return folder


@pytest.fixture
def quick(monkeypatch):
    """Without the picture, which takes longest and has tests of its own."""
    monkeypatch.setattr(resultfiles.report_picture, "draw", lambda *_: b"PNG")


def report_of(folder) -> dict:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_all_files_are_there_and_nothing_else(folder):
    assert {path.name for path in folder.iterdir()} == FILES


def test_report_tells_what_was_found(folder, found):
    content = report_of(folder)
    assert content["schema"] == "ct-headrest/1"
    assert content["refused"] is None
    assert content["series"]["source"] == "head.nii.gz"
    assert content["series"]["slices"] == len(head().volume.array)
    assert [(entry["code"], entry["text"]) for entry in content["warnings"]] == [NOTE, TOUCHES]
    assert content["method"] == "clustering"
    assert content["contact_cm2"] == pytest.approx(found.result.contact_cm2, abs=0.01)
    assert content["labels"]["2"] == "headrest"
    assert content["cleaned"] == "cleaned.nrrd"
    assert content["fill"] == {"asked": -1000.0, "hu": -1000.0}
    assert "not a medical device" in content["use"]
    for name in ("headrest", "table"):
        mask = head().masks[name]
        row = content["measures"][name]
        assert row["volume_ml"] == pytest.approx(np.count_nonzero(mask) * 0.25, rel=1e-3)
        assert row["mean_hu"] == pytest.approx(head().volume.array[mask].mean(), abs=0.01)
    assert content["measures"]["other equipment"]["mean_hu"] is None


def test_the_same_scan_gives_the_same_bytes(folder, found, tmp_path):
    resultfiles.write(tmp_path, found)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_labels_lie_on_the_scan_and_the_patient_is_no_segment(folder):
    image = sitk.ReadImage(str(folder / "equipment.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), true_labels(head()))
    assert image.GetOrigin() == pytest.approx(head().volume.origin, abs=1e-3)
    assert image.GetSpacing() == pytest.approx(head().volume.spacing)
    segments = sitk.ReadImage(str(folder / "equipment.seg.nrrd"))
    values = sitk.GetArrayFromImage(segments)
    np.testing.assert_array_equal(values, np.where(true_labels(head()) == PATIENT, 0, true_labels(head())))
    named = {int(segments.GetMetaData(f"Segment{n}_LabelValue")): segments.GetMetaData(f"Segment{n}_Name")
             for n in range(3)}  # fmt: skip
    assert named[HEADREST].lower() == "headrest"
    assert named[TABLE].lower() == "table"


def test_other_storage_orders_give_the_same_scan(quick, tmp_path):
    """By what nibabel makes of the file."""
    volume = stored_otherwise(head().volume)
    resultfiles.write(tmp_path, found_in(volume), "nifti")
    image = nibabel.as_closest_canonical(nibabel.load(tmp_path / "cleaned.nii.gz"))
    ras = np.asarray(image.dataobj)  # i to the right, j to the front, k up
    expected = np.where(true_labels(head()) >= 2, -1000, head().volume.array)
    np.testing.assert_array_equal(ras.T[:, ::-1, ::-1], expected)
    assert image.get_data_dtype() == np.int16


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_what_is_kept_is_the_same_to_the_bit(quick, tmp_path, dtype):
    array = head().volume.array.astype(dtype)
    if dtype is np.float32:
        array += np.float32(0.123)
    found = found_in(head().volume.with_array(array))
    for name in ("nrrd", "nifti"):
        resultfiles.write(tmp_path / name, found, name)
        again = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / name / resultfiles.CLEANED[name])))
        assert again.dtype == dtype
        kept = true_labels(head()) < 2
        assert again[kept].tobytes() == array[kept].tobytes()
        assert set(np.unique(again[~kept])) == {-1000}


def test_derived_series_says_what_was_done_and_is_valid(quick, tmp_path):
    import pydicom

    write_dicom(head().volume, tmp_path / "source", transfer_syntax="jpegls", description="Head 1.0 H40s")
    volume = dicom.read(tmp_path / "source")
    resultfiles.write(tmp_path / "out", found_in(volume), "dicom")
    paths = sorted((tmp_path / "out" / "cleaned").iterdir())
    assert len(paths) == len(volume.array)
    header = pydicom.dcmread(paths[3])
    assert header.SeriesDescription == "Head 1.0 H40s, without equipment"
    for words in ("headrest, table", "clustering", "-1000 HU", "Research use only"):
        assert words in header.DerivationDescription
    assert errors_in(paths[3]) == errors_in(volume.sources[3])
    expected = np.where(true_labels(head()) >= 2, -1000, volume.array)
    np.testing.assert_array_equal(dicom.read(tmp_path / "out" / "cleaned").array, expected)


def test_fill_that_the_series_can_not_store_is_a_warning(quick, tmp_path):
    write_dicom(head().volume, tmp_path / "source")
    volume = dicom.read(tmp_path / "source")
    found = replace(found_in(volume), cleaned=remove(volume, true_labels(head()), -1200.0))
    report = resultfiles.write(tmp_path / "out", found, "dicom")
    assert "fill_rounded" in [entry["code"] for entry in report["warnings"]]


def test_no_equipment_is_a_result_with_the_scan_as_it_was(quick, tmp_path):
    labels = np.where(true_labels(head()) == PATIENT, np.uint8(PATIENT), np.uint8(0))
    resultfiles.write(tmp_path, found_in(head().volume, labels))
    again = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "cleaned.nrrd")))
    np.testing.assert_array_equal(again, head().volume.array)
    report = report_of(tmp_path)
    assert report["fill"]["hu"] is None
    assert report["measures"]["all equipment"]["volume_ml"] == 0


def test_what_the_scan_is_comes_as_result_and_anything_else_as_error(tmp_path, monkeypatch):
    def refuse(code: str):
        def find(*_: object) -> EquipmentResult:
            raise CTError(code, "No body was found in it.", "Choose another.")

        monkeypatch.setattr(resultfiles.equipment, "find", find)

    refuse("no_body")
    found = resultfiles.find(head().volume)
    resultfiles.write(tmp_path, found)
    assert {path.name for path in tmp_path.iterdir()} == {"picture.png", "report.json"}
    report = report_of(tmp_path)
    assert report["refused"] == {"code": "no_body", "text": "No body was found in it."}
    assert report["cleaned"] is report["method"] is None
    refuse("cancelled")
    with pytest.raises(CTError):
        resultfiles.find(head().volume)


def pixels_of(png: bytes) -> np.ndarray:
    return (matplotlib.image.imread(io.BytesIO(png)) * 255).round()[..., :3].astype(int)


def coloured(pixels: np.ndarray) -> np.ndarray:
    return np.ptp(pixels, axis=2) > 40


class TestPicture:
    def draw(self, found: resultfiles.Found, warnings: tuple[str, ...] = ()) -> np.ndarray:
        labels = None if found.result is None else found.result.labels
        png = report_picture.draw(
            found.volume, labels, found.cleaned, found.measures, warnings, "head", "Nothing here."
        )
        return pixels_of(png)

    def test_equipment_has_colours_in_the_upper_row_only(self, found):
        pixels = self.draw(found)
        height, width = pixels.shape[:2]
        shown = coloured(pixels)
        for column in range(3):
            part = shown[: int(0.4 * height), column * width // 3 : (column + 1) * width // 3]
            assert part.mean() > 0.004, "each plane shows equipment"
        assert not shown[int(0.47 * height) : int(0.8 * height)].any(), "the scan without equipment has none"

    def test_equipment_is_gone_in_the_lower_row(self, found):
        same = self.draw(replace(found, cleaned=found.volume))
        height = same.shape[0]
        lower = slice(int(0.47 * height), int(0.8 * height))
        changed = (same != self.draw(found)).any(axis=2)
        assert changed[lower].mean() > 0.01
        assert not changed[: int(0.42 * height)].any()

    def test_warnings_and_refusal_are_written(self, found):
        plain = self.draw(found)
        warned = self.draw(found, ("The headrest may touch the head, so look at the cut.",) * 20)
        bottom = slice(int(0.86 * plain.shape[0]), None)
        assert (plain[bottom] != warned[bottom]).any()
        refused = self.draw(resultfiles.Found(found.volume, refused=CTError("no_body", "Nothing here.")))
        assert refused.shape[0] < plain.shape[0], "there is no scan without equipment to show"
        assert coloured(refused[int(0.7 * refused.shape[0]) :]).any(), "the reason is red"

    def test_sheared_slices_are_drawn(self, found):
        count = len(found.volume.array)
        origins = found.volume.origins() + np.outer(np.arange(count), (0.0, 3.0, 0.0))
        tilted = replace(found.volume, slice_origins=origins, positions=np.arange(count) * 10.0)
        cleaned = replace(tilted, array=found.cleaned.array)
        assert coloured(self.draw(replace(found, volume=tilted, cleaned=cleaned))).mean() > 0.01

    @pytest.mark.parametrize("shape", [(1, 40, 40), (60, 1, 40), (2, 8, 300)])
    def test_odd_shapes_are_drawn(self, shape):
        volume = CTVolume(np.full(shape, -1000, np.int16), (1.0, 1.0, 5.0))
        labels = np.zeros(shape, np.uint8)
        labels[..., -3:] = HEADREST
        assert self.draw(found_in(volume, labels)).size

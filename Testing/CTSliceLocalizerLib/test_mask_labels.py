"""Labels from masks, on disk and by the command: labels.json beside DICOM series, a table for volume files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from CTSliceLocalizerLib import groundtruth, mask_labels, phantoms
from CTSliceLocalizerLib.cli import main
from CTSliceLocalizerLib.landmarks import NAMES
from CTVolumeLib import dicom, phantom, phantom_structures
from support_masks import phantom_with


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A phantom with masks, as the command writes it, and its truth."""
    out = tmp_path_factory.mktemp("phantom")
    truth = phantoms.write(out, coverage=(0.05, 0.44), spacing=(4.0, 4.0, 4.0), seed=3, variation=0.05, masks=True)
    return out, truth["baseline"]["landmarks"]


@pytest.fixture
def series(written, tmp_path):
    """A copy of the series that may be changed, and the folder with its masks."""
    out, truth = written
    shutil.copytree(out / "phantom", tmp_path / "series")
    return tmp_path / "series", out / "masks", truth


def z_by_file(folder: Path) -> dict[str, float]:
    one = dicom.series_in(folder)[0]
    return {header.source.name: z for header, z in zip(one.slices, one.heights())}


def test_labels_name_the_slices_of_the_landmarks(series, capsys):
    folder, masks, truth = series
    assert main(["label-masks", str(folder), "--masks", str(masks)]) == 0
    text = (folder / "labels.json").read_text()
    labels = json.loads(text)
    assert text == json.dumps(labels)  # byte for byte what the article's program writes
    heights = z_by_file(folder)
    assert list(labels) == list(NAMES[2:11])  # the orbit and the femoral heads are cut off
    assert all(abs(heights[labels[name]] - truth[name]) <= 8 for name in labels)
    said = capsys.readouterr().out
    assert "9 landmarks" in said
    assert "no Center of orbit: it is cut off" in said


def test_a_persons_labels_are_kept(series, capsys):
    folder, masks, _ = series
    (folder / "labels.json").write_text('{"note": "mine", "T12": "IM0003.dcm"}')
    command = ["label-masks", str(folder), "--masks", str(masks)]
    assert main(command) == 0
    labels = json.loads((folder / "labels.json").read_text())
    assert list(labels.items())[:2] == [("note", "mine"), ("T12", "IM0003.dcm")]
    assert "kept as they were: T12" in capsys.readouterr().out
    assert main([*command, "--replace"]) == 0
    labels = json.loads((folder / "labels.json").read_text())
    assert labels["note"] == "mine"
    assert labels["T12"] != "IM0003.dcm"
    before = (folder / "labels.json").stat().st_mtime_ns
    assert main(command) == 0
    assert (folder / "labels.json").stat().st_mtime_ns == before  # nothing new, nothing written


def test_masks_of_another_scan_are_refused(series, tmp_path, capsys):
    folder, _, _ = series
    made = phantom_with(spacing=(4.0, 4.0, 4.0), vertex_z_mm=2000.0)
    phantom_structures.write_segmentation(made, tmp_path / "other.seg.nrrd")
    assert main(["label-masks", str(folder), "--masks", str(tmp_path / "other.seg.nrrd")]) == 3
    assert "lie elsewhere" in capsys.readouterr().out
    assert not (folder / "labels.json").exists()


def test_swapped_vertebrae_give_no_labels(series, tmp_path, capsys):
    """T12 and L1 exchanged: both are dropped, and it is said."""
    folder, masks, _ = series
    path = next(masks.iterdir())
    image = sitk.ReadImage(str(path))
    for n in range(60):
        name = f"Segment{n}_Name"
        if image.HasMetaDataKey(name):
            swapped = {"vertebrae_T12": "vertebrae_L1", "vertebrae_L1": "vertebrae_T12"}
            image.SetMetaData(name, swapped.get(image.GetMetaData(name), image.GetMetaData(name)))
    sitk.WriteImage(image, str(tmp_path / "swapped.seg.nrrd"))
    assert main(["label-masks", str(folder), "--masks", str(tmp_path / "swapped.seg.nrrd")]) == 0
    labels = json.loads((folder / "labels.json").read_text())
    assert not {"T12", "L1"} & set(labels)
    assert "C7" in labels
    assert "L1 lies" in capsys.readouterr().out


def test_a_tree_of_volumes_as_totalsegmentator_publishes_it(tmp_path, capsys):
    truth = {}
    for number in (1, 2):
        made = phantom_with(spacing=(4.0, 4.0, 4.0), seed=number, variation=0.05, coverage=(0.12, 0.38))
        truth[f"s{number:04d}"] = made.landmarks
        folder = tmp_path / "set" / f"s{number:04d}" / "segmentations"
        folder.mkdir(parents=True)
        labels, names = phantom_structures.segment(made)
        for name, value in names.items():
            image = sitk.GetImageFromArray((labels == value).astype(np.uint8))
            image.SetSpacing(made.volume.spacing)
            image.SetOrigin(made.volume.origin)
            sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    table = tmp_path / "landmarks.csv"
    assert main(["label-masks", str(tmp_path / "set"), "--table", str(table)]) == 0
    found = groundtruth.read_landmarks(table)
    assert set(found) == {"s0001", "s0002"}
    for scan, landmarks in found.items():
        assert {"C7", "T1", "Aortic arch", "T12", "L1"} <= set(landmarks)
        for name, landmark in landmarks.items():
            assert abs(landmark.z_mm - truth[scan][name]) < 6
            assert 2 <= landmark.uncertainty_mm <= 8
    assert "s0001: " in capsys.readouterr().out


def test_series_without_masks_are_told(series, tmp_path, capsys):
    folder, _, _ = series
    assert main(["label-masks", str(folder)]) == 3
    assert "no masks found" in capsys.readouterr().out
    (tmp_path / "nothing").mkdir()
    assert main(["label-masks", str(tmp_path / "nothing")]) == 3
    assert "holds no CT series and no masks" in capsys.readouterr().err


def test_one_enhanced_file_has_no_slices_to_name(tmp_path, capsys):
    made = phantom_with(spacing=(4.0, 4.0, 8.0))
    phantom.write_dicom(made.volume, tmp_path / "series", multi_frame=True)
    phantom_structures.write_segmentation(made, tmp_path / "m.seg.nrrd")
    assert main(["label-masks", str(tmp_path / "series"), "--masks", str(tmp_path / "m.seg.nrrd")]) == 3
    assert "not stored as one file per slice" in capsys.readouterr().out


def test_masks_beside_the_series_are_found(series):
    folder, masks, _ = series
    shutil.copy(next(masks.iterdir()), folder / "segmentations.seg.nrrd")
    scans, without = mask_labels.scans_in(folder)
    assert (len(scans), without) == (1, [])
    assert mask_labels.label(scans[0]).written

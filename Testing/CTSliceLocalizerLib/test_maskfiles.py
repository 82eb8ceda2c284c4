"""Named structures from the files that segmentation programs write."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from CTSliceLocalizerLib import maskfiles
from CTVolumeLib.errors import CTError

WANTED = ("vertebrae_C1", "hip_left", "lung_right", "eye_left")


def blocks() -> np.ndarray:
    """(k, j, i) labels 1, 2, 3 in three blocks."""
    labels = np.zeros((12, 10, 8), dtype=np.uint8)
    labels[2:5, 3:6, 2:4], labels[7:12, 1:3, 5:8], labels[5:7, 6:8, 2:4] = 1, 2, 3
    return labels


def image_of(
    array: np.ndarray, meta: dict[str, str] | None = None, direction=(1, 0, 0, 0, 1, 0, 0, 0, 1)
) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 2.0, 3.0))
    image.SetOrigin((5.0, 6.0, -100.0))
    image.SetDirection(direction)
    for key, value in (meta or {}).items():
        image.SetMetaData(key, value)
    return image


def check(found: dict) -> None:
    assert set(found) == {"vertebrae_C1", "hip_left"}
    vertebra, hip = found["vertebrae_C1"], found["hip_left"]
    assert vertebra.inside.sum() == 18
    assert hip.inside.sum() == 30
    assert vertebra.z_mm[vertebra.inside.any(axis=(1, 2))].tolist() == [-94.0, -91.0, -88.0]
    assert vertebra.spacing == (1.0, 2.0, 3.0)
    assert (vertebra.cut_below, vertebra.cut_above) == (False, False)
    assert (hip.cut_below, hip.cut_above) == (False, True)
    assert (vertebra.first, hip.first) == ((2, 1), (0, 4))


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("vertebrae_C1", "C1 vertebra"),
        ("vertebrae_C1", "C1"),
        ("lung_upper_lobe_right", "right lung"),
        ("lung_lower_lobe_right", "Lower lobe of right lung"),
        ("hip_left", "left hip bone"),
        ("eye_left", "eyeball_left"),
        ("trachea", "airway"),
    ],
)
def test_names_are_compared_by_their_words(name, same):
    assert maskfiles.key(name) == maskfiles.key(same)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("vertebrae_C1", "vertebrae_C7"),
        ("vertebrae_T1", "vertebrae_T12"),
        ("hip_left", "hip_right"),
        ("eye_left", "eye_lens_left"),
        ("lung_right", "lung_vessels"),
        ("liver", "liver_vessels"),
        ("femur_left", "hip_left"),
    ],
)
def test_other_names_are_others(name, other):
    assert maskfiles.key(name) != maskfiles.key(other)


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_a_folder_with_a_file_per_structure(tmp_path: Path, ending):
    for name, value in (("vertebrae_C1", 1), ("hip_left", 2), ("spleen", 3)):
        sitk.WriteImage(image_of((blocks() == value).astype(np.uint8)), str(tmp_path / f"{name}{ending}"))
    sitk.WriteImage(image_of(np.zeros((12, 10, 8), np.uint8)), str(tmp_path / f"eye_left{ending}"))  # empty
    check(maskfiles.read(tmp_path, WANTED))


def test_lobes_are_one_lung(tmp_path: Path):
    for name, value in (("lung_upper_lobe_right", 1), ("lung_lower_lobe_right", 3)):
        sitk.WriteImage(image_of((blocks() == value).astype(np.uint8)), str(tmp_path / f"{name}.nii.gz"))
    assert maskfiles.read(tmp_path, WANTED)["lung_right"].inside.sum() == 18 + 8


def test_segments_of_slicer(tmp_path: Path):
    meta = {
        "Segment0_Name": "C1 vertebra", "Segment0_LabelValue": "1", "Segment0_Layer": "0",
        "Segment1_Name": "left hip", "Segment1_LabelValue": "2", "Segment1_Layer": "0",
    }  # fmt: skip
    sitk.WriteImage(image_of(blocks(), meta), str(tmp_path / "s.seg.nrrd"))
    check(maskfiles.read(tmp_path / "s.seg.nrrd", WANTED))


def test_overlapping_segments_lie_in_layers(tmp_path: Path):
    labels = blocks()
    layers = np.stack([(labels == 1).astype(np.uint8), (labels == 2).astype(np.uint8)], axis=-1)
    image = sitk.GetImageFromArray(layers, isVector=True)
    image.SetSpacing((1.0, 2.0, 3.0))
    image.SetOrigin((5.0, 6.0, -100.0))
    for n, name in enumerate(("vertebrae_C1", "hip_left")):
        for key, text in (("Name", name), ("LabelValue", "1"), ("Layer", str(n))):
            image.SetMetaData(f"Segment{n}_{key}", text)
    sitk.WriteImage(image, str(tmp_path / "s.seg.nrrd"))
    check(maskfiles.read(tmp_path / "s.seg.nrrd", WANTED))


def test_names_in_the_header_of_a_label_map(tmp_path: Path):
    """TotalSegmentator writes the names of its label map into an extension of the NIfTI header."""
    path = tmp_path / "all.nii"
    sitk.WriteImage(image_of(blocks()), str(path))
    data = path.read_bytes()
    text = (
        b"<CaretExtension><VolumeInformation><LabelTable>"
        b'<Label Key="1" Red="1" Green="0" Blue="0" Alpha="1"><![CDATA[vertebrae_C1]]></Label>\n'
        b'<Label Key="2" Red="1" Green="0" Blue="0" Alpha="1"><![CDATA[hip_left]]></Label>'
        b"</LabelTable></VolumeInformation></CaretExtension>"
    )
    size = (len(text) + 8 + 15) // 16 * 16
    extension = np.array([size, 0], "<i4").tobytes() + text.ljust(size - 8, b"\0")
    header = bytearray(data[:348])
    header[108:112] = np.array([352 + size], "<f4").tobytes()
    whole = bytes(header) + b"\1\0\0\0" + extension + data[352:]
    path.write_bytes(whole)
    check(maskfiles.read(path, WANTED))
    packed = tmp_path / "packed.nii.gz"
    packed.write_bytes(gzip.compress(whole))
    check(maskfiles.read(packed, WANTED))


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("all.json", json.dumps({"1": "vertebrae_C1", "2": "hip_left"})),
        ("dataset.json", json.dumps({"labels": {"background": 0, "vertebrae_C1": 1, "hip_left": 2}})),
        ("dataset.json", json.dumps({"labels": {"0": "background", "1": "vertebrae_C1", "2": "hip_left"}})),
        ("all.csv", "value,name\n1,vertebrae_C1\n2,hip_left\n"),
        ("all.ctbl", "# Color table\n1 vertebrae_C1 255 0 0 255\n2 hip_left 0 255 0 255\n"),
    ],
)
def test_tables_of_names(tmp_path: Path, table, text):
    sitk.WriteImage(image_of(blocks()), str(tmp_path / "all.nii.gz"))
    (tmp_path / table).write_text(text)
    check(maskfiles.read(tmp_path / "all.nii.gz", WANTED))
    elsewhere = tmp_path / "other" / f"names{Path(table).suffix}"
    elsewhere.parent.mkdir()
    (tmp_path / table).rename(elsewhere)
    check(maskfiles.read(tmp_path / "all.nii.gz", WANTED, names=elsewhere))


def test_volumes_stored_upside_down_are_turned(tmp_path: Path):
    flipped = image_of((blocks() == 1)[::-1].astype(np.uint8), direction=(1, 0, 0, 0, 1, 0, 0, 0, -1))
    flipped.SetOrigin((5.0, 6.0, -100.0 + 11 * 3))
    sitk.WriteImage(flipped, str(tmp_path / "vertebrae_C1.nrrd"))
    part = maskfiles.read(tmp_path, WANTED)["vertebrae_C1"]
    assert part.z_mm[part.inside.any(axis=(1, 2))].tolist() == [-94.0, -91.0, -88.0]


def test_what_can_not_be_used_is_told(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CTError, match="names none of the structures"):
        maskfiles.read(tmp_path / "empty", WANTED)
    sitk.WriteImage(image_of(blocks()), str(tmp_path / "all.nii.gz"))
    with pytest.raises(CTError, match="does not say what its labels"):
        maskfiles.read(tmp_path / "all.nii.gz", WANTED)
    (tmp_path / "all.json").write_text("[1, 2")
    with pytest.raises(CTError, match=r"table of names all\.json"):
        maskfiles.read(tmp_path / "all.nii.gz", WANTED)
    (tmp_path / "bad.nii.gz").write_bytes(b"no image")
    with pytest.raises(CTError, match=r"bad\.nii\.gz can't be read"):
        maskfiles.read(tmp_path / "bad.nii.gz", WANTED)
    with pytest.raises(CTError, match="no segmentation file"):
        maskfiles.read(tmp_path / "all.json", WANTED)

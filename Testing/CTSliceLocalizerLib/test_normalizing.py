from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from CTSliceLocalizerLib import annotations, normalizing, organizer
from CTVolumeLib import dicom
from CTVolumeLib.errors import CTError
from CTVolumeLib.phantom import write_dicom
from CTVolumeLib.volume import CTVolume

TOP_MM = 300.0
STEP_MM = 5.0
RIGHT = {"C1": 20, "C7": 41, "T1": 44, "Aortic arch": 57}
"""Slices, counted from the head, 5 mm apart: 105, 15 and 65 mm between the landmarks."""


def write_series(folder: Path, *, slices: int = 60, series_number: int = 1, **more) -> str:
    """A series of small slices from z = 300 mm down; file and instance number count from the head. Returns its UID."""
    array = np.random.default_rng(0).integers(-1000, 1000, (slices, 8, 8)).astype(np.int16)
    volume = CTVolume(array, spacing=(50.0, 50.0, STEP_MM), origin=(0.0, 0.0, TOP_MM - STEP_MM * (slices - 1)))
    write_dicom(volume, folder, series_number=series_number, **more)
    return dicom.series_in(folder)[0].uid


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """``raw`` with two series of a patient, and ``tree``, the same organized."""
    folder = tmp_path_factory.mktemp("made")
    write_series(folder / "raw/a", patient_id="P1")
    write_series(folder / "raw/b", patient_id="P1", series_number=2, slices=30)
    organizer.organize([folder / "raw"], folder / "tree")
    return folder


@pytest.fixture
def tree(made, tmp_path) -> Path:
    """An organized patient with two series; the files as they were are beside it."""
    for name in ("raw", "tree"):
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path / "tree"


def first(tree: Path) -> Path:
    """The folder of the first series."""
    return max((path for path in tree.glob("P1/*/*")), key=lambda path: len(list(path.glob("*.dcm"))))


def files(slices: dict[str, int], pattern: str = "{}.dcm") -> dict[str, str]:
    return {name: pattern.format(number) for name, number in slices.items()}


class TestLocations:
    def test_between_and_beyond_the_landmarks(self, tree):
        folder = first(tree)
        annotations.write_labels(folder / "labels.json", files(RIGHT))
        result = normalizing.normalize(tree)
        place = folder.relative_to(tree).as_posix()
        assert list(result.locations) == [f"{place}/{n}.dcm" for n in range(1, 61)]
        by_number = dict(zip(range(1, 61), result.locations.values()))
        for name, location in (("C1", 0.1), ("C7", 0.15), ("T1", 0.16), ("Aortic arch", 0.2)):
            assert by_number[RIGHT[name]] == pytest.approx(location, abs=1e-12)
        assert by_number[30] == pytest.approx(0.1 + 0.05 * 10 / 21)
        assert by_number[1] == pytest.approx(0.1 - 0.05 * 19 / 21)
        assert by_number[60] == pytest.approx(0.2 + 0.04 * 3 / 13)
        assert (result.left_out, result.problems) == ((), [])
        assert result.used[0].z_mm["C1"] == pytest.approx(TOP_MM - 19 * STEP_MM)

    def test_the_file_is_what_json_dump_writes(self, tree, tmp_path):
        annotations.write_labels(first(tree) / "labels.json", files(RIGHT))
        result = normalizing.normalize(tree)
        result.write(tmp_path / "combined_normalized_locations.json")
        text = (tmp_path / "combined_normalized_locations.json").read_text()
        assert text == json.dumps(dict(result.locations))
        assert len(json.loads(text)) == 60
        assert text.startswith('{"P1/')

    def test_the_height_of_a_slice_is_that_of_the_volume(self, tmp_path):
        angle = np.deg2rad(15)
        direction = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
        array = np.zeros((4, 6, 9), np.int16)
        volume = CTVolume(array, spacing=(2.0, 3.0, 4.0), origin=(1.0, 2.0, 3.0), direction=tuple(direction.ravel()))
        write_dicom(volume, tmp_path)
        (series,) = dicom.series_in(tmp_path)
        expected = dicom.read(tmp_path).superior()
        np.testing.assert_allclose(series.heights(), expected, atol=1e-4)
        assert np.ptp(expected) > 10


class TestWhereLabelsLie:
    @pytest.mark.parametrize("name", ["{uid}/labels.json", "{uid}.labels.json", "{uid}.json", "deep/{uid}.json"])
    def test_in_a_folder_of_their_own(self, tree, tmp_path, name):
        path = tmp_path / "labels" / name.format(uid=first(tree).name)
        annotations.write_labels(path, files(RIGHT))
        assert len(normalizing.normalize(tree, tmp_path / "labels").locations) == 60

    def test_beside_the_slices_by_uid(self, tree):
        annotations.write_labels(first(tree) / f"{first(tree).name}.labels.json", files(RIGHT))
        assert len(normalizing.normalize(tree).locations) == 60

    @pytest.mark.parametrize("name", ["a.json", "a/labels.json", "{uid}.json"])
    def test_of_files_that_nobody_organized(self, tree, tmp_path, name):
        path = tmp_path / "labels" / name.format(uid=first(tree).name)
        annotations.write_labels(path, files(RIGHT, "IM{:04d}.dcm"))
        result = normalizing.normalize(tmp_path / "raw", tmp_path / "labels")
        assert list(result.locations)[:2] == ["a/IM0001.dcm", "a/IM0002.dcm"]

    def test_two_series_in_one_folder(self, tree, tmp_path):
        mixed = tmp_path / "mixed"
        mixed.mkdir()
        uids = [write_series(tmp_path / f"m{n}", series_number=n, slices=58 + n) for n in (1, 2)]
        for n in (1, 2):
            for path in (tmp_path / f"m{n}").iterdir():
                path.rename(mixed / f"{n}-{path.name}")
        annotations.write_labels(mixed / f"{uids[1]}.labels.json", files(RIGHT, "2-IM{:04d}.dcm"))
        assert len(normalizing.normalize(mixed).locations) == 60
        (mixed / f"{uids[1]}.labels.json").rename(mixed / "labels.json")
        assert len(normalizing.normalize(mixed).locations) == 60

    def test_no_labels_are_said(self, tree, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(CTError, match="tree holds no labels"):
            normalizing.normalize(tree)
        with pytest.raises(CTError, match="empty holds no labels"):
            normalizing.normalize(tree, tmp_path / "empty")
        for arguments in ((tmp_path / "none",), (tree, tmp_path / "none")):
            with pytest.raises(CTError, match="There is no folder none"):
                normalizing.normalize(*arguments)


def problems(tree: Path, labels: dict | str) -> list[str]:
    """What is said about labels of the first series, one landmark a line."""
    text = labels if isinstance(labels, str) else json.dumps(labels, indent=1)
    (first(tree) / "labels.json").write_text(text)
    result = normalizing.normalize(tree)
    assert bool(result.problems) != bool(result.locations)  # never both: nothing is made of bad labels
    return [str(problem).replace(first(tree).name, "UID") for problem in result.problems]


class TestProblems:
    def test_c7_above_c1(self, tree):
        assert problems(tree, files({"C1": 41, "C7": 20})) == [
            "UID/labels.json:3: C7 lies 105 mm above C1; it has to be below."
        ]

    def test_a_file_that_is_not_there(self, tree):
        assert problems(tree, files({**RIGHT, "C7": 99})) == ["UID/labels.json:3: C7 names 99.dcm, which is not there."]

    @pytest.mark.parametrize("name", ["../x.dcm", "", "."])
    def test_a_name_that_is_no_file(self, tree, name):
        (text,) = problems(tree, {**files(RIGHT), "C7": name})
        assert text.startswith("UID/labels.json:3: C7 names ")

    def test_a_file_that_is_no_slice(self, tree):
        (first(tree) / "notes.txt").write_text("")
        (text,) = problems(tree, {**files(RIGHT), "T1": "notes.txt"})
        assert text == "UID/labels.json:4: T1 names notes.txt, which is no CT slice that can be read."

    def test_a_file_of_another_series(self, tree):
        other = next(path for path in tree.glob("P1/*/*") if path != first(tree))
        (other / "5.dcm").rename(first(tree) / "205.dcm")
        (text,) = problems(tree, {**files(RIGHT), "C7": "205.dcm"})
        assert text == "UID/labels.json:3: C7 names 205.dcm, which belongs to another series."

    def test_a_folder_that_holds_another_series(self, tree):
        folder = first(tree)
        folder.rename(folder.parent / "1.2.3.4.5")
        assert problems(tree, files(RIGHT))[
            -1
        ] == "1.2.3.4.5/labels.json: the series of the labels is not there.".replace(first(tree).name, "UID")

    def test_labels_of_a_series_that_is_not_there(self, tree, tmp_path):
        annotations.write_labels(tmp_path / "labels/1.2.3.4.99.json", files(RIGHT))
        result = normalizing.normalize(tree, tmp_path / "labels")
        assert "there is no series or folder 1.2.3.4.99" in str(result.problems[0])
        assert result.locations == {}

    def test_a_landmark_twice(self, tree):
        (text,) = problems(tree, '{"C1": "20.dcm",\n "C7": "30.dcm",\n "C7": "41.dcm"}')
        assert text == "UID/labels.json:3: C7 is there more than once."

    def test_a_landmark_that_is_written_otherwise(self, tree):
        (text,) = problems(tree, {**files(RIGHT), "aortic Arch": "3.dcm"})
        assert text == "UID/labels.json:6: aortic Arch is no landmark; write Aortic arch."

    def test_a_value_that_names_no_file(self, tree):
        assert problems(tree, {"C1": 69, "C7": "41.dcm"})[0] == "UID/labels.json:2: C1 has to name a file."

    @pytest.mark.parametrize(("labels", "text"), [({"C1": "20.dcm"}, "two at least"), ({"x": "y"}, "no landmark")])
    def test_too_few(self, tree, labels, text):
        assert text in problems(tree, labels)[0]

    def test_a_damaged_file(self, tree):
        assert "labels.json, line 2" in problems(tree, '{"C1": "1.dcm"\n "C7"')[0]

    def test_keys_of_others_are_no_problem(self, tree):
        assert problems(tree, {"reader": "AB", **files(RIGHT), "done": True}) == []

    def test_other_series_are_not_affected(self, tree):
        other = next(path for path in tree.glob("P1/*/*") if path != first(tree))
        annotations.write_labels(other / "labels.json", files({"C1": 2, "C7": 23}))
        (first(tree) / "labels.json").write_text("{}")
        result = normalizing.normalize(tree)
        assert len(result.locations) == 30
        assert [series.folder for series in result.left_out] == [first(tree)]

    def test_what_is_no_axial_ct(self, tree):
        for path in first(tree).glob("*.dcm"):
            _edit(path, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
        assert "not axial" in problems(tree, files(RIGHT))[-1]
        for path in first(tree).glob("*.dcm"):
            _edit(path, Modality="MR")
        assert "can't be used" in problems(tree, files(RIGHT))[-1]

    def test_files_with_many_slices(self, tmp_path):
        write_series(tmp_path / "multi", multi_frame=True)
        annotations.write_labels(tmp_path / "multi/labels.json", {"C1": "enhanced.dcm", "C7": "enhanced.dcm"})
        assert "several slices each" in str(normalizing.normalize(tmp_path).problems[0])


def _edit(path: Path, **elements) -> None:
    import pydicom

    dataset = pydicom.dcmread(path)
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.save_as(path)


def test_cancel(tree):
    annotations.write_labels(first(tree) / "labels.json", files(RIGHT))
    with pytest.raises(CTError, match="cancelled"):
        normalizing.normalize(tree, progress=lambda *_: False)


@pytest.mark.realct
def test_real_series(ct_data, tmp_path):
    folder = ct_data / "dicom"
    result = normalizing.normalize(folder, folder / "labels")
    assert result.problems == []
    assert len(result.used) == 2
    chest = {name: z for name, z in result.locations.items() if name.startswith("chest")}
    assert len(chest) == 30
    labels = json.loads((folder / "labels/chest_8mm_jpeg2000.json").read_text())
    assert chest[f"chest_8mm_jpeg2000/{labels['Aortic arch']}"] == pytest.approx(0.2)
    assert chest[f"chest_8mm_jpeg2000/{labels['Right dome of diaphragm']}"] == pytest.approx(0.275)
    values = list(chest.values())
    assert values == sorted(values)  # head to feet, whatever the files are called

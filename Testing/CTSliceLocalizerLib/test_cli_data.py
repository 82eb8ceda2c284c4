"""``ct-localize organize``, ``normalize`` and ``partition``: what they say, write and return."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from CTSliceLocalizerLib import annotations, cli
from CTVolumeLib import commands
from CTVolumeLib.volume import CTVolume


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Series of two patients, 5 mm apart, and in one folder files that are no DICOM."""
    import numpy as np
    from CTVolumeLib.phantom import write_dicom

    folder = tmp_path_factory.mktemp("made")
    for seed in (1, 2):
        array = np.random.default_rng(seed).integers(-1000, 1000, (30, 8, 8)).astype(np.int16)
        volume = CTVolume(array, spacing=(50.0, 50.0, 5.0))
        write_dicom(volume, folder / f"s{seed}", seed=seed, patient_id=f"MRN{seed}", patient_name="SECRET^NAME")
    (folder / "s1/notes.txt").write_text("no DICOM")
    return folder


@pytest.fixture
def tree(made, tmp_path, capsys) -> Path:
    assert cli.main(["organize", str(made), "--out", str(tmp_path / "tree")]) == commands.DONE
    capsys.readouterr()
    return tmp_path / "tree"


def series(tree: Path, patient: str) -> Path:
    return next(tree.glob(f"{patient}/*/*"))


def label(tree: Path, patient: str, **numbers: int) -> None:
    path = series(tree, patient) / "labels.json"
    annotations.write_labels(path, {name: f"{number}.dcm" for name, number in numbers.items()})


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    code = cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert "SECRET" not in out + err
    return code, out, err


class TestOrganize:
    def test_says_what_it_did(self, made, tmp_path, capsys):
        code, out, err = run(capsys, "organize", made, "--out", tmp_path / "tree")
        assert (code, out) == (commands.DONE, "")
        assert "60 copied, 1 left. 2 series of 2 patients are in" in err
        assert "organize.csv" in err
        assert "SECRET" not in (tmp_path / "tree/organize.csv").read_text()
        assert len(list((tmp_path / "tree").glob("MRN*/*/*/*.dcm"))) == 60
        _, _, err = run(capsys, "organize", made, "--out", tmp_path / "tree", "--mode", "link")
        assert "60 already there, 1 left." in err

    def test_hashed_ids(self, made, tmp_path, capsys):
        code, _, _ = run(capsys, "organize", made, "--out", tmp_path / "tree", "--hash-ids", tmp_path / "ids.key")
        assert code == commands.DONE
        assert len(list((tmp_path / "tree").glob("patient-*"))) == 2
        assert "MRN" not in (tmp_path / "tree/organize.csv").read_text()

    def test_the_key_may_not_lie_among_the_data(self, made, tmp_path, capsys):
        code, _, err = run(capsys, "organize", made, "--out", tmp_path / "tree", "--hash-ids", tmp_path / "tree/a.key")
        assert code == commands.WRONG_CALL
        assert "among the data" in err
        assert not (tmp_path / "tree").exists()

    def test_failed_files_are_listed(self, made, tmp_path, capsys):
        place = tmp_path / "tree/MRN1"
        place.parent.mkdir()
        place.write_text("a file where the folder of a patient has to be")
        code, out, err = run(capsys, "organize", made, "--out", tmp_path / "tree")
        assert code == commands.SOME_FAILED
        assert out.count("its place can't be written") == 30
        assert "30 copied, 1 left, 30 failed" in err

    def test_nothing_usable(self, made, tmp_path, capsys):
        code, _, err = run(capsys, "organize", made / "s1/notes.txt", "--out", tmp_path / "tree")
        assert code == commands.NOTHING_USABLE
        assert "1 left" in err

    def test_progress_in_lines_for_other_programs(self, made, tmp_path, capsys, monkeypatch):
        monkeypatch.setenv("CT_LOCALIZE_PROGRESS", "lines")
        _, _, err = run(capsys, "organize", made / "s2", "--out", tmp_path / "tree")
        lines = [line.split() for line in err.splitlines() if line.startswith("progress ")]
        done = [int(line[1]) for line in lines]
        assert done == sorted(done)
        assert lines[-1] == ["progress", "60", "60", "Organizing"]


class TestNormalize:
    def test_writes_the_locations(self, tree, tmp_path, capsys):
        label(tree, "MRN1", C1=3, C7=24)
        code, out, err = run(capsys, "normalize", tree, "--out", tmp_path / "c.json")
        assert (code, out) == (commands.DONE, "")
        assert "30 slices of 1 series have a location in c.json." in err
        content = json.loads((tmp_path / "c.json").read_text())
        place = series(tree, "MRN1").relative_to(tree).as_posix()
        assert content[f"{place}/3.dcm"] == pytest.approx(0.1)

    def test_bad_labels_are_listed_and_left_out(self, tree, tmp_path, capsys):
        label(tree, "MRN1", C1=3, C7=24)
        label(tree, "MRN2", C1=24, C7=3)
        code, out, err = run(capsys, "normalize", tree, "--out", tmp_path / "c.json")
        assert code == commands.SOME_FAILED
        uid = series(tree, "MRN2").name
        assert out == f"{uid}/labels.json:1: C7 lies 105 mm above C1; it has to be below.\n"
        assert "1 series are left out" in err
        assert all(name.startswith("MRN1/") for name in json.loads((tmp_path / "c.json").read_text()))

    def test_nothing_is_written_where_nothing_is_usable(self, tree, tmp_path, capsys):
        label(tree, "MRN2", C1=24, C7=3)
        assert run(capsys, "normalize", tree, "--out", tmp_path / "c.json")[0] == commands.NOTHING_USABLE
        assert not (tmp_path / "c.json").exists()

    def test_no_labels(self, tree, tmp_path, capsys):
        code, _, err = run(capsys, "normalize", tree, "--out", tmp_path / "c.json")
        assert code == commands.NOTHING_USABLE
        assert "tree holds no labels" in err


class TestPartition:
    def test_counts_the_parts(self, tree, tmp_path, capsys):
        label(tree, "MRN1", C1=3, C7=24)
        label(tree, "MRN2", C1=3, C7=24)
        run(capsys, "normalize", tree, "--out", tmp_path / "c.json")
        code, out, err = run(capsys, "partition", tmp_path / "c.json", "--out", tmp_path / "p.json")
        assert code == commands.DONE
        assert [line.split(":")[0] for line in out.splitlines()] == ["train", "validation", "test"]
        assert sum(int(line.split()[1]) for line in out.splitlines()) == 2
        assert "another draw with --salt" in err  # two patients can't be in three parts
        first = (tmp_path / "p.json").read_bytes()
        run(capsys, "partition", tmp_path / "c.json", "--out", tmp_path / "p.json", "--salt", "x")
        assert json.loads(first)["salt"] != json.loads((tmp_path / "p.json").read_bytes())["salt"]

    def test_no_data(self, tmp_path, capsys):
        (tmp_path / "c.json").write_text("{}")
        assert run(capsys, "partition", tmp_path / "c.json", "--out", tmp_path / "p.json")[0] == commands.NOTHING_USABLE
        assert not (tmp_path / "p.json").exists()


@pytest.mark.realct
def test_real_scans_from_files_to_parts(ct_data, tmp_path, capsys):
    """The labels name files as they were; the log of the organizer tells what they are called now."""
    run(capsys, "organize", ct_data / "dicom", "--out", tmp_path / "tree")
    with (tmp_path / "tree/organize.csv").open(newline="") as file:
        place = {row["source"]: row["target"] for row in csv.DictReader(file)}
    for path in sorted((ct_data / "dicom/labels").glob("*.json")):
        labels = annotations.read_labels(path)
        files = {name: place[f"dicom/{path.stem}/{file}"] for name, file in labels.landmarks.items()}
        (folder,) = {(tmp_path / "tree" / file).parent for file in files.values()}
        annotations.write_labels(folder / "labels.json", {name: Path(file).name for name, file in files.items()})
    code, _, err = run(capsys, "normalize", tmp_path / "tree", "--out", tmp_path / "c.json")
    assert code == commands.DONE
    assert "104 slices of 2 series" in err
    assert run(capsys, "partition", tmp_path / "c.json", "--out", tmp_path / "p.json")[0] == commands.DONE

"""``ct-headrest``: what it writes, says and returns, for good and bad scans, and after a kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from CTVolumeLib import commands, dicom
from CTVolumeLib.errors import CTError
from HeadrestRemovalLib import cli, resultfiles
from support_batch import rows_of, wait_for
from support_chest import save, save_every_way
from support_equipment import find_truth, head, true_labels

FILES = {"equipment.seg.nrrd", "equipment.nii.gz", "picture.png", "report.json", "batch.json"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """With labels that are known, and without what takes longest: pictures have a test of their own."""
    monkeypatch.setattr(resultfiles.equipment, "find", find_truth)
    monkeypatch.setattr(resultfiles.report_picture, "draw", lambda *_: b"\x89PNG")


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    """A head as a volume file, in DICOM, in a zip and in coronal order; a file that is broken, an empty folder."""
    folder = tmp_path_factory.mktemp("scans")
    save_every_way(head().volume, folder, "head")
    return folder


def run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def report_of(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def voxels(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def expected(fill: float = -1000) -> np.ndarray:
    """(k, j, i) of the head without equipment."""
    return np.where(true_labels(head()) >= 2, np.int16(fill), head().volume.array)


def test_every_kind_of_scan_gives_the_same_scan_without_equipment(scans, tmp_path, capsys):
    names = ("head.nii.gz", "coronal.nrrd", "series", "packed.zip")
    assert run(*(scans / name for name in names), "--out", tmp_path) == commands.DONE
    reports = [report_of(tmp_path / name) for name in ("head", "coronal", "series", "packed")]
    for name, report in zip(("head", "coronal", "series", "packed"), reports):
        assert {path.name for path in (tmp_path / name).iterdir()} == FILES | {"cleaned.nrrd"}
        assert report["measures"] == reports[0]["measures"]
        cleaned = dicom.read(tmp_path / name / "cleaned.nrrd").as_axial()
        np.testing.assert_array_equal(cleaned.array, expected())
    rows = rows_of(tmp_path / "summary.csv")
    assert [row["state"] for row in rows] == ["done"] * 4
    for kind in ("headrest", "table"):
        assert float(rows[0][f"{kind}_ml"]) == pytest.approx(reports[0]["measures"][kind]["volume_ml"], rel=1e-3)
    assert float(rows[0]["other_ml"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split()[:4] == ["scan", "slices", "headrest_ml", "table_ml"]
    assert "touching" in table[1]
    assert len(table) == 5


def test_nifti_and_another_fill(scans, tmp_path):
    options = ("--cleaned", "nifti", "--fill", "-990")
    assert run(scans / "head.nii.gz", "--out", tmp_path, *options) == commands.DONE
    np.testing.assert_array_equal(voxels(tmp_path / "head" / "cleaned.nii.gz"), expected(-990))
    assert report_of(tmp_path / "head")["fill"] == {"asked": -990.0, "hu": -990.0}


def test_the_air_of_the_scan(scans, tmp_path):
    assert run(scans / "head.nii.gz", "--out", tmp_path, "--fill", "AIR") == commands.DONE
    fill = report_of(tmp_path / "head")["fill"]
    assert fill["asked"] == "air"
    assert -1010 < fill["hu"] < -980
    np.testing.assert_array_equal(voxels(tmp_path / "head" / "cleaned.nrrd"), expected(fill["hu"]))


@pytest.mark.parametrize("source", ["series", "packed.zip"])
def test_dicom_series(scans, tmp_path, source):
    assert run(scans / source, "--out", tmp_path, "--cleaned", "dicom") == commands.DONE
    folder = tmp_path / source.partition(".")[0]
    assert {path.name for path in folder.iterdir()} == FILES | {"cleaned"}
    cleaned = dicom.read(folder / "cleaned")
    np.testing.assert_array_equal(cleaned.array, expected())
    assert cleaned.meta["series_description"] is None or "SECRET" not in cleaned.meta["series_description"]
    assert report_of(folder)["cleaned"] == "cleaned"


def test_a_volume_file_can_not_become_dicom_and_it_is_said_before_the_work(scans, tmp_path, capsys, monkeypatch):
    done = []
    monkeypatch.setattr(resultfiles, "find", lambda volume, *_: done.append(volume))
    code = run(scans / "head.nii.gz", "--out", tmp_path, "--cleaned", "dicom")
    assert code == commands.NOTHING_USABLE
    said = capsys.readouterr().out
    assert "head.nii.gz was not read from DICOM files" in said
    assert "NRRD" in said
    assert done == []


def test_bad_scans_are_listed_and_the_others_done(scans, tmp_path, capsys, monkeypatch):
    def refuse(volume, *arguments):
        if "coronal" in volume.meta["source"]:
            raise CTError("no_body", "No body was found in coronal.nrrd.", "Choose a CT of a patient.")
        return find_truth(volume, *arguments)

    monkeypatch.setattr(resultfiles.equipment, "find", refuse)
    names = ("broken.nii.gz", "head.nii.gz", "coronal.nrrd", "empty")
    assert run(*(scans / name for name in names), "--out", tmp_path) == commands.SOME_FAILED
    rows = rows_of(tmp_path / "summary.csv")
    assert [row["state"] for row in rows] == ["failed", "done", "done", "failed"]
    assert "No body was found" in rows[2]["refused"]
    assert report_of(tmp_path / "coronal")["refused"]["code"] == "no_body"
    assert {path.name for path in (tmp_path / "coronal").iterdir()} == {"picture.png", "report.json", "batch.json"}
    said = capsys.readouterr()
    assert "refused: No body was found" in said.out
    assert "None" not in said.out
    assert "Traceback" not in said.out + said.err


def test_nothing_usable(scans, tmp_path, capsys):
    assert run(scans / "empty", scans / "broken.nii.gz", "--out", tmp_path) == commands.NOTHING_USABLE
    assert "no DICOM images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--fill", "black"), "neither a whole number"),
        (("--fill", "nan"), "neither a whole number"),
        (("--fill", "-5000"), "-1024 to 3071"),
        (("--fill", "-999.5"), "neither a whole number"),
        (("--cleaned", "tiff"), "tiff"),
        (("--method", "magic"), "magic"),
        (("--jobs", "many"), "--jobs"),
    ],
)
def test_wrong_calls_are_said_and_nothing_is_made(scans, tmp_path, capsys, options, said):
    assert run(scans / "head.nii.gz", "--out", tmp_path / "out", *options) == commands.WRONG_CALL
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_scan_that_is_not_there_is_a_wrong_call(tmp_path, capsys):
    assert run(tmp_path / "nothing", "--out", tmp_path / "out") == commands.WRONG_CALL
    assert "nothing" in capsys.readouterr().err


def test_results_are_kept_until_scan_or_options_change(scans, tmp_path, monkeypatch):
    shutil.copy(scans / "head.nii.gz", tmp_path / "head.nii.gz")
    call = (tmp_path / "head.nii.gz", "--out", tmp_path / "out")
    made = []
    monkeypatch.setattr(resultfiles, "find", lambda *args: made.append(args) or resultfiles_find(*args))
    resultfiles_find = _find_of_the_program
    monkeypatch.setattr(resultfiles.equipment, "BEST", "clustering")
    model = SimpleNamespace(sha256="one")
    monkeypatch.setattr(resultfiles.prediction, "load_model", lambda: model)
    for options, count in (((), 1), ((), 1), (("--fill", "-999"), 2), (("--fill", "-999"), 2), (("--fill", "air"), 3),
                           (("--cleaned", "nifti"), 4), (("--cleaned", "nifti", "--method", "both"), 5)):  # fmt: skip
        assert run(*call, *options) == commands.DONE
        assert len(made) == count
    assert not (tmp_path / "out" / "head" / "cleaned.nrrd").exists(), "the old result is gone with its options"
    save(head().volume.with_array(head().volume.array + np.int16(1)), tmp_path / "head.nii.gz")
    assert run(*call, "--cleaned", "nifti", "--method", "both") == commands.DONE
    assert len(made) == 6
    model.sha256 = "other"
    assert run(*call, "--cleaned", "nifti", "--method", "both") == commands.DONE
    assert len(made) == 7


_find_of_the_program = resultfiles.find


def test_the_methods_name_for_auto_is_what_results_depend_on():
    best = resultfiles.equipment.BEST
    assert resultfiles.settings_of("auto", -1000.0, "nrrd") == resultfiles.settings_of(best, -1000.0, "nrrd")
    assert resultfiles.settings_of("auto", -1000.0, "nrrd") != resultfiles.settings_of("auto", -999.0, "nrrd")


def test_without_the_model_the_network_is_refused_before_anything_is_read(scans, tmp_path, capsys, monkeypatch):
    def missing() -> None:
        raise CTError("no_model", "The model headrest-removal.npz is missing.", "Install the program again.")

    monkeypatch.setattr(resultfiles.prediction, "load_model", missing)
    assert run(scans / "head.nii.gz", "--out", tmp_path / "out", "--method", "network") == commands.NOTHING_USABLE
    assert "headrest-removal.npz is missing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_no_name_or_id_reaches_anything_but_the_dicom_series(scans, tmp_path, capsys):
    assert run(scans / "series", "--out", tmp_path, "-v", "--cleaned", "dicom") == commands.DONE
    paths = [path for path in tmp_path.rglob("*") if path.is_file()]
    holding = {path.parent.name for path in paths if b"SECRET" in path.read_bytes()}
    assert holding == {"cleaned"}, "the series stays in the patient's study"
    assert "SECRET" not in "".join(capsys.readouterr())
    assert not any("SECRET" in path.name for path in tmp_path.rglob("*"))


def test_help_is_quick_and_has_examples(capsys):
    assert run("--help") == 0
    text = capsys.readouterr().out
    for word in ("Examples", "--cleaned", "--fill", "--scheduler", "Research use only"):
        assert word in text


def test_a_folder_that_can_not_be_written_is_said(scans, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert run(scans / "head.nii.gz", "--out", tmp_path / "file" / "out") == commands.NOTHING_USABLE
    said = capsys.readouterr().err
    assert "written" in said
    assert "Traceback" not in said


def test_full_disk_is_said_and_the_next_run_makes_all(scans, tmp_path, capsys, monkeypatch):
    write = resultfiles.write_atomic

    def full(path: Path, data: bytes | str) -> None:
        if path.name == "report.json":
            raise OSError(28, "No space left on device")
        write(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(resultfiles, "write_atomic", full)
        assert run(scans / "series", "--out", tmp_path, "--cleaned", "dicom") == commands.NOTHING_USABLE
    said = "".join(capsys.readouterr())
    assert "space" in said.lower()
    assert "Traceback" not in said
    assert not (tmp_path / "series").exists()
    assert run(scans / "series", "--out", tmp_path, "--cleaned", "dicom") == commands.DONE
    assert {path.name for path in (tmp_path / "series").iterdir()} == FILES | {"cleaned"}


KILLED = """
import sys, time
sys.path.insert(0, {testing!r})
from HeadrestRemovalLib import cli, resultfiles
from support_equipment import find_truth
def find(*arguments):
    time.sleep(0.3)
    return find_truth(*arguments)
resultfiles.equipment.find = find
resultfiles.report_picture.draw = lambda *_: b"PNG"
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_killed_and_started_again_it_ends_with_the_same_files(scans, tmp_path):
    for number in range(4):
        shutil.copytree(scans / "series", tmp_path / f"scan{number}")
    paths = [str(tmp_path / f"scan{number}") for number in range(4)]
    out = tmp_path / "out"
    program = tmp_path / "program.py"
    program.write_text(KILLED.format(testing=str(Path(__file__).parents[1])))
    call = [sys.executable, str(program), *paths, "--out", str(out), "--cleaned", "dicom"]
    process = subprocess.Popen(call, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=os.environ)
    wait_for(lambda: (out / "scan1").exists(), seconds=120)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    finished = {path.name for path in out.iterdir() if (path / "batch.json").exists()}
    assert {"scan0", "scan1"} <= finished < {f"scan{number}" for number in range(4)}
    for name in finished:
        assert {path.name for path in (out / name).iterdir()} == FILES | {"cleaned"}, "what is there is finished"
    assert run(*paths, "--out", out, "--cleaned", "dicom") == commands.DONE
    assert {path.name for path in out.iterdir()} == {"scan0", "scan1", "scan2", "scan3", "summary.csv"}
    states = {row["name"]: row["state"] for row in rows_of(out / "summary.csv")}
    assert {name for name, state in states.items() if state == "kept"} == finished
    for name in ("equipment.nii.gz", "equipment.seg.nrrd", "cleaned/slice0001.dcm", "cleaned/slice0020.dcm"):
        assert len({(out / f"scan{number}" / name).read_bytes() for number in range(4)}) == 1, name

"""``ct-lungs``: what it writes, says and returns, for good and bad scans, and after a kill."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from CTSliceLocalizerLib import chest as localizer_chest
from CTVolumeLib import commands
from LungSegmentLib import cli, resultfiles, where
from support_batch import rows_of, wait_for
from support_chest import chest, save, save_every_way

FILES = {
    "lungs.seg.nrrd", "lungs.nii.gz", "measures.csv", "histogram.csv", "picture.png", "result.json", "batch.json",
}  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Without what takes longest: pictures have a test of their own, and nobody knows where to look."""
    monkeypatch.setattr(where, "entry_points", lambda group: [])
    monkeypatch.setattr(resultfiles.report_picture, "draw", lambda *_: b"\x89PNG")


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    """A chest as a volume file, in DICOM, in a zip and in coronal order; one without lungs; one broken; one empty."""
    folder = tmp_path_factory.mktemp("scans")
    volume = chest().volume
    save_every_way(volume, folder, "chest")
    save(volume.with_array(np.where(chest().masks["patient"], np.int16(40), volume.array)), folder / "water.nii.gz")
    return folder


def run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def result_of(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))


def test_every_kind_of_scan_gives_the_same_lungs(scans, tmp_path, capsys):
    names = ("chest.nii.gz", "coronal.nrrd", "series", "packed.zip")
    assert run(*(scans / name for name in names), "--out", tmp_path) == commands.DONE
    results = [result_of(tmp_path / name) for name in ("chest", "coronal", "series", "packed")]
    for name, result in zip(("chest", "coronal", "series", "packed"), results):
        assert {path.name for path in (tmp_path / name).iterdir()} == FILES
        for one, other in zip(result["measures"], results[0]["measures"]):
            assert one["volume_ml"] == pytest.approx(other["volume_ml"], rel=1e-3)
    rows = rows_of(tmp_path / "summary.csv")
    assert [row["state"] for row in rows] == ["done"] * 4
    assert float(rows[0]["left_ml"]) == round(results[0]["measures"][0]["volume_ml"])
    table = capsys.readouterr().out.splitlines()
    assert table[0].split()[:4] == ["scan", "slices", "left_ml", "right_ml"]
    assert len(table) == 5


def test_bad_scans_are_listed_and_the_others_done(scans, tmp_path, capsys):
    names = ("broken.nii.gz", "chest.nii.gz", "water.nii.gz", "empty")
    assert run(*(scans / name for name in names), "--out", tmp_path) == commands.SOME_FAILED
    rows = rows_of(tmp_path / "summary.csv")
    assert [row["state"] for row in rows] == ["failed", "done", "done", "failed"]
    assert "No lungs were found" in rows[2]["refused"]
    assert result_of(tmp_path / "water")["refused"]["code"] == "no_lungs"
    assert not (tmp_path / "water" / "lungs.nii.gz").exists()
    said = capsys.readouterr()
    assert "refused: No lungs were found" in said.out
    assert "broken" in said.out
    assert "None" not in said.out
    assert "Traceback" not in said.out + said.err


def test_one_refused_scan_among_none_that_is_good_is_no_crash(scans, tmp_path):
    assert run(scans / "water.nii.gz", "--out", tmp_path) == commands.SOME_FAILED


def test_nothing_usable(scans, tmp_path, capsys):
    assert run(scans / "empty", scans / "broken.nii.gz", "--out", tmp_path) == commands.NOTHING_USABLE
    assert "no DICOM images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--threshold", "50"), "Choose -900 to -100"),
        (("--preprocess", "tiff"), "npz"),
        (("--preprocess", "npz", "--spacing", "-1"), "--spacing is 0 to 50 mm"),
        (("--preprocess", "npz", "--margin", "nan"), "--margin"),
        (("--jobs", "many"), "--jobs"),
    ],
)
def test_wrong_calls_are_said_and_nothing_is_made(scans, tmp_path, capsys, options, said):
    assert run(scans / "chest.nii.gz", "--out", tmp_path / "out", *options) == commands.WRONG_CALL
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_scan_that_is_not_there_is_a_wrong_call(tmp_path, capsys):
    assert run(tmp_path / "nothing", "--out", tmp_path / "out") == commands.WRONG_CALL
    assert "nothing" in capsys.readouterr().err


def test_results_are_kept_until_scan_or_options_change(scans, tmp_path, monkeypatch):
    shutil.copy(scans / "chest.nii.gz", tmp_path / "chest.nii.gz")
    call = (tmp_path / "chest.nii.gz", "--out", tmp_path / "out")
    made = []
    find = resultfiles.find
    monkeypatch.setattr(resultfiles, "find", lambda *arguments: made.append(arguments) or find(*arguments))
    for options, count in (((), 1), ((), 1), (("--threshold", "-400"), 2), (("--threshold", "-400"), 2)):
        assert run(*call, *options) == commands.DONE
        assert len(made) == count
    assert result_of(tmp_path / "out" / "chest")["options"]["threshold_hu"] == -400
    save(chest().volume.crop(k=slice(0, 30)), tmp_path / "chest.nii.gz")
    assert run(*call, "--threshold", "-400") == commands.DONE
    assert len(made) == 3


def test_prepared_scan_as_asked_for(scans, tmp_path):
    options = ("--preprocess", "nifti", "--spacing", "4", "--margin", "0", "--values", "normalized")
    assert run(scans / "chest.nii.gz", "--out", tmp_path, *options) == commands.DONE
    image = sitk.ReadImage(str(tmp_path / "chest" / "prepared.nii.gz"))
    values = sitk.GetArrayFromImage(image)
    assert image.GetSpacing() == pytest.approx((4, 4, 4), abs=0.2)
    assert 0 <= values.min() < 0.05
    assert 0.6 < values.max() <= 1
    assert image.GetSize()[0] * image.GetSpacing()[0] < 350, "it is cropped to the lungs"


@pytest.mark.parametrize("somebody_knows", [True, False])
def test_where_to_look_is_asked_of_whoever_knows(scans, tmp_path, monkeypatch, somebody_knows):
    z_mm = chest().volume.superior()
    limits = (float(z_mm[20]), float(z_mm[35]))
    entry = SimpleNamespace(name="somebody", load=lambda: lambda volume: limits)
    monkeypatch.setattr(where, "entry_points", lambda group: [entry] if somebody_knows else [])
    assert run(scans / "chest.nii.gz", "--out", tmp_path) == commands.DONE
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "chest" / "lungs.nii.gz")))
    held = np.flatnonzero(np.isin(labels, (1, 2)).any(axis=(1, 2)))
    told = result_of(tmp_path / "chest")["options"]["within_z_mm"]
    assert told == (pytest.approx(list(limits)) if somebody_knows else None)
    assert (20 <= held[0] <= held[-1] <= 35) == somebody_knows
    assert run(scans / "chest.nii.gz", "--out", tmp_path, "--where", "everywhere") == commands.DONE
    assert result_of(tmp_path / "chest")["options"]["within_z_mm"] is None


def test_the_localizer_offers_itself():
    (entry,) = entry_points(group=where.GROUP)
    assert entry.load() is localizer_chest.find


def test_no_name_or_id_reaches_the_results(scans, tmp_path, capsys):
    assert run(scans / "series", "--out", tmp_path, "-v") == commands.DONE
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"SECRET" not in written
    assert "SECRET" not in "".join(capsys.readouterr())


def test_help_is_quick_and_has_examples(capsys):
    assert run("--help") == 0
    text = capsys.readouterr().out
    for word in ("Examples", "--preprocess", "--scheduler", "Research use only"):
        assert word in text


@pytest.mark.slow
def test_killed_and_started_again_it_ends_with_the_same_files(scans, tmp_path):
    for number in range(4):
        shutil.copy(scans / "chest.nii.gz", tmp_path / f"scan{number}.nii.gz")
    paths = [str(tmp_path / f"scan{number}.nii.gz") for number in range(4)]
    out = tmp_path / "out"
    program = [sys.executable, "-m", "LungSegmentLib.cli", *paths, "--out", str(out)]
    process = subprocess.Popen(program, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_for(lambda: (out / "scan1").exists(), seconds=120)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    finished = {path.name for path in out.iterdir() if (path / "batch.json").exists()}
    assert {"scan0", "scan1"} <= finished < {f"scan{number}" for number in range(4)}
    for name in finished:
        assert {path.name for path in (out / name).iterdir()} == FILES, "a folder that is there is finished"
    assert run(*paths, "--out", out, "--jobs", "2") == commands.DONE
    assert {path.name for path in out.iterdir()} == {"scan0", "scan1", "scan2", "scan3", "summary.csv"}
    states = {row["name"]: row["state"] for row in rows_of(out / "summary.csv")}
    assert {name for name, state in states.items() if state == "kept"} == finished
    for name in FILES - {"batch.json", "result.json", "picture.png"}:
        assert len({(out / f"scan{number}" / name).read_bytes() for number in range(4)}) == 1, name

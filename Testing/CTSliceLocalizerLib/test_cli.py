from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK
from CTSliceLocalizerLib import cli, predictor
from CTSliceLocalizerLib.results import Flag, refusal
from CTVolumeLib.errors import CTError
from CTVolumeLib.phantom import write_dicom
from CTVolumeLib.volume import CTVolume, describe
from support_batch import rows_of
from support_followup import KnownMap, make_followup
from support_locations import fake_location

SAMPLE = Path(__file__).resolve().parents[2] / "CTVolume" / "Resources" / "SampleData" / "CTChestSample.nii.gz"
SHIFT_MM = 412.0
FILES = {"location.json", "slices.csv", "landmarks.mrk.json", "report.html", "batch.json"}


@pytest.fixture(scope="module")
def chest() -> CTVolume:
    """The sample, small."""
    image = SimpleITK.ReadImage(str(SAMPLE))
    array = SimpleITK.GetArrayFromImage(image)[::2, ::4, ::4]
    spacing = tuple(size * step for size, step in zip(image.GetSpacing(), (4, 4, 2)))
    return CTVolume(np.ascontiguousarray(array), spacing, image.GetOrigin(), meta={"modality": "CT"})


@pytest.fixture(autouse=True)
def fake_network(monkeypatch):
    """What the network would say: the top of the head lies 300 mm above z = 0, or above z = 412 in the follow-up."""

    def locate(volume, *, engine="auto", model=None, progress=None):
        axial = volume.as_axial()
        z_mm = axial.superior()
        series = describe(volume, axial)
        if volume.array.max() < 0:
            return refusal(Flag("no_body", "The scan shows no body."), series=series, model={"name": "fake"})
        top = 300.0 + (SHIFT_MM if z_mm[-1] > 200 else 0.0)
        index = np.array(axial.meta.get("slice_index", range(len(z_mm))))
        return replace(fake_location(z_mm, top_mm=top, index=index, files=tuple(axial.sources)), series=series)

    monkeypatch.setattr(predictor, "locate", locate)
    monkeypatch.setattr(predictor, "load_model", lambda path=None, engine="auto": SimpleNamespace(sha256="0" * 64))


def save(volume: CTVolume, path: Path) -> Path:
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(volume.array))
    image.SetSpacing(volume.spacing)
    image.SetOrigin(volume.origin)
    SimpleITK.WriteImage(image, str(path))
    return path


@pytest.fixture
def scans(chest, tmp_path) -> Path:
    """A folder with scans of every kind."""
    folder = tmp_path / "scans"
    folder.mkdir()
    save(chest, folder / "one.nii.gz")
    save(chest, folder / "two.nrrd")
    save(chest, folder / "three.mha")
    write_dicom(chest, folder / "series", patient_name="SECRET^NAME", patient_id="SECRETID")
    with zipfile.ZipFile(folder / "packed.zip", "w") as archive:
        for file in sorted((folder / "series").iterdir()):
            archive.write(file, f"a/{file.name}")
    return folder


class TestLocate:
    def test_every_kind_of_scan_gets_its_files(self, scans, tmp_path, capsys):
        out = tmp_path / "out"
        paths = [str(scans / name) for name in ("one.nii.gz", "two.nrrd", "three.mha", "series", "packed.zip")]
        assert cli.main(["locate", *paths, "--out", str(out)]) == 0
        for name in ("one", "two", "three", "series", "packed"):
            assert {path.name for path in (out / name).iterdir()} == FILES
            content = json.loads((out / name / "location.json").read_text(encoding="utf-8"))
            assert content["schema"] == "ct-location/1"
            assert len(content["slices"]) == 51
        assert content["series"]["source"] == "packed.zip"
        assert [row["state"] for row in rows_of(out / "summary.csv")] == ["done"] * 5
        table = capsys.readouterr().out.splitlines()
        assert table[0].split()[:3] == ["scan", "slices", "covers"]
        assert len(table) == 6

    def test_slices_of_a_dicom_folder_name_their_files(self, scans, tmp_path):
        assert cli.main(["locate", str(scans / "series"), "--out", str(tmp_path / "out"), "--no-report"]) == 0
        content = json.loads((tmp_path / "out" / "series" / "location.json").read_text(encoding="utf-8"))
        named = {path.name for path in (scans / "series").iterdir()}
        assert {row["file"] for row in content["slices"]} == named
        assert not (tmp_path / "out" / "series" / "report.html").exists()

    def test_a_tree_gives_every_series_once_and_lists_what_is_skipped(self, chest, scans, tmp_path, capsys):
        write_dicom(
            chest, scans / "more" / "mr", seed=3, edit=lambda dataset, _index: setattr(dataset, "Modality", "MR")
        )
        write_dicom(chest, scans / "more" / "second", seed=4)
        (scans / "notes.txt").write_text("nothing", encoding="utf-8")
        (scans / "packed.zip").unlink()
        out = tmp_path / "out"
        assert cli.main(["locate", str(scans), str(scans / "series"), "--out", str(out), "--no-report"]) == 0
        assert {path.name for path in out.iterdir()} == {"one", "two", "three", "series", "second", "summary.csv"}
        said = capsys.readouterr().err
        assert "Skipped" in said
        assert "MR" in said

    def test_bad_scans_are_listed_and_the_others_done(self, chest, scans, tmp_path, capsys):
        (scans / "broken.nii.gz").write_bytes(b"not a volume")
        (scans / "empty").mkdir()
        out = tmp_path / "out"
        paths = [str(scans / name) for name in ("broken.nii.gz", "one.nii.gz", "empty")]
        assert cli.main(["locate", *paths, "--out", str(out), "--no-report"]) == 1
        rows = rows_of(out / "summary.csv")
        assert [row["state"] for row in rows] == ["failed", "done", "failed"]
        assert "no DICOM" in rows[2]["message"]
        text = "".join(capsys.readouterr())
        assert "broken" in text
        assert "Traceback" not in text

    def test_nothing_usable(self, tmp_path, capsys):
        (tmp_path / "empty").mkdir()
        assert cli.main(["locate", str(tmp_path / "empty"), "--out", str(tmp_path / "out")]) == 3
        assert "no DICOM images" in capsys.readouterr().out

    def test_refused_scan_is_written_listed_and_counts_as_failed(self, chest, tmp_path, capsys):
        save(chest.with_array(np.minimum(chest.array, -900)), tmp_path / "air.nii.gz")
        out = tmp_path / "out"
        assert cli.main(["locate", str(tmp_path / "air.nii.gz"), "--out", str(out)]) == 1
        content = json.loads((out / "air" / "location.json").read_text(encoding="utf-8"))
        assert content["refused"]["code"] == "no_body"
        assert (out / "air" / "report.html").exists()
        assert "refused: The scan shows no body." in capsys.readouterr().out

    def test_a_second_run_makes_nothing_again(self, scans, tmp_path, monkeypatch):
        arguments = ["locate", str(scans / "one.nii.gz"), str(scans / "packed.zip"), "--out", str(tmp_path / "out")]
        assert cli.main(arguments) == 0
        monkeypatch.setattr(predictor, "locate", None)
        assert cli.main(arguments) == 0
        assert [row["state"] for row in rows_of(tmp_path / "out" / "summary.csv")] == ["kept", "kept"]

    def test_a_changed_scan_is_made_again(self, chest, scans, tmp_path):
        arguments = ["locate", str(scans / "one.nii.gz"), "--out", str(tmp_path / "out"), "--no-report"]
        assert cli.main(arguments) == 0
        save(chest.crop(k=slice(0, 20)), scans / "one.nii.gz")
        assert cli.main(arguments) == 0
        assert rows_of(tmp_path / "out" / "summary.csv")[0]["state"] == "done"
        assert rows_of(tmp_path / "out" / "summary.csv")[0]["slices"] == "20"

    def test_scans_that_share_a_name_are_told_apart(self, scans, tmp_path):
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            shutil.copy(scans / "one.nii.gz", tmp_path / folder / "scan.nii.gz")
        paths = [str(tmp_path / folder / "scan.nii.gz") for folder in ("a", "b")]
        assert cli.main(["locate", *paths, "--out", str(tmp_path / "out"), "--no-report"]) == 0
        assert {path.name for path in (tmp_path / "out").iterdir()} == {"a-scan", "b-scan", "summary.csv"}

    @pytest.mark.slow
    def test_several_processes_locate_with_the_shipped_model(self, scans, tmp_path):
        """The processes don't know of the fake network."""
        paths = [str(scans / name) for name in ("one.nii.gz", "series", "two.nrrd")]
        out = tmp_path / "out"
        assert cli.main(["locate", *paths, "--out", str(out), "--no-report", "--jobs", "2", "--engine", "numpy"]) == 0
        contents = [
            json.loads((out / name / "location.json").read_text(encoding="utf-8")) for name in ("one", "series", "two")
        ]
        assert contents[0]["model"]["name"] == "ct-slice-localizer"
        for content in contents:
            assert content["landmarks"] == contents[0]["landmarks"]

    def test_no_name_or_id_reaches_the_results(self, scans, tmp_path, capsys):
        assert cli.main(["locate", str(scans / "series"), "--out", str(tmp_path / "out"), "-v"]) == 0
        written = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
        said = "".join(capsys.readouterr())
        assert b"SECRET" not in written
        assert "SECRET" not in said

    def test_target_that_cannot_be_written_is_said(self, scans, tmp_path, capsys):
        (tmp_path / "file").write_text("in the way", encoding="utf-8")
        assert cli.main(["locate", str(scans / "one.nii.gz"), "--out", str(tmp_path / "file" / "out")]) == 3
        assert "can't be written" in capsys.readouterr().err


class TestMatch:
    @pytest.fixture
    def pair(self, chest, tmp_path) -> tuple[str, str]:
        followup = make_followup(chest, KnownMap(shift_mm=SHIFT_MM), baseline_range_mm=(-220.0, 0.0), noise_hu=10.0)
        return str(save(chest, tmp_path / "before.nii.gz")), str(save(followup, tmp_path / "after.nii.gz"))

    def test_writes_the_match_and_both_locations(self, pair, tmp_path, capsys):
        out = tmp_path / "out"
        assert cli.main(["match", *pair, "--out", str(out)]) == 0
        content = json.loads((out / "match.json").read_text(encoding="utf-8"))
        assert content["schema"] == "ct-match/1"
        assert len(content["pairs"]) == 51
        for row in content["pairs"]:
            if row["covered"]:
                assert row["followup_z_mm"] == pytest.approx(row["baseline_z_mm"] + SHIFT_MM, abs=6)
        assert "registered" in {row["method"] for row in content["pairs"]}
        assert (out / "report.html").exists()
        for side in ("baseline", "followup"):
            assert {path.name for path in (out / side).iterdir()} == FILES - {"batch.json"}
        assert "lie in the follow-up" in capsys.readouterr().err

    def test_says_one_line_for_each_height(self, pair, tmp_path, capsys):
        out = tmp_path / "out"
        assert cli.main(["match", *pair, "--out", str(out), "--at", "-100.5", "--at", "30", "--no-report"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 2
        assert lines[0].startswith("z -100.5 mm -> 311.")
        assert " +- " in lines[0]
        assert "(slice " in lines[0]
        assert lines[1] == "z 30.0 mm -> not covered by the follow-up"
        assert len(json.loads((out / "match.json").read_text(encoding="utf-8"))["pairs"]) == 2

    def test_without_refining_the_images_are_not_compared(self, pair, tmp_path):
        assert cli.main(["match", *pair, "--out", str(tmp_path / "out"), "--no-refine", "--no-report"]) == 0
        content = json.loads((tmp_path / "out" / "match.json").read_text(encoding="utf-8"))
        assert {row["method"] for row in content["pairs"]} == {"curve"}

    def test_height_outside_is_a_wrong_call_that_names_the_range(self, pair, tmp_path, capsys):
        assert cli.main(["match", *pair, "--out", str(tmp_path / "out"), "--at", "999"]) == 2
        assert "-266.5 and 33.5 mm" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_refused_scan_is_said(self, pair, chest, tmp_path, capsys):
        air = str(save(chest.with_array(np.minimum(chest.array, -900)), tmp_path / "air.nii.gz"))
        assert cli.main(["match", pair[0], air, "--out", str(tmp_path / "out"), "--at", "-100"]) == 1
        assert "shows no body" in capsys.readouterr().err
        content = json.loads((tmp_path / "out" / "match.json").read_text(encoding="utf-8"))
        assert content["refused"]["code"] == "followup_refused"

    def test_unreadable_scan_is_said(self, pair, tmp_path, capsys):
        (tmp_path / "broken.nii.gz").write_bytes(b"no")
        assert cli.main(["match", pair[0], str(tmp_path / "broken.nii.gz"), "--out", str(tmp_path / "out")]) == 3
        assert "broken.nii.gz" in capsys.readouterr().err


class TestPhantom:
    def test_writes_two_series_and_the_truth(self, tmp_path):
        arguments = ["--from", "0.2", "--to", "0.3", "--pixel", "10", "--slice", "10", "--followup"]
        assert cli.main(["phantom", "--out", str(tmp_path), *arguments]) == 0
        truth = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))
        assert truth["schema"] == "ct-phantom/1"
        assert truth["baseline"]["landmarks"]["Aortic arch"] == pytest.approx(truth["baseline"]["z_mm"][1], abs=11)
        shift = truth["followup"]["landmarks"]["Aortic arch"] - truth["baseline"]["landmarks"]["Aortic arch"]
        top = max(truth["pairs"], key=lambda row: row["baseline_z_mm"])
        assert top["followup_z_mm"] - top["baseline_z_mm"] == pytest.approx(shift, abs=1)
        assert len(list((tmp_path / "phantom").iterdir())) == len(truth["pairs"])
        uids = []
        from pydicom import dcmread

        for folder in ("phantom", "phantom_followup"):
            header = dcmread(next((tmp_path / folder).iterdir()), stop_before_pixels=True)
            uids.append(header.FrameOfReferenceUID)
        assert uids[0] != uids[1]

    def test_impossible_patient_is_an_error_in_words(self, tmp_path, capsys):
        assert cli.main(["phantom", "--out", str(tmp_path), "--size", "9"]) == 3
        assert "size" in capsys.readouterr().err


class TestCalls:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["locate"],
            ["locate", "missing_folder", "--out", "x"],
            ["locate", ".", "--out", "x", "--engine", "other"],
            ["locate", "."],
            ["match", ".", "--out", "x"],
            ["match", ".", ".", "--out", "x", "--at", "high"],
            ["unknown"],
            ["--unknown"],
        ],
    )
    def test_wrong_calls_say_what_is_wrong(self, arguments, capsys):
        assert cli.main(arguments) == 2
        assert "Usage" in capsys.readouterr().err

    @pytest.mark.parametrize("command", [[], ["locate"], ["match"], ["phantom"]])
    def test_help_has_an_example(self, command, capsys):
        assert cli.main([*command, "--help"]) == 0
        text = capsys.readouterr().out
        assert "Example" in text
        assert "ct-localize" in text

    def test_version(self, capsys):
        assert cli.main(["--version"]) == 0
        assert "ct-localize, version" in capsys.readouterr().out

    def test_unexpected_problem_is_one_line_without_its_text(self, chest, tmp_path, monkeypatch, capsys):
        def fail(volume, **_options):
            raise RuntimeError("SECRET^NAME")

        monkeypatch.setattr(predictor, "locate", fail)
        path = str(save(chest, tmp_path / "one.nii.gz"))
        arguments = ["match", path, path, "--out", str(tmp_path / "out")]
        assert cli.main(arguments) == 3
        said = capsys.readouterr().err
        assert "RuntimeError" in said
        assert "SECRET" not in said
        assert len(said.strip().splitlines()) == 1
        with pytest.raises(RuntimeError):
            cli.main([*arguments, "--debug"])

    def test_missing_model_is_said(self, tmp_path, monkeypatch, capsys):
        def missing(path=None, engine="auto"):
            raise CTError("no_model", "The model file is not there.", "Reinstall.")

        monkeypatch.setattr(predictor, "load_model", missing)
        assert cli.main(["locate", str(SAMPLE), "--out", str(tmp_path)]) == 3
        assert "The model file is not there. Reinstall." in capsys.readouterr().err

    def test_interrupt_says_how_to_go_on(self, tmp_path, monkeypatch, capsys):
        def interrupt(path=None, engine="auto"):
            raise KeyboardInterrupt

        monkeypatch.setattr(predictor, "load_model", interrupt)
        assert cli.main(["locate", str(SAMPLE), "--out", str(tmp_path)]) == 130
        assert "start the same command again" in capsys.readouterr().err


def test_command_is_installed_and_its_help_loads_nothing_heavy():
    code = (
        "import sys; from CTSliceLocalizerLib import cli; code = cli.main(['--help']); "
        "heavy = {'numpy', 'SimpleITK', 'pydicom', 'matplotlib', 'tensorflow', 'scipy'} & set(sys.modules); "
        "assert not heavy, heavy; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "locate" in done.stdout


def test_verbose_is_for_one_command_only(tmp_path: Path) -> None:
    """Programs call several commands in turn, and may have put another stderr in place by the next one."""
    logger = logging.getLogger("CTVolumeLib")
    before, level = list(logger.handlers), logger.level
    cli.main(
        [
            "phantom",
            "--verbose",
            "--from",
            "0.2",
            "--to",
            "0.22",
            "--pixel",
            "8",
            "--slice",
            "8",
            "--out",
            str(tmp_path),
        ]
    )
    assert logger.handlers == before
    assert logger.level == level

"""Every command and snippet in the README is one that runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from CTSliceLocalizerLib.cli import main
from CTVolumeLib.phantom import write_dicom
from CTVolumeLib.samples import sample
from LungSegmentLib.cli import main as lungs_main
from support_chest import chest, save
from support_documents import ROOT, commands, text_of

README = text_of("README.md")


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:`|^    )make ([a-z-]+)", README, re.MULTILINE))
    assert {"demo", "test", "bench", "train"} <= targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_pictures_and_documents_exist() -> None:
    for path in re.findall(r"\]\((Docs/[^)]+)\)", README) + re.findall(r"`(Docs/[^`]+)`", README):
        assert (ROOT / path).is_file(), path


@pytest.mark.slow
def test_commands_run_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = sample("CTChestSample").path, sample("CTChestSampleFollowUp").path
    told = commands(README)
    assert len(told) == 3
    for line in sorted(told, key=lambda line: not line.startswith("phantom")):
        if line.startswith("locate"):
            shutil.copytree(tmp_path / "phantom" / "phantom", tmp_path / "scan_folder")
            shutil.make_archive("more", "zip", tmp_path / "scan_folder")
            shutil.copy(first, "chest.nii.gz")
        if line.startswith("match"):
            line = line.replace("match baseline followup", f"match {first} {second}")
        assert main(line.split()) == 0, line


@pytest.mark.slow
def test_lung_commands_run_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(chest().volume, tmp_path / "chest.nii.gz")
    write_dicom(chest().volume, tmp_path / "scan_folder")
    shutil.make_archive("more", "zip", tmp_path / "scan_folder")
    told = commands(README, "ct-lungs")
    assert len(told) == 2
    for line in told:
        assert lungs_main(line.split()) == 0, line
    for name in ("lungs.seg.nrrd", "lungs.nii.gz", "measures.csv", "histogram.csv", "picture.png", "result.json"):
        assert f"`{name}`" in README
        assert (tmp_path / "lungs" / "chest" / name).is_file()
    assert (tmp_path / "lungs" / "scan_folder" / "prepared.npz").is_file()


def test_the_snippet_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(sample("CTChestSample").path, "chest.nii.gz")
    snippet = re.search(r"## From Python\n\n((?:    .*\n|\n)+)", README)[1]
    exec(compile("\n".join(line[4:] for line in snippet.splitlines()), "README", "exec"), {})
    assert "neck to" in capsys.readouterr().out

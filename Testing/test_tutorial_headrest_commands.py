"""The tutorial on headrests is true of the command: its lines run, its files appear, its texts are the program's."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from CTVolumeLib import dicom
from CTVolumeLib.phantom import write_dicom
from HeadrestRemovalLib import resultfiles
from HeadrestRemovalLib.cli import main
from support_chest import save
from support_documents import ROOT, commands, text_of
from support_equipment import find_truth, head

_, _, TUTORIAL = text_of("Docs/Tutorial-headrest.md").partition("## On the command line")


@pytest.fixture
def at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the scans that documents name; equipment is found at once, pictures are not drawn."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(resultfiles.equipment, "find", find_truth)
    monkeypatch.setattr(resultfiles.report_picture, "draw", lambda *_: b"PNG")
    save(head().volume, tmp_path / "head.nii.gz")
    for name in ("head_series", "scan_folder", "study/one"):
        write_dicom(head().volume, tmp_path / name)
    shutil.make_archive("more", "zip", tmp_path / "head_series")
    return tmp_path


def test_commands_of_the_tutorial_run_as_written(at_work: Path) -> None:
    told = commands(TUTORIAL, "ct-headrest")
    assert len(told) == 4
    for line in told:
        assert main(line.split()) == 0, line
    for name in ("cleaned.nrrd", "equipment.seg.nrrd", "equipment.nii.gz", "picture.png", "report.json"):
        assert f"| `{name}` |" in TUTORIAL
        assert (at_work / "cleaned" / "head" / name).is_file()
    assert (at_work / "for_archive" / "head_series" / "cleaned" / "slice0001.dcm").is_file()
    assert len(dicom.read(at_work / "for_archive" / "head_series" / "cleaned").array) == len(head().volume.array)
    assert (at_work / "as_air" / "head_series" / "cleaned.nii.gz").is_file()
    assert {path.name for path in (at_work / "batch").iterdir()} == {"study", "more", "summary.csv"}


def test_commands_of_the_readme_run_as_written(at_work: Path) -> None:
    readme = text_of("README.md")
    told = commands(readme, "ct-headrest")
    assert len(told) == 2
    for line in told:
        assert main(line.split()) == 0, line
    for name in ("cleaned.nrrd", "equipment.seg.nrrd", "equipment.nii.gz", "picture.png", "report.json"):
        assert f"`{name}`" in readme
        assert (at_work / "cleaned" / "head" / name).is_file()


def test_texts_are_those_of_the_program() -> None:
    sources = " ".join(
        path.read_text(encoding="utf-8")
        for folder in ("CTVolume/CTVolumeLib", "HeadrestRemoval/HeadrestRemovalLib")
        for path in (ROOT / folder).glob("*.py")
    )
    joined = re.sub(r'"\s*\n\s*f?"', "", sources)
    rows = re.findall(r"^\| `([^`]+)` \| [A-Z]", TUTORIAL, re.MULTILINE)
    assert len(rows) == 5
    assert [row for row in rows if row not in joined] == []

"""The tutorial on headrests is true of the panel: snippet, pictures, buttons and texts are the program's."""

from __future__ import annotations

import re

import pytest
from support_documents import ROOT, forms, pictures, snippets, sources, text_of

TUTORIAL, _, _ = text_of("Docs/Tutorial-headrest.md").partition("## On the command line")


def test_pictures_exist_and_can_be_made_again():
    from make_screenshots import HEADREST_PICTURES

    named = pictures(TUTORIAL)
    assert sorted(named) == sorted(HEADREST_PICTURES)
    for name in named:
        picture = (ROOT / "Docs" / f"{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 200_000


def test_texts_of_the_panel_are_those_of_the_program():
    joined = sources("CTVolume", "HeadrestRemoval")
    rows = re.findall(r"^\| `([^`]+)` \| ", TUTORIAL, re.MULTILINE)
    assert len(rows) == 13
    assert [row for row in rows if row not in joined] == []


def test_buttons_are_those_of_the_panel():
    known = forms("HeadrestRemoval")
    named = set(re.findall(r"\*\*([^*]+)\*\*", TUTORIAL))
    others = {
        "Sample Data",
        "CT Slice Localizer",
        "CTPhantomHead",
        "CTChestSample",
        "Headrest Removal",
        "Segment Editor",
        "Undo",
    }
    missing = [name for name in named - others if f">{name}<" not in known and f">{name}:<" not in known]
    assert missing == []
    assert len(named - others) >= 12


@pytest.mark.slow
def test_the_console_snippet_runs(slicer_app, capsys):
    import slicer

    module = slicer_app.load("HeadrestRemoval")
    (snippet,) = snippets(TUTORIAL)
    exec(compile(snippet, "Tutorial-headrest.md", "exec"), {"slicer": slicer})
    slicer_app.settle()
    said = capsys.readouterr().out.splitlines()
    assert said[0].split()[0] in ("clustering", "network", "both")
    assert said[1].startswith("headrest ")
    assert int(said[1].split()[1]) > 500
    assert [line.split(" equipment")[0].split()[0] for line in said[1:]] == ["headrest", "table", "other", "all"]
    assert [node.GetName() for node in slicer_app.scene.GetNodesByClass("vtkMRMLScalarVolumeNode")] == ["CTPhantomHead"]
    assert slicer_app.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    for name in set(re.findall(r"logic\.(\w+)\(", TUTORIAL)):
        assert getattr(type(module.logic), name).__doc__, name

"""The tutorial on lungs is true: its snippet runs, its pictures and buttons exist, its texts are the program's."""

from __future__ import annotations

import re

import pytest
from support_documents import ROOT, forms, pictures, snippets, sources, text_of

TUTORIAL = text_of("Docs/Tutorial-lungs.md")


def test_pictures_exist_and_can_be_made_again():
    from make_screenshots import LUNG_PICTURES

    named = pictures(TUTORIAL)
    assert sorted(named) == sorted(LUNG_PICTURES)
    for name in named:
        picture = (ROOT / "Docs" / f"{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 200_000


def test_texts_of_the_panel_are_those_of_the_program():
    joined = sources("CTVolume", "LungSegment")
    rows = re.findall(r"^\| `([^`]+)` \| ", TUTORIAL, re.MULTILINE)
    assert len(rows) >= 12
    assert [row for row in rows if row not in joined] == []


def test_buttons_are_those_of_the_panel():
    known = forms("LungSegment")
    named = set(re.findall(r"\*\*([^*]+)\*\*", TUTORIAL))
    others = {"Sample Data", "CT Slice Localizer", "CTChestSample", "Lung Segment", "Segment Editor", "Undo"}
    missing = [name for name in named - others if f">{name}<" not in known and f">{name}:<" not in known]
    assert missing == []
    assert len(named - others) > 12


@pytest.mark.slow
def test_the_console_snippet_runs(slicer_app, capsys):
    import slicer

    module = slicer_app.load("LungSegment")
    (snippet,) = snippets(TUTORIAL)
    before = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    exec(compile(snippet, "Tutorial-lungs.md", "exec"), {"slicer": slicer})
    slicer_app.settle()
    said = capsys.readouterr().out
    assert said.startswith(("green", "amber")), said
    assert " mL -" in said
    assert "CTChestSample prepared (" in said
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == before
    for name in set(re.findall(r"logic\.(\w+)\(", TUTORIAL)):
        assert getattr(type(module.logic), name).__doc__, name

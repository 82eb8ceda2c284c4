"""The tutorial is true: its snippet runs, its pictures and buttons exist, its error texts are the program's."""

from __future__ import annotations

import re

import pytest
from support_documents import ROOT, forms, pictures, snippets, sources, text_of

TUTORIAL = text_of("Docs/Tutorial.md")


def test_pictures_exist_and_can_be_made_again():
    from make_screenshots import PICTURES

    named = pictures(TUTORIAL)
    assert sorted(named) == sorted(PICTURES)
    for name in named:
        picture = (ROOT / "Docs" / f"{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 200_000


def test_error_texts_are_those_of_the_program():
    """The text of the sources with its literals joined, as Python joins them."""
    joined = sources("CTVolume", "CTSliceLocalizer")
    rows = re.findall(r"^\| `([^`]+)` \| ", TUTORIAL, re.MULTILINE)
    assert len(rows) >= 15
    missing = [row for row in rows if row.replace("MR", "{modality}") not in joined and row not in joined]
    assert [row for row in missing if not row.startswith("Locate failed (")] == []
    assert "Locate failed ({kind})" in joined


def test_buttons_are_those_of_the_panel():
    known = forms("CTSliceLocalizer")
    following = ("Link scrolling", "Correct by the shown slices")
    training = ("1 Organize", "2 Prepare", "3 Train", "4 Evaluate", "Use in Locate")
    for button in ("Locate", "Show plot", "Show table", "Clear", *following, "Propose", *training):
        assert f"**{button}**" in TUTORIAL
        assert f">{button}<" in known, button


@pytest.mark.slow
def test_the_console_snippets_run(slicer_app, capsys, tmp_path):
    import slicer
    from CTVolumeLib import phantom

    scan = phantom.make(phantom.PhantomParameters(spacing=(10.0, 10.0, 40.0))).volume
    phantom.write_dicom(scan, tmp_path / "dicom")
    slicer_app.load("CTSliceLocalizer")
    found = snippets(TUTORIAL)
    assert len(found) == 2
    console = {"slicer": slicer}
    for snippet in found:
        exec(compile(snippet.replace("/data/", f"{tmp_path.as_posix()}/"), "Tutorial.md", "exec"), console)
        slicer_app.settle()
    said = capsys.readouterr().out
    assert "lower neck to mid abdomen" in said
    assert "mid chest" in said
    assert console["training"].succeeded, said
    assert list((tmp_path / "model").rglob("*.dcm"))


def test_every_logic_call_of_the_snippet_is_documented(slicer_app):
    logic = slicer_app.load("CTSliceLocalizer").logic
    for name in set(re.findall(r"logic\.(\w+)\(", TUTORIAL)):
        assert getattr(type(logic), name).__doc__, name

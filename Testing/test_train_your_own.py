"""The tutorial Docs/Train-your-own.md, line by line as it is written; only the training is cut short."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from CTSliceLocalizerLib.cli import main
from support_documents import ROOT, commands, links, text_of

DOCUMENT = text_of("Docs/Train-your-own.md")
SHORT = ["--epochs", "1", "--batches", "2"]
"""Two small batches make a model that recognizes nothing; here it only has to come out and be used."""


def test_pictures_and_links_are_there() -> None:
    assert len(links(DOCUMENT)) >= 3
    for target in links(DOCUMENT):
        assert (ROOT / "Docs" / target).is_file(), target


def test_every_command_of_the_pipeline_is_told() -> None:
    told = [line.split()[0] for line in commands(DOCUMENT)]
    assert list(dict.fromkeys(told)) == [
        "phantom", "organize", "label-masks", "normalize", "convert", "partition", "train", "evaluate", "export",
        "locate",
    ]  # fmt: skip


@pytest.mark.slow
def test_the_tutorial_runs_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorflow")
    from CTSliceLocalizerLib import dataset

    monkeypatch.setattr(dataset, "SLICES_A_BATCH", 12)
    monkeypatch.setattr(dataset, "LENGTHS", (12,))
    monkeypatch.chdir(tmp_path)
    for line in commands(DOCUMENT):
        arguments = line.split()
        if arguments[0] == "train":
            arguments += SHORT  # the last one counts
        # Such a model may refuse scans, which evaluate and locate tell by exit code 1.
        allowed = (0, 1) if arguments[0] in ("evaluate", "locate") else (0,)
        assert main(arguments) in allowed, line
    labels = [json.loads(path.read_text()) for path in (tmp_path / "tree").rglob("labels.json")]
    assert len(labels) == 10
    assert all(len(one) >= 9 for one in labels)
    parts = json.loads((tmp_path / "partition.json").read_text())["series"]
    assert {part: len(uids) for part, uids in parts.items()} == {"train": 6, "validation": 2, "test": 2}
    figures = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text())
    assert (figures["patients"], figures["scans"], figures["part"]) == (1, 2, "test")
    page = (tmp_path / "evaluation" / "evaluation.html").read_text(encoding="utf-8")
    assert "too few for an interval" in page
    assert "PHANTOM25" not in page
    card = json.loads((tmp_path / "models" / "best.json").read_text())
    located = json.loads(next((tmp_path / "located").rglob("location.json")).read_text())
    assert located["model"] == {"name": "best", "sha256": card["sha256"]["npz"]}
    assert located["model"]["sha256"] == json.loads((tmp_path / "models" / "mine.json").read_text())["sha256"]["npz"]

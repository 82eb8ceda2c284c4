"""The tutorial Docs/Train-a-classifier.md, line by line as it is written; only scans and training are cut short."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from LungSegmentLib.classifier.cli import main
from support_documents import ROOT, commands, links, text_of

DOCUMENT = text_of("Docs/Train-a-classifier.md")
SHORT = ["--epochs", "1"]


def test_pictures_and_links_are_there() -> None:
    for target in links(DOCUMENT):
        assert (ROOT / "Docs" / target).is_file(), target


def test_every_command_is_told() -> None:
    told = [line.split()[0] for line in commands(DOCUMENT, "ct-classify")]
    assert told == ["phantom", "evaluate", "ablate", "train", "predict"]
    assert "ct-classify table --yes" in DOCUMENT


def test_what_the_readme_says_are_options_that_there_are(capsys: pytest.CaptureFixture) -> None:
    for line in commands(text_of("README.md"), "ct-classify"):
        assert main([line.split()[0], "--help"]) == 0
        text = capsys.readouterr().out
        assert all(word in text for word in line.split() if word.startswith("--"))


def test_the_table_tells_each_choice(capsys: pytest.CaptureFixture) -> None:
    main(["train", "--help"])
    text = capsys.readouterr().out
    for option in ("part", "values", "size", "zoom", "network", "schedule", "augmentation"):
        assert f"--{option}" in text
        assert f"`--{option}`" in DOCUMENT


@pytest.mark.slow
def test_the_tutorial_runs_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorflow")
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    for line in commands(DOCUMENT, "ct-classify"):
        arguments = line.split()
        if arguments[0] == "phantom":
            arguments += ["--scans", "8"]  # the last one counts
        elif arguments[0] != "predict":
            arguments += SHORT
        if arguments[0] in ("evaluate", "ablate"):
            arguments += ["--folds", "3"]
        assert main(arguments) == 0, line
    assert "Too few patients" in (tmp_path / "evaluation/evaluation.html").read_text(encoding="utf-8")
    answer = json.loads((tmp_path / "answers/chest-0000/prediction.json").read_text())
    assert 0 < answer["probability"] < 1
    head = (tmp_path / "phantoms/scans.csv").read_text().splitlines()[:3]
    assert "\n".join(f"    {line}" for line in head) in DOCUMENT

"""``ct-localize train`` and ``export``, and locating with the model that they make."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("tensorflow")

from CTSliceLocalizerLib import cli, dataset, phantoms
from CTVolumeLib import commands
from support_training import article_store, compact_store, tiny_networks


def run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_networks(monkeypatch)
    monkeypatch.setattr(dataset, "SLICES_A_BATCH", 12)
    monkeypatch.setattr(dataset, "LENGTHS", (6,))


@pytest.mark.slow
def test_trains_exports_and_locates(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    divided = compact_store(tmp_path / "store", "tttve")
    model = tmp_path / "models/mine"
    train = ("train", tmp_path / "store", "--partition", divided, "--out", model, "--epochs", 2, "--batches", 2)
    assert run(*train) == commands.DONE
    out, err = capsys.readouterr()
    assert out == ""
    assert "Epoch 1: loss" in err
    assert "Epoch 2: loss" in err
    card = json.loads(model.with_suffix(".json").read_text())
    assert card["trained_on"] == {"scans": 3, "patients": 3}
    assert card["training"]["validated_on"] == {"scans": 1}
    assert (card["training"]["epochs"], card["training"]["finished"]) == (2, True)

    assert run("export", tmp_path / "models/mine-training", "--out", tmp_path / "copy.npz") == commands.DONE
    assert (tmp_path / "copy.npz").read_bytes() == model.with_suffix(".npz").read_bytes()
    assert (tmp_path / "copy.tflite").exists()

    phantoms.write(tmp_path / "p", coverage=(0.17, 0.25), spacing=(8.0, 8.0, 8.0))
    located = run("locate", tmp_path / "p/phantom", "--model", tmp_path / "copy.npz", "--no-report", "--out",
                  tmp_path / "located")  # fmt: skip
    assert located in (commands.DONE, commands.SOME_FAILED)
    result = json.loads((tmp_path / "located/phantom/location.json").read_text())
    assert result["model"] == {"name": "copy", "sha256": card["sha256"]["npz"]}
    matched = run("match", tmp_path / "p/phantom", tmp_path / "p/phantom", "--model", tmp_path / "copy.npz",
                  "--no-report", "--no-refine", "--out", tmp_path / "matched")  # fmt: skip
    assert matched in (commands.DONE, commands.SOME_FAILED)
    result = json.loads((tmp_path / "matched/baseline/location.json").read_text())
    assert result["model"]["sha256"] == card["sha256"]["npz"]

    assert run(*train, "--seed", 5) == commands.NOTHING_USABLE
    assert "another training run" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_that_is_not_finished_can_be_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    divided = compact_store(tmp_path / "store")

    def stopped(number: int, losses: dict) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("CTSliceLocalizerLib.cli_training._say_epoch", stopped)
    assert run("train", tmp_path / "store", "--partition", divided, "--out", tmp_path / "mine", "--epochs", 9,
               "--batches", 2) == commands.STOPPED  # fmt: skip
    assert not (tmp_path / "mine.npz").exists()
    assert run("export", tmp_path / "mine-training", "--out", tmp_path / "mine", "--no-litert") == commands.DONE
    assert "not finished" in capsys.readouterr().err
    assert json.loads((tmp_path / "mine.json").read_text())["training"]["finished"] is False
    assert not (tmp_path / "mine.tflite").exists()


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (("--batch-size", 4), commands.WRONG_CALL, "no option --batch-size"),
        (("--network", "vgg19", "--batches", 4), commands.WRONG_CALL, "no option --batches"),
        (("--network", "vgg19", "--augmentation", "own"), commands.WRONG_CALL, "augmentation own"),
        (("--network", "vgg19"), commands.NOTHING_USABLE, "compact format"),
    ],
)
def test_wrong_calls(tmp_path: Path, capsys: pytest.CaptureFixture, options: tuple, code: int, text: str) -> None:
    divided = compact_store(tmp_path / "store")
    assert run("train", tmp_path / "store", "--partition", divided, "--out", tmp_path / "mine", *options) == code
    assert text in capsys.readouterr().err


def test_the_compact_network_does_not_take_single_slices(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    divided = article_store(tmp_path / "slices", 40)
    assert (
        run("train", tmp_path / "slices", "--partition", divided, "--out", tmp_path / "mine") == commands.NOTHING_USABLE
    )
    assert "ct-localize convert" in capsys.readouterr().err


def test_a_folder_without_a_run_is_said(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run("export", tmp_path, "--out", tmp_path / "mine") == commands.NOTHING_USABLE
    assert "holds no training run" in capsys.readouterr().err

"""run_in_slicer.py, run in the stand-in: it passes on the extension as it is, and fails where something is broken."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "run_in_slicer.py"


@pytest.fixture
def script(slicer_app):
    slicer_app.load("CTSliceLocalizer", enter=False)
    slicer_app.load("LungSegment", enter=False)
    slicer_app.load("HeadrestRemoval", enter=False)
    slicer_app.application.startupCompleted.emit()
    spec = importlib.util.spec_from_file_location("run_in_slicer", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.SELECT_SECONDS = module.STEP_SECONDS = 60.0  # times are measured elsewhere
    return module


def results(capsys) -> dict[str, str]:
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("PASS", "FAIL"))]
    return {line.split()[1].rstrip(":"): line.split()[0] for line in lines}


@pytest.mark.slow
def test_all_checks_pass(script, slicer_app, tmp_path, capsys):
    assert script.main(tmp_path) == 0
    found = results(capsys)
    assert list(found) == list(script.CHECKS)
    assert set(found.values()) == {"PASS"}
    pictures = {"locate", "plot", "follow-up", "annotate", "train", "lungs", "headrest"}
    assert {path.stem for path in tmp_path.glob("*.png")} == pictures
    assert slicer_app.dialogs() == []


def test_every_check_is_in_the_list(script):
    methods = {name for name in vars(script.Run) if not name.startswith("_")}
    assert methods == set(script.CHECKS)


def test_a_dead_button_fails(script, slicer_app, monkeypatch, tmp_path, capsys):
    module = slicer_app.module("CTSliceLocalizer").file
    monkeypatch.setattr(module.CTSliceLocalizerLogic, "locate", lambda *_args, **_more: None)
    monkeypatch.setattr(script, "CHECKS", ("modules_load", "selecting_is_quick", "sample_data_is_offered", "locate"))
    assert script.main(tmp_path) == 1
    assert results(capsys)["locate"] == "FAIL"


def test_lost_self_tests_fail(script, slicer_app, monkeypatch):
    module = slicer_app.module("CTSliceLocalizer").file
    monkeypatch.setattr(module, "CTSliceLocalizerTest", type("Empty", (), {}))
    with pytest.raises(script.CheckFailed, match="0 self-tests"):
        script.run_tests("CTSliceLocalizer", script.LEAST_TESTS)


def test_a_failing_self_test_is_told(script, slicer_app, monkeypatch):
    module = slicer_app.module("CTVolume").file

    def broken(_self):
        raise ValueError("broken")

    monkeypatch.setattr(module.CTVolumeTest, "test_samples", broken)
    with pytest.raises(script.CheckFailed, match="ValueError: broken"):
        script.run_tests("CTVolume", 1)


def test_without_main_window_it_fails(script, monkeypatch, tmp_path, capsys):
    import slicer.util

    monkeypatch.setattr(slicer.util, "mainWindow", lambda: None)
    assert script.main(tmp_path) == 1
    assert "no-main-window" in capsys.readouterr().out

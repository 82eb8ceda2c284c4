"""The section Train in use: real clicks, real child processes; training itself is played by a Python that is quick."""

from __future__ import annotations

import json
import shutil
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

WAIT_S = 60.0

FAKE = """#!{python}
# Runs all commands but those that take long: these it plays.
import os, sys, time
arguments = sys.argv[7:] if sys.argv[1:2] == ["-u"] else []
if arguments[:1] == ["train"]:
    model = arguments[arguments.index("--out") + 1]
    print("arguments " + " ".join(arguments), flush=True)
    for step in range(1, 4):
        print(f"progress {{step}} 3 Training", flush=True)
    if os.path.exists(os.path.dirname(model) + "/endless"):
        time.sleep(600)
    if os.path.exists(os.path.dirname(model) + "/broken"):
        print("The data hold no body.")
        sys.exit(3)
    open(model + ".npz", "w").close()
    sys.exit(0)
if arguments[:1] == ["evaluate"]:
    folder = arguments[arguments.index("--out") + 1]
    os.makedirs(folder, exist_ok=True)
    open(folder + "/evaluation.html", "w").close()
    sys.exit(0)
if sys.argv[1:3] == ["-m", "pip"]:
    print("Successfully installed " + " ".join(sys.argv[-2:]))
    sys.exit(0)
os.execv({python!r}, [{python!r}, *sys.argv[1:]])
"""


@pytest.fixture
def panel(slicer_app):
    """The module in use, with its section Train open."""
    loaded = slicer_app.load("CTSliceLocalizer")
    loaded.section = next(one for one in loaded.widget.sections if type(one).__name__ == "TrainSection")
    loaded.ui = loaded.section.ui
    slicer_app.click(loaded.section.button)
    return loaded


@pytest.fixture
def python(tmp_path) -> Path:
    path = tmp_path / "python"
    path.write_text(FAKE.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    """DICOM files of three patients, one for each part of the data; beside them ``tree``, the same organized."""
    from CTSliceLocalizerLib.organizer import organize
    from CTVolumeLib.phantom import write_dicom
    from CTVolumeLib.volume import CTVolume

    folder = tmp_path_factory.mktemp("dicom")
    j, i = np.mgrid[:32, :32]
    slices = np.where((j - 16) ** 2 + (i - 16) ** 2 < 100, 40, -1000).astype(np.int16)
    volume = CTVolume(np.repeat(slices[None], 50, axis=0), spacing=(10.0, 10.0, 5.0))
    for seed in (1, 2, 4):
        write_dicom(volume, folder / f"scans/{seed}", seed=seed, patient_id=f"P{seed}")
    organize([folder / "scans"], folder / "tree")
    return folder / "scans"


@pytest.fixture
def chosen(slicer_app, panel, scans, python, tmp_path) -> Path:
    """All paths are typed in; the training folder."""
    slicer_app.click(panel.ui.pythonButton)
    type_path(slicer_app, panel.ui.pythonPathEdit, python)
    type_path(slicer_app, panel.ui.sourcePathEdit, scans)
    type_path(slicer_app, panel.ui.folderPathEdit, tmp_path / "training")
    return tmp_path / "training"


@pytest.fixture
def organized(chosen, scans) -> Path:
    """The training folder after its first step."""
    shutil.copytree(scans.parent / "tree", chosen / "tree")
    return chosen


def type_path(slicer_app, edit, path) -> None:
    line = edit.findChildren("QLineEdit")[0]
    line.selectAll()
    slicer_app.type(str(path), line)


def run_step(slicer_app, panel, button) -> str:
    """Click, wait for the end, and return what the panel says."""
    slicer_app.click(button)
    slicer_app.wait(lambda: not panel.ui.progressBar.isVisible(), WAIT_S)
    return panel.ui.trainMessageLabel.text


def label(folder: Path, patients="P1 P2 P4", slices=(("C1", 3), ("C7", 24), ("Aortic arch", 40))) -> list[Path]:
    made = []
    for patient in patients.split():
        (series,) = (folder / "tree" / patient).glob("*/*")
        made.append(series / "labels.json")
        made[-1].write_text(json.dumps({name: f"{number}.dcm" for name, number in slices}))
    return made


@pytest.mark.slow
def test_from_files_to_a_model_that_locate_uses(slicer_app, panel, chosen):
    ui = panel.ui
    assert "Organized" in run_step(slicer_app, panel, ui.organizeButton)
    assert len(list((chosen / "tree").glob("P*/*/*/*.dcm"))) == 150
    label(chosen)
    assert "Prepared" in run_step(slicer_app, panel, ui.prepareButton), ui.logText.plainText
    assert len(json.loads((chosen / "combined_normalized_locations.json").read_text())) == 150
    parts = json.loads((chosen / "partition.json").read_text())["series"]
    assert {part: len(uids) for part, uids in parts.items()} == {"train": 1, "validation": 1, "test": 1}
    assert not ui.useModelButton.isEnabled()
    assert "Trained" in run_step(slicer_app, panel, ui.trainButton)
    assert not ui.showEvaluationButton.isEnabled()
    assert "Evaluated" in run_step(slicer_app, panel, ui.evaluateButton)
    assert ui.showEvaluationButton.isEnabled()
    slicer_app.click(ui.useModelButton)
    assert panel.widget.parameterNode.modelFile == str(chosen / "model.npz")
    locate = panel.widget.sections[0].ui
    assert locate.modelPathEdit.currentPath == str(chosen / "model.npz")
    assert locate.modelSelector.currentIndex == 1
    assert "3 series of 3 patients" in (chosen / "log.txt").read_text()


@pytest.mark.slow
def test_bad_labels_are_said_in_the_log_and_left_out(slicer_app, panel, organized):
    label(organized, "P2 P4")
    (bad,) = label(organized, "P1", (("C1", 24), ("C7", 3)))
    text = run_step(slicer_app, panel, panel.ui.prepareButton)
    assert "not everything could be used" in text
    assert f"{bad.parent.name}/labels.json:1: C7 lies 105 mm above C1" in panel.ui.logText.plainText
    names = json.loads((organized / "combined_normalized_locations.json").read_text())
    assert {name.split("/")[0] for name in names} == {"P2", "P4"}


@pytest.mark.slow
def test_labels_in_a_folder_of_annotate(slicer_app, panel, organized, tmp_path):
    for path in label(organized):
        (tmp_path / "labels" / path.parent.name).mkdir(parents=True)
        path.rename(tmp_path / "labels" / path.parent.name / "labels.json")
    panel.widget.parameterNode.labelsFolder = str(tmp_path / "labels")
    assert "Prepared" in run_step(slicer_app, panel, panel.ui.prepareButton), panel.ui.logText.plainText


@pytest.mark.slow
def test_too_few_patients_are_said_before_training(slicer_app, panel, organized):
    label(organized, "P2")
    assert "No patient fell into validation" in run_step(slicer_app, panel, panel.ui.prepareButton)


def test_what_has_to_be_done_before_is_said(slicer_app, panel, tmp_path, python):
    ui = panel.ui
    assert "Choose a training folder" in ui.trainMessageLabel.text
    for button in (ui.organizeButton, ui.prepareButton, ui.trainButton, ui.evaluateButton, ui.useModelButton):
        assert not button.isEnabled()
    type_path(slicer_app, ui.folderPathEdit, tmp_path / "training")
    for button, hint in (
        (ui.organizeButton, "Choose the folder with the DICOM files."),
        (ui.prepareButton, "Organize the DICOM files first"),
        (ui.trainButton, "Prepare the data first."),
        (ui.evaluateButton, "Prepare the data first."),
    ):
        slicer_app.click(button)
        assert hint in ui.trainMessageLabel.text
        assert not ui.progressBar.isVisible()


def test_nothing_labelled_is_said(slicer_app, panel, organized):
    assert "tree holds no labels" in run_step(slicer_app, panel, panel.ui.prepareButton)


def prepared(chosen: Path) -> None:
    """As if the data were prepared."""
    chosen.mkdir()
    (chosen / "partition.json").write_text("{}")


def test_a_failure_is_said_with_its_reason(slicer_app, panel, chosen):
    prepared(chosen)
    (chosen / "broken").write_text("")
    assert "Training failed: The data hold no body." in run_step(slicer_app, panel, panel.ui.trainButton)
    assert panel.ui.trainButton.isEnabled()


def test_cancel_ends_training_and_it_can_go_on(slicer_app, panel, chosen):
    prepared(chosen)
    (chosen / "endless").write_text("")
    ui = panel.ui
    slicer_app.click(ui.trainButton)
    slicer_app.wait(lambda: ui.progressBar.maximum == 3 and ui.progressBar.value == 3, WAIT_S)
    assert "Training" in ui.progressBar.format
    for control in (ui.organizeButton, ui.trainButton, ui.inputsWidget, ui.pythonPathEdit):
        assert not control.isEnabled()
    process = panel.section._run._process
    slicer_app.click(ui.cancelTrainingButton)
    slicer_app.wait(lambda: not ui.progressBar.isVisible(), WAIT_S)
    assert process.poll() is not None
    assert "Stopped" in ui.trainMessageLabel.text
    (chosen / "endless").unlink()
    assert "Trained" in run_step(slicer_app, panel, ui.trainButton)


def test_the_number_of_epochs_is_handed_over(slicer_app, panel, chosen):
    prepared(chosen)
    run_step(slicer_app, panel, panel.ui.trainButton)
    assert "--epochs" not in panel.ui.logText.plainText
    panel.ui.epochsSpinBox.setFocus()
    panel.ui.epochsSpinBox.value = 7
    slicer_app.settle()
    assert panel.widget.parameterNode.trainEpochs == 7
    run_step(slicer_app, panel, panel.ui.trainButton)
    assert "--epochs 7" in panel.ui.logText.plainText


def test_a_python_without_tensorflow_is_said_and_can_be_mended(slicer_app, panel, chosen, monkeypatch):
    from CTSliceLocalizerPanel import training_steps

    ui = panel.ui
    needs = {"no_such_thing": "no-such-thing>=1", "nor_this": "nor-this"}
    monkeypatch.setattr(training_steps, "ALL_NEEDS", training_steps.DATA_NEEDS | needs)
    assert not ui.installButton.isVisible()
    text = run_step(slicer_app, panel, ui.checkPythonButton)
    version = sys.version.split()[0]
    assert f"This Python ({version}) lacks no_such_thing, nor_this." in text
    assert "no_such_thing, nor_this" in ui.installButton.toolTip
    assert "Installed" in run_step(slicer_app, panel, ui.installButton)
    assert "Successfully installed no-such-thing>=1 nor-this" in ui.logText.plainText
    assert not ui.installButton.isVisible()
    monkeypatch.setattr(training_steps, "ALL_NEEDS", training_steps.DATA_NEEDS)
    assert f"Python {version} has all that training needs." in run_step(slicer_app, panel, ui.checkPythonButton)


def test_training_without_tensorflow_opens_the_choice_of_python(slicer_app, panel, tmp_path, monkeypatch):
    """With Slicer's own Python, which lacks it."""
    from CTSliceLocalizerPanel import training_steps

    monkeypatch.setattr(training_steps, "TRAINING_NEEDS", {"no_tensorflow_here": "tensorflow"})
    prepared(tmp_path / "training")
    type_path(slicer_app, panel.ui.folderPathEdit, tmp_path / "training")
    assert not panel.ui.pythonPathEdit.isVisible()
    assert "lacks no_tensorflow_here" in run_step(slicer_app, panel, panel.ui.trainButton)
    assert panel.ui.pythonPathEdit.isVisible()


def test_slicers_own_packages_are_not_changed(panel, tmp_path):
    from CTSliceLocalizerPanel import training_steps

    run = training_steps.install(["tensorflow"], logFile=tmp_path / "log.txt")
    arguments = run.commands[0].arguments
    run.kill()
    assert arguments[-1] == "tensorflow>=2.18"
    constraints = Path(arguments[arguments.index("--constraint") + 1]).read_text()
    assert f"numpy=={np.__version__}\n" in constraints


def test_a_python_that_is_not_there_is_said(slicer_app, panel, tmp_path):
    slicer_app.click(panel.ui.pythonButton)
    type_path(slicer_app, panel.ui.pythonPathEdit, tmp_path / "none")
    slicer_app.click(panel.ui.checkPythonButton)
    assert "There is no such Python." in panel.ui.trainMessageLabel.text


def test_the_python_stays_on_this_computer(slicer_app, panel, chosen, python, tmp_path):
    assert str(python) not in str(panel.widget.parameterNode.parameterNode)
    again = slicer_app.reload("CTSliceLocalizer")
    section = next(one for one in again.widget.sections if type(one).__name__ == "TrainSection")
    assert section.ui.pythonPathEdit.currentPath == str(python)
    assert section.ui.folderPathEdit.currentPath == str(chosen)


def test_a_saved_scene_brings_the_folders_back(slicer_app, panel, chosen, scans, tmp_path):
    slicer_app.saveScene(tmp_path / "scene.mrb")
    slicer_app.closeScene()
    assert panel.ui.folderPathEdit.currentPath == ""
    slicer_app.loadScene(tmp_path / "scene.mrb")
    assert panel.ui.folderPathEdit.currentPath == str(chosen)
    assert panel.ui.sourcePathEdit.currentPath == str(scans)


def test_closing_the_scene_does_not_end_training(slicer_app, panel, chosen):
    prepared(chosen)
    (chosen / "endless").write_text("")
    slicer_app.click(panel.ui.trainButton)
    slicer_app.wait(lambda: panel.ui.progressBar.value == 3, WAIT_S)
    slicer_app.closeScene()
    slicer_app.leave()
    slicer_app.enter()
    assert panel.ui.progressBar.isVisible()
    slicer_app.click(panel.ui.cancelTrainingButton)
    slicer_app.wait(lambda: not panel.ui.progressBar.isVisible(), WAIT_S)


def test_reloading_the_module_ends_the_children(slicer_app, panel, chosen):
    prepared(chosen)
    (chosen / "endless").write_text("")
    slicer_app.click(panel.ui.trainButton)
    slicer_app.wait(lambda: panel.ui.progressBar.value == 3, WAIT_S)
    process = panel.section._run._process
    slicer_app.reload("CTSliceLocalizer")
    assert process.poll() is not None


def test_from_the_console(slicer_app, panel, scans, tmp_path):
    run = panel.logic.startTraining("organize", tmp_path / "training", source=scans)
    run.wait(slicer_app.settle)
    assert run.succeeded
    assert panel.logic.trainedModel(tmp_path / "training") is None
    with pytest.raises(ValueError, match="nonsense"):
        panel.logic.startTraining("nonsense", prepared_folder(tmp_path))


def prepared_folder(tmp_path) -> Path:
    (tmp_path / "training/partition.json").write_text("{}")
    return tmp_path / "training"


def test_the_page_opens_in_the_browser(slicer_app, panel, chosen, monkeypatch):
    import qt

    opened = []
    monkeypatch.setattr(qt.QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()))
    (chosen / "evaluation").mkdir(parents=True)
    (chosen / "evaluation/evaluation.html").write_text("")
    slicer_app.leave()
    slicer_app.enter()
    slicer_app.click(panel.ui.showEvaluationButton)
    assert opened == [str(chosen / "evaluation/evaluation.html")]


def test_every_control_has_a_tooltip(panel):
    named = [widget for widget in vars(panel.ui).values() if hasattr(widget, "toolTip") and widget.objectName]
    kinds = ("QPushButton", "ctkPathLineEdit", "QSpinBox", "QProgressBar", "QPlainTextEdit", "ctkCollapsibleButton")
    controls = [widget for widget in named if widget.className() in kinds]
    assert len(controls) >= 15
    assert [widget.objectName for widget in controls if not widget.toolTip] == []

"""What the sections share: fields for paths that are emptied, selectors, and that no control is without a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FORMS = Path(__file__).parents[2] / "CTSliceLocalizer" / "Resources" / "UI"
USED = "QPushButton|QCheckBox|QComboBox|QDoubleSpinBox|QSpinBox|QTableWidget|ctkPathLineEdit|qMRMLNodeComboBox"


@pytest.fixture
def panel(slicer_app):
    return slicer_app.load("CTSliceLocalizer").widget


def test_an_emptied_model_field_means_the_shipped_model(slicer_app, panel):
    ui = panel.sections[0].ui
    slicer_app.click(ui.engineButton)
    slicer_app.choose(ui.modelSelector, 1)
    ui.modelPathEdit.currentPath = "/models/own.txt"
    assert panel.parameterNode.modelFile == "/models/own.txt", "Locate says what is wrong with it"
    ui.modelPathEdit.currentPath = ""
    assert panel.parameterNode.modelFile == ""


def test_emptied_fields_of_train_are_emptied(slicer_app, panel):
    ui = panel.sections[3].ui
    ui.folderPathEdit.currentPath = "/training"
    ui.pythonPathEdit.currentPath = "/usr/bin/python"
    assert panel.parameterNode.trainFolder == "/training"
    ui.folderPathEdit.currentPath = ""
    ui.pythonPathEdit.currentPath = ""
    assert panel.parameterNode.trainFolder == ""
    assert slicer_app.application.userSettings().value("CTSliceLocalizer/TrainingPython") == ""


def test_chosen_scans_are_kept_in_the_scene(slicer_app, panel):
    import slicer

    ui = panel.sections[1].ui
    scans = [slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in ("one", "two")]
    slicer_app.click(panel.sections[1].button)
    for baseline, follow_up in (scans, scans[::-1]):
        slicer_app.choose(ui.baselineSelector, baseline)
        slicer_app.choose(ui.followUpSelector, follow_up)
        assert (panel.parameterNode.baselineVolume, panel.parameterNode.followUpVolume) == (baseline, follow_up)


def test_every_control_is_used_by_a_test():
    tests = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    controls = [
        name
        for form in FORMS.glob("*.ui")
        for name in re.findall(rf'<widget class="(?:{USED})" name="(\w+)"', form.read_text("utf-8"))
    ]
    assert len(controls) > 40
    assert [name for name in controls if not re.search(rf"\b{name}\b", tests)] == []

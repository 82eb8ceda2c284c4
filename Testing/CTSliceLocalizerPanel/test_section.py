"""What the sections share: fields for paths that are emptied."""

from __future__ import annotations

import pytest


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

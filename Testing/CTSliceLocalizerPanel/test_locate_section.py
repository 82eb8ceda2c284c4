"""The section Locate in use: real clicks and keys on the real model and a sample scan."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import support_mrml as mrml

ROOT = Path(__file__).parents[2]
STEPS = 5
"""Times that locating the sample scan asks at least whether to go on, at the start of the work and in the network."""


@pytest.fixture
def panel(slicer_app):
    """The module in use, with its section Locate."""
    loaded = slicer_app.load("CTSliceLocalizer")
    loaded.section = loaded.widget.sections[0]
    loaded.ui = loaded.section.ui
    return loaded


@pytest.fixture
def volume(panel):
    """The sample scan, every second slice and pixel, shown in the views."""
    return add_sample()


def add_sample(name: str = "CT chest", flip: bool = False, change=lambda array: array):
    import slicer.util
    from CTVolumeLib import dicom, samples, scene
    from CTVolumeLib.volume import CTVolume

    whole = dicom.read(samples.sample("CTChestSample").path)
    array = whole.array[::2, ::2, ::2]
    array = change(array[::-1] if flip else array)
    spacing = tuple(2 * value for value in whole.spacing)
    node = scene.node_from_volume(
        CTVolume(np.ascontiguousarray(array), spacing=spacing, origin=whole.origin, direction=whole.direction), name
    )
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def locate(slicer_app, panel, volume):
    slicer_app.choose(panel.ui.inputSelector, volume)
    slicer_app.click(panel.ui.locateButton)
    assert panel.logic.location(volume) is not None, panel.ui.messageLabel.text


def at_step(panel, number: int, action):
    """Do something in the middle of a run, when it asks the given time whether to go on."""
    asked, ask = [], panel.section._onProgress

    def progress(*args):
        asked.append(args)
        if len(asked) == number:
            action()
        return ask(*args)

    panel.section._onProgress = progress
    return asked


def nodes_of(volume):
    from CTSliceLocalizerPanel import location_nodes

    return location_nodes.nodesOf(volume)


def red():
    import slicer

    return slicer.app.layoutManager().sliceWidget("Red").sliceLogic()


# What it is for


def test_one_click_locates_and_clear_leaves_nothing(slicer_app, panel, volume):
    slicer_app.choose(panel.ui.inputSelector, volume)
    locate(slicer_app, panel, volume)
    slicer_app.click(panel.ui.clearButton)
    before = mrml.node_ids(slicer_app.scene)
    slicer_app.click(panel.ui.locateButton)
    assert not panel.ui.messageLabel.isVisible()
    assert panel.ui.coverageLabel.text == "Covers lower neck to mid abdomen."
    assert panel.ui.landmarkTable.rowCount == 12
    once = len(mrml.node_ids(slicer_app.scene))
    slicer_app.click(panel.ui.locateButton)
    assert len(mrml.node_ids(slicer_app.scene)) == once
    slicer_app.click(panel.ui.clearButton)
    assert mrml.node_ids(slicer_app.scene) == before
    assert not panel.ui.resultWidget.isVisible()
    assert panel.logic.location(volume) is None


def test_the_shown_volume_is_chosen_by_itself(slicer_app, panel):
    assert panel.widget.parameterNode.inputVolume is None
    assert not panel.ui.locateButton.isEnabled()
    first = add_sample("first")
    slicer_app.settle()
    assert panel.widget.parameterNode.inputVolume is first
    add_sample("second")
    slicer_app.settle()
    assert panel.widget.parameterNode.inputVolume is first, "a choice is not taken back"


def test_the_shown_volume_is_chosen_on_entering(slicer_app, panel):
    slicer_app.leave()
    volume = add_sample()
    assert panel.widget.parameterNode.inputVolume is None
    slicer_app.enter()
    assert panel.widget.parameterNode.inputVolume is volume


@pytest.mark.slow
def test_locate_match_and_clear_leave_nothing(slicer_app, panel):
    baseline, later = (add_sample(name) for name in ("baseline", "later"))

    def once():
        panel.logic.locate(baseline)
        panel.logic.linkScrolling(baseline, later)
        slicer_app.settle()
        panel.logic.clearMatch(baseline, later)
        for volume in (baseline, later):
            panel.logic.clearLocation(volume)
        slicer_app.settle()
        return mrml.node_ids(slicer_app.scene)

    before = mrml.node_ids(slicer_app.scene)
    after = once()
    extra = {slicer_app.scene.GetNodeByID(identifier).GetClassName() for identifier in after - before}
    assert extra <= {"vtkMRMLSubjectHierarchyNode"}
    assert once() == after


def test_a_click_on_a_landmark_goes_there(slicer_app, panel, volume):
    locate(slicer_app, panel, volume)
    location, table = panel.logic.location(volume), panel.ui.landmarkTable
    table.setCurrentCell(5, 0)
    slicer_app.settle()
    assert red().GetSliceOffset() == pytest.approx(location.landmark("Aortic arch").z_mm, abs=1e-3)
    import qt

    slicer_app.press(qt.Qt.Key_Down, widget=table)
    assert red().GetSliceOffset() == pytest.approx(location.landmark("Bifurcation of trachea").z_mm, abs=1e-3)
    red().SetSliceOffset(0)
    table.cellClicked.emit(6, 0)  # the same row again
    slicer_app.settle()
    assert red().GetSliceOffset() == pytest.approx(location.landmark("Bifurcation of trachea").z_mm, abs=1e-3)
    assert table.item(0, 1).text() == "outside scan"
    assert table.item(6, 0).toolTip().startswith("Bifurcation of trachea: ")
    assert panel.logic.goToLandmark(volume, "Top of head") is None


def test_scrolling_says_where_the_slice_lies(slicer_app, panel, volume):
    locate(slicer_app, panel, volume)
    location = panel.logic.location(volume)
    red().SetSliceOffset(-132.0)
    assert panel.ui.currentLabel.text.startswith("This slice: <b>lower chest</b><br>Location 0.2")
    assert f"{float(location.location_at(-132.0)):.3f} ± " in panel.ui.currentLabel.text
    red().SetSliceOffset(500.0)
    assert panel.ui.currentLabel.text.startswith("This slice lies outside the scan.")
    yellow = panel.ui.currentLabel.text
    import slicer

    slicer.app.layoutManager().sliceWidget("Yellow").sliceLogic().SetSliceOffset(10)
    assert panel.ui.currentLabel.text == yellow, "a sagittal slice has no place along the body"
    slicer_app.leave()
    red().SetSliceOffset(-132.0)
    assert panel.ui.currentLabel.text == yellow, "nothing is followed while another module is shown"


def test_a_view_that_comes_later_is_followed(slicer_app, panel, volume):
    import slicer

    locate(slicer_app, panel, volume)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceNode", "New")
    node.SetLayoutName("New")
    node.SetOrientationToAxial()
    node.SetSliceOffset(-50.0)
    assert "mid chest" in panel.ui.currentLabel.text


def test_plot_and_table_are_shown_and_the_layout_comes_back(slicer_app, panel, volume):
    import slicer

    locate(slicer_app, panel, volume)
    manager, nodes = slicer.app.layoutManager(), nodes_of(volume)
    before = manager.layout
    slicer_app.click(panel.ui.plotButton)
    selection = slicer.app.applicationLogic().GetSelectionNode()
    assert selection.GetActivePlotChartID() == nodes.chart.GetID()
    slicer_app.click(panel.ui.tableButton)
    assert selection.GetActiveTableID() == nodes.table.GetID()
    assert manager.layout != before
    slicer_app.click(panel.ui.clearButton)
    assert manager.layout == before


def test_a_removed_chart_is_said(slicer_app, panel, volume):
    import slicer

    locate(slicer_app, panel, volume)
    slicer.mrmlScene.RemoveNode(nodes_of(volume).chart)
    slicer_app.click(panel.ui.plotButton)
    assert "press Locate again" in panel.ui.messageLabel.text
    slicer_app.click(panel.ui.locateButton)
    assert not panel.ui.messageLabel.isVisible()


# What one must not miss


def test_an_upside_down_scan_is_flagged_in_the_panel(slicer_app, panel):
    locate(slicer_app, panel, add_sample(flip=True))
    assert panel.ui.messageLabel.isVisible()
    assert "upside-down" in panel.ui.messageLabel.text
    assert slicer_app.dialogs() == []


def test_a_picture_that_is_no_ct_is_refused(slicer_app, panel):
    windowed = add_sample(change=lambda array: (np.clip(array + 1000, 0, 255)).astype(np.int16))
    locate(slicer_app, panel, windowed)
    assert "Refused" in panel.ui.messageLabel.text
    assert "Hounsfield" in panel.ui.messageLabel.text
    assert not panel.ui.landmarkTable.isVisible()
    slicer_app.click(panel.ui.clearButton)
    assert not panel.ui.messageLabel.isVisible()


def test_a_volume_that_moved_is_said_to_have_moved(slicer_app, panel, volume):
    import slicer

    locate(slicer_app, panel, volume)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    volume.SetAndObserveTransformNodeID(transform.GetID())
    matrix = slicer.util.vtkMatrixFromArray(np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 40], [0, 0, 0, 1.0]]))
    transform.SetMatrixTransformToParent(matrix)
    slicer_app.settle()
    assert "moved since" in panel.ui.messageLabel.text
    assert not panel.ui.landmarkTable.isVisible()
    slicer_app.click(panel.ui.locateButton)
    assert not panel.ui.messageLabel.isVisible()


# What may happen in between


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_cancel_at_any_moment_changes_nothing(slicer_app, panel, volume, step):
    locate(slicer_app, panel, volume)
    before, result = mrml.node_ids(slicer_app.scene), panel.logic.location(volume)

    def cancel():
        assert panel.ui.progressBar.isVisible()
        assert not panel.ui.locateButton.isEnabled()
        slicer_app.click(panel.ui.cancelButton)

    asked = at_step(panel, step, cancel)
    slicer_app.click(panel.ui.locateButton)
    assert len(asked) == step, "it goes no step further"
    assert "Cancelled." in panel.ui.messageLabel.text
    assert mrml.node_ids(slicer_app.scene) == before
    assert panel.logic.location(volume) is result
    assert not panel.ui.cancelButton.isVisible()
    assert panel.ui.locateButton.isEnabled()


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_volume_that_is_deleted_meanwhile(slicer_app, panel, volume, step):
    import slicer

    slicer_app.choose(panel.ui.inputSelector, volume)
    before = mrml.node_ids(slicer_app.scene)
    at_step(panel, step, lambda: slicer.mrmlScene.RemoveNode(volume))
    slicer_app.click(panel.ui.locateButton)
    assert mrml.node_ids(slicer_app.scene) < before
    assert not panel.ui.progressBar.isVisible()


def test_a_scene_that_is_closed_meanwhile(slicer_app, panel, volume):
    slicer_app.choose(panel.ui.inputSelector, volume)
    at_step(panel, 1, slicer_app.closeScene)
    slicer_app.click(panel.ui.locateButton)
    assert panel.widget.parameterNode.inputVolume is None
    assert not panel.ui.resultWidget.isVisible()
    locate(slicer_app, panel, add_sample())


def test_a_module_that_is_reloaded_meanwhile(slicer_app, panel, volume):
    slicer_app.choose(panel.ui.inputSelector, volume)
    at_step(panel, 1, lambda: slicer_app.reload("CTSliceLocalizer"))
    slicer_app.click(panel.ui.locateButton)
    again = slicer_app.module("CTSliceLocalizer")
    again.ui = again.widget.sections[0].ui
    assert again.widget is not panel.widget
    locate(slicer_app, again, volume)


def test_closing_the_scene_empties_the_panel(slicer_app, panel, volume):
    locate(slicer_app, panel, volume)
    slicer_app.closeScene()
    assert panel.widget.parameterNode.inputVolume is None
    assert not panel.ui.resultWidget.isVisible()
    assert not panel.ui.locateButton.isEnabled()
    locate(slicer_app, panel, add_sample())


def test_a_reload_shows_the_result_again(slicer_app, panel, volume):
    locate(slicer_app, panel, volume)
    panel = slicer_app.reload("CTSliceLocalizer")
    ui = panel.widget.sections[0].ui
    assert ui.coverageLabel.text == "Covers lower neck to mid abdomen."
    red().SetSliceOffset(-50.0)
    assert "mid chest" in ui.currentLabel.text


def test_the_reload_button_takes_the_whole_panel_along(slicer_app, panel, volume):
    locate(slicer_app, panel, volume)
    before = sys.modules["CTSliceLocalizerPanel.location_nodes"]
    panel.widget.onReload()
    slicer_app.settle()
    again = slicer_app.module("CTSliceLocalizer")
    assert sys.modules["CTSliceLocalizerPanel.location_nodes"] is not before
    assert again.logic.location(volume) is not None


def test_saved_scenes_bring_settings_and_results_back(slicer_app, panel, volume, tmp_path):
    locate(slicer_app, panel, volume)
    before = panel.logic.location(volume)
    panel.widget.parameterNode.modelFile = "/models/own.npz"
    slicer_app.saveScene(tmp_path / "scene.mrb")
    slicer_app.closeScene()
    assert panel.widget.parameterNode.modelFile == ""
    slicer_app.loadScene(tmp_path / "scene.mrb")
    again = panel.widget.parameterNode.inputVolume
    assert again is not None
    assert again is not volume
    assert panel.logic.location(again).location == pytest.approx(before.location, abs=1e-5)
    assert panel.ui.landmarkTable.isVisible()
    assert panel.widget.parameterNode.modelFile == "/models/own.npz"
    assert panel.ui.modelSelector.currentIndex == 1
    assert panel.ui.modelPathEdit.currentPath == "/models/own.npz"


def test_deleting_the_located_volume(slicer_app, panel, volume):
    import slicer

    locate(slicer_app, panel, volume)
    slicer.mrmlScene.RemoveNode(volume)
    slicer_app.settle()
    assert panel.widget.parameterNode.inputVolume is None
    assert not panel.ui.resultWidget.isVisible()
    red().SetSliceOffset(-10)


# Models


def test_a_model_file_that_is_none(slicer_app, panel, volume, tmp_path):
    slicer_app.choose(panel.ui.inputSelector, volume)
    slicer_app.click(panel.ui.engineButton)
    slicer_app.choose(panel.ui.modelSelector, "A model file:")
    path = tmp_path / "mine.npz"
    panel.ui.modelPathEdit.currentPath = str(path)
    slicer_app.click(panel.ui.locateButton)
    assert "mine.npz" in panel.ui.messageLabel.text
    path.write_bytes(b"no model")
    slicer_app.click(panel.ui.locateButton)
    assert "mine" in panel.ui.messageLabel.text
    slicer_app.choose(panel.ui.modelSelector, 0)
    assert panel.widget.parameterNode.modelFile == ""
    slicer_app.click(panel.ui.locateButton)
    assert panel.logic.location(volume) is not None


def test_a_model_file_that_is_one(slicer_app, panel, volume, tmp_path):
    import shutil

    for source in (ROOT / "CTSliceLocalizer" / "Resources" / "Models").glob("ct-slice-localizer.*"):
        shutil.copy(source, tmp_path / source.name)
    slicer_app.click(panel.ui.engineButton)
    slicer_app.choose(panel.ui.modelSelector, 1)
    panel.ui.modelPathEdit.currentPath = str(tmp_path / "ct-slice-localizer.npz")
    locate(slicer_app, panel, volume)
    assert not panel.ui.messageLabel.isVisible()


def test_a_run_that_fails_says_so_in_a_sentence(slicer_app, panel, volume, monkeypatch):
    from CTSliceLocalizerLib import predictor

    def fail(*_args, **_kwargs):
        raise RuntimeError("inside")

    slicer_app.choose(panel.ui.inputSelector, volume)
    before = mrml.node_ids(slicer_app.scene)
    monkeypatch.setattr(predictor, "locate", fail)
    slicer_app.click(panel.ui.locateButton)
    assert "Locate failed (RuntimeError)" in panel.ui.messageLabel.text
    assert "inside" not in panel.ui.messageLabel.text
    assert mrml.node_ids(slicer_app.scene) == before


def test_litert_is_offered_and_never_needed(slicer_app, panel, volume, monkeypatch):
    from CTSliceLocalizerPanel import faster_engine

    monkeypatch.setattr(faster_engine, "isInstalled", lambda: False)
    slicer_app.click(panel.ui.engineButton)
    slicer_app.click(panel.ui.liteRTCheckBox)
    assert "LiteRT could not be installed" in panel.ui.messageLabel.text
    assert not panel.ui.liteRTCheckBox.isChecked()
    assert panel.widget.parameterNode.useLiteRT is False
    assert slicer_app.pip == [("pip_ensure", [faster_engine.REQUIREMENT], {"requester": "CTSliceLocalizer"})]
    locate(slicer_app, panel, volume)


@pytest.mark.parametrize("agreed", [True, False])
def test_litert_on_slicer_before_5_12(slicer_app, panel, monkeypatch, agreed):
    """There Slicer does not ask by itself; nothing is installed without a yes."""
    import slicer.util
    from CTSliceLocalizerPanel import faster_engine
    from CTVolumeLib.errors import CTError

    asked = []
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text: asked.append(text) or agreed)
    monkeypatch.setattr(faster_engine, "isInstalled", lambda: False)
    with pytest.raises(CTError, match="Locate works without it"):
        panel.logic.installLiteRT()
    assert len(asked) == 1
    assert faster_engine.REQUIREMENT in asked[0]
    assert slicer_app.pip == ([("pip_install", faster_engine.REQUIREMENT, {})] if agreed else [])


def test_litert_gives_the_same_result(slicer_app, panel, volume):
    pytest.importorskip("ai_edge_litert")
    locate(slicer_app, panel, volume)
    numpy_result = panel.logic.location(volume)
    slicer_app.click(panel.ui.engineButton)
    slicer_app.click(panel.ui.liteRTCheckBox)
    locate(slicer_app, panel, volume)
    assert panel.logic.location(volume).location == pytest.approx(numpy_result.location, abs=1e-3)


def test_nothing_asks_the_network(slicer_app, panel, volume, monkeypatch):
    import socket

    def refuse(*_args):
        raise AssertionError("something wants the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    locate(slicer_app, panel, volume)


# Keyboard


def test_the_keyboard_alone_locates(slicer_app, panel, volume):
    slicer_app.choose(panel.ui.inputSelector, volume)
    slicer_app.press(" ", widget=panel.ui.locateButton)
    assert panel.logic.location(volume) is not None


# Module


@pytest.mark.slow
def test_selecting_the_module_is_quick_and_imports_nothing_heavy():
    program = f"""
import sys
sys.path.insert(0, {str(ROOT / "Testing")!r})
from slicerstandin.session import Session
session = Session().start()
session.load("CTVolume", enter=False)
import time
start = time.process_time()  # the wall clock without what other programs take
session.load("CTSliceLocalizer")
print("SECONDS", time.process_time() - start)
heavy = {{"tensorflow", "keras", "skimage", "ai_edge_litert", "matplotlib", "onnxruntime"}}
print("HEAVY", *sorted(heavy & set(sys.modules)))
session.end()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = dict(line.partition(" ")[::2] for line in done.stdout.splitlines() if " " in line)
    assert float(lines["SECONDS"]) < 0.3
    assert lines.get("HEAVY", "") == ""
    assert "HEAVY" in done.stdout


@pytest.mark.slow
def test_the_self_tests_pass(slicer_app, panel):
    panel.file.CTSliceLocalizerTest().runTest()


def test_the_description_is_complete(slicer_app, panel):
    module = panel.module
    assert "research use only" in module.helpText
    assert module.categories
    assert module.dependencies == ["CTVolume"]
    assert module.contributors
    assert module.acknowledgementText
    assert module.icon is not None

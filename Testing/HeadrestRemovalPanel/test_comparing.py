"""Before and after in the slice views and in the 3D view, the table, and every control."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import support_mrml as mrml
from support_headrest_panel import answer, composite, equipment_of, voxels
from support_segment_panel import apply, show


@pytest.fixture
def done(slicer_app, panel, volume, patient, monkeypatch):
    """The segmentation of a run that found the truth."""
    answer(monkeypatch, equipment_of(patient), steps=1)
    return apply(slicer_app, panel, volume)


def renderings(slicer_app) -> list:
    return list(slicer_app.scene.GetNodesByClass("vtkMRMLVolumeRenderingDisplayNode"))


def test_after_shows_the_cleaned_scan_without_segments_and_before_takes_it_back(slicer_app, panel, volume, done):
    ui, cleaned = panel.ui, panel.logic.cleaned(volume)
    assert ui.beforeButton.checked
    slicer_app.click(ui.afterButton)
    assert composite().GetBackgroundVolumeID() == cleaned.GetID()
    assert not done.GetDisplayNode().GetVisibility2D()
    assert ui.afterButton.checked
    slicer_app.click(ui.beforeButton)
    assert composite().GetBackgroundVolumeID() == volume.GetID()
    assert done.GetDisplayNode().GetVisibility2D()
    assert ui.beforeButton.checked


def test_before_and_after_by_keyboard(slicer_app, panel, volume, done):
    import qt

    cleaned = panel.logic.cleaned(volume)
    for key, shown in (("t", cleaned), ("b", volume)):
        slicer_app.press(key, qt.Qt.AltModifier)
        slicer_app.wait(lambda shown=shown: composite().GetBackgroundVolumeID() == shown.GetID())


def test_what_one_sees_differs_where_equipment_is(slicer_app, panel, volume, done):
    import slicer

    view = slicer.app.layoutManager().sliceWidget("Yellow")
    pictures = []
    for button in (panel.ui.afterButton, panel.ui.beforeButton):
        slicer_app.click(button)
        image = view.image()
        rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
        rgb = rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).astype(int)
        pictures.append(((rgb[..., 0] > rgb[..., 2] + 40).mean(), rgb.copy()))
    assert pictures[0][0] == 0, "after: nothing orange"
    assert pictures[1][0] > 0.01, "before: the headrest is orange"


def test_views_of_other_scans_stay(slicer_app, panel, volume, done, patient):
    import slicer

    other = slicer.app.layoutManager().sliceWidget("Green").mrmlSliceCompositeNode()
    another = show(patient.volume.with_array(patient.volume.array.copy()), "another")
    for view in ("Red", "Yellow"):
        slicer.app.layoutManager().sliceWidget(view).mrmlSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
    slicer_app.click(panel.ui.afterButton)
    assert other.GetBackgroundVolumeID() == another.GetID()
    assert composite().GetBackgroundVolumeID() == panel.logic.cleaned(volume).GetID()


def test_the_panel_follows_views_that_others_change(slicer_app, panel, volume, done):
    import slicer

    slicer.util.setSliceViewerLayers(background=panel.logic.cleaned(volume))
    slicer_app.settle()
    assert panel.ui.afterButton.checked
    slicer.util.setSliceViewerLayers(background=volume)
    slicer_app.settle()
    assert panel.ui.beforeButton.checked


def test_window_level_and_colours_go_along(slicer_app, panel, volume, patient, monkeypatch):
    display = volume.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(350, 40)
    display.SetInterpolate(0)
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeInvertedGrey")
    answer(monkeypatch, equipment_of(patient), steps=1)
    apply(slicer_app, panel, volume)
    own = panel.logic.cleaned(volume).GetDisplayNode()
    assert own is not display
    assert (own.GetWindow(), own.GetLevel(), own.GetInterpolate()) == (350, 40, 0)
    assert own.GetColorNodeID() == "vtkMRMLColorTableNodeInvertedGrey"
    slicer_app.click(panel.ui.afterButton)
    own.SetWindowLevel(1500, -500)
    slicer_app.click(panel.ui.beforeButton)
    assert (display.GetWindow(), display.GetLevel()) == (1500, -500)
    assert slicer_app.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeDisplayNode") == 2


def test_what_the_run_measured_is_not_measured_again(slicer_app, panel, volume, patient, monkeypatch):
    from HeadrestRemovalLib import measure

    calls, real = [], measure.measure
    monkeypatch.setattr(measure, "measure", lambda *args: calls.append(args) or real(*args))
    answer(monkeypatch, equipment_of(patient), steps=1)
    apply(slicer_app, panel, volume)
    slicer_app.click(panel.ui.afterButton)
    slicer_app.click(panel.ui.tableButton)
    assert len(calls) == 1, "seconds on a large scan"


def test_the_rendering_follows_before_and_after_and_leaves_nothing(slicer_app, panel, volume, done):
    ui, cleaned = panel.ui, panel.logic.cleaned(volume)
    before = mrml.node_ids(slicer_app.scene)
    assert renderings(slicer_app) == []
    slicer_app.click(ui.renderingCheckBox)
    (display,) = renderings(slicer_app)
    assert display.GetDisplayableNode() is volume
    assert display.GetVisibility()
    slicer_app.click(ui.afterButton)
    (display,) = renderings(slicer_app)
    assert display.GetDisplayableNode() is cleaned
    assert ui.renderingCheckBox.checked
    slicer_app.click(ui.renderingCheckBox)
    assert mrml.node_ids(slicer_app.scene) == before
    assert not ui.renderingCheckBox.checked
    assert not volume.GetNthDisplayNode(1)


@pytest.mark.parametrize("which", ["beforeButton", "afterButton"])
def test_the_rendering_goes_with_its_volume(slicer_app, panel, volume, done, which):
    slicer_app.click(panel.ui.renderingCheckBox)
    slicer_app.click(getattr(panel.ui, which))
    slicer_app.scene.RemoveNode(volume if which == "beforeButton" else panel.logic.cleaned(volume))
    slicer_app.settle()
    assert renderings(slicer_app) == []
    assert slicer_app.scene.GetNumberOfNodesByClass("vtkMRMLVolumePropertyNode") == 0
    assert not panel.ui.renderingCheckBox.checked


@pytest.mark.slow
def test_the_rendering_shows_the_headrest_before_and_not_after(slicer_app, panel, volume, done):
    import slicer

    slicer_app.click(panel.ui.renderingCheckBox)
    view, pictures = slicer.app.layoutManager().threeDWidget(0), []
    for button in (panel.ui.beforeButton, panel.ui.afterButton):
        slicer_app.click(button)
        image = view.image()
        rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
        pictures.append(rows[:, : 3 * image.width()].astype(int))
    changed = np.abs(pictures[0] - pictures[1]).max(axis=0) > 60
    assert 0.01 < changed.mean() < 0.5


def test_a_rendering_of_the_user_stays(slicer_app, panel, volume, done):
    own = slicer_app.scene.AddNewNodeByClass("vtkMRMLCPURayCastVolumeRenderingDisplayNode", "mine")
    volume.AddAndObserveDisplayNodeID(own.GetID())
    slicer_app.click(panel.ui.renderingCheckBox)
    slicer_app.click(panel.ui.afterButton)
    slicer_app.click(panel.ui.renderingCheckBox)
    assert renderings(slicer_app) == [own]
    assert own.GetDisplayableNode() is volume


def test_the_rendering_is_saved_and_can_be_ended_then(slicer_app, panel, volume, done, tmp_path):
    slicer_app.click(panel.ui.renderingCheckBox)
    slicer_app.saveScene(tmp_path / "scene.mrb")
    slicer_app.loadScene(tmp_path / "scene.mrb")
    assert panel.ui.renderingCheckBox.checked
    assert len(renderings(slicer_app)) == 1
    slicer_app.click(panel.ui.renderingCheckBox)
    assert renderings(slicer_app) == []
    assert slicer_app.scene.GetNumberOfNodesByClass("vtkMRMLVolumePropertyNode") == 0


def test_the_next_run_shows_the_scan_again_where_the_cleaned_one_was(slicer_app, panel, volume, done):
    slicer_app.click(panel.ui.afterButton)
    apply(slicer_app, panel, volume)
    assert composite().GetBackgroundVolumeID() == volume.GetID()
    assert done.GetDisplayNode().GetVisibility2D()


def test_the_table_is_shown_once_and_goes_with_clear(slicer_app, panel, volume, done):
    import slicer

    manager = slicer.app.layoutManager()
    layout = manager.layout
    for _ in range(2):
        slicer_app.click(panel.ui.tableButton)
    selection = slicer.app.applicationLogic().GetSelectionNode()
    table = slicer.mrmlScene.GetNodeByID(selection.GetActiveTableID())
    measured = panel.logic.measure(volume, done)
    assert [table.GetCellText(row, 0) for row in range(4)] == [one.name for one in measured]
    assert float(table.GetCellText(0, 1)) == pytest.approx(measured[0].volume_ml, abs=0.01)
    assert table.GetColumnName(4) == "contact cm\u00b2"
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 1
    assert manager.layout != layout
    slicer_app.click(panel.ui.clearButton)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 0
    assert manager.layout == layout


def test_the_panels_table_has_the_measures(panel, volume, done, patient):
    from qt import Qt

    table = panel.ui.measureTable
    assert [table.item(row, 0).text() for row in range(4)] == ["Headrest", "Table", "Other", "All"]
    headrest = voxels(volume)[patient.masks["headrest"]]
    assert table.item(0, 2).text() == f"{headrest.mean():.0f} \u00b1 {headrest.std():.0f}"
    assert table.item(2, 1).text() == "0"
    assert table.item(2, 2).text() == "\u2013", "there is no mean of nothing"
    colours = [table.item(row, 0).data(Qt.DecorationRole) for row in range(4)]
    segment = done.GetSegmentation().GetNthSegment(0)
    assert colours[0].getRgbF()[:3] == pytest.approx(segment.GetColor(), abs=0.01), "as in the views"
    assert len({colour.name() for colour in colours[:3]}) == 3
    assert colours[3] is None
    assert "lay against" in table.item(0, 3).toolTip()


def test_every_control_is_used_by_a_test():
    tests = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    tests += (Path(__file__).parents[1] / "support_segment_panel.py").read_text("utf-8")
    form = Path(__file__).parents[2] / "HeadrestRemoval" / "Resources" / "UI" / "Remove.ui"
    used = "QPushButton|QCheckBox|QRadioButton|QComboBox|QDoubleSpinBox|QTableWidget|qMRMLNodeComboBox"
    controls = re.findall(rf'<widget class="(?:{used})" name="(\w+)"', form.read_text("utf-8"))
    assert len(controls) == 16
    assert [name for name in controls if not re.search(rf"\b{name}\b", tests)] == []

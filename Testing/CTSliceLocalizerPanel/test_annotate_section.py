"""The section Annotate in use: real keys and clicks, on phantoms."""

from __future__ import annotations

import html
import json
from types import SimpleNamespace

import pytest
from support_annotate import chest, write_tree

HEIGHTS = ("T1", "Aortic arch", "Bifurcation of trachea", "T12", "L1")


@pytest.fixture
def panel(slicer_app):
    """The module in use, with its section Annotate open and the others closed."""
    return load(slicer_app)


def load(slicer_app):
    loaded = slicer_app.load("CTSliceLocalizer")
    for section in loaded.widget.sections:
        is_ours = type(section).__name__ == "AnnotateSection"
        section.button.collapsed = not is_ours
        if is_ours:
            loaded.section = section
    loaded.ui = loaded.section.ui
    slicer_app.settle()
    return loaded


@pytest.fixture
def volume(panel, slicer_app):
    """The phantom as a volume of the scene, shown and chosen."""
    return add_volume(slicer_app, panel)


def add_volume(slicer_app, panel, name: str = "CT chest"):
    import slicer.util
    from CTVolumeLib import scene

    node = scene.node_from_volume(chest().volume, name)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    slicer_app.choose(panel.ui.volumeSelector, node)
    go_to(slicer_app, chest().landmarks["T12"])
    return node


def go_to(slicer_app, height: float) -> None:
    """Scroll the red view to a height, and give it the focus, as a click into it does."""
    import slicer

    red = slicer.app.layoutManager().sliceWidget("Red")
    red.sliceLogic().SetSliceOffset(height)
    slicer_app.window.setFocus()
    slicer_app.settle()


def index_at(height: float) -> int:
    return min(range(len(chest().volume.array)), key=lambda k: abs(chest().volume.superior()[k] - height))


def cells(panel, name: str) -> list[str]:
    table = panel.ui.labelTable
    for row in range(table.rowCount):
        if table.item(row, 1).text() == name:
            return [table.item(row, column).text() for column in range(table.columnCount)]
    raise AssertionError(f"no row {name}")


def labelled(panel) -> set[str]:
    return {row.name for row in panel.logic.labelling(panel.section.volume).rows if row.position is not None}


def give_proposals(panel, volume, heights: dict[str, float]) -> None:
    """A location that a model could have given, without the time to run one."""
    from CTSliceLocalizerLib.landmarks import LANDMARKS
    from CTSliceLocalizerLib.results import LandmarkEstimate

    location = SimpleNamespace(
        refused=None,
        landmarks=[
            LandmarkEstimate(one.name, one.location, heights.get(one.name), 4.0, one.name in heights)
            for one in LANDMARKS
        ],
    )
    panel.logic.location = lambda node: location


class TestKeys:
    def test_each_key_labels_the_slice_that_is_shown(self, slicer_app, panel, volume):
        from CTSliceLocalizerLib.landmarks import LANDMARKS

        slices = chest().volume.superior()
        for number, landmark in enumerate(LANDMARKS):
            go_to(slicer_app, float(slices[-1 - number]))
            slicer_app.press(landmark.key)
            assert cells(panel, landmark.name)[0] == landmark.key
            assert cells(panel, landmark.name)[2].removeprefix("\u26a0 ") == str(len(slices) - 1 - number)
            assert float(cells(panel, landmark.name)[3]) == pytest.approx(float(slices[-1 - number]), abs=0.051)
        assert panel.logic.labelling(volume).count == 12

    def test_the_same_key_moves_and_delete_removes(self, slicer_app, panel, volume):
        go_to(slicer_app, chest().landmarks["T12"])
        slicer_app.press("8")
        go_to(slicer_app, chest().landmarks["L1"])
        slicer_app.press("8")
        assert cells(panel, "T12")[2] == str(index_at(chest().landmarks["L1"]))
        slicer_app.press(key("Key_Delete"))
        assert cells(panel, "T12")[2:] == ["", ""]
        assert labelled(panel) == set()

    def test_undo_and_redo(self, slicer_app, panel, volume):
        control = modifier("ControlModifier")
        slicer_app.press("8")
        first = cells(panel, "T12")
        slicer_app.press("9")
        slicer_app.press("z", control)
        assert labelled(panel) == {"T12"}
        slicer_app.press("y", control)
        assert labelled(panel) == {"T12", "L1"}
        slicer_app.press("z", control)
        slicer_app.press("z", control)
        assert labelled(panel) == set()
        slicer_app.press("Z", control | modifier("ShiftModifier"))
        assert cells(panel, "T12") == first

    def test_h_stands_for_the_backquote(self, slicer_app, panel, volume):
        slicer_app.press("h")
        assert labelled(panel) == {"Top of head"}

    def test_typing_in_a_field_labels_nothing(self, slicer_app, panel, volume):
        import qt
        import slicer.util

        field = qt.QLineEdit(slicer.util.mainWindow())
        field.show()
        numbers = qt.QSpinBox(slicer.util.mainWindow())
        numbers.show()
        slicer_app.type("5-2", field)
        slicer_app.press(key("Key_Delete"))
        slicer_app.press(key("Key_Return"))
        assert field.text == "5-2"
        slicer_app.type("7", numbers)
        assert numbers.value != 0
        assert labelled(panel) == set()
        assert "Keys are off" in panel.ui.keysLabel.text
        field.clearFocus()
        go_to(slicer_app, chest().landmarks["T12"])
        assert "Press a key" in panel.ui.keysLabel.text
        slicer_app.press("8")
        assert labelled(panel) == {"T12"}

    def test_a_three_dimensional_view_keeps_its_keys(self, slicer_app, panel, volume):
        import slicer.util
        from PySide6 import QtCore, QtWidgets

        class qMRMLThreeDView(QtWidgets.QWidget):
            pass

        view = qMRMLThreeDView(slicer.util.mainWindow())
        inside = QtWidgets.QWidget(view)
        inside.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        view.show()
        inside.setFocus()
        slicer_app.settle()
        slicer_app.press("-")
        slicer_app.press("1")
        assert labelled(panel) == set()

    def test_no_keys_outside_the_module_or_in_a_closed_section(self, slicer_app, panel, volume):
        slicer_app.leave()
        slicer_app.press("8")
        assert panel.logic.labelling(volume).count == 0
        slicer_app.enter()
        slicer_app.press("8")
        assert labelled(panel) == {"T12"}
        slicer_app.click(panel.section.button)
        slicer_app.press("9")
        assert labelled(panel) == {"T12"}
        slicer_app.click(panel.section.button)
        slicer_app.press("9")
        assert labelled(panel) == {"T12", "L1"}

    def test_reload_leaves_one_set_of_keys(self, slicer_app, panel, volume):
        from PySide6 import QtGui

        slicer_app.press("8")
        count = len(slicer_app.window.findChildren(QtGui.QShortcut))
        slicer_app.reload("CTSliceLocalizer")
        again = panel_of(slicer_app)
        again.section.button.collapsed = False
        slicer_app.settle()
        assert len(slicer_app.window.findChildren(QtGui.QShortcut)) == count
        slicer_app.press("9")
        assert labelled(again) == {"T12", "L1"}

    def test_delete_on_a_point_of_slicer_takes_the_point(self, slicer_app, panel, volume):
        import slicer

        slicer_app.press("8")
        points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "mine")
        points.CreateDefaultDisplayNodes()
        points.AddControlPoint([0.0, 0.0, 0.0])
        display = points.GetDisplayNode()
        display.SetActiveControlPoint(0)
        slicer_app.press(key("Key_Delete"))
        assert points.GetNumberOfControlPoints() == 0
        assert labelled(panel) == {"T12"}

    def test_delete_in_the_table_takes_the_row(self, slicer_app, panel, volume):
        slicer_app.press("8")
        go_to(slicer_app, chest().landmarks["Aortic arch"])
        slicer_app.press("5")
        row = next(n for n in range(12) if panel.ui.labelTable.item(n, 1).text() == "T12")
        panel.ui.labelTable.setFocus()
        panel.ui.labelTable.setCurrentCell(row, 0)
        slicer_app.settle()
        slicer_app.press(key("Key_Delete"))
        assert labelled(panel) == {"Aortic arch"}

    def test_a_key_of_a_slicer_action_still_works(self, slicer_app, panel, volume):
        """Ctrl+5 opens Slicer's module panel and labels nothing."""
        from PySide6 import QtGui

        got = []
        action = QtGui.QAction("Module panel", slicer_app.window)
        action.setShortcut(QtGui.QKeySequence("Ctrl+5"))
        QtGui.QAction.triggered.__get__(action).connect(lambda: got.append(1))
        slicer_app.window.addAction(action)
        slicer_app.press("5", modifier("ControlModifier"))
        assert got == [1]
        assert labelled(panel) == set()


class TestMessages:
    def test_order_that_can_not_be_is_said_at_once(self, slicer_app, panel, volume):
        go_to(slicer_app, chest().landmarks["L1"])
        slicer_app.press("8")
        assert not panel.ui.orderLabel.isVisible()
        go_to(slicer_app, chest().landmarks["T12"])
        slicer_app.press("9")
        assert panel.ui.orderLabel.isVisible()
        assert "L1 lies" in panel.ui.orderLabel.text
        assert "above T12" in panel.ui.orderLabel.text
        assert cells(panel, "T12")[2].startswith("\u26a0")
        slicer_app.press("z", modifier("ControlModifier"))
        assert not panel.ui.orderLabel.isVisible()

    def test_a_view_outside_the_scan_labels_nothing(self, slicer_app, panel, volume):
        go_to(slicer_app, float(chest().volume.superior()[-1]) + 100)
        slicer_app.press("8")
        assert labelled(panel) == set()
        assert "shows no slice of CT chest" in panel.ui.messageLabel.text
        assert panel.ui.messageLabel.isVisible()

    def test_no_axial_view(self, slicer_app, panel, volume):
        import slicer

        for name in ("Red", "Green", "Yellow"):
            slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode().SetOrientation("Coronal")
        slicer_app.press("8")
        assert labelled(panel) == set()
        assert "No axial view shows CT chest" in panel.ui.messageLabel.text

    def test_the_view_under_the_mouse_counts(self, slicer_app, panel, volume):
        import slicer

        yellow = slicer.app.layoutManager().sliceWidget("Yellow")
        yellow.mrmlSliceNode().SetOrientation("Axial")
        yellow.sliceLogic().SetSliceOffset(chest().landmarks["L1"])
        slicer_app.press("8")
        assert cells(panel, "T12")[2] == str(index_at(chest().landmarks["T12"])), "Red, while the mouse is in neither"
        crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        crosshair = crosshair or slicer.mrmlScene.AddNewNodeByClass("vtkMRMLCrosshairNode")
        crosshair.SetCursorPositionXYZ([1.0, 1.0, 0.0], yellow.mrmlSliceNode())
        slicer_app.press("9")
        assert cells(panel, "L1")[2] == str(index_at(chest().landmarks["L1"]))

    def test_what_a_script_does_is_shown(self, slicer_app, panel, volume):
        panel.logic.labelSlice(volume, "T12", chest().landmarks["T12"])
        assert cells(panel, "T12")[2] == str(index_at(chest().landmarks["T12"]))
        panel.logic.undoLabel(volume)
        assert cells(panel, "T12")[2] == ""

    def test_nothing_to_delete(self, slicer_app, panel, volume):
        slicer_app.press(key("Key_Delete"))
        assert "This slice has no label" in panel.ui.messageLabel.text

    def test_without_a_volume(self, slicer_app, panel):
        slicer_app.press("8")
        assert "No volume is chosen" in panel.ui.messageLabel.text
        assert not panel.ui.labelButton.enabled

    def test_the_slice_under_the_eyes_is_told(self, slicer_app, panel, volume):
        slicer_app.press("8")
        assert "<b>T12</b>" in panel.ui.sliceLabel.text
        go_to(slicer_app, chest().landmarks["Aortic arch"])
        assert f"Slice {index_at(chest().landmarks['Aortic arch'])}," in panel.ui.sliceLabel.text
        assert "T12" not in panel.ui.sliceLabel.text

    def test_a_failure_of_any_kind_is_said(self, slicer_app, panel, volume, monkeypatch):
        def fail(*_arguments):
            raise RuntimeError("something else")

        monkeypatch.setattr(panel.logic, "labelSlice", fail)
        slicer_app.press("8")
        assert "That failed (RuntimeError)" in panel.ui.messageLabel.text


class TestButtons:
    def test_label_remove_undo_redo(self, slicer_app, panel, volume):
        row = next(n for n in range(12) if panel.ui.labelTable.item(n, 1).text() == "T12")
        panel.ui.labelTable.setCurrentCell(row, 0)
        slicer_app.click(panel.ui.labelButton)
        assert labelled(panel) == {"T12"}
        slicer_app.click(panel.ui.removeButton)
        assert labelled(panel) == set()
        slicer_app.click(panel.ui.undoButton)
        assert labelled(panel) == {"T12"}
        slicer_app.click(panel.ui.undoButton)
        assert labelled(panel) == set()
        assert not panel.ui.undoButton.enabled
        slicer_app.click(panel.ui.redoButton)
        assert labelled(panel) == {"T12"}

    def test_a_row_goes_to_its_label(self, slicer_app, panel, volume):
        import slicer
        from PySide6 import QtCore, QtTest

        slicer_app.press("8")
        go_to(slicer_app, chest().landmarks["Aortic arch"])
        row = next(n for n in range(12) if panel.ui.labelTable.item(n, 1).text() == "T12")
        place = panel.ui.labelTable.visualItemRect(panel.ui.labelTable.item(row, 1)).center()
        QtTest.QTest.mouseClick(
            panel.ui.labelTable.viewport(), QtCore.Qt.MouseButton.LeftButton, modifier("NoModifier"), place
        )
        slicer_app.settle()
        offset = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceOffset()
        assert offset == pytest.approx(chest().landmarks["T12"], abs=3.01)

    def test_save_and_load(self, slicer_app, panel, volume, tmp_path):
        slicer_app.press("8")
        for name in ("other.json", "points.mrk.json"):
            slicer_app.answer(str(tmp_path / name))
            slicer_app.click(panel.ui.saveButton)
            assert f"1 labels saved to {name}" in panel.ui.savedLabel.text
            slicer_app.press(key("Key_Delete"))
            slicer_app.answer(str(tmp_path / name))
            slicer_app.click(panel.ui.loadButton)
            assert labelled(panel) == {"T12"}
        assert json.loads((tmp_path / "other.json").read_text()) == {
            "T12": f"CT chest#{index_at(chest().landmarks['T12'])}"
        }
        slicer_app.answer("")
        slicer_app.click(panel.ui.loadButton)
        assert labelled(panel) == {"T12"}

    def test_a_file_that_is_none_is_said(self, slicer_app, panel, volume, tmp_path):
        (tmp_path / "labels.json").write_text("[1")
        slicer_app.answer(str(tmp_path / "labels.json"))
        slicer_app.click(panel.ui.loadButton)
        assert "this is no labels.json" in panel.ui.messageLabel.text

    def test_folder_for_labels_and_back(self, slicer_app, panel, volume, tmp_path):
        slicer_app.press("8")
        assert "Choose a folder for labels" in panel.ui.messageLabel.text
        slicer_app.answer(str(tmp_path / "labels"))
        slicer_app.click(panel.ui.labelsFolderButton)
        assert not panel.ui.messageLabel.isVisible()
        assert list((tmp_path / "labels").glob("CT chest-*/labels.json"))
        slicer_app.click(panel.ui.besideDataButton)
        assert panel.logic.getParameterNode().labelsFolder == ""
        assert not panel.ui.besideDataButton.enabled

    def test_every_control_has_a_tooltip(self, panel):
        for name, control in vars(panel.ui).items():
            if name.endswith(("Button", "Selector", "Table", "Label", "Bar")) and name != "volumeLabel":
                assert control.toolTip, name


class TestProposals:
    def test_enter_shows_then_accepts_one_after_the_other(self, slicer_app, panel, volume):
        import slicer

        heights = {name: chest().landmarks[name] for name in HEIGHTS}
        give_proposals(panel, volume, heights)
        slicer_app.click(panel.ui.proposeButton)
        assert cells(panel, "T12")[2:] == [f"{index_at(heights['T12'])}?", f"{heights['T12']:.0f} \u00b1 4"]
        assert cells(panel, "C7")[2:] == ["", ""]
        slicer_app.window.setFocus()
        red = slicer.app.layoutManager().sliceWidget("Red").sliceLogic()
        assert red.GetSliceOffset() == pytest.approx(heights["T1"], abs=3.01), "the first one is shown"
        go_to(slicer_app, heights["L1"])
        slicer_app.press(key("Key_Return"))
        assert labelled(panel) == set(), "one that is not shown is shown first"
        assert red.GetSliceOffset() == pytest.approx(heights["T1"], abs=3.01)
        slicer_app.press(key("Key_Return"))
        assert labelled(panel) == {"T1"}
        assert red.GetSliceOffset() == pytest.approx(heights["Aortic arch"], abs=3.01), "and the next is shown"
        slicer_app.press(key("Key_Enter"))
        slicer_app.click(panel.ui.acceptButton)
        assert labelled(panel) == {"T1", "Aortic arch", "Bifurcation of trachea"}
        slicer_app.window.setFocus()
        slicer_app.press(key("Key_Return"))
        slicer_app.press(key("Key_Return"))
        assert labelled(panel) == set(HEIGHTS)
        assert not panel.ui.acceptButton.enabled
        slicer_app.press("z", modifier("ControlModifier"))
        assert cells(panel, "L1")[2].endswith("?"), "undo makes it a proposal again"

    def test_a_key_overrules_a_proposal(self, slicer_app, panel, volume):
        give_proposals(panel, volume, {"T12": chest().landmarks["T12"]})
        slicer_app.click(panel.ui.proposeButton)
        go_to(slicer_app, chest().landmarks["T12"] - 12)
        slicer_app.press("8")
        assert cells(panel, "T12")[2] == str(index_at(chest().landmarks["T12"] - 12))

    def test_a_refused_scan_says_why(self, slicer_app, panel, volume):
        from CTSliceLocalizerLib.results import Flag, refusal

        panel.logic.location = lambda node: refusal(Flag("not_ct", "This is no CT."), series={})
        slicer_app.click(panel.ui.proposeButton)
        assert "This is no CT. Label this scan by hand." in panel.ui.messageLabel.text

    @pytest.mark.slow
    def test_the_shipped_model_proposes(self, slicer_app, panel):
        """On the real sample scan, with Cancel first."""
        import slicer.util
        from CTVolumeLib import dicom, samples, scene

        node = scene.node_from_volume(dicom.read(samples.sample("CTChestSample").path), "sample")
        slicer.util.setSliceViewerLayers(background=node, fit=True)
        slicer_app.choose(panel.ui.volumeSelector, node)
        ask = panel.section._onProgress

        def cancel(*step):
            slicer_app.click(panel.ui.cancelButton)
            return ask(*step)

        panel.section._onProgress = cancel
        slicer_app.click(panel.ui.proposeButton)
        assert "cancel" in panel.ui.messageLabel.text.lower()
        assert panel.logic.location(node) is None
        panel.section._onProgress = ask
        slicer_app.click(panel.ui.proposeButton)
        proposed = [row for row in panel.logic.labelling(node).rows if row.proposal is not None]
        assert len(proposed) > 4
        assert [row.proposal.zMm for row in proposed] == sorted((row.proposal.zMm for row in proposed), reverse=True)
        markups = node.GetScene().GetNodesByClass("vtkMRMLMarkupsFiducialNode")
        assert not markups.GetItemAsObject(0).GetDisplayVisibility()


class TestWorklist:
    def test_folder_next_and_previous(self, slicer_app, panel, tmp_path):
        write_tree(tmp_path)
        slicer_app.answer(str(tmp_path))
        slicer_app.click(panel.ui.worklistFolderButton)
        assert panel.section.volume is not None
        assert "Series 1 of 3; 0 of 3 labelled" in panel.ui.worklistLabel.text
        for name, landmark_key in (("T12", "8"), ("L1", "9")):
            go_to(slicer_app, chest().landmarks[name])
            slicer_app.press(landmark_key)
        assert "1 of 3 labelled" in panel.ui.worklistLabel.text
        assert "2 labels" in panel.ui.seriesSelector.itemText(0)
        slicer_app.click(panel.ui.nextButton)
        assert "Series 2 of 3" in panel.ui.worklistLabel.text
        assert cells(panel, "T12")[2] == ""
        slicer_app.press(key("Key_PageDown"), modifier("ControlModifier"))
        assert "Series 3 of 3" in panel.ui.worklistLabel.text
        assert not panel.ui.nextButton.enabled
        slicer_app.press(key("Key_PageUp"), modifier("ControlModifier"))
        slicer_app.click(panel.ui.previousButton)
        assert cells(panel, "T12")[2] == str(index_at(chest().landmarks["T12"]))
        panel.ui.seriesSelector.setCurrentIndex(2)
        panel.ui.seriesSelector.activated.emit(2)
        slicer_app.settle()
        assert "Series 3 of 3" in panel.ui.worklistLabel.text
        assert json.loads((tmp_path / "series0" / "labels.json").read_text()).keys() == {"T12", "L1"}

    def test_database(self, slicer_app, panel, tmp_path):
        from DICOMLib import DICOMUtils

        slicer_app.click(panel.ui.worklistDatabaseButton)
        assert "no CT in Slicer's DICOM database" in html.unescape(panel.ui.messageLabel.text)
        write_tree(tmp_path, 2)
        DICOMUtils.importDicom(str(tmp_path))
        slicer_app.click(panel.ui.worklistDatabaseButton)
        assert "Series 1 of 2" in panel.ui.worklistLabel.text

    def test_cancel_while_listing(self, slicer_app, panel, tmp_path, monkeypatch):
        write_tree(tmp_path, 1)
        monkeypatch.setattr(type(panel.section), "_onProgress", lambda *_: False)
        slicer_app.answer(str(tmp_path))
        slicer_app.click(panel.ui.worklistFolderButton)
        assert "ancel" in panel.ui.messageLabel.text
        assert panel.section.volume is None
        assert not panel.ui.progressBar.isVisible()


class TestNothingIsLost:
    def test_scene_close(self, slicer_app, panel, tmp_path):
        panel.logic.listSeries(write_tree(tmp_path, 1))
        panel.logic.nextSeries()
        go_to(slicer_app, chest().landmarks["T12"])
        slicer_app.press("8")
        slicer_app.closeScene()
        assert panel.section.volume is None
        slicer_app.press("8")
        panel.logic.listSeries(tmp_path)
        panel.logic.nextSeries()
        assert labelled(panel) == {"T12"}

    def test_save_and_load_of_the_scene(self, slicer_app, panel, volume, tmp_path):
        slicer_app.press("8")
        panel.logic.setLabelsFolder(tmp_path / "labels")
        before = cells(panel, "T12")
        slicer_app.saveScene(tmp_path / "scene.mrb")
        slicer_app.loadScene(tmp_path / "scene.mrb")
        assert panel.section.volume is not None
        assert panel.section.volume.GetName() == "CT chest"
        assert panel.logic.getParameterNode().labelsFolder == str(tmp_path / "labels")
        assert cells(panel, "T12") == before

    def test_the_volume_goes_while_it_is_labelled(self, slicer_app, panel, volume):
        slicer_app.press("8")
        slicer_app.scene.RemoveNode(volume)
        slicer_app.settle()
        slicer_app.press("8")
        assert panel.section.volume is None
        assert "No volume is chosen" in panel.ui.messageLabel.text

    def test_volumes_that_are_gone_are_not_held(self, slicer_app, panel, volume):
        slicer_app.press("8")
        other = add_volume(slicer_app, panel, "other")
        slicer_app.press("8")
        assert len(panel.logic.annotations._kept) == 2
        slicer_app.scene.RemoveNode(other)
        slicer_app.settle()
        assert len(panel.logic.annotations._kept) == 1
        slicer_app.closeScene()
        assert not panel.logic.annotations._kept

    def test_the_list_of_points_goes(self, slicer_app, panel, volume):
        slicer_app.press("8")
        slicer_app.scene.RemoveNode(volume.GetNodeReference("CTSliceLocalizer.labels"))
        slicer_app.settle()
        slicer_app.press("9")
        assert labelled(panel) == {"T12", "L1"}
        assert volume.GetNodeReference("CTSliceLocalizer.labels").GetNumberOfControlPoints() == 2

    def test_a_rotated_parent_transform(self, slicer_app, panel, volume):
        import numpy as np
        import slicer
        import slicer.util
        from CTSliceLocalizerPanel import label_nodes

        angle = np.radians(20)
        matrix = np.eye(4)
        matrix[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        matrix[:3, 3] = (5, 10, 100)
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
        volume.SetAndObserveTransformNodeID(transform.GetID())
        position = index_at(chest().landmarks["T12"])
        centre = label_nodes.goToSlice(volume, position)
        assert panel.logic.sliceAt(volume, position).zMm == pytest.approx(centre[2])
        slicer_app.press("8")
        assert cells(panel, "T12")[2] == str(position)


def panel_of(slicer_app):
    """The panel after a reload."""
    loaded = slicer_app.module("CTSliceLocalizer")
    loaded.section = next(one for one in loaded.widget.sections if type(one).__name__ == "AnnotateSection")
    loaded.ui = loaded.section.ui
    return loaded


def key(name: str):
    from PySide6 import QtCore

    return getattr(QtCore.Qt.Key, name)


def modifier(name: str):
    from PySide6 import QtCore

    return getattr(QtCore.Qt.KeyboardModifier, name)

"""The panel in use: real clicks and keys, on the head of the digital patient."""

from __future__ import annotations

import numpy as np
import pytest
import support_mrml as mrml
from support_headrest_panel import answer, composite, equipment_of, voxels
from support_segment_panel import apply, at_step, made_of_surfaces, names, show

SEGMENTS = ["Headrest", "Table", "Other equipment"]


@pytest.fixture
def truth(patient):
    return equipment_of(patient)


@pytest.fixture
def known(monkeypatch, truth):
    """The algorithm gives the truth; what it was asked for."""
    return answer(monkeypatch, truth)


# What it is for


def test_one_click_gives_segments_and_a_cleaned_scan_and_clear_leaves_nothing(slicer_app, panel, volume, patient):
    import slicer

    given = voxels(volume).copy()
    segmentation = apply(slicer_app, panel, volume)
    cleaned = panel.logic.cleaned(volume)
    assert names(segmentation) == SEGMENTS
    assert (segmentation.GetName(), cleaned.GetName()) == ("CT equipment", "CT cleaned")
    gone = voxels(cleaned) != given
    assert gone[patient.masks["headrest"] & (given > -900)].mean() > 0.95
    assert not gone[patient.masks["patient"] & (given > -300)].any()
    assert np.array_equal(voxels(volume), given), "the scan is not changed"
    assert "Removed" in panel.ui.reportLabel.text
    assert "headrest" in panel.ui.reportLabel.text
    assert "CT cleaned" in panel.ui.reportLabel.text
    assert composite().GetBackgroundVolumeID() == volume.GetID(), "first one looks at what is removed"
    slicer_app.click(panel.ui.clearButton)
    before = mrml.node_ids(slicer_app.scene)
    apply(slicer_app, panel, volume)
    slicer_app.click(panel.ui.clearButton)
    assert mrml.node_ids(slicer_app.scene) == before
    assert not panel.ui.resultWidget.isVisible()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1
    assert slicer_app.dialogs() == []


def test_the_cleaned_scan_is_the_same_to_the_bit_but_for_equipment(slicer_app, panel, volume, truth, known):
    apply(slicer_app, panel, volume)
    cleaned, given = voxels(panel.logic.cleaned(volume)), voxels(volume)
    equipment = truth >= 2
    assert cleaned.dtype == given.dtype
    assert np.array_equal(cleaned[~equipment], given[~equipment])
    assert (cleaned[equipment] == -1000).all()


def test_segments_have_codes_and_colours(slicer_app, panel, volume, known):
    import vtk

    segmentation = apply(slicer_app, panel, volume).GetSegmentation()
    entry, found = vtk.reference(""), []
    for number in range(3):
        segment = segmentation.GetNthSegment(number)
        assert segment.GetTag(segment.GetTerminologyEntryTagName(), entry)
        found.append((str(entry), segment.GetColor()))
    assert "86407004^Table" in found[0][0]
    assert "86407004^Table" in found[1][0]
    assert "Foreign" in found[2][0] or "foreign" in found[2][0]
    assert len({colour for _entry, colour in found}) == 3


def test_the_patient_is_in_no_segment_and_not_in_their_layer(slicer_app, panel, volume, truth, known):
    """Slicer paints values that no segment has."""
    from vtk.util.numpy_support import vtk_to_numpy

    segmentation = apply(slicer_app, panel, volume)
    layer = segmentation.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    assert set(np.unique(vtk_to_numpy(layer.GetPointData().GetScalars()))) <= {0, 2, 3, 4}
    assert np.array_equal(panel.logic.labels(volume, segmentation), np.where(truth >= 2, truth, 0))


def test_other_segments_stay_as_they_are(slicer_app, panel, volume, patient, known):
    import slicer

    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentation.GetSegmentation().AddEmptySegment("mine", "tumour")
    box = np.zeros(patient.volume.array.shape, np.uint8)
    box[5:9, 40:70, 40:70] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(box, segmentation, "mine", volume)
    slicer_app.choose(panel.ui.outputSelector, segmentation)
    apply(slicer_app, panel, volume)
    apply(slicer_app, panel, volume)
    assert names(segmentation) == ["tumour", *SEGMENTS]
    assert np.array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "mine", volume), box)
    slicer_app.click(panel.ui.clearButton)
    assert names(segmentation) == ["tumour"]


def test_the_next_run_replaces_the_cleaned_scan(slicer_app, panel, volume, truth, known):
    import slicer

    apply(slicer_app, panel, volume)
    first = panel.logic.cleaned(volume)
    first.SetName("my name")
    slicer.util.setSliceViewerLayers(foreground=first)
    before = mrml.node_ids(slicer_app.scene)
    panel.widget.parameterNode.fillIndex, panel.widget.parameterNode.fillHu = 2, -555
    apply(slicer_app, panel, volume)
    assert mrml.node_ids(slicer_app.scene) == before
    assert panel.logic.cleaned(volume) is first
    assert first.GetName() == "my name"
    assert (voxels(first)[truth >= 2] == -555).all()


def test_another_scan_gets_its_own_results(slicer_app, panel, volume, patient, known):
    first = apply(slicer_app, panel, volume)
    other = show(patient.volume.with_array(patient.volume.array.copy()), "later")
    slicer_app.choose(panel.ui.inputSelector, other)
    assert panel.widget.parameterNode.outputSegmentation is None
    assert not panel.ui.resultWidget.isVisible()
    assert apply(slicer_app, panel, other) is not first
    assert panel.logic.cleaned(other) is not panel.logic.cleaned(volume)
    slicer_app.choose(panel.ui.inputSelector, volume)
    assert panel.widget.parameterNode.outputSegmentation is first


# Settings


def test_method_and_fill_are_used(slicer_app, panel, volume, truth, known):
    from HeadrestRemovalLib import equipment
    from HeadrestRemovalPanel.parameters import METHODS

    ui = panel.ui
    assert METHODS == equipment.METHODS
    assert ui.methodSelector.count == len(METHODS)
    for number in (1, 3):
        slicer_app.choose(ui.methodSelector, number)
        apply(slicer_app, panel, volume)
    assert known == ["clustering", "both"]
    assert not ui.fillSpinBox.isVisible()
    slicer_app.choose(ui.fillSelector, 2)
    ui.fillSpinBox.value = -777
    slicer_app.settle()
    apply(slicer_app, panel, volume)
    assert (voxels(panel.logic.cleaned(volume))[truth >= 2] == -777).all()
    array = voxels(volume)
    array[truth == 0] = -985
    volume.Modified()
    slicer_app.choose(ui.fillSelector, 1)
    apply(slicer_app, panel, volume)
    assert (voxels(panel.logic.cleaned(volume))[truth >= 2] == -985).all()


def test_a_method_that_can_not_run_says_so(slicer_app, panel, volume, monkeypatch):
    from CTVolumeLib.errors import CTError
    from HeadrestRemovalLib import equipment

    def find(*_args):
        raise CTError("no_model", "The file of the network is missing.", "Choose Clustering.")

    monkeypatch.setattr(equipment, "find", find)
    before = mrml.node_ids(slicer_app.scene)
    slicer_app.choose(panel.ui.inputSelector, volume)
    slicer_app.click(panel.ui.applyButton)
    assert "The file of the network is missing. Choose Clustering." in panel.ui.messageLabel.text
    assert mrml.node_ids(slicer_app.scene) == before


# Running


@pytest.mark.parametrize("step", [3, 6])
def test_cancel_leaves_all_as_it_was(slicer_app, panel, volume, truth, known, step):
    segmentation = apply(slicer_app, panel, volume)
    before, text = mrml.node_ids(slicer_app.scene), panel.ui.reportLabel.text
    cleaned = voxels(panel.logic.cleaned(volume)).copy()
    at_step(panel, step, lambda: slicer_app.click(panel.ui.cancelButton))
    slicer_app.click(panel.ui.applyButton)
    assert "Cancelled" in panel.ui.messageLabel.text
    assert mrml.node_ids(slicer_app.scene) == before
    assert np.array_equal(voxels(panel.logic.cleaned(volume)), cleaned)
    assert np.array_equal(panel.logic.labels(volume, segmentation) > 0, truth >= 2)
    assert panel.ui.reportLabel.text == text
    assert panel.ui.applyButton.isEnabled()


def test_cancel_of_the_first_run_leaves_no_node(slicer_app, panel, volume):
    """With the algorithm itself, which has to ask whether to go on."""
    before = mrml.node_ids(slicer_app.scene)
    asked = at_step(panel, 2, lambda: slicer_app.click(panel.ui.cancelButton))
    slicer_app.click(panel.ui.applyButton)
    assert len(asked) == 2
    assert "Cancelled" in panel.ui.messageLabel.text
    assert mrml.node_ids(slicer_app.scene) == before


def test_while_running_nothing_else_can_be_pressed(slicer_app, panel, volume, known):
    seen = []
    controls = (panel.ui.inputSelector, panel.ui.applyButton, panel.ui.methodSelector, panel.ui.clearButton)
    at_step(panel, 3, lambda: seen.append([control.isEnabled() for control in controls]))
    apply(slicer_app, panel, volume)
    assert seen == [[False] * 4]
    assert all(control.isEnabled() for control in controls)


@pytest.mark.parametrize("what", ["volume", "segmentation", "scene"])
def test_what_goes_away_in_the_middle_ends_the_run(slicer_app, panel, volume, known, what):
    segmentation = apply(slicer_app, panel, volume)
    scene = slicer_app.scene
    remove = {
        "volume": lambda: scene.RemoveNode(volume),
        "segmentation": lambda: scene.RemoveNode(segmentation),
        "scene": lambda: scene.Clear(0),
    }[what]
    at_step(panel, 3, remove)
    slicer_app.click(panel.ui.applyButton)
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == (1 if what == "volume" else 0)
    assert panel.ui.applyButton.isEnabled() == (what == "segmentation")


# What one must not miss


def test_contact_is_warned_of_and_shown(slicer_app, panel, volume, monkeypatch, truth):
    import slicer

    touching = truth.copy()
    touching[4:8, 30:34, 60:64], touching[4:8, 34:38, 60:64] = 1, 2
    touching[6, 34, 50:70], touching[6, 33, 50:70] = 2, 1  # most
    touching[9, 34, 60:63], touching[9, 33, 60:63] = 2, 1  # less, but dense
    array = voxels(volume)
    array[touching == 2] = -800
    array[9, 34, 60:63] = 60
    answer(monkeypatch, touching, [("touching", "The headrest touches the head <here>.")], 12.3)
    segmentation = apply(slicer_app, panel, volume)
    text = panel.ui.reportLabel.text
    assert "\u26a0 The headrest touches the head &lt;here&gt;." in text
    assert panel.logic.report(segmentation).warnings == (("touching", "The headrest touches the head <here>."),)
    slicer_app.click(panel.ui.contactButton)
    offset = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceOffset()
    assert offset == pytest.approx(volume.GetOrigin()[2] + 9 * volume.GetSpacing()[2], abs=0.01)


def test_nothing_to_remove_is_said_and_the_copy_is_the_same(slicer_app, panel, volume, patient, monkeypatch):
    alone = equipment_of(patient)
    alone[alone > 1] = 0
    answer(monkeypatch, alone, [("no_equipment", "No equipment was found.")])
    segmentation = apply(slicer_app, panel, volume)
    assert "Nothing was removed" in panel.ui.reportLabel.text
    assert "No equipment was found." in panel.ui.reportLabel.text
    assert names(segmentation) == SEGMENTS
    assert np.array_equal(voxels(panel.logic.cleaned(volume)), voxels(volume))
    assert not panel.ui.contactButton.isVisible()


def test_what_is_no_patient_is_said_with_the_reason(slicer_app, panel, patient):
    air = show(patient.volume.with_array(np.full_like(patient.volume.array, -1000)), "air")
    before = mrml.node_ids(slicer_app.scene)
    slicer_app.choose(panel.ui.inputSelector, air)
    slicer_app.click(panel.ui.applyButton)
    assert panel.ui.messageLabel.isVisible()
    assert "failed" not in panel.ui.messageLabel.text
    assert mrml.node_ids(slicer_app.scene) == before
    assert slicer_app.dialogs() == []


def test_edited_segments_are_measured_anew_and_can_be_used(slicer_app, panel, volume, truth, known):
    import slicer

    segmentation = apply(slicer_app, panel, volume)
    table = panel.ui.measureTable
    assert not panel.ui.cleanButton.isEnabled()
    assert "Clean again" not in panel.ui.reportLabel.text
    millilitres = truth[truth == 2].size * 2.5 * 2.5 * 5 / 1000
    assert table.item(0, 1).text() == f"{millilitres:.0f}"
    identifier = segmentation.GetSegmentation().GetNthSegmentID(0)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, identifier, volume)
    array[: len(array) // 2] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, segmentation, identifier, volume)
    slicer_app.settle()
    assert "press Clean again" in panel.ui.reportLabel.text
    assert table.item(0, 1).text() != f"{millilitres:.0f}"
    assert table.item(0, 3).text() == "\u2013", "segments don't tell where the patient is"
    cleaned = panel.logic.cleaned(volume)
    slicer_app.click(panel.ui.cleanButton)
    assert panel.logic.cleaned(volume) is cleaned
    kept = (array == 0) & (truth == 2)
    assert np.array_equal(voxels(cleaned)[kept], voxels(volume)[kept])
    assert (voxels(cleaned)[array > 0] == -1000).all()
    assert "Clean again" not in panel.ui.reportLabel.text
    assert not panel.ui.cleanButton.isEnabled()
    slicer_app.choose(panel.ui.fillSelector, 1)
    assert panel.ui.cleanButton.isEnabled(), "another value is another cleaned scan"


def test_undo_of_the_segment_editor_takes_apply_back_and_the_panel_follows(
    slicer_app, panel, volume, truth, monkeypatch
):
    """With the history that the Segment Editor has."""
    import slicer
    from CTVolumeLib import scene_segments

    answer(monkeypatch, truth)
    segmentation = apply(slicer_app, panel, volume)
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(segmentation.GetSegmentation())
    monkeypatch.setattr(scene_segments, "save_undo_state", lambda _segmentation: history.SaveState())
    less = np.where(truth == 3, 0, truth)
    less[:10] = 0
    answer(monkeypatch, less)
    apply(slicer_app, panel, volume)
    assert np.array_equal(panel.logic.labels(volume, segmentation) > 0, less >= 2)
    assert "Clean again" not in panel.ui.reportLabel.text
    history.RestorePreviousState()
    slicer_app.settle()
    assert np.array_equal(panel.logic.labels(volume, segmentation) > 0, truth >= 2)
    assert "press Clean again" in panel.ui.reportLabel.text
    slicer_app.click(panel.ui.cleanButton)
    assert (voxels(panel.logic.cleaned(volume))[truth >= 2] == -1000).all()


def test_surfaces_are_refused_in_words(slicer_app, panel, volume):
    surfaces = made_of_surfaces()
    slicer_app.choose(panel.ui.outputSelector, surfaces)
    slicer_app.click(panel.ui.applyButton)
    assert "is made of surfaces" in panel.ui.messageLabel.text
    assert panel.logic.cleaned(volume) is None


# Any time


def test_a_saved_scene_brings_everything_back(slicer_app, panel, volume, known, tmp_path):
    slicer_app.choose(panel.ui.fillSelector, 2)
    slicer_app.choose(panel.ui.methodSelector, 1)
    apply(slicer_app, panel, volume)
    text, hu = panel.ui.reportLabel.text, voxels(panel.logic.cleaned(volume)).copy()
    slicer_app.saveScene(tmp_path / "scene.mrb")
    slicer_app.loadScene(tmp_path / "scene.mrb")
    parameters = panel.widget.parameterNode
    assert panel.ui.reportLabel.text == text
    assert (parameters.fillIndex, parameters.methodIndex) == (2, 1)
    assert panel.ui.fillSpinBox.isVisible()
    cleaned = panel.logic.cleaned(parameters.inputVolume)
    assert np.array_equal(voxels(cleaned), hu)
    apply(slicer_app, panel, parameters.inputVolume)
    assert panel.logic.cleaned(parameters.inputVolume) is cleaned
    assert names(parameters.outputSegmentation) == SEGMENTS


def test_removed_results_are_made_again(slicer_app, panel, volume, known):
    segmentation = apply(slicer_app, panel, volume)
    slicer_app.scene.RemoveNode(panel.logic.cleaned(volume))
    slicer_app.settle()
    assert not panel.ui.afterButton.isEnabled()
    assert panel.ui.cleanButton.isEnabled()
    slicer_app.click(panel.ui.cleanButton)
    assert panel.logic.cleaned(volume) is not None
    assert panel.ui.afterButton.isEnabled()
    slicer_app.scene.RemoveNode(segmentation)
    slicer_app.settle()
    assert not panel.ui.resultWidget.isVisible()
    apply(slicer_app, panel, volume)
    assert slicer_app.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 2


def test_closing_the_scene_empties_the_panel(slicer_app, panel, volume, known):
    apply(slicer_app, panel, volume)
    slicer_app.click(panel.ui.afterButton)
    slicer_app.closeScene()
    assert not panel.ui.resultWidget.isVisible()
    assert not panel.ui.applyButton.isEnabled()


def test_the_shown_volume_is_chosen_by_itself(slicer_app, panel, patient):
    assert not panel.ui.applyButton.isEnabled()
    first = show(patient.volume, "first")
    slicer_app.settle()
    assert panel.widget.parameterNode.inputVolume is first
    assert panel.ui.applyButton.isEnabled()


def test_reload_makes_a_panel_that_works(slicer_app, panel, volume, known):
    apply(slicer_app, panel, volume)
    text = panel.ui.reportLabel.text
    fresh = slicer_app.reload("HeadrestRemoval")
    ui = fresh.widget.sections[0].ui
    assert fresh.widget.parameterNode.inputVolume is volume
    assert ui.reportLabel.text == text
    slicer_app.click(ui.clearButton)
    slicer_app.click(ui.applyButton)
    assert ui.reportLabel.text == text


def test_an_error_of_the_program_is_said_and_the_panel_goes_on(slicer_app, panel, volume, known, monkeypatch):
    def broken(*_args, **_named):
        raise ValueError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(type(panel.logic), "remove", broken)
        slicer_app.choose(panel.ui.inputSelector, volume)
        slicer_app.click(panel.ui.applyButton)
    assert "This failed (ValueError)" in panel.ui.messageLabel.text
    apply(slicer_app, panel, volume)


@pytest.mark.slow
def test_the_self_test_passes(slicer_app):
    slicer_app.load("HeadrestRemoval", enter=False).file.HeadrestRemovalTest().runTest()

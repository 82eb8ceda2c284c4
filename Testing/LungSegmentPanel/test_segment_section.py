"""The section Segment in use: real clicks and keys, on the digital patient."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
import support_mrml as mrml
from support_segment_panel import apply, at_step, fits, made_of_surfaces, names, show


def red():
    import slicer

    return slicer.app.layoutManager().sliceWidget("Red")


def composite():
    return red().mrmlSliceCompositeNode()


# What it is for


def test_one_click_gives_lungs_light_and_measures_and_clear_leaves_nothing(slicer_app, panel, volume, patient):
    segmentation = apply(slicer_app, panel, volume)
    assert fits(panel.logic.labels(volume, segmentation), patient.masks)
    assert names(segmentation) == ["left lung", "right lung", "trachea"]
    assert segmentation.GetName() == "CT lungs"
    assert "GREEN" in panel.ui.lightLabel.text
    both = float(panel.ui.measureTable.item(0, 3).text())
    truth = np.count_nonzero(patient.masks["left lung"] | patient.masks["right lung"]) * 3 * 3 * 7 / 1000
    assert panel.ui.measureTable.item(0, 0).text() == "Volume (mL)"
    assert both == pytest.approx(truth, rel=0.03)
    slicer_app.click(panel.ui.clearButton)
    before = mrml.node_ids(slicer_app.scene)
    apply(slicer_app, panel, volume)
    slicer_app.click(panel.ui.clearButton)
    assert mrml.node_ids(slicer_app.scene) == before
    assert not panel.ui.resultWidget.isVisible()
    assert not panel.ui.lightLabel.isVisible()


def test_segments_have_codes_and_usual_colours(slicer_app, panel, volume):
    segmentation = apply(slicer_app, panel, volume).GetSegmentation()
    import vtk

    entry = vtk.reference("")
    found = []
    for number in range(3):
        segment = segmentation.GetNthSegment(number)
        assert segment.GetTag(segment.GetTerminologyEntryTagName(), entry)
        found.append((str(entry), tuple(round(255 * value) for value in segment.GetColor())))
    assert "39607008^Lung" in found[0][0]
    assert "7771000^Left" in found[0][0]
    assert "24028007^Right" in found[1][0]
    assert "44567001^Trachea" in found[2][0]
    assert [colour for _entry, colour in found] == [(197, 165, 145), (197, 165, 145), (182, 228, 255)]


def test_apply_again_replaces_only_the_own_segments(slicer_app, panel, volume, patient):
    import slicer

    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentation.GetSegmentation().AddEmptySegment("mine", "tumour")
    segmentation.GetSegmentation().AddEmptySegment("theirs", "left lung")
    box = np.zeros(patient.volume.array.shape, np.uint8)
    box[5:9, 20:40, 20:40] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(box, segmentation, "mine", volume)
    slicer_app.choose(panel.ui.outputSelector, segmentation)
    apply(slicer_app, panel, volume)
    own = segmentation.GetSegmentation().GetNthSegmentID(2)
    segmentation.GetSegmentation().GetSegment(own).SetName("my left lung")
    apply(slicer_app, panel, volume)
    assert names(segmentation) == ["tumour", "left lung", "my left lung", "right lung", "trachea"]
    assert np.array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "mine", volume), box)
    assert fits(panel.logic.labels(volume, segmentation), patient.masks)
    slicer_app.click(panel.ui.clearButton)
    assert names(segmentation) == ["tumour", "left lung"]


def test_the_segment_editor_can_undo_apply_and_clear(slicer_app, panel, volume, monkeypatch):
    """What was there before is put away before it is replaced, where the Segment Editor has the segmentation open."""
    from CTVolumeLib import scene_segments

    kept = []

    def putAway(segmentation):
        kept.append((names(segmentation), segmentation.GetSegmentation().GetMTime()))

    monkeypatch.setattr(scene_segments, "save_undo_state", putAway)
    assert volume.GetStorageNode() is None, "scans that were never saved have none"
    segmentation = apply(slicer_app, panel, volume)
    before = segmentation.GetSegmentation().GetMTime()
    panel.widget.parameterNode.thresholdHu = -500
    apply(slicer_app, panel, volume)
    assert kept[-1] == (["left lung", "right lung", "trachea"], before)
    slicer_app.click(panel.ui.differenceButton)
    slicer_app.click(panel.ui.clearButton)
    assert [state for state, _time in kept] == [
        [],
        ["left lung", "right lung", "trachea"],
        ["left lung", "right lung", "trachea"],
        ["left lung", "right lung", "trachea", "dense in lungs"],
    ]


def test_another_scan_gets_a_segmentation_of_its_own(slicer_app, panel, volume, patient):
    first = apply(slicer_app, panel, volume)
    other = show(patient.volume.with_array(patient.volume.array.copy()), "later")
    slicer_app.choose(panel.ui.inputSelector, other)
    assert panel.widget.parameterNode.outputSegmentation is None
    assert not panel.ui.resultWidget.isVisible()
    assert apply(slicer_app, panel, other) is not first
    slicer_app.choose(panel.ui.inputSelector, volume)
    assert panel.widget.parameterNode.outputSegmentation is first
    assert panel.ui.lightLabel.isVisible()


def test_cancel_leaves_all_as_it_was(slicer_app, panel, volume):
    segmentation = apply(slicer_app, panel, volume)
    before, light = mrml.node_ids(slicer_app.scene), panel.ui.lightLabel.text
    panel.widget.parameterNode.thresholdHu = -600
    counts = np.bincount(panel.logic.labels(volume, segmentation).ravel())
    at_step(panel, 4, lambda: slicer_app.click(panel.ui.cancelButton))
    slicer_app.click(panel.ui.applyButton)
    assert "Cancelled" in panel.ui.messageLabel.text
    assert mrml.node_ids(slicer_app.scene) == before
    assert np.array_equal(np.bincount(panel.logic.labels(volume, segmentation).ravel()), counts)
    assert panel.ui.lightLabel.text == light
    assert panel.ui.applyButton.isEnabled()
    assert panel.recipe.form.isEnabled()


def test_while_running_nothing_else_can_be_pressed(slicer_app, panel, volume):
    seen = []
    controls = (panel.ui.inputSelector, panel.ui.applyButton, panel.ui.thresholdSlider, panel.prepare.ui.makeButton)
    at_step(panel, 3, lambda: seen.append([control.isEnabled() for control in controls]))
    apply(slicer_app, panel, volume)
    assert seen == [[False] * 4]
    assert all(control.isEnabled() for control in controls)


@pytest.mark.parametrize("what", ["volume", "scene"])
def test_what_goes_away_in_the_middle_ends_the_run(slicer_app, panel, volume, what):
    at_step(panel, 3, lambda: slicer_app.scene.RemoveNode(volume) if what == "volume" else slicer_app.scene.Clear(0))
    slicer_app.click(panel.ui.applyButton)
    assert slicer_app.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    assert not panel.ui.applyButton.isEnabled()


# What one must not miss


def test_no_lungs_is_said_with_the_reason(slicer_app, panel, patient):
    water = show(patient.volume.with_array(np.zeros_like(patient.volume.array)), "water")
    before = mrml.node_ids(slicer_app.scene)
    slicer_app.choose(panel.ui.inputSelector, water)
    slicer_app.click(panel.ui.applyButton)
    assert "No lungs were found in this scan" in panel.ui.messageLabel.text
    assert panel.ui.messageLabel.isVisible()
    assert mrml.node_ids(slicer_app.scene) == before
    assert slicer_app.dialogs() == []


def test_a_missing_lung_is_red_with_its_reason_in_words(slicer_app, panel, patient):
    ill = patient.volume.array.copy()
    ill[patient.masks["left lung"]] = 40
    node = show(patient.volume.with_array(ill), "ill")
    apply(slicer_app, panel, node)
    text = panel.ui.lightLabel.text
    assert "RED" in text
    assert "No left lung was found" in text
    assert panel.ui.measureTable.item(1, 1).text() == "\u2013", "there is no mean of nothing"
    assert panel.logic.light(panel.widget.parameterNode.outputSegmentation).colour == "red"


def test_edited_lungs_are_measured_anew_and_the_light_says_so(slicer_app, panel, volume):
    import slicer

    segmentation = apply(slicer_app, panel, volume)
    before = float(panel.ui.measureTable.item(0, 1).text())
    assert "edited" not in panel.ui.lightLabel.text
    left = segmentation.GetSegmentation().GetNthSegmentID(0)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, left, volume)
    array[: len(array) // 2] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, segmentation, left, volume)
    slicer_app.settle()
    assert "were edited since" in panel.ui.lightLabel.text
    assert float(panel.ui.measureTable.item(0, 1).text()) < 0.8 * before


def test_surfaces_and_other_places_are_refused_in_words(slicer_app, panel, volume):
    surfaces = made_of_surfaces()
    slicer_app.choose(panel.ui.outputSelector, surfaces)
    slicer_app.click(panel.ui.applyButton)
    assert "is made of surfaces" in panel.ui.messageLabel.text
    assert names(surfaces) == ["ball"]


# The preview


def green_share(widget) -> float:
    """How much of a view is green."""
    image = widget.image()
    pixels = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    rgb = pixels[:, : 3 * image.width()].reshape(-1, 3).astype(int)
    return float(((rgb[:, 1] > rgb[:, 0] + 20) & (rgb[:, 1] > rgb[:, 2] + 20)).mean())


def test_the_preview_follows_the_slider_and_leaves_nothing(slicer_app, panel, volume):
    import slicer

    other = show(volume_like(volume), "other")
    slicer.util.setSliceViewerLayers(background=volume, foreground=other, foregroundOpacity=0.3)
    slicer_app.choose(panel.ui.inputSelector, volume)
    before = mrml.node_ids(slicer_app.scene)
    assert green_share(red()) == 0
    slicer_app.click(panel.ui.previewCheckBox)
    much = green_share(red())
    assert much > 0.1
    panel.ui.thresholdSlider.value = -850
    slicer_app.settle()
    assert 0 < green_share(red()) < much
    slicer_app.click(panel.ui.previewCheckBox)
    assert green_share(red()) == 0
    assert mrml.node_ids(slicer_app.scene) == before
    assert composite().GetForegroundVolumeID() == other.GetID()
    assert composite().GetForegroundOpacity() == pytest.approx(0.3)


def volume_like(volume):
    from CTVolumeLib import scene

    given = scene.volume_from_node(volume)
    return given.with_array(given.array.copy())


@pytest.mark.parametrize("end", ["leave", "apply", "close", "remove"])
def test_the_preview_ends_with_what_it_is_for(slicer_app, panel, volume, end):
    slicer_app.choose(panel.ui.inputSelector, volume)
    slicer_app.click(panel.ui.previewCheckBox)
    assert slicer_app.scene.GetFirstNodeByName("threshold preview") is not None
    {
        "leave": slicer_app.leave,
        "apply": lambda: slicer_app.click(panel.ui.applyButton),
        "close": slicer_app.closeScene,
        "remove": lambda: slicer_app.scene.RemoveNode(volume),
    }[end]()
    slicer_app.settle()
    assert slicer_app.scene.GetFirstNodeByName("threshold preview") is None
    assert not panel.ui.previewCheckBox.checked
    assert not composite().GetForegroundVolumeID()


def test_the_preview_is_not_saved_with_the_scene(slicer_app, panel, volume, tmp_path):
    slicer_app.choose(panel.ui.inputSelector, volume)
    slicer_app.click(panel.ui.previewCheckBox)
    slicer_app.saveScene(tmp_path / "scene.mrb")
    assert green_share(red()) > 0, "it goes on meanwhile"
    slicer_app.loadScene(tmp_path / "scene.mrb")
    assert slicer_app.scene.GetFirstNodeByName("threshold preview") is None
    assert slicer_app.scene.GetNodeByID(composite().GetForegroundVolumeID() or "") is None
    assert green_share(red()) == 0
    assert composite().GetBackgroundVolumeID() == panel.widget.parameterNode.inputVolume.GetID()


def test_the_preview_shows_exactly_what_is_darker(panel, volume):
    """The rule is that of the algorithm: below, not at, the threshold."""
    preview = panel.logic.previewThreshold(volume, -320)
    display = preview._display
    assert display.GetUpperThreshold() == -321
    preview.setThreshold(-320.5)
    assert display.GetUpperThreshold() == -321
    preview.remove()


# Any scan


def test_a_saved_scene_brings_lungs_and_light_back(slicer_app, panel, volume, tmp_path):
    segmentation = apply(slicer_app, panel, volume)
    text, measures = panel.ui.lightLabel.text, panel.logic.measure(volume, segmentation)
    slicer_app.saveScene(tmp_path / "scene.mrb")
    slicer_app.loadScene(tmp_path / "scene.mrb")
    parameters = panel.widget.parameterNode
    assert panel.ui.lightLabel.text == text
    again = panel.logic.measure(parameters.inputVolume, parameters.outputSegmentation)
    for one, other in zip(again, measures):
        assert astuple(one)[1:] == pytest.approx(astuple(other)[1:], rel=1e-6)
    apply(slicer_app, panel, parameters.inputVolume)
    assert names(parameters.outputSegmentation) == ["left lung", "right lung", "trachea"]


def test_the_shown_volume_is_chosen_by_itself(slicer_app, panel, patient):
    assert not panel.ui.applyButton.isEnabled()
    first = show(patient.volume, "first")
    slicer_app.settle()
    assert panel.widget.parameterNode.inputVolume is first
    assert panel.ui.applyButton.isEnabled()


def test_reload_makes_a_panel_that_works_and_takes_the_preview_away(slicer_app, panel, volume):
    slicer_app.choose(panel.ui.inputSelector, volume)
    slicer_app.click(panel.ui.previewCheckBox)
    fresh = slicer_app.reload("LungSegment")
    assert slicer_app.scene.GetFirstNodeByName("threshold preview") is None
    ui = fresh.widget.sections[0].ui
    assert fresh.widget.parameterNode.inputVolume is volume
    assert ui.applyButton.isEnabled()
    slicer_app.click(ui.previewCheckBox)
    assert slicer_app.scene.GetFirstNodeByName("threshold preview") is not None
    slicer_app.click(ui.applyButton)
    assert "GREEN" in ui.lightLabel.text


def test_what_python_collects_during_reload_is_called_no_more(slicer_app, panel, volume):
    """VTK goes on calling observers that Python collected: a crash of the whole program."""
    import gc

    cleanup = panel.widget.cleanup

    def cleanUp():
        cleanup()
        gc.collect()

    panel.widget.cleanup = cleanUp
    fresh = slicer_app.reload("LungSegment")
    fresh.widget.parameterNode.thresholdHu = -500
    slicer_app.settle()
    assert fresh.widget.sections[0].ui.thresholdSlider.value == -500


def test_an_error_of_the_program_is_said_and_the_panel_goes_on(slicer_app, panel, volume, monkeypatch):
    def broken(*_args, **_named):
        raise ValueError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(type(panel.logic), "segment", broken)
        slicer_app.choose(panel.ui.inputSelector, volume)
        slicer_app.click(panel.ui.applyButton)
    assert "This failed (ValueError)" in panel.ui.messageLabel.text
    apply(slicer_app, panel, volume)

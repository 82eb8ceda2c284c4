"""The section Follow up by real clicks, on the sample pair whose true places are known."""

from __future__ import annotations

import numpy as np
import pytest
from support_followup_panel import (
    FOLLOW_UP,
    load_pair,
    open_section,
    remember_locations,
    section_of,
    slice_logic,
    true_pairs,
    true_point,
)

pytest.importorskip("slicer", reason="slicer-core is not installed: tests of the panels are left out")

VIEWS = ("CTBaseline", "CTFollowUp")


@pytest.fixture(autouse=True)
def _remembered(monkeypatch):
    remember_locations(monkeypatch)


@pytest.fixture
def panel(slicer_app):
    return open_section(slicer_app)


def node_ids(scene) -> set[str]:
    return {scene.GetNthNode(number).GetID() for number in range(scene.GetNumberOfNodes())}


def place_points(baseline, points_lps, name="Findings", class_name="vtkMRMLMarkupsFiducialNode"):
    import slicer
    import vtk

    node = slicer.mrmlScene.AddNewNodeByClass(class_name, name)
    node.CreateDefaultDisplayNodes()
    for number, point in enumerate(points_lps):
        node.AddControlPointWorld(vtk.vtkVector3d(-point[0], -point[1], point[2]), f"P{number + 1}")
    return node


# From two loaded scans to linked scrolling


def test_two_clicks_from_two_loaded_scans_to_linked_scrolling(slicer_app):
    module = slicer_app.load("CTSliceLocalizer")
    load_pair(slicer_app)
    section = section_of(module.widget)

    slicer_app.click(section.button)
    slicer_app.click(section.ui.linkButton)

    assert section.ui.linkButton.checked
    assert module.logic.isLinked()
    known = [pair for pair in true_pairs() if pair[1] is not None]
    errors = []
    for z, expected in known:
        slice_logic("CTBaseline").SetSliceOffset(z)
        errors.append(slice_logic("CTFollowUp").GetSliceOffset() - expected)
    assert np.abs(errors).max() < 3.0
    assert np.mean(np.abs(errors)) < 1.0


def test_the_baseline_follows_the_follow_up_as_well(slicer_app, panel):
    slicer_app.click(panel.ui.linkButton)
    for z, there in [pair for pair in true_pairs() if pair[1] is not None][5:-5:7]:
        slice_logic("CTFollowUp").SetSliceOffset(there)
        assert slice_logic("CTBaseline").GetSliceOffset() == pytest.approx(z, abs=3.0)
        assert panel.ui.placeLabel.text.startswith("Follow-up z")


def test_the_place_is_said_with_its_uncertainty(slicer_app, panel):
    slicer_app.click(panel.ui.linkButton)
    slice_logic("CTBaseline").SetSliceOffset(-101.5)
    text = panel.ui.placeLabel.text
    assert text.startswith("Baseline z -101.5 mm is follow-up z 3")
    assert "\u00b1" in text
    assert "confirmed by the images" in text


def test_what_the_follow_up_does_not_cover_is_said(slicer_app, panel):
    slicer_app.click(panel.ui.linkButton)
    slice_logic("CTBaseline").SetSliceOffset(30.0)
    assert "not covered by the follow-up" in panel.ui.placeLabel.text
    assert "\u26a0" in panel.ui.placeLabel.text
    # The follow-up's view shows nothing rather than a slice that is not the same place.
    assert slice_logic("CTFollowUp").GetSliceOffset() > 430.0
    slice_logic("CTBaseline").SetSliceOffset(0.5)
    assert "not covered" not in panel.ui.placeLabel.text


def test_outside_the_baseline_is_said(slicer_app, panel):
    slicer_app.click(panel.ui.linkButton)
    slice_logic("CTBaseline").SetSliceOffset(100.0)
    assert "outside the scan" in panel.ui.placeLabel.text


def test_the_body_curves_alone_are_said_to_be_that(slicer_app, panel):
    slicer_app.click(panel.ui.moreButton)
    slicer_app.click(panel.ui.refineCheckBox)
    slicer_app.click(panel.ui.linkButton)
    slice_logic("CTBaseline").SetSliceOffset(-101.5)
    assert "by the body curves only" in panel.ui.placeLabel.text
    before = slice_logic("CTFollowUp").GetSliceOffset()
    slicer_app.click(panel.ui.refineCheckBox)
    slicer_app.click(panel.ui.linkButton)  # off
    slicer_app.click(panel.ui.linkButton)  # on again, matched anew since the setting changed
    slice_logic("CTBaseline").SetSliceOffset(-104.5)
    slice_logic("CTBaseline").SetSliceOffset(-101.5)
    assert "confirmed by the images" in panel.ui.placeLabel.text
    assert slice_logic("CTFollowUp").GetSliceOffset() != before


def test_unlinked_views_scroll_alone_and_jump_goes_once(slicer_app, panel):
    slicer_app.click(panel.ui.jumpButton)
    assert not panel.ui.linkButton.checked
    slice_logic("CTFollowUp").SetSliceOffset(250.0)
    slice_logic("CTBaseline").SetSliceOffset(-50.5)
    assert slice_logic("CTFollowUp").GetSliceOffset() == pytest.approx(250.0)
    slicer_app.click(panel.ui.jumpButton)
    assert slice_logic("CTFollowUp").GetSliceOffset() == pytest.approx(368.5, abs=3.0)
    slice_logic("CTFollowUp").SetSliceOffset(299.7)
    slicer_app.click(panel.ui.jumpButton)
    assert slice_logic("CTBaseline").GetSliceOffset() == pytest.approx(-110.5, abs=3.0)


def test_unlinking_stays_side_by_side(slicer_app, panel):
    slicer_app.click(panel.ui.linkButton)
    slicer_app.click(panel.ui.linkButton)
    assert not panel.logic.isLinked()
    assert panel.logic.isSideBySide()
    before = slice_logic("CTFollowUp").GetSliceOffset()
    slice_logic("CTBaseline").SetSliceOffset(-200.5)
    assert slice_logic("CTFollowUp").GetSliceOffset() == before


# Correction


def test_a_correction_moves_the_other_view_and_stays_until_reset(slicer_app, panel):
    ui = panel.ui
    slicer_app.click(ui.linkButton)
    slice_logic("CTBaseline").SetSliceOffset(-101.5)
    before = slice_logic("CTFollowUp").GetSliceOffset()
    ui.offsetSpinBox.value = 12.0
    assert slice_logic("CTFollowUp").GetSliceOffset() == pytest.approx(before + 12.0)
    slicer_app.click(ui.linkButton)
    slicer_app.click(ui.linkButton)
    panel.logic.match(panel.baseline, panel.followUp)  # matched anew
    slice_logic("CTBaseline").SetSliceOffset(-104.5)
    slice_logic("CTBaseline").SetSliceOffset(-101.5)
    assert slice_logic("CTFollowUp").GetSliceOffset() == pytest.approx(before + 12.0)
    slicer_app.leave()
    slicer_app.select("CTSliceLocalizer")
    assert ui.offsetSpinBox.value == 12.0
    slicer_app.click(ui.offsetResetButton)
    assert ui.offsetSpinBox.value == 0.0
    slice_logic("CTBaseline").SetSliceOffset(-104.5)
    slice_logic("CTBaseline").SetSliceOffset(-101.5)
    assert slice_logic("CTFollowUp").GetSliceOffset() == pytest.approx(before)


def test_shown_slices_can_be_said_to_match(slicer_app, panel):
    slicer_app.click(panel.ui.linkButton)
    assert not panel.ui.sameButton.enabled
    slicer_app.click(panel.ui.linkButton)
    slice_logic("CTBaseline").SetSliceOffset(-101.5)
    slice_logic("CTFollowUp").SetSliceOffset(305.0)
    slicer_app.click(panel.ui.sameButton)
    assert panel.ui.offsetSpinBox.value == pytest.approx(-5.24, abs=3.0)
    slicer_app.click(panel.ui.linkButton)
    slice_logic("CTBaseline").SetSliceOffset(-104.5)
    slice_logic("CTBaseline").SetSliceOffset(-101.5)
    assert slice_logic("CTFollowUp").GetSliceOffset() == pytest.approx(305.0, abs=0.1)


def test_a_correction_beyond_the_follow_up_is_said(slicer_app, panel):
    slicer_app.click(panel.ui.linkButton)
    slice_logic("CTBaseline").SetSliceOffset(-101.5)
    panel.ui.offsetSpinBox.value = 300.0
    assert "not covered by the follow-up" in panel.ui.placeLabel.text


# Similar slices, points, transform


def test_similar_slices_are_listed_and_gone_to(slicer_app, panel):
    ui = panel.ui
    slicer_app.click(ui.linkButton)
    slicer_app.click(ui.moreButton)
    slice_logic("CTBaseline").SetSliceOffset(-101.5)
    slicer_app.click(ui.sliceListButton)
    narrow = ui.sliceTable.rowCount
    heights = [float(ui.sliceTable.item(row, 1).text()) for row in range(narrow)]
    assert heights
    assert abs(heights[0] - 310.24) < 4.0
    assert [abs(z - heights[0]) for z in heights] == sorted(abs(z - heights[0]) for z in heights) or narrow < 3
    ui.toleranceSpinBox.value = 0.02
    slicer_app.click(ui.sliceListButton)
    assert ui.sliceTable.rowCount > narrow
    ui.sliceTable.setCurrentCell(2, 0)
    assert slice_logic("CTFollowUp").GetSliceOffset() == pytest.approx(float(ui.sliceTable.item(2, 1).text()), abs=0.1)
    slice_logic("CTBaseline").SetSliceOffset(33.0)
    slicer_app.click(ui.sliceListButton)
    assert "not covered" in ui.followUpMessageLabel.text


def test_similar_slices_name_their_files_where_there_are_any(slicer_app, panel, monkeypatch):
    from dataclasses import replace

    import slicer
    from CTSliceLocalizerLib import predictor

    locate = predictor.locate

    def with_files(volume, **options):
        found = locate(volume, **options)
        return replace(found, files=tuple(f"{index + 1}.dcm" for index in found.index))

    monkeypatch.setattr(predictor, "locate", with_files)
    panel.logic.match(panel.baseline, panel.followUp)
    found = panel.logic.slicesWithin(panel.baseline, panel.followUp, zMm=-101.5)
    assert [entry.file for entry in found] == [f"{entry.index + 1}.dcm" for entry in found]
    table = slicer.util.getNode(f"{FOLLOW_UP}: slices like z -101.5 mm of CTChestSample")
    assert table.GetCellText(0, 4) == found[0].file
    panel.logic.clearMatch(panel.baseline, panel.followUp)
    assert not slicer.mrmlScene.IsNodePresent(table)


def test_points_are_carried_over_as_proposals(slicer_app, panel):
    import slicer

    points = [(-60.0, 20.0, -50.0), (80.0, -30.0, -120.0), (10.0, 60.0, -180.0), (0.0, 0.0, 33.0)]
    points = np.add(points, [*middle(panel.baseline), 0])
    markups = place_points(panel.baseline, points)
    slicer_app.click(panel.ui.linkButton)
    slicer_app.click(panel.ui.moreButton)
    assert not panel.ui.carryButton.enabled
    slicer_app.choose(panel.ui.markupsSelector, markups)
    slicer_app.click(panel.ui.carryButton)
    note = panel.ui.followUpNoteLabel.text
    assert "3 of 4 points are proposed" in note
    assert "does not cover the others" in note
    assert "rigid registration" in note
    node = slicer.util.getNode(f"Findings: proposals in {FOLLOW_UP}")
    assert node.GetNumberOfControlPoints() == 3
    for number in range(3):
        found = np.array(node.GetNthControlPointPositionWorld(number)) * [-1, -1, 1]
        truth = true_point(points[number])
        assert abs(found[2] - truth[2]) < 3.0
        assert np.hypot(*(found - truth)[:2]) < 5.0
        assert node.GetNthControlPointLabel(number) == f"P{number + 1}?"
        assert "\u00b1" in node.GetNthControlPointDescription(number)
    assert markups.GetNumberOfControlPoints() == 4


def middle(volume):
    """LPS x and y of the middle of a volume."""
    bounds = [0.0] * 6
    volume.GetRASBounds(bounds)
    return -(bounds[0] + bounds[1]) / 2, -(bounds[2] + bounds[3]) / 2


def test_points_show_only_in_the_view_of_their_scan(slicer_app, panel):
    import slicer

    markups = place_points(panel.baseline, [(*middle(panel.baseline), -50.0)])
    slicer_app.click(panel.ui.linkButton)
    carried = panel.logic.carryOver(markups, panel.baseline, panel.followUp).node
    for node, view in ((markups, "CTBaseline"), (carried, "CTFollowUp")):
        assert node.GetDisplayNode().IsDisplayableInView(f"vtkMRMLSliceNode{view}")
        assert not node.GetDisplayNode().IsDisplayableInView("vtkMRMLSliceNodeRed")
    slicer_app.leave()
    for display in slicer.util.getNodesByClass("vtkMRMLMarkupsDisplayNode"):
        assert display.IsDisplayableInView("vtkMRMLSliceNodeRed")


def test_in_plane_by_the_centres_is_said(slicer_app, panel):
    markups = place_points(panel.baseline, [(*middle(panel.baseline), -50.0)])
    slicer_app.click(panel.ui.linkButton)
    carried = panel.logic.carryOver(markups, panel.baseline, panel.followUp, refine=False)
    assert carried.method == "centres"
    assert "centres of the bodies" in carried.node.GetNthControlPointDescription(0)


def test_a_line_that_is_covered_in_part_is_not_carried_over(slicer_app, panel):
    from CTVolumeLib.errors import CTError

    x, y = middle(panel.baseline)
    line = place_points(panel.baseline, [(x, y, 0.0), (x, y, 35.0)], "Line", "vtkMRMLMarkupsLineNode")
    panel.logic.match(panel.baseline, panel.followUp)
    before = node_ids(panel.baseline.GetScene())
    with pytest.raises(CTError, match="does not show all of Line"):
        panel.logic.carryOver(line, panel.baseline, panel.followUp)
    assert node_ids(panel.baseline.GetScene()) == before
    inside = place_points(panel.baseline, [(x, y, 0.0), (x + 9, y, -35.0)], "Short", "vtkMRMLMarkupsLineNode")
    assert panel.logic.carryOver(inside, panel.baseline, panel.followUp).node.IsA("vtkMRMLMarkupsLineNode")


def test_the_transform_lays_the_baseline_onto_the_follow_up(slicer_app, panel):
    import slicer

    slicer_app.click(panel.ui.linkButton)
    slicer_app.click(panel.ui.moreButton)
    slicer_app.click(panel.ui.transformButton)
    node = slicer.util.getNode(f"CTChestSample to {FOLLOW_UP}")
    matrix = slicer.util.arrayFromTransformMatrix(node)
    errors = []
    for dx, dy, z in ((-90, 0, -60), (90, 30, -140), (0, -60, -100)):
        x, y = middle(panel.baseline)
        point = np.array([x + dx, y + dy, z])
        moved = matrix @ [-point[0], -point[1], point[2], 1]
        errors.append(moved[:3] * [-1, -1, 1] - true_point(point))
    errors = np.array(errors)
    assert np.hypot(errors[:, 0], errors[:, 1]).max() < 5.0
    assert np.abs(errors[:, 2]).max() < 12.0  # rigid: it does not follow the smooth displacement of 8 mm
    count = slicer.mrmlScene.GetNumberOfNodes()
    slicer_app.click(panel.ui.transformButton)
    assert slicer.mrmlScene.GetNumberOfNodes() == count


# Cancel, errors


def test_cancel_at_each_step_leaves_the_scene_as_it_was(slicer_app, panel):
    from CTVolumeLib.errors import CTError

    before = node_ids(panel.baseline.GetScene())
    calls = []
    panel.logic.match(panel.baseline, panel.followUp, progress=lambda *step: calls.append(step) or True)
    panel.logic.clearMatch(panel.baseline, panel.followUp)
    assert len(calls) > 4
    assert all(0 <= done <= total for done, total, _ in calls)
    assert node_ids(panel.baseline.GetScene()) == before
    for stop in range(1, len(calls) + 1):
        seen = []
        with pytest.raises(CTError) as error:
            panel.logic.match(
                panel.baseline,
                panel.followUp,
                progress=lambda *step, seen=seen, n=stop: seen.append(1) or len(seen) < n,
            )
        assert error.value.code == "cancelled"
        assert node_ids(panel.baseline.GetScene()) == before


def test_cancel_by_click_while_it_runs(slicer_app, panel):
    import qt

    seen = []

    def click():
        seen.append((panel.ui.followUpProgressBar.visible, panel.ui.linkButton.enabled))
        slicer_app.click(panel.ui.followUpCancelButton)

    qt.QTimer.singleShot(0, click)
    slicer_app.click(panel.ui.linkButton)
    assert seen == [(True, False)]
    assert "Cancelled." in panel.ui.followUpMessageLabel.text
    assert not panel.ui.linkButton.checked
    assert panel.ui.linkButton.enabled
    assert not panel.ui.followUpProgressBar.visible
    slicer_app.click(panel.ui.linkButton)
    assert panel.ui.linkButton.checked
    assert panel.ui.followUpMessageLabel.text == ""


def test_leaving_the_module_while_it_runs(slicer_app, panel):
    import qt

    layout = slicer_app.layoutManager.layout
    qt.QTimer.singleShot(0, slicer_app.leave)
    slicer_app.click(panel.ui.linkButton)
    assert slicer_app.selected() == ""
    assert slicer_app.layoutManager.layout == layout
    assert not panel.logic.isSideBySide()
    slicer_app.select("CTSliceLocalizer")
    assert not panel.ui.linkButton.checked
    assert panel.ui.linkButton.enabled


def test_the_same_volume_twice_is_said(slicer_app, panel):
    slicer_app.choose(panel.ui.followUpSelector, panel.baseline)
    assert "same volume" in panel.ui.followUpMessageLabel.text
    assert not panel.ui.linkButton.enabled
    assert not panel.ui.jumpButton.enabled


def test_a_scan_that_is_refused_is_said_and_leaves_nothing(slicer_app, panel):
    import slicer

    array = np.clip(slicer.util.arrayFromVolume(panel.followUp), 0, 255)
    slicer.util.updateVolumeFromArray(panel.followUp, array)
    before = node_ids(panel.baseline.GetScene())
    slicer_app.click(panel.ui.linkButton)
    assert "The follow-up was refused" in panel.ui.followUpMessageLabel.text
    assert not panel.ui.linkButton.checked
    assert node_ids(panel.baseline.GetScene()) == before


def test_scans_of_different_parts_are_said_and_leave_nothing(slicer_app, panel, monkeypatch):
    from CTSliceLocalizerLib import predictor
    from support_locations import fake_location

    parts = iter([fake_location(np.arange(-450.0, -300, 3)), fake_location(np.arange(-850.0, -700, 3))])
    monkeypatch.setattr(predictor, "locate", lambda *_args, **_options: next(parts))
    before = node_ids(panel.baseline.GetScene())
    slicer_app.click(panel.ui.linkButton)
    assert "different parts of the body" in panel.ui.followUpMessageLabel.text
    assert node_ids(panel.baseline.GetScene()) == before


def test_a_scale_that_differs_is_flagged(slicer_app, panel):
    import slicer

    matrix = slicer.util.vtkMatrixFromArray(np.diag([1, 1, 1.35, 1]))
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Stretched")
    transform.SetMatrixTransformToParent(matrix)
    panel.followUp.SetAndObserveTransformNodeID(transform.GetID())
    slicer_app.click(panel.ui.linkButton)
    assert "times as long" in panel.ui.followUpMessageLabel.text


def test_a_scan_that_is_stored_upside_down_is_flagged_and_scrolls_the_other_way(slicer_app, panel):
    import slicer

    array = slicer.util.arrayFromVolume(panel.followUp)
    slicer.util.updateVolumeFromArray(panel.followUp, np.ascontiguousarray(array[::-1]))
    slicer_app.click(panel.ui.linkButton)
    text = panel.ui.followUpMessageLabel.text
    assert "matched by their curves only" in text
    assert "Follow-up: " in text
    assert "Baseline: " not in text
    ends = panel.logic.location(panel.followUp).z_mm[[0, -1]].sum()
    for z, expected in [pair for pair in true_pairs() if pair[1] is not None][10:-10:10]:
        slice_logic("CTBaseline").SetSliceOffset(z)
        assert slice_logic("CTFollowUp").GetSliceOffset() == pytest.approx(ends - expected, abs=15.0)


def test_different_patients_are_flagged_without_their_names(slicer_app, panel):
    import slicer

    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    for volume, name in ((panel.baseline, "Alpha"), (panel.followUp, "Beta")):
        patient = tree.CreateSubjectItem(tree.GetSceneItemID(), name)
        tree.SetItemAttribute(patient, "DICOM.PatientID", name)
        tree.SetItemParent(tree.CreateItem(patient, volume), patient)
    slicer_app.click(panel.ui.linkButton)
    text = panel.ui.followUpMessageLabel.text
    assert "different patients" in text
    assert "Alpha" not in text
    assert "Beta" not in text


# The scene


def test_clear_leaves_the_scene_as_it_was(slicer_app, panel):
    before = node_ids(panel.baseline.GetScene())
    layout = slicer_app.layoutManager.layout
    for _ in range(2):
        slicer_app.click(panel.ui.linkButton)
        assert slicer_app.layoutManager.layout != layout
        slicer_app.click(panel.ui.followUpClearButton)
        assert slicer_app.layoutManager.layout == layout
        assert node_ids(panel.baseline.GetScene()) == before
    assert not panel.ui.matchWidget.visible
    assert not panel.ui.linkButton.checked


def test_after_clear_the_views_come_back_under_other_names(slicer_app, panel):
    import slicer
    from CTSliceLocalizerPanel import comparison_layout

    slicer_app.click(panel.ui.linkButton)
    before = comparison_layout.viewNames()
    slicer_app.click(panel.ui.followUpClearButton)
    assert [slicer.app.layoutManager().sliceWidget(name) for name in before] == [None, None]
    slicer_app.click(panel.ui.linkButton)
    names = comparison_layout.viewNames()
    assert not set(names) & set(before)
    slice_logic(names[0]).SetSliceOffset(-101.5)
    assert slice_logic(names[1]).GetSliceOffset() == pytest.approx(310.24, abs=3.0)
    assert "Baseline z -101.5 mm" in panel.ui.placeLabel.text


def test_the_location_in_words_is_that_of_the_scans_own_view(slicer_app, panel):
    slicer_app.click(panel.ui.linkButton)
    panel.widget.parameterNode.inputVolume = panel.baseline
    label = panel.widget.sections[0].ui.currentLabel
    slice_logic("CTBaseline").SetSliceOffset(-49.0)
    assert "mid chest" in label.text
    slice_logic("CTFollowUp").SetSliceOffset(300.0)
    assert "outside" not in label.text


def test_clear_keeps_locations_that_were_there_before(slicer_app, panel):
    panel.logic.locate(panel.baseline)
    slicer_app.click(panel.ui.linkButton)
    slicer_app.click(panel.ui.followUpClearButton)
    assert panel.logic.location(panel.baseline) is not None
    assert panel.logic.location(panel.followUp) is None


def test_leaving_the_module_gives_the_layout_back_and_coming_back_links_again(slicer_app, panel):
    layout = slicer_app.layoutManager.layout
    slicer_app.click(panel.ui.linkButton)
    slice_logic("CTBaseline").SetSliceOffset(-50.5)
    slicer_app.leave()
    assert slicer_app.layoutManager.layout == layout
    slicer_app.select("CTSliceLocalizer")
    assert panel.ui.linkButton.checked
    assert slice_logic("CTBaseline").GetSliceOffset() == pytest.approx(-50.5)
    slice_logic("CTBaseline").SetSliceOffset(-101.5)
    assert slice_logic("CTFollowUp").GetSliceOffset() == pytest.approx(310.24, abs=3.0)


def test_another_layout_by_the_menu_and_back(slicer_app, panel):
    from CTSliceLocalizerPanel import comparison_layout

    slicer_app.click(panel.ui.linkButton)
    slice_logic("CTBaseline").SetSliceOffset(-50.5)
    layout = slicer_app.layoutManager.layoutLogic().GetLayoutNode()
    layout.SetViewArrangement(layout.SlicerLayoutFourUpView)
    slicer_app.click(panel.ui.jumpButton)
    assert comparison_layout.isShown()
    assert panel.ui.linkButton.checked
    assert slice_logic("CTBaseline").GetSliceOffset() == pytest.approx(-50.5)
    layout.SetViewArrangement(layout.SlicerLayoutFourUpView)
    slicer_app.click(panel.ui.linkButton)
    slicer_app.click(panel.ui.linkButton)
    assert comparison_layout.isShown()
    slicer_app.click(panel.ui.followUpClearButton)
    assert slicer_app.layoutManager.layout == layout.SlicerLayoutFourUpView


def test_a_saved_scene_comes_back_linked(slicer_app, panel, tmp_path):
    import slicer

    slicer_app.click(panel.ui.linkButton)
    panel.ui.offsetSpinBox.value = 7.0
    slice_logic("CTBaseline").SetSliceOffset(-101.5)
    there = slice_logic("CTFollowUp").GetSliceOffset()
    slicer_app.saveScene(tmp_path / "scene.mrb")
    slicer_app.closeScene()
    assert not panel.logic.isSideBySide()
    assert not panel.ui.linkButton.checked
    slicer_app.loadScene(tmp_path / "scene.mrb")
    assert panel.ui.linkButton.checked
    assert panel.ui.offsetSpinBox.value == 7.0
    slice_logic("CTBaseline").SetSliceOffset(-80.5)
    slice_logic("CTBaseline").SetSliceOffset(-101.5)
    assert slice_logic("CTFollowUp").GetSliceOffset() == pytest.approx(there, abs=0.05)
    assert panel.logic.matchOf(slicer.util.getNode("CTChestSample"), slicer.util.getNode(FOLLOW_UP)) is not None


@pytest.mark.parametrize("which", ["baseline", "followUp"])
def test_a_volume_that_is_removed_while_linked_ends_the_link(slicer_app, panel, which):
    import slicer

    slicer_app.click(panel.ui.linkButton)
    name = getattr(panel, which).GetName()
    slicer.mrmlScene.RemoveNode(getattr(panel, which))
    slicer_app.settle()
    assert not panel.logic.isLinked()
    assert not panel.ui.linkButton.checked
    assert not panel.ui.linkButton.enabled
    assert not slicer.util.getNodesByClass("vtkMRMLTextNode") or all(
        not node.GetAttribute("CTSliceLocalizer.Match") for node in slicer.util.getNodesByClass("vtkMRMLTextNode")
    )
    assert name not in panel.ui.placeLabel.text
    slice_logic("CTBaseline").SetSliceOffset(-50.0)


def test_a_volume_that_is_moved_while_linked_ends_the_link(slicer_app, panel):
    import slicer

    slicer_app.click(panel.ui.linkButton)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Moved")
    transform.SetMatrixTransformToParent(
        slicer.util.vtkMatrixFromArray(np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 40], [0, 0, 0, 1]]))
    )
    panel.followUp.SetAndObserveTransformNodeID(transform.GetID())
    slicer_app.settle()
    assert not panel.ui.linkButton.checked
    assert "located again" in panel.ui.followUpMessageLabel.text
    slicer_app.click(panel.ui.linkButton)
    slice_logic("CTBaseline").SetSliceOffset(-104.5)
    slice_logic("CTBaseline").SetSliceOffset(-101.5)
    assert slice_logic("CTFollowUp").GetSliceOffset() == pytest.approx(350.24, abs=3.0)


def test_a_rotated_parent_and_other_axes_give_the_same_places(slicer_app, panel):
    import slicer

    array = slicer.util.arrayFromVolume(panel.followUp)
    matrix = slicer.util.arrayFromVTKMatrix(_ijk_to_ras(panel.followUp))
    # Stored sagittally, feet last, under a parent that turns it by 90 degrees about z and lifts it by 25 mm.
    turned = np.ascontiguousarray(array.transpose(2, 0, 1)[:, ::-1])
    order = matrix.copy()
    order[:, 0], order[:, 1], order[:, 2] = matrix[:, 1], -matrix[:, 2], matrix[:, 0]
    order[:, 3] += matrix[:, 2] * (array.shape[0] - 1)
    parent = np.array([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 25], [0, 0, 0, 1]])
    inverse = np.linalg.inv(np.array([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    slicer.util.updateVolumeFromArray(panel.followUp, turned)
    panel.followUp.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(inverse @ order))
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Parent")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(parent))
    panel.followUp.SetAndObserveTransformNodeID(transform.GetID())
    slicer_app.click(panel.ui.linkButton)
    for z, expected in [pair for pair in true_pairs() if pair[1] is not None][::9]:
        slice_logic("CTBaseline").SetSliceOffset(z)
        assert slice_logic("CTFollowUp").GetSliceOffset() == pytest.approx(expected + 25, abs=3.0)


def _ijk_to_ras(node):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


def test_the_scene_closes_while_linked_and_while_running(slicer_app, panel):
    import qt
    import slicer

    slicer_app.click(panel.ui.linkButton)
    slicer_app.closeScene()
    assert not panel.ui.linkButton.checked
    assert not panel.ui.linkButton.enabled
    load_pair(slicer_app)
    slicer_app.leave()
    slicer_app.select("CTSliceLocalizer")
    qt.QTimer.singleShot(0, lambda: slicer.mrmlScene.Clear(0))
    slicer_app.click(panel.ui.linkButton)
    assert not panel.ui.linkButton.checked
    assert not slicer.util.getNodesByClass("vtkMRMLTextNode")


def test_reload_while_linked(slicer_app, panel):
    slicer_app.click(panel.ui.linkButton)
    module = slicer_app.reload("CTSliceLocalizer")
    section = section_of(module.widget)
    assert section.ui.linkButton.checked
    slice_logic("CTBaseline").SetSliceOffset(-101.5)
    assert slice_logic("CTFollowUp").GetSliceOffset() == pytest.approx(310.24, abs=3.0)


def test_every_control_has_a_tooltip_and_is_reached_by_tab(slicer_app, panel):
    import qt

    kinds = (qt.QPushButton, qt.QCheckBox, qt.QDoubleSpinBox, qt.QTableWidget)
    controls = [widget for widget in vars(panel.ui).values() if isinstance(widget, kinds)]
    assert len(controls) == 13
    for control in controls:
        assert control.toolTip, control.objectName
        assert control.focusPolicy & qt.Qt.TabFocus, control.objectName


def test_three_volumes_are_left_to_the_user(slicer_app):
    module = slicer_app.load("CTSliceLocalizer")
    load_pair(slicer_app)
    load_pair(slicer_app)
    section = section_of(module.widget)
    slicer_app.click(section.button)
    assert module.widget.parameterNode.baselineVolume is None
    assert not section.ui.linkButton.enabled


def test_the_earlier_study_is_the_baseline(slicer_app):
    import slicer

    module = slicer_app.load("CTSliceLocalizer")
    volumes = load_pair(slicer_app)
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    for volume, date in zip(volumes, ("20250601", "20240115")):
        study = tree.CreateStudyItem(tree.GetSceneItemID(), "study")
        tree.SetItemAttribute(study, "DICOM.StudyDate", date)
        tree.CreateItem(study, volume)
    slicer_app.click(section_of(module.widget).button)
    assert module.widget.parameterNode.baselineVolume is volumes[1]


def test_clearing_a_location_ends_the_match_that_rests_on_it(slicer_app, panel):
    slicer_app.click(panel.ui.linkButton)
    panel.logic.clearLocation(panel.followUp)
    assert not panel.logic.isLinked()
    assert panel.logic.matchOf(panel.baseline, panel.followUp) is None


def test_the_modules_own_test(slicer_app):
    test = slicer_app.load("CTSliceLocalizer").file.CTSliceLocalizerTest("test_follow_up")
    test.setUp()
    test.test_follow_up()


def test_the_console_snippet_of_the_tutorial(slicer_app):
    module = slicer_app.load("CTSliceLocalizer")
    baseline, follow_up = load_pair(slicer_app)
    logic = module.logic
    match = logic.match(baseline, follow_up)
    pair = match.at([-101.5]).pairs[0]
    assert pair.followup_z_mm == pytest.approx(310.2, abs=3.0)
    logic.linkScrolling(baseline, follow_up)
    logic.setOffset(baseline, follow_up, 2.0)
    assert [entry.index for entry in logic.slicesWithin(baseline, follow_up, zMm=-101.5, tolerance=0.01)]
    assert logic.transformToFollowUp(baseline, follow_up).GetName() == "CTChestSample to CTChestSampleFollowUp"
    logic.clearMatch(baseline, follow_up)
    assert not logic.isSideBySide()

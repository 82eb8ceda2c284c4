"""Two slice views that follow each other, on real slice nodes, with a map that is known exactly."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from CTSliceLocalizerLib.matching import Line, Match
from CTSliceLocalizerLib.places import PlaceMap

pytest.importorskip("slicer", reason="slicer-core is not installed: tests of the panels are left out")

BASELINE_Z = np.arange(0.0, 301.0, 3.0)
FOLLOW_UP_Z = np.arange(1050.0, 1250.0, 4.0)


def to_follow_up(z):
    return 1000.0 + 0.9 * np.asarray(z)


def known_map(offset_mm: float = 0.0) -> PlaceMap:
    line = Line(
        baseline_z_mm=BASELINE_Z,
        baseline_index=np.arange(len(BASELINE_Z)),
        followup_z_mm=to_follow_up(BASELINE_Z),
        sigma_mm=np.full(len(BASELINE_Z), 5.0),
        registered=BASELINE_Z > 100,
        slices_z_mm=FOLLOW_UP_Z,
        slices_index=np.arange(len(FOLLOW_UP_Z)),
    )
    return PlaceMap(Match((), line=line), offset_mm)


@pytest.fixture
def pair(slicer_app):
    """Two volumes side by side, followed, not linked yet."""
    import slicer

    slicer_app.load("CTSliceLocalizer")
    from CTSliceLocalizerPanel import comparison_layout, linked_scrolling
    from CTSliceLocalizerPanel.location_nodes import BodyAxis

    volumes = []
    for name, z in (("A", BASELINE_Z), ("B", FOLLOW_UP_Z)):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        slicer.util.updateVolumeFromArray(node, np.zeros((len(z), 8, 8), np.int16))
        node.SetIJKToRASMatrix(
            slicer.util.vtkMatrixFromArray(
                np.array([[40, 0, 0, -140], [0, 40, 0, -140], [0, 0, z[1] - z[0], z[0]], [0, 0, 0, 1]])
            )
        )
        volumes.append(node)
    views = comparison_layout.show(*volumes)
    axes = [BodyAxis((0, 0, float(z[0])), (0, 0, float(z[-1])), (0, 0, 1)) for z in (BASELINE_Z, FOLLOW_UP_Z)]
    steps, stops = [], []
    follower = linked_scrolling.LinkedScrolling(
        *volumes, views, known_map(), axes, lambda: steps.append(follower.place()), stops.append
    )
    yield SimpleNamespace(follower=follower, views=views, volumes=volumes, steps=steps, stops=stops, axes=axes)
    follower.stop()
    comparison_layout.mix()


def shown(view) -> float:
    return view.sliceNode.GetSliceToRAS().GetElement(2, 3)


def test_each_view_follows_the_other(pair):
    pair.follower.linked = True
    pair.views.baseline.sliceNode.SetSliceOffset(120.0)
    assert shown(pair.views.followUp) == pytest.approx(1108.0)
    pair.views.followUp.sliceNode.SetSliceOffset(1180.0)
    assert shown(pair.views.baseline) == pytest.approx(200.0)
    assert pair.follower.fromFollowUp
    assert pair.steps[-1].z_mm == pytest.approx(200.0)


def test_a_step_is_told_once_and_there_is_no_echo(pair):
    pair.follower.linked = True
    pair.steps.clear()
    pair.views.baseline.sliceNode.SetSliceOffset(156.0)
    assert len(pair.steps) == 1
    assert shown(pair.views.baseline) == 156.0


def test_panning_and_zooming_is_no_step(pair):
    pair.follower.linked = True
    pair.views.baseline.sliceNode.SetSliceOffset(150.0)
    pair.steps.clear()
    node = pair.views.baseline.sliceNode
    node.SetFieldOfView(*(0.5 * size for size in node.GetFieldOfView()[:2]), node.GetFieldOfView()[2])
    node.GetSliceToRAS().SetElement(0, 3, 25.0)
    node.UpdateMatrices()
    assert pair.steps == []
    assert shown(pair.views.followUp) == pytest.approx(1135.0)


def test_unlinked_views_are_watched_but_not_moved(pair):
    before = shown(pair.views.followUp)
    pair.views.baseline.sliceNode.SetSliceOffset(160.0)
    assert shown(pair.views.followUp) == before
    assert pair.steps[-1].z_mm == pytest.approx(1144.0)
    pair.follower.jump()
    assert shown(pair.views.followUp) == pytest.approx(1144.0)


def test_where_the_follow_up_has_ended_its_view_goes_on(pair):
    pair.follower.linked = True
    pair.views.baseline.sliceNode.SetSliceOffset(30.0)
    place = pair.follower.place()
    assert not place.covered
    assert place.beyond_mm == pytest.approx(1050 - 2 - 1027)
    assert shown(pair.views.followUp) == pytest.approx(1027.0)
    pair.views.baseline.sliceNode.SetSliceOffset(120.0)
    assert pair.follower.place().covered


def test_a_correction_shifts_the_map_both_ways(pair):
    pair.follower.linked = True
    pair.views.baseline.sliceNode.SetSliceOffset(120.0)
    pair.follower.setPlaces(known_map(offset_mm=9.0))
    assert shown(pair.views.followUp) == pytest.approx(1117.0)
    assert shown(pair.views.baseline) == pytest.approx(120.0)
    pair.views.followUp.sliceNode.SetSliceOffset(1189.0)
    assert shown(pair.views.baseline) == pytest.approx(200.0)


@pytest.mark.parametrize(("linked", "hot"), [(0, 0), (1, 0), (1, 1)])
def test_slicers_own_link_is_off_meanwhile_and_as_before_afterwards(pair, linked, hot):
    for view in pair.views:
        view.compositeNode.SetLinkedControl(linked)
        view.compositeNode.SetHotLinkedControl(hot)
    pair.follower.linked = True
    for view in pair.views:
        assert (view.compositeNode.GetLinkedControl(), view.compositeNode.GetHotLinkedControl()) == (0, 0)
    pair.follower.linked = False
    for view in pair.views:
        assert (view.compositeNode.GetLinkedControl(), view.compositeNode.GetHotLinkedControl()) == (linked, hot)
        assert view.compositeNode.GetAttributeNames() in (None, ()) or "CTSliceLocalizer.LinkBefore" not in list(
            view.compositeNode.GetAttributeNames()
        )


def test_the_views_are_in_groups_of_their_own(pair):
    import slicer

    groups = [view.sliceNode.GetViewGroup() for view in pair.views]
    others = [node.GetViewGroup() for node in slicer.util.getNodesByClass("vtkMRMLSliceNode")]
    assert len({*groups}) == 2
    assert all(others.count(group) == 1 for group in groups)


def test_coronal_views_neither_lead_nor_follow(pair):
    pair.follower.linked = True
    pair.views.baseline.sliceNode.SetSliceOffset(120.0)
    pair.views.followUp.sliceNode.SetOrientationToCoronal()
    before = pair.views.followUp.sliceNode.GetSliceOffset()
    pair.views.baseline.sliceNode.SetSliceOffset(150.0)
    assert pair.views.followUp.sliceNode.GetSliceOffset() == before
    pair.views.followUp.sliceNode.SetSliceOffset(before + 10)
    assert shown(pair.views.baseline) == pytest.approx(150.0)
    pair.views.followUp.sliceNode.SetOrientationToAxial()
    pair.views.baseline.sliceNode.SetSliceOffset(160.0)
    assert shown(pair.views.followUp) == pytest.approx(1144.0)


def test_a_view_that_shows_another_volume_is_left_alone(pair):
    pair.follower.linked = True
    pair.views.baseline.sliceNode.SetSliceOffset(120.0)
    pair.views.followUp.compositeNode.SetBackgroundVolumeID(pair.volumes[0].GetID())
    pair.views.baseline.sliceNode.SetSliceOffset(150.0)
    assert shown(pair.views.followUp) == pytest.approx(1108.0)
    pair.views.followUp.sliceNode.SetSliceOffset(60.0)
    assert shown(pair.views.baseline) == pytest.approx(150.0)
    assert pair.follower.place() is None


def test_a_tilted_plane_is_led_by_the_middle_of_the_body(pair):
    pair.follower.linked = True
    node = pair.views.baseline.sliceNode
    tilt = np.deg2rad(20)
    matrix = node.GetSliceToRAS()
    rotation = [[-1, 0, 0], [0, np.cos(tilt), np.sin(tilt)], [0, -np.sin(tilt), np.cos(tilt)]]
    for row in range(3):
        for column in range(3):
            matrix.SetElement(row, column, rotation[row][column])
    node.UpdateMatrices()
    node.JumpSliceByOffsetting(0, 50.0, 200.0)  # crosses the axis 50 tan 20 above or below
    expected = 200.0 + 50.0 * np.tan(tilt)
    assert pair.follower.heights()[0] == pytest.approx(expected)
    assert shown(pair.views.followUp) == pytest.approx(to_follow_up(expected))
    pair.views.followUp.sliceNode.SetSliceOffset(1099.0)
    assert pair.follower.heights()[0] == pytest.approx(110.0)


@pytest.mark.parametrize("number", [0, 1])
def test_removing_a_volume_ends_it_with_a_reason(pair, number):
    import slicer

    pair.follower.linked = True
    slicer.mrmlScene.RemoveNode(pair.volumes[number])
    assert len(pair.stops) == 1
    assert "was removed" in pair.stops[0]
    assert not pair.follower.linked
    pair.steps.clear()
    pair.views.baseline.sliceNode.SetSliceOffset(99.0)
    assert pair.steps == []


def test_new_voxels_end_it(pair):
    import slicer

    pair.follower.linked = True
    slicer.util.updateVolumeFromArray(pair.volumes[0], np.ones((len(BASELINE_Z), 8, 8), np.int16))
    assert len(pair.stops) == 1
    assert "located again" in pair.stops[0]


def test_the_layout_is_laid_down_once_and_the_users_comes_back(slicer_app, pair):
    from CTSliceLocalizerPanel import comparison_layout

    layout = slicer_app.layoutManager.layoutLogic().GetLayoutNode()
    comparison_layout.register()
    comparison_layout.register()
    assert layout.IsLayoutDescription(comparison_layout.LAYOUT_ID)
    comparison_layout.show(*pair.volumes)  # again: the layout from before is still that of the user
    comparison_layout.restore()
    assert slicer_app.layoutManager.layout == layout.SlicerLayoutConventionalView
    layout.SetViewArrangement(layout.SlicerLayoutOneUpRedSliceView)
    comparison_layout.show(*pair.volumes)
    layout.SetViewArrangement(layout.SlicerLayoutFourUpView)  # the user chose another one meanwhile
    comparison_layout.restore()
    assert slicer_app.layoutManager.layout == layout.SlicerLayoutFourUpView


def test_without_views_it_says_so(slicer_app, pair, monkeypatch):
    import slicer
    from CTSliceLocalizerPanel import comparison_layout
    from CTVolumeLib.errors import CTError

    monkeypatch.setattr(type(slicer.app), "layoutManager", lambda _self: None)
    comparison_layout.register()
    comparison_layout.restore()
    with pytest.raises(CTError, match="without slice views"):
        comparison_layout.show(*pair.volumes)


def test_zoom_is_the_same_in_both_views(pair):
    sizes = [
        view.sliceNode.GetFieldOfView()[0] / view.sliceNode.GetDimensions()[0] for view in pair.views
    ]  # mm of a pixel
    assert sizes[0] == pytest.approx(sizes[1])
    assert sizes[0] > 0


def test_the_layout_is_known_before_the_panel_is_opened(slicer_app):
    slicer_app.load("CTSliceLocalizer", enter=False)
    slicer_app.application.startupCompleted.emit()
    from CTSliceLocalizerPanel import comparison_layout

    assert slicer_app.layoutManager.layoutLogic().GetLayoutNode().IsLayoutDescription(comparison_layout.LAYOUT_ID)

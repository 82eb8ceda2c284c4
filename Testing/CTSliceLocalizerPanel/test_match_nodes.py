"""The match of two volumes in the scene: kept, found again, and not believed when something has changed."""

from __future__ import annotations

import numpy as np
import pytest
from CTSliceLocalizerLib import matching
from CTSliceLocalizerLib.alignment import Alignment
from support_locations import fake_location

pytest.importorskip("slicer", reason="slicer-core is not installed: tests on MRML are left out")

Z = np.arange(-450.0, -250.0, 5.0)


@pytest.fixture
def pair(slicer_app):
    """Two located volumes and their match."""
    import slicer

    slicer_app.load("CTSliceLocalizer", enter=False)
    from CTSliceLocalizerPanel import location_nodes

    volumes, locations = [], []
    for name, shift in (("One", 0.0), ("Two", 400.0)):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        slicer.util.updateVolumeFromArray(node, np.zeros((len(Z), 4, 4), np.int16))
        node.SetIJKToRASMatrix(
            slicer.util.vtkMatrixFromArray(
                np.array([[-9.0, 0, 0, 20], [0, -9, 0, 20], [0, 0, 5, Z[0] + shift], [0, 0, 0, 1]])
            )
        )
        location_nodes.storeLocation(node, fake_location(Z + shift, -Z))
        volumes.append(node)
        locations.append(location_nodes.locationOf(node))
    return (*volumes, matching.match(*locations))


def nodes_of(scene) -> set[str]:
    return {scene.GetNthNode(number).GetID() for number in range(scene.GetNumberOfNodes())}


def test_a_match_is_found_again_as_it_was(pair):
    from CTSliceLocalizerPanel import match_nodes

    one, two, match = pair
    assert match_nodes.matchOf(one, two) is None
    match_nodes.storeMatch(one, two, match, refined=False)
    kept = match_nodes.matchOf(one, two)
    for name in vars(match.line):
        np.testing.assert_array_equal(getattr(kept.line, name), getattr(match.line, name))
    assert kept.flags == match.flags
    assert [pair.followup_z_mm for pair in kept.pairs] == [
        None if pair.followup_z_mm is None else pytest.approx(pair.followup_z_mm, abs=1e-3) for pair in match.pairs
    ]
    assert kept.at([-300.0]).pairs[0].followup_z_mm == pytest.approx(100.0, abs=1.0)
    assert match_nodes.matchOf(two, one) is None
    assert not match_nodes.isRefined(one, two)


def test_the_table_says_what_people_need(pair):
    from CTSliceLocalizerPanel import match_nodes

    one, two, match = pair
    match_nodes.storeMatch(one, two, match, refined=True)
    table = match_nodes.tableNode(one, two)
    assert table.GetName() == "One to Two: matched slices"
    names = [table.GetColumnName(column) for column in range(table.GetNumberOfColumns())]
    assert names == [
        "baseline slice",
        "baseline z (mm)",
        "follow-up slice",
        "follow-up z (mm)",
        "+- (mm)",
        "found by",
    ]
    assert table.GetNumberOfRows() == len(Z)
    assert float(table.GetCellText(10, 3)) == pytest.approx(Z[10] + 400, abs=1.0)


def test_a_new_match_takes_the_place_of_the_old_one_and_the_correction_stays(pair):
    from CTSliceLocalizerPanel import match_nodes

    one, two, match = pair
    match_nodes.storeMatch(one, two, match, refined=False)
    match_nodes.setOffset(one, two, -7.5)
    before = nodes_of(one.GetScene())
    match_nodes.storeMatch(one, two, match, refined=True)
    assert len(nodes_of(one.GetScene())) == len(before)
    assert match_nodes.offsetOf(one, two) == -7.5
    assert match_nodes.isRefined(one, two)


@pytest.mark.parametrize("change", ["moved", "voxels", "located anew", "text"])
def test_a_match_is_not_believed_after_a_change(pair, change):
    import slicer
    from CTSliceLocalizerPanel import location_nodes, match_nodes

    one, two, match = pair
    match_nodes.storeMatch(one, two, match, refined=False)
    if change == "moved":
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        moved = np.eye(4)
        moved[2, 3] = 30
        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(moved))
        two.SetAndObserveTransformNodeID(transform.GetID())
    elif change == "voxels":
        slicer.util.updateVolumeFromArray(two, np.ones((len(Z), 4, 4), np.int16))
    elif change == "located anew":
        location_nodes.storeLocation(two, fake_location(Z + 400, -Z + 25))
    else:
        match_nodes.dataNode(one, two).SetText("{}")
    assert match_nodes.matchOf(one, two) is None


def test_clear_takes_the_locations_along_that_were_made_for_it(pair):
    from CTSliceLocalizerPanel import location_nodes, match_nodes

    one, two, match = pair
    match_nodes.storeMatch(one, two, match, refined=False, located=[two])
    match_nodes.clearMatch(one, two)
    assert match_nodes.dataNode(one, two) is None
    assert location_nodes.locationOf(one) is not None
    assert location_nodes.locationOf(two) is None


def test_a_volume_of_two_matches_keeps_its_location_for_the_other(pair):
    from CTSliceLocalizerPanel import location_nodes, match_nodes

    one, two, match = pair
    match_nodes.storeMatch(one, two, match, refined=False, located=[one, two])
    match_nodes.storeMatch(two, one, match, refined=False)
    match_nodes.clearMatch(one, two)
    assert location_nodes.locationOf(one) is not None
    assert match_nodes.matchOf(two, one) is not None
    match_nodes.clearMatchesOf(one)
    assert match_nodes.dataNode(two, one) is None


def test_a_removed_volume_takes_its_match_along(pair):
    import slicer
    from CTSliceLocalizerPanel import match_nodes

    one, two, match = pair
    before = nodes_of(one.GetScene())
    match_nodes.storeMatch(one, two, match, refined=False)
    made = nodes_of(one.GetScene()) - before
    slicer.mrmlScene.RemoveNode(two)
    match_nodes.removeOrphans(slicer.mrmlScene)
    assert not made & nodes_of(slicer.mrmlScene)


def test_an_alignment_is_kept_until_the_correction_changes(pair):
    from CTSliceLocalizerPanel import match_nodes

    one, two, match = pair
    match_nodes.storeMatch(one, two, match, refined=False)
    assert match_nodes.alignmentOf(one, two) is None
    matrix = np.eye(4)
    matrix[:3, 3] = (1.5, -2.25, 400.125)
    match_nodes.setAlignment(one, two, Alignment(matrix, "centres", 15.0, float("nan")))
    kept = match_nodes.alignmentOf(one, two)
    np.testing.assert_array_equal(kept.matrix, matrix)
    assert kept.method == "centres"
    assert np.isnan(kept.correlation)
    match_nodes.setOffset(one, two, 1.0)
    assert match_nodes.alignmentOf(one, two) is None


def test_without_a_match_there_is_no_correction(pair):
    from CTSliceLocalizerPanel import match_nodes
    from CTVolumeLib.errors import CTError

    one, two, _match = pair
    assert match_nodes.offsetOf(one, two) == 0.0
    assert match_nodes.offsetOf(None, two) == 0.0
    with pytest.raises(CTError, match="not matched yet"):
        match_nodes.setOffset(one, two, 3.0)

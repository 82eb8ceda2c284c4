"""Worklists: series of folders and of the DICOM database, one in the scene at a time."""

from __future__ import annotations

import json

import pytest
import support_mrml as mrml
from CTVolumeLib.errors import CTError
from support_annotate import chest, write_series, write_tree


@pytest.fixture
def logic(slicer_app):
    return slicer_app.load("CTSliceLocalizer").logic


def landmark_heights() -> dict[str, float]:
    return {name: chest().landmarks[name] for name in ("T1", "Aortic arch", "Bifurcation of trachea", "T12", "L1")}


def ids_without_series(scene) -> set[str]:
    """Nodes that a volume brings along; the scene's furniture stays."""
    return {
        scene.GetNthNode(number).GetID()
        for number in range(scene.GetNumberOfNodes())
        if scene.GetNthNode(number).IsA("vtkMRMLDisplayableNode")
    }


class TestFolder:
    def test_series_and_volume_files_in_order(self, logic, tmp_path):
        write_tree(tmp_path, 2)
        write_volume_file(tmp_path / "more" / "chest.nrrd")
        found = logic.listSeries(tmp_path)
        assert [one.title.split(":")[0] for one in found.series] == ["series0", "series1", "more/chest.nrrd"]
        assert found.series[0].source.seriesUid != found.series[1].source.seriesUid

    def test_nothing_there_is_said(self, logic, tmp_path):
        (tmp_path / "notes.txt").write_text("no scan")
        with pytest.raises(CTError, match="There is no CT"):
            logic.listSeries(tmp_path)
        with pytest.raises(CTError, match="There is no folder"):
            logic.listSeries(tmp_path / "missing")

    def test_cancel_leaves_the_list_as_it_was(self, logic, tmp_path):
        write_tree(tmp_path, 2)
        before = logic.listSeries(tmp_path)
        with pytest.raises(CTError) as error:
            logic.listSeries(tmp_path, progress=lambda *_: False)
        assert error.value.code == "cancelled"
        assert logic.worklist is before

    def test_one_series_is_in_the_scene_at_a_time(self, slicer_app, logic, tmp_path):
        logic.listSeries(write_tree(tmp_path))
        before = ids_without_series(slicer_app.scene)
        first = logic.nextSeries()
        logic.labelSlice(first, "T1", zMm=landmark_heights()["T1"])
        logic.labelSlice(first, "L1", zMm=landmark_heights()["L1"])
        second = logic.nextSeries()
        assert slicer_app.scene.GetNodesByClass("vtkMRMLScalarVolumeNode").GetNumberOfItems() == 1
        assert ids_without_series(slicer_app.scene) - before == {second.GetID()}
        assert logic.getParameterNode().annotateVolume is second
        assert logic.seriesCounts() == (2, 0, 0)
        assert logic.labelling(logic.previousSeries()).count == 2

    def test_the_end_of_the_list_is_said(self, logic, tmp_path):
        logic.listSeries(write_tree(tmp_path, 1))
        logic.nextSeries()
        with pytest.raises(CTError, match="no further series"):
            logic.nextSeries()
        with pytest.raises(CTError, match="no further series"):
            logic.previousSeries()
        assert logic.worklist.current == 0

    def test_the_first_that_is_not_labelled_comes_first(self, logic, tmp_path):
        write_tree(tmp_path)
        logic.listSeries(tmp_path)
        node = logic.openSeries(0)
        for name in ("T1", "L1"):
            logic.labelSlice(node, name, zMm=landmark_heights()[name])
        logic.listSeries(tmp_path)
        logic.openNextUnlabelled()
        assert logic.worklist.current == 1

    def test_a_series_that_can_not_be_read_leaves_the_one_before(self, slicer_app, logic, tmp_path):
        logic.listSeries(write_tree(tmp_path, 2))
        first = logic.nextSeries()
        for file in (tmp_path / "series1").iterdir():
            file.unlink()
        before = mrml.node_ids(slicer_app.scene)
        with pytest.raises(CTError):
            logic.nextSeries()
        assert logic.worklist.current == 0
        assert mrml.node_ids(slicer_app.scene) == before
        assert slicer_app.scene.IsNodePresent(first)

    def test_labels_that_are_on_no_disk_keep_their_series(self, logic, tmp_path, monkeypatch):
        from CTSliceLocalizerLib import annotations

        logic.listSeries(write_tree(tmp_path, 2))
        node = logic.nextSeries()

        def refuse(path, labels):
            raise CTError("cannot_write", "The disk is full.")

        monkeypatch.setattr(annotations, "write_labels", refuse)
        assert "The disk is full" in logic.labelSlice(node, "T1", zMm=landmark_heights()["T1"]).problem
        with pytest.raises(CTError, match="not saved"):
            logic.nextSeries()
        assert logic.labelling(node).count == 1
        monkeypatch.undo()
        logic.saveLabels(node)
        assert logic.nextSeries() is not None

    def test_the_series_goes_with_its_locations(self, slicer_app, logic, tmp_path):
        from CTSliceLocalizerLib.results import Flag, refusal
        from CTSliceLocalizerPanel import location_nodes

        logic.listSeries(write_tree(tmp_path, 1))
        before = ids_without_series(slicer_app.scene)
        node = logic.nextSeries()
        location_nodes.storeLocation(node, refusal(Flag("test", "A test."), series={"source": "x"}))
        logic.worklist.close()
        assert ids_without_series(slicer_app.scene) == before
        assert slicer_app.scene.GetNodesByClass("vtkMRMLTextNode").GetNumberOfItems() == 0


class TestRoundTrip:
    def test_labels_give_the_locations_of_the_truth(self, logic, tmp_path):
        """From keys to the ground truth file: every slice of the phantom is placed where its landmarks say."""
        from CTSliceLocalizerLib import groundtruth, normalizing

        write_tree(tmp_path, 1)
        logic.listSeries(tmp_path)
        node = logic.nextSeries()
        for name, height in landmark_heights().items():
            logic.labelSlice(node, name, zMm=height)
        found = normalizing.normalize(tmp_path)
        assert found.problems == []
        z = chest().volume.superior()
        truth = groundtruth.locations(z, landmark_heights())
        count = len(z)
        for k, wanted in enumerate(truth):
            # Labels lie on slices 6 mm apart; .01 of the scale is 3 to 12 mm.
            assert found.locations[f"series0/IM{count - k:04d}.dcm"] == pytest.approx(wanted, abs=0.012)

    def test_labels_of_a_shuffled_series_name_its_files(self, logic, tmp_path):
        from CTSliceLocalizerLib import normalizing

        write_series(tmp_path / "s", shuffle=True)
        logic.listSeries(tmp_path)
        node = logic.nextSeries()
        for name, height in landmark_heights().items():
            logic.labelSlice(node, name, zMm=height)
        (series,) = list(normalizing.labelled_series(tmp_path))
        assert series.problems == ()
        for name, height in landmark_heights().items():
            assert series.z_mm[name] == pytest.approx(height, abs=3.01)

    def test_two_series_in_one_folder(self, logic, tmp_path):
        from CTSliceLocalizerLib import normalizing

        write_series(tmp_path / "a", 1)
        write_series(tmp_path / "b", 2)
        both = tmp_path / "both"
        both.mkdir()
        for name in ("a", "b"):
            for file in (tmp_path / name).iterdir():
                file.rename(both / f"{name}{file.name}")
            (tmp_path / name).rmdir()
        logic.listSeries(tmp_path)
        for number, shift in enumerate((0.0, 6.0)):
            node = logic.openSeries(number)
            for name, height in landmark_heights().items():
                logic.labelSlice(node, name, zMm=height + shift)
        found = list(normalizing.labelled_series(tmp_path))
        assert len(found) == 2
        assert all(series.problems == () for series in found)
        assert {path.name for path in both.glob("*.json")} == {f"{series.uid}.labels.json" for series in found}

    def test_a_chosen_folder_is_found_by_normalize(self, logic, tmp_path):
        from CTSliceLocalizerLib import normalizing

        write_tree(tmp_path / "tree", 1)
        logic.setLabelsFolder(tmp_path / "labels")
        logic.listSeries(tmp_path / "tree")
        node = logic.nextSeries()
        for name, height in landmark_heights().items():
            logic.labelSlice(node, name, zMm=height)
        assert not list((tmp_path / "tree").rglob("*.json"))
        found = normalizing.normalize(tmp_path / "tree", tmp_path / "labels")
        assert len(found.used) == 1
        assert found.problems == []

    def test_gantry_tilt(self, logic, tmp_path):
        """Under an acquisition transform the labels lie on the slices' true centres."""
        from dataclasses import replace

        import numpy as np
        from CTVolumeLib import phantom_dicom

        volume = chest().volume
        origins = volume.origins() + np.arange(len(volume.array))[:, None] * [0.0, 1.5, 0.0]
        phantom_dicom.write_dicom(replace(volume, slice_origins=origins), tmp_path / "tilted")
        logic.listSeries(tmp_path)
        node = logic.nextSeries()
        assert node.GetParentTransformNode() is not None
        found = logic.labelSlice(node, "T12", zMm=landmark_heights()["T12"])
        height = found.row("T12").zMm
        k = int(np.abs(volume.superior() - landmark_heights()["T12"]).argmin())
        assert height == pytest.approx(volume.superior()[k], abs=0.01)
        point = [0.0, 0.0, 0.0]
        node.GetNodeReference("CTSliceLocalizer.labels").GetNthControlPointPositionWorld(0, point)
        middle = origins[k] + volume.axes()[:, :2] @ (
            np.array(volume.spacing[:2]) * (np.array(volume.array.shape[:0:-1]) - 1) / 2
        )
        assert point == pytest.approx(middle * [-1, -1, 1], abs=0.05)
        assert json.loads(found.saved.read_text()) == {"T12": f"IM{len(origins) - k:04d}.dcm"}


class TestVolumeFile:
    def test_labels_lie_beside_it_and_come_back(self, logic, tmp_path):
        write_volume_file(tmp_path / "chest.nrrd")
        logic.listSeries(tmp_path)
        found = logic.labelSlice(logic.nextSeries(), "T12", zMm=landmark_heights()["T12"])
        assert found.saved == tmp_path / "chest.labels.json"
        logic.listSeries(tmp_path)
        assert logic.seriesCounts() == (1,)
        assert logic.labelling(logic.nextSeries()).row("T12").position == found.row("T12").position


class TestDatabase:
    def test_series_of_the_database(self, logic, tmp_path):
        from DICOMLib import DICOMUtils

        write_tree(tmp_path, 2)
        DICOMUtils.importDicom(str(tmp_path))
        found = logic.listSeries()
        assert len(found.series) == 2
        assert all("PHANTOM" not in one.title for one in found.series), "no patient in the list"
        node = logic.nextSeries()
        saved = logic.labelSlice(node, "T12", zMm=landmark_heights()["T12"]).saved
        assert saved in (tmp_path / "series0" / "labels.json", tmp_path / "series1" / "labels.json")
        assert next(iter(json.loads(saved.read_text()).values())).startswith("IM")
        logic.nextSeries()
        assert sum(logic.seriesCounts()) == 1

    def test_an_empty_database_is_said(self, logic):
        with pytest.raises(CTError, match="no CT in Slicer's DICOM database"):
            logic.listSeries()

    def test_a_closed_database_is_said(self, logic):
        import slicer

        slicer.dicomDatabase.isOpen = False
        with pytest.raises(CTError, match="not open"):
            logic.listSeries()


def write_volume_file(path) -> None:
    """The chest as a NRRD file."""
    import SimpleITK as sitk

    volume = chest().volume
    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(volume.spacing)
    image.SetOrigin(volume.origin)
    image.SetDirection(volume.direction)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


def test_the_self_test_of_the_module(slicer_app):
    test = slicer_app.load("CTSliceLocalizer").file.CTSliceLocalizerTest()
    for name in ("test_annotate", "test_annotate_worklist"):
        test.setUp()
        getattr(test, name)()

"""Labels of one series: sessions, their files on disk, and their nodes on a real MRML scene."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import support_mrml as mrml
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume

COUNT = 40
STEP = 12.5
C1, C7, T1 = 30, 22, 21
"""Positions that are in order, and about as far apart as in a person."""


@pytest.fixture
def panel(world):
    """The panel's files under test; they need slicer, so they are imported here."""
    from types import SimpleNamespace

    from CTSliceLocalizerPanel import annotating, label_files, label_nodes, label_session

    return SimpleNamespace(
        annotating=annotating, files=label_files, nodes=label_nodes, session=label_session, scene=world.scene
    )


def slices(panel, files=None):
    return panel.session.SeriesSlices(
        zMm=tuple(STEP * position for position in range(COUNT)),
        index=tuple(range(COUNT)),
        files=tuple(files or (f"{position + 1}.dcm" for position in range(COUNT))),
        numbers=tuple(str(500 + position) for position in range(COUNT)),
    )


def session(panel, **labels):
    return panel.session.LabelSession(slices(panel), labels)


def volume_node(folder: Path | None = None, name: str = "CT", matrix: np.ndarray | None = None):
    """A node of 40 slices; with a folder, each slice has a file there."""
    import slicer.util

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, np.zeros((COUNT, 6, 8), np.int16))
    node.SetIJKToRASMatrix(
        slicer.util.vtkMatrixFromArray(np.diag([-2.0, -2.0, STEP, 1.0]) if matrix is None else matrix)
    )
    if folder is not None:
        files = [folder / f"{k + 1}.dcm" for k in range(COUNT)]
        for file in files:
            file.write_bytes(b"slice")
        node.SetAttribute("CTSliceLocalizer.sliceFiles", json.dumps([str(file) for file in files]))
    return node


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "series"
    folder.mkdir()
    return folder


@pytest.fixture
def annotations(panel, tmp_path):
    return panel.annotating.Annotations(tmp_path / "spare")


class TestSession:
    def test_label_move_remove(self, panel):
        work = session(panel)
        assert work.label("2", C1)
        assert work.label("C7", C7)
        assert work.labels == {"C1": C1, "C7": C7}
        assert work.label("2", C1 + 1)
        assert work.labels == {"C1": C1 + 1, "C7": C7}
        assert not work.label("2", C1 + 1)
        assert work.remove("3")
        assert not work.remove("3")
        assert work.labels == {"C1": C1 + 1}

    def test_undo_and_redo_each_step(self, panel):
        work = session(panel)
        steps = [dict(work.labels)]
        for key, position in (("2", C1), ("3", C7), ("2", C1 + 2), ("4", T1)):
            work.label(key, position)
            steps.append(dict(work.labels))
        work.remove("3")
        steps.append(dict(work.labels))
        for step in steps[-2::-1]:
            assert work.undo()
            assert work.labels == step
        assert not work.undo()
        for step in steps[1:]:
            assert work.redo()
            assert work.labels == step
        assert not work.redo()
        work.undo()
        work.label("5", 3)
        assert not work.canRedo

    @pytest.mark.parametrize(("landmark", "position"), [("x", 3), ("Knee", 3), ("2", COUNT), ("2", -1)])
    def test_what_does_not_exist_is_refused(self, panel, landmark, position):
        work = session(panel)
        with pytest.raises(CTError):
            work.label(landmark, position)
        assert work.labels == {}
        assert not work.canUndo

    def test_all_keys_of_the_design(self, panel):
        from CTSliceLocalizerLib.landmarks import NAMES

        work = session(panel)
        for position, key in enumerate("`1234567890-"):
            work.label(key, position)
        assert tuple(work.labels) == NAMES
        assert [row.key for row in work.rows()] == list("`1234567890-")

    def test_contradictions_are_found(self, panel):
        assert session(panel, C1=C1, C7=C7).contradictions() == []
        (found,) = session(panel, C1=C7, C7=C1, T1=2).contradictions()[:1]
        assert found.landmarks == ("C1", "C7")
        assert "has to be below" in found.text

    def test_rows_show_the_proposal_only_without_a_label(self, panel):
        work = session(panel, C1=C1)
        work.proposals = {name: panel.session.Proposal(7, 87.5, 4.0) for name in ("C1", "C7")}
        rows = {row.name: row for row in work.rows()}
        assert rows["C1"].proposal is None
        assert rows["C1"].zMm == C1 * STEP
        assert rows["C1"].file == f"{C1 + 1}.dcm"
        assert rows["C7"].proposal.position == 7
        assert rows["C7"].position is None

    def test_names_of_slices(self, panel):
        names = panel.session.sliceNames
        assert names(("/a/1.dcm", "C:\\b\\2.dcm"), (0, 1), "scan") == ("1.dcm", "2.dcm")
        assert names((), (1, 0), "chest.nii.gz") == ("chest.nii.gz#1", "chest.nii.gz#0")
        assert names(("/a/all.dcm", "/a/all.dcm"), (0, 1), "x") == ("all.dcm#0", "all.dcm#1")

    def test_a_label_names_a_file_or_an_instance_number(self, panel):
        found = slices(panel)
        assert found.positionOf("1.dcm") == 0
        assert found.positionOf("503.dcm") == 3
        assert found.positionOf("777.dcm") is None


class TestFiles:
    def place(self, panel, folder, **more):
        source = {"files": (), "volumeFile": "", "seriesUid": "", "name": "CT"} | more
        return panel.files.placeOf(panel.files.Source(**source), str(folder) if folder else "")

    def test_where_labels_lie(self, panel, folder, tmp_path):
        files = tuple(str(folder / name) for name in ("1.dcm", "2.dcm"))
        for file in files:
            Path(file).touch()
        assert self.place(panel, "", files=files) == folder / "labels.json"
        (folder / "notes.txt").touch()
        (folder / "labels.json").touch()
        assert self.place(panel, "", files=files) == folder / "labels.json"
        (folder / "other series.dcm").touch()
        assert self.place(panel, "", files=files, seriesUid="1.2") == folder / "1.2.labels.json"
        assert self.place(panel, "", volumeFile=str(folder / "a.nii.gz")) == folder / "a.labels.json"
        assert self.place(panel, "") is None
        assert self.place(panel, tmp_path, seriesUid="1.2") == tmp_path / "1.2" / "labels.json"

    def test_files_of_the_same_name_have_labels_of_their_own(self, panel, tmp_path):
        places = set()
        for case in ("case_1", "case_2"):
            (tmp_path / case).mkdir()
            (tmp_path / case / "imaging.nii.gz").write_text(f"voxels of {case}")
            found = self.place(panel, tmp_path / "labels", volumeFile=str(tmp_path / case / "imaging.nii.gz"))
            assert found.parent.name.startswith("imaging-")
            places.add(found)
        assert len(places) == 2
        (tmp_path / "case_1").rename(tmp_path / "elsewhere")
        moved = self.place(panel, tmp_path / "labels", volumeFile=str(tmp_path / "elsewhere" / "imaging.nii.gz"))
        assert moved in places

    def test_a_zip_has_its_labels_beside_it(self, panel, folder):
        (folder / "scans.zip").touch()
        found = self.place(panel, "", files=(str(folder / "scans.zip" / "in" / "1.dcm"),), seriesUid="1.2")
        assert found == folder / "1.2.labels.json"

    def test_bytes_are_those_of_json_dump(self, panel, folder):
        panel.files.write(session(panel, C1=68, C7=3) if COUNT > 68 else session(panel, C1=8, C7=3), folder / "l.json")
        assert (folder / "l.json").read_bytes() == b'{"C1": "9.dcm", "C7": "4.dcm"}'

    def test_other_keys_and_their_order_stay(self, panel, folder):
        path = folder / "labels.json"
        path.write_text('{\n  "reader": "me",\n  "C7": "2.dcm",\n  "Knee": "1.dcm"\n}\n')
        panel.files.write(session(panel, C1=8), path)
        assert path.read_text() == '{\n  "reader": "me",\n  "Knee": "1.dcm",\n  "C1": "9.dcm"\n}\n'

    def test_labels_of_another_series_are_not_overwritten(self, panel, folder):
        path = folder / "labels.json"
        path.write_text('{"C1": "IM0009"}')
        with pytest.raises(CTError, match="IM0009 is no slice of this series"):
            panel.files.write(session(panel, C1=8), path)
        saved = panel.files.save(session(panel, C1=8), path, folder / "spare" / "labels.json")
        assert path.read_text() == '{"C1": "IM0009"}'
        assert saved.path == folder / "spare" / "labels.json"
        assert "Choose a folder" in saved.problem

    def test_nothing_is_written_before_the_first_label(self, panel, folder):
        assert panel.files.save(session(panel), folder / "labels.json", folder / "s.json").path is None
        assert list(folder.iterdir()) == []


class TestAnnotations:
    def test_every_change_is_on_disk_when_it_returns(self, panel, annotations, folder):
        node = volume_node(folder)
        path = folder / "labels.json"
        annotations.labelSlice(node, "2", zMm=C1 * STEP)
        assert json.loads(path.read_text()) == {"C1": f"{C1 + 1}.dcm"}
        annotations.labelSlice(node, "2", zMm=C1 * STEP + STEP)
        assert json.loads(path.read_text()) == {"C1": f"{C1 + 2}.dcm"}
        annotations.undo(node)
        assert json.loads(path.read_text()) == {"C1": f"{C1 + 1}.dcm"}
        annotations.removeLabel(node, "C1")
        assert json.loads(path.read_text()) == {}
        found = annotations.undo(node)
        assert json.loads(path.read_text()) == {"C1": f"{C1 + 1}.dcm"}
        assert found.saved == path
        assert found.count == 1
        assert found.problem == ""

    def test_labels_come_back_after_the_scene_is_closed(self, panel, annotations, folder):
        annotations.labelSlice(volume_node(folder), "2", zMm=C1 * STEP)
        panel.scene.Clear(0)
        found = annotations.labelling(volume_node(folder))
        assert found.row("C1").position == C1
        assert "1 labels found" in found.notice

    def test_points_in_the_scene_follow_the_labels(self, panel, annotations, folder):
        node = volume_node(folder)
        before = mrml.node_ids(panel.scene)
        annotations.labelSlice(node, "2", zMm=C1 * STEP)
        annotations.labelSlice(node, "3", zMm=C7 * STEP)
        points = panel.nodes.labelsNode(node)
        assert [points.GetNthControlPointLabel(n) for n in range(2)] == ["C1", "C7"]
        place = [0.0, 0.0, 0.0]
        points.GetNthControlPointPositionWorld(0, place)
        assert place == pytest.approx([-2.0 * 3.5, -2.0 * 2.5, C1 * STEP])
        annotations.removeLabel(node, "C1")
        annotations.removeLabel(node, "C7")
        assert panel.nodes.labelsNode(node) is None
        singletons = {identifier for identifier in mrml.node_ids(panel.scene) - before if "Subject" in identifier}
        assert mrml.node_ids(panel.scene) - before <= singletons

    def test_a_saved_scene_brings_unsaved_labels_back(self, panel, annotations, tmp_path):
        node = volume_node()
        (tmp_path / "spare").write_text("in the way: nothing can be saved")
        found = annotations.labelSlice(node, "2", zMm=C1 * STEP)
        assert found.saved is None
        assert "in the scene only" in found.problem
        other = panel.annotating.Annotations(tmp_path / "other spare")
        assert other.labelling(node).row("C1").position == C1

    def test_a_read_only_folder_loses_nothing(self, panel, annotations, folder, tmp_path, monkeypatch):
        from CTSliceLocalizerLib import annotations as formats

        node, write = volume_node(folder), formats.write_labels

        def refuse(path, labels):
            if Path(path).parent == folder:
                raise CTError("cannot_write", "labels.json could not be written to series: Permission denied.")
            write(path, labels)

        monkeypatch.setattr(formats, "write_labels", refuse)
        found = annotations.labelSlice(node, "2", zMm=C1 * STEP)
        assert "Permission denied" in found.problem
        assert "Choose a folder for labels" in found.problem
        assert json.loads(found.saved.read_text()) == {"C1": f"{C1 + 1}.dcm"}
        panel.scene.Clear(0)
        node = volume_node(folder)
        assert annotations.labelling(node).row("C1").position == C1
        monkeypatch.undo()
        found = annotations.labelSlice(node, "3", zMm=C7 * STEP)
        assert found.problem == ""
        assert found.saved == folder / "labels.json"
        assert set(json.loads(found.saved.read_text())) == {"C1", "C7"}
        assert not list((tmp_path / "spare").glob("*/labels.json"))

    def test_a_chosen_folder_takes_over(self, panel, annotations, folder, tmp_path):
        node = volume_node(folder)
        annotations.labelSlice(node, "2", zMm=C1 * STEP)
        annotations.folder = lambda: str(tmp_path / "labels")
        found = annotations.labelling(node)
        assert found.saved == next((tmp_path / "labels").glob("CT-*/labels.json"))
        assert found.saved.exists()

    def test_labels_in_a_chosen_folder_are_not_overwritten_without_undo(self, panel, annotations, folder, tmp_path):
        node = volume_node(folder)
        annotations.labelSlice(node, "2", zMm=C1 * STEP)
        path = panel.files.placeOf(panel.nodes.sourceOf(node), str(tmp_path / "labels"))
        path.parent.mkdir(parents=True)
        path.write_text('{"T1": "3.dcm"}')
        annotations.folder = lambda: str(tmp_path / "labels")
        found = annotations.labelling(node)
        assert found.row("T1").position == 2
        assert found.row("C1").position is None
        assert annotations.undo(node).row("C1").position == C1

    def test_the_file_counts_where_the_scene_is_older(self, panel, annotations, folder, tmp_path):
        node = volume_node(folder)
        annotations.labelSlice(node, "2", zMm=C1 * STEP)
        (folder / "labels.json").write_text('{"C1": "5.dcm"}')
        later = panel.annotating.Annotations(tmp_path / "spare")
        assert later.labelling(node).row("C1").position == 4

    def test_labels_of_two_who_label_the_same_series_are_all_kept(self, panel, annotations, folder, tmp_path):
        other = panel.annotating.Annotations(tmp_path / "spare")
        mine, theirs = volume_node(folder), volume_node(folder)
        annotations.labelSlice(mine, "2", zMm=C1 * STEP)
        other.labelling(theirs)
        annotations.labelSlice(mine, "3", zMm=C7 * STEP)
        found = other.labelSlice(theirs, "4", zMm=T1 * STEP)
        assert set(json.loads((folder / "labels.json").read_text())) == {"C1", "C7", "T1"}
        assert found.row("C7").position == C7
        assert "changed elsewhere" in found.notice
        annotations.removeLabel(mine, "C1")
        assert set(json.loads((folder / "labels.json").read_text())) == {"C7", "T1"}

    def test_a_volume_file_names_slices_by_their_index(self, panel, annotations, tmp_path):
        node = volume_node(name="scan")
        node.SetAttribute("CTSliceLocalizer.volumeFile", str(tmp_path / "chest.nii.gz"))
        found = annotations.labelSlice(node, "2", zMm=C1 * STEP)
        assert found.saved == tmp_path / "chest.labels.json"
        assert json.loads(found.saved.read_text()) == {"C1": f"chest.nii.gz#{C1}"}

    def test_markups_round_trip(self, panel, annotations, folder, tmp_path):
        node = volume_node(folder)
        annotations.labelSlice(node, "2", zMm=C1 * STEP)
        annotations.labelSlice(node, "3", zMm=C7 * STEP)
        annotations.save(node, tmp_path / "points.mrk.json")
        annotations.removeLabel(node, "C1")
        found = annotations.load(node, tmp_path / "points.mrk.json")
        assert (found.row("C1").position, found.row("C7").position) == (C1, C7)
        assert annotations.undo(node).row("C1").position is None

    def test_markups_of_a_scan_that_lies_askew(self, panel, annotations, tmp_path):
        matrix = np.diag([-2.0, -2.0, STEP, 1.0])
        angle = np.radians(30)
        turn = np.eye(4)
        turn[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        matrix[:3, 3] = (150, 90, -20)
        node = volume_node(matrix=turn @ matrix)
        annotations.labelSlice(node, "2", zMm=panel.nodes.slicesOf(node, panel.nodes.sourceOf(node)).zMm[C1])
        annotations.save(node, tmp_path / "points.mrk.json")
        annotations.removeLabel(node, "2")
        assert annotations.load(node, tmp_path / "points.mrk.json").row("C1").position == C1

    def test_markups_of_another_scan_are_refused(self, panel, annotations, folder, tmp_path):
        node = volume_node(folder)
        annotations.labelSlice(node, "2", zMm=C1 * STEP)
        annotations.save(node, tmp_path / "points.mrk.json")
        far = np.diag([-2.0, -2.0, STEP, 1.0])
        far[2, 3] = 5000
        with pytest.raises(CTError, match=r"No point of points.mrk.json lies in this scan"):
            annotations.load(volume_node(matrix=far), tmp_path / "points.mrk.json")

    def test_nothing_to_remove_is_said(self, annotations, folder):
        with pytest.raises(CTError, match="C1 has no label"):
            annotations.removeLabel(volume_node(folder), "2")

    def test_no_volume_is_said(self, annotations):
        with pytest.raises(CTError, match="No volume is chosen"):
            annotations.labelling(None)

    def test_a_kill_loses_at_most_the_key_that_was_pressed_last(self, panel, folder, tmp_path):
        """A process that labels again and again is killed while it writes: the file is whole, and not older."""
        script = (
            "import sys; from pathlib import Path; from CTSliceLocalizerPanel import label_files\n"
            "from CTSliceLocalizerPanel.label_session import LabelSession, SeriesSlices\n"
            "n = 100000; s = SeriesSlices(tuple(range(n)), tuple(range(n)), tuple(f'{k}.dcm' for k in range(n)))\n"
            "work = LabelSession(s)\n"
            "for k in range(n):\n"
            "    work.label('2', k); label_files.write(work, Path(sys.argv[1])); print(k, flush=True)\n"
        )
        root = Path(__file__).parents[2]
        path = os.pathsep.join(str(root / name) for name in ("CTSliceLocalizer", "CTVolume"))
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(folder / "labels.json")],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        for line in child.stdout:
            if int(line) >= 20:
                child.kill()
                break
        seen = [int(line), *(int(rest) for rest in child.stdout.read().split())][-1]
        child.wait()
        child.stdout.close()
        on_disk = json.loads((folder / "labels.json").read_text())
        assert int(on_disk["C1"].split(".")[0]) in (seen, seen + 1)


def axis_orders() -> list[np.ndarray]:
    """The 48 ways in which axes can be stored, as (3, 3) directions RAS."""
    found = []
    for order in permutations(range(3)):
        for signs in product((-1.0, 1.0), repeat=3):
            directions = np.zeros((3, 3))
            for axis, world in enumerate(order):
                directions[world, axis] = signs[axis]
            found.append(directions)
    return found


def body_volume() -> CTVolume:
    """10 x 12 x 40 voxels in axial order."""
    array = np.arange(COUNT * 12 * 10, dtype=np.int16).reshape(COUNT, 12, 10)
    return CTVolume(array=array, spacing=(3.0, 2.0, STEP), origin=(-5.0, 4.0, 100.0))


class TestAnyGeometry:
    def node(self, directions: np.ndarray):
        """The same body stored with other axes."""
        import slicer.util

        volume = body_volume()
        order = [int(np.abs(directions[:, axis]).argmax()) for axis in range(3)]
        signs = [directions[order[axis], axis] for axis in range(3)]
        # array axes are k, j, i; the body's L, P, S are i, j, k, and R = -L, A = -P.
        world = np.array([-1.0, -1.0, 1.0])
        array = volume.array.transpose([2 - order[axis] for axis in (2, 1, 0)])
        flips = [2 - axis for axis in range(3) if signs[axis] * world[order[axis]] < 0]
        array = np.flip(array, flips)
        spacing = np.array(volume.spacing)[order]
        matrix = np.eye(4)
        matrix[:3, :3] = directions * spacing
        corner = np.array(volume.origin) * world
        for axis in range(3):
            if signs[axis] * world[order[axis]] < 0:
                extent = (array.shape[2 - axis] - 1) * spacing[axis]
                corner[order[axis]] += world[order[axis]] * extent
        matrix[:3, 3] = corner
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
        slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(array))
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
        return node

    def test_all_axis_orders_give_the_same_places(self, panel, annotations):
        wanted = body_volume().superior()
        for directions in axis_orders():
            node = self.node(directions)
            found = annotations.labelSlice(node, "2", zMm=float(wanted[C1]))
            assert found.row("C1").zMm == pytest.approx(wanted[C1], abs=1e-6)
            place = [0.0, 0.0, 0.0]
            panel.nodes.labelsNode(node).GetNthControlPointPositionWorld(0, place)
            assert place == pytest.approx([-8.5, -15.0, wanted[C1]], abs=1e-6)
            panel.scene.RemoveNode(panel.nodes.labelsNode(node))
            panel.scene.RemoveNode(node)
            annotations.forget()

    def test_the_shown_slice_in_all_axis_orders(self, panel, annotations):
        """A view that goes to a slice shows it, and a key labels it, however the axes are stored."""
        import slicer

        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(panel.scene, True)
        view = panel.scene.AddNewNodeByClass("vtkMRMLSliceNode", "Red")
        composite = panel.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
        for node in (view, composite):
            node.SetLayoutName("Red")
        view.SetOrientation("Axial")
        for directions in axis_orders():
            node = self.node(directions)
            composite.SetBackgroundVolumeID(node.GetID())
            for position in (0, C1, COUNT - 1):
                point = panel.nodes.goToSlice(node, position)
                assert point[2] == pytest.approx(body_volume().superior()[position])
                assert panel.nodes.shownSlice(node) == position
            assert annotations.labelSlice(node, "2").row("C1").position == COUNT - 1
            annotations.removeLabel(node)
            panel.scene.RemoveNode(node)
            annotations.forget()

    def test_labels_follow_a_volume_that_is_moved(self, panel, annotations, folder):
        import slicer
        import slicer.util

        node = volume_node(folder)
        annotations.labelSlice(node, "2", zMm=C1 * STEP)
        matrix = np.eye(4)
        matrix[:3, 3] = (10, 20, 300)
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
        node.SetAndObserveTransformNodeID(transform.GetID())
        found = annotations.labelling(node)
        assert found.row("C1").position == C1
        assert found.row("C1").zMm == pytest.approx(C1 * STEP + 300)
        place = [0.0, 0.0, 0.0]
        panel.nodes.labelsNode(node).GetNthControlPointPositionWorld(0, place)
        assert place[2] == pytest.approx(C1 * STEP + 300)
        matrix[2, 3] = 20
        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
        assert annotations.labelling(node).row("C1").zMm == pytest.approx(C1 * STEP + 20)
        above = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        above.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
        transform.SetAndObserveTransformNodeID(above.GetID())
        assert annotations.labelling(node).row("C1").zMm == pytest.approx(C1 * STEP + 40)

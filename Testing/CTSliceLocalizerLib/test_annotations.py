from __future__ import annotations

import json
from itertools import pairwise

import pytest
from CTSliceLocalizerLib import annotations
from CTSliceLocalizerLib.annotations import Point
from CTSliceLocalizerLib.landmarks import BODY_MM, NAMES
from CTVolumeLib.errors import CTError
from hypothesis import given
from hypothesis import strategies as st

PLAIN = {"C1": "69.dcm", "T1": "90.dcm", "Höhe": ["?", {"a": 1}], "Aortic arch": "1.dcm"}
ADULT = {name: -float(mm) for name, mm in zip(NAMES, BODY_MM)}


class TestLabels:
    def test_bytes_are_those_of_json_dump(self, tmp_path):
        annotations.write_labels(tmp_path / "labels.json", PLAIN)
        assert (tmp_path / "labels.json").read_text() == json.dumps(PLAIN)

    @pytest.mark.parametrize(
        "text", [json.dumps(PLAIN), json.dumps(PLAIN, indent=1), json.dumps(PLAIN, indent=4) + "\n"]
    )
    def test_reading_and_writing_changes_no_byte(self, tmp_path, text):
        path = tmp_path / "labels.json"
        path.write_text(text)
        annotations.write_labels(path, annotations.read_labels(path))
        assert path.read_text() == text

    @given(
        st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text())), st.sampled_from([None, 0, 1, 4])
    )
    def test_any_object_comes_back(self, tmp_path_factory, entries, indent):
        path = tmp_path_factory.mktemp("labels") / "labels.json"
        path.write_text(json.dumps(entries, indent=indent))
        labels = annotations.read_labels(path)
        assert list(labels.entries.items()) == list(entries.items())
        annotations.write_labels(path, labels)
        assert path.read_text() == json.dumps(entries, indent=indent)

    def test_landmarks_are_known_names_from_head_to_feet(self, tmp_path):
        annotations.write_labels(tmp_path / "labels.json", {"T1": "9.dcm", "x": "3.dcm", "C7": 4, "C1": "2.dcm"})
        assert list(annotations.read_labels(tmp_path / "labels.json").landmarks.items()) == [
            ("C1", "2.dcm"),
            ("T1", "9.dcm"),
        ]

    def test_a_label_moves_and_goes(self, tmp_path):
        path = tmp_path / "labels.json"
        annotations.write_labels(path, PLAIN)
        annotations.write_labels(path, annotations.read_labels(path).with_label("C1", "70.dcm").without("T1"))
        assert json.loads(path.read_text()) == {"C1": "70.dcm", "Höhe": PLAIN["Höhe"], "Aortic arch": "1.dcm"}

    def test_lines_and_repeated_keys_are_known(self, tmp_path):
        path = tmp_path / "labels.json"
        path.write_text('{\n "x": {"C1": 1},\n "C1": "1.dcm", "T1": "5.dcm",\n\n "C1": "2.dcm"}', encoding="utf-8-sig")
        labels = annotations.read_labels(path)
        assert labels.landmarks["C1"] == "2.dcm"
        assert labels.lines == {"x": 2, "C1": 5, "T1": 3}
        assert labels.repeated == ("C1",)

    @pytest.mark.parametrize("text", ["", '{\n"C1": 5\n,}', "[1, 2]", '"C1"', "{", "\x00"])
    def test_what_is_no_object_is_refused_with_its_line(self, tmp_path, text):
        (tmp_path / "labels.json").write_text(text)
        with pytest.raises(CTError, match=r"labels.json, line \d+: "):
            annotations.read_labels(tmp_path / "labels.json")

    def test_what_cannot_be_read_is_refused(self, tmp_path):
        (tmp_path / "labels.json").write_bytes(b"\xff\xfe{}")
        for path in (tmp_path / "labels.json", tmp_path / "none.json", tmp_path):
            with pytest.raises(CTError, match="can't be read"):
                annotations.read_labels(path)

    def test_an_empty_file_of_labels_is_fine(self, tmp_path):
        (tmp_path / "labels.json").write_text(" { } ")
        assert annotations.read_labels(tmp_path / "labels.json").landmarks == {}

    def test_what_was_there_stays_where_writing_fails(self, tmp_path, monkeypatch):
        path = tmp_path / "labels.json"
        annotations.write_labels(path, {"C1": "1.dcm"})
        monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
        with pytest.raises(CTError, match="No space left"):
            annotations.write_labels(path, {"C1": "2.dcm"})
        assert [p.name for p in tmp_path.iterdir()] == ["labels.json"]
        assert annotations.read_labels(path).landmarks == {"C1": "1.dcm"}


class TestMarkups:
    POINTS = (Point("C1", (1.1, -2.2, 3.3), "+- 2 mm"), Point("mine", (0.1, 0.2, -1e-3)))

    def test_points_come_back_exactly(self, tmp_path):
        annotations.write_markups(tmp_path / "a.mrk.json", self.POINTS)
        markups = annotations.read_markups(tmp_path / "a.mrk.json")
        assert markups.points == self.POINTS
        assert markups.landmarks == {"C1": self.POINTS[0]}

    def test_ras_files_are_turned_and_stay_ras(self, tmp_path):
        document = {
            "markups": [
                {
                    "type": "Fiducial",
                    "coordinateSystem": "RAS",
                    "display": {"color": [1, 0, 0]},
                    "controlPoints": [
                        {"id": "7", "label": "C1", "position": [1.0, 2.0, 3.0], "associatedNodeID": "v1"},
                        {"id": "8", "label": "C7", "position": [], "positionStatus": "undefined"},
                    ],
                }
            ]
        }
        path = tmp_path / "a.mrk.json"
        path.write_text(json.dumps(document))
        markups = annotations.read_markups(path)
        assert markups.points == (Point("C1", (-1.0, -2.0, 3.0)),)
        annotations.write_markups(path, [*markups.points, Point("T1", (5.0, 6.0, 7.0))], like=markups)
        again = json.loads(path.read_text())["markups"][0]
        assert again["display"] == {"color": [1, 0, 0]}
        assert again["controlPoints"][0]["associatedNodeID"] == "v1"
        assert [point["position"] for point in again["controlPoints"]] == [[1.0, 2.0, 3.0], [-5.0, -6.0, 7.0]]
        assert len({point["id"] for point in again["controlPoints"]}) == 2

    @pytest.mark.parametrize(
        "text", ["", "{}", '{"markups": 5}', '{"markups": [{"controlPoints": [{"position": ["x"]}]}]}']
    )
    def test_other_files_are_refused(self, tmp_path, text):
        (tmp_path / "a.mrk.json").write_text(text)
        with pytest.raises(CTError, match="no markups file"):
            annotations.read_markups(tmp_path / "a.mrk.json")

    def test_slicer_reads_what_is_written(self, tmp_path):
        slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
        annotations.write_markups(tmp_path / "a.mrk.json", self.POINTS)
        scene = slicer.vtkMRMLScene()
        node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
        storage = slicer.vtkMRMLMarkupsJsonStorageNode()
        scene.AddNode(storage)
        storage.SetFileName(str(tmp_path / "a.mrk.json"))
        assert storage.ReadData(node)
        assert [node.GetNthControlPointLabel(n) for n in range(2)] == ["C1", "mine"]
        assert tuple(node.GetNthControlPointPosition(0)) == pytest.approx((-1.1, 2.2, 3.3))  # RAS in nodes
        storage.SetFileName(str(tmp_path / "b.mrk.json"))
        assert storage.WriteData(node)
        back = annotations.read_markups(tmp_path / "b.mrk.json")
        assert [point.label for point in back.points] == ["C1", "mine"]
        assert back.points[0].position == pytest.approx((1.1, -2.2, 3.3))


class TestContradictions:
    def test_an_adult_a_child_and_a_giant_are_fine(self):
        for size in (0.4, 1.0, 1.25):
            assert annotations.order_problems({name: size * z for name, z in ADULT.items()}) == []

    @pytest.mark.parametrize("name", NAMES)
    def test_every_landmark_alone_is_fine(self, name):
        assert annotations.order_problems({name: 5.0}) == []

    def test_c7_above_c1_is_said(self):
        problem, *_ = annotations.contradictions({**ADULT, "C7": ADULT["C1"] + 20})
        assert problem.landmarks == ("C1", "C7")
        assert problem.text == "C7 lies 20 mm above C1; it has to be below."

    def test_every_swap_of_neighbours_is_noticed(self):
        for a, b in pairwise(NAMES):
            assert annotations.order_problems({**ADULT, a: ADULT[b], b: ADULT[a]})

    def test_two_landmarks_on_one_slice_are_said(self):
        assert annotations.order_problems({"C1": 5.0, "C7": 5.0}) == ["C1 and C7 are on the same slice."]

    def test_upside_down_is_one_sentence(self):
        (text,) = annotations.order_problems({name: -z for name, z in ADULT.items()})
        assert "upside down" in text

    def test_distances_that_no_body_has_are_said(self):
        assert "400 mm apart" in annotations.order_problems({"C1": 400.0, "C7": 0.0})[0]
        assert "3 mm apart" in annotations.order_problems({"C1": 3.0, "C7": 0.0})[0]

    def test_the_dome_may_move_with_the_breath(self):
        assert annotations.order_problems({**ADULT, "Right dome of diaphragm": ADULT["T12"] + 15}) == []

    def test_unknown_names_and_places_do_not_hurt(self):
        assert annotations.order_problems({"mine": 3.0, "C1": 2.0}) == []
        assert annotations.order_problems({"C1": float("nan"), "C7": 2.0}) == ["The place of C1 or C7 is unknown."]


@pytest.mark.realct
def test_no_real_annotation_is_called_impossible(ct_data):
    from CTSliceLocalizerLib.groundtruth import read_landmarks

    scans = read_landmarks(ct_data / "landmarks.csv")
    found = {
        scan: annotations.order_problems({name: one.z_mm for name, one in by_name.items()})
        for scan, by_name in scans.items()
    }
    assert len(found) > 90
    assert {scan: problems for scan, problems in found.items() if problems} == {}

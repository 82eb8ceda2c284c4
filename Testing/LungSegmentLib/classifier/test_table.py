from __future__ import annotations

import pytest
from CTVolumeLib.errors import CTError
from LungSegmentLib.classifier import table


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_what_people_and_spreadsheets_write(tmp_path):
    plain = write(tmp_path / "a.csv", "path,label,patient\na/1.nii.gz,1,P1\nb/1.nii.gz,no,P2\n\n/x/y,0,P2\n")
    scans = table.read(plain)
    assert [(scan.label, scan.patient) for scan in scans] == [(1, "P1"), (0, "P2"), (0, "P2")]
    assert scans[0].path == tmp_path / "a/1.nii.gz"
    assert scans[2].path.as_posix() == "/x/y"
    assert len({scan.name for scan in scans}) == 3
    other = write(tmp_path / "b.csv", "\ufeffPatient;Note;Label;Path\nP1;x;yes;a/1.nii.gz\n")
    assert [(scan.label, scan.patient, scan.path) for scan in table.read(other)] == [(1, "P1", tmp_path / "a/1.nii.gz")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,label\na,1\n", "no column patient"),
        ("path,label,patient\na,1,P1\nb,maybe,P2\n", "label in line 3"),
        ("path,label,patient\na,1,\n", "Line 2 of t.csv has no patient"),
        ("path,label,patient\na,1,P1\n./a,0,P1\n", "Lines 2 and 3"),
        ("path,label,patient\n", "holds no scan"),
        ("", "no column path"),
    ],
)
def test_says_what_is_wrong_and_where(tmp_path, text, said):
    with pytest.raises(CTError, match=said) as caught:
        table.read(write(tmp_path / "t.csv", text))
    assert caught.value.code == "bad_table"
    assert "P1" not in str(caught.value)


def test_round_trip_with_paths_that_move_with_the_folder(tmp_path):
    table.write(tmp_path / "t.csv", [(tmp_path / "in/1.nii", 1, "a,b"), (tmp_path.parent / "out.nii", 0, "c")])
    assert "in/1.nii" in (tmp_path / "t.csv").read_text().splitlines()[1].split(",")
    scans = table.read(tmp_path / "t.csv")
    assert [(scan.path, scan.label, scan.patient) for scan in scans] == [
        (tmp_path / "in/1.nii", 1, "a,b"),
        (tmp_path.parent / "out.nii", 0, "c"),
    ]


def test_folders_become_a_table(tmp_path):
    for name in ("yes/1.nii.gz", "yes/notes.txt", "yes/.hidden/a.nii", "no/1.nii.gz", "no/series/0.dcm"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    rows = table.from_folders(tmp_path / "yes", tmp_path / "no")
    assert [(path.relative_to(tmp_path).as_posix(), label) for path, label, _ in rows] == [
        ("yes/1.nii.gz", 1), ("no/1.nii.gz", 0), ("no/series", 0),
    ]  # fmt: skip
    assert len({patient for _, _, patient in rows}) == 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(CTError, match="empty holds no scan"):
        table.from_folders(tmp_path / "yes", tmp_path / "empty")


def test_one_patient_with_many_scans_is_one_patient(tmp_path):
    scans = [
        table.LabelledScan(str(n), tmp_path, label, p) for n, (label, p) in enumerate([(1, "a"), (1, "a"), (0, "b")])
    ]
    assert table.patients(scans) == {1: 1, 0: 1}
    with pytest.raises(CTError, match="1 patients with the finding"):
        table.check_classes(scans)

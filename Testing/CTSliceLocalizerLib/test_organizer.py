from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from CTSliceLocalizerLib import organizer, placing
from CTVolumeLib.errors import CTError
from CTVolumeLib.locks import locked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

MODES = ("copy", "move", "link")


def make_file(
    path: Path, *, number="1", patient="P1", study="1.2", series="1.2.3", content="a", name="", **more
) -> Path:
    """A small DICOM file; an element that is None is left out."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = more.pop("syntax", ExplicitVRLittleEndian)
    meta.MediaStorageSOPClassUID = more.pop("media", CTImageStorage)
    dataset = FileDataset(None, {}, preamble=b"\0" * 128, file_meta=meta)
    values = {
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": name,
        "PatientID": patient,
        "StudyInstanceUID": study,
        "SeriesInstanceUID": series,
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": f"1.2.3.{int(hashlib.sha256(content.encode()).hexdigest()[:12], 16)}",
        "InstanceNumber": number,
        "ImageComments": content,
        **more,
    }
    for key, value in values.items():
        if value is not None:
            setattr(dataset, key, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID") or "1.2"
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def source(tmp_path) -> Path:
    """Two patients, three series, a copy, a collision, and files that are no DICOM; no sensible name anywhere."""
    folder = tmp_path / "source"
    for number in (1, 2, 10):
        make_file(folder / f"x/IM{number}", number=str(number), content=f"a{number}")
        make_file(folder / f"y/{number}.dcm", number=str(number), series="1.2.4", content=f"b{number}")
    make_file(folder / "z/1.dcm", patient="P2", study="1.3", series="1.3.1", content="c")
    shutil.copy(folder / "x/IM1", folder / "z/again.dcm")
    make_file(folder / "z/other.dcm", number="1", content="another picture with the same number")
    (folder / "notes.txt").write_text("no DICOM")
    return folder


def contents(*folders: Path) -> Counter:
    """How often each content is there; what is linked several times counts once for each name."""
    return Counter(
        hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.name != organizer.LOG
    )


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != organizer.LOG
    }


def log(folder: Path) -> list[dict[str, str]]:
    with (folder / organizer.LOG).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class TestPlaces:
    @pytest.mark.parametrize("mode", MODES)
    def test_every_file_gets_its_place(self, source, tmp_path, mode):
        before = tree(source)
        other = hashlib.sha256(before["z/other.dcm"]).hexdigest()[:8]
        result = organizer.organize([source], tmp_path / "out", mode=mode)
        assert tree(tmp_path / "out") == {
            "P1/1.2/1.2.3/1.dcm": before["x/IM1"],
            f"P1/1.2/1.2.3/1-{other}.dcm": before["z/other.dcm"],
            "P1/1.2/1.2.3/2.dcm": before["x/IM2"],
            "P1/1.2/1.2.3/10.dcm": before["x/IM10"],
            "P1/1.2/1.2.4/1.dcm": before["y/1.dcm"],
            "P1/1.2/1.2.4/2.dcm": before["y/2.dcm"],
            "P1/1.2/1.2.4/10.dcm": before["y/10.dcm"],
            "P2/1.3/1.3.1/1.dcm": before["z/1.dcm"],
        }
        assert tree(source) == ({"notes.txt": before["notes.txt"]} if mode == "move" else before)
        done = {"copy": "copied", "move": "moved", "link": "linked"}[mode]
        assert result.actions == {done: 8, "already there": 1, "left": 1}
        assert (result.patients, result.series, result.failed) == (2, 3, ())
        assert {path.name for path in (tmp_path / "out").iterdir()} == {"P1", "P2", organizer.LOG}
        linked = (tmp_path / "out/P1/1.2/1.2.3/10.dcm").stat().st_nlink
        assert linked == (2 if mode == "link" else 1)

    @pytest.mark.parametrize("mode", MODES)
    def test_again_changes_nothing(self, source, tmp_path, mode):
        organizer.organize([source], tmp_path / "out", mode=mode)
        first = tree(tmp_path / "out")
        again = organizer.organize([source, tmp_path / "out"], tmp_path / "out", mode=mode)
        assert tree(tmp_path / "out") == first
        assert again.actions["in place"] == 8
        assert again.actions.get("already there", 0) == (0 if mode == "move" else 9)
        assert set(again.actions) <= {"in place", "already there", "left"}

    def test_in_its_own_folder(self, source):
        before = contents(source)
        organizer.organize([source], source, mode="move")
        once = dict.fromkeys(before, 1)
        assert contents(source) == once
        assert (source / "P2/1.3/1.3.1/1.dcm").is_file()
        organizer.organize([source], source, mode="move")
        assert contents(source) == once

    def test_a_zip_is_read_in_place_and_left_there(self, source, tmp_path):
        shutil.make_archive(str(tmp_path / "packed"), "zip", source)
        organizer.organize([source], tmp_path / "expected")
        result = organizer.organize([tmp_path / "packed.zip"], tmp_path / "out", mode="move")
        assert tree(tmp_path / "out") == tree(tmp_path / "expected")
        assert result.actions == {"copied": 8, "already there": 1, "left": 1}
        assert zipfile.ZipFile(tmp_path / "packed.zip").testzip() is None

    def test_several_sources_and_single_files(self, source, tmp_path):
        result = organizer.organize([source / "x", source / "z/1.dcm", source / "x/IM1"], tmp_path / "out")
        assert result.actions == {"copied": 4}

    @pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
    def test_any_encoding_and_long_headers(self, tmp_path, syntax):
        path = make_file(tmp_path / "in/a", syntax=syntax, number="7", ImageType=["x" * 60] * 900)
        assert path.stat().st_size > 0
        organizer.organize([path], tmp_path / "out")
        assert (tmp_path / "out/P1/1.2/1.2.3/7.dcm").read_bytes() == path.read_bytes()

    @pytest.mark.parametrize(
        ("number", "stem"),
        [("007", "7"), (" 12 ", "12"), ("-3", "-3"), (None, "1.2.3.5"), ("", "1.2.3.5")],
    )
    def test_instance_numbers(self, tmp_path, number, stem):
        make_file(tmp_path / "in/a", number=number, SOPInstanceUID="1.2.3.5")
        organizer.organize([tmp_path / "in"], tmp_path / "out")
        assert list(tree(tmp_path / "out")) == [f"P1/1.2/1.2.3/{stem}.dcm"]

    def test_empty_tags(self, tmp_path):
        for folder in "ab":
            make_file(tmp_path / f"in/{folder}/1", patient="", study=None, series="", content=folder)
        organizer.organize([tmp_path / "in"], tmp_path / "out")
        names = list(tree(tmp_path / "out"))
        assert len({Path(name).parent for name in names}) == 2  # two folders are two series
        assert all(name.startswith("unknown_patient/unknown_study/unknown_series-") for name in names)

    def test_a_table_of_contents_is_left(self, tmp_path):
        make_file(tmp_path / "in/DICOMDIR", media="1.2.840.10008.1.3.10", SOPClassUID=None)
        make_file(tmp_path / "in/empty", series="", SOPInstanceUID=None)
        (tmp_path / "in/random.dcm").write_bytes(os.urandom(500))
        assert organizer.organize([tmp_path / "in"], tmp_path / "out").actions == {"left": 3}

    def test_patients_that_differ_in_case_only_stay_apart(self, tmp_path):
        for patient in ("abc", "ABC", "Abc"):
            make_file(tmp_path / f"in/{patient}", patient=patient, content=patient)
        for _ in range(2):
            organizer.organize([tmp_path / "in"], tmp_path / "out")
            folders = [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()]
            assert len(folders) == len({name.casefold() for name in folders}) == 3

    def test_the_log_is_never_taken_for_a_patient(self, tmp_path):
        make_file(tmp_path / "in/a", patient="organize.csv")
        organizer.organize([tmp_path / "in"], tmp_path / "out")
        assert len(list((tmp_path / "out").glob("organize.csv-*/1.2/1.2.3/1.dcm"))) == 1


IDS = st.text(st.characters(exclude_characters="\\\0", exclude_categories=["Cs", "Cc"]), max_size=40)


class TestNames:
    @pytest.mark.parametrize("bad", ["../../x", "..", "/etc", "C:x", "con", "a\tb", "x" * 64, "é/ü", ".hidden", "a."])
    @pytest.mark.parametrize("element", ["patient", "study", "series", "SOPInstanceUID"])
    def test_nothing_leaves_the_folder(self, tmp_path, bad, element):
        number = None if element == "SOPInstanceUID" else "1"
        path = make_file(tmp_path / "a/b/in/x", number=number, **{element: bad})
        organizer.organize([tmp_path / "a/b/in"], tmp_path / "a/b/out")
        (made,) = tree(tmp_path / "a/b/out").items()
        assert made[1] == path.read_bytes()
        assert len(Path(made[0]).parts) == 4
        assert {p.name for p in (tmp_path / "a").iterdir()} == {"b"}
        assert {p.name for p in (tmp_path / "a/b").iterdir()} == {"in", "out"}

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(ids=st.lists(IDS, min_size=1, max_size=4, unique_by=str.strip))
    def test_every_patient_has_a_folder_of_its_own(self, tmp_path_factory, ids):
        folder = tmp_path_factory.mktemp("ids")
        for number, patient in enumerate(ids):
            make_file(folder / f"in/{number}", patient=patient, content=str(number))
        for _ in range(2):
            result = organizer.organize([folder / "in"], folder / "out")
            made = tree(folder / "out")
            assert len(made) == len({Path(name).parts[0].casefold() for name in made}) == result.patients == len(ids)
            assert all(len(Path(name).parts) == 4 for name in made)


class TestHashedIds:
    def test_the_key_decides(self, source, tmp_path):
        key = organizer.read_key(tmp_path / "key")
        assert organizer.read_key(tmp_path / "key") == key
        organizer.organize([source], tmp_path / "out", key=key)
        organizer.organize([source], tmp_path / "again", key=key)
        organizer.organize([source], tmp_path / "other", key=organizer.read_key(tmp_path / "key2"))
        folders = [sorted(p.name for p in (tmp_path / n).iterdir() if p.is_dir()) for n in ("out", "again", "other")]
        assert folders[0] == folders[1] != folders[2]
        assert all(len(names) == 2 and all(name.startswith("patient-") for name in names) for names in folders)

    def test_no_id_is_in_the_log(self, tmp_path):
        make_file(tmp_path / "in/MRN12345/MRN12345_1.dcm", patient="MRN12345")
        organizer.organize([tmp_path / "in"], tmp_path / "out", key=b"0123456789abcdef")
        assert "MRN12345" not in (tmp_path / "out" / organizer.LOG).read_text()
        assert "***/***_1.dcm" in log(tmp_path / "out")[0]["source"]

    def test_a_file_that_is_no_key_is_refused(self, tmp_path):
        (tmp_path / "key").write_text("short")
        with pytest.raises(CTError, match="key is no key"):
            organizer.read_key(tmp_path / "key")


class TestLog:
    def test_each_file_has_a_line(self, source, tmp_path):
        organizer.organize([source], tmp_path / "out")
        rows = log(tmp_path / "out")
        assert sorted(row["source"] for row in rows) == sorted(f"source/{name}" for name in tree(source))
        by_source = {row["source"]: row for row in rows}
        assert by_source["source/x/IM10"]["target"] == "P1/1.2/1.2.3/10.dcm"
        assert by_source["source/notes.txt"] | {"run": ""} == {
            "run": "", "action": "left", "source": "source/notes.txt", "target": "", "note": "no DICOM file",
        }  # fmt: skip
        assert by_source["source/z/other.dcm"]["note"] == "another file has this number"
        organizer.organize([source], tmp_path / "out")
        assert len(log(tmp_path / "out")) == 2 * len(rows)

    def test_it_holds_no_name_of_a_patient(self, tmp_path):
        make_file(tmp_path / "Doe/jane_doe_1.dcm", name="Doe^Jane", patient="Jane-1")
        (tmp_path / "Doe/DOE.txt").write_text("")
        organizer.organize([tmp_path / "Doe"], tmp_path / "out")
        text = (tmp_path / "out" / organizer.LOG).read_text().casefold()
        assert "doe" not in text
        assert "jane" not in text
        assert [row["source"] for row in log(tmp_path / "out")] == ["***/***.txt", "***/***_***_1.dcm"]

    @pytest.mark.parametrize("key", [None, b"0123456789abcdef"])
    def test_a_pseudonym_is_hidden_only_if_ids_are(self, tmp_path, key):
        make_file(tmp_path / "LIDC-IDRI-0001/1.dcm", name="LIDC-IDRI-0001^^^", patient="LIDC-IDRI-0001")
        organizer.organize([tmp_path / "LIDC-IDRI-0001"], tmp_path / "out", key=key)
        hidden = "LIDC" not in (tmp_path / "out" / organizer.LOG).read_text()
        assert hidden == (key is not None)

    def test_a_line_that_a_kill_cut_off_spoils_no_other(self, source, tmp_path):
        organizer.organize([source / "x"], tmp_path / "out")
        path = tmp_path / "out" / organizer.LOG
        path.write_bytes(path.read_bytes()[:-30])
        organizer.organize([source / "x"], tmp_path / "out")
        assert [row["action"] for row in log(tmp_path / "out")][-3:] == ["already there"] * 3

    def test_names_that_no_text_can_hold(self, tmp_path):
        path = make_file(tmp_path / "in/a")
        try:
            path.rename(tmp_path / "in" / os.fsdecode(b"bad\xff\n,name"))
        except OSError:
            pytest.skip("this disk refuses such names")
        assert organizer.organize([tmp_path / "in"], tmp_path / "out").actions == {"copied": 1}
        assert len(log(tmp_path / "out")) == 1


KILLED = """
import os, signal, sys
from CTSliceLocalizerLib import organizer, placing
left = int(sys.argv[4])
def count(do):
    def wrapped(*args, **kwargs):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return do(*args, **kwargs)
    return wrapped
os.link = count(os.link)
placing.Placer.remove = count(placing.Placer.remove)
placing._Content.copy = count(placing._Content.copy)
organizer._Log.add = count(organizer._Log.add)
organizer.organize([sys.argv[1]], sys.argv[2], mode=sys.argv[3])
"""


class TestNothingIsLost:
    @pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
    @pytest.mark.parametrize(("mode", "steps"), [("move", 0), ("move", 4), ("move", 5), ("move", 6), ("copy", 8)])
    def test_killed_in_the_middle_and_started_again(self, source, tmp_path, mode, steps):
        organizer.organize([source], tmp_path / "expected")
        before = set(contents(source))
        command = [sys.executable, "-c", KILLED, str(source), str(tmp_path / "out"), mode, str(steps)]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        assert set(contents(source, tmp_path / "out")) >= before
        organizer.organize([source], tmp_path / "out", mode=mode)
        assert tree(tmp_path / "out") == tree(tmp_path / "expected")
        assert not (tmp_path / "out/.organizing").exists()

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
    def test_a_full_or_read_only_disk(self, source, tmp_path, monkeypatch, mode, number):
        """Every way to write fails after a while; then there is space again."""
        before, calls = contents(source), []

        def fails(do):
            def wrapped(*args, **kwargs):
                calls.append(1)
                if len(calls) > 4:
                    raise OSError(number, os.strerror(number))
                return do(*args, **kwargs)

            return wrapped

        with monkeypatch.context() as patch:
            patch.setattr(placing._Content, "copy", fails(placing._Content.copy))
            patch.setattr(os, "link", fails(os.link))
            with pytest.raises(CTError, match=os.strerror(number)) as problem:
                organizer.organize([source], tmp_path / "out", mode=mode)
        assert problem.value.code == "cannot_write"
        assert "Nothing is lost" in problem.value.hint
        assert set(contents(source, tmp_path / "out")) == set(before)
        organizer.organize([source], tmp_path / "out", mode=mode)
        organizer.organize([tmp_path / "out"], tmp_path / "expected")
        assert set(contents(tmp_path / "out")) == {d for d in before if d != hashlib.sha256(b"no DICOM").hexdigest()}

    def test_the_log_cannot_be_written(self, source, tmp_path, monkeypatch):
        before = set(contents(source))

        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(organizer._Log, "add", full)
        with pytest.raises(CTError, match="No space left"):
            organizer.organize([source], tmp_path / "out", mode="move")
        assert set(contents(source)) == before  # nothing is removed that the log does not know

    def test_a_source_that_cannot_be_removed_is_said(self, source, tmp_path, monkeypatch):
        def fails(*_):
            raise PermissionError(errno.EACCES, "Permission denied", "/a/Doe/1.dcm")

        monkeypatch.setattr(placing.Placer, "remove", fails)
        result = organizer.organize([source / "z/1.dcm"], tmp_path / "out", mode="move")
        text = "it has its place, but can't be removed from the old one: Permission denied"
        assert result.failed == (("1.dcm", text),)
        assert "Doe" not in (tmp_path / "out" / organizer.LOG).read_text()

    def test_another_disk_and_one_without_links(self, source, tmp_path, monkeypatch):
        organizer.organize([source], tmp_path / "expected")

        def other_disk(*_, **__):
            raise OSError(errno.EXDEV, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", other_disk)
        for mode in ("link", "move"):
            before = set(contents(source))
            organizer.organize([source], tmp_path / mode, mode=mode)
            assert tree(tmp_path / mode) == tree(tmp_path / "expected")
            assert set(contents(source, tmp_path / mode)) == before

    def test_a_copy_that_differs_is_noticed_before_the_file_goes(self, source, tmp_path, monkeypatch):
        before = set(contents(source))
        monkeypatch.setattr(os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.EXDEV, "cross-device")))
        monkeypatch.setattr(placing, "_digest_of", lambda path: "0" * 64)
        result = organizer.organize([source / "x"], tmp_path / "out", mode="move")
        assert result.actions == {"failed": 3}
        assert set(contents(source)) == before

    def test_what_is_there_is_never_overwritten(self, source, tmp_path):
        place = tmp_path / "out/P1/1.2/1.2.3/1.dcm"
        place.parent.mkdir(parents=True)
        place.write_text("mine")
        (place.parent / "2.dcm").mkdir()
        (place.parent / "10.dcm").symlink_to(source / "x/IM10")
        organizer.organize([source], tmp_path / "out", mode="move")
        assert place.read_text() == "mine"
        assert len([p for p in place.parent.iterdir() if p.is_file() and not p.is_symlink()]) == 5

    def test_a_link_to_the_source_is_not_its_content(self, source, tmp_path):
        content = (source / "x/IM10").read_bytes()
        place = tmp_path / "out/P1/1.2/1.2.3/10.dcm"
        place.parent.mkdir(parents=True)
        place.symlink_to(source / "x/IM10")
        organizer.organize([source / "x"], tmp_path / "out", mode="move")
        assert content in [p.read_bytes() for p in place.parent.iterdir() if not p.is_symlink()]

    def test_files_that_cannot_be_read_cost_only_themselves(self, source, tmp_path, monkeypatch):
        read = placing.Files.read

        def broken(self, source, *args):
            if source.name == "IM2":
                raise OSError(errno.EIO, "Input/output error", "/a/Doe")
            return read(self, source, *args)

        monkeypatch.setattr(placing.Files, "read", broken)
        result = organizer.organize([source], tmp_path / "out")
        assert result.failed == (("IM2", "can't be read: Input/output error"),)
        assert result.actions["copied"] == 7

    def test_a_damaged_header_costs_only_itself(self, source, tmp_path):
        data = (source / "x/IM2").read_bytes()
        (source / "x/IM2").write_bytes(data[:200] + b"\xff" * 30)
        result = organizer.organize([source / "x"], tmp_path / "out")
        assert result.actions["copied"] == 2
        assert sum(result.actions.values()) == 3

    def test_cancel_leaves_a_state_that_can_go_on(self, source, tmp_path):
        with pytest.raises(CTError, match="cancelled"):
            organizer.organize([source], tmp_path / "out", progress=lambda done, total, text: done < total * 0.7)
        assert 0 < len(tree(tmp_path / "out")) < 8
        organizer.organize([source], tmp_path / "out")
        assert len(tree(tmp_path / "out")) == 8

    def test_two_at_once_are_refused(self, source, tmp_path):
        (tmp_path / "out/.organizing").mkdir(parents=True)
        with locked(tmp_path / "out/.organizing/lock"), pytest.raises(CTError, match="Another program"):
            organizer.organize([source], tmp_path / "out")

    def test_nothing_there_is_said(self, tmp_path):
        with pytest.raises(CTError, match="There is no file or folder"):
            organizer.organize([tmp_path / "none"], tmp_path / "out")


@pytest.mark.realct
def test_real_files(ct_data, tmp_path):
    before = contents(ct_data / "dicom")
    result = organizer.organize([ct_data / "dicom"], tmp_path / "out")
    made = tree(tmp_path / "out")
    assert result.failed == ()
    left = [row for row in log(tmp_path / "out") if row["action"] == "left"]
    assert {Path(row["source"]).suffix for row in left} == {".json", ""}
    assert len(left) == 5  # two files of labels, three tables of a scanner
    assert sum(result.actions.values()) == sum(before.values())
    assert {hashlib.sha256(data).hexdigest() for data in made.values()} <= set(before)
    labels = json.loads((ct_data / "dicom/labels/chest_8mm_jpeg2000.json").read_text())
    by_source = {row["source"]: row["target"] for row in log(tmp_path / "out")}
    for name in labels.values():
        assert (tmp_path / "out" / by_source[f"dicom/chest_8mm_jpeg2000/{name}"]).is_file()

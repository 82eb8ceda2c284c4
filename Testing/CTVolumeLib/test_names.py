"""Names of result folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from CTVolumeLib.names import distinct_name, is_safe_name, unique_names
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/d/a.nii.gz", "a"),
        ("/d/A.NII.GZ", "A"),
        ("/d/a.nii", "a"),
        ("/d/study.zip", "study"),
        ("/d/scan.1.5mm.nrrd", "scan.1.5mm"),
        ("/d/scan 1.5mm", "scan 1.5mm"),
        ("/d/.nii.gz", "scan"),
        ("/d/.hidden", "hidden"),
        ("/d/con.nii", "con_"),
        ("/d/Aux.v2.nii", "Aux.v2_"),
        ("/d/summary.csv", "summary.csv_"),
        ("/d/what?.mha", "what_"),
        ("/d/Mu\u0308ller.mha", "M\u00fcller"),
        ("/d/bad\udcff.mha", "bad_"),
        ("/", "scan"),
    ],
)
def test_name_of_one_path(path, name):
    assert unique_names([path]) == [name]


def test_a_folder_keeps_its_whole_name(tmp_path):
    (tmp_path / "backup.zip").mkdir()
    assert unique_names([tmp_path / "backup.zip"]) == ["backup.zip"]


def test_the_present_folder_has_a_name(tmp_path, monkeypatch):
    (tmp_path / "series 3").mkdir()
    monkeypatch.chdir(tmp_path / "series 3")
    assert unique_names(["."]) == ["series 3"]


def test_names_that_are_shared_get_their_folder_in_front():
    assert unique_names(["/p1/ct.nii", "/p2/CT.nii.gz", "/p3/other.nii"]) == ["p1-ct", "p2-CT", "other"]


def test_names_that_are_still_shared_get_a_number():
    assert unique_names(["/a/p/ct.nii", "/b/p/ct.nii", "/b/p/ct.mha"]) == ["ct", "ct-2", "ct-3"]
    assert unique_names(["/a/p/ct.nii", "/b/q/ct.nii", "/c/q/ct.mha"]) == ["p-ct", "q-ct", "q-ct-2"]
    assert unique_names(["/d/study"] * 3) == ["study", "study-2", "study-3"]


def test_a_number_takes_no_name_of_another():
    assert unique_names(["/a/ct.nii", "/b/ct-2.nii", "/a/ct.mha"]) == ["ct", "ct-2", "ct-3"]


def test_long_names_fit_on_every_disk():
    paths = [f"/d/{'界' * 200}{number}.nii" for number in range(3)]
    names = unique_names(paths)
    assert len(set(names)) == 3
    assert max(len(name.encode()) for name in names) <= 130


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=8))
@settings(deadline=None, max_examples=200)
def test_any_names_become_safe_and_unique(texts):
    names = unique_names([Path("/d") / text.replace("\0", "") for text in texts])
    assert len(names) == len(texts)
    assert all(is_safe_name(name) for name in names)
    assert len({name.casefold() for name in names}) == len(names)


@pytest.mark.parametrize(
    ("text", "start"),
    [("abc", "abc"), (" LIDC-IDRI-0001 ", "LIDC-IDRI-0001"), ("1.2.840.1", "1.2.840.1"), ("", "none"), ("  ", "none")],
)
def test_a_good_text_is_its_own_name(text, start):
    assert distinct_name(text, "none") == start


@pytest.mark.parametrize("text", ["../../x", "..", "a/b", "a\\b", "con", "x" * 300, "a\0b", "e\u0301", "a.", "\ud800"])
def test_a_bad_text_gets_a_safe_name_of_its_own(text):
    name = distinct_name(text, "none")
    assert is_safe_name(name)
    assert name != text
    assert distinct_name(text + "?", "none") != name


@given(st.text(), st.text())
def test_different_texts_have_different_names(one, other):
    names = [distinct_name(text, "none") for text in (one, other)]
    assert all(map(is_safe_name, names))
    assert (names[0] == names[1]) == (one.strip() == other.strip())

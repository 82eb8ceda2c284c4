from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from CTVolumeLib import scans
from CTVolumeLib.errors import CTError
from CTVolumeLib.phantom import write_dicom
from CTVolumeLib.volume import CTVolume

SETTINGS = {"model": "0", "engine": "auto", "report": False}


@pytest.fixture
def series(tmp_path) -> Path:
    array = np.random.default_rng(0).integers(-1000, 1000, (6, 16, 16)).astype(np.int16)
    write_dicom(CTVolume(array, spacing=(5.0, 5.0, 5.0)), tmp_path / "series")
    return tmp_path / "series"


def items(*paths: Path) -> tuple[list, list[str]]:
    said: list[str] = []
    return scans.find_items(paths, SETTINGS, say=said.append), said


def test_items_travel_to_other_processes(series):
    (item,), _ = items(series)
    again = pickle.loads(pickle.dumps(item))
    assert again.payload.files == item.payload.files
    assert again.name == "series"
    assert len(again.files) == 6


def test_a_scan_reached_twice_is_one_item(series):
    found, _ = items(series, series.parent, series / ".." / "series")
    assert len(found) == 1


def test_the_result_of_a_zip_depends_on_the_zip(series, tmp_path):
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for file in series.iterdir():
            archive.write(file, f"deep/folder/{file.name}")
    (item,), _ = items(tmp_path / "packed.zip")
    assert item.name == "packed"
    assert item.files == (str(tmp_path / "packed.zip"),)


def test_nothing_usable_becomes_an_item_that_fails_with_the_reason(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing", encoding="utf-8")
    (item,), _ = items(tmp_path)
    with pytest.raises(CTError, match="no DICOM images"):
        scans.volume_of(item)


def test_a_broken_zip_fails_alone(series, tmp_path):
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04" + b"\0" * 100)
    found, _ = items(series, tmp_path / "broken.zip")
    assert [item.name for item in found] == ["series", "broken"]
    with pytest.raises(CTError):
        scans.volume_of(found[1])


def test_two_series_in_one_folder_are_two_items(series):
    array = np.random.default_rng(1).integers(-1000, 1000, (4, 16, 16)).astype(np.int16)
    write_dicom(CTVolume(array, spacing=(5.0, 5.0, 5.0)), series / "b", series_number=2)
    for file in list((series / "b").iterdir()):
        file.rename(series / f"second_{file.name}")
    found, _ = items(series)
    assert [item.payload.count for item in found] == [6, 4]
    assert len({item.name for item in found}) == 2
    assert len({item.files for item in found}) == 2


def test_cancelling_the_search_ends_it(series):
    with pytest.raises(CTError) as problem:
        scans.find_items([series], SETTINGS, say=print, progress=lambda done, total, text: False)
    assert problem.value.code == "cancelled"

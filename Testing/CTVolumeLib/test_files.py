"""Files appear whole or not at all, and archives have the same bytes each time."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from CTVolumeLib import files
from CTVolumeLib.errors import CTError

ARRAYS = {
    "number": np.array(0.25),
    "text": np.array("1.2.3"),
    "view": np.arange(24, dtype=np.int16).reshape(4, 6)[::2, ::-1].T,
    "empty": np.zeros((0, 3), np.float32),
}


class TestArchives:
    @pytest.mark.parametrize("level", [0, 1, 6])
    def test_numpy_reads_what_was_written(self, level):
        with np.load(io.BytesIO(files.npz_bytes(ARRAYS, level)), allow_pickle=False) as archive:
            assert set(archive.files) == set(ARRAYS)
            for name, array in ARRAYS.items():
                assert archive[name].dtype == array.dtype
                assert archive[name].shape == array.shape
                np.testing.assert_array_equal(archive[name], array)

    @pytest.mark.parametrize("level", [0, 6])
    def test_the_time_of_day_and_the_order_do_not_matter(self, level, monkeypatch):
        first = files.npz_bytes(ARRAYS, level)
        monkeypatch.setattr(time, "time", lambda: 2e9)
        monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2e9))
        assert files.npz_bytes(dict(reversed(ARRAYS.items())), level) == first

    def test_level_0_packs_nothing(self):
        zeros = {"zeros": np.zeros(10_000, np.uint8)}
        assert len(files.npz_bytes(zeros)) < 1000 < 10_000 < len(files.npz_bytes(zeros, 0))


def fail_halfway(path):
    with files.replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyError


class TestReplacing:
    def test_what_was_there_stays_when_writing_fails(self, tmp_path):
        path = tmp_path / "a.txt"
        files.write_atomic(path, "before")
        with pytest.raises(KeyError):
            fail_halfway(path)
        assert path.read_text() == "before"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_folder_in_the_way_is_said(self, tmp_path):
        (tmp_path / "a.txt").mkdir()
        with pytest.raises(CTError) as caught:
            files.write_atomic(tmp_path / "a.txt", b"x")
        assert caught.value.code == "cannot_write"
        assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]

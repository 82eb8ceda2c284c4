"""The compact store: what is written is read again, and what is damaged is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from CTSliceLocalizerLib import slicegrid, store
from CTSliceLocalizerLib.groundtruth import Annotation
from CTVolumeLib.errors import CTError


def stored(count: int = 5, seed: int = 0) -> store.StoredSeries:
    """A series of noise in which the body is where a coin says so; one body voxel is air."""
    rng = np.random.default_rng(seed)
    unmasked = rng.integers(-1024, 3072, (count, slicegrid.SIZE, slicegrid.SIZE)).astype(np.int16)
    unmasked[0, 0, :2] = slicegrid.AIR_HU
    body = rng.random(unmasked.shape) < 0.5
    hu = np.where(body, unmasked, slicegrid.AIR_HU).astype(np.int16)
    z_mm = -120.5 + slicegrid.CELL_MM * np.arange(count)
    grid = slicegrid.SliceGrid(hu, z_mm, body.sum(axis=(1, 2)) * 0.16, unmasked)
    return store.StoredSeries(
        name="one",
        uid="1.2.3",
        patient=store.patient_key("secret"),
        grid=grid,
        body_mm=300.0 - z_mm,
        sigma_mm=np.linspace(3, 9, count),
        location=np.linspace(0.2, 0.1, count),
        annotations={"C7": Annotation(-118.25, 3.5), "T1": Annotation(-130.0, 2.5)},
    )


def written(folder: Path, one: store.StoredSeries) -> Path:
    path = folder / store.SERIES_FOLDER / one.name / store.SERIES_FILE
    store.write_series(path, one)
    return path


class TestSeries:
    def test_comes_back_as_it_was(self, tmp_path):
        one = stored()
        again = store.read_series(written(tmp_path, one))
        assert (again.name, again.uid, again.patient) == (one.name, one.uid, one.patient)
        assert dict(again.annotations) == dict(one.annotations)
        for name in ("hu", "unmasked", "z_mm", "body_cm2"):
            kept, before = getattr(again.grid, name), getattr(one.grid, name)
            assert kept.dtype == before.dtype
            np.testing.assert_array_equal(kept, before, err_msg=name)
        for name in ("body_mm", "sigma_mm", "location"):
            np.testing.assert_array_equal(getattr(again, name), getattr(one, name), err_msg=name)

    def test_without_landmarks(self, tmp_path):
        assert store.read_series(written(tmp_path, replace(stored(), annotations={}))).annotations == {}

    def test_has_the_same_bytes_each_time(self, tmp_path):
        first, second = (written(tmp_path / name, stored()).read_bytes() for name in "ab")
        assert first == second
        assert first != written(tmp_path / "c", stored(seed=1)).read_bytes()

    def test_does_not_tell_the_patient(self, tmp_path):
        assert b"secret" not in written(tmp_path, stored()).read_bytes()

    def test_needs_the_surroundings(self, tmp_path):
        one = stored()
        with pytest.raises(ValueError, match="surroundings"):
            written(tmp_path, replace(one, grid=replace(one.grid, unmasked=None)))

    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: data[: len(data) // 2],
            lambda data: b"",
            lambda data: b"no archive",
            lambda data: data.replace("series/1".encode("utf-32-le"), "series/9".encode("utf-32-le")),
        ],
        ids=["cut off", "empty", "other file", "other schema"],
    )  # fmt: skip
    def test_damaged(self, tmp_path, damage):
        path = written(tmp_path, stored())
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(CTError) as caught:
            store.read_series(path)
        assert caught.value.code == "bad_store"
        assert "one/series.npz" in str(caught.value)

    def test_values_that_are_no_numbers(self, tmp_path):
        one = stored()
        path = written(tmp_path, replace(one, body_mm=np.full(5, np.nan)))
        with pytest.raises(CTError, match="damaged"):
            store.read_series(path)

    def test_missing(self, tmp_path):
        with pytest.raises(CTError, match="No such file"):
            store.read_series(tmp_path / "one" / "series.npz")


class TestIndex:
    def index(self, kind: str = store.COMPACT) -> store.Index:
        entries = [
            store.Entry(name, f"1.{name}", "abc", 5, 2, path=Path("elsewhere")) for name in ("two", "one")
        ]  # fmt: skip
        return store.Index(
            kind, {"format": kind}, tuple(entries), ({"name": "bad", "code": "no_body", "message": "m"},)
        )

    def test_comes_back_sorted(self, tmp_path):
        store.write_index(tmp_path, self.index())
        again = store.read_index(tmp_path)
        assert [entry.name for entry in again.series] == ["one", "two"]
        assert again.series[0].path == tmp_path / "series" / "one" / "series.npz"
        assert again.left_out == self.index().left_out
        assert store.series(tmp_path) == [entry.path for entry in again.series]

    def test_in_the_articles_format_the_path_is_the_folder_of_slices(self, tmp_path):
        store.write_index(tmp_path, self.index(store.ARTICLE))
        assert store.read_index(tmp_path).series[1].path == tmp_path / "series" / "two"
        with pytest.raises(CTError) as caught:
            store.series(tmp_path)
        assert caught.value.code == "wrong_format"

    def test_no_store(self, tmp_path):
        with pytest.raises(CTError) as caught:
            store.read_index(tmp_path)
        assert caught.value.code == "no_store"

    @pytest.mark.parametrize("text", ["{", "[]", '{"schema": "ct-store/2"}', '{"schema": "ct-store/1"}'])
    def test_damaged(self, tmp_path, text):
        (tmp_path / store.INDEX).write_text(text)
        with pytest.raises(CTError) as caught:
            store.read_index(tmp_path)
        assert caught.value.code == "bad_store"

    def test_is_plain_json(self, tmp_path):
        store.write_index(tmp_path, self.index())
        content = json.loads((tmp_path / store.INDEX).read_text())
        assert content["schema"] == "ct-store/1"
        assert content["series"][0] == {"name": "one", "uid": "1.one", "patient": "abc", "slices": 5, "landmarks": 2}


def test_patients_share_a_key_that_is_not_their_name():
    assert store.patient_key("Doe^Jane") == store.patient_key("Doe^Jane") != store.patient_key("Doe^John")
    assert "Doe" not in store.patient_key("Doe^Jane")

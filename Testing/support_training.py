"""Small data to train on: scans that hold noise, and a data set of the article's slices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from CTSliceLocalizerLib import groundtruth, partition, slicegrid, store
from CTSliceLocalizerLib.groundtruth import Annotation

ANNOTATIONS = {"Aortic arch": Annotation(60.0, 3.0), "Bifurcation of trachea": Annotation(30.0, 3.0)}


def series(number: int, count: int = 24) -> store.StoredSeries:
    """A made-up series of a patient of its own."""
    rng = np.random.default_rng(number)
    hu = np.full((count, slicegrid.SIZE, slicegrid.SIZE), slicegrid.AIR_HU, np.int16)
    hu[:, 20:70, 20:76] = rng.integers(-100, 200, (count, 50, 56))
    grid = slicegrid.SliceGrid(hu, 4.0 * np.arange(count), np.full(count, 300.0), hu)
    body, sigma = groundtruth.body_targets(grid.z_mm, ANNOTATIONS)
    location = groundtruth.locations(grid.z_mm, ANNOTATIONS)
    uid = f"1.2.3.{number}"
    return store.StoredSeries(uid, uid, f"{number:016d}", grid, body, sigma, location, ANNOTATIONS)


def compact_store(folder: Path, parts: str = "ttv") -> Path:
    """A compact data set, one series for each letter of ``parts``; returns its partition file."""
    made = [series(number) for number in range(len(parts))]
    entries = []
    for one in made:
        path = folder / store.SERIES_FOLDER / one.name / store.SERIES_FILE
        store.write_series(path, one)
        entries.append(store.Entry(one.name, one.uid, one.patient, len(one.grid.hu), len(one.annotations), path))
    store.write_index(folder, store.Index(store.COMPACT, {"format": store.COMPACT}, tuple(entries), ()))
    return _partition(folder, {one.uid: one.patient for one in made}, parts)


def article_store(folder: Path, size: int = 80, parts: str = "ttv", count: int = 4, channels: int = 0) -> Path:
    """A data set of the article's slices without an index, as its own program leaves it; returns its partition file."""
    rng = np.random.default_rng(0)
    patients = {}
    for number in range(len(parts)):
        uid = f"1.2.3.{number}"
        patients[uid] = f"{number:016d}"
        (folder / uid).mkdir(parents=True)
        for k in range(count):
            gray = rng.integers(0, 60, (size, size), dtype=np.uint8) + np.uint8(40 * k)
            pixels = np.repeat(gray[..., None], channels, axis=2) if channels else gray
            np.savez(folder / uid / f"{k + 1}.npz", pixels=pixels, norm_loc=0.1 * k, series_instance_UID=uid)
    return _partition(folder, patients, parts)


def _partition(folder: Path, patients: dict[str, str], parts: str) -> Path:
    names = {"t": partition.TRAIN, "v": partition.VALIDATION, "e": partition.TEST}
    divided = partition.Partition("series", "", {uid: names[part] for uid, part in zip(patients, parts)}, patients)
    path = folder.with_name(f"{folder.name}_partition.json")
    divided.write(path)
    return path


def tiny_networks(monkeypatch) -> None:
    """Networks with the compact one's inputs and outputs that compile in no time."""
    import keras
    from CTSliceLocalizerLib import networks
    from CTSliceLocalizerLib.bodyscale import BIN_CENTRES
    from CTSliceLocalizerLib.frontal import View
    from keras import layers

    def encoder() -> keras.Model:
        picture = keras.Input((slicegrid.SIZE, slicegrid.SIZE, 1))
        x = layers.Flatten()(layers.AveragePooling2D(16)(picture))
        features = layers.Dense(networks.FEATURES, activation="relu", name="features")(layers.Dropout(0.2)(x))
        raw = layers.Dense(len(BIN_CENTRES), name="raw")(features)
        orientation = layers.Dense(2, name="orientation")(features)
        return keras.Model(picture, {"features": features, "raw": raw, "orientation": orientation}, name="encoder")

    def context() -> keras.Model:
        features = keras.Input((None, networks.FEATURES))
        body = layers.Conv1D(len(BIN_CENTRES), 1, name="body")(features)
        marks = layers.Conv1D(12, 3, padding="same", name="landmarks")(features)
        return keras.Model(features, {"body": body, "landmarks": marks}, name="context")

    def frontal(view: View) -> keras.Model:
        picture = keras.Input((None, view.width, view.channels))
        x = layers.Reshape((-1, view.width * view.channels))(picture)
        body = layers.Conv1D(len(BIN_CENTRES), 1, name="body")(x)
        marks = layers.Conv1D(12, 3, padding="same", name="landmarks")(x)
        return keras.Model(picture, {"body": body, "landmarks": marks}, name=view.name)

    monkeypatch.setattr(networks, "frontal", frontal)
    monkeypatch.setattr(networks, "encoder", encoder)
    monkeypatch.setattr(networks, "context", context)

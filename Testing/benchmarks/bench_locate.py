"""Locating a 512 x 512 x 500 scan, against the article's way: one ``model.predict`` a slice with Xception."""

from __future__ import annotations

import time

import memory

SLICES = 500
TIMED_SLICES = 12
REPEATS = 3

MEMORY_PROBE = """
import sys
from bench_locate import big_scan
from CTSliceLocalizerLib import predictor
from memory import peak_extra
volume = big_scan()
predictor.locate(volume.crop(k=slice(0, 40)), engine=sys.argv[1])
print(peak_extra(lambda: predictor.locate(volume, engine=sys.argv[1])) / volume.array.nbytes)
"""

IMPORT_PROBE = """
import sys, time
started = time.perf_counter()
import CTSliceLocalizerLib.predictor
print(time.perf_counter() - started, int("tensorflow" in sys.modules))
"""


def big_scan():
    """A 512 x 512 x 500 phantom in memory, 1 mm slices: a body enlarged from a small rendering."""
    import numpy as np
    from CTVolumeLib import phantom
    from CTVolumeLib.volume import CTVolume

    small = phantom.make(phantom.PhantomParameters(spacing=(4.0, 4.0, 5.0))).volume.as_axial()
    k = np.linspace(0, len(small.array) - 1, SLICES).astype(int)
    j = np.linspace(0, small.array.shape[1] - 1, 512).astype(int)
    i = np.linspace(0, small.array.shape[2] - 1, 512).astype(int)
    spacing = (
        small.spacing[0] * small.array.shape[2] / 512,
        small.spacing[1] * small.array.shape[1] / 512,
        small.spacing[2] * len(small.array) / SLICES,
    )
    return CTVolume(np.ascontiguousarray(small.array[k][:, j][:, :, i].astype(np.int16)), spacing)


def article_seconds() -> float:
    """Seconds for all slices by the article's Xception back-end, from a few slices."""
    import keras
    import numpy as np

    base = keras.applications.Xception(weights=None, include_top=False, input_shape=(299, 299, 3))
    x = keras.layers.Flatten()(base.output)
    for _ in range(1):
        x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(x))
        x = keras.layers.BatchNormalization()(keras.layers.Dense(128, activation="relu")(x))
        x = keras.layers.Dropout(0.5)(x)
    model = keras.Model(base.input, keras.layers.Dense(1, activation="sigmoid")(x))
    picture = np.zeros((1, 299, 299, 3), dtype=np.float32)
    model.predict(picture, verbose=0)
    started = time.perf_counter()
    for _ in range(TIMED_SLICES):
        model.predict(picture, verbose=0)
    return (time.perf_counter() - started) / TIMED_SLICES * SLICES


def run() -> list[tuple[str, str, str]]:
    """Rows of name, figure and bar."""
    from CTSliceLocalizerLib import predictor

    volume = big_scan()
    seconds = {}
    for engine in ("numpy", "litert"):
        predictor.locate(volume.crop(k=slice(0, 40)), engine=engine)
        times = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            predictor.locate(volume, engine=engine)
            times.append(time.perf_counter() - started)
        seconds[engine] = sorted(times)[len(times) // 2]
    article = article_seconds()
    rows = [
        (
            f"locate 512 x 512 x {SLICES}, {engine}",
            f"{seconds[engine]:.2f} s, {article / seconds[engine]:.0f} x faster "
            f"than Xception slice by slice ({article:.0f} s)",
            f">= {bar} x",
        )
        for engine, bar in (("litert", 100), ("numpy", 60))
    ]
    for engine in ("litert", "numpy"):
        rows.append(
            (f"extra peak memory, {engine}", f"{float(memory.run(MEMORY_PROBE, engine)):.2f} of the volume", "<= 0.5")
        )
    times, heavy = zip(*(map(float, memory.run(IMPORT_PROBE).split()) for _ in range(3)))
    rows.append(
        (
            "import of the prediction path",
            f"{min(times):.2f} s, TensorFlow imported: {'yes' if max(heavy) else 'no'}",
            "< 0.5 s, no",
        )
    )
    return rows

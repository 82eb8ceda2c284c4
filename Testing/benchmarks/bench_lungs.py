"""Finding the lungs of a 512 x 512 x 300 chest, side by side with the recipe of the well-known tutorials."""

from __future__ import annotations

import functools
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import memory
import numpy as np
from CTVolumeLib import phantom
from CTVolumeLib.volume import CTVolume
from LungSegmentLib import lungs, quality, recipe

Row = tuple[str, str, str]

FIELD_MM, LENGTH_MM = 460.0, 300.0
TOP_Z_MM = -290.0
"""25 mm above the apices; the bases end as much above the lowest slice."""

SIZES = ((384, 225), (512, 300), (640, 375))
COMPARED = 1
"""Which of them is compared with the tutorials' recipe: 512 x 512 x 300."""

REPEATS = 3


def run(sizes: tuple[tuple[int, int], ...] = SIZES, repeats: int = REPEATS) -> list[Row]:
    """Both on the same chest in the same run.

    Args:
        sizes: pixels along a row and slices; of several the one ``COMPARED`` is compared with the tutorials' recipe.
        repeats: of which the median counts.

    Returns:
        Rows of name, figure and bar.
    """
    rows: list[Row] = []
    per_voxel: list[float] = []
    compared = min(COMPARED, len(sizes) - 1)
    for number, (pixels, slices) in enumerate(sizes):
        made = chest(pixels, slices)
        seconds, processor, found = _timed(ours, made.volume, repeats)
        # Processor time, which other work on the machine does not change as much.
        per_voxel.append(processor / made.volume.array.size)
        figure = f"{seconds:.2f} s, processor {processor:.2f} s, {_ns(per_voxel[-1])}"
        rows.append((f"lungs of {pixels} x {pixels} x {slices}", figure, ""))
        if number == compared:
            volume, truth = made.volume, made.masks["left lung"] | made.masks["right lung"]
            our_seconds, our_processor, ours_found = seconds, processor, found
        del made, found
    growth = max((late / early for early, late in itertools.pairwise(per_voxel)), default=1.0)
    rows.append(("time for a voxel, next larger scan / smaller", f"{growth:.2f}", "<= 1.2: cost grows linearly"))
    theirs, their_processor, their_mask = _timed(tutorial, volume, 1)
    figure = f"{theirs:.2f} s, {theirs / our_seconds:.1f} x ours; processor {their_processor / our_processor:.1f} x"
    rows.append(("tutorials' recipe", figure, ">= 8 x"))
    step_by_step, _, steps = _timed(recipe.follow, volume, 1)
    rows.append(("its steps in our recipe module", f"{step_by_step:.2f} s, {theirs / step_by_step:.1f} x faster", ""))
    judging, _, _ = _timed(functools.partial(quality.judge, result=ours_found), volume, 1)
    rows.append(("the light", f"{judging:.2f} s", ""))
    dice = {
        "ours": _dice(np.isin(ours_found.labels, (lungs.LEFT, lungs.RIGHT)), truth),
        "the tutorials'": _dice(their_mask, truth),
    }
    rows.append(("Dice", ", ".join(f"{name} {value:.4f}" for name, value in dice.items()), "ours is higher"))
    del ours_found, their_mask, steps, truth
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chest.npy"
        np.save(path, volume.array)
        for name, method, bar in (("ours", "ours", "<= 3"), ("the tutorials'", "tutorial", "")):
            figure = f"{memory.for_a_voxel(path, 'bench_lungs', method, volume.spacing, (100, 140)):.1f} bytes a voxel"
            rows.append((f"peak extra memory, {name}", figure, bar))
    return rows


def chest(pixels: int, slices: int) -> phantom.Phantom:
    """The same chest on a grid of this size."""
    step = FIELD_MM / pixels
    along = LENGTH_MM / slices
    return phantom.make(
        phantom.PhantomParameters(
            spacing=(step, step, along),
            field_mm=FIELD_MM,
            z_range=(TOP_Z_MM - along * (slices - 1), TOP_Z_MM),
            arms="up",
        )
    )


def ours(volume: CTVolume) -> lungs.LungResult:
    """What is measured."""
    return lungs.segment(volume)


def tutorial(volume: CTVolume) -> np.ndarray:
    """(k, j, i) bool lungs by the recipe that tutorials on chest CT give, with scikit-image as they have it.

    Threshold; label the volume, what is connected to its first voxel is the air around; in each slice all but the
    largest solid part is lung; label the volume once more, the largest part stays. Sizes are counted by sorting.
    """
    from skimage import measure

    def largest(labels: np.ndarray) -> int | None:
        values, counts = np.unique(labels, return_counts=True)
        values, counts = values[values != 0], counts[values != 0]
        return int(values[np.argmax(counts)]) if len(values) else None

    solid = (volume.array > -320).astype(np.int8)
    labels = measure.label(solid + 1)  # air and tissue are both numbered
    solid[labels == labels[0, 0, 0]] = 1
    for plane in solid:
        parts = measure.label(plane)
        body = largest(parts)
        if body is not None:
            plane[parts != body] = 0
    pockets = measure.label(1 - solid)
    return pockets == largest(pockets)


def _timed(method: Callable, volume: CTVolume, repeats: int) -> tuple[float, float, object]:
    """Median seconds by the clock and of all processors, and the result."""
    times = []
    for _ in range(repeats):
        started, busy = time.perf_counter(), time.process_time()
        result = method(volume)
        times.append((time.perf_counter() - started, time.process_time() - busy))
    by_clock, by_processor = (sorted(column)[len(times) // 2] for column in zip(*times))
    return by_clock, by_processor, result


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other)))


def _ns(seconds: float) -> str:
    return f"{seconds * 1e9:.0f} ns a voxel"


if __name__ == "__main__":
    for row in run():
        print("  " + " | ".join(row), flush=True)

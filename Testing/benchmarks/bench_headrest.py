"""Taking headrest and table out of a 512 x 512 x 200 head, side by side with the method that the project began with."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import memory
import numpy as np
from CTVolumeLib import phantom
from CTVolumeLib.volume import CTVolume
from HeadrestRemovalLib import cluster, equipment, evaluation_recipe, remove
from HeadrestRemovalLib.results import EquipmentResult

Row = tuple[str, str, str]

PIXELS, SLICES = 512, 200
FIELD_MM, LENGTH_MM = 400.0, 300.0
CLASSES = 3
"""Of the source's K-means: air, soft, dense."""

SLOW_SLICES, NETWORK_SLICES = 10, 3
"""The slow ones are run on so many slices, evenly apart, and scaled."""

REPEATS = 3


def run(pixels: int = PIXELS, slices: int = SLICES, repeats: int = REPEATS) -> list[Row]:
    """All on the same head in the same run.

    Args:
        pixels: along a row.
        slices: of the scan.
        repeats: of the clustering, of which the median counts.

    Returns:
        Rows of name, figure and bar.
    """
    volume = head(pixels, slices).volume
    rows: list[Row] = []
    seconds, result = _timed(clustering, volume, repeats)
    rows.append((f"clustering, {pixels} x {pixels} x {slices}", f"{seconds:.2f} s", ""))
    part = volume.crop(k=slice(0, slices)).array[:: max(1, slices // SLOW_SLICES)]
    source_slice(part[0])  # imports are no part of the method, and would count as often as slices are left out
    started = time.perf_counter()
    for plane in part:
        source_slice(plane)
    theirs = (time.perf_counter() - started) * slices / len(part)
    name = f"K-means a slice and its components, from {len(part)} slices"
    rows.append((name, f"{theirs:.1f} s, {theirs / seconds:.1f} x ours", ">= 5 x"))
    started = time.perf_counter()
    remove.remove(volume, result.labels)
    rows.append(("taking it out", f"{time.perf_counter() - started:.2f} s", ""))
    recipe, _ = _timed(evaluation_recipe.keep, volume, 1)
    rows.append(("Slicer's recipe on voxels", f"{recipe:.2f} s", ""))
    ours, _ = _timed(network, volume, 1)
    keras = seven_levels(volume, NETWORK_SLICES)
    rows.append(("network", f"{ours:.2f} s", "well under 60 s"))
    default, _ = _timed(equipment.find, volume, 1)
    rows.append((f"{equipment.BEST}, the default", f"{default:.2f} s", ""))
    rows.append(
        (
            f"seven-level network through Keras, from {NETWORK_SLICES} slices",
            f"{keras:.0f} s, {keras / ours:.1f} x ours",
            ">= 10 x",
        )
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.npy"
        np.save(path, volume.array)
        for name in ("clustering", "network"):
            figure = memory.for_a_voxel(path, "bench_headrest", name, volume.spacing, (60, 90))
            rows.append((f"peak extra memory, {name}", f"{figure:.1f} bytes a voxel", ""))
    return rows


def head(pixels: int, slices: int) -> phantom.Phantom:
    """A head on a headrest and the beginning of the table."""
    step, along = FIELD_MM / pixels, LENGTH_MM / slices
    return phantom.make(
        phantom.PhantomParameters(
            spacing=(step, step, along), field_mm=FIELD_MM, field_centre=(0.0, 40.0), headrest="curved",
            z_range=(15.0 - along * (slices - 1), 15.0),
        )
    )  # fmt: skip


def clustering(volume: CTVolume) -> EquipmentResult:
    """What is measured."""
    return cluster.label(volume)


def network(volume: CTVolume) -> EquipmentResult:
    """What is measured: the shipped network, alone, through the engine that is there."""
    from HeadrestRemovalLib import prediction

    return prediction.label(volume)


def source_slice(plane: np.ndarray) -> list[tuple[float, float]]:
    """Mean and standard deviation of HU of each component of each cluster of a slice, as the source method has it.

    K-means by scikit-learn on the slice's pixels (started once, its default), components by scikit-image.
    """
    from skimage import measure
    from sklearn.cluster import KMeans

    fitted = KMeans(n_clusters=CLASSES, n_init=1, random_state=0).fit(plane.reshape(-1, 1).astype(np.float32))
    parts = measure.label(fitted.labels_.reshape(plane.shape) + 1)
    regions = measure.regionprops(parts, intensity_image=plane)
    return [(float(region.intensity_mean), float(region.image_intensity[region.image].std())) for region in regions]


def seven_levels(volume: CTVolume, slices: int) -> float:
    """Seconds that the source's seven-level network needs for a scan, from a few of its slices, through Keras."""
    import keras
    from HeadrestRemovalLib.network import build

    built = build("same-7")
    size = built.input_shape[1]
    planes = volume.array[:: max(1, len(volume.array) // slices)][:slices].astype(np.float32)
    padded = np.full((len(planes), size, size, 1), -1.0, np.float32)
    rows, columns = (min(size, length) for length in planes.shape[1:])
    padded[:, :rows, :columns, 0] = planes[:, :rows, :columns] / 1000
    built.predict(padded[:1], verbose=0)  # the first call compiles
    started = time.perf_counter()
    for plane in padded:
        built.predict(plane[None], verbose=0)
    seconds = (time.perf_counter() - started) * len(volume.array) / len(padded)
    keras.backend.clear_session()
    return seconds


def _timed(method: Callable, volume: CTVolume, repeats: int) -> tuple[float, object]:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        result = method(volume)
        times.append(time.perf_counter() - started)
    return sorted(times)[len(times) // 2], result


if __name__ == "__main__":
    for row in run():
        print("  " + " | ".join(row), flush=True)

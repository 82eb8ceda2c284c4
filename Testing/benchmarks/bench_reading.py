"""Speed of reading a DICOM folder, side by side with SimpleITK (uncompressed) and pydicom (compressed).

Run it alone with ``python Testing/benchmarks/bench_reading.py [slices]``.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from CTVolumeLib import dicom
from pydicom import dcmread
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support_dicom import dataset, write

Row = tuple[str, float, float, float, str]

SIZE = 512
TURNS = 5


def run(slices: int = 500, compressed: int = 60) -> list[Row]:
    """Time both sides on the same files, by turns; the best of five counts.

    Args:
        slices: of the uncompressed folder.
        compressed: of the compressed folders; each slice costs the same.

    Returns:
        Rows of name, our seconds, their seconds, theirs / ours, and what is asked for.
    """
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain"
        write_series(plain, slices, None)
        names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(plain))
        bar = ">= 1: no slower"
        ours, given, searched = _best(
            lambda: dicom.read(plain), lambda: _simpleitk(names), lambda: _simpleitk(_search(plain))
        )
        rows.append(
            (f"read {slices} slices, SimpleITK with its search for names", ours, searched, searched / ours, bar)
        )
        rows.append((f"read {slices} slices, SimpleITK told the names", ours, given, given / ours, bar))
        for name, syntax in (("JPEG-LS", JPEGLSLossless), ("JPEG 2000", JPEG2000Lossless)):
            packed = Path(folder) / name
            write_series(packed, compressed, syntax)
            ours, theirs = _best(lambda packed=packed: dicom.read(packed), lambda packed=packed: _pydicom(packed))
            rows.append((f"read {compressed} slices of {name}, pydicom alone", ours, theirs, theirs / ours, bar))
    return rows


def write_series(folder: Path, count: int, syntax: str | None, *, pixels: int = SIZE, step_mm: float = 0.8) -> None:
    """Write slices with a body, noise as scanners make it, and a header of usual length, ``step_mm`` apart."""
    noise = np.random.default_rng(0).normal(0, 12, (pixels, pixels))
    j, i = np.mgrid[:pixels, :pixels] / pixels - 0.5
    body = np.where((j / 0.33) ** 2 + (i / 0.44) ** 2 < 1, 40 + 60 * np.sin(20 * i) * np.cos(17 * j), -1000) + noise
    spacing = 0.7 * SIZE / pixels
    for k in range(count):
        hu = np.roll(body, 3 * k, axis=0).clip(-1024, 3000)
        slice_ = dataset(
            hu.astype(np.int16), position=(-180.0, -180.0, step_mm * k), number=count - k, spacing=(spacing, spacing)
        )
        for number in range(80):
            slice_.add_new(0x00191010 + number, "LO", f"value {number} of the maker")
        slice_.add_new(0x00190010, "LO", "MAKER")
        if syntax:
            slice_.compress(syntax, generate_instance_uid=False)
        write(slice_, folder / f"{(k * 7919) % count:05d}.dcm")


def _best(*jobs: Callable[[], object]) -> list[float]:
    seconds = [float("inf")] * len(jobs)
    for _ in range(TURNS):
        for number, job in enumerate(jobs):
            start = time.perf_counter()
            job()
            seconds[number] = min(seconds[number], time.perf_counter() - start)
    return seconds


def _search(folder: Path) -> tuple[str, ...]:
    return sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))


def _simpleitk(names: tuple[str, ...]) -> np.ndarray:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(names)
    return sitk.GetArrayViewFromImage(reader.Execute())


def _pydicom(folder: Path) -> np.ndarray:
    """What one writes with pydicom: read all, sort by position, rescale."""
    slices = sorted((dcmread(path) for path in folder.iterdir()), key=lambda item: item.ImagePositionPatient[2])
    return np.stack(
        [(item.pixel_array * item.RescaleSlope + item.RescaleIntercept).astype(np.int16) for item in slices]
    )


if __name__ == "__main__":
    for name, ours, theirs, ratio, bar in run(int(sys.argv[1]) if len(sys.argv) > 1 else 500):
        print(f"{name:55} ours {ours:6.2f} s  theirs {theirs:6.2f} s  ratio {ratio:5.2f}  ({bar})")

"""Small labelled scans: boxes of noise in which the finding is a bright ball."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from CTVolumeLib import segments
from CTVolumeLib.volume import CTVolume
from LungSegmentLib.classifier import table
from LungSegmentLib.classifier.prepared import PreparedScan

SHAPE = (8, 16, 16)


def box(finding: bool, seed: int, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """(k, j, i) int16 HU: air with a body of water in it, and in that a ball of 300 HU where there is a finding."""
    rng = np.random.default_rng(seed)
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    hu = np.where(np.hypot(j, i) < 0.9, 0.0, -1000.0)
    centre = rng.uniform(-0.4, 0.4, 3)
    if finding:
        hu[np.sqrt((k - centre[0]) ** 2 + (j - centre[1]) ** 2 + (i - centre[2]) ** 2) < 0.35] = 300
    return np.rint(hu + rng.normal(0, 15, shape)).astype(np.int16)


def write_table(folder: Path, count: int = 12, scans_each: int = 1, shape: tuple[int, int, int] = SHAPE) -> Path:
    """So many patients, every second one with the finding; returns the table."""
    rows = []
    for patient in range(count):
        for scan in range(scans_each):
            path = folder / "scans" / f"p{patient:02d}-{scan}.nii.gz"
            volume = CTVolume(box(patient % 2 == 0, 10 * patient + scan, shape), (3.0, 3.0, 4.0))
            path.parent.mkdir(parents=True, exist_ok=True)
            segments.write_volume(path, volume)
            rows.append((path, int(patient % 2 == 0), f"SECRET{patient}"))
    table.write(folder / "scans.csv", rows)
    return folder / "scans.csv"


def prepared_scans(folder: Path, count: int = 12, shape: tuple[int, int, int] = SHAPE) -> list[PreparedScan]:
    """The same as if they had been made ready, without reading and writing scans."""
    found = []
    for number in range(count):
        values = np.clip((box(number % 2 == 0, number, shape) + 1000) / 1400, 0, 1).astype(np.float16)
        (folder / f"s{number:03d}").mkdir(parents=True)
        np.save(folder / f"s{number:03d}" / "input.npy", values)
        found.append(PreparedScan(f"s{number:03d}", int(number % 2 == 0), f"p{number}", folder / f"s{number:03d}"))
    return found

"""Scans, locations and matches for tests of the reports: made up, or true ones from annotated landmarks; no model."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from CTSliceLocalizerLib.landmarks import BODY_MM, LANDMARKS, body_to_location, interpolate
from CTSliceLocalizerLib.matching import Match, Pair
from CTSliceLocalizerLib.results import Flag, LandmarkEstimate, ScanLocation
from CTVolumeLib.volume import CTVolume
from support_locations import fake_location


def make_volume(count: int = 40, size: int = 64, spacing=(4.0, 4.0, 6.0), bottom: float = -120.0) -> CTVolume:
    """A body as an elliptic cylinder with a spine of vertebrae and discs; every slice differs from its neighbours."""
    j, i = np.mgrid[:size, :size]
    middle = (size - 1) / 2
    array = np.full((count, size, size), -1000, dtype=np.int16)
    for k in range(count):
        width = 0.30 + 0.08 * np.sin(k / count * np.pi)
        body = ((i - middle) / (width * size)) ** 2 + ((j - middle) / (0.22 * size)) ** 2 < 1
        array[k][body] = 20 + (k % 5) * 40
        spine = ((i - middle) / (0.06 * size)) ** 2 + ((j - middle * 1.25) / (0.06 * size)) ** 2 < 1
        array[k][spine] = 600 if k % 5 else 120
    origin = (-spacing[0] * middle, -spacing[1] * middle, bottom)
    sources = tuple(f"{k + 1}.dcm" for k in range(count))
    return CTVolume(array, tuple(map(float, spacing)), origin, sources=sources)


def make_location(
    volume: CTVolume,
    body_at_bottom: float = 420.0,
    *,
    stretch: float = 1.0,
    known: dict[str, float] | None = None,
    sigma_mm: float = 4.0,
    flags: tuple[Flag, ...] = (),
    source: str = "scan",
    seed: int = 0,
) -> ScanLocation:
    """A result for a volume: body coordinate linear in z, or through known landmarks.

    Args:
        volume: axial.
        body_at_bottom: body coordinate of the lowest slice, where no landmarks are known.
        stretch: change of the body coordinate per mm.
        known: z of landmarks.
        sigma_mm: standard deviation everywhere.
        flags: warnings.
        source: name of the scan.
        seed: of the noise of the raw values.
    """
    z_mm = volume.superior()
    if known and len(known) == 1:
        (name, height), *_ = known.items()
        body_at_bottom = BODY_MM[[landmark.name for landmark in LANDMARKS].index(name)] + height - z_mm[0]
    if known and len(known) > 1:
        names = [landmark.name for landmark in LANDMARKS if landmark.name in known]
        heights = np.array([known[name] for name in names])
        bodies = np.array([landmark.body_mm for landmark in LANDMARKS if landmark.name in known])
        order = np.argsort(heights)
        body = interpolate(z_mm, heights[order], bodies[order])
        all_z = interpolate(BODY_MM, bodies, heights)
    else:
        body = body_at_bottom - stretch * (z_mm - z_mm[0])
        all_z = z_mm[0] + (body_at_bottom - BODY_MM) / stretch
    raw = body_to_location(body + np.random.default_rng(seed).normal(0, 3 * sigma_mm, len(z_mm)))
    estimates = []
    for landmark, z in zip(LANDMARKS, all_z):
        inside = bool(z_mm[0] <= z <= z_mm[-1])
        estimates.append(
            LandmarkEstimate(landmark.name, landmark.location, float(z) if inside else None, sigma_mm, inside)
        )
    index = np.asarray(volume.meta.get("slice_index", range(len(z_mm))))
    return replace(
        fake_location(z_mm, body, sigma_mm=sigma_mm, index=index, files=tuple(volume.sources), flags=flags),
        raw=raw,
        sigma=np.full(len(z_mm), 0.004),
        landmarks=tuple(estimates),
        series={"source": source, "modality": "CT", "slices": len(z_mm), "z_mm": [z_mm[0], z_mm[-1]]},
        model={"name": "test-model", "sha256": "0123456789abcdef" * 4},
    )


def make_pair() -> tuple[tuple[CTVolume, ScanLocation], tuple[CTVolume, ScanLocation]]:
    """A scan and a shorter, coarser follow-up with a flag, each with its result."""
    baseline = make_volume(count=40, bottom=-120.0)
    followup = make_volume(count=30, bottom=50.0, size=48)
    flags = (Flag("noisy", "The scan is noisy."),)
    return (baseline, make_location(baseline, source="before")), (
        followup,
        make_location(followup, body_at_bottom=380.0, source="after", flags=flags),
    )


def make_match(baseline: ScanLocation, followup: ScanLocation, flags: tuple[Flag, ...] = ()) -> Match:
    """The match of two results by their body coordinates."""
    pairs = []
    for k, z in enumerate(baseline.z_mm):
        at = float(np.interp(-baseline.body_mm[k], -followup.body_mm, followup.z_mm, left=np.nan, right=np.nan))
        covered = bool(np.isfinite(at))
        index = int(followup.index[np.argmin(np.abs(followup.z_mm - at))]) if covered else None
        pairs.append(
            Pair(
                baseline_index=int(baseline.index[k]),
                baseline_z_mm=float(z),
                followup_index=index,
                followup_z_mm=at if covered else None,
                sigma_mm=5.0 if covered else None,
                covered=covered,
                method="curve",
            )
        )
    return Match(pairs=tuple(pairs), flags=flags, refused=None)


def real_scan(folder: Path, name: str) -> tuple[CTVolume, ScanLocation]:
    """A scan of the real CT and a result made from its annotated landmarks.

    Args:
        folder: of the real CT.
        name: such as "wb01".
    """
    import SimpleITK

    image = SimpleITK.ReadImage(str(folder / "vol" / f"{name}.nii.gz"))
    volume = CTVolume(SimpleITK.GetArrayFromImage(image), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    volume = volume.as_axial()
    with (folder / "landmarks.csv").open(encoding="utf-8") as lines:
        known = {row["landmark"]: float(row["z_mm"]) for row in csv.DictReader(lines) if row["id"] == name}
    return volume, make_location(volume, known=known, source=f"{name}.nii.gz")

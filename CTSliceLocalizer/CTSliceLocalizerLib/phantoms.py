"""Phantom scans on disk: a DICOM series, a follow-up of it, and ``truth.json`` (schema ct-phantom/1).

On request also a segmentation of each series, named by its SeriesInstanceUID, as ``ct-localize label-masks`` wants it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from CTVolumeLib import dicom, phantom, phantom_structures
from CTVolumeLib.files import write_atomic
from CTVolumeLib.volume import CTVolume

SCHEMA = "ct-phantom/1"
BASELINE, FOLLOWUP, TRUTH, MASKS = "phantom", "phantom_followup", "truth.json", "masks"

_MOVED_MM = 337.0
_NARROWER = 0.02


def write(
    out: Path | str,
    *,
    followup: bool = False,
    coverage: tuple[float, float] = (0.12, 0.36),
    spacing: tuple[float, float, float] = (2.0, 2.0, 5.0),
    size: float = 1.0,
    breathing: float = 0.5,
    arms: str = "none",
    seed: int = 0,
    variation: float = 0.0,
    masks: bool = False,
) -> dict[str, Any]:
    """Write a phantom, on request with a follow-up, and return the content of truth.json.

    The follow-up is the same patient with another origin, slice spacing, range and posture, and a little less breath.

    Args:
        out: folder; gets ``phantom/``, ``phantom_followup/``, ``masks/`` and ``truth.json``.
        followup: whether to write a follow-up, too.
        coverage: article locations of the highest and the lowest slice.
        spacing: mm along i, j, k.
        size: stature, 1 is 1.71 m.
        breathing: 0 breathed out .. 1 breathed in.
        arms: "up", "down" or "none".
        seed: of the person; also in his PatientID.
        variation: how much the proportions along the body differ between people, as a share (0 to 0.15).
        masks: whether to write segmentations, too.

    Raises:
        CTError: a parameter out of range, or the folder can't be written.
    """
    out = Path(out)
    first = phantom.PhantomParameters(
        coverage=coverage,
        spacing=spacing,
        size=size,
        breathing=breathing,
        arms=arms,
        seed=seed,
        variation=variation,
    )
    baseline = phantom.make(first)
    truth: dict[str, Any] = {"schema": SCHEMA, "baseline": _scan(out, BASELINE, baseline, 1, masks)}
    if followup:
        second = replace(
            first,
            vertex_z_mm=first.vertex_z_mm + _MOVED_MM,
            coverage=(coverage[0] + _NARROWER, coverage[1] - _NARROWER),
            spacing=(*spacing[:2], spacing[2] * 0.8),
            breathing=max(breathing - 0.2, 0.0),
            neck_flexion=8.0,
            offset_mm=(8.0, -5.0),
            noise_seed=seed + 1,
        )
        later = phantom.make(second)
        truth["followup"] = _scan(out, FOLLOWUP, later, 2, masks)
        truth["pairs"] = _pairs(baseline, later)
    write_atomic(out / TRUTH, json.dumps(truth, indent=1))
    return truth


def _scan(out: Path, name: str, made: phantom.Phantom, number: int, masks: bool) -> dict[str, Any]:
    seed = made.parameters.seed
    # Two examinations share no frame of reference: another seed gives other UIDs.
    phantom.write_dicom(
        made.volume, out / name, seed=10 * seed + number, series_number=number, patient_id=f"PHANTOM{seed}"
    )
    if masks:
        uid = dicom.series_in(out / name)[0].uid
        phantom_structures.write_segmentation(made, out / MASKS / f"{uid}.seg.nrrd")
    volume: CTVolume = made.volume
    z_mm = volume.superior()
    return {
        "folder": name,
        "z_mm": [round(float(z_mm[0]), 3), round(float(z_mm[-1]), 3)],
        "landmarks": {landmark: round(z, 3) for landmark, z in made.landmarks.items()},
    }


def _pairs(baseline: phantom.Phantom, later: phantom.Phantom) -> list[dict[str, float]]:
    """Where each baseline slice lies in the follow-up: its bones, and the organs that the breath moves."""
    z_mm = baseline.volume.superior()
    moved = [phantom.displacement(baseline, later, tissue)(z_mm) for tissue in ("skeleton", "organs")]
    return [
        {
            "baseline_z_mm": round(float(z), 3),
            "followup_z_mm": round(float(bones), 3),
            "organs_z_mm": round(float(organs), 3),
        }
        for z, bones, organs in zip(z_mm, *moved)
    ]

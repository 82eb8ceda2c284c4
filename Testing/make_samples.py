"""Make the shipped sample scan and its follow-up again from the data set: python Testing/make_samples.py --data DIR.

The sample is the chest CT of CPTAC-PDA subject C3N-00249 (The Cancer Imaging Archive, CC BY 3.0), which no shipped
model is trained on. The follow-up is NOT a second examination: it is the same scan, moved, cropped and resampled by a
known map, so that the demo can say how far a match is off. The map lies beside it as JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import SimpleITK
from CTVolumeLib.files import replacing, write_atomic
from CTVolumeLib.volume import CTVolume
from support_followup import KnownMap, make_followup

SOURCE_ID = "gc01"
TARGET = Path(__file__).resolve().parents[1] / "CTVolume" / "Resources" / "SampleData"
BASELINE, FOLLOWUP = "CTChestSample.nii.gz", "CTChestSampleFollowUp.nii.gz"
MAX_BYTES = 3 * 2**20

KNOWN = KnownMap(shift_mm=412.0, amplitude_mm=8.0, wavelength_mm=290.0, centre_mm=-100.0)
CHANGES = {
    "baseline_range_mm": (-225.0, 12.0),
    "slice_mm": 4.0,
    "shift_in_plane_mm": (9.0, -6.0),
    "rotation_deg": 3.0,
    "scale": 0.985,
    "noise_hu": 12.0,
    "hu_step": 8,
    "seed": 8,
}


def main() -> None:
    """Read the source, write both volumes and the map."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds vol/")
    parser.add_argument("--out", type=Path, default=TARGET)
    arguments = parser.parse_args()
    baseline = _read(arguments.data / "vol" / f"{SOURCE_ID}.nii.gz")
    followup = make_followup(baseline, KNOWN, **CHANGES)
    for name, volume in ((BASELINE, baseline), (FOLLOWUP, followup)):
        _write(volume, arguments.out / name)
    write_atomic(arguments.out / FOLLOWUP.replace(".nii.gz", ".json"), json.dumps(_map(baseline, followup), indent=1))
    print(f"{BASELINE}, {FOLLOWUP} and its map are in {arguments.out}")


def _map(baseline: CTVolume, followup: CTVolume) -> dict:
    z_mm, low, high = baseline.superior(), followup.superior()[0], followup.superior()[-1]
    matched = KNOWN.followup(z_mm)
    return {
        "about": "Made from the sample by a known map; not a second examination. LPS z in mm.",
        "baseline": BASELINE,
        "followup": FOLLOWUP,
        "map": "followup_z = z + shift_mm + amplitude_mm * sin(2 pi (z - centre_mm) / wavelength_mm)",
        "parameters": vars(KNOWN),
        "changes": CHANGES,
        "pairs": [
            {"baseline_z_mm": round(float(a), 3), "followup_z_mm": round(float(b), 3) if low <= b <= high else None}
            for a, b in zip(z_mm, matched)
        ],
    }


def _read(path: Path) -> CTVolume:
    """Only voxels and geometry: whatever else the header says stays behind."""
    image = SimpleITK.ReadImage(str(path))
    volume = CTVolume(
        SimpleITK.GetArrayFromImage(image).astype(np.int16),
        image.GetSpacing(),
        image.GetOrigin(),
        direction=image.GetDirection(),
    )
    return volume.as_axial()


def _write(volume: CTVolume, path: Path) -> None:
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(volume.array))
    image.SetSpacing(volume.spacing)
    image.SetOrigin(volume.origin)
    image.SetDirection(volume.direction)
    with replacing(path) as temporary:
        SimpleITK.WriteImage(image, str(temporary), useCompression=True, compressionLevel=9)
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise SystemExit(f"{path.name} has {size / 2**20:.1f} MB, more than a sample may have.")


if __name__ == "__main__":
    main()

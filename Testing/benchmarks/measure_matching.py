"""How far matches are off: python Testing/benchmarks/measure_matching.py --data DIR [ID ...].

Each scan gets follow-ups by known maps (another origin and slice spacing, cropped, displaced smoothly by up to 10 mm,
moved, turned and scaled in plane, noise), plain and changed further (less contrast, blurred, smaller field of view,
smooth in-plane warp). Both are located by the shipped model and matched. Real pairs of examinations differ more; the
one in the data set (wb01 and ch16) is compared by the arch and the carina.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from CTSliceLocalizerLib import matching, predictor, registration
from CTVolumeLib import dicom
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support_followup import KnownMap, make_followup

IDS = ("gc01", "ch13", "ga04", "gw01", "gn01", "hn10", "ch21", "kc03", "tb02", "head01", "ab04", "hn144")
CHANGES = ("plain", "changed", "changed and warped")
SHARED_LANDMARKS = ("Aortic arch", "Bifurcation of trachea")


def main() -> None:
    """Print one line for each pair and a summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds vol/ and landmarks.csv")
    parser.add_argument("ids", nargs="*", default=IDS)
    arguments = parser.parse_args()
    rng = np.random.default_rng(1)
    found = {"curve": [], "registered": []}
    print(
        "scan    follow-up            curve: median, max, error/sigma   refined: median, max, error/sigma, registered"
    )
    for name in arguments.ids:
        volume = dicom.read(arguments.data / "vol" / f"{name}.nii.gz").as_axial()
        for change in CHANGES:
            _measure(name, volume, change, rng, found)
    for method, errors in found.items():
        error, sigma = np.concatenate(errors, axis=1)
        ratio = np.sqrt(np.mean((error / sigma) ** 2))
        print(
            f"{method}: {error.size} slices, off by {np.median(error):.1f} mm (median), {np.percentile(error, 95):.1f} "
            f"(95 %), {error.max():.1f} (max); root mean square of error / sigma {ratio:.2f}"
        )
    _real_pair(arguments.data)


def _measure(name: str, volume: CTVolume, change: str, rng: np.random.Generator, found: dict[str, list]) -> None:
    z_mm = volume.superior()
    length = z_mm[-1] - z_mm[0]
    known = KnownMap(300.0, float(rng.choice([6, 10])), rng.uniform(220, 350), rng.uniform(z_mm[0], z_mm[-1]))
    followup = make_followup(
        volume,
        known,
        baseline_range_mm=(z_mm[0] + rng.uniform(0, 0.3) * length, z_mm[-1] - rng.uniform(0, 0.3) * length),
        slice_mm=float(rng.choice([2.0, 4.0, 5.0])),
        shift_in_plane_mm=(12.0, -9.0),
        rotation_deg=4.0,
        scale=0.97,
        noise_hu=25.0,
    )
    followup = _changed(followup, change)
    one, two = predictor.locate(volume), predictor.locate(followup)
    curve = matching.match(one, two)
    refined = registration.refine(curve, volume, followup)
    texts = []
    for method, result in (("curve", curve), ("registered", refined)):
        pairs = [pair for pair in result.pairs if pair.covered]
        error = np.array([abs(pair.followup_z_mm - known.followup(pair.baseline_z_mm)) for pair in pairs])
        sigma = np.array([pair.sigma_mm for pair in pairs])
        kept = np.array([pair.method == method for pair in pairs], dtype=bool)
        if kept.any():
            found[method].append(np.stack([error, sigma])[:, kept])
            texts.append(f"{np.median(error):5.1f} {error.max():5.1f} {np.sqrt(np.mean((error / sigma) ** 2)):5.2f}")
        else:
            texts.append("    -     -     -")
    share = np.mean([pair.method == "registered" for pair in refined.pairs if pair.covered] or [0])
    flags = " ".join(flag.code for flag in curve.flags)
    print(f"{name:7s} {change:20s} {texts[0]}   {texts[1]}   {share:.2f} {flags}", flush=True)


def _changed(volume: CTVolume, change: str) -> CTVolume:
    """The follow-up as if scanned otherwise: less contrast, smoother, smaller field of view, on request warped."""
    if change == "plain":
        return volume
    array = volume.array.astype(np.float32)
    array = np.where((array > 80) & (array < 300), 80 + (array - 80) * 0.25, array)
    array = ndimage.gaussian_filter(array, (0, 1, 1))
    edge = int(40 / volume.spacing[0])
    array[:, :, :edge] = array[:, :, -edge:] = array[:, :edge] = -1024
    if change.endswith("warped"):
        k, j, i = np.indices(array.shape, dtype=np.float32)
        j = j + 8 / volume.spacing[1] * np.sin(i / 20 + k / 15)
        i = i + 8 / volume.spacing[0] * np.sin(j / 20 - k / 12)
        array = ndimage.map_coordinates(array, [k, j, i], order=1, mode="nearest")
    return volume.with_array(array.astype(np.int16))


def _real_pair(data: Path) -> None:
    """One person, two studies: the arch and the carina by eye, and by the match."""
    with (data / "landmarks.csv").open(newline="") as file:
        rows = [(row["id"], row["landmark"], float(row["z_mm"])) for row in csv.DictReader(file)]
    known = {(name, landmark): z for name, landmark, z in rows}
    one, two = (dicom.read(data / "vol" / f"{name}.nii.gz").as_axial() for name in ("wb01", "ch16"))
    heights = [known["wb01", landmark] for landmark in SHARED_LANDMARKS]
    curve = matching.match(predictor.locate(one), predictor.locate(two))
    for method, result in (("curve", curve), ("registered", registration.refine(curve, one, two))):
        for pair, landmark in zip(result.at(heights).pairs, SHARED_LANDMARKS):
            if pair.covered:
                difference = pair.followup_z_mm - known["ch16", landmark]
                text = f"{difference:+.1f} mm against the eye, sigma {pair.sigma_mm:.1f}"
                print(f"wb01 -> ch16 {landmark}, {method}: {text}")
            else:
                print(f"wb01 -> ch16 {landmark}, {method}: not covered")


if __name__ == "__main__":
    main()

"""The main job on real scans: python Testing/demo.py --out DIR [SCAN] [FOLLOWUP].

Without arguments it takes the sample scan that the project ships and its follow-up, whose place in the sample is known
exactly, so that it can say how far the match is off.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from CTSliceLocalizerLib import predictor, scanfiles
from CTSliceLocalizerLib.cli import describe_pair
from CTSliceLocalizerLib.matching import Match
from CTSliceLocalizerLib.results import ScanLocation
from CTVolumeLib import scans
from CTVolumeLib.errors import CTError

SAMPLES = Path(__file__).resolve().parents[1] / "CTVolume" / "Resources" / "SampleData"
BASELINE, FOLLOWUP = SAMPLES / "CTChestSample.nii.gz", SAMPLES / "CTChestSampleFollowUp.nii.gz"
TRUTH = SAMPLES / "CTChestSampleFollowUp.json"
SHOWN_PAIRS = 8


def main(argv: list[str] | None = None) -> int:
    """Locate, match, and say what came out; the exit code is 0 unless something can't be read or located."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", nargs="?", type=Path, help="DICOM folder, zip, or volume file")
    parser.add_argument("followup", nargs="?", type=Path, help="a later scan of the same patient")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for the results")
    arguments = parser.parse_args(argv)
    start = time.perf_counter()
    scan, followup = arguments.scan or BASELINE, arguments.followup
    if arguments.scan is None:
        followup = FOLLOWUP
    try:
        refused = _locate(scan, arguments.out) if followup is None else _match(scan, followup, arguments.out)
    except CTError as error:
        print(error, file=sys.stderr)
        return 3
    print(f"\nThis took {time.perf_counter() - start:.1f} s. Open in a browser: {arguments.out / 'report.html'}")
    print("Research use only, not a medical device.")
    return 1 if refused else 0


def _locate(scan: Path, out: Path) -> bool:
    volume = scans.read(scan)
    location = predictor.locate(volume)
    scanfiles.write(out, volume, location)
    _describe(scan.name, location)
    return location.refused is not None


def _match(scan: Path, followup: Path, out: Path) -> bool:
    matched = scanfiles.match_paths(scan, followup, out)
    for path, location in zip((scan, followup), matched.locations):
        _describe(path.name, location)
    found = matched.match
    print(f"\nWhere the slices of {scan.name} lie in {followup.name}")
    for flag in (found.refused, *found.flags):
        if flag:
            print(f"  ! {flag.text}")
    if found.refused:
        return True
    step = max(len(found.pairs) // SHOWN_PAIRS, 1)
    for pair in found.pairs[step // 2 :: step]:
        print(f"  {describe_pair(pair)}")
    covered = sum(pair.covered for pair in found.pairs)
    registered = sum(pair.covered and pair.method == "registered" for pair in found.pairs)
    print(f"  {covered} of {len(found.pairs)} slices are in the follow-up, {registered} confirmed by the images.")
    if (scan, followup) == (BASELINE, FOLLOWUP):
        _compare(found)
    return False


def _describe(name: str, location: ScanLocation) -> None:
    """What a person wants to know of a located scan."""
    print(f"\n{name}")
    if location.refused:
        print(f"  ! refused: {location.refused.text}")
        return
    print(f"  {len(location.z_mm)} slices, from the {location.coverage.words}")
    for landmark in location.landmarks:
        if landmark.inside:
            print(f"  {landmark.name:24s} z {landmark.z_mm:8.1f} mm +- {landmark.sigma_mm:.1f} mm")
    for flag in location.flags:
        print(f"  ! {flag.text}")


def _compare(found: Match) -> None:
    """How far the match of the sample is off: its follow-up was made by a known map."""
    truth = json.loads(TRUTH.read_text(encoding="utf-8"))
    known = {row["baseline_z_mm"]: row["followup_z_mm"] for row in truth["pairs"]}
    both = [(pair.followup_z_mm, known[round(pair.baseline_z_mm, 3)]) for pair in found.pairs if pair.covered]
    errors = np.array([abs(got - right) for got, right in both if right is not None])
    print(
        f"  This follow-up was made from the sample by a known map: off by {np.median(errors):.1f} mm (median), "
        f"{errors.max():.1f} mm at most."
    )


if __name__ == "__main__":
    sys.exit(main())

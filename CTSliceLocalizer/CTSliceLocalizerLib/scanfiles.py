"""From scans to files of results: what the commands do to disks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from CTVolumeLib import scans
from CTVolumeLib.batch import Item
from CTVolumeLib.files import write_atomic
from CTVolumeLib.inference import Model
from CTVolumeLib.volume import CTVolume

from . import matching, predictor, registration, report
from .matching import Match
from .results import ScanLocation


def locate_item(item: Item, folder: Path) -> dict[str, Any]:
    """Locate one scan of a batch and write its files; what comes back goes into the summary.

    Args:
        item: of ``scans.find_items``; its settings are "model", "engine", "report", and "model_file" of a model of
            one's own.
        folder: to write into.

    Raises:
        CTError: the scan can't be read or located.
    """
    volume = scans.volume_of(item)
    engine, own = item.settings["engine"], item.settings.get("model_file")
    location = predictor.locate(volume, engine=engine, model=predictor.load_model(own, engine) if own else None)
    write(folder, volume, location, item.settings["report"])
    return {
        "slices": len(volume.as_axial().array),
        "covers": location.coverage.words if location.coverage else "",
        "flags": " ".join(flag.code for flag in location.flags),
        "refused": location.refused.text if location.refused else "",
    }


@dataclass(frozen=True)
class Matched:
    """A baseline and a follow-up, located and matched.

    Attributes:
        locations: of the two scans.
        match: of the baseline's slices.
        at: of the heights that were asked for, or the same as ``match``.
    """

    locations: tuple[ScanLocation, ScanLocation]
    match: Match
    at: Match


def match_paths(
    baseline: Path,
    followup: Path,
    out: Path,
    *,
    heights: Sequence[float] = (),
    refine: bool = True,
    engine: str = "auto",
    model: Model | None = None,
    with_report: bool = True,
) -> Matched:
    """Locate two scans, match them, and write match.json, report.html, baseline/ and followup/.

    Args:
        baseline: file, folder or zip of the earlier scan.
        followup: of the later scan.
        out: folder for the results.
        heights: LPS z in mm of the baseline that match.json shall hold; none for all its slices.
        refine: whether to compare the images, too.
        engine: of the network.
        model: other than the shipped one.
        with_report: whether to write the reports with pictures.

    Raises:
        CTError: a scan can't be read, a height outside the baseline, or the folder can't be written.
    """
    volumes = scans.read(baseline), scans.read(followup)
    locations = tuple(predictor.locate(volume, engine=engine, model=model) for volume in volumes)
    found = matching.match(*locations)
    if heights:
        found.at(heights)  # a height outside the baseline is said before anything slow
    if refine:
        found = registration.refine(found, *volumes)
    for name, volume, location in zip(("baseline", "followup"), volumes, locations):
        write(out / name, volume, location, with_report)
    wanted = found.at(heights) if heights else found
    wanted.write(out / "match.json")
    if with_report:
        report.write_match_report(out / "report.html", volumes[0], locations[0], volumes[1], locations[1], found)
    return Matched(locations, found, wanted)


def write(folder: Path, volume: CTVolume, location: ScanLocation, with_report: bool = True) -> None:
    """Write location.json, slices.csv and landmarks.mrk.json, and report.html unless it is not wanted."""
    if with_report:
        report.write_all(folder, volume, location)
        return
    write_atomic(folder / "slices.csv", report.slices_csv(location))
    write_atomic(folder / "landmarks.mrk.json", report.landmarks_mrk_json(location, volume))
    location.write(folder / "location.json")

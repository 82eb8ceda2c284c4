"""From the paths that a user gives to pieces of work, and from results to files: what the commands do to disks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from CTVolumeLib import dicom, volumefile
from CTVolumeLib.batch import Item
from CTVolumeLib.errors import CTError
from CTVolumeLib.files import write_atomic
from CTVolumeLib.inference import Model
from CTVolumeLib.names import unique_names
from CTVolumeLib.volume import CTVolume

from . import matching, predictor, registration, report
from .matching import Match
from .results import ScanLocation

_Found = tuple[Path, tuple[str, ...], Any]
"""Source that names the result, files that it depends on, payload of the item."""


def items(
    scans: Sequence[Path],
    settings: Mapping[str, Any],
    *,
    say: Callable[[str], None],
    progress: Callable[[int, int, str], bool] | None = None,
) -> list[Item]:
    """One piece of work for each CT series and volume file in the paths, each once.

    A path in which nothing is usable becomes an item as well, one that will fail with the reason.

    Args:
        scans: files, folders and zips.
        settings: what the results depend on: "model", "engine", "report", and "model_file" of a model of one's own.
        say: told which series are skipped and why.
        progress: called with files done, files in all, and a text; False cancels.
    """
    found: dict[tuple[str, ...], _Found] = {}
    for scan in scans:
        for source, files, payload in _found_in(scan.resolve(), say, progress):
            found.setdefault(files or (str(source),), (source, files, payload))
    names = unique_names([source for source, _, _ in found.values()])
    return [
        Item(name, source, files=_on_disk(files), settings=settings, payload=payload)
        for name, (source, files, payload) in zip(names, found.values())
    ]


def locate_item(item: Item, folder: Path) -> dict[str, Any]:
    """Locate one scan of a batch and write its files; what comes back goes into the summary.

    Args:
        item: payload is a DICOM series, a CTError to be reported, or None to read the source.
        folder: to write into.

    Raises:
        CTError: the scan can't be read or located.
    """
    if isinstance(item.payload, CTError):
        raise item.payload
    if item.payload is None:
        volume = read(Path(item.source))
    else:
        volume = _named(dicom.read_series(item.payload), Path(item.source))
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
    volumes = read(baseline), read(followup)
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


def read(path: Path) -> CTVolume:
    """The scan at a path, with the name that results give it: that of its file or folder."""
    return _named(dicom.read(path), path)


def write(folder: Path, volume: CTVolume, location: ScanLocation, with_report: bool = True) -> None:
    """Write location.json, slices.csv and landmarks.mrk.json, and report.html unless it is not wanted."""
    if with_report:
        report.write_all(folder, volume, location)
        return
    write_atomic(folder / "slices.csv", report.slices_csv(location))
    write_atomic(folder / "landmarks.mrk.json", report.landmarks_mrk_json(location, volume))
    location.write(folder / "location.json")


def _found_in(scan: Path, say: Callable[[str], None], progress: Callable[[int, int, str], bool] | None) -> list[_Found]:
    if scan.is_file() and volumefile.is_volume_name(scan.name):
        return [(scan, (str(scan),), None)]
    try:
        series = dicom.series_in(scan, progress)
    except CTError as error:
        if error.code == "cancelled":
            raise
        return [(scan, (), error)]
    usable = [one for one in series if one.unusable is None]
    volumes = [path for path in sorted(scan.rglob("*")) if path.is_file() and volumefile.is_volume_name(path.name)]
    if not usable and not volumes:
        return [(scan, (), None)]  # reading it will say why
    for one in series:
        if one.unusable is not None:
            say(f"Skipped in {scan.name}: {one.description}: {one.unusable}.")
    alone = len(usable) + len(volumes) == 1
    return [(scan if alone else Path(one.folder), one.files, one) for one in usable] + [
        (path, (str(path),), None) for path in volumes
    ]


def _on_disk(files: tuple[str, ...]) -> tuple[str, ...]:
    """Files as they are on disk: for members of a zip the zip."""
    found = []
    for name in files:
        path = Path(name)
        while not path.exists() and path != path.parent:
            path = path.parent
        found.append(str(path))
    return tuple(dict.fromkeys(found))


def _named(volume: CTVolume, path: Path) -> CTVolume:
    return replace(volume, meta={**volume.meta, "source": path.resolve().name})

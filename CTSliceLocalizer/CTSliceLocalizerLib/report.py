"""What a person sees of a result: ``report.html`` of one scan or of a match, with CSV and Slicer markups beside it.

A report is one file that opens without network or server: pictures, numbers and script are inside. Its pieces are in
``report_html``, its pictures in ``report_pictures``, its looks and its scrolling in ``report.css`` and ``report.js``.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from CTVolumeLib.errors import CTError
from CTVolumeLib.files import write_atomic
from CTVolumeLib.volume import CTVolume

from . import report_charts, report_pictures
from . import report_html as html
from .annotations import Point, markups_json
from .landmarks import LANDMARKS, words
from .results import ScanLocation

if TYPE_CHECKING:
    from .matching import Match

_SHEARED = " The slices are tilted: each row of a picture is a slice, and z is that of its middle."

CSV_COLUMNS = ("index", "file", "z_mm", "raw", "location", "sigma", "body_mm", "sigma_mm")


def write_all(folder: Path | str, volume: CTVolume, location: ScanLocation) -> None:
    """Write slices.csv, landmarks.mrk.json, report.html and, last, location.json: where it is, all is there.

    Args:
        folder: made if missing.
        volume: the scan, in any orientation.
        location: its result.

    Raises:
        CTError: the folder can't be written, or the result is not of this scan.
    """
    folder = Path(folder)
    write_atomic(folder / "slices.csv", slices_csv(location))
    write_atomic(folder / "landmarks.mrk.json", landmarks_mrk_json(location, volume))
    write_location_report(folder / "report.html", volume, location)
    location.write(folder / "location.json")


def write_location_report(path: Path | str, volume: CTVolume, location: ScanLocation) -> None:
    """Write the report of one scan.

    Args:
        path: of the HTML file.
        volume: the scan, in any orientation.
        location: its result, refused or not.

    Raises:
        CTError: the file can't be written, or the result is not of this scan.
    """
    volume = _fitting(volume, location)
    pictures = report_pictures.draw(volume)
    z_mm = volume.superior()
    name = html.source_name(location)
    shown = (pictures.coronal, pictures.sagittal)
    coverage = (
        ""
        if location.coverage is None
        else f'<p class="summary">This scan covers <strong>{html.escape(location.coverage.words)}</strong>, '
        f'<span class="number">{html.mm(z_mm[-1] - z_mm[0])} mm</span> from first to last slice.</p>'
    )
    body = f"""
<div class="top">{html.alerts([("", location.refused)], [("", flag) for flag in location.flags])}{coverage}</div>
<section class="card viewer" id="viewer" aria-label="Slices">
  <div class="bar">
    <div class="readout"><span class="place" id="place"></span><span class="number" id="baseline-z"></span>
    <span class="number" id="baseline-numbers"></span></div>
    {html.slider(location, "baseline", z_mm, html.tools(views=pictures.coronal is not None))}
  </div>
  <div class="panes one" id="baseline">
    <div class="axial-box">{html.axial(empty="No slice")}{_left_out(pictures, len(z_mm))}</div>
    <div class="views-box">{html.views(location, "baseline", *shown)}
    <p class="caption">Lines: landmarks, with a band of one standard deviation; blue: the slice shown. Click or drag in
    a picture to go to that height. Axis: z in mm.{_SHEARED if volume.slice_origins is not None else ""}</p></div>
  </div>
</section>
<div class="details">
  <section class="card" aria-label="Landmarks"><h2>Landmarks</h2>{html.landmark_table(location, "baseline")}</section>
  {report_charts.location_chart(location)}
  <section class="card" aria-label="Scan and model"><h2>Scan and model</h2>
  {html.facts(location, _geometry(volume))}</section>
</div>"""
    data = {"scans": [_scan_json("baseline", volume, location, pictures)], "start": len(z_mm) // 2}
    write_atomic(path, html.page(f"{name}: locations", f"Where in the body each slice lies: {name}", body, data))


def write_match_report(
    path: Path | str,
    baseline_volume: CTVolume,
    baseline_location: ScanLocation,
    followup_volume: CTVolume,
    followup_location: ScanLocation,
    match: Match,
) -> None:
    """Write the report of a match: two scans side by side, scrolled by one slider.

    Args:
        path: of the HTML file.
        baseline_volume: the earlier scan, in any orientation.
        baseline_location: its result.
        followup_volume: the later scan.
        followup_location: its result.
        match: of the two, with one pair for each slice of the baseline, or refused.

    Raises:
        CTError: the file can't be written, or results, scans and match don't belong together.
    """
    from . import report_match

    volumes = (_fitting(baseline_volume, baseline_location), _fitting(followup_volume, followup_location))
    if match.refused is None and len(match.pairs) != volumes[0].array.shape[0]:
        raise CTError(
            "bad_match",
            f"The match has {len(match.pairs)} pairs, the baseline {volumes[0].array.shape[0]} slices.",
            "Match the whole scans, without asking for single heights.",
        )
    locations = (baseline_location, followup_location)
    pictures = [report_pictures.draw(volume) for volume in volumes]
    scans = [
        _scan_json(scan, volume, location, drawn)
        for scan, volume, location, drawn in zip(("baseline", "followup"), volumes, locations, pictures)
    ]
    notes = [_left_out(drawn, volume.array.shape[0]) for drawn, volume in zip(pictures, volumes)]
    geometry = [_geometry(volume) for volume in volumes]
    z_mm = [volume.superior() for volume in volumes]
    body, data = report_match.body(z_mm, locations, match, pictures, notes, geometry)
    names = [html.source_name(location) for location in locations]
    heading = f"The same place in two scans: {names[0]} and {names[1]}"
    write_atomic(path, html.page(f"{names[0]} and {names[1]}: match", heading, body, data | {"scans": scans}))


def slices_csv(location: ScanLocation) -> str:
    """The slices as a table, one line each, in the order of the axial volume.

    Columns: index of the slice in the scan as stored, file, LPS z in mm, location by itself, fitted location and its
    standard deviation (all three on the article's scale), body coordinate in mm and its standard deviation.
    """
    rows = [{key: row[key] for key in CSV_COLUMNS} for row in location.to_json()["slices"]]
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def landmarks_mrk_json(location: ScanLocation, volume: CTVolume) -> str:
    """The landmarks inside the scan as Slicer markups: a point each, LPS mm, in the middle of the slice.

    Args:
        location: the result.
        volume: its scan, in any orientation.
    """
    volume = _fitting(volume, location)
    _, rows, columns = volume.array.shape
    axes = volume.axes()
    middle = axes[:, 0] * volume.spacing[0] * (columns - 1) / 2 + axes[:, 1] * volume.spacing[1] * (rows - 1) / 2
    centres = volume.origins() + middle
    points = []
    for estimate in location.landmarks:
        if not estimate.inside or estimate.z_mm is None:
            continue
        place = [float(np.interp(estimate.z_mm, centres[:, 2], centres[:, axis])) for axis in (0, 1)]
        sigma = f"+- {estimate.sigma_mm:.1f} mm" if np.isfinite(estimate.sigma_mm) else "+- unknown"
        points.append(Point(estimate.name, (*place, float(estimate.z_mm)), sigma))
    return markups_json(points)


def _fitting(volume: CTVolume, location: ScanLocation) -> CTVolume:
    """The volume in axial order, checked to be the one of the result."""
    volume = volume.as_axial()
    if location.refused is None and len(location.z_mm) != volume.array.shape[0]:
        raise CTError(
            "bad_result",
            f"The result has {len(location.z_mm)} slices, the scan {html.source_name(location)} "
            f"{volume.array.shape[0]}.",
            "Locate this scan again.",
        )
    return volume


def _scan_json(
    scan: str, volume: CTVolume, location: ScanLocation, pictures: report_pictures.Pictures
) -> dict[str, Any]:
    """What the script needs to scroll one scan."""
    z_mm = volume.superior()
    located = len(location.z_mm) == len(z_mm)
    view = pictures.coronal
    files = location.files or volume.sources
    index = location.index if located else volume.meta.get("slice_index", range(len(z_mm)))
    return {
        "id": scan,
        "z": np.round(z_mm, 3).tolist(),
        "step": float(np.median(np.abs(np.diff(z_mm)))) if len(z_mm) > 1 else float(volume.spacing[2]),
        "top": view.top_mm if view else float(z_mm.max()) + 1,
        "bottom": view.bottom_mm if view else float(z_mm.min()) - 1,
        "index": [int(value) for value in index],
        "files": [Path(file).name for file in files],
        "location": np.round(location.location, 4).tolist() if located else [],
        "sigma": np.round(location.sigma_mm, 2).tolist() if located else [],
        "words": [_place(location, k) for k in range(len(z_mm))] if located else [],
        "keys": {
            landmark.key: estimate.z_mm
            for landmark, estimate in zip(LANDMARKS, location.landmarks)
            if estimate.inside and estimate.z_mm is not None
        },
        **pictures.to_json(),
    }


def _place(location: ScanLocation, k: int) -> str:
    """Slice k in words: the region, and the nearest landmark that the scan shows."""
    region = words(float(location.body_mm[k]))
    inside = [estimate for estimate in location.landmarks if estimate.inside and estimate.z_mm is not None]
    if not inside:
        return region
    nearest = min(inside, key=lambda estimate: abs(estimate.z_mm - location.z_mm[k]))
    distance = float(location.z_mm[k] - nearest.z_mm)
    if abs(distance) < 1:
        return f"{region}, at {nearest.name}"
    return f"{region}, {abs(distance):.0f} mm {'above' if distance > 0 else 'below'} {nearest.name}"


def _left_out(pictures: report_pictures.Pictures, count: int) -> str:
    """The note that not every slice is pictured, or nothing."""
    if len(pictures.slices) == count:
        return ""
    every = round(count / len(pictures.slices))
    which = f"every {every}{ {2: 'nd', 3: 'rd'}.get(every, 'th') } slice" if every > 1 else "not every slice"
    return (
        f'<p class="caption left-out">To keep this file small, {which} is pictured here ({len(pictures.slices)} of '
        f"{count}); the nearest one is shown. The numbers are of every slice.</p>"
    )


def _geometry(volume: CTVolume) -> list[tuple[str, str]]:
    """Size and place of the scan, for the facts."""
    z_mm = volume.superior()
    steps = np.abs(np.diff(z_mm))
    spacing = f"{volume.spacing[0]:.3g} × {volume.spacing[1]:.3g} mm"
    if len(steps) and steps.max() - steps.min() > 0.01 * np.median(steps):
        between = f"{steps.min():.3g} to {steps.max():.3g} mm"
    else:
        between = f"{np.median(steps) if len(steps) else volume.spacing[2]:.3g} mm"
    columns, rows = volume.array.shape[2], volume.array.shape[1]
    return [
        ("Slices", str(len(z_mm))),
        ("Heights", f"z {html.mm(z_mm.min())} to {html.mm(z_mm.max())} mm"),
        ("Pixels", f"{columns} × {rows}, {spacing}"),
        ("Between slices", between),
    ]

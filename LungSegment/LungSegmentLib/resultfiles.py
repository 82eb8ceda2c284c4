"""The files of one scan: segmentation, labels, measures, histogram, picture, and result.json about all of them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from CTVolumeLib import scans, segments
from CTVolumeLib.batch import Item
from CTVolumeLib.errors import CTError
from CTVolumeLib.files import npz_bytes, write_atomic
from CTVolumeLib.volume import CTVolume, describe

from . import lungs, measure, quality, report_picture, where
from .lungs import LungOptions, LungResult
from .measure import LungMeasures
from .preprocess import PreprocessOptions, preprocess
from .quality import Light
from .segments import SEGMENTS

SCHEMA = "ct-lungs/1"
REFUSALS = ("no_lungs", "not_ct")
"""Errors that say what the scan is rather than that something went wrong: they are a result, too."""

PREPARED = {"npz": "prepared.npz", "nifti": "prepared.nii.gz", "nrrd": "prepared.nrrd"}


@dataclass(frozen=True)
class Found:
    """What is known of a scan.

    Attributes:
        volume: the scan.
        options: by which lungs were looked for.
        result: the lungs, None where they were refused.
        light: how far to trust them, None likewise.
        measures: of left, right and both lungs.
        refused: why there are none.
    """

    volume: CTVolume
    options: LungOptions
    result: LungResult | None = None
    light: Light | None = None
    measures: tuple[LungMeasures, ...] = ()
    refused: CTError | None = None


def find(volume: CTVolume, options: LungOptions | None = None) -> Found:
    """Find, judge and measure the lungs; a scan without lungs is a result with the reason.

    Raises:
        CTError: anything but that there are no lungs.
    """
    options = options or LungOptions()
    try:
        result = lungs.segment(volume, options)
    except CTError as error:
        if error.code not in REFUSALS:
            raise
        return Found(volume, options, refused=error)
    return Found(volume, options, result, quality.judge(volume, result), measure.measure(volume, result.labels))


def write(folder: Path, found: Found, prepare: PreprocessOptions | None = None, prepared_as: str = "npz") -> None:
    """Write the files, result.json last: where it is, all is there.

    Args:
        folder: made if missing.
        found: what is known of the scan.
        prepare: how to prepare the scan for networks, None not to.
        prepared_as: one of ``PREPARED``.

    Raises:
        CTError: the folder can't be written.
    """
    folder = Path(folder)
    volume, result = found.volume, found.result
    labels = None
    if result is not None:
        labels = result.labels
        segments.write_segmentation(folder / "lungs.seg.nrrd", volume, labels, SEGMENTS)
        segments.write_volume(folder / "lungs.nii.gz", volume.with_array(labels))
        write_atomic(folder / "measures.csv", measure.to_csv(found.measures))
        write_atomic(folder / "histogram.csv", histogram_csv(volume, labels))
        if prepare is not None:
            write_prepared(folder / PREPARED[prepared_as], preprocess(volume, labels, prepare), prepare)
    refused = found.refused.message if found.refused else ""
    title = str(describe(volume, volume.as_axial())["source"] or "CT")
    write_atomic(
        folder / "picture.png", report_picture.draw(volume, labels, found.light, found.measures, title, refused)
    )
    write_atomic(folder / "result.json", json.dumps(to_json(found), indent=1, allow_nan=False))


def to_json(found: Found) -> dict[str, Any]:
    """What result.json holds; numbers that do not exist are null."""
    volume, light, result = found.volume, found.light, found.result
    return {
        "schema": SCHEMA,
        "refused": None if found.refused is None else {"code": found.refused.code, "text": found.refused.message},
        "series": describe(volume, volume.as_axial()),
        "warnings": [{"code": code, "text": text} for code, text in warnings_of(found)],
        "light": None if light is None else asdict(light),
        "measures": [{key: _finite(value) for key, value in asdict(one).items()} for one in found.measures],
        "labels": {} if result is None else {str(segment.value): segment.name for segment in SEGMENTS},
        "two_lungs": None if result is None else result.two_lungs,
        "airway": None if result is None else {
            "volume_ml": round(
                float(np.count_nonzero(result.labels == lungs.AIRWAY) * measure.voxel_volume_ml(volume)), 2
            ),
            "sealed": result.airway_sealed,
            "trachea_mm": round(float(result.trachea_mm), 1),
        },
        "options": asdict(found.options),
    }  # fmt: skip


def warnings_of(found: Found) -> list[tuple[str, str]]:
    """Code and text of what the reader noticed in the files, of the light's signs and its notes."""
    noticed = [tuple(note) for note in found.volume.meta.get("warnings", ())]
    if found.light is not None:
        noticed += [(sign.code, sign.text) for sign in (*found.light.signs, *found.light.notes)]
    return noticed


def histogram_csv(volume: CTVolume, labels: np.ndarray) -> str:
    """A line for each 10 HU: lower edge and mL of each lung."""
    hu, parts = measure.histogram(volume, labels)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["hu", *(f"{name.replace(' ', '_')}_ml" for name in parts)])
    writer.writerows([int(low), *(f"{ml:.3f}" for ml in row)] for low, *row in zip(hu, *parts.values()))
    return text.getvalue()


def write_prepared(path: Path, prepared: CTVolume, options: PreprocessOptions) -> None:
    """Write a prepared scan; an npz holds ``pixels`` (k, j, i), ``spacing``, ``origin`` and ``direction`` (LPS mm).

    Args:
        path: with one of the endings of ``PREPARED``.
        prepared: as from ``preprocess``.
        options: by which it was prepared; an npz names them.
    """
    if path.suffix != ".npz":
        segments.write_volume(path, prepared)
        return
    arrays = {
        "pixels": prepared.array,
        "spacing": np.asarray(prepared.spacing, float),
        "origin": np.asarray(prepared.origins()[0], float),
        "direction": np.asarray(prepared.direction, float),
        "options": np.array(json.dumps(asdict(options))),
    }
    write_atomic(path, npz_bytes(arrays))


def segment_item(item: Item, folder: Path) -> dict[str, Any]:
    """Find the lungs of one scan of a batch and write its files; what comes back goes into the summary.

    Args:
        item: of ``scans.find_items``; its settings are those of ``settings_of``.
        folder: to write into.

    Raises:
        CTError: the scan can't be read.
    """
    settings: Mapping[str, Any] = item.settings
    volume = scans.volume_of(item)
    within = where.within_z_mm(volume) if settings["where"] == "auto" else None
    found = find(volume, LungOptions(**{**settings["options"], "within_z_mm": within}))
    prepare = settings["prepare"]
    write(folder, found, None if prepare is None else PreprocessOptions(**prepare), settings["prepared_as"])
    facts: dict[str, Any] = {"slices": len(found.volume.as_axial().array)}
    facts |= dict.fromkeys(("left_ml", "right_ml", "mean_hu", "below_950_percent"))
    if found.measures:
        left, right, both = found.measures
        facts |= {"left_ml": round(left.volume_ml), "right_ml": round(right.volume_ml)}
        facts |= {"mean_hu": _rounded(both.mean_hu), "below_950_percent": _rounded(both.below_950_percent)}
    return facts | {
        "light": found.light.colour if found.light else "",
        "warnings": " ".join(dict.fromkeys(code for code, _ in warnings_of(found))),
        "refused": found.refused.message if found.refused else "",
    }


def settings_of(
    options: LungOptions, prepare: PreprocessOptions | None, prepared_as: str, look: str = "auto"
) -> dict[str, Any]:
    """What a result depends on besides the scan, as plain values; ``look`` is "everywhere" or "auto", see ``where``."""
    return {
        "schema": SCHEMA,
        "options": asdict(options),
        "prepare": None if prepare is None else asdict(prepare),
        "prepared_as": prepared_as,
        "where": look,
    }


def _finite(value: str | float) -> str | float | None:
    if isinstance(value, str):
        return value
    return round(value, 3) if math.isfinite(value) else None


def _rounded(value: float) -> float | None:
    return round(value, 1) if math.isfinite(value) else None

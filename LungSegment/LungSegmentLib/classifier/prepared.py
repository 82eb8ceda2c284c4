"""Scans made ready on disk, each once: input of the network, histogram, and what the header tells.

Training and evaluation read these small files instead of scans, a batch at a time, so that memory does not grow with
their number. What can't be read is listed and left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from CTVolumeLib import batch, scans
from CTVolumeLib.batch import FAILED, Item, Outcome
from CTVolumeLib.errors import CTError
from CTVolumeLib.files import replacing, write_atomic
from CTVolumeLib.progress import Progress
from CTVolumeLib.volume import CTVolume

from .. import lungs
from . import features, inputs, mr
from .inputs import Input, InputOptions
from .table import LabelledScan

INPUT, FEATURES = "input.npy", "features.json"
_SCHEMA = 2
"""Another number makes everything anew."""


@dataclass(frozen=True)
class PreparedScan:
    """A labelled scan that is ready.

    Attributes:
        name: of the scan in its table.
        label: 1 with the finding, 0 without.
        patient: scans of one patient share it.
        folder: holds its files.
        digest: of the input, so that what was made of it before is not taken for what another scan would give.
    """

    name: str
    label: int
    patient: str
    folder: Path
    digest: str = ""

    def input(self) -> np.ndarray:
        """(k, j, i) float32 from 0 to 1, read from disk."""
        return np.load(self.folder / INPUT).astype(np.float32)

    def features(self) -> dict[str, Any]:
        """``histogram``, what it is of (``region``), ``header``, and ``extent_mm`` of the input along (k, j, i)."""
        return json.loads((self.folder / FEATURES).read_text(encoding="utf-8"))


def prepare(
    table: Sequence[LabelledScan],
    options: InputOptions,
    out: Path,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> tuple[list[PreparedScan], list[Outcome]]:
    """Make all scans ready that are not yet.

    Args:
        table: the scans.
        options: how they become inputs.
        out: folder for the files of all.
        jobs: processes, see ``CTVolumeLib.batch.run``.
        progress: called after each scan; False cancels.

    Returns:
        The scans that are ready, and what became of the others.

    Raises:
        CTError: the folder can't be written, cancelled.
    """
    settings = {"schema": _SCHEMA, **asdict(options)}
    items = [Item(scan.name, scan.path, settings=settings, payload=options) for scan in table]
    outcomes = batch.run(items, _prepare_item, out, jobs=jobs, progress=progress)
    ready = [
        PreparedScan(scan.name, scan.label, scan.patient, out / scan.name, _digest(out / scan.name / INPUT))
        for scan, outcome in zip(table, outcomes)
        if outcome.state != FAILED
    ]
    return ready, [outcome for outcome in outcomes if outcome.state == FAILED]


def read(path: Path, options: InputOptions) -> CTVolume:
    """The scan at a path, of the kind that the options are for.

    Raises:
        CTError: it can't be read, or is of another kind.
    """
    return mr.read(path) if options.values == "mr" else scans.read(path)


def make(volume: CTVolume, options: InputOptions, wanted: bool = True) -> tuple[Input, np.ndarray | None]:
    """The input of a scan and the labels of its lungs.

    Args:
        volume: the scan.
        options: how it becomes an input.
        wanted: look for lungs also where the input needs none; then it is no error if there are none.

    Raises:
        CTError: ``no_lungs`` where they are needed.
    """
    labels = None
    if options.needs_lungs or (wanted and options.values == "ct"):
        try:
            labels = lungs.segment(volume).labels
        except CTError as error:
            if options.needs_lungs or error.code not in ("no_lungs", "not_ct"):
                raise
    return inputs.make(volume, options, labels), labels


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _prepare_item(item: Item, folder: Path) -> Mapping[str, Any]:
    options: InputOptions = item.payload
    volume = read(Path(item.source), options)
    made, labels = make(volume, options)
    with replacing(folder / INPUT) as temporary:
        np.save(temporary, made.values)
    region = "whole scan" if labels is None else "lungs"
    known = {
        "histogram": features.histogram(volume, labels, options.values),
        "header": features.header(volume),
        "region": region,
        "extent_mm": made.extent_mm,
    }
    write_atomic(folder / FEATURES, json.dumps(known))
    return {"slices": len(volume.array), "histogram of": region}

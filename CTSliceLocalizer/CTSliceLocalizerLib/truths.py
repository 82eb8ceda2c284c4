"""What is known of the series of a tree: where their slices lie by the ground truth file, and their labels.

Here files are only found and read; whether labels can be true is ``normalizing``'s matter.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from CTVolumeLib.errors import CTError

from . import normalizing


@dataclass(frozen=True)
class Truth:
    """What is known of a series.

    Attributes:
        folder: with its DICOM files.
        patient: first folder of its path in the tree.
        locations: location by file name, from the ground truth file.
        labels: path of its labels.
        problem: why nothing can be known; then ``folder`` is the file with labels of nobody knows what.
    """

    folder: Path
    patient: str
    locations: Mapping[str, float] = field(default_factory=dict)
    labels: Path | None = None
    problem: str = ""


def find(tree: Path, locations: Path | None = None, labels: Path | None = None) -> list[Truth]:
    """The series of a tree of which something is known, in the order of their paths.

    With a ground truth file these are the series that it names, together with the labels of those; without one all
    series that have labels.

    Args:
        tree: folder of the series.
        locations: ``combined_normalized_locations.json``.
        labels: folder with labels, see ``normalizing.labelled_series``; by default they lie beside the slices.

    Raises:
        CTError: a file can't be read, names places outside the tree, or nothing is labelled.
    """
    tree = Path(tree).absolute()
    pairs = normalizing.labels_in(tree, labels)
    if locations:
        by_folder = dict(sorted(_by_folder(locations).items()))
        if any(not (tree / path).is_relative_to(tree) or ".." in path.parts for path in by_folder):
            text = f"{locations.name} names files outside of {tree.name}."
            raise CTError("bad_locations", text, "Make it again with ct-localize normalize.")
        marked = {folder: file for file, folder in pairs}
        truths = [_truth(tree, tree / path, its, marked.get(tree / path)) for path, its in by_folder.items()]
    else:
        folders = [folder for _, folder in pairs]
        clear = [folders.count(folder) == 1 for folder in folders]
        truths = [_truth(tree, folder if only else None, {}, file) for (file, folder), only in zip(pairs, clear)]
    if not truths:
        text = f"No series in {tree.name} has labels or locations."
        raise CTError("no_labels", text, "Label some series first, or give the ground truth file with --locations.")
    return truths


def fingerprint(truth: Truth) -> str:
    """Hash of what is known of a series: other labels or locations make another result."""
    labels = b""
    if truth.labels:
        with suppress(OSError):  # reading the series will say what is wrong
            labels = truth.labels.read_bytes()
    known = json.dumps([truth.patient, dict(truth.locations), hashlib.sha256(labels).hexdigest()])
    return hashlib.sha256(known.encode()).hexdigest()


def _by_folder(path: Path) -> dict[PurePosixPath, dict[str, float]]:
    """Locations by folder and file name, from ``{"patient/study/series/10.dcm": 0.05, ...}``."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        found: dict[PurePosixPath, dict[str, float]] = {}
        for name, value in content.items():
            place = PurePosixPath(name.replace("\\", "/"))
            found.setdefault(place.parent, {})[place.name] = float(value)
        if not all(np.isfinite(value) for one in found.values() for value in one.values()):
            raise ValueError("not finite")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        text = f"{path.name} is no ground truth file."
        raise CTError("bad_locations", text, "Make it with ct-localize normalize.") from error
    return found


def _truth(tree: Path, folder: Path | None, located: Mapping[str, float], labels: Path | None) -> Truth:
    if folder is None:
        text = f"{labels.parent.name}/{labels.name} could not be assigned to one series of {tree.name}."
        return Truth(labels, "", problem=text)
    parts = folder.relative_to(tree).parts
    return Truth(folder, parts[0] if parts else "", located, labels)

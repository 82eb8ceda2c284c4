"""From labels to the place of every slice: the article's ``combined_normalized_locations.json``.

Labels are checked before anything is made of them. What contradicts anatomy, names files that are not there or belongs
to another series is said with file and line, and its series is left out: nothing is trained on such labels silently.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from CTVolumeLib import dicom
from CTVolumeLib.dicom import Series
from CTVolumeLib.errors import CTError
from CTVolumeLib.files import write_atomic

from .annotations import Labels, contradictions, read_labels
from .groundtruth import locations
from .landmarks import NAMES

Progress = Callable[[int, int, str], bool]

LABELS = "labels.json"
_FEWEST = 2


@dataclass(frozen=True)
class Problem:
    """Something wrong with labels.

    Attributes:
        file: folder of the labels and name of the file, such as ``1.2.3/labels.json``; no folder of a patient.
        line: in the file; 0 where it is about the whole file.
        text: a sentence.
    """

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


@dataclass(frozen=True)
class LabelledSeries:
    """Labels of one series that have been checked.

    Attributes:
        folder: the folder of its slices.
        uid: SeriesInstanceUID, or an empty string.
        labels: path of the labels.
        slices: its slices, feet to head, by file name: LPS z of the middle of each in mm.
        z_mm: LPS z of each labelled landmark in mm.
        problems: what is wrong with the labels; if anything is, nothing should be made of them.
    """

    folder: Path
    uid: str
    labels: Path
    slices: Mapping[str, float] = field(default_factory=dict)
    z_mm: Mapping[str, float] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Normalized:
    """Places of the slices of all series whose labels are right.

    Attributes:
        locations: location on the article's scale, by path of the file from the tree on (with ``/``).
        used: the series that they are of.
        left_out: the series with problems.
    """

    locations: Mapping[str, float]
    used: tuple[LabelledSeries, ...]
    left_out: tuple[LabelledSeries, ...]

    @property
    def problems(self) -> list[Problem]:
        """What is wrong with the series that are left out."""
        return [problem for series in self.left_out for problem in series.problems]

    def write(self, path: Path | str) -> None:
        """Write the bytes that ``json.dump`` makes of the plain dictionary, as the article does.

        Raises:
            CTError: it can't be written.
        """
        write_atomic(path, json.dumps(dict(self.locations)))


def normalize(tree: Path | str, labels: Path | str | None = None, progress: Progress | None = None) -> Normalized:
    """Place all slices of all labelled series: linear in z between landmarks, continued by the nearest two.

    Args:
        tree: folders with DICOM files; those of ``ct-localize organize`` or any others.
        labels: see ``labelled_series``.
        progress: called with series done, series in all, and a text; False cancels.

    Raises:
        CTError: no labels are found, a folder can't be read, cancelled.
    """
    tree = Path(tree).absolute()
    found: dict[str, float] = {}
    used, left_out = [], []
    for series in labelled_series(tree, labels, progress):
        if series.problems:
            left_out.append(series)
            continue
        used.append(series)
        place = series.folder.relative_to(tree).as_posix()
        values = locations(np.array(list(series.slices.values())), series.z_mm)
        head_first = sorted(zip(series.slices.values(), series.slices, values.tolist()), reverse=True)
        found |= {f"{place}/{name}" if place != "." else name: value for _, name, value in head_first}
    return Normalized(found, tuple(used), tuple(left_out))


def labelled_series(
    tree: Path | str, labels: Path | str | None = None, progress: Progress | None = None
) -> Iterator[LabelledSeries]:
    """The series of a tree that have labels, checked, in the order of their folders.

    Labels lie beside the slices as ``labels.json`` or ``<SeriesInstanceUID>.labels.json``; or in a folder for labels,
    as ``<name>/labels.json``, ``<name>.labels.json`` or ``<name>.json``, where the name is the SeriesInstanceUID or the
    name of the folder with the slices.

    Args:
        tree: folders with DICOM files.
        labels: folder for labels; None takes those beside the slices.
        progress: called with series done, series in all, and a text; False cancels.

    Raises:
        CTError: no labels are found, cancelled.
    """
    tree = Path(tree).absolute()
    pairs = labels_in(tree, labels)
    if not pairs:
        where = tree.name if labels is None else Path(labels).name
        raise CTError("no_labels", f"{where} holds no labels.", "Label some series first, in 3D Slicer or by hand.")
    for done, (path, folder) in enumerate(pairs):
        if progress is not None and progress(done, len(pairs), "Checking labels") is False:
            raise CTError("cancelled", "Normalizing was cancelled.")
        if folder is None:
            text = f"there is no series or folder {_name_of(path)}, or there are several."
            yield LabelledSeries(tree, "", path, problems=(Problem(_shown(path), 0, text),))
        else:
            yield check(path, folder)
    if progress is not None:
        progress(len(pairs), len(pairs), "Checking labels")


def labels_in(tree: Path | str, labels: Path | str | None = None) -> list[tuple[Path, Path | None]]:
    """Files of labels, and the folder of the slices that each is of; None where that is not clear.

    Args:
        tree: folders with DICOM files.
        labels: see ``labelled_series``.

    Raises:
        CTError: a folder is not there.
    """
    tree = Path(tree).absolute()
    if not tree.is_dir():
        raise CTError("not_found", f"There is no folder {tree.name}.", "Check the path.")
    return _beside(tree) if labels is None else _in_folder(tree, Path(labels).absolute())


def check(path: Path, folder: Path, found_there: Sequence[Series] | None = None) -> LabelledSeries:
    """Whether the labels in a file can be true of the series in a folder.

    Args:
        path: of the labels.
        folder: of the slices.
        found_there: what ``dicom.series_in`` finds in the folder, if that is known already.
    """
    shown = _shown(path)
    try:
        labels = read_labels(path)
        found_there = dicom.series_in(folder) if found_there is None else found_there
        stacks = [series for series in found_there if Path(series.folder).absolute() == folder]
    except CTError as error:
        return LabelledSeries(folder, "", path, problems=(Problem(shown, 0, error.message),))

    def problem(name: str, text: str) -> Problem:
        return Problem(shown, labels.lines.get(name, 0), text)

    found = _form_problems(labels, problem)
    by_file = {Path(file).name: series for series in stacks for file in series.files}
    for name, file in labels.landmarks.items():
        if file not in by_file:
            there = "is no CT slice that can be read" if (folder / file).is_file() else "is not there"
            found.append(problem(name, f"{name} names {file}, which {there}."))
    named = {name: by_file[file] for name, file in labels.landmarks.items() if file in by_file}
    series = _meant(path, folder, stacks, named)
    if series is None:
        text = "the series of the labels is not there." if stacks else "there is no CT series."
        return LabelledSeries(folder, "", path, problems=(*found, Problem(shown, 0, text)))
    found += [
        problem(name, f"{name} names {labels.landmarks[name]}, which belongs to another series.")
        for name, its in named.items()
        if its is not series
    ]
    if series.unusable is not None:
        found.append(Problem(shown, 0, f"the series can't be used: {series.unusable}."))
    elif not series.axial:
        found.append(Problem(shown, 0, "the slices are not axial."))
    elif len(series.files) < len(series.slices):
        found.append(Problem(shown, 0, "its files hold several slices each, so a file name is no place."))
    else:
        return _placed(series, labels, LabelledSeries(folder, series.uid, path, problems=tuple(found)), problem)
    return LabelledSeries(folder, series.uid, path, problems=tuple(found))


def _placed(
    series: Series, labels: Labels, checked: LabelledSeries, problem: Callable[[str, str], Problem]
) -> LabelledSeries:
    """With the heights of slices and landmarks, and what in them contradicts anatomy."""
    slices = {header.source.name: float(z) for header, z in zip(series.slices, series.heights())}
    slices = dict(sorted(slices.items(), key=lambda item: item[1]))
    z_mm = {name: slices[file] for name, file in labels.landmarks.items() if file in slices}
    found = list(checked.problems)
    for wrong in contradictions(z_mm):
        later = max(wrong.landmarks, key=lambda name: labels.lines.get(name, 0))
        found.append(problem(later, wrong.text))
    if not found and len(z_mm) < _FEWEST:
        text = f"{len(z_mm)} landmark is labelled; a scale needs two at least." if z_mm else "no landmark is labelled."
        found.append(Problem(_shown(checked.labels), 0, text))
    return LabelledSeries(checked.folder, checked.uid, checked.labels, slices, z_mm, tuple(found))


def _form_problems(labels: Labels, problem: Callable[[str, str], Problem]) -> list[Problem]:
    """What is wrong with labels whatever they are of."""
    found = [problem(name, f"{name} is there more than once.") for name in labels.repeated if name in NAMES]
    known = {_plain(name): name for name in NAMES}
    for name, value in labels.entries.items():
        if name in NAMES and not isinstance(value, str):
            found.append(problem(name, f"{name} has to name a file."))
        elif name not in NAMES and _plain(name) in known:
            found.append(problem(name, f"{name} is no landmark; write {known[_plain(name)]}."))
    return found


def _meant(path: Path, folder: Path, stacks: Sequence[Series], named: Mapping[str, Series]) -> Series | None:
    """The series that labels are of: the one whose UID is in their path, or the one with most of the labelled files."""
    for name in (_name_of(path), folder.name):
        its = [series for series in stacks if series.uid and series.uid == name]
        if its:
            return max(its, key=lambda series: (series.unusable is None, series.count))
    if _is_uid(folder.name) or _is_uid(_name_of(path)):
        return None
    if not named:
        return max(stacks, key=lambda series: series.count, default=None)
    return max(stacks, key=lambda series: (sum(its is series for its in named.values()), series.count))


def _beside(tree: Path) -> list[tuple[Path, Path | None]]:
    """Labels that lie beside slices, and the folder of these."""
    return [(path, path.parent) for path in sorted(tree.rglob(f"*{LABELS}")) if path.is_file() and _is_labels(path)]


def _in_folder(tree: Path, labels: Path) -> list[tuple[Path, Path | None]]:
    """Labels in a folder of their own, and the folder of the slices; None where that is not clear."""
    if not labels.is_dir():
        raise CTError("not_found", f"There is no folder {labels.name}.", "Check the path.")
    paths = [path for path in sorted(labels.rglob("*.json")) if path.is_file()]
    wanted = {_name_of(path) for path in paths}
    folders: dict[str, list[Path]] = {}
    for folder in sorted(path for path in (tree, *tree.rglob("*")) if path.is_dir()):
        if folder.name in wanted:
            folders.setdefault(folder.name, []).append(folder)
    missing = {name for name in wanted if _is_uid(name)} - set(folders)
    if missing:  # folders that are not called by the UID: the headers tell
        for series in dicom.series_in(tree):
            if series.uid in missing and Path(series.folder).is_dir():
                place = Path(series.folder).absolute()
                if place not in folders.setdefault(series.uid, []):
                    folders[series.uid].append(place)
    return [(path, _only(folders.get(_name_of(path), ()))) for path in paths]


def _only(folders: Sequence[Path]) -> Path | None:
    return folders[0] if len(folders) == 1 else None


def _is_labels(path: Path) -> bool:
    return path.name == LABELS or path.name.endswith(f".{LABELS}")


def _name_of(path: Path) -> str:
    """The series or folder that the path of labels names."""
    if path.name == LABELS:
        return path.parent.name
    return path.name.removesuffix(f".{LABELS}").removesuffix(".json")


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _plain(name: str) -> str:
    return "".join(name.casefold().split())


def _is_uid(name: str) -> bool:
    """Whether a name looks like a UID; shorter ones could be a date."""
    return re.fullmatch(r"\d+(\.\d+){3,}", name) is not None

"""The table of labelled scans: a CSV file with the columns path, label and patient."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from CTVolumeLib.errors import CTError
from CTVolumeLib.files import write_atomic
from CTVolumeLib.names import unique_names
from CTVolumeLib.volumefile import is_volume_name

COLUMNS = ("path", "label", "patient")

_YES = {"1", "yes", "true", "positive"}
_NO = {"0", "no", "false", "negative"}


@dataclass(frozen=True)
class LabelledScan:
    """A line of the table.

    Attributes:
        name: stands for the scan in results; unique in its table.
        path: file or folder.
        label: 1 where the finding is there, else 0.
        patient: scans of one patient share it; it is never written anywhere.
    """

    name: str
    path: Path
    label: int
    patient: str


def read(path: Path) -> list[LabelledScan]:
    """Read a table; paths that are not absolute start in its folder.

    Whether the scans are there is not looked at: one that can't be read costs only itself later.

    Args:
        path: CSV with the columns path, label (1 or 0, yes or no) and patient, in any order and with others beside.

    Raises:
        CTError: ``bad_table`` with the number of the line.
    """
    rows = _rows(path)
    scans, lines = [], {}
    for line, row in rows:
        cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
        if not any(cells.values()):
            continue
        empty = [name for name in COLUMNS if not cells[name]]
        if empty:
            raise _bad(path, f"Line {line} of {path.name} has no {empty[0]}.")
        label = cells["label"].casefold()
        if label not in _YES | _NO:
            raise _bad(path, f"The label in line {line} of {path.name} is neither 1 nor 0.")
        place = (path.parent / cells["path"]).absolute()
        if place in lines:
            raise _bad(path, f"Lines {lines[place]} and {line} of {path.name} name the same scan.")
        lines[place] = line
        scans.append((place, int(label in _YES), cells["patient"]))
    if not scans:
        raise _bad(path, f"{path.name} holds no scan.")
    names = unique_names([place for place, _, _ in scans])
    return [LabelledScan(name, *scan) for name, scan in zip(names, scans)]


def write(path: Path, scans: Sequence[tuple[Path, int, str]]) -> None:
    """Write a table.

    Args:
        path: of the CSV file.
        scans: path, label and patient of each.

    Raises:
        CTError: it can't be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    folder = path.absolute().parent
    for place, label, patient in scans:
        absolute = place.absolute()
        shown = absolute.relative_to(folder) if absolute.is_relative_to(folder) else absolute
        writer.writerow([shown.as_posix(), label, patient])
    write_atomic(path, text.getvalue())


def from_folders(yes: Path, no: Path) -> list[tuple[Path, int, str]]:
    """What two folders hold, one of scans with the finding and one without, as lines of a table.

    Each volume file and each folder in them is a scan, and each scan is taken for a patient of its own: where a patient
    has several scans the column has to be put right by hand, else the evaluation is too good.

    Raises:
        CTError: ``bad_table`` for an empty folder.
    """
    found = []
    for folder, label in ((yes, 1), (no, 0)):
        scans = [path for path in sorted(folder.iterdir()) if _may_be_scan(path)]
        if not scans:
            raise CTError("bad_table", f"{folder.name} holds no scan.", "Name a folder of volume files or of folders.")
        found += [(path, label) for path in scans]
    return [(path, label, name) for (path, label), name in zip(found, unique_names([path for path, _ in found]))]


def check_classes(scans: Sequence[LabelledScan], least: int = 2) -> None:
    """Refuse what nothing can be learned from.

    Raises:
        CTError: ``too_few`` where a label has fewer patients than ``least``.
    """
    for label in (1, 0):
        count = patients(scans)[label]
        if count < least:
            with_or_without = "with" if label else "without"
            raise CTError(
                "too_few",
                f"There are readable scans of {count} patients {with_or_without} the finding; {least} are the least.",
                "Add scans, and look at those that could not be read.",
            )


def patients(scans: Sequence[LabelledScan]) -> dict[int, int]:
    """The number of patients by label; one with scans of both counts in both."""
    pairs = {(scan.patient, scan.label) for scan in scans}
    counts = Counter(label for _, label in pairs)
    return {0: counts[0], 1: counts[1]}


def _may_be_scan(path: Path) -> bool:
    return not path.name.startswith(".") and (path.is_dir() or is_volume_name(path.name) or path.suffix == ".zip")


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(path, f"{path.name} can't be read as text.") from error
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)  # spreadsheets in many countries write semicolons
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    reader.fieldnames = [(name or "").strip().casefold() for name in reader.fieldnames or []]
    missing = [name for name in COLUMNS if name not in reader.fieldnames]
    if missing:
        raise _bad(path, f"{path.name} has no column {missing[0]}.")
    try:
        return [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise _bad(path, f"{path.name} is no CSV file.") from error


def _bad(path: Path, text: str) -> CTError:
    return CTError("bad_table", text, f"{path.name} needs the columns {', '.join(COLUMNS)}; label is 1 or 0.")

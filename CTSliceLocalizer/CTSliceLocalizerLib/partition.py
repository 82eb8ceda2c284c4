"""Which series are for training, for validation and for the test: decided by a hash, so that it never changes.

The rule is the article's: SHA-256 of the SeriesInstanceUID, as a number, mod 10; 0-6 train, 7-8 validate, 9 tests. A
series keeps its part when others are added, on every machine. By default the patient is hashed instead of the series,
since two series of one patient in two parts let a model look good by knowing the patient.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from CTVolumeLib.errors import CTError
from CTVolumeLib.files import write_atomic

from . import store

SCHEMA = "ct-partition/1"
TRAIN, VALIDATION, TEST = "train", "validation", "test"
PARTS = (TRAIN, VALIDATION, TEST)
BY_PATIENT, BY_SERIES = "patient", "series"

_OF_TEN = (TRAIN,) * 7 + (VALIDATION,) * 2 + (TEST,)


def part_of(identity: str, salt: str = "") -> str:
    """The part that an identity falls into: 70 % train, 20 % validation, 10 % test.

    Args:
        identity: a SeriesInstanceUID, or what stands for a patient.
        salt: put in front before hashing; another text is another draw. The article has none.
    """
    digest = hashlib.sha256(f"{salt}{identity}".encode("utf-8", "surrogatepass")).hexdigest()
    return _OF_TEN[int(digest, 16) % 10]


@dataclass(frozen=True)
class Partition:
    """Which series belongs to which part.

    Attributes:
        by: ``"patient"`` or ``"series"``: what was hashed.
        salt: see ``part_of``.
        parts: part of each series, by SeriesInstanceUID.
        patients: what stands for the patient of each series (``store.patient_key``), by SeriesInstanceUID.
    """

    by: str
    salt: str
    parts: Mapping[str, str]
    patients: Mapping[str, str]

    def series(self, part: str) -> list[str]:
        """SeriesInstanceUIDs of a part, sorted."""
        return sorted(uid for uid, its in self.parts.items() if its == part)

    def patients_of(self, part: str) -> list[str]:
        """Patients of a part, sorted, each once."""
        return sorted({self.patients[uid] for uid in self.series(part)})

    def shared_patients(self) -> int:
        """How many patients have series in more than one part; none if the partition is by patient."""
        return len(self.patients_of(TRAIN) + self.patients_of(VALIDATION) + self.patients_of(TEST)) - len(
            set(self.patients.values())
        )

    def write(self, path: Path | str) -> None:
        """Write ``partition.json``; the same partition makes the same bytes.

        Raises:
            CTError: it can't be written.
        """
        content = {
            "schema": SCHEMA,
            "by": self.by,
            "salt": self.salt,
            "series": {part: self.series(part) for part in PARTS},
            "patients": dict(sorted(self.patients.items())),
        }
        write_atomic(path, json.dumps(content, indent=1) + "\n")


def make(patients: Mapping[str, str], by: str = BY_PATIENT, salt: str = "") -> Partition:
    """Partition series.

    Args:
        patients: what stands for the patient of each series, by SeriesInstanceUID.
        by: ``"patient"`` or ``"series"``.
        salt: see ``part_of``.

    Raises:
        ValueError: another ``by``.
    """
    if by not in (BY_PATIENT, BY_SERIES):
        raise ValueError(by)
    parts = {uid: part_of(patient if by == BY_PATIENT else uid, salt) for uid, patient in patients.items()}
    return Partition(by, salt, parts, dict(patients))


def read(path: Path | str) -> Partition:
    """Read a ``partition.json``.

    Raises:
        CTError: it can't be read, or a series is in two parts.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ValueError(content["schema"])
        listed = [(str(uid), part) for part in PARTS for uid in content["series"][part]]
        parts, patients = dict(listed), {str(uid): str(key) for uid, key in content["patients"].items()}
        if len(parts) != len(listed) or set(parts) != set(patients):
            raise ValueError("series")
        return Partition(str(content["by"]), str(content["salt"]), parts, patients)
    except FileNotFoundError:
        text = f"There is no file {path.name}."
        raise CTError("not_found", text, "Make it with ct-localize partition.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        text = f"{path.name} is no partition, or it is damaged."
        raise CTError("bad_partition", text, "Make it with ct-localize partition.") from error


def patients_in(data: Path | str) -> dict[str, str]:
    """Series and their patients: in a store (either format), or in a ``combined_normalized_locations.json``.

    Args:
        data: folder of the store, or the file, whose keys are ``patient/study/series/instance.dcm``.

    Returns:
        What stands for the patient (``store.patient_key``) by SeriesInstanceUID.

    Raises:
        CTError: it is neither, or its folders are not those of ``ct-localize organize``.
    """
    data = Path(data)
    if data.is_dir():
        return {entry.uid: entry.patient for entry in store.read_index(data).series}
    try:
        keys = list(json.loads(data.read_text(encoding="utf-8-sig")).items())
    except (OSError, ValueError, AttributeError) as error:
        text = f"{data.name} is neither a data set nor a file of locations."
        raise CTError("bad_locations", text, "Make it with ct-localize convert or normalize.") from error
    found = {}
    for key, _ in keys:
        folders = PurePosixPath(key).parts
        if len(folders) != 4:
            text = f"{data.name} was not made from folders patient/study/series, so its patients are unknown."
            raise CTError("not_organized", text, "Run ct-localize organize first, then label and normalize its result.")
        found[folders[2]] = store.patient_key(folders[0])
    return found

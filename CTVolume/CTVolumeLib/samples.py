"""The sample scans that come with the extension; where they are from is told in ``Docs/Credits.md``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import CTError

_FOLDER = Path(__file__).parent.parent / "Resources" / "SampleData"
"""Slicer's packages keep Resources beside the library, too; an installed wheel has none."""


@dataclass(frozen=True)
class Sample:
    """A sample scan.

    Attributes:
        name: of the volume, and in Slicer's Sample Data module.
        file: its file name.
        description: for people, a line.
        credit: source and licence, a line.
        sha256: of the file, so that Slicer notices when a newer extension brings another one.
    """

    name: str
    file: str
    description: str
    credit: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where the file is."""
        return _FOLDER / self.file


SAMPLES = (
    Sample(
        "CTChestSample",
        "CTChestSample.nii.gz",
        "CT chest",
        "C3N-00249 of CPTAC-PDA, The Cancer Imaging Archive, CC BY 3.0; reduced in plane",
        "5b2eb1c328d193bfc7c050e1abb77d781b25725802de691dc9fcd0d16da554eb",
    ),
    Sample(
        "CTChestSampleFollowUp",
        "CTChestSampleFollowUp.nii.gz",
        "CT chest, made follow-up",
        "Made from CTChestSample by a known map; not a second examination; CC BY 3.0",
        "d97aff097ceeeca9644b1e48b047f9f296a6283aab8c6468c6cf3550adf26cfd",
    ),
)


def sample(name: str) -> Sample:
    """The sample of that name.

    Raises:
        CTError: there is none, or its file is missing in this installation.
    """
    found = next((entry for entry in SAMPLES if entry.name == name), None)
    if found is None:
        names = ", ".join(entry.name for entry in SAMPLES)
        raise CTError("no_sample", f"There is no sample scan {name}.", f"Choose one of {names}.")
    if not found.path.is_file():
        raise CTError("no_sample", f"{found.file} is not part of this installation.", "Get it from the repository.")
    return found

"""Where the labels of a series are kept on disk, and how they get there: a whole labels.json after every keystroke.

Beside the data that is ``labels.json`` in the folder of the slices, as in the article. Where the folder holds other
series or files as well, it is ``<SeriesInstanceUID>.labels.json``, and for a volume file ``<name>.labels.json``. In a
folder that the user chose each series has a folder of its own, named by its SeriesInstanceUID; that of a volume file is
``<name>-<checksum>``, since in many collections all files have the same name.
What can't be written there goes into a folder of Slicer's settings, so that a read-only disk costs nothing.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

from .label_session import LabelSession, SeriesSlices, positionsIn

NAME = "labels.json"


@dataclass(frozen=True)
class Source:
    """Where a volume is from.

    Attributes:
        files: path of the file of each slice (in a zip: its path, then the member), or empty.
        volumeFile: path of the volume file; empty for DICOM and for volumes that were never saved.
        seriesUid: SeriesInstanceUID, or empty.
        name: of the volume node.
        voxels: a checksum that tells volumes of the same name apart; needed where there is no file.
    """

    files: tuple[str, ...]
    volumeFile: str
    seriesUid: str
    name: str
    voxels: int = 0


@dataclass(frozen=True)
class Saved:
    """What became of the labels.

    Attributes:
        path: where they are now; None where there was nothing to write.
        problem: why they are not where they should be, a sentence for the panel, or empty.
    """

    path: Path | None
    problem: str = ""


def placeOf(source: Source, folder: str = "") -> Path | None:
    """The labels.json of a series.

    Args:
        source: of the volume.
        folder: for labels; empty for beside the data.

    Returns:
        Its path, whether it exists or not; None where the volume has no file that it could lie beside.
    """
    if folder:
        return Path(folder) / (source.seriesUid or f"{_stem(source)}-{_fingerprint(source):08x}") / NAME
    if source.files:
        beside = _onDisk(Path(source.files[0]))
        alone = beside.is_dir() and _holdsOnly(beside, source.files)
        return beside / (NAME if alone else f"{source.seriesUid or _stem(source)}.{NAME}")
    if source.volumeFile:
        return Path(source.volumeFile).parent / f"{_stem(source)}.{NAME}"
    return None


def spareOf(source: Source, spareFolder: Path) -> Path:
    """Where the labels go when their place can't be written; named by a checksum, which tells nobody's name."""
    identity = source.seriesUid or source.volumeFile or f"{source.name} {source.voxels}"
    return spareFolder / hashlib.sha256(identity.encode()).hexdigest()[:24] / NAME


def save(session: LabelSession, place: Path | None, spare: Path) -> Saved:
    """Write the labels, whole or not at all. Never raises: what can't be written is said.

    Args:
        session: whose labels.
        place: from ``placeOf``.
        spare: from ``spareOf``, for when that does not work.
    """
    from CTVolumeLib.errors import CTError

    if place is None:
        problem = "This volume has no file that its labels could lie beside."
    else:
        try:
            path = write(session, place)
            _settle(session, path, spare)
            return Saved(path)
        except CTError as error:
            problem = error.message
    try:
        path = write(session, spare)
    except CTError:
        return Saved(None, f"{problem} Choose a folder for labels: they are in the scene only.")
    return Saved(path, f"{problem} Choose a folder for labels; until then they are kept in Slicer's settings.")


def write(session: LabelSession, path: Path) -> Path | None:
    """Write a labels.json; the path, or None where there is no label and no file.

    Raises:
        CTError: it can't be written, or is there already with the labels of another series.
    """
    from CTSliceLocalizerLib import annotations

    before = annotations.read_labels(path) if path.exists() else None
    if before is None and not session.labels:
        return None
    if before is not None:
        positionsIn(before, session.slices, path.name)
    labels = session.written(before)
    if before is None or labels.entries != before.entries:
        annotations.write_labels(path, labels)
    return path


def read(path: Path, slices: SeriesSlices) -> dict[str, int]:
    """The labels of a labels.json as positions.

    Raises:
        CTError: it can't be read, or names slices of another series.
    """
    from CTSliceLocalizerLib import annotations

    return positionsIn(annotations.read_labels(path), slices, path.name)


def countIn(path: Path | None) -> int:
    """How many landmarks a labels.json holds; 0 where there is none that can be read."""
    from CTSliceLocalizerLib import annotations
    from CTVolumeLib.errors import CTError

    try:
        return len(annotations.read_labels(path).landmarks) if path is not None and path.exists() else 0
    except (CTError, OSError):
        return 0


def _settle(session: LabelSession, path: Path | None, spare: Path) -> None:
    """The labels are in their place (or there are none): the spare copy must not come back as newer ones."""
    if spare.exists() and path is not None:
        spare.unlink()
    elif spare.exists():
        write(session, spare)


def _stem(source: Source) -> str:
    from CTVolumeLib.names import unique_names

    return unique_names([source.volumeFile or f"{source.name}.nrrd"])[0]


def _fingerprint(source: Source) -> int:
    """Tells files of the same name apart, wherever they are copied to; of a volume that has no file its voxels."""
    first = source.volumeFile or (source.files[0] if source.files else "")
    try:
        with Path(first).open("rb") as file:
            return zlib.crc32(file.read(1 << 16) + str(Path(first).stat().st_size).encode())
    except OSError:
        return source.voxels


def _onDisk(file: Path) -> Path:
    """The folder of a file; for a member of a zip the folder of the zip."""
    folder = file.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def _holdsOnly(folder: Path, files: tuple[str, ...]) -> bool:
    """Whether a folder holds no slices but these: labels and hidden files don't count."""
    own = {Path(file).name for file in files if Path(file).parent == folder}
    if not own:  # members of a zip
        return False
    try:
        return all(
            entry.name in own or entry.name.startswith(".") or entry.suffix.lower() in (".json", ".txt", ".csv", ".md")
            for entry in folder.iterdir()
            if entry.is_file()
        )
    except OSError:
        return True

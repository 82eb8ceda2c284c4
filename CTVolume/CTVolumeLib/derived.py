"""Writes a scan with some of its voxels filled as a new DICOM series of the same study, all else as in its source.

The stored values are those of the source's own files, not HU turned back: what is kept is the same to the bit, in the
same bits, sign and rescale. Geometry is the source's, untouched. The pixels are written uncompressed.

The new UIDs follow from the source's and from what was done: the same files, options and result are the same
instances again, so that a series that was sent to an archive twice is there once; anything else has other UIDs, for
two different pictures must never share one.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import uuid
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from . import derived_header, pixels, volumefile
from .derived_header import Derivation
from .errors import CTError
from .headers import SliceHeader, read_headers
from .pixels import Meaning, Progress
from .quiet import quiet_libraries
from .sources import Files, Source, is_zip
from .stacking import SAME_PLACE_MM
from .volume import CTVolume

logger = logging.getLogger(__name__)

_FORMAT = "CTSliceLocalizer derived series 1"
"""Part of every UID; another number where the same call writes other files than before."""

_SAME_HU = 0.01

_CHANGED_HINT = "Read the scan again and repeat what you did."


@dataclass(frozen=True)
class DerivedSeries:
    """A series that was written.

    Attributes:
        files: in the order of the slices.
        series_uid: its SeriesInstanceUID.
        fill_hu: what the filled voxels really hold; stored values are whole numbers within a range.
        notes: (code, text) pairs about what is not as it was asked for.
    """

    files: tuple[Path, ...]
    series_uid: str
    fill_hu: float
    notes: tuple[tuple[str, str], ...] = ()


def write_series(
    folder: Path | str,
    volume: CTVolume,
    removed: np.ndarray,
    fill_hu: float,
    derivation: Derivation,
    progress: Progress | None = None,
) -> DerivedSeries:
    """Write the series that a volume was read from anew, with some voxels filled.

    One file for each slice, also where the source is an enhanced multi-frame image, named in the order of the slices.
    The folder appears when all is written.

    Args:
        folder: does not exist yet or is empty.
        volume: as ``dicom.read_series`` gave it, with the values that it had.
        removed: (k, j, i) bool on its grid; what is filled.
        fill_hu: HU to fill with; the nearest that can be stored is taken.
        derivation: what is said of it in the headers.
        progress: called with slices done, slices in all, and a text; False cancels.

    Raises:
        CTError: ``no_dicom_source``: the volume was not read from DICOM files, or cropped or turned since;
            ``source_changed``: the files no longer hold what was read; ``bad_labels``; ``cannot_write``;
            ``cancelled``.
    """
    folder = Path(folder)
    if removed.shape != volume.array.shape:
        text = f"The mask has the shape {removed.shape}, the scan {volume.array.shape}."
        raise CTError("bad_labels", text, "Use a mask that was made from this scan.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        text = f"{folder.name} exists already and is not empty: slices of two series would lie in one folder."
        raise CTError("cannot_write", text, "Choose another folder.")
    temporary = folder.with_name(f".{uuid.uuid4().hex[:8]}.{folder.name}")
    try:
        temporary.mkdir(parents=True)
        with Files() as files, quiet_libraries():
            headers = _headers_of(volume, files)
            series = _Writer(volume, headers, removed, fill_hu, derivation, files).write(temporary, progress)
        if folder.exists():
            folder.rmdir()
        temporary.rename(folder)
    except OSError as error:
        text = f"The series {folder.name} could not be written to {folder.parent}: {error.strerror or error}."
        hint = "Free some space or choose another folder; nothing of it was written."
        raise CTError("cannot_write", text, hint) from error
    finally:
        with suppress(OSError):
            shutil.rmtree(temporary)
    return replace(series, files=tuple(folder / path.name for path in series.files))


def check_source(volume: CTVolume) -> None:
    """Raise what ``write_series`` would raise for a volume that was not read from DICOM files, before long work.

    Raises:
        CTError: ``no_dicom_source``.
    """
    if len(volume.sources) != len(volume.array) or volumefile.is_volume_name(str(volume.sources[0])):
        text = f"{_name_of(volume)} was not read from DICOM files, which a derived DICOM series takes its headers from."
        raise CTError("no_dicom_source", text, "Write NRRD or NIfTI instead, or start from the DICOM series.")


class _Writer:
    """One series on its way to the disk."""

    def __init__(
        self, volume: CTVolume, headers: list[SliceHeader], removed: np.ndarray, fill_hu: float,
        derivation: Derivation, files: Files,
    ) -> None:  # fmt: skip
        self._volume, self._headers, self._removed, self._files = volume, headers, removed, files
        self._fill_hu, self._derivation = float(fill_hu), derivation
        self._meaning: Meaning = pixels.understand(headers, files)[2]
        digest = hashlib.sha256(np.packbits(removed).tobytes())
        for header in headers:  # two stacks of one source series are two series here
            digest.update(f"{header.sop_uid} {header.frame} ".encode())
        self._key = [_FORMAT, headers[0].series_uid, derivation.text, derivation.version, f"{self._fill_hu!r}"]
        self._key.append(digest.hexdigest())
        self._series_uid = generate_uid(entropy_srcs=_joined(self._key))
        numbers = [header.instance for header in headers]
        usable = None not in numbers and len(set(numbers)) == len(numbers)
        self._numbers = numbers if usable else list(range(1, len(headers) + 1))
        self._filled: list[float] = []
        self._unreadable = 0

    def write(self, folder: Path, progress: Progress | None) -> DerivedSeries:
        """Write all slices, file by file of the source."""
        by_file: dict[Source, list[int]] = defaultdict(list)
        for k, header in enumerate(self._headers):
            by_file[header.source].append(k)
        count, done = len(self._headers), 0
        paths = [folder / f"slice{k + 1:0{max(4, len(str(count)))}d}.dcm" for k in range(count)]
        for source, slices in by_file.items():
            template, lost = derived_header.read(source, self._files)
            self._unreadable += lost
            frames = self._stored(source, slices)
            for k in slices:
                self._write_slice(k, template, next(frames), paths[k])
                done += 1
                if progress is not None and progress(done, count, "Writing slices") is False:
                    raise CTError("cancelled", "Writing was cancelled.")
        logger.info("Wrote a derived series of %d slices.", count)
        worst = max(self._filled, key=lambda hu: abs(hu - self._fill_hu), default=self._fill_hu)
        return DerivedSeries(tuple(paths), str(self._series_uid), worst, tuple(self._notes(worst)))

    def _stored(self, source: Source, slices: list[int]):
        """The stored values of slices of one file; a decoder's error becomes one that a user understands."""
        try:
            yield from pixels.stored_values([self._headers[k] for k in slices], self._files)
        except Exception as error:
            text = f"The pixels of {source.name} could not be read again."
            raise CTError("source_changed", text, _CHANGED_HINT) from error

    def _write_slice(self, k: int, template: Dataset, stored: np.ndarray, path: Path) -> None:
        header, volume = self._headers[k], self._volume
        self._check_unchanged(k, stored)
        stored = _in_its_own_bits(stored, header)
        if self._removed[k].any():
            slope, intercept = pixels.rescale_of(header, self._meaning)
            value = _storable(self._fill_hu, slope, intercept, header)
            stored = np.where(self._removed[k], np.array(value, stored.dtype), stored)
            self._filled.append(value * slope + intercept)
        dataset = derived_header.derive(template, header, self._derivation)
        dataset.SeriesInstanceUID = self._series_uid
        dataset.SOPInstanceUID = generate_uid(
            entropy_srcs=_joined([*self._key, header.sop_uid, str(header.frame), str(k)])
        )
        dataset.InstanceNumber = self._numbers[k]
        if header.intercept is None or header.slope is None:  # say what the reader took the values for
            dataset.RescaleSlope = "1" if header.slope is None else f"{header.slope:.10g}"[:16]
            intercept = self._meaning.intercept if header.intercept is None else header.intercept
            dataset.RescaleIntercept = f"{intercept:.10g}"[:16]
        dataset.Rows, dataset.Columns = volume.array.shape[1:]
        self._unreadable += derived_header.save(dataset, stored, path)

    def _check_unchanged(self, k: int, stored: np.ndarray) -> None:
        """The file must hold what the volume shows, or the mask would fall on something else."""
        header, array = self._headers[k], self._volume.array
        name = header.source.name
        if stored.shape != array.shape[1:]:
            text = f"The volume is not as it was read: {name} has another size than its slices."
            raise CTError("no_dicom_source", text, "Crop or turn the scan after it was written.")
        hu = np.empty(stored.shape, array.dtype)
        other = pixels.to_hu(stored, header, self._meaning, hu)
        read = hu if other is None else other
        if np.array_equal(read, array[k]):
            return
        # Other readers, such as Slicer's, show padding as it is stored.
        slope, intercept = pixels.rescale_of(header, self._meaning)
        plain = stored.astype(np.float64) * slope + intercept
        if not (_alike(read, array[k]) | _alike(plain, array[k])).all():
            raise CTError("source_changed", f"{name} no longer holds what was read from it.", _CHANGED_HINT)

    def _notes(self, fill_hu: float) -> list[tuple[str, str]]:
        notes = []
        if abs(fill_hu - self._fill_hu) > 0.01:
            text = f"{self._fill_hu:g} HU can't be stored in this series; {fill_hu:g} HU is the nearest that can."
            notes.append(("fill_rounded", text))
        if self._unreadable:
            what = f"{self._unreadable} element{' was' if self._unreadable == 1 else 's were'}"
            text = f"{what} left out of the headers, since the source's value is damaged."
            notes.append(("elements_left_out", text))
        return notes


def _alike(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(j, i) bool: where two readers mean the same value, but for rounding."""
    return np.abs(one.astype(np.float64) - other) < _SAME_HU


def _headers_of(volume: CTVolume, files: Files) -> list[SliceHeader]:
    """The header of each slice of a volume, read again from its source."""
    check_source(volume)
    known: dict[str, list[SliceHeader]] = {}
    found = []
    for text, place in zip(volume.sources, volume.origins() @ volume.axes()[:, 2]):
        if text not in known:
            try:
                known[text] = read_headers(_source_of(text, files), files)
            except Exception as error:
                raise CTError("source_changed", f"{Path(text).name} can't be read again.", _CHANGED_HINT) from error
        frames = known[text]
        if len(frames) > 1:
            away = [np.inf if one.position is None else abs(one.position @ volume.axes()[:, 2] - place)
                    for one in frames]  # fmt: skip
            frames = [one for one, mm in zip(frames, away) if mm <= SAME_PLACE_MM]
        if len(frames) > 1:
            text = f"{Path(text).name} holds several frames of one place, which can't be told apart any more."
            raise CTError("no_dicom_source", text, "Write NRRD or NIfTI instead.")
        if len(frames) != 1:
            raise CTError("source_changed", f"{Path(text).name} no longer holds the slices.", _CHANGED_HINT)
        if frames[0].pixels.floats:
            text = f"{_name_of(volume)} stores floating-point numbers, which a CT image in DICOM can't."
            raise CTError("no_dicom_source", text, "Write NRRD or NIfTI instead.")
        found.append(frames[0])
    return found


def _name_of(volume: CTVolume) -> str:
    return volume.meta.get("source") or (Path(volume.sources[0]).name if volume.sources else "The scan")


def _source_of(text: str, files: Files) -> Source:
    """The source that is written so: a file, or a zip followed by its member."""
    path = Path(text)
    if path.is_file():
        return Source(path)
    archive = next((parent for parent in path.parents if parent.is_file()), None)
    if archive is not None and is_zip(archive):
        for member in files.members(archive):
            if str(member) == text:
                return member
    raise FileNotFoundError(path.name)


def _in_its_own_bits(stored: np.ndarray, header: SliceHeader) -> np.ndarray:
    """The same values in the type of numbers that the header names; decoders may give a wider one."""
    kind = np.dtype(f"{'i' if header.pixels.signed else 'u'}{header.pixels.allocated // 8}")
    limits = np.iinfo(kind)
    if stored.dtype != kind and (stored.min() < limits.min or stored.max() > limits.max):
        text = f"The values of {header.source.name} do not fit into the bits that its header names."
        raise CTError("no_dicom_source", text, "Write NRRD or NIfTI instead.")
    return stored.astype(kind, copy=False)


def _storable(hu: float, slope: float, intercept: float, header: SliceHeader) -> int:
    """The stored value that is nearest to a value in HU."""
    bits = header.pixels.stored
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if header.pixels.signed else (0, (1 << bits) - 1)
    return int(np.clip(np.rint((hu - intercept) / slope), low, high))


def _joined(parts: list[str]) -> list[str]:
    """What UIDs are made from; parted, since ``generate_uid`` puts the parts together without a mark."""
    return ["\n".join(parts)]

"""Any tree of DICOM files becomes ``PatientID/StudyInstanceUID/SeriesInstanceUID/InstanceNumber.dcm``.

It can be stopped and started again at any time: what has its place stays there, nothing is overwritten (``placing``),
and a file that moves is taken away from its old place last. ``organize.csv`` says what was done with each file; names
of patients are left out of it. The DICOM files themselves are not changed: names in their headers stay.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import hmac
import io
import re
import secrets
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from CTVolumeLib.errors import CTError
from CTVolumeLib.files import write_atomic
from CTVolumeLib.headers import HEAD_BYTES, looks_like_dicom
from CTVolumeLib.locks import LockTakenError, locked
from CTVolumeLib.names import distinct_name
from CTVolumeLib.quiet import quiet_libraries
from CTVolumeLib.sources import Files, Source
from pydicom import dcmread
from pydicom.multival import MultiValue
from pydicom.uid import MediaStorageDirectoryStorage

from .placing import COPY, IN_PLACE, MODES, MOVE, MOVED, THERE, Placer, UnreadableError

Progress = Callable[[int, int, str], bool]

LOG = "organize.csv"
LOG_COLUMNS = ("run", "action", "source", "target", "note")
LEFT, FAILED = "left", "failed"

_WORKSPACE = ".organizing"
_TAGS = ("SOPClassUID", "SOPInstanceUID", "PatientName", "PatientID", "StudyInstanceUID", "SeriesInstanceUID",
         "InstanceNumber")  # fmt: skip
_FULL_OR_READ_ONLY = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(frozen=True)
class Organized:
    """What became of the files.

    Attributes:
        actions: how many files were ``copied``, ``moved``, ``linked``, ``already there``, ``in place``, ``left`` (no
            DICOM files of a series) or ``failed``.
        patients: folders of patients that got or have the files.
        series: folders of series likewise.
        failed: name of each file that failed, and why; no folder, for it may be called like the patient.
        log: what was done with each file, as a table.
    """

    actions: Mapping[str, int]
    patients: int
    series: int
    failed: tuple[tuple[str, str], ...]
    log: Path


def organize(
    sources: Sequence[Path | str],
    out: Path | str,
    *,
    mode: str = COPY,
    key: bytes | None = None,
    progress: Progress | None = None,
) -> Organized:
    """Give every DICOM file of the sources its place below ``out``; nothing is ever overwritten.

    Two files that would have the same place are compared: the same content is kept once, another content gets a part
    of its SHA-256 into its name (``10-1a2b3c4d.dcm``). Files that are no DICOM stay where they are.

    Args:
        sources: folders, zips and files. ``out`` may be one of them, or lie in one.
        out: made if missing.
        mode: ``"copy"``, ``"move"`` or ``"link"`` (hard links; a copy where the disk can't). Zips are only copied from.
        key: if given, folders of patients are called by a keyed hash of the PatientID; see ``read_key``.
        progress: called with steps done, steps in all, and a text; False cancels.

    Raises:
        CTError: a source is missing, ``out`` can't be written or is full, another run is at work there, cancelled.
            What has been done stays, and the log says it.
    """
    if mode not in MODES:
        raise ValueError(mode)
    out = Path(out).absolute()
    with Files() as files, quiet_libraries():
        found = _listed([Path(source) for source in sources], files, out / LOG)
        with _workspace(out) as workspace:
            known = [
                _identified(source, files, _step(progress, done, 2 * len(found), "Reading headers"))
                for done, (source, _) in enumerate(found)
            ]
            run = _Run(out, Placer(files, workspace, mode), mode, key, _hidden_words(known, key))
            for done, ((source, shown), identity) in enumerate(zip(found, known)):
                _step(progress, len(found) + done, 2 * len(found), "Organizing")
                run.file(source, shown, identity)
            _step(progress, 2 * len(found), 2 * len(found), "Organizing")
    return Organized(dict(run.actions), len(run.patients), len(run.series), tuple(run.failed), out / LOG)


def read_key(path: Path | str) -> bytes:
    """The key for hashed patient IDs; a new one is made where the file is missing.

    A plain hash would protect nobody, since all IDs of a hospital can be tried in seconds.

    Raises:
        CTError: it can't be read or written, or is no key.
    """
    path = Path(path)
    if not path.exists():
        write_atomic(path, secrets.token_hex(32) + "\n")
        with suppress(OSError):
            path.chmod(0o600)
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise CTError("cannot_read", f"{path.name} can't be read: {error.strerror}.", "Check the file.") from error
    if len(key) < 16:
        raise CTError("bad_key", f"{path.name} is no key: it is too short.", "Name a file that does not exist yet.")
    return key


@dataclass(frozen=True, slots=True)
class _Identity:
    """Where a file belongs, by its header; ``problem`` says why it belongs nowhere."""

    action: str = ""
    problem: str = ""
    name: str = ""
    patient: str = ""
    study: str = ""
    series: str = ""
    instance: str = ""
    sop: str = ""


class _Run:
    """One run through the files."""

    def __init__(self, out: Path, placer: Placer, mode: str, key: bytes | None, hidden: re.Pattern | None) -> None:
        self.actions: Counter[str] = Counter()
        self.patients: set[Path] = set()
        self.series: set[Path] = set()
        self.failed: list[tuple[str, str]] = []
        self._out, self._placer, self._mode, self._key, self._hidden = out, placer, mode, key, hidden
        self._names = _Names(out)
        self._log = _Log(out / LOG)

    def file(self, source: Source, shown: str, identity: _Identity) -> None:
        """Give one file its place, and say what was done."""
        if identity.action:
            self._say(identity.action, source, shown, None, identity.problem)
            return
        try:
            folder = self._folder(source, identity)
            stem = _stem(identity, source)
            action, target = self._placer.place(source, folder, stem)
        except UnreadableError as error:
            self._say(FAILED, source, shown, None, f"can't be read: {error}")
            return
        except OSError as error:
            if error.errno in _FULL_OR_READ_ONLY:
                raise _cannot_write(self._out, error) from error
            self._say(FAILED, source, shown, None, f"its place can't be written: {_reason(error)}")
            return
        self.patients.add(folder.parent.parent)
        self.series.add(folder)
        note = "" if target.stem == stem else "another file has this number"
        if self._mode == MOVE and action != IN_PLACE and source.member is not None:
            note = "a zip is left as it is"
        self._say(action, source, shown, target, note)
        if self._mode == MOVE and action in (MOVED, THERE):
            try:
                self._placer.remove(source)
            except OSError as error:
                text = f"it has its place, but can't be removed from the old one: {_reason(error)}"
                self._say(FAILED, source, shown, target, text)

    def _folder(self, source: Source, identity: _Identity) -> Path:
        patient = _patient_folder(identity.patient, self._key)
        folder = self._out / self._names.child(self._out, patient, identity.patient)
        study = distinct_name(identity.study, "unknown_study")
        folder /= self._names.child(folder, study, identity.study)
        # files without a SeriesInstanceUID that lie together are taken for a series
        series = distinct_name(identity.series, f"unknown_series-{_short(source.folder)}")
        return folder / self._names.child(folder, series, identity.series)

    def _say(self, action: str, source: Source, shown: str, target: Path | None, note: str) -> None:
        self.actions[action] += 1
        place = target.relative_to(self._out).as_posix() if target else ""
        if self._hidden:
            shown, place = self._hidden.sub("***", shown), self._hidden.sub("***", place)
        if action == FAILED:
            self.failed.append((self._hidden.sub("***", source.name) if self._hidden else source.name, note))
        try:
            self._log.add(action, shown, place, note)
        except OSError as error:
            raise _cannot_write(self._out, error) from error


class _Names:
    """Names of folders that differ also where the disk ignores case."""

    def __init__(self, out: Path) -> None:
        self._known: dict[Path, dict[str, str]] = {out: {LOG.casefold(): f"{LOG} (log)"}}
        self._read: set[Path] = set()

    def child(self, folder: Path, wanted: str, text: str) -> str:
        """The wanted name; with a part of the text's SHA-256 if a folder that differs in case only has the name."""
        known = self._known.setdefault(folder, {})
        if folder not in self._read:
            self._read.add(folder)
            with suppress(OSError):
                known |= {_folded(path.name): path.name for path in sorted(folder.iterdir()) if path.name != LOG}
        if known.setdefault(_folded(wanted), wanted) == wanted:
            return wanted
        other = f"{wanted}-{_short(text)}"
        known[_folded(other)] = other
        return other


class _Log:
    """The table, which grows by a whole line for each file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._run = datetime.now(UTC).isoformat(timespec="seconds")

    def add(self, *cells: str) -> None:
        """Add a line; a line that a kill left unfinished is closed first."""
        text = io.StringIO()
        writer = csv.writer(text)
        with self._path.open("a+b") as file:
            if file.tell() == 0:
                writer.writerow(LOG_COLUMNS)
            else:
                file.seek(-1, io.SEEK_END)
                if file.read(1) != b"\n":
                    writer.writerow(())
            writer.writerow((self._run, *cells))
            file.write(text.getvalue().encode("utf-8", "backslashreplace"))


@contextmanager
def _workspace(out: Path) -> Iterator[Path]:
    """A folder for unfinished copies that nobody else uses at the same time; leftovers of a kill are removed."""
    folder = out / _WORKSPACE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / "lock"):
            for leftover in folder.glob("*.part"):
                leftover.unlink()
            yield folder
    except LockTakenError:
        text = f"Another program is organizing files into {out.name}."
        raise CTError("busy", text, "Wait until it has finished.") from None
    except OSError as error:
        raise _cannot_write(out, error) from error
    finally:
        with suppress(OSError):
            folder.rmdir()


def _listed(sources: list[Path], files: Files, log: Path) -> list[tuple[Source, str]]:
    """All files, each once, with the path to show: from the name of the source on."""
    found: dict[str, tuple[Source, str]] = {}
    for root in sources:
        root = root.absolute()
        for source in files.find(root):
            if source.path == log:
                continue
            shown = source.path.relative_to(root.parent) / (source.member or "")
            found.setdefault(str(source), (source, shown.as_posix()))
    return list(found.values())


def _identified(source: Source, files: Files, _step: None) -> _Identity:
    try:
        head = files.read(source, 0, HEAD_BYTES)
        if not looks_like_dicom(head):
            return _Identity(LEFT, "no DICOM file")
        try:
            dataset = _header(head)
        except Exception:  # the header is longer than the piece
            dataset = None
        if (dataset is None or "InstanceNumber" not in dataset) and files.size(source) > len(head):
            dataset = _header(files.read(source))
    except (OSError, CTError) as error:
        return _Identity(FAILED, f"can't be read: {getattr(error, 'strerror', None) or 'damaged'}")
    except Exception:  # a damaged header can make pydicom raise anything
        dataset = None
    if dataset is None:
        return _Identity(FAILED, "its header is damaged")
    values = {name: _text(dataset, name) for name in _TAGS}
    media = getattr(getattr(dataset, "file_meta", None), "MediaStorageSOPClassUID", "")
    if MediaStorageDirectoryStorage in (media, values["SOPClassUID"]):
        return _Identity(LEFT, "a table of contents (DICOMDIR)")
    if not (values["SeriesInstanceUID"] or values["SOPInstanceUID"]):
        return _Identity(LEFT, "no DICOM file of a series")
    return _Identity(
        name=values["PatientName"],
        patient=values["PatientID"],
        study=values["StudyInstanceUID"],
        series=values["SeriesInstanceUID"],
        instance=values["InstanceNumber"],
        sop=values["SOPInstanceUID"],
    )


def _header(data: bytes) -> Any:
    return dcmread(io.BytesIO(data), stop_before_pixels=True, force=True, specific_tags=list(_TAGS))


def _text(dataset: Any, name: str) -> str:
    """A value as text, whatever its form; what can't be decoded is read byte by byte."""
    try:
        value = dataset.get(name)
    except Exception:
        raw = dataset.get_item(name).value
        value = raw.decode("latin-1") if isinstance(raw, bytes) else raw
    if value is None:
        return ""
    several = value if isinstance(value, MultiValue) else [value]
    return "\\".join(str(one) for one in several).strip(" \0\t\r\n")


def _patient_folder(patient: str, key: bytes | None) -> str:
    if key is None or not patient:
        return distinct_name(patient, "unknown_patient")
    return f"patient-{hmac.new(key, patient.encode('utf-8', 'surrogatepass'), hashlib.sha256).hexdigest()[:16]}"


def _stem(identity: _Identity, source: Source) -> str:
    """The instance number, or else the SOPInstanceUID."""
    if re.fullmatch(r"[+-]?[0-9]{1,12}", identity.instance):
        return str(int(identity.instance))
    return distinct_name(identity.instance or identity.sop, f"unknown-{_short(str(source))}")


def _hidden_words(known: Sequence[_Identity], key: bytes | None) -> re.Pattern | None:
    """What must not get into the log: words of the patients' names, and their IDs if these are hashed.

    Where the name is the ID, as in public collections, it is a pseudonym, and the folder is called by it anyway.
    """
    names = {one.name for one in known if key is not None or _plain(one.name) != _plain(one.patient)}
    words = {word for name in names for word in re.findall(r"[^\W\d_]{3,}", name)}
    if key is not None:
        patients = {one.patient for one in known if len(one.patient) >= 3}
        words |= patients | {distinct_name(patient, "") for patient in patients}
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    return re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if words else None


def _step(progress: Progress | None, done: int, total: int, text: str) -> None:
    if progress is not None and progress(done, total, text) is False:
        raise CTError("cancelled", "Organizing was cancelled.", "Start it again to go on.")


def _cannot_write(out: Path, error: OSError) -> CTError:
    free = ""
    with suppress(OSError):
        free = f" ({shutil.disk_usage(out).free / 1e6:.0f} MB are free)"
    text = f"{out.name} can't be written: {_reason(error)}{free}."
    return CTError("cannot_write", text, "Nothing is lost; free some space or choose another folder, and start again.")


def _reason(error: OSError) -> str:
    """What the system says, without the path, which may hold a name."""
    return error.strerror or type(error).__name__


def _plain(text: str) -> str:
    return re.sub(r"[\W_]", "", text).casefold()


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]

"""Where the bytes come from: files in a folder tree, or members of a zip that is read in place.

Nothing of a zip is ever unpacked to disk under a name that the zip chose, and a zip bomb is refused by its directory.
"""

from __future__ import annotations

import io
import os
import threading
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .errors import CTError

MAX_MEMBERS = 200_000
MAX_MEMBER_BYTES = 4 << 30
MAX_TOTAL_BYTES = 64 << 30
MAX_RATIO = 1100
"""Deflate can't do better than about 1030 : 1; a directory that promises more lies."""

_FREE_BYTES = 256 << 20  # below this size nobody is hurt, however well it compresses
_SUSPICIOUS_RATIO = 200  # CT compresses about 3 : 1, a series of empty test pictures a few hundred to one


@dataclass(frozen=True)
class Source:
    """A file, or a member of a zip file."""

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """The file name without its folders."""
        return self.path.name if self.member is None else PurePosixPath(self.member.replace("\\", "/")).name

    @property
    def folder(self) -> str:
        """What lies in the same folder has the same folder."""
        if self.member is None:
            return str(self.path.parent)
        return str(self.path / PurePosixPath(self.member.replace("\\", "/")).parent)

    def __str__(self) -> str:
        return str(self.path) if self.member is None else str(self.path / self.member)


class Files:
    """Reads sources; keeps each zip open until ``close``. Safe to use from several threads."""

    def __init__(self) -> None:
        self._zips: dict[Path, zipfile.ZipFile] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Files:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the zips."""
        for archive in self._zips.values():
            archive.close()
        self._zips.clear()

    def find(self, path: Path) -> list[Source]:
        """All files under a path, in order of their names; zips are listed by their members.

        Raises:
            CTError: the path does not exist or can't be read, or a zip that was asked for is broken or refused.
        """
        if not path.exists():
            raise CTError("not_found", f"There is no file or folder {path.name or path}.", "Check the path.")
        if path.is_file():
            return self.members(path) if is_zip(path) else [Source(path)]
        found = []

        def unreadable(error: OSError) -> None:
            if error.filename == str(path):
                text = f"The folder {path.name} can't be read: {error.strerror}."
                raise CTError("cannot_read", text, "Check its permissions.") from error
            found.append(Source(Path(error.filename)))  # counted among what could not be read

        for folder, folders, names in os.walk(path, onerror=unreadable):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                file = Path(folder) / name
                if name.startswith(".") or not file.is_file():
                    continue
                if name.lower().endswith(".zip") and is_zip(file):
                    try:
                        found += self.members(file)
                    except CTError:
                        found.append(Source(file))  # counted among the files that could not be read
                else:
                    found.append(Source(file))
        return found

    def members(self, path: Path) -> list[Source]:
        """The files in a zip.

        Raises:
            CTError: broken, encrypted, or one that would swell beyond reason.
        """
        infos = [info for info in self._open(path).infolist() if not info.is_dir()]
        total = sum(info.file_size for info in infos)
        packed = sum(info.compress_size for info in infos)
        if (
            len(infos) > MAX_MEMBERS
            or total > MAX_TOTAL_BYTES
            or any(info.file_size > MAX_MEMBER_BYTES for info in infos)
            or any(info.file_size > MAX_RATIO * max(info.compress_size, 1) for info in infos)
            or (total > _FREE_BYTES and total > _SUSPICIOUS_RATIO * max(packed, 1))
        ):
            raise CTError(
                "zip_too_large",
                f"{path.name} would swell to {len(infos)} files and {total / 1e9:.1f} GB.",
                "Unpack it yourself if you trust it, and load the folder.",
            )
        if any(info.flag_bits & 1 for info in infos):
            raise CTError("zip_encrypted", f"{path.name} is protected by a password.", "Unpack it and load the folder.")
        return [Source(path, info.filename) for info in infos]

    def size(self, source: Source) -> int:
        """Bytes in the file or member."""
        if source.member is None:
            return source.path.stat().st_size
        return self._open(source.path).getinfo(source.member).file_size

    def read(self, source: Source, offset: int = 0, length: int = -1) -> bytes:
        """Bytes from ``offset`` on; fewer than ``length`` where the file ends.

        Raises:
            OSError: the file can't be read; a broken zip member is an OSError too.
        """
        if source.member is None:
            with source.path.open("rb", buffering=0) as file:
                file.seek(offset)
                return _read_all(file, length)
        try:
            with self._open(source.path).open(source.member) as file:
                if offset:
                    file.seek(offset)
                return file.read(length) if length >= 0 else file.read()
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
            raise OSError(f"broken member in {source.path.name}") from error
        except Exception as error:  # zlib.error, lzma.LZMAError: each packer has its own
            raise OSError(f"broken member in {source.path.name}") from error

    def read_into(self, source: Source, offset: int, view: memoryview) -> int:
        """Fill ``view`` with the bytes from ``offset`` on; returns how many there were."""
        if source.member is not None:
            data = self.read(source, offset, len(view))
            view[: len(data)] = data
            return len(data)
        done = 0
        with source.path.open("rb", buffering=0) as file:
            file.seek(offset)
            while done < len(view):
                count = file.readinto(view[done:])
                if not count:
                    break
                done += count
        return done

    def _open(self, path: Path) -> zipfile.ZipFile:
        with self._lock:
            if path not in self._zips:
                try:
                    self._zips[path] = zipfile.ZipFile(path)
                except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
                    raise CTError("bad_zip", f"{path.name} is not a readable zip file.", "Copy it again.") from error
            return self._zips[path]


def is_zip(path: Path) -> bool:
    """Whether the file starts like a zip (a DICOM file that has a zip at its end is none)."""
    try:
        with path.open("rb") as file:
            return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    except OSError:
        return False


def _read_all(file: io.FileIO, length: int) -> bytes:
    """A raw read may return less than asked for, so go on until the end."""
    if length < 0:
        return file.readall() or b""
    data = file.read(length) or b""
    while len(data) < length:
        more = file.read(length - len(data))
        if not more:
            break
        data += more
    return data

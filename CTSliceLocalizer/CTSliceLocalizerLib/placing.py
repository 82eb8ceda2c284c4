"""Files get their place without anything being lost: nothing is overwritten, and what is there is there whole.

A copy is made under another name and then linked to its place, which the system refuses where something is there. A
file that moves is taken away from its old place only when its content lies at the new one.
"""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from CTVolumeLib.sources import Files, Source

COPY, MOVE, LINK = "copy", "move", "link"
MODES = (COPY, MOVE, LINK)
COPIED, MOVED, LINKED, THERE, IN_PLACE = "copied", "moved", "linked", "already there", "in place"

_CHUNK = 1 << 20


class UnreadableError(Exception):
    """The source can't be read; the text says why."""


class Placer:
    """Puts files into folders, each under the first of its names that is free or holds the same content.

    Args:
        files: reads the sources.
        workspace: folder for unfinished copies, on the disk of the places.
        mode: one of ``MODES``.
    """

    def __init__(self, files: Files, workspace: Path, mode: str) -> None:
        self._files, self._workspace, self._mode = files, workspace, mode

    def place(self, source: Source, folder: Path, stem: str, ending: str = ".dcm") -> tuple[str, Path]:
        """Put one file in its place: ``<stem><ending>``, or, where that is another file, with a part of its SHA-256.

        The source stays where it is; see ``remove``.

        Returns:
            What was done and the place.

        Raises:
            UnreadableError: the source can't be read.
            OSError: the place can't be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        content = _Content(self._files, source)
        for digits in (0, 8, 64):
            target = folder / (f"{stem}-{content.digest[:digits]}{ending}" if digits else f"{stem}{ending}")
            if _is_entry(source, target):
                return IN_PLACE, target
            if not os.path.lexists(target):
                done = self._put(content, target)
                if done:
                    return done, target
            if content.is_same(target):
                return THERE, target
        raise OSError(errno.EEXIST, "a file with this checksum but another content is there")

    def remove(self, source: Source) -> bool:
        """Take a moved file away from its old place; False for a member of a zip, which stays as it is.

        Raises:
            OSError: it can't be removed.
        """
        if source.member is not None:
            return False
        source.path.unlink()
        return True

    def _put(self, content: _Content, target: Path) -> str:
        """Make the file at a free place; nothing if the place is not free any more."""
        source = content.source
        if self._mode in (MOVE, LINK) and source.member is None:
            try:
                os.link(source.path.resolve(), target)
                return MOVED if self._mode == MOVE else LINKED
            except FileExistsError:
                return ""
            except OSError:
                pass  # another disk, or one without links: a copy does as well
        unfinished = self._workspace / f"{uuid.uuid4().hex}.part"
        try:
            content.copy(unfinished, sure=self._mode == MOVE)
            published = _publish(unfinished, target)
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
        if not published:
            return ""
        return MOVED if self._mode == MOVE and source.member is None else COPIED


class _Content:
    """The bytes of a source, read once for its checksum and once for its copy at most."""

    def __init__(self, files: Files, source: Source) -> None:
        self.source = source
        self._files, self._digest = files, ""

    @property
    def digest(self) -> str:
        if not self._digest:
            checksum = hashlib.sha256()
            for chunk in self._chunks():
                checksum.update(chunk)
            self._digest = checksum.hexdigest()
        return self._digest

    def is_same(self, path: Path) -> bool:
        """Whether a file holds the same bytes; a link by name does not, for it may lead to the source itself."""
        if path.is_symlink() or not path.is_file():
            return False
        try:
            size = self._files.size(self.source)
        except (OSError, KeyError) as error:
            raise _unreadable(error) from error
        return path.stat().st_size == size and _digest_of(path) == self.digest

    def copy(self, path: Path, *, sure: bool) -> None:
        """Write the bytes to a new file; ``sure`` waits until they are on the disk and reads them again."""
        checksum = hashlib.sha256()
        with path.open("xb") as file:
            for chunk in self._chunks():
                file.write(chunk)
                checksum.update(chunk)
            if sure:
                file.flush()
                os.fsync(file.fileno())
        if sure and _digest_of(path) != checksum.hexdigest():
            raise OSError(errno.EIO, "the copy differs from the file")
        self._digest = checksum.hexdigest()

    def _chunks(self) -> Iterator[bytes]:
        """The bytes; a problem with reading is told apart from one with writing."""
        if self.source.member is not None:
            try:
                yield self._files.read(self.source)
            except OSError as error:
                raise _unreadable(error) from error
            return
        try:
            file = self.source.path.open("rb")
        except OSError as error:
            raise _unreadable(error) from error
        with file:
            while True:
                try:
                    chunk = file.read(_CHUNK)
                except OSError as error:
                    raise _unreadable(error) from error
                if not chunk:
                    return
                yield chunk


def _publish(unfinished: Path, target: Path) -> bool:
    """Give a whole file its place; False if something is there."""
    try:
        os.link(unfinished, target)
    except FileExistsError:
        return False
    except OSError:  # a disk without links, such as FAT; a rename may overwrite there, but we hold the only lock
        if os.path.lexists(target):
            return False
        unfinished.rename(target)
    return True


def _is_entry(source: Source, target: Path) -> bool:
    """Whether a source is the very file at the place, also where the disk ignores case or folders are linked."""
    if source.member is not None or source.path.name.casefold() != target.name.casefold():
        return False
    try:
        return source.path.parent.samefile(target.parent) and source.path.samefile(target)
    except OSError:
        return False


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unreadable(error: Exception) -> UnreadableError:
    return UnreadableError(getattr(error, "strerror", None) or "it can't be read")

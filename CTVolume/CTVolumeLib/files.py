"""Files appear whole or not at all: they are written under a temporary name and renamed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import CTError


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A temporary path in the same folder that takes the place of ``path`` when the block ends well.

    The ending of the name is kept, since many writers go by it. What was there before stays if anything fails.

    Raises:
        CTError: the folder can't be written or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{uuid.uuid4().hex[:8]}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise CTError(
            "cannot_write",
            f"{path.name} could not be written to {path.parent}: {error.strerror or error}.",
            "Free some space or choose another folder; what was there before is unchanged.",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(path: Path | str, data: bytes | str) -> None:
    """Write a whole file by atomic rename; text becomes UTF-8.

    Raises:
        CTError: the folder can't be written or the disk is full.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)

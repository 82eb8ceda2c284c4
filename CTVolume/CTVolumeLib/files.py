"""Files appear whole or not at all: written under a temporary name and renamed; archives always with the same bytes."""

from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

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
        with suppress(OSError):  # a file where a folder should be: the error above tells it
            temporary.unlink(missing_ok=True)


def write_atomic(path: Path | str, data: bytes | str) -> None:
    """Write a whole file by atomic rename; text becomes UTF-8.

    Raises:
        CTError: the folder can't be written or the disk is full.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def npz_bytes(arrays: Mapping[str, np.ndarray], level: int = 6) -> bytes:
    """A ``.npz`` file as ``np.savez`` makes it, but the same bytes for the same arrays at any time and on any system.

    Args:
        arrays: by name; the file holds them in the order of their names.
        level: of zlib's compression; 0 stores the arrays as they are.
    """
    method = zipfile.ZIP_DEFLATED if level else zipfile.ZIP_STORED
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method, compresslevel=level or None) as archive:
        for name, array in sorted(arrays.items()):
            entry = io.BytesIO()
            # Not np.ascontiguousarray, which makes a number a vector; write_array keeps either order of an array.
            np.lib.format.write_array(entry, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            info.create_system = 3  # else it depends on the machine
            archive.writestr(info, entry.getvalue())
    return buffer.getvalue()

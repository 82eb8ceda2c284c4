"""The voxels of a NIfTI file, as they are stored.

SimpleITK reads the geometry, but not the voxels: its NIfTI library quietly turns NaN and infinity into 0, which is
water, and the missing end of a file that was cut off likewise.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import CTError

_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_CHUNK = 1 << 22


@dataclass(frozen=True)
class NiftiHeader:
    """What SimpleITK does not tell of a NIfTI-1 header (nifti1.h).

    Attributes:
        size: voxels along the first axes.
        spacing: pixdim of the first three axes.
        dtype: of the stored values, or None for kinds that are no plain numbers (colors, complex).
        offset: first byte of the voxels.
        slope: factor of the stored values.
        intercept: what is added to them.
        oriented: whether a qform or sform says how the volume lies.
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    dtype: np.dtype | None
    offset: int
    slope: float
    intercept: float
    oriented: bool


def read_header(path: Path) -> NiftiHeader:
    """Read the header of a ``.nii`` or ``.nii.gz``.

    Raises:
        CTError: not a NIfTI file, or cut off.
    """
    head = _bytes(path, 544)
    for order in "<>":
        kind = struct.unpack(f"{order}i", head[:4])[0] if len(head) >= 348 else 0
        if kind == 348 and head[344:347] == b"n+1":
            dim = struct.unpack(f"{order}8h", head[40:56])
            pixdim = struct.unpack(f"{order}8f", head[76:108])
            code = struct.unpack(f"{order}h", head[70:72])[0]
            offset, slope, intercept = struct.unpack(f"{order}3f", head[108:120])
            forms = struct.unpack(f"{order}2h", head[252:256])
        elif kind == 540:
            text = f"{path.name} is NIfTI-2, which is not supported."
            raise CTError("unknown_format", text, "Save it as NIfTI-1, NRRD or MetaImage.")
        else:
            continue
        if not 1 <= dim[0] <= 7 or min(dim[1 : dim[0] + 1]) < 1 or not np.isfinite(offset) or offset < 0:
            break
        dtype = np.dtype(_TYPES[code]).newbyteorder(order) if code in _TYPES else None
        scaled = np.isfinite(slope) and np.isfinite(intercept) and slope != 0
        return NiftiHeader(
            size=dim[1 : dim[0] + 1],
            spacing=pixdim[1:4],
            dtype=dtype,
            offset=int(offset),
            slope=float(slope) if scaled else 1.0,
            intercept=float(intercept) if scaled else 0.0,
            oriented=forms != (0, 0),
        )
    raise CTError("bad_volume_file", f"{path.name} is not a NIfTI file, or damaged.", "Export it again.")


def read_voxels(path: Path, header: NiftiHeader) -> np.ndarray:
    """(k, j, i) values, scaled as the header says: integers where nothing is to be scaled.

    Raises:
        CTError: the file ends before the last voxel, or the header asks for more than there is memory.
    """
    size = (*header.size, 1, 1)[:3]
    if header.dtype is None:
        raise CTError("not_ct", f"{path.name} is a color or vector picture, not CT values.", "Choose a CT.")
    wanted = int(np.prod([int(length) for length in size], dtype=object)) * header.dtype.itemsize
    packed = path.stat().st_size
    if wanted > 1100 * packed:  # deflate packs no better than 1030 : 1, so the rest can't be there
        raise _cut_off(path)
    array = np.empty(size[::-1], header.dtype)
    view, done = memoryview(array.reshape(-1).view(np.uint8)), 0
    try:
        with _open(path) as file:
            file.seek(header.offset)
            while done < len(view):
                count = file.readinto(view[done : done + _CHUNK])
                if not count:
                    raise _cut_off(path)
                done += count
    except (OSError, EOFError, zlib.error) as error:
        raise _cut_off(path) from error
    if not array.dtype.isnative:
        array = array.byteswap(inplace=True).view(array.dtype.newbyteorder("="))
    if (header.slope, header.intercept) == (1.0, 0.0):
        return array
    whole = header.slope.is_integer() and header.intercept.is_integer() and array.dtype.kind in "iu"
    scaled = array.astype(np.float64) * header.slope + header.intercept
    return np.rint(scaled).astype(np.int32) if whole and np.abs(scaled).max() < 2**31 else scaled.astype(np.float32)


def _open(path: Path) -> gzip.GzipFile:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")


def _bytes(path: Path, count: int) -> bytes:
    try:
        with _open(path) as file:
            return file.read(count)
    except (OSError, EOFError, zlib.error) as error:
        raise CTError("bad_volume_file", f"{path.name} can't be read.", "Copy or export it again.") from error


def _cut_off(path: Path) -> CTError:
    return CTError("bad_volume_file", f"{path.name} is cut off or damaged.", "Copy or export it again.")

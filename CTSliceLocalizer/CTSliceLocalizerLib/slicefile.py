"""The article's file of one slice: ``np.savez(path, pixels=..., norm_loc=..., series_instance_UID=...)``, only faster.

The files of a series differ in the pixels and one number. What ``np.savez`` writes for the first is kept, and for each
slice those two and their checksums are put into it, which takes a quarter of the time of making an archive.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import numpy as np

_LOCAL_CHECKSUM, _LOCAL_LENGTHS, _LOCAL_SIZE = 14, 26, 30
_CENTRAL_CHECKSUM, _CENTRAL_LENGTHS, _CENTRAL_SIZE = 16, 28, 46


class SliceFile:
    """Makes the files of one series."""

    def __init__(self, size: int, series_uid: str) -> None:
        """Begin.

        Args:
            size: pixels of a side.
            series_uid: SeriesInstanceUID.
        """
        self._size = size
        stream = io.BytesIO()
        pixels = np.zeros((size, size), np.uint8)
        np.savez(stream, pixels=pixels, norm_loc=np.float64(0), series_instance_UID=series_uid)
        self._data = bytearray(stream.getvalue())
        self._members = {name: _Member(stream, self._data, f"{name}.npy") for name in ("pixels", "norm_loc")}

    def content(self, pixels: np.ndarray, location: float) -> bytes:
        """The file of one slice.

        Args:
            pixels: (size, size) uint8.
            location: on the article's scale.

        Returns:
            The bytes that ``np.savez`` would write.
        """
        if pixels.shape != (self._size, self._size) or pixels.dtype != np.uint8:
            raise ValueError("The picture has another size or type.")
        self._members["pixels"].put(self._data, pixels.tobytes())
        self._members["norm_loc"].put(self._data, struct.pack("<d", location))
        return bytes(self._data)


class _Member:
    """An array in the archive: where its numbers and its two checksums lie."""

    def __init__(self, stream: io.BytesIO, data: bytes, name: str) -> None:
        with zipfile.ZipFile(stream) as archive:
            info = archive.getinfo(name)
            central = archive.start_dir
            for other in archive.infolist():  # in the order of the directory
                if other.filename == name:
                    break
                central += _CENTRAL_SIZE + sum(struct.unpack_from("<HHH", data, central + _CENTRAL_LENGTHS))
        start = info.header_offset + _LOCAL_SIZE
        start += sum(struct.unpack_from("<HH", data, info.header_offset + _LOCAL_LENGTHS))
        self._end = start + info.file_size
        array = np.load(io.BytesIO(data[start : self._end]))
        self._first = self._end - array.nbytes
        self._head_checksum = zlib.crc32(data[start : self._first])
        self._checksums = (info.header_offset + _LOCAL_CHECKSUM, central + _CENTRAL_CHECKSUM)

    def put(self, data: bytearray, values: bytes) -> None:
        if len(values) != self._end - self._first:
            raise ValueError("The values do not fit.")
        data[self._first : self._end] = values
        checksum = zlib.crc32(values, self._head_checksum)
        for place in self._checksums:
            struct.pack_into("<I", data, place, checksum)

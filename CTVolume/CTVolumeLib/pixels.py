"""Stored pixels to Hounsfield units: decoding, padding, MONOCHROME1, rescale; into one array for all slices.

Uncompressed pixels are read straight into their place in the array. Compressed ones go through pydicom's decoders
(pyjpegls, pylibjpeg-openjpeg, its own RLE), and through SimpleITK where those are missing, as for lossless JPEG.
"""

from __future__ import annotations

import io
import itertools
import logging
import math
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import blas
from .errors import CTError
from .headers import NATIVE, SliceHeader
from .quiet import late
from .sources import Files

Progress = Callable[[int, int, str], bool]

AIR_HU = -1024
LOWEST_HU = -1500
"""Values down to here and below are no measurement but padding (-2000, -2048, -3024 outside the field of view)."""

_INT16 = np.iinfo(np.int16)
_THREADS = 2
_AT_ONCE = 8
"""Files that a thread is given at once."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Meaning:
    """How stored values of a series turn into HU, where the headers leave it open."""

    inverted: bool = False
    intercept: float = 0.0
    notes: tuple[tuple[str, str], ...] = ()


def load(
    headers: list[SliceHeader], files: Files, progress: Progress | None = None, *, threads: int | None = None
) -> tuple[np.ndarray, list[int], list[tuple[str, str]]]:
    """Pixels of all slices in HU.

    Args:
        headers: slices of one picture size, in the order in which they are wanted.
        files: reader of the sources.
        progress: called with slices done, slices in all, and a text; False cancels.
        threads: that read and decode; 1 for none beside this one, by default as many as this process may use, at
            most two.

    Returns:
        Array (k, j, i) of HU, int16 where all values fit, else float32; the indices into ``headers`` that could be
        decoded, in the order of k; notes.

    Raises:
        CTError: no slice can be decoded, values that are no HU, cancelled.
    """
    probe, middle, meaning = understand(headers, files)
    rows, columns = middle.shape
    whole = all(_is_whole(header.slope, 1.0) and _is_whole(header.intercept, 0.0) for header in headers)
    floats = bool(headers[probe].pixels.floats)
    array = np.empty((len(headers), rows, columns), np.int16 if whole and not floats else np.float32)
    target = _Target(array, meaning)
    target.put(probe, headers[probe], middle)
    good = _fill(headers, probe, files, target, progress, threads or min(_THREADS, blas.threads()))
    array = target.array
    if len(good) < len(headers):
        for new, old in enumerate(good):
            if new != old:
                array[new] = array[old]
        array = array[: len(good)]
    return array, good, list(meaning.notes)


def understand(headers: list[SliceHeader], files: Files) -> tuple[int, np.ndarray, Meaning]:
    """Decode one typical slice, and learn from it how the values of all are meant.

    Args:
        headers: slices of one picture size.
        files: reader of the sources.

    Returns:
        Index of the slice, its (j, i) stored values, and what they tell.

    Raises:
        CTError: no slice can be decoded, or values that are no HU.
    """
    for probe in (len(headers) // 2, 0, len(headers) - 1, *range(len(headers))):
        try:
            stored = _decode_one(headers[probe], files)
        except Exception as error:
            logger.debug("A slice could not be decoded (%s).", type(error).__name__)
        else:
            return probe, stored, _meaning(headers[probe], stored)
    raise _undecodable(headers[0].source.name, headers[0])


def stored_values(headers: list[SliceHeader], files: Files) -> Iterator[np.ndarray]:
    """The (j, i) stored values of slices that lie in one file, without what may be in unused high bits.

    Args:
        headers: slices of one file, in the order in which they are wanted.
        files: reader of the sources.

    Raises:
        Exception: whatever a decoder raises for damaged pixels.
    """
    if _is_native(headers[0]):
        frames = (_native(header, files, None) for header in headers)
    else:
        frames = _decoded(headers, files)
    for header, stored in zip(headers, frames):
        yield _clean_bits(stored, header)


def rescale_of(header: SliceHeader, meaning: Meaning) -> tuple[float, float]:
    """Slope and intercept that turn the stored values of a slice into HU."""
    slope = 1.0 if header.slope is None else header.slope
    intercept = meaning.intercept if header.intercept is None else header.intercept
    if meaning.inverted:
        top = -1 if header.pixels.signed else (1 << header.pixels.stored) - 1
        slope, intercept = -slope, intercept + slope * top
    return slope, intercept


def _undecodable(name: str, header: SliceHeader) -> CTError:
    kind = late("pydicom.uid").UID(header.pixels.transfer_syntax).name if header.pixels.transfer_syntax else "unknown"
    return CTError(
        "bad_pixels",
        f"No slice could be decoded ({name} and the others; stored as {kind}).",
        "The files are damaged or compressed in a way that is not supported; export them again uncompressed.",
    )


class _Target:
    """The array that threads fill; turned into float32 once a slice does not fit into int16."""

    def __init__(self, array: np.ndarray, meaning: Meaning) -> None:
        self.array = array
        self.meaning = meaning
        self.overflow: list[tuple[int, np.ndarray]] = []

    def put(self, index: int, header: SliceHeader, stored: np.ndarray) -> None:
        """Convert one slice; it may lie in its place already."""
        if stored.shape != self.array.shape[1:]:
            raise ValueError("the slice has another size")
        hu = to_hu(stored, header, self.meaning, self.array[index])
        if hu is not None:
            self.overflow.append((index, hu))

    def finish(self) -> None:
        if self.overflow:
            self.array = self.array.astype(np.float32)
            for index, hu in self.overflow:
                self.array[index] = hu


def to_hu(stored: np.ndarray, header: SliceHeader, meaning: Meaning, out: np.ndarray) -> np.ndarray | None:
    """Write the HU of one slice into ``out``, or return them as float32 where they do not fit.

    Padding becomes air before anything else is done to it; the rest is slope * stored + intercept.
    """
    slope = 1.0 if header.slope is None else header.slope
    intercept = meaning.intercept if header.intercept is None else header.intercept
    stored = _clean_bits(stored, header)
    low, high = stored.min(), stored.max()
    pad = _padding_mask(stored, header, slope, intercept, low, high)
    if pad is not None and not pad.all():
        rest = stored[~pad]
        low, high = rest.min(), rest.max()
    if meaning.inverted:
        top = -1 if header.pixels.signed else (1 << header.pixels.stored) - 1
        slope, intercept = -slope, intercept + slope * top
    ends = (float(low) * slope + intercept, float(high) * slope + intercept)
    lowest, highest = min(ends), max(ends)
    fits = _INT16.min <= lowest and highest <= _INT16.max
    fallen = None
    if out.dtype == np.int16 and fits and slope == 1 and stored.dtype.itemsize == 2 and abs(intercept) <= 65535:
        # Modulo 2^16 the sum is right even where the stored values alone need all 16 bits without a sign.
        np.add(stored.view(np.int16), np.array(int(intercept)).astype(np.int16), out=out)
        hu = out
    elif out.dtype == np.int16 and fits:
        hu = out
        hu[...] = np.clip(np.rint(stored * slope + intercept), _INT16.min, _INT16.max)
    else:
        hu = (stored.astype(np.float64) * slope + intercept).astype(np.float32)
        if out.dtype == np.int16:
            fallen = hu
        else:
            out[...] = hu
            hu = out
    if pad is not None:
        hu[pad] = AIR_HU
    if lowest <= LOWEST_HU:
        hu[hu <= LOWEST_HU] = AIR_HU
    if hu.dtype == np.float32 and not np.isfinite(hu).all():
        hu[~np.isfinite(hu)] = AIR_HU
    return fallen


def _clean_bits(stored: np.ndarray, header: SliceHeader) -> np.ndarray:
    """Unused high bits: overlays that old scanners put there go away, a sign that was not carried on is carried on."""
    pixels = header.pixels
    if pixels.floats or pixels.stored >= pixels.allocated or stored.dtype.kind == "f":
        return stored
    limit = 1 << pixels.stored
    if pixels.overlay_bits:
        stored = stored & np.array(limit - 1, stored.dtype)
    if pixels.signed and stored.min() >= 0 and limit // 2 <= stored.max() < limit:
        stored = np.where(stored >= limit // 2, stored - np.array(limit, np.int32), stored).astype(stored.dtype)
    return stored


def _padding_mask(
    stored: np.ndarray, header: SliceHeader, slope: float, intercept: float, low: float, high: float
) -> np.ndarray | None:
    """Where the header says that there is no picture; None if nowhere.

    A padding value in the midst of tissue (some exports put 0 there, which is water) is a mistake and not used.
    """
    if header.padding is None:
        return None
    first, last = header.padding
    if last < low or first > high:
        return None
    in_hu = (first * slope + intercept, last * slope + intercept)
    if max(in_hu) > -200 and min(in_hu) < 3000:
        return None
    mask = (stored >= first) & (stored <= last)
    return mask if mask.any() else None


def _meaning(header: SliceHeader, stored: np.ndarray) -> Meaning:
    """What one typical slice tells about values that the headers leave open."""
    notes, inverted, intercept = [], False, 0.0
    stored = _clean_bits(stored, header)
    if header.intercept is None and not header.pixels.floats:
        intercept = _missing_intercept(header, stored, notes)
    if header.pixels.photometric == "MONOCHROME1":
        # The standard inverts only the display; some programs invert the numbers. What looks like a body is right.
        slope = 1.0 if header.slope is None else header.slope
        offset = intercept if header.intercept is None else header.intercept
        top = -1 if header.pixels.signed else (1 << header.pixels.stored) - 1
        plain = stored.astype(np.float64) * slope + offset
        upside_down = (top - stored.astype(np.float64)) * slope + offset
        inverted = _body_share(upside_down) > _body_share(plain)
        if inverted:
            notes.append(("monochrome1", "The pictures are stored as negatives (MONOCHROME1); they were inverted."))
    return Meaning(inverted, intercept, tuple(notes))


def _body_share(hu: np.ndarray) -> float:
    """Share of pixels between air and soft tissue: nearly all of a CT slice, hardly any of its negative."""
    return float(np.mean((hu >= -1100) & (hu <= 400)))


def _missing_intercept(header: SliceHeader, stored: np.ndarray, notes: list[tuple[str, str]]) -> float:
    if stored.min() < -500:
        notes.append(("no_rescale", "The headers have no RescaleIntercept; the values look like HU and were kept."))
        return 0.0
    if looks_offset(stored):
        text = "The headers have no RescaleIntercept; the values look like HU + 1024, which was subtracted."
        notes.append(("no_rescale", text))
        return -1024.0
    raise CTError(
        "not_hu",
        f"The series of {header.source.name} has no RescaleIntercept and its values "
        f"({stored.min():g} to {stored.max():g}) are no Hounsfield units.",
        "Load the original series as it came from the scanner.",
    )


def looks_offset(values: np.ndarray) -> bool:
    """Whether unsigned values look like HU + 1024: some air near 0 and some soft tissue near 1024."""
    if values.min() < 0 or values.max() < 900:
        return False
    air, tissue = np.mean(values < 200), np.mean((values > 900) & (values < 1200))
    return bool(air > 0.02 and tissue > 0.02)


def _is_whole(value: float | None, default: float) -> bool:
    return float(default if value is None else value).is_integer()


def _fill(
    headers: list[SliceHeader],
    done_before: int,
    files: Files,
    target: _Target,
    progress: Progress | None,
    threads: int,
) -> list[int]:
    """Decode all slices but the one that is done into the array; returns the indices of those that could be decoded."""
    tasks: list[list[int]] = []
    rest = (index for index in range(len(headers)) if index != done_before)
    for index in sorted(rest, key=lambda item: (str(headers[item].source), headers[item].frame)):
        if tasks and headers[tasks[-1][0]].source == headers[index].source:
            tasks[-1].append(index)
        else:
            tasks.append([index])
    good = [done_before]
    # Uncompressed slices are read faster than they are handed to another thread one by one.
    size = _AT_ONCE if _is_native(headers[done_before]) else 1
    bundles = [tasks[first : first + size] for first in range(0, len(tasks), size)]
    with ThreadPoolExecutor(threads) as pool:  # which starts threads when it is given something to do
        run = map if threads == 1 else pool.map
        try:
            results = run(lambda bundle: [_run(task, headers, files, target) for task in bundle], bundles)
            for done in itertools.chain.from_iterable(results):
                good += done
                if progress is not None and progress(len(good), len(headers), "Reading slices") is False:
                    raise CTError("cancelled", "Reading was cancelled.")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    target.finish()
    return sorted(good)


def _run(task: list[int], headers: list[SliceHeader], files: Files, target: _Target) -> list[int]:
    """The slices of one file; those that can't be decoded are left out."""
    good = []
    try:
        if _is_native(headers[task[0]]):
            for index in task:
                target.put(index, headers[index], _native(headers[index], files, target.array[index]))
                good.append(index)
        else:
            frames = _decoded([headers[index] for index in task], files)
            for index, stored in zip(task, frames):
                target.put(index, headers[index], stored)
                good.append(index)
    except Exception as error:  # each decoder fails in its own way; the caller reports the slices left out
        logger.debug("A slice could not be decoded (%s).", type(error).__name__)
    return good


def _decode_one(header: SliceHeader, files: Files) -> np.ndarray:
    return _native(header, files, None) if _is_native(header) else next(_decoded([header], files))


def _is_native(header: SliceHeader) -> bool:
    pixels = header.pixels
    return pixels.offset is not None and not pixels.encapsulated and pixels.transfer_syntax in NATIVE


def _dtype(header: SliceHeader) -> np.dtype:
    pixels = header.pixels
    code = pixels.floats or f"{'i' if pixels.signed else 'u'}{pixels.allocated // 8}"
    return np.dtype(code).newbyteorder("<" if pixels.little_endian else ">")


def _native(header: SliceHeader, files: Files, place: np.ndarray | None) -> np.ndarray:
    """(j, i) stored values of an uncompressed slice, read into its place where type and size agree."""
    pixels, dtype = header.pixels, _dtype(header)
    shape = (pixels.rows, pixels.columns)
    if place is not None and place.shape == shape and place.dtype.itemsize == dtype.itemsize:
        buffer = place.view(dtype)
    else:
        buffer = np.empty(shape, dtype)
    if files.read_into(
        header.source, pixels.offset + header.frame * buffer.nbytes, buffer.view("u1").data.cast("B")
    ) < (buffer.nbytes):
        raise ValueError("the file is cut off")
    if not dtype.isnative:
        buffer = buffer.byteswap(inplace=True).view(dtype.newbyteorder("="))
    return buffer


def _decoded(headers: list[SliceHeader], files: Files) -> Iterator[np.ndarray]:
    """(j, i) stored values of the frames of one compressed file."""
    first = headers[0]
    pixels = first.pixels
    if pixels.offset is None:  # deflated as a whole
        data = late("pydicom").dcmread(io.BytesIO(files.read(first.source)), force=True).PixelData
        dtype = _dtype(first)
        count = pixels.rows * pixels.columns
        for header in headers:
            offset = header.frame * count * dtype.itemsize
            yield np.frombuffer(data, dtype, count, offset).reshape(pixels.rows, pixels.columns)
        return
    decoder = _decoder(pixels.transfer_syntax)
    if decoder is None:
        yield from _by_simpleitk(headers, files)
        return
    blob = files.read(first.source, pixels.offset, pixels.length)
    frames = decoder.iter_array(
        blob,
        indices=[header.frame for header in headers],
        raw=True,
        rows=pixels.rows,
        columns=pixels.columns,
        samples_per_pixel=1,
        photometric_interpretation=pixels.photometric or "MONOCHROME2",
        bits_allocated=pixels.allocated,
        bits_stored=pixels.stored,
        pixel_representation=int(pixels.signed),
        number_of_frames=pixels.frames,
        pixel_keyword="PixelData",
    )
    for frame, _ in frames:
        yield frame


def _decoder(transfer_syntax: str):
    """Pydicom's decoder if one of its plug-ins is installed, else None."""
    try:
        decoder = late("pydicom.pixels").get_decoder(transfer_syntax)
    except NotImplementedError:
        return None
    return decoder if decoder.is_available else None


def _by_simpleitk(headers: list[SliceHeader], files: Files) -> Iterator[np.ndarray]:
    """Stored values by GDCM inside SimpleITK, which gives rescaled ones: the rescale is undone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slice.dcm"
        path.write_bytes(files.read(headers[0].source))
        sitk = late("SimpleITK")
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(path))
        array = sitk.GetArrayFromImage(reader.Execute())
    array = array.reshape(-1, *array.shape[-2:])
    for header in headers:
        slope = 1.0 if header.slope is None else header.slope
        stored = (array[header.frame] - (header.intercept or 0.0)) / slope
        if header.pixels.photometric == "MONOCHROME1":  # ITK has inverted it
            top = -1 if header.pixels.signed else (1 << header.pixels.stored) - 1
            stored = top - stored
        if not math.isfinite(float(stored.sum())):
            raise ValueError("the values are not finite")
        yield np.rint(stored).astype(np.int32)

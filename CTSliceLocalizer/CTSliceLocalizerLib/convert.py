"""From a tree of DICOM series with their truth to data for training: the compact store, or the article's files.

The tree is what the organizer leaves, ``PatientID/StudyInstanceUID/SeriesInstanceUID/InstanceNumber.dcm``; the truth
is the ground truth file ``combined_normalized_locations.json``, a ``labels.json`` for each series, or both. What
contradicts itself is told and left out, never converted.

The article ("Building a CT Slice Localizer With Keras") has one ``.npz`` for each slice with ``pixels``, ``norm_loc``
and ``series_instance_UID``; here it is ``STORE/series/<SeriesInstanceUID>/<InstanceNumber>.npz``. ``pixels`` are 8-bit
and square, as ``scipy.misc.imresize`` gave them; the three equal channels that ImageNet's networks want are made when
they are trained. Gray differs on purpose: that function stretched the stored values of each slice from its own minimum
to its own maximum, so the same tissue got another gray in each slice. Here it is HU in a fixed window, and slices that
are not square are padded with air instead of squeezed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial, reduce
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from CTVolumeLib import batch, dicom
from CTVolumeLib.errors import CTError
from CTVolumeLib.names import unique_names
from CTVolumeLib.resample import weights
from scipy import sparse

from . import groundtruth, landmarks, normalizing, slicegrid, store
from .groundtruth import Annotation
from .slicefile import SliceFile
from .truths import Truth, fingerprint

SIZE = 256
WINDOW_HU = (-1000.0, 400.0)

READING_MM = 2.5
"""How well a landmark is read off; two readers differ by 1.5 to 2.8 mm."""
LOCATION_SIGMA_MM, SIGMA_PER_MM = 6.0, 0.12
"""How well a slice's place is known where only its location is given, and how that fades beyond the slices given."""

Progress = Callable[[int, int, str], bool]


def convert(
    tree: Path,
    out: Path,
    truths: Sequence[Truth],
    *,
    kind: str = store.COMPACT,
    size: int = SIZE,
    window: tuple[float, float] = WINDOW_HU,
    jobs: int = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> list[batch.Outcome]:
    """Convert series and write the index of the data set. What an earlier run has finished is kept.

    Args:
        tree: folder of the series; names in the data set come from the paths below it.
        out: folder of the data set.
        truths: from ``truths.find``.
        kind: ``"compact"`` or ``"article"``.
        size: pixels of a side, article's format only.
        window: HU that become black and white, article's format only.
        jobs: processes; 0 takes all cores.
        scheduler: address of a Dask scheduler.
        progress: called with series done, series in all, and a text; False cancels.

    Returns:
        One outcome for each series; those that failed are not in the data set, but in its index under ``left_out``.

    Raises:
        CTError: ``out`` can't be written or holds a data set of the other format, wrong options, cancelled.
    """
    settings: dict[str, Any] = {"format": kind}
    if kind == store.ARTICLE:
        if not (1 <= size <= 1024 and window[1] > window[0]):
            raise CTError("wrong_call", "The size has to be 1 to 1024 and the window grow.", "Correct the options.")
        settings |= {"size": int(size), "window": [float(window[0]), float(window[1])]}
    else:
        settings |= {"schema": store.SERIES_SCHEMA}
    _check_format(Path(out), kind)
    items = [
        batch.Item(name, truth.folder, settings=settings | {"truth": fingerprint(truth)}, payload=truth)
        for name, truth in zip(_names(tree, truths), truths)
    ]
    place = Path(out) / store.SERIES_FOLDER
    outcomes = batch.run(
        items, convert_series, place, jobs=jobs, scheduler=scheduler, repeatable=True, progress=progress
    )
    store.write_index(out, _index(kind, settings, outcomes))
    return outcomes


def convert_series(item: batch.Item, folder: Path) -> dict[str, Any]:
    """Convert one series of a batch; what comes back goes into the index.

    Args:
        item: payload is a ``Truth``, settings are those of ``convert``.
        folder: to write into.

    Raises:
        CTError: the series can't be read, or its truth contradicts itself.
    """
    truth: Truth = item.payload
    if truth.problem:
        raise CTError("labels", truth.problem, "Name it after the series, and keep one file of labels for each.")
    series, marks = _labelled(truth, _named(truth, dicom.series_in(truth.folder)))
    heights = {header.source.name: float(z) for header, z in zip(series.slices, series.heights())}
    located, missing = _locations(truth, heights, series.name)
    facts = {
        "uid": series.uid or item.name,
        "patient": store.patient_key(truth.patient),
        "slices": 0,
        "landmarks": len(marks),
        "missing": missing,
    }
    if item.settings["format"] == store.ARTICLE:
        known = located or _located_by(marks, heights)
        picture_of = partial(picture, size=item.settings["size"], window=tuple(item.settings["window"]))
        facts["slices"] = _write_article(series, facts["uid"], known, picture_of, folder)
        return facts
    grid = slicegrid.make(dicom.read_series(series).as_axial(), keep_unmasked=True)
    body, sigma, location = _targets(grid.z_mm, marks, [(heights[name], value) for name, value in located.items()])
    one = store.StoredSeries(item.name, facts["uid"], facts["patient"], grid, body, sigma, location, marks)
    store.write_series(folder / store.SERIES_FILE, one)
    return facts | {"slices": len(grid.z_mm)}


def picture(hu: np.ndarray, size: int = SIZE, window: tuple[float, float] = WINDOW_HU) -> np.ndarray:
    """One slice as the article's networks see it.

    Args:
        hu: (j, i) HU.
        size: pixels of a side of the result.
        window: HU that become 0 and 255.

    Returns:
        (size, size) uint8.
    """
    low, high = window
    gray = np.asarray(hu)
    factor, rest = divmod(max(gray.shape), size)
    # Whole HU stay 16-bit numbers, which are twice as fast, until the mean is taken.
    whole = gray.dtype == np.int16 and float(low).is_integer() and float(high).is_integer()
    fits = low >= -32768 and high <= 32767 and (high - low) * max(factor, 1) ** 2 <= 32767
    kind = np.int16 if whole and fits else np.float32
    gray = np.clip(gray.astype(kind, copy=False), kind(low), kind(high))
    gray -= kind(low)
    rows, columns = gray.shape
    side = max(rows, columns)
    if rows != columns:
        square = np.zeros((side, side), kind)
        square[(side - rows) // 2 :, (side - columns) // 2 :][:rows, :columns] = gray
        gray = square
    if rest or not factor:
        down, across = _shrinking(side, size)
        gray = (across @ (down @ gray.astype(np.float32)).ravel()).reshape(size, size)
        factor = 1
    elif factor > 1:  # 512 to 256 and the like: means of whole pixels, in half the time
        gray = reduce(np.add, [gray[k::factor] for k in range(factor)])
        gray = reduce(np.add, [gray[:, k::factor] for k in range(factor)])
    shades = gray.astype(np.float32)
    shades *= np.float32(255 / ((high - low) * factor**2))
    return np.rint(shades, out=shades).astype(np.uint8)


def _names(tree: Path, truths: Sequence[Truth]) -> list[str]:
    """Names of the result folders: that of the series' folder; where two share one, with a hash of the path.

    Parent folders are no part of the name, since one of them is the patient's.
    """
    names = [unique_names([truth.folder])[0] for truth in truths]
    count = Counter(name.casefold() for name in names)
    paths = [truth.folder.as_posix().removeprefix(Path(tree).absolute().as_posix()) for truth in truths]
    return [
        name if count[name.casefold()] == 1 else f"{name}-{hashlib.sha256(path.encode()).hexdigest()[:8]}"
        for name, path in zip(names, paths)
    ]


def _check_format(out: Path, kind: str) -> None:
    """A finished data set is not taken for an unfinished one of the other format, and made over."""
    try:
        found = store.read_index(out).format
    except CTError:  # none yet, or a damaged one that is made again
        return
    if found != kind:
        text = f"{out.name} holds a data set in the {found} format, which would be lost."
        raise CTError("wrong_format", text, "Choose another folder with --out, or remove that one first.")


# One series


def _labelled(truth: Truth, series: Sequence[dicom.Series]) -> tuple[dicom.Series, dict[str, Annotation]]:
    """The series that is meant and its landmarks; those with labels are checked as ``normalize`` does it.

    Raises:
        CTError: the labels name other files or contradict anatomy.
    """
    if truth.labels is None:
        return _usable(series[0]), {}
    checked = normalizing.check(truth.labels, truth.folder, series)
    if checked.problems:
        more = f" ({len(checked.problems) - 1} more problems)" if len(checked.problems) > 1 else ""
        raise CTError("labels", f"{checked.problems[0]}{more}", "Correct the labels; ct-localize normalize lists all.")
    meant = next(one for one in series if one.uid == checked.uid and set(checked.slices) <= _file_names(one))
    uncertainty = float(np.hypot(READING_MM, _spacing(meant) / 2))
    return meant, {name: Annotation(z, uncertainty) for name, z in checked.z_mm.items()}


def _named(truth: Truth, series: Sequence[dicom.Series]) -> list[dicom.Series]:
    """What was found in a folder; first the series to which most of the located files belong."""
    if not series:
        text = f"{truth.folder.name} holds no DICOM images."
        raise CTError("no_images", text, "Copy or export the files again.")
    return sorted(series, key=lambda one: (-len(_file_names(one) & set(truth.locations)), one.unusable is not None))


def _usable(series: dicom.Series) -> dicom.Series:
    if series.unusable is not None:
        dicom.read_series(series)  # raises with the reason
    if not series.axial:
        text = f"The slices of {series.name} are not axial."
        raise CTError("not_axial", text, "Only axial series can be used for training.")
    if len(series.files) < len(series.slices):
        text = f"The slices of {series.name} lie in one file, so nothing can be said of each."
        raise CTError("multi_frame", text, "Export the series as one file for each slice.")
    return series


def _file_names(series: dicom.Series) -> set[str]:
    return {Path(file).name for file in series.files}


def _spacing(series: dicom.Series) -> float:
    heights = series.heights()
    return float(np.median(np.abs(np.diff(heights)))) if len(heights) > 1 else series.slices[0].thickness or 5.0


def _locations(truth: Truth, heights: Mapping[str, float], name: str) -> tuple[dict[str, float], int]:
    """Locations of the slices that are there, and how many others are named.

    Raises:
        CTError: none is there, or they do not fall from head to feet.
    """
    there = {file: value for file, value in truth.locations.items() if file in heights}
    if truth.locations and not there:
        text = f"None of the {len(truth.locations)} files that have a location is in {name}."
        raise CTError("missing_files", text, "Make the ground truth file again with ct-localize normalize.")
    upwards = sorted(there, key=lambda file: heights[file])
    for lower, upper in pairwise(upwards):
        if there[upper] > there[lower] + 1e-9:
            text = f"The locations of {name} contradict the slices' heights: {upper} lies above {lower}."
            raise CTError("location_order", text, "Make the ground truth file again with ct-localize normalize.")
    return there, len(truth.locations) - len(there)


def _located_by(marks: Mapping[str, Annotation], heights: Mapping[str, float]) -> dict[str, float]:
    """Location of every slice by at least two landmarks."""
    values = groundtruth.locations(np.array(list(heights.values())), marks)
    return {file: float(value) for file, value in zip(heights, values)}


def _targets(
    z_mm: np.ndarray, marks: Mapping[str, Annotation], located: Sequence[tuple[float, float]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Body coordinate, its sigma and location of each height, by the landmarks, by located slices, or by both."""
    location = None
    if located:
        points = np.array(sorted(located))
        points = points[np.append(True, np.diff(points[:, 0]) > 0.01)]
        values = landmarks.interpolate(z_mm, *points.T) if len(points) > 1 else np.full(len(z_mm), points[0, 1])
        location = values
        beyond = np.maximum(points[0, 0] - z_mm, z_mm - points[-1, 0]).clip(min=0)
    if marks:
        body, sigma = groundtruth.body_targets(z_mm, marks)
    else:
        body, sigma = landmarks.location_to_body(location), LOCATION_SIGMA_MM + SIGMA_PER_MM * beyond
    if location is None:
        location = groundtruth.locations(z_mm, marks)
    return body, sigma, location


def _write_article(
    series: dicom.Series,
    uid: str,
    located: Mapping[str, float],
    picture_of: Callable[[np.ndarray], np.ndarray],
    folder: Path,
) -> int:
    """One file for each located slice, in the bytes of the article's own call; returns their number."""
    stems = Counter(Path(file).stem.casefold() for file in located)
    written, one_file = 0, None
    for headers, array in dicom.read_in_parts(series):
        for header, hu in zip(headers, array):
            name = header.source.name
            if name in located:
                file = Path(name)
                stem = file.stem if stems[file.stem.casefold()] == 1 else name
                pixels = picture_of(hu)
                one_file = one_file or SliceFile(pixels.shape[0], uid)
                with open(f"{folder}/{stem}.npz", "wb", buffering=0) as target:  # noqa: PTH123 - a path takes as long
                    target.write(one_file.content(pixels, located[name]))
                written += 1
    return written


@lru_cache(maxsize=4)
def _shrinking(pixels: int, size: int) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Weights that bring columns, and then all rows one after the other, from so many pixels to size.

    They are means where the result is coarser and linear interpolation where it is finer. One matrix for all rows
    takes half the time of turning the picture twice.
    """
    step = pixels / size
    centres = (np.arange(size) + 0.5) * step - 0.5
    down = weights(np.arange(pixels), centres, np.sqrt(max(0.0, step**2 - 1))).astype(np.float32)
    across = sparse.kron(sparse.eye_array(size, dtype=np.float32), down, format="csr")
    return down, sparse.csr_array(across, dtype=np.float32)


def _index(kind: str, settings: Mapping[str, Any], outcomes: Sequence[batch.Outcome]) -> store.Index:
    good = [outcome for outcome in outcomes if outcome.state != batch.FAILED]
    entries = [
        store.Entry(
            outcome.name,
            *(outcome.facts[key] for key in ("uid", "patient", "slices", "landmarks")),
            path=Path(),
        )
        for outcome in good
    ]
    left_out = [
        {"name": outcome.name, "code": outcome.code, "message": outcome.message}
        for outcome in outcomes
        if outcome.state == batch.FAILED
    ]
    return store.Index(kind, settings, tuple(entries), tuple(left_out))

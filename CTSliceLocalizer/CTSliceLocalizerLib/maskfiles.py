"""Named structures of a scan from segmentation files: one file per structure, or one file with many labels.

What is read is what TotalSegmentator, nnU-Net and 3D Slicer write: a folder with a file per structure, a label map
whose names lie in its header or in a table beside it, or ``.seg.nrrd``. Names are compared by their words, so that
``vertebrae_C1`` and ``C1 vertebra``, ``lung_upper_lobe_right`` and ``right lung`` mean the same; parts with the same
words (the lobes of a lung) are taken together. Only what is asked for is read.
"""

from __future__ import annotations

import csv
import gzip
import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from CTVolumeLib import volumefile
from CTVolumeLib.errors import CTError
from CTVolumeLib.quiet import quiet_libraries
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

log = logging.getLogger(__name__)

_PARTS = {"lobe", "upper", "lower", "middle", "superior", "inferior"}
_FILLERS = _PARTS | {"of", "the", "bone", "vertebra", "vertebrae", "vertebral"}
_SAME = {"cranium": "skull", "airway": "trachea", "airways": "trachea", "eyeball": "eye", "globe": "eye"}
_TABLES = ("{stem}.json", "{stem}.csv", "{stem}.ctbl", "dataset.json", "labels.csv")
_HINT = "Give a folder with one file per structure, a .seg.nrrd, or a label map with a table of names beside it."


@dataclass(frozen=True, eq=False)
class Structure:
    """One structure, cut out of the scan with a margin of one voxel.

    Attributes:
        inside: (k, j, i) bool, slices from the feet to the head, rows to the back, columns to the left.
        z_mm: (k,) LPS z of the slices.
        spacing: mm along i, j, k.
        cut_below: whether the lowest slice here is the lowest of the scan, and shows the structure.
        cut_above: likewise at the upper end.
        first: index of the box's first row and column in the scan, so that structures can be compared.
    """

    inside: np.ndarray
    z_mm: np.ndarray
    spacing: tuple[float, float, float]
    cut_below: bool
    cut_above: bool
    first: tuple[int, int] = (0, 0)

    def cropped(self, keep: np.ndarray) -> Structure:
        """The slices (k,) bool, a contiguous range; a new end counts as no cut.

        Raises:
            ValueError: no slice is kept.
        """
        kept = np.flatnonzero(keep)
        part = slice(int(kept[0]), int(kept[-1]) + 1)
        return replace(
            self,
            inside=self.inside[part],
            z_mm=self.z_mm[part],
            cut_below=self.cut_below and part.start == 0,
            cut_above=self.cut_above and part.stop == len(self.z_mm),
        )


def key(name: str) -> frozenset[str]:
    """The words of a structure's name that tell it from others."""
    words = re.findall(r"[a-z]+\d*|\d+", name.lower())
    return frozenset(_SAME.get(word, word) for word in words) - _FILLERS


def read(path: Path | str, wanted: Iterable[str], names: Path | None = None) -> dict[str, Structure]:
    """Read the wanted structures.

    Args:
        path: a folder with a file per structure, or a file with many labels.
        wanted: names as TotalSegmentator has them, such as ``vertebrae_C1``, ``hip_left``, ``lung_right``.
        names: table of names for a file that holds none: JSON (``dataset.json`` of nnU-Net, or value to name), CSV with
            value and name, or a color table of 3D Slicer.

    Returns:
        The structures that are there and not empty, by the wanted name.

    Raises:
        CTError: nothing of what is wanted is named there, or a file can't be read.
    """
    path = Path(path)
    by_key = {key(name): name for name in wanted}
    found = _from_folder(path, by_key) if path.is_dir() else _from_file(path, by_key, names)
    if found is None:
        raise CTError("no_structures", f"{path.name} names none of the structures that labels are made from.", _HINT)
    return found


def structure(mask: CTVolume) -> Structure | None:
    """A mask (array bool, any orientation) as a structure, or None where it is empty."""
    axial = mask.as_axial()
    boxes = ndimage.find_objects(axial.array.astype(np.uint8))
    return _cut(axial, axial.array, boxes[0]) if boxes else None


def merged(parts: list[CTVolume]) -> CTVolume:
    """Several masks on one grid as one.

    Raises:
        CTError: the grids differ.
    """
    first = parts[0]
    for part in parts[1:]:
        if part.array.shape != first.array.shape:
            raise CTError("other_grid", "The parts of one structure have different sizes.", _HINT)
    return first if len(parts) == 1 else first.with_array(np.any([part.array for part in parts], axis=0))


def stem(path: Path) -> str:
    """The name of a file without its ending, which may have two parts."""
    name = path.name
    for ending in (".seg.nrrd", *volumefile.ENDINGS):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def _from_folder(folder: Path, by_key: Mapping[frozenset[str], str]) -> dict[str, Structure] | None:
    files: dict[str, list[Path]] = {}
    for file in sorted(folder.iterdir()):
        if volumefile.is_volume_name(file.name) and key(stem(file)) in by_key:
            files.setdefault(by_key[key(stem(file))], []).append(file)
    if not files:
        return None
    read_in = {name: structure(merged([_mask(file) for file in several])) for name, several in files.items()}
    return {name: part for name, part in read_in.items() if part is not None}


def _from_file(path: Path, by_key: Mapping[frozenset[str], str], names: Path | None) -> dict[str, Structure] | None:
    image = _image(path)
    layers = _layers(path, image, names)
    labels: dict[str, list[tuple[int, int]]] = {}
    for name, places in layers.items():
        if key(name) in by_key:
            labels.setdefault(by_key[key(name)], []).extend(places)
    if not labels:
        return None
    array = sitk.GetArrayFromImage(image)
    stack = np.moveaxis(array, -1, 0) if image.GetNumberOfComponentsPerPixel() > 1 else array[None]
    volumes = [_volume(image, layer).as_axial() for layer in stack]
    found = {}
    for name, places in labels.items():
        mask = np.zeros(volumes[0].array.shape, dtype=bool)
        for layer, value in places:
            mask |= volumes[layer].array == value
        boxes = ndimage.find_objects(mask.astype(np.uint8))
        if boxes:
            found[name] = _cut(volumes[0], mask, boxes[0])
    return found


def _layers(path: Path, image: sitk.Image, names: Path | None) -> dict[str, list[tuple[int, int]]]:
    """Name to the layers and values that stand for it."""
    if names is None:
        inside = _segments(image) or _nifti_names(path)
        if inside:
            return inside
        tables = (path.parent / pattern.format(stem=stem(path)) for pattern in _TABLES)
        names = next((table for table in tables if table.is_file()), None)
    if names is None:
        raise CTError("no_names", f"{path.name} does not say what its labels stand for.", _HINT)
    return _table(names)


def _segments(image: sitk.Image) -> dict[str, list[tuple[int, int]]]:
    """Segments of a ``.seg.nrrd``."""
    found: dict[str, list[tuple[int, int]]] = {}
    for meta in image.GetMetaDataKeys():
        number = re.fullmatch(r"Segment(\d+)_Name", meta)
        if number is None:
            continue
        prefix = f"Segment{number[1]}_"
        value, layer = (
            int(image.GetMetaData(prefix + part)) if image.HasMetaDataKey(prefix + part) else default
            for part, default in (("LabelValue", 1), ("Layer", 0))
        )
        found.setdefault(image.GetMetaData(meta), []).append((layer, value))
    return found


def _nifti_names(path: Path) -> dict[str, list[tuple[int, int]]]:
    """Names in the header of a label map, where TotalSegmentator puts them (a label table as Caret has it)."""
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        return {}
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
            header = file.read(1 << 18)
    except (OSError, EOFError):
        return {}
    text = header[348:].decode("latin-1")
    labels = re.findall(r'<Label\b[^>]*\bKey="(\d+)"[^>]*>\s*(?:<!\[CDATA\[)?([^<\]]+)', text)
    return {name.strip(): [(0, int(value))] for value, name in labels}


def _table(path: Path) -> dict[str, list[tuple[int, int]]]:
    """A table of names: JSON, CSV, or a color table."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix.lower() == ".json":
            content = json.loads(text)
            pairs = list((content.get("labels", content)).items())
        else:
            lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
            rows = list(csv.reader(lines)) if "," in lines[0] else [line.split() for line in lines]
            pairs = [(row[0].strip(), row[1].strip()) for row in rows if len(row) > 1]
    except (OSError, ValueError, AttributeError, IndexError) as error:
        raise CTError("bad_names", f"The table of names {path.name} can't be read.", _HINT) from error
    found: dict[str, list[tuple[int, int]]] = {}
    for one, other in pairs:
        value, name = (one, other) if str(one).strip().isdigit() else (other, one)
        if isinstance(value, (int, str)) and str(value).isdigit() and int(value) > 0:
            found.setdefault(str(name), []).append((0, int(value)))
    return found


def _mask(path: Path) -> CTVolume:
    image = _image(path)
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise CTError("bad_mask", f"{path.name} is no mask: it has several channels.", _HINT)
    return _volume(image, sitk.GetArrayFromImage(image) > 0)


def _image(path: Path) -> sitk.Image:
    if not volumefile.is_volume_name(path.name):
        raise CTError("unknown_format", f"{path.name} is no segmentation file.", _HINT)
    with quiet_libraries():
        try:
            image = sitk.ReadImage(str(path))
        except RuntimeError as error:
            text = f"{path.name} can't be read: it is missing, damaged or of another kind."
            raise CTError("bad_volume_file", text, "Export it again.") from error
    if image.GetDimension() != 3:
        raise CTError("bad_mask", f"{path.name} is no volume.", _HINT)
    return image


def _volume(image: sitk.Image, array: np.ndarray) -> CTVolume:
    return CTVolume(array, image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def _cut(axial: CTVolume, mask: np.ndarray, box: tuple[slice, ...]) -> Structure:
    margin = [slice(max(0, cut.start - 1), min(size, cut.stop + 1)) for cut, size in zip(box, mask.shape)]
    return Structure(
        inside=np.ascontiguousarray(mask[tuple(margin)]),
        z_mm=axial.superior()[margin[0]],
        spacing=tuple(float(step) for step in axial.spacing),
        cut_below=box[0].start == 0,
        cut_above=box[0].stop == len(mask),
        first=(margin[1].start, margin[2].start),
    )

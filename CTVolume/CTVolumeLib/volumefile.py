"""Volume files (NIfTI, NRRD, MetaImage) as CT: read by SimpleITK, with doubts about what they hold.

Such files no longer say what they are. So the checks look at what a CT can't be: pictures windowed to 0..255, several
channels, several time points, no spacing, values without any air.
"""

from __future__ import annotations

import gzip
import re
import struct
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name that SimpleITK itself uses

from .errors import CTError
from .pixels import AIR_HU, LOWEST_HU, looks_offset
from .quiet import quiet_libraries
from .sources import Files, Source
from .volume import CTVolume

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")

_OTHER_MODALITIES = re.compile(r"\b(MR|MRI|PT|PET|NM|US|CR|DX|MG|XA|RF|OT)\b", re.IGNORECASE)
_HINT = "Load the original DICOM series."


def is_volume_name(name: str) -> bool:
    """Whether a file name ends like a volume file."""
    return name.lower().endswith(ENDINGS)


def read(path: Path) -> CTVolume:
    """Read a volume file as CT.

    Raises:
        CTError: unreadable, several channels or time points, no spacing, or values that can't be HU.
    """
    if not is_volume_name(path.name):
        raise CTError(
            "unknown_format",
            f"{path.name} is neither DICOM nor a volume file.",
            "Supported are DICOM folders, zips and files, NIfTI, NRRD and MetaImage.",
        )
    notes: list[tuple[str, str]] = []
    _check_header(path, notes)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    with quiet_libraries():
        try:
            reader.ReadImageInformation()
            _check_kind(reader, path.name)
            image = reader.Execute()
        except RuntimeError as error:
            raise CTError(
                "bad_volume_file", f"{path.name} can't be read: it is damaged or of another kind.", "Export it again."
            ) from error
    if image.GetDimension() == 4:
        size = [*image.GetSize()[:3], 0]
        image = sitk.Extract(image, size, [0, 0, 0, 0], sitk.ExtractImageFilter.DIRECTIONCOLLAPSETOSUBMATRIX)
    array = _hounsfield(sitk.GetArrayFromImage(image), path.name, notes)
    if not np.all(np.isfinite(image.GetOrigin())):
        raise CTError("bad_origin", f"The origin in the header of {path.name} is not a number.", _HINT)
    if array.shape[0] == 1:
        notes.append(("one_slice", "There is only one slice."))
    return CTVolume(
        array=array,
        spacing=image.GetSpacing(),
        origin=image.GetOrigin(),
        direction=image.GetDirection(),
        meta={
            "modality": "CT",
            "kernel": None,
            "slice_thickness": None,
            "patient_position": None,
            "frame_of_reference_uid": None,
            "series_uid": None,
            "series_description": None,
            "warnings": tuple(notes),
        },
        sources=(str(path),) * array.shape[0],
    )


def read_source(source: Source, files: Files) -> CTVolume:
    """Read a volume file that may lie in a zip."""
    if source.member is None:
        return read(source.path)
    with tempfile.TemporaryDirectory() as folder:
        ending = next(ending for ending in ENDINGS if source.name.lower().endswith(ending))
        path = Path(folder) / f"volume{ending}"
        try:
            path.write_bytes(files.read(source))
        except OSError as error:
            raise CTError("bad_zip", f"{source.path.name} can't be unpacked.", "Copy it again.") from error
        return read(path)


def _check_kind(reader: sitk.ImageFileReader, name: str) -> None:
    size = reader.GetSize()
    if reader.GetNumberOfComponents() != 1 or "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()):
        raise CTError("not_ct", f"{name} is a color or vector picture, not CT values.", _HINT)
    if len(size) < 3:
        raise CTError("bad_shape", f"{name} is a flat picture, not a volume.", _HINT)
    if len(size) > 3 and max(size[3:]) > 1:
        raise CTError("four_d", f"{name} holds {max(size[3:])} time points.", "Save one of them as a volume.")
    for key in reader.GetMetaDataKeys():
        value = reader.GetMetaData(key)
        if "modality" in key.lower() and _OTHER_MODALITIES.search(value):
            raise CTError("not_ct", f"{name} is marked as another modality than CT.", "Choose a CT.")


def _hounsfield(array: np.ndarray, name: str, notes: list[tuple[str, str]]) -> np.ndarray:
    """(k, j, i) HU, int16 where the values are whole and fit, else float32."""
    if array.dtype.kind == "f":
        bad = ~np.isfinite(array)
        count = int(np.count_nonzero(bad))
        if count == array.size:
            raise CTError("not_hu", f"{name} holds no numbers.", _HINT)
        if count:
            array[bad] = AIR_HU
            notes.append(("not_finite", f"{count} voxels were not numbers and were set to air."))
    low, high = float(array.min()), float(array.max())
    if array.dtype.itemsize == 1 or (low >= -1 and high <= 255):
        raise CTError(
            "not_hu",
            f"The values of {name} lie between {low:g} and {high:g}: gray values of a picture, no Hounsfield units.",
            "Load the original CT instead of pictures of it.",
        )
    shift = 0
    if low >= 0:
        if not looks_offset(array):
            raise CTError(
                "not_hu", f"The values of {name} ({low:g} to {high:g}) have no air: no Hounsfield units.", _HINT
            )
        shift = 1024
        notes.append(("no_rescale", "The values look like HU + 1024, which was subtracted."))
    whole = array.dtype.kind in "iu" or bool(np.all(array == np.rint(array)))
    fits = min(low - shift, AIR_HU) >= -32768 and high - shift <= 32767
    if whole and fits:
        result = (array.astype(np.int32) - shift).astype(np.int16) if shift else array.astype(np.int16, copy=False)
    else:
        result = array.astype(np.float32, copy=False) - np.float32(shift)
    if low - shift <= LOWEST_HU:
        result[result <= LOWEST_HU] = AIR_HU
    if low > -500 and np.mean(result == result.min()) > 0.05:
        text = f"The values lie between {low:g} and {high:g} HU: they seem to have been clipped to a window."
        notes.append(("clipped", text))
    return result


def _check_header(path: Path, notes: list[tuple[str, str]]) -> None:
    """Look for what SimpleITK would quietly replace: a missing spacing by 1 mm, a missing orientation by the axes."""
    name = path.name.lower()
    try:
        with (gzip.open if name.endswith(".gz") else open)(path, "rb") as file:
            head = file.read(4096)
    except (OSError, EOFError) as error:
        raise CTError("bad_volume_file", f"{path.name} can't be read.", "Copy or export it again.") from error
    except Exception as error:  # zlib.error and the like
        raise CTError("bad_volume_file", f"{path.name} can't be unpacked.", "Copy it again.") from error
    if name.endswith((".nii", ".nii.gz")):
        spacing = _nifti_spacing(head, path, notes)
    elif name.endswith((".nrrd", ".nhdr")):
        text = head.split(b"\n\n")[0].decode("latin-1")
        spacing = bool(re.search(r"^(spacings|space directions):", text, re.MULTILINE | re.IGNORECASE))
    else:
        text = head.decode("latin-1")
        spacing = bool(re.search(r"^ElementS(pacing|ize)\s*=", text, re.MULTILINE))
    if not spacing:
        raise CTError(
            "bad_spacing",
            f"The header of {path.name} has no valid voxel spacing.",
            "Correct the header, or load the original DICOM series.",
        )


def _nifti_spacing(head: bytes, path: Path, notes: list[tuple[str, str]]) -> bool:
    """Whether pixdim holds three positive numbers (NIfTI-1: offset 76, float; NIfTI-2: offset 104, double)."""
    for order in "<>":
        size = struct.unpack(f"{order}i", head[:4])[0] if len(head) >= 348 else 0
        if size == 348:
            values = struct.unpack(f"{order}8f", head[76:108])
            codes = struct.unpack(f"{order}2h", head[252:256])
        elif size == 540 and len(head) >= 540:
            values = struct.unpack(f"{order}8d", head[104:168])
            codes = struct.unpack(f"{order}2i", head[344:352])
        else:
            continue
        if codes == (0, 0):
            notes.append(("no_orientation", "The header does not say how the volume is oriented."))
        return all(np.isfinite(value) and value > 0 for value in values[1:4])
    raise CTError("bad_volume_file", f"{path.name} is not a NIfTI file.", "Export it again.")

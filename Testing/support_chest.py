"""A small chest whose lungs are known, for tests of files and commands rather than of accuracy."""

from __future__ import annotations

import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from CTVolumeLib.phantom import Phantom, PhantomParameters, make, write_dicom
from CTVolumeLib.segments import image_of
from CTVolumeLib.volume import CTVolume


@cache
def chest() -> Phantom:
    """Shoulders to upper abdomen in coarse voxels."""
    return make(PhantomParameters(coverage=(0.14, 0.37), spacing=(3.5, 3.5, 7.0), noise=10.0))


def save(volume: CTVolume, path: Path) -> Path:
    """The scan as a volume file; the ending is its format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image_of(volume), str(path))
    return path


def save_every_way(volume: CTVolume, folder: Path, name: str) -> None:
    """One scan as <name>.nii.gz, coronal.nrrd, a DICOM series and packed.zip; beside it broken.nii.gz and empty."""
    save(volume, folder / f"{name}.nii.gz")
    save(stored_otherwise(volume), folder / "coronal.nrrd")
    write_dicom(volume, folder / "series", patient_name="SECRET^NAME", patient_id="SECRETID", shuffle=True)
    with zipfile.ZipFile(folder / "packed.zip", "w") as archive:
        for file in sorted((folder / "series").iterdir()):
            archive.write(file, f"a/{file.name}")
    (folder / "broken.nii.gz").write_bytes(b"not a volume")
    (folder / "empty").mkdir()


def stored_otherwise(volume: CTVolume) -> CTVolume:
    """The same patient in coronal slices, from back to front; their rows run from the feet up, each to the right."""
    axial = volume.as_axial()
    array = np.ascontiguousarray(axial.array.transpose(1, 0, 2)[::-1, :, ::-1])
    spacing = (axial.spacing[0], axial.spacing[2], axial.spacing[1])
    _, rows, columns = axial.array.shape
    origin = axial.origins()[0] + np.multiply(axial.spacing, (columns - 1, rows - 1, 0))
    direction = (-1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0)
    return CTVolume(array, spacing, tuple(float(x) for x in origin), direction, meta=dict(axial.meta))


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Overlap of two masks."""
    return 2 * float(np.count_nonzero(one & other)) / float(np.count_nonzero(one) + np.count_nonzero(other))

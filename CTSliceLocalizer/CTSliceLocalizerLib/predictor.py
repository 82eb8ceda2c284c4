"""From a volume to what the networks say of it, and on to the location of every slice.

``locate`` is the one call that commands and panels need. A whole 500-slice scan takes well under a second: it is
brought onto 4 mm cells first, so that the work depends on the length of the patient, not on the number of slices.
"""

from __future__ import annotations

import functools
import logging
from pathlib import Path

import numpy as np
from CTVolumeLib.errors import CTError
from CTVolumeLib.inference import Model
from CTVolumeLib.progress import Progress, part
from CTVolumeLib.volume import CTVolume, describe

from . import curve, diaphragm, members, slicegrid
from .calibration import Calibration
from .results import Flag, ScanLocation, refusal

MODEL_NAME = "ct-slice-localizer"
AIR_HU = -900.0
SOFT_TISSUE_HU = -100.0
"""Of a twentieth of the body or more, the values exceed this in any CT, also one that is 100 HU off."""
ROUGHEST_HU = 200.0
"""Half of all neighbouring pixels that are no air differ by less in any CT: by 56 HU at most in the real scans that
were looked at (122, of 2 mm and coarser); thin slices of low dose by about as much as their noise, 150 HU.
"""
_FOLDERS = (Path(__file__).parent.parent / "Resources" / "Models", Path(__file__).parent / "Models")

log = logging.getLogger(__name__)


@functools.lru_cache(maxsize=4)
def load_model(path: Path | str | None = None, engine: str = "auto") -> Model:
    """The shipped model, or another one; read once.

    Args:
        path: a model's ``.npz``; None is the shipped one.
        engine: "auto", "numpy" or "litert".

    Raises:
        CTError: the model is missing, damaged or foreign.
    """
    if path is None:
        path = next((folder / f"{MODEL_NAME}.npz" for folder in _FOLDERS if folder.is_dir()), _FOLDERS[0] / MODEL_NAME)
    return Model.load(path, engine)


def model_file(path: Path) -> Path:
    """The model at a path: the file itself, or the one in a folder.

    Raises:
        CTError: a folder without a model, or with several.
    """
    if not path.is_dir():
        return path
    found = [file for file in sorted(path.glob("*.npz")) if file.with_suffix(".json").is_file()]
    if len(found) != 1:
        text = f"{path.name} holds {len(found) or 'no'} exported models."
        raise CTError("no_model", text, "Export the training run first (ct-localize export), and name the .npz file.")
    return found[0]


def locate(
    volume: CTVolume, *, engine: str = "auto", model: Model | None = None, progress: Progress | None = None
) -> ScanLocation:
    """Say for every slice of a CT where in the body it lies.

    Args:
        volume: any CT in HU, in any orientation.
        engine: "auto" (LiteRT where it is there, else numpy), "numpy" or "litert".
        model: a model other than the shipped one.
        progress: called with steps done, steps in all, and a text; False cancels.

    Returns:
        Locations with sigma, landmarks and flags; ``refused`` is set where the scan is no CT of a body.

    Raises:
        CTError: cancelled, the slices can't be brought into axial order, or the model can't be used.
    """
    model = model or load_model(engine=engine)
    if not members.count(model):
        raise CTError(
            "wrong_model",
            f"The model {model.name} judges single slices; it can't place a whole scan.",
            "Take a compact model (ct-localize train --network compact), or measure this one by ct-localize evaluate.",
        )
    about_model = {"name": model.name, "sha256": model.sha256}
    axial = volume.as_axial()
    series = describe(volume, axial)
    warnings = tuple(Flag(code, text) for code, text in volume.meta.get("warnings", ()))
    problem = _not_hounsfield(axial)
    if problem:
        return refusal(problem, series=series, flags=warnings, model=about_model)
    try:
        grid = slicegrid.make(axial, progress=part(progress, 0, 2))
    except CTError as error:
        if error.code == "cancelled":
            raise
        return refusal(Flag(error.code, str(error)), series=series, flags=warnings, model=about_model)
    problem = _not_tissue(grid)
    if problem:
        return refusal(problem, series=series, flags=warnings, model=about_model)
    offset = slicegrid.hu_offset(axial)
    if offset:
        text = f"Air around the patient measures {offset - 1000} HU: all values seem to be {abs(offset)} HU too "
        warnings += (Flag("hu_offset", text + f"{'high' if offset > 0 else 'low'}. Locations allow for it."),)
    estimates = estimate(grid, model, part(progress, 1, 2))
    index = np.array(axial.meta.get("slice_index", range(len(axial.array))))
    return curve.fit(
        estimates,
        z_mm=axial.superior(),
        index=index,
        files=axial.sources,
        series=series,
        model=about_model,
        flags=warnings,
        calibrated=Calibration.of_card(model.card),
    )


def estimate(grid: slicegrid.SliceGrid, model: Model, progress: Progress | None = None) -> curve.Estimates:
    """Run the networks over a scan, both in its own order and upside-down, and measure what can be measured.

    Args:
        grid: from ``slicegrid.make``.
        model: with one or several members.
        progress: as for ``locate``.
    """
    return diaphragm.measured(members.together(members.each(grid, model, progress)), grid.hu)


def _not_hounsfield(axial: CTVolume) -> Flag | None:
    """A reason to refuse by the values alone: other modality, or no air and no range that a CT has."""
    modality = axial.meta.get("modality")
    if modality not in (None, "CT", ""):
        return Flag("not_ct", f"The series is {modality}, not CT.")
    sample = axial.array[:: max(1, len(axial.array) // 40), ::4, ::4]
    if not np.all(np.isfinite(sample)):
        return Flag("not_finite", "The scan holds values that are no numbers.")
    low, high = float(sample.min()), float(sample.max())
    if low >= -200 or high <= -200:
        return Flag(
            "not_hu",
            f"The values ({low:.0f} to {high:.0f}) are not Hounsfield units: there is no air, "
            "or nothing but air. Load the original CT, not a windowed picture.",
        )
    if _is_noise(axial):
        return Flag("noise", "The scan holds noise: neighbouring pixels differ by more than those of any body do.")
    return None


def _not_tissue(grid: slicegrid.SliceGrid) -> Flag | None:
    """A reason to refuse by what the thing in the scan consists of: nothing as dense as tissue."""
    inside = grid.hu > slicegrid.AIR_HU
    if np.percentile(grid.hu[inside], 95) < SOFT_TISSUE_HU:
        return Flag(
            "not_hu",
            "Nothing in the scan is as dense as soft tissue: the values are not Hounsfield units, or this is no CT of "
            "a body. Load the original CT.",
        )
    return None


def _is_noise(axial: CTVolume) -> bool:
    """Whether neighbouring pixels differ as they do in nothing but noise."""
    array = axial.array[:: max(1, len(axial.array) // 8), ::4].astype(np.float32)
    seen = np.isfinite(array) & (array > AIR_HU)
    with np.errstate(invalid="ignore"):
        steps = np.abs(np.diff(array, axis=2))[seen[:, :, 1:] & seen[:, :, :-1]]
    return len(steps) > 0 and float(np.median(steps)) > ROUGHEST_HU

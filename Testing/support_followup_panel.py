"""The section Follow up with the sample pair in it, for tests: the follow-up's true places are known."""

from __future__ import annotations

import json
import zlib
from types import SimpleNamespace

import numpy as np

BASELINE, FOLLOW_UP = "CTChestSample", "CTChestSampleFollowUp"


def load_pair(app):
    """The sample baseline and follow-up as nodes, in that order."""
    from CTVolume import CTVolumeLogic

    return [CTVolumeLogic().sample(name) for name in (BASELINE, FOLLOW_UP)]


def true_pairs() -> list[tuple[float, float | None]]:
    """Baseline z and true follow-up z (None: not covered) of each baseline slice, mm."""
    from CTVolumeLib import samples

    path = samples.sample(FOLLOW_UP).path
    content = json.loads(path.with_name(f"{FOLLOW_UP}.json").read_text(encoding="utf-8"))
    return [(pair["baseline_z_mm"], pair["followup_z_mm"]) for pair in content["pairs"]]


def true_point(point_lps) -> np.ndarray:
    """Where a point of the sample baseline truly lies in the follow-up, LPS mm: the recipe of the sample, solved."""
    from CTVolumeLib import dicom, samples

    baseline = dicom.read(samples.sample(BASELINE).path).as_axial()
    angle, scale = np.deg2rad(3.0), 0.985
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / scale
    spacing, origin = np.array(baseline.spacing[1::-1]), np.array(baseline.origin[1::-1])
    centre = (np.array(baseline.array.shape[1:]) - 1) / 2
    shift = np.array([-6.0, 9.0]) / spacing
    index = (np.asarray(point_lps)[1::-1] - origin) / spacing
    row, column = origin + (np.linalg.solve(turn, index - centre) + centre + shift) * spacing
    heights = np.array([pair for pair in true_pairs() if pair[1] is not None])
    return np.array([column, row, np.interp(point_lps[2], heights[:, 0], heights[:, 1])])


def open_section(app):
    """Module loaded, sample pair loaded, section opened by a click.

    Returns:
        ``section``, ``ui``, ``logic``, ``widget``, ``baseline``, ``followUp``.
    """
    module = app.load("CTSliceLocalizer")
    baseline, follow_up = load_pair(app)
    section = section_of(module.widget)
    app.click(section.button)
    return SimpleNamespace(
        section=section,
        ui=section.ui,
        logic=module.logic,
        widget=module.widget,
        baseline=baseline,
        followUp=follow_up,
    )


def section_of(widget):
    """The section Follow up of the panel."""
    return next(section for section in widget.sections if type(section).__name__ == "FollowUpSection")


def slice_logic(view: str):
    """The slice logic of a view of the current layout."""
    import slicer

    return slicer.app.layoutManager().sliceWidget(view).sliceLogic()


def remember_locations(monkeypatch) -> None:
    """Locate and compare each scan once in a session of tests: networks and registration are tested elsewhere."""
    from CTSliceLocalizerLib import predictor, registration

    locate, refine = predictor.locate, registration.refine

    def remembered_locate(volume, *, progress=None, **options):
        return _once(("locate", *_key(volume)), progress, lambda step: locate(volume, progress=step, **options))

    def remembered_refine(match, one, two, progress=None):
        heights = match.line.followup_z_mm.tobytes()
        key = ("refine", heights, *_key(one), *_key(two))
        return _once(key, progress, lambda step: refine(match, one, two, step))

    monkeypatch.setattr(predictor, "locate", remembered_locate)
    monkeypatch.setattr(registration, "refine", remembered_refine)


def _key(volume) -> tuple:
    return zlib.crc32(np.ascontiguousarray(volume.array)), volume.origin, volume.direction, volume.spacing


def _once(key: tuple, progress, work):
    """What the work gave the first time; later the progress alone, which may cancel as it does there."""
    from CTVolumeLib.errors import CTError

    if key not in _results:
        _results[key] = work(progress)
    else:
        for done in range(3):
            if progress is not None and not progress(done, 2, ""):
                raise CTError("cancelled", "Cancelled.")
    return _results[key]


_results: dict = {}

"""A step of linked scrolling through two 540 x 540 scans: what the link costs, and what the two pictures cost."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

STEPS = 60
BAR_MS = 50.0


def run() -> list[tuple]:
    """Rows for the table: median and worst of a step in ms, the bar, and the same without our link."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from slicerstandin.session import Session

    app = Session().start()
    try:
        return _measure(app)
    finally:
        app.end()


def _measure(app) -> list[tuple]:
    import slicer

    module = app.load("CTSliceLocalizer")
    baseline, follow_up = (_large(name) for name in ("CTChestSample", "CTChestSampleFollowUp"))
    module.logic.linkScrolling(baseline, follow_up)
    views = [slicer.app.layoutManager().sliceWidget(name) for name in ("CTBaseline", "CTFollowUp")]
    for view in views:
        view.draw()
    rows = []
    for name, drawn in (("the step alone", []), ("the step and both pictures", views)):
        linked = _steps(views[0].sliceLogic(), drawn)
        module.logic.unlink()
        alone = _steps(views[0].sliceLogic(), drawn)
        module.logic.linkScrolling(baseline, follow_up)
        rows.append(
            (
                name,
                f"median {np.median(linked):.1f} ms, worst {max(linked):.1f} ms (bar {BAR_MS:.0f} ms)",
                f"unlinked {np.median(alone):.1f} ms",
            )
        )
    return rows


def _steps(logic, views) -> list[float]:
    """Milliseconds of each step up through the chest."""
    times = []
    for z in np.linspace(-200.0, 0.0, STEPS):
        started = time.perf_counter()
        logic.SetSliceOffset(float(z))
        for view in views:
            view.draw()
        times.append(1000 * (time.perf_counter() - started))
    return times


def _large(name: str):
    """A sample with nine times as many pixels and twice as many slices."""
    from dataclasses import replace

    from CTVolumeLib import dicom, samples, scene

    volume = dicom.read(samples.sample(name).path).as_axial()
    array = volume.array.repeat(2, axis=0).repeat(3, axis=1).repeat(3, axis=2)
    spacing = (volume.spacing[0] / 3, volume.spacing[1] / 3, volume.spacing[2] / 2)
    return scene.node_from_volume(replace(volume, array=array, spacing=spacing), name)


if __name__ == "__main__":
    for row in run():
        print(" | ".join(row))

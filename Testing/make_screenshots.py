"""Take the pictures of the tutorial: python Testing/make_screenshots.py [--dark] [NAME ...].

The module runs in the stand-in for Slicer (``slicerstandin``); the views are drawn by Slicer's own code.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).parents[1] / "Docs"


def locate(app) -> None:
    """Step 3: a located scan at a landmark."""
    module = app.load("CTSliceLocalizer")
    scan = _sample("CTChestSample")
    ui = module.widget.sections[0].ui
    app.choose(ui.inputSelector, scan)
    app.click(ui.locateButton)
    ui.landmarkTable.setCurrentCell(6, 0)


def plot(app) -> None:
    """Step 5: location against height."""
    locate(app)
    app.click(app.module("CTSliceLocalizer").widget.sections[0].ui.plotButton)


def warn(app) -> None:
    """What a scan that is stored upside-down looks like."""
    import numpy as np
    import slicer.util

    module = app.load("CTSliceLocalizer")
    scan = _sample("CTChestSample")
    slicer.util.updateVolumeFromArray(scan, np.ascontiguousarray(slicer.util.arrayFromVolume(scan)[::-1]))
    slicer.util.setSliceViewerLayers(background=scan, fit=True)
    ui = module.widget.sections[0].ui
    app.choose(ui.inputSelector, scan)
    app.click(ui.locateButton)


def follow_up(app) -> None:
    """Step 8: two scans that scroll together."""
    import slicer

    module = app.load("CTSliceLocalizer")
    baseline, later = _sample("CTChestSample"), _sample("CTChestSampleFollowUp")
    locating, following = module.widget.sections[:2]
    app.click(locating.button)
    app.click(following.button)
    app.choose(following.ui.baselineSelector, baseline)
    app.choose(following.ui.followUpSelector, later)
    app.click(following.ui.linkButton)
    names = slicer.app.layoutManager().sliceViewNames()
    slicer.app.layoutManager().sliceWidget(names[0]).sliceLogic().SetSliceOffset(-49)


def points(app) -> None:
    """Step 10: a point on the baseline, carried over to the follow-up as a proposal."""
    import slicer
    import vtk

    follow_up(app)
    following = app.module("CTSliceLocalizer").widget.sections[1]
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Findings")
    node.CreateDefaultDisplayNodes()
    node.AddControlPointWorld(vtk.vtkVector3d(-28.0, 163.0, -52.0), "Node")
    app.click(following.ui.moreButton)
    app.choose(following.ui.markupsSelector, node)
    app.click(following.ui.carryButton)
    slicer.app.layoutManager().sliceWidget("CTBaseline").sliceLogic().SetSliceOffset(-52)


def annotate(app) -> None:
    """Labels of a scan, some of them proposals of the model."""
    module = app.load("CTSliceLocalizer")
    scan = _sample("CTChestSample")
    locating, annotating = module.widget.sections[0], module.widget.sections[2]
    app.click(locating.button)
    app.click(annotating.button)
    module.widget.parameterNode.annotateVolume = scan
    module.logic.setLabelsFolder(app.temporary)
    module.logic.labelSlice(scan, "5", -26.0)
    module.logic.labelSlice(scan, "6", -59.0)
    app.click(annotating.ui.proposeButton)
    annotating.ui.labelTable.setCurrentCell(5, 0)


def train(app) -> None:
    """Files of the digital patient, organized; one label is in the wrong place."""
    import json

    from CTVolumeLib import dicom, samples
    from CTVolumeLib.phantom import write_dicom

    module = app.load("CTSliceLocalizer")
    locating, training = module.widget.sections[0], module.widget.sections[3]
    app.click(locating.button)
    app.click(training.button)
    scan = dicom.read(samples.sample("CTChestSample").path)
    for seed in (1, 2, 4):
        write_dicom(scan, f"{app.temporary}/export/{seed}", seed=seed, patient_id=f"P{seed}")
    parameters = module.widget.parameterNode
    parameters.trainSource, parameters.trainFolder = f"{app.temporary}/export", f"{app.temporary}/model"
    _run(app, training, training.ui.organizeButton)
    for number, series in enumerate(sorted(Path(parameters.trainFolder).glob("tree/*/*/*"))):
        first, second = ("5.dcm", "15.dcm") if number else ("15.dcm", "5.dcm")
        labels = {"Aortic arch": first, "Bifurcation of trachea": second}
        (series / "labels.json").write_text(json.dumps(labels, indent=1))
    _run(app, training, training.ui.prepareButton)


def _run(app, training, button) -> None:
    app.click(button)
    app.wait(lambda: not training.ui.progressBar.isVisible(), 300)


def lungs(app) -> None:
    """Lungs of the sample scan with light and measures."""
    module = app.load("LungSegment")
    _sample("CTChestSample")
    app.settle()
    app.click(module.widget.sections[0].ui.applyButton)


def lungs_light(app) -> None:
    """The light where a part of the left lung is as dense as tissue."""
    import slicer.util

    module = app.load("LungSegment")
    scan = _sample("CTChestSample")
    found = module.logic.segment(scan)
    left = module.logic.labels(scan, found.segmentationNode) == 1
    module.logic.clear(scan, found.segmentationNode)
    array = slicer.util.arrayFromVolume(scan)
    left[:, : left.shape[1] * 11 // 20] = False  # the back is dense
    array[left] = 30
    slicer.util.arrayFromVolumeModified(scan)
    app.click(module.widget.sections[0].ui.applyButton)


def lungs_preview(app) -> None:
    """What is darker than the threshold, before Apply."""
    module = app.load("LungSegment")
    _sample("CTChestSample")
    app.settle()
    app.click(module.widget.sections[0].ui.previewCheckBox)


def lungs_histogram(app) -> None:
    """How many mL have which HU."""
    lungs(app)
    app.click(app.module("LungSegment").widget.sections[0].ui.histogramButton)


def lungs_recipe(app) -> None:
    """A step of the classic recipe."""
    module = app.load("LungSegment")
    _sample("CTChestSample")
    segment, recipe, prepare = module.widget.sections
    app.click(segment.button)
    app.click(recipe.button)
    app.click(prepare.button)
    app.choose(recipe.ui.stepSelector, 4)


def headrest(app) -> None:
    """The head of the digital patient after Apply."""
    module = app.load("HeadrestRemoval")
    _sample("CTPhantomHead")
    app.settle()
    app.click(module.widget.sections[0].ui.applyButton)


def headrest_rendering(app) -> None:
    """The same with the volume rendering."""
    headrest(app)
    app.click(app.module("HeadrestRemoval").widget.sections[0].ui.renderingCheckBox)


def headrest_after(app) -> None:
    """The cleaned scan and its volume rendering."""
    headrest_rendering(app)
    app.click(app.module("HeadrestRemoval").widget.sections[0].ui.afterButton)


def headrest_chest(app) -> None:
    """The sample scan after Apply."""
    module = app.load("HeadrestRemoval")
    _sample("CTChestSample")
    app.settle()
    app.click(module.widget.sections[0].ui.applyButton)
    app.click(module.widget.sections[0].ui.renderingCheckBox)


LUNG_PICTURES = {
    "lungs-segment": lungs,
    "lungs-light": lungs_light,
    "lungs-preview": lungs_preview,
    "lungs-histogram": lungs_histogram,
    "lungs-recipe": lungs_recipe,
}
"""Those of Docs/Tutorial-lungs.md."""

HEADREST_PICTURES = {
    "headrest-remove": headrest,
    "headrest-after": headrest_after,
    "headrest-rendering": headrest_rendering,
    "headrest-chest": headrest_chest,
}
"""Those of Docs/Tutorial-headrest.md."""

PICTURES = {
    "tutorial-locate": locate,
    "tutorial-plot": plot,
    "tutorial-warning": warn,
    "tutorial-follow-up": follow_up,
    "tutorial-points": points,
    "tutorial-annotate": annotate,
    "tutorial-train": train,
}


def main(names: list[str]) -> None:
    """Take the pictures of these names, or all; with --dark in the dark theme, into out/ to look at."""
    from slicerstandin.session import Session

    dark = "--dark" in names
    pictures = {**PICTURES, **LUNG_PICTURES, **HEADREST_PICTURES}
    for name in [name for name in names if name != "--dark"] or pictures:
        app = Session().start()
        try:
            app.theme(dark)
            pictures[name](app)
            path = app.screenshot(Path("out") / f"{name}-dark.png" if dark else DOCS / f"{name}.png")
        finally:
            app.end()
        with Image.open(path) as picture:  # a third of the size, and no difference to see
            small = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        small.save(path, optimize=True)


def _sample(name: str):
    import SampleData
    import slicer.util

    node = SampleData.SampleDataLogic().downloadSample(name)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


if __name__ == "__main__":
    main(sys.argv[1:])

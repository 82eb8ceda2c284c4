"""Check the extension in a real Slicer: Slicer --python-script Testing/run_in_slicer.py [--out FOLDER]

Loads the modules from this folder where Slicer has not, runs their self-tests, uses each section of the panel on the
sample scans, takes a picture of each, and prints one line for every check. Slicer ends with 0 only if every check of
the list below ran and passed. What a program cannot see is in Docs/Check-in-Slicer.md.
"""

from __future__ import annotations

import sys
import time
import traceback
import unittest
from pathlib import Path

import slicer
import slicer.util

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("CTVolume", "CTSliceLocalizer", "LungSegment", "HeadrestRemoval")
HEAVY = ("tensorflow", "skimage", "ai_edge_litert", "matplotlib")
SELECT_SECONDS = 0.3
STEP_SECONDS = 0.05
LEAST_TESTS = 4
"""Self-tests that a module with a panel has at least: a file that lost them must not pass."""


class Run:
    """The checks of one run, in order; each is a method that raises where something is wrong."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.widget = None
        self.baseline = self.followUp = None

    def modules_load(self) -> str:
        """All modules are loaded, from this folder."""
        missing = [name for name in MODULES if slicer.app.moduleManager().module(name) is None]
        if missing:
            import qt

            factory = slicer.app.moduleManager().factoryManager()
            for name in missing:
                factory.registerModule(qt.QFileInfo(str(ROOT / name / f"{name}.py")))
            factory.loadModules(missing)
        paths = [Path(slicer.util.modulePath(name)) for name in MODULES]
        return ", ".join(str(path) for path in paths)

    def selecting_is_quick(self) -> str:
        """The panel opens in time, and imports nothing heavy."""
        before = set(sys.modules)
        started = time.perf_counter()
        slicer.util.selectModule("CTSliceLocalizer")
        seconds = time.perf_counter() - started
        heavy = [name for name in HEAVY if name in set(sys.modules) - before]
        require(not heavy, f"imports {heavy}")
        require(seconds < SELECT_SECONDS, f"took {seconds:.2f} s, the bar is {SELECT_SECONDS} s")
        self.widget = slicer.util.getModuleWidget("CTSliceLocalizer")
        require(len(self.widget.sections) == 4, f"{len(self.widget.sections)} sections instead of 4")
        return f"{seconds:.2f} s"

    def self_tests_of_ctvolume(self) -> str:
        """What Reload & Test runs."""
        return run_tests("CTVolume", least=1)

    def self_tests_of_ctslicelocalizer(self) -> str:
        """What Reload & Test runs."""
        return run_tests("CTSliceLocalizer", least=LEAST_TESTS)

    def self_tests_of_lungsegment(self) -> str:
        """What Reload & Test runs."""
        return run_tests("LungSegment", least=LEAST_TESTS)

    def self_tests_of_headrestremoval(self) -> str:
        """What Reload & Test runs."""
        return run_tests("HeadrestRemoval", least=LEAST_TESTS)

    def sample_data_is_offered(self) -> str:
        """The Sample Data module loads all four, without network."""
        import SampleData

        slicer.mrmlScene.Clear(0)
        names = ("CTChestSample", "CTChestSampleFollowUp", "CTPhantom", "CTPhantomHead")
        nodes = [SampleData.downloadSample(name) for name in names]
        require(all(node is not None and node.GetImageData() for node in nodes), "a sample has no voxels")
        for phantom in nodes[2:]:
            slicer.mrmlScene.RemoveNode(phantom)
        self.baseline, self.followUp = nodes[:2]
        slicer.util.setSliceViewerLayers(background=self.baseline, fit=True)
        return ", ".join(node.GetName() for node in nodes)

    def locate(self) -> str:
        """The button Locate gives landmarks, and a row of the table moves the views."""
        section = self._open("Locate")
        section.ui.inputSelector.setCurrentNode(self.baseline)
        section.ui.locateButton.click()
        location = self.widget.logic.location(self.baseline)
        require(location is not None and location.refused is None, section.ui.messageLabel.text)
        inside = [row for row, landmark in enumerate(location.landmarks) if landmark.inside]
        require(len(inside) > 4, f"only {len(inside)} landmarks")
        row = inside[len(inside) // 2]
        section.ui.landmarkTable.setCurrentCell(row, 0)
        offset = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceOffset()
        wanted = location.landmarks[row].z_mm
        require(abs(offset - wanted) < 0.1, f"the red view is at {offset:.1f} mm instead of {wanted:.1f} mm")
        return f"{len(inside)} landmarks{self._picture('locate')}"

    def plot_and_table(self) -> str:
        """Plot and table are in the views."""
        section = self._open("Locate")
        section.ui.tableButton.click()
        slicer.app.processEvents()
        require(slicer.app.layoutManager().tableViewCount >= 1, "no table in the layout")
        section.ui.plotButton.click()
        slicer.app.processEvents()
        require(slicer.app.layoutManager().plotViewCount >= 1, "no plot in the layout")
        return "shown" + self._picture("plot")

    def follow_up(self) -> str:
        """Link scrolling moves the other view to the known place, both ways and in time."""
        from CTSliceLocalizerPanel import comparison_layout

        section = self._open("Follow up")
        section.ui.baselineSelector.setCurrentNode(self.baseline)
        section.ui.followUpSelector.setCurrentNode(self.followUp)
        section.ui.linkButton.click()
        require(self.widget.logic.isLinked(), "the two scans are not linked")
        manager = slicer.app.layoutManager()
        views = [manager.sliceWidget(name).sliceLogic() for name in comparison_layout.viewNames()]
        known = {-203.5: 202.2, -101.5: 310.2, -2.5: 416.4}  # CTChestSampleFollowUp.json
        times = []
        for here, there in known.items():
            for one, other, place, wanted in ((views[0], views[1], here, there), (views[1], views[0], there, here)):
                started = time.perf_counter()
                one.SetSliceOffset(place)
                times.append(time.perf_counter() - started)
                found = other.GetSliceOffset()
                require(abs(found - wanted) < 3, f"{found:.1f} mm instead of {wanted:.1f} mm")
        require(max(times) < STEP_SECONDS, f"a step took {1000 * max(times):.0f} ms")
        text = f"slowest step {1000 * max(times):.0f} ms{self._picture('follow-up')}"
        section.ui.followUpClearButton.click()
        require(not self.widget.logic.isLinked(), "Clear left the link")
        return text

    def annotate(self) -> str:
        """Keys exist while the section is open, a label is saved, and Undo takes it back."""
        import tempfile

        section = self._open("Annotate")
        require(section.shortcuts.installed, "the keys do not exist")
        logic = self.widget.logic
        with tempfile.TemporaryDirectory() as folder:
            logic.setLabelsFolder(folder)
            section.ui.volumeSelector.setCurrentNode(self.baseline)
            slicer.app.layoutManager().sliceWidget("Red").sliceLogic().SetSliceOffset(-20.0)
            section.onLabel("Aortic arch")
            require(logic.labelling(self.baseline).count == 1, "the slice was not labelled")
            require(len(list(Path(folder).rglob("*.json"))) == 1, "the label was not saved")
            picture = self._picture("annotate")
            section.ui.undoButton.click()
            require(logic.labelling(self.baseline).count == 0, "Undo left the label")
            logic.setLabelsFolder("")
        slicer.util.selectModule("Data")
        require(not section.shortcuts.installed, "the keys outlive the module")
        slicer.util.selectModule("CTSliceLocalizer")
        return "labelled, saved, undone" + picture

    def train(self) -> str:
        """The section opens; training itself takes too long here."""
        self._open("Train")
        return "opened" + self._picture("train")

    def lungs(self) -> str:
        """Apply gives lungs with a light and a measured volume, the preview comes and goes, Clear removes them."""
        slicer.util.selectModule("LungSegment")
        section = slicer.util.getModuleWidget("LungSegment").sections[0]
        section.ui.inputSelector.setCurrentNode(self.baseline)
        section.ui.previewCheckBox.checked = True
        slicer.app.processEvents()
        require(slicer.mrmlScene.GetFirstNodeByName("threshold preview") is not None, "there is no preview")
        section.ui.applyButton.click()
        require(slicer.mrmlScene.GetFirstNodeByName("threshold preview") is None, "Apply left the preview")
        segmentation = section.parameterNode.outputSegmentation
        require(segmentation is not None, section.ui.messageLabel.text)
        light = section.logic.light(segmentation)
        volume_ml = section.logic.measure(self.baseline, segmentation)[2].volume_ml
        require(1500 < volume_ml < 8000, f"the lungs have {volume_ml:.0f} mL")
        section.ui.surfaceButton.click()
        section.ui.histogramButton.click()
        slicer.app.processEvents()
        picture = self._picture("lungs")
        section.ui.clearButton.click()
        require(not slicer.util.getNodesByClass("vtkMRMLSegmentationNode"), "Clear left the segmentation")
        slicer.util.selectModule("CTSliceLocalizer")
        return f"{volume_ml:.0f} mL, {light.colour}{picture}"

    def headrest(self) -> str:
        """Apply removes the table and nothing else, before and after show in all views, Clear leaves nothing."""
        slicer.util.selectModule("HeadrestRemoval")
        section = slicer.util.getModuleWidget("HeadrestRemoval").sections[0]
        section.ui.inputSelector.setCurrentNode(self.baseline)
        nodes = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLDisplayableNode")
        section.ui.applyButton.click()
        cleaned = section.logic.cleaned(self.baseline)
        require(cleaned is not None, section.ui.messageLabel.text)
        labels = section.logic.labels(self.baseline, section.parameterNode.outputSegmentation)
        changed = slicer.util.arrayFromVolume(self.baseline) != slicer.util.arrayFromVolume(cleaned)
        require(changed.any(), "nothing was removed")
        require(not (changed & (labels == 0)).any(), "voxels outside the segments changed")
        section.ui.renderingCheckBox.click()
        section.ui.afterButton.click()
        slicer.app.processEvents()
        shown = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetBackgroundLayer().GetVolumeNode()
        require(shown is cleaned, "After does not show the cleaned scan")
        renderings = slicer.util.getNodesByClass("vtkMRMLVolumeRenderingDisplayNode")
        require(len(renderings) == 1 and renderings[0].GetDisplayableNode() is cleaned, "the rendering is not of it")
        picture = self._picture("headrest")
        removed_ml = section.logic.measure(self.baseline, section.parameterNode.outputSegmentation)[-1].volume_ml
        section.ui.clearButton.click()
        require(not slicer.util.getNodesByClass("vtkMRMLVolumeRenderingDisplayNode"), "Clear left the rendering")
        left = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLDisplayableNode") - nodes
        require(left == 0, f"Clear left {left} nodes")
        slicer.util.selectModule("CTSliceLocalizer")
        return f"{removed_ml:.0f} mL{picture}"

    def scene_is_saved_and_loaded(self) -> str:
        """Locations and settings come back with the scene."""
        import tempfile

        logic = self.widget.logic
        logic.getParameterNode().inputVolume = self.baseline
        logic.locate(self.baseline)
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "scene.mrb")
            require(slicer.util.saveScene(path), "the scene was not saved")
            slicer.mrmlScene.Clear(0)
            require(logic.getParameterNode().inputVolume is None, "Close scene left the input volume")
            slicer.util.loadScene(path)
        node = logic.getParameterNode().inputVolume
        require(node is not None and node.GetName() == "CTChestSample", "the input volume did not come back")
        require(logic.location(node) is not None, "the locations did not come back")
        return "input volume and locations"

    def reload(self) -> str:
        """Reload makes a panel that works."""
        self.widget.onReload()
        fresh = slicer.util.getModuleWidget("CTSliceLocalizer")
        require(fresh is not self.widget, "the panel is the old one")
        require(len(fresh.sections) == 4, "the new panel lacks sections")
        self.widget = fresh
        return "4 sections"

    def _open(self, title: str):
        """Open one section, close the others."""
        found = None
        for section in self.widget.sections:
            ours = section.button.text.startswith(title)
            section.button.collapsed = not ours
            found = section if ours else found
        require(found is not None, f"there is no section {title}")
        slicer.app.processEvents()
        return found

    def _picture(self, name: str) -> str:
        path = self.out / f"{name}.png"
        slicer.app.processEvents()
        slicer.util.forceRenderAllViews()
        slicer.app.processEvents()
        require(slicer.util.mainWindow().grab().save(str(path)), f"{path} was not written")
        require(path.stat().st_size > 10_000, f"{path} is nearly empty")
        return f", picture {path}"


CHECKS = (
    "modules_load",
    "selecting_is_quick",
    "self_tests_of_ctvolume",
    "self_tests_of_ctslicelocalizer",
    "self_tests_of_lungsegment",
    "self_tests_of_headrestremoval",
    "sample_data_is_offered",
    "locate",
    "plot_and_table",
    "follow_up",
    "annotate",
    "train",
    "lungs",
    "headrest",
    "scene_is_saved_and_loaded",
    "reload",
)


class CheckFailed(Exception):  # noqa: N818 - what it says, not what it is
    """A check found something wrong; the text says what."""


def require(good, text: str) -> None:
    """Raise where something is not as it should be; unlike assert also under python -O."""
    if not good:
        raise CheckFailed(text)


def run_tests(name: str, least: int) -> str:
    """Run the self-tests of a module one by one."""
    module = sys.modules[name]
    case = getattr(module, f"{name}Test")
    names = sorted(entry for entry in dir(case) if entry.startswith("test"))
    require(len(names) >= least, f"{len(names)} self-tests, expected at least {least}")
    result = unittest.TestResult()
    unittest.TestSuite(case(entry) for entry in names).run(result)
    require(result.testsRun == len(names), f"only {result.testsRun} of {len(names)} self-tests ran")
    wrong = [f"{test}: {trace.strip().splitlines()[-1]}" for test, trace in result.failures + result.errors]
    require(not wrong and not result.skipped, "; ".join(wrong) or "self-tests were skipped")
    return f"{len(names)} self-tests"


def main(out: Path) -> int:
    """Run all checks; the exit code."""
    out.mkdir(parents=True, exist_ok=True)
    if slicer.util.mainWindow() is None:
        say("FAIL  Slicer runs without its main window: start it without --no-main-window")
        return 1
    run, passed = Run(out), 0
    for name in CHECKS:
        try:
            say(f"PASS  {name}: {getattr(run, name)()}")
            passed += 1
        except CheckFailed as error:
            say(f"FAIL  {name}: {error}")
        except Exception:  # any other error is a failure as well, and the next checks still run
            say(f"FAIL  {name}:\n{traceback.format_exc()}")
    say(f"{passed} of {len(CHECKS)} checks passed")
    return 0 if passed == len(CHECKS) else 1


def say(text: str) -> None:
    """One line to where Slicer was started."""
    print(text, flush=True)


def out_folder(arguments: list[str]) -> Path:
    """Where the pictures go."""
    if "--out" in arguments:
        return Path(arguments[arguments.index("--out") + 1])
    return ROOT / "out" / "slicer"


if __name__ == "__main__":
    slicer.util.exit(main(out_folder(sys.argv)))

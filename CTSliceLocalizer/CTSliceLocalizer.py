"""CT Slice Localizer: where in the body is this slice, and where is it in the follow-up? Module, panel, logic, tests.

The panel is put together from the sections in ``CTSliceLocalizerPanel``; every button of theirs is one call of
``CTSliceLocalizerLogic``, which scripts can call as well.
"""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)


class CTSliceLocalizer(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = _("CT Slice Localizer")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Analysis")]
        parent.dependencies = ["CTVolume"]
        parent.contributors = ["SlicerCTSliceLocalizer contributors"]
        parent.helpText = _(
            "Says for every slice of a CT scan where in the body it lies, marks 12 landmarks, and scrolls a scan and"
            " its follow-up together, without registration. For research use only, not a medical device. Nothing is"
            " sent anywhere. The tutorial is at"
            ' <a href="https://github.com/SlicerCTSliceLocalizer/SlicerCTSliceLocalizer">the homepage</a>.'
        )
        parent.acknowledgementText = _(
            'The location scale is that of the article "Building a CT slice localizer with Keras". Sources and'
            " licences of the sample data are listed in Docs/Credits.md, and what the model was trained on in its card."
        )
        # Before the panel is opened: a scene that was saved with the two views side by side asks for their layout.
        slicer.app.connect("startupCompleted()", registerLayout)


class CTSliceLocalizerWidget(ScriptedLoadableModuleWidget):
    """The panel: a column of sections that share a parameter node."""

    def __init__(self, parent=None):
        # First what setup() needs: without a parent the base class calls it at once.
        self.logic = None
        self.column = None
        ScriptedLoadableModuleWidget.__init__(self, parent)

    @property
    def sections(self):
        """The sections from top to bottom."""
        return self.column.sections

    @property
    def parameterNode(self):
        """Settings of all sections; None while the scene closes."""
        return self.column.parameterNode

    def setup(self):
        """Build the column."""
        super().setup()
        from CTVolumePanel.column import Column

        self.logic = CTSliceLocalizerLogic()
        self.column = Column(self, _sections())

    def onReload(self):
        """Reload the whole panel, not the module's file alone."""
        from CTVolumePanel.column import forget

        forget("CTSliceLocalizerPanel")
        super().onReload()

    def enter(self):
        """The user opened the module."""
        self.column.enter()

    def exit(self):
        """The user opened another module."""
        self.column.exit()

    def cleanup(self):
        """The module is unloaded or reloaded."""
        self.column.cleanup()


class CTSliceLocalizerLogic(ScriptedLoadableModuleLogic):
    """What the panel's buttons do, one method each, for scripts as well. Points are RAS mm in the world."""

    def getParameterNode(self):
        """The settings of the panel as a ``CTSliceLocalizerParameterNode``."""
        from CTSliceLocalizerPanel.parameters import CTSliceLocalizerParameterNode

        return CTSliceLocalizerParameterNode(super().getParameterNode())

    # Locate

    def locate(self, volumeNode, progress=None, modelFile="", useLiteRT=False):
        """Say for every slice of a volume where in the body it lies; the result is kept in the scene.

        Args:
            volumeNode: a CT in HU.
            progress: called with done, total and a text; False cancels.
            modelFile: a model's .npz; empty for the shipped model.
            useLiteRT: whether to use LiteRT, which is faster and has to be installed.

        Returns:
            CTSliceLocalizerLib.results.ScanLocation: z_mm, location, sigma of each slice; landmarks; flags; refused.

        Raises:
            CTVolumeLib.errors.CTError: with a sentence for the user.
        """
        from CTSliceLocalizerPanel import locating

        return locating.locate(volumeNode, progress, modelFile, useLiteRT)

    def location(self, volumeNode):
        """The ScanLocation that is kept for a volume; None where it was not located, or changed since."""
        from CTSliceLocalizerPanel import location_nodes

        return location_nodes.locationOf(volumeNode)

    def chestRange(self, volumeNode):
        """World z in mm between which a located scan can hold lung; None where that is not sure, or all of it can."""
        from CTSliceLocalizerLib import chest

        location = self.location(volumeNode)
        return None if location is None else chest.range_of(location)

    def clearLocation(self, volumeNode):
        """Remove a volume's locations with their nodes, and the matches that rest on them."""
        from CTSliceLocalizerPanel import location_nodes, match_nodes

        if self._pair is not None and volumeNode in self._pair.volumes:
            self.leaveSideBySide()
        match_nodes.clearMatchesOf(volumeNode)
        location_nodes.clearLocation(volumeNode)

    def goToLandmark(self, volumeNode, name):
        """Move the slice views to a landmark; its RAS point, or None where the scan doesn't show it."""
        from CTSliceLocalizerPanel import locating, location_nodes

        location, axis = location_nodes.locationOf(volumeNode), location_nodes.axisOf(volumeNode)
        landmark = location.landmark(name) if location is not None else None
        if landmark is None or not landmark.inside:
            return None
        point = axis.pointAt(landmark.z_mm)
        locating.goTo(volumeNode, point)
        return point

    def placeOfSlice(self, volumeNode, pointRas):
        """Where in the body the slice lies that holds a point: (location, sigma, words); None outside the scan."""
        from CTSliceLocalizerPanel import location_nodes

        axis = location_nodes.axisOf(volumeNode)
        return None if axis is None else location_nodes.placeAt(volumeNode, axis.heightOf(pointRas))

    def placeInView(self, volumeNode, sliceNode):
        """Where a slice view cuts a volume: (z in mm, place as of placeOfSlice, or None outside the scan).

        Returns:
            None for views along the body, such as sagittal ones, and volumes that are not located.
        """
        from CTSliceLocalizerPanel import locating

        return locating.placeInView(volumeNode, sliceNode)

    def showPlot(self, volumeNode):
        """Show location against height beside the slice views; False where the chart is gone."""
        from CTSliceLocalizerPanel import locating

        return locating.showPlot(volumeNode)

    def showTable(self, volumeNode):
        """Show the location of every slice as a table beside the slice views; False where the table is gone."""
        from CTSliceLocalizerPanel import locating

        return locating.showTable(volumeNode)

    def installLiteRT(self):
        """Install the faster engine after asking; CTError where it can't be had."""
        from CTSliceLocalizerPanel import faster_engine

        faster_engine.install()

    # Follow up

    onPlaceChanged = None
    """Called whenever a view of the pair has scrolled; the panel sets it."""
    onFollowUpStopped = None
    """Called with a sentence when the pair can't be followed any more; the panel sets it."""
    _pair = None

    def match(self, baseline, followUp, refine=True, progress=None, modelFile="", useLiteRT=False):
        """Say where the slices of a baseline lie in the follow-up; both are located first where needed.

        Args:
            baseline: volume node.
            followUp: volume node of the same patient.
            refine: whether to compare the images as well, which is better than the body curves alone.
            progress: called with done, total and a text; False cancels.
            modelFile: as for ``locate``.
            useLiteRT: as for ``locate``.

        Returns:
            CTSliceLocalizerLib.matching.Match: pairs of heights with +- mm; flags. It is kept in the scene.

        Raises:
            CTVolumeLib.errors.CTError: with a sentence for the user.
        """
        from CTSliceLocalizerPanel import following_up

        def locate(volumeNode, part):
            return self.locate(volumeNode, part, modelFile, useLiteRT)

        return following_up.match(baseline, followUp, locate, refine, progress)

    def matchOf(self, baseline, followUp):
        """The Match that is kept for two volumes; None where they are not matched, or one changed since."""
        from CTSliceLocalizerPanel import match_nodes

        return match_nodes.matchOf(baseline, followUp)

    def showSideBySide(self, baseline, followUp, refine=True, progress=None, modelFile="", useLiteRT=False):
        """Show two scans side by side, each scrolled alone; they are matched first where needed."""
        from CTSliceLocalizerPanel import comparison_layout, following_up, match_nodes

        if self.matchOf(baseline, followUp) is None or match_nodes.isRefined(baseline, followUp) != refine:
            self._stopPair()
            self.match(baseline, followUp, refine, progress, modelFile, useLiteRT)
        if not self.shows(baseline, followUp) or not comparison_layout.isShown():
            linked = self.shows(baseline, followUp) and self.isLinked()
            self._stopPair()
            self._pair = following_up.showPair(baseline, followUp, self._onPairStepped, self._onPairStopped)
            self._pair.linked = linked
        return self._pair

    def linkScrolling(self, baseline, followUp, refine=True, progress=None, modelFile="", useLiteRT=False):
        """Show two scans side by side and scroll them together by anatomy; they are matched first where needed.

        Slicer's own link goes by coordinates: it is off for the two views until ``unlink``.
        """
        self.showSideBySide(baseline, followUp, refine, progress, modelFile, useLiteRT).linked = True

    def unlink(self):
        """Scroll each view alone again; they stay side by side."""
        if self._pair is not None:
            self._pair.linked = False

    def isLinked(self):
        """Whether two scans are scrolled together."""
        return self._pair is not None and self._pair.linked

    def isSideBySide(self):
        """Whether two matched scans are shown side by side."""
        return self._pair is not None

    def shows(self, baseline, followUp):
        """Whether these two scans are shown side by side."""
        return self._pair is not None and self._pair.volumes == (baseline, followUp)

    def leaveSideBySide(self):
        """Back to the layout from before; the match stays."""
        from CTSliceLocalizerPanel import comparison_layout

        self._stopPair()
        comparison_layout.restore()

    def jumpToSamePlace(self):
        """Move the view that was not scrolled last to the same place; its CTSliceLocalizerLib.places.Place."""
        from CTSliceLocalizerPanel import following_up

        return following_up.shownPair(self._pair).jump()

    def goToFollowUpSlice(self, zMm):
        """Scroll the follow-up's view to a height in mm; linked, the baseline's view goes to the same place."""
        from CTSliceLocalizerPanel import following_up

        following_up.shownPair(self._pair).goTo(zMm, followUp=True)

    def placeInWords(self):
        """Where the slice scrolled to last lies in the other scan: (sentence, whether it is covered there)."""
        from CTSliceLocalizerPanel import following_up

        return following_up.shownPlaceInWords(self._pair)

    def setOffset(self, baseline, followUp, offsetMm):
        """Correct a match: the follow-up's heights are moved by so many mm towards the head, until set to 0."""
        from CTSliceLocalizerPanel import following_up, match_nodes

        match_nodes.setOffset(baseline, followUp, offsetMm)
        if self.shows(baseline, followUp):
            self._pair.setPlaces(following_up.placeMap(baseline, followUp))

    def matchShownSlices(self):
        """Correct the match so that the two slices that are shown are the same place; the correction in mm."""
        from CTSliceLocalizerPanel import following_up

        offsetMm = following_up.offsetOfShown(self._pair)
        self.setOffset(*self._pair.volumes, offsetMm)
        return offsetMm

    def shownHeight(self):
        """Height in mm of the slice that the baseline's view shows."""
        from CTSliceLocalizerPanel import following_up

        return following_up.shownHeight(self._pair)

    def slicesWithin(self, baseline, followUp, zMm=None, tolerance=0.005):
        """Slices of the follow-up at about the place of a height of the baseline, nearest first, also as a table.

        Args:
            baseline: volume node.
            followUp: volume node that was matched with it.
            zMm: z in mm in the baseline; None for the slice that its view shows.
            tolerance: on the location scale.

        Returns:
            list of (index, z_mm, location, distance_mm, file).
        """
        from CTSliceLocalizerPanel import following_up

        if zMm is None:
            zMm = self.shownHeight()
        return following_up.slicesWithin(baseline, followUp, zMm, tolerance)

    def carryOver(self, markups, baseline, followUp, refine=True, progress=None):
        """Put points, lines or curves on the baseline onto the follow-up as proposals.

        Returns:
            (node, count, left_out, method): the new markups; method is "registered" or "centres" (in plane).
        """
        from CTSliceLocalizerPanel import carrying_over

        return carrying_over.carryOver(markups, baseline, followUp, refine, progress)

    def transformToFollowUp(self, baseline, followUp, refine=True, progress=None):
        """A linear transform node that lays the baseline onto the follow-up: a start for registration modules."""
        from CTSliceLocalizerPanel import carrying_over

        return carrying_over.transformToFollowUp(baseline, followUp, refine, progress)

    def clearMatch(self, baseline, followUp):
        """Remove a match, the locations that were made for it and the side-by-side views; back to the layout before."""
        from CTSliceLocalizerPanel import comparison_layout, match_nodes

        self.leaveSideBySide()
        comparison_layout.remove()
        match_nodes.clearMatch(baseline, followUp)

    def _stopPair(self):
        from CTSliceLocalizerPanel import comparison_layout

        if self._pair is not None:
            pair, self._pair = self._pair, None
            pair.stop()
            comparison_layout.mix()

    def _onPairStepped(self):
        if self.onPlaceChanged is not None:
            self.onPlaceChanged()

    def _onPairStopped(self, reason):
        self._stopPair()
        if self.onFollowUpStopped is not None:
            self.onFollowUpStopped(reason)

    # Annotate

    @property
    def annotations(self):
        """The labels of the volumes in the scene: ``CTSliceLocalizerPanel.annotating.Annotations``."""
        from pathlib import Path

        from CTSliceLocalizerPanel.annotating import Annotations

        if getattr(self, "_annotations", None) is None:
            settings = Path(slicer.app.slicerUserSettingsFilePath).parent
            self._annotations = Annotations(
                settings / "CTSliceLocalizer labels", lambda: self.getParameterNode().labelsFolder
            )
        return self._annotations

    @property
    def worklist(self):
        """The series that are to be labelled: ``CTSliceLocalizerPanel.worklist.Worklist``, at first an empty one."""
        from CTSliceLocalizerPanel.worklist import Worklist

        if getattr(self, "_worklist", None) is None:
            self._worklist = Worklist()
        return self._worklist

    def labelling(self, volumeNode):
        """The labels of a volume: rows, contradictions, where they are saved."""
        return self.annotations.labelling(volumeNode)

    def labelSlice(self, volumeNode, landmark, zMm=None):
        """Label a slice with a landmark, by key or name; saved at once.

        Args:
            volumeNode: the scan.
            landmark: such as "2" or "C1".
            zMm: world z of the slice; None for the slice in the active axial view.

        Raises:
            CTVolumeLib.errors.CTError: with a sentence for the user; so of all methods below.
        """
        return self.annotations.labelSlice(volumeNode, landmark, zMm)

    def removeLabel(self, volumeNode, landmark=None):
        """Remove the label of a landmark, or of the slice in the active axial view."""
        return self.annotations.removeLabel(volumeNode, landmark)

    def undoLabel(self, volumeNode):
        """Take the last change of a volume's labels back."""
        return self.annotations.undo(volumeNode)

    def redoLabel(self, volumeNode):
        """Make the change again that was taken back last."""
        return self.annotations.redo(volumeNode)

    def proposeLabels(self, volumeNode, progress=None):
        """Locate the scan if it is not located yet, and offer its landmarks as proposals."""
        from CTSliceLocalizerPanel import location_nodes

        location = self.location(volumeNode)
        if location is None:
            parameters = self.getParameterNode()
            location = self.locate(volumeNode, progress, parameters.modelFile, parameters.useLiteRT)
            location_nodes.hideLandmarks(volumeNode)  # the table shows them; in the views are the labels
        return self.annotations.propose(volumeNode, location)

    def acceptProposal(self, volumeNode, landmark):
        """Label a landmark where the model proposes it."""
        return self.annotations.accept(volumeNode, landmark)

    def goToLabel(self, volumeNode, landmark):
        """Move the views to a landmark's label or proposal; its RAS point."""
        return self.annotations.goTo(volumeNode, landmark)

    def shownSlice(self, volumeNode):
        """Which slice the active axial view shows, counted from the feet."""
        from CTSliceLocalizerPanel import label_nodes

        return label_nodes.shownSlice(volumeNode)

    def sliceAt(self, volumeNode, position):
        """Index, z and labels of a slice, by its count from the feet."""
        return self.annotations.sliceAt(volumeNode, position)

    def loadLabels(self, volumeNode, path):
        """Load a labels.json or .mrk.json; undo brings back the labels before."""
        return self.annotations.load(volumeNode, path)

    def saveLabels(self, volumeNode, path=None):
        """Save to another labels.json or .mrk.json; without a path try the usual place again."""
        return self.annotations.save(volumeNode, path)

    def setLabelsFolder(self, folder):
        """Keep labels in a folder; an empty text is beside the data."""
        self.getParameterNode().labelsFolder = str(folder)

    def listSeries(self, folder=None, progress=None):
        """Start a worklist: the CT series of a folder, or of Slicer's DICOM database; the Worklist."""
        from CTSliceLocalizerPanel import worklist

        found = worklist.inFolder(folder, progress) if folder else worklist.inDatabase()
        self._leaveSeries()
        self.worklist.close()
        self._worklist = found
        return found

    def seriesCounts(self):
        """How many landmarks are labelled in each series of the worklist."""
        return self.worklist.counts(self.getParameterNode().labelsFolder)

    def openSeries(self, number, progress=None):
        """Load a series of the worklist, from 0, and show it; the one before goes. The volume node."""
        self._leaveSeries()
        node = self.worklist.open(number, progress)
        self.getParameterNode().annotateVolume = node
        return node

    def nextSeries(self, progress=None):
        """Load the next series of the worklist."""
        current = self.worklist.current
        return self.openSeries(0 if current is None else current + 1, progress)

    def previousSeries(self, progress=None):
        """Load the series before."""
        current = self.worklist.current
        return self.openSeries(0 if current is None else current - 1, progress)

    def openNextUnlabelled(self, progress=None):
        """Load the first series of the worklist that is not labelled yet, else the first."""
        from CTSliceLocalizerPanel.worklist import ENOUGH

        waiting = [number for number, count in enumerate(self.seriesCounts()) if count < ENOUGH]
        return self.openSeries(waiting[0] if waiting else 0, progress)

    def _leaveSeries(self):
        """Labels that are on no disk must not go with their series."""
        from CTVolumeLib.errors import CTError

        for volumeNode in self.worklist.volumeNodes():
            found = self.labelling(volumeNode)
            if found.count and found.saved is None:
                raise CTError("not_saved", f"The labels of {volumeNode.GetName()} are not saved.", found.problem)

    # Train

    def startTraining(self, step, folder, source="", labels="", epochs=0, python=""):
        """Start a step of one's own model as a child process.

        Args:
            step: "organize", "prepare", "train" or "evaluate".
            folder: the training folder, where all results go.
            source: folder or zip with DICOM files, for "organize".
            labels: folder for labels, for "prepare"; empty for beside the slices.
            epochs: at most so many, for "train"; 0 for the command's own number.
            python: interpreter that has TensorFlow, for "train"; empty for Slicer's own.

        Returns:
            CTSliceLocalizerPanel.child_commands.ChildCommands: poll() it now and then, or wait(); cancel() ends it.

        Raises:
            CTVolumeLib.errors.CTError: something that the step needs is not there yet.
        """
        from CTSliceLocalizerPanel import training_steps

        return training_steps.start(step, folder, source=source, labels=labels, epochs=epochs, python=python)

    def checkPython(self, python=""):
        """Start looking what a Python lacks for training; the ChildCommands tell ``missing`` in the end."""
        from CTSliceLocalizerPanel import training_steps

        return training_steps.check(python)

    def installPackages(self, missing, python=""):
        """Start installing what ``checkPython`` found missing; returns ChildCommands. Needs the network."""
        from CTSliceLocalizerPanel import training_steps

        return training_steps.install(missing, python)

    def trainedModel(self, folder):
        """Path of the model in a training folder, for ``locate``; None before it is trained."""
        from CTSliceLocalizerPanel import training_steps

        return training_steps.trainedModel(folder)


class CTSliceLocalizerTest(ScriptedLoadableModuleTest):
    """Inside Slicer, offline: on the phantom and the sample scan, with the shipped model."""

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Called by Reload & Test."""
        for name in sorted(dir(self)):
            if name.startswith("test"):
                self.setUp()
                getattr(self, name)()

    def test_locate_sample(self):
        """The sample scan is a chest, its landmarks are in order, and their points lie in the scan."""
        node = _sampleNode("CTChestSample")
        logic = CTSliceLocalizerLogic()
        location = logic.locate(node)
        assert location.refused is None
        assert location.flags == ()
        heights = [landmark.z_mm for landmark in location.landmarks if landmark.inside]
        assert len(heights) > 4
        assert heights == sorted(heights, reverse=True)
        point = logic.goToLandmark(node, "Bifurcation of trachea")
        assert logic.placeOfSlice(node, point).words == "mid chest"
        assert logic.goToLandmark(node, "Head of femur") is None

    def test_locate_phantom(self):
        """The digital patient's landmarks lie where they truly are."""
        from CTVolumeLib import phantom, scene

        patient = phantom.make(phantom.PhantomParameters(spacing=(4.0, 4.0, 4.0)))
        location = CTSliceLocalizerLogic().locate(scene.node_from_volume(patient.volume, "CTPhantom"))
        found = [landmark for landmark in location.landmarks if landmark.inside]
        assert len(found) >= 9
        for landmark in found:
            assert abs(landmark.z_mm - patient.landmarks[landmark.name]) < 20, landmark.name

    def test_follow_up(self):
        """The follow-up is matched by the map that it was made by, linked views follow, and Clear leaves nothing."""
        from CTSliceLocalizerPanel import comparison_layout

        baseline, followUp = _sampleNode("CTChestSample"), _sampleNode("CTChestSampleFollowUp")
        logic = CTSliceLocalizerLogic()
        slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)  # made when first asked for
        before = slicer.mrmlScene.GetNumberOfNodes()
        found = logic.match(baseline, followUp)
        known = {-203.5: 202.2, -101.5: 310.2, -2.5: 416.4}  # CTChestSampleFollowUp.json
        for place in found.at(list(known)).pairs:
            assert place.covered
            assert abs(place.followup_z_mm - known[place.baseline_z_mm]) < 3
        if slicer.app.layoutManager() is not None:
            logic.linkScrolling(baseline, followUp)
            names = comparison_layout.viewNames()
            views = [slicer.app.layoutManager().sliceWidget(name).sliceLogic() for name in names]
            views[0].SetSliceOffset(-203.5)
            assert abs(views[1].GetSliceOffset() - known[-203.5]) < 3
            views[1].SetSliceOffset(known[-2.5])
            assert abs(views[0].GetSliceOffset() + 2.5) < 3
        logic.clearMatch(baseline, followUp)
        assert slicer.mrmlScene.GetNumberOfNodes() == before

    def test_annotate(self):
        """A label is saved at once and undone again."""
        import json
        import tempfile
        from pathlib import Path

        node = _sampleNode("CTChestSample")
        logic = CTSliceLocalizerLogic()
        with tempfile.TemporaryDirectory() as folder:
            logic.setLabelsFolder(folder)
            logic.labelSlice(node, "5", -20.0)
            (path,) = Path(folder).rglob("*.json")
            assert list(json.loads(path.read_text(encoding="utf-8"))) == ["Aortic arch"]
            logic.undoLabel(node)
            assert logic.labelling(node).count == 0
            logic.setLabelsFolder("")

    def test_annotate_worklist(self):
        """Series of a folder are opened one after the other; labels lie beside their slices and come back."""
        import json
        import tempfile
        from pathlib import Path

        from CTVolumeLib import phantom, phantom_dicom

        patient = phantom.make(phantom.PhantomParameters(coverage=(0.2, 0.3), spacing=(8.0, 8.0, 8.0)))
        logic = CTSliceLocalizerLogic()
        logic.setLabelsFolder("")
        with tempfile.TemporaryDirectory() as folder:
            for number in (1, 2):
                phantom_dicom.write_dicom(patient.volume, Path(folder) / f"series{number}", series_number=number)
            assert len(logic.listSeries(folder).series) == 2
            node, name = logic.nextSeries(), "Bifurcation of trachea"
            height = patient.landmarks[name]
            assert abs(logic.labelSlice(node, name, height).row(name).zMm - height) <= 4
            labels = json.loads((Path(folder) / "series1" / "labels.json").read_text(encoding="utf-8"))
            assert (Path(folder) / "series1" / labels[name]).is_file()
            logic.nextSeries()
            assert logic.labelling(logic.previousSeries()).count == 1
            logic.worklist.close()
        assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0

    def test_train_starts_children(self):
        """Slicer's own Python starts as a child, finds the libraries, and tells what it lacks for training."""
        run = CTSliceLocalizerLogic().checkPython()
        run.wait(slicer.app.processEvents)
        assert run.pythonVersion, run.problem
        assert run.succeeded or run.missing, run.problem

    def test_clear_leaves_nothing(self):
        """After Locate and Clear the scene holds the nodes that it held before, also after a cancel."""
        from CTVolumeLib.errors import CTError

        node = _sampleNode("CTChestSample")
        logic = CTSliceLocalizerLogic()
        logic.locate(node)  # the subject hierarchy's own node is there from now on
        logic.clearLocation(node)
        before = slicer.mrmlScene.GetNumberOfNodes()
        logic.locate(node)
        logic.clearLocation(node)
        assert slicer.mrmlScene.GetNumberOfNodes() == before
        with self.assertRaises(CTError):  # noqa: PT027 - pytest is not part of Slicer
            logic.locate(node, progress=lambda *_step: False)
        assert slicer.mrmlScene.GetNumberOfNodes() == before


def registerLayout():
    """Make the layout of Follow up known to Slicer."""
    from CTSliceLocalizerPanel import comparison_layout

    comparison_layout.register()


def _sampleNode(name):
    """A sample scan of the extension as a volume node."""
    from CTVolumeLib import dicom, samples, scene

    return scene.node_from_volume(dicom.read(samples.sample(name).path), name)


def _sections():
    """The sections of the panel from top to bottom."""
    from CTSliceLocalizerPanel.annotate_section import AnnotateSection
    from CTSliceLocalizerPanel.followup_section import FollowUpSection
    from CTSliceLocalizerPanel.locate_section import LocateSection
    from CTSliceLocalizerPanel.train_section import TrainSection

    return LocateSection, FollowUpSection, AnnotateSection, TrainSection

"""A module's panel: sections one below the other that share a parameter node and follow the scene."""

from __future__ import annotations

import sys

import slicer
from slicer.util import VTKObservationMixin


class Column(VTKObservationMixin):
    """What a module's widget holds; to its sections it is their ``widget``.

    Attributes:
        logic: the module's logic.
        resourcePath: finds a file of the module by its name in Resources.
        sections: from top to bottom.
        parameterNode: settings of all sections; None while the scene closes.
    """

    def __init__(self, moduleWidget, makeSections) -> None:
        """Build the column.

        Args:
            moduleWidget: the ScriptedLoadableModuleWidget, with its ``logic``.
            makeSections: called with the column, one for each section.
        """
        VTKObservationMixin.__init__(self)
        self.logic, self.resourcePath = moduleWidget.logic, moduleWidget.resourcePath
        self.parameterNode = None
        self.sections: list = []
        for makeSection in makeSections:
            section = makeSection(self)
            self.sections.append(section)
            moduleWidget.layout.addWidget(section.button)
        moduleWidget.layout.addStretch(1)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneStartsToClose)
        self.addObserver(scene, scene.EndCloseEvent, self._onSceneChanged)
        self.addObserver(scene, scene.EndImportEvent, self._onSceneChanged)
        self._takeParameterNode()
        if getattr(moduleWidget.parent, "isEntered", False):  # Reload makes a new panel and does not enter it
            self.enter()

    def enter(self) -> None:
        """The user opened the module."""
        self._takeParameterNode()
        for section in self.sections:
            section.enter()

    def exit(self) -> None:
        """The user opened another module."""
        for section in self.sections:
            section.exit()

    def cleanup(self) -> None:
        """The module is unloaded or reloaded."""
        for section in self.sections:
            section.cleanup()
        self._setParameterNode(None)
        self.removeObservers()

    def refresh(self) -> None:
        """Bring all sections into line with the scene."""
        for section in self.sections:
            section.refresh()

    def removeTemporaryViews(self, but=None) -> None:
        """Take away what sections show in the views for a moment only, that of one section excepted."""
        for section in self.sections:
            if section is not but:
                section.removeTemporaryView()

    def setOthersEnabled(self, running, enabled: bool) -> None:
        """Switch the other sections off while one is running."""
        for section in self.sections:
            if section is not running:
                section.form.enabled = enabled

    def _takeParameterNode(self) -> None:
        self._setParameterNode(self.logic.getParameterNode())

    def _setParameterNode(self, parameterNode) -> None:
        self.parameterNode = parameterNode
        for section in self.sections:
            section.setParameterNode(parameterNode)

    def _onSceneStartsToClose(self, _caller, _event) -> None:
        self._setParameterNode(None)

    def _onSceneChanged(self, _caller, _event) -> None:
        # Also while another module is shown: the next scene's settings are there when the user comes back.
        self._takeParameterNode()


def forget(package: str) -> None:
    """Have the files of a package read again: Slicer's Reload reads the module's own file alone."""
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]

"""What the sections of all panels have in common: a collapsible button around a form from a ``.ui`` file."""

from __future__ import annotations

import html

import ctk
import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

_parameterNodes: set = set()
"""Parameter nodes that panels have shown, kept on purpose: see ``setParameterNode``."""


class PanelSection(VTKObservationMixin):
    """Base of the sections; a section overrides what it needs.

    Attributes:
        widget: the module's widget, for its ``logic``, ``parameterNode`` and ``resourcePath``.
        button: the ctkCollapsibleButton that is added to the column.
        ui: the widgets of the form by their names.
    """

    def __init__(self, widget, uiFile: str, title: str, toolTip: str, *, collapsed: bool = True) -> None:
        """Build the form.

        Args:
            widget: the module's widget.
            uiFile: name in Resources/UI; its top widget is a qMRMLWidget.
            title: of the collapsible button.
            toolTip: of the collapsible button: what the section is for.
            collapsed: whether the section starts closed.
        """
        VTKObservationMixin.__init__(self)
        self._connectedNode = self._guiTag = None
        self.widget = widget
        self.form = slicer.util.loadUI(widget.resourcePath(f"UI/{uiFile}"))
        self.ui = slicer.util.childWidgetVariables(self.form)
        self.button = ctk.ctkCollapsibleButton()
        self.button.objectName = f"{uiFile.split('.')[0]}CollapsibleButton"
        self.button.text = title
        self.button.toolTip = toolTip
        qt.QVBoxLayout(self.button).addWidget(self.form)
        self.button.collapsed = collapsed
        self.form.setMRMLScene(slicer.mrmlScene)

    @property
    def logic(self):
        """The module's logic."""
        return self.widget.logic

    @property
    def parameterNode(self):
        """The module's parameter node, or None while there is none."""
        return self.widget.parameterNode

    def guiMapping(self) -> dict:
        """The parameters that widgets show and change, by name."""
        return {}

    def setParameterNode(self, parameterNode) -> None:
        """Show another parameter node; None while the scene closes.

        Slicer's wrapper observes its node until the node goes, also after ``disconnectGui``. Node, observer and wrapper
        hold each other in Python, so that between two panels (Reload, a scene that closes) Python may collect all
        three, while the node lives on in the scene and calls what was collected: Slicer would crash. Hence the nodes
        are held here; they are one for each module.
        """
        if parameterNode is not None:
            _parameterNodes.add(parameterNode.parameterNode)
        if self._connectedNode is not None:
            self._connectedNode.disconnectGui(self._guiTag)
            self.removeObserver(
                self._connectedNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersModified
            )
        self._connectedNode = parameterNode
        if parameterNode is not None:
            self._guiTag = parameterNode.connectParametersToGui(self.guiMapping())
            self.addObserver(parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersModified)
        self._onParametersModified()

    def enter(self) -> None:
        """The module is shown."""

    def exit(self) -> None:
        """Another module is shown."""

    def cleanup(self) -> None:
        """The module is unloaded or reloaded: drop observers, shortcuts and children."""

    def _onParametersModified(self, caller=None, event=None) -> None:
        """A parameter was changed by a widget, a script or a scene that was loaded."""


def followPath(pathEdit, changed) -> None:
    """Call ``changed(path)`` for each path in a ctkPathLineEdit, with an empty text where the field is emptied.

    CTK's own signal leaves empty fields out: the panel would go on with a path that is no longer shown. For the same
    reason such a field has no name filters.
    """
    pathEdit.connect("currentPathChanged(QString)", changed)
    pathEdit.connect("validInputChanged(bool)", lambda valid: None if valid else changed(""))


def warning(text: str) -> str:
    """A text as the rich text of a label that can't be missed, in any theme."""
    return f"<b>\u26a0 {html.escape(text)}</b>"

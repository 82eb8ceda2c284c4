"""Slicer's widgets on the scene: node selectors, tables and their like, as attributes of the module ``slicer``."""

from __future__ import annotations

import shiboken6
import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from .ctk_widgets import NumberWidget, RangeWidget, stored


class qMRMLWidget(QtWidgets.QWidget):
    """A widget that knows the scene; widgets inside get it by connections in the .ui file, as in Slicer."""

    mrmlSceneChanged = QtCore.Signal(object)
    _signatures = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged(PyObject)"}  # noqa: RUF012

    def setMRMLScene(self, scene):
        """Take over the scene and tell it on."""
        self.__dict__["_scene"] = scene
        self._sceneChanged()
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self):
        """The scene, or None."""
        return self.__dict__.get("_scene")

    def _sceneChanged(self):
        pass


class qMRMLNodeComboBox(qMRMLWidget):
    """A selector of the nodes of some classes; follows the scene."""

    currentNodeChanged = QtCore.Signal(object)
    currentNodeIDChanged = QtCore.Signal(str)
    nodeAdded = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)
    _signatures = {  # noqa: RUF012
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged(PyObject)",
        "nodeAdded(vtkMRMLNode*)": "nodeAdded(PyObject)",
        "nodeAddedByUser(vtkMRMLNode*)": "nodeAddedByUser(PyObject)",
    }

    nodeTypes = stored("_nodeTypes", "QStringList", [])
    noneEnabled = stored("_noneEnabled", bool, False)
    noneDisplay = stored("_noneDisplay", str, "None")
    addEnabled = stored("_addEnabled", bool, True)
    removeEnabled = stored("_removeEnabled", bool, True)
    editEnabled = stored("_editEnabled", bool, False)
    renameEnabled = stored("_renameEnabled", bool, False)
    baseName = stored("_baseName", str, "")
    interactionNodeSingletonTag = stored("_interaction", str, "")
    showChildNodeTypes = stored("_showChildNodeTypes", bool, True)
    showHidden = stored("_showHidden", bool, False)
    selectNodeUponCreation = stored("_selectNodeUponCreation", bool, True)

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._box = QtWidgets.QComboBox(self)
        self._box.setMinimumContentsLength(4)
        policy = QtWidgets.QSizePolicy.Policy
        self._box.setSizePolicy(policy.Expanding, policy.Fixed)
        self._box.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        layout.addWidget(self._box)
        self.setFocusProxy(self._box)
        self.__dict__.update(_ids=[], _current="", _filters={}, _tags=[], _observed={})
        self._box.currentIndexChanged.connect(self._picked)

    def currentNode(self):
        """The chosen node, or None."""
        scene = self.mrmlScene()
        return scene.GetNodeByID(self.__dict__["_current"]) if scene and self.__dict__["_current"] else None

    def _current_id(self):
        return self.__dict__["_current"] if self.currentNode() else ""

    currentNodeID = QtCore.Property(str, _current_id, lambda self, identifier: self.setCurrentNodeID(identifier))

    def setCurrentNode(self, node):
        """Choose a node of the scene; one that is not offered stands for none."""
        if isinstance(node, str):
            return self.setCurrentNodeID(node)
        return self.setCurrentNodeID(node.GetID() if node is not None else "")

    def setCurrentNodeID(self, identifier):
        """Choose a node by its ID."""
        self._choose(identifier if identifier in self.__dict__["_ids"] else "")

    def setCurrentNodeIndex(self, index):
        """Choose by place in the list, without the entry for none."""
        self._choose(self.__dict__["_ids"][index])

    def nodeCount(self):
        """How many nodes are offered."""
        return len(self.__dict__["_ids"])

    def nodeFromIndex(self, index):
        """Node at a place in the list."""
        return self.mrmlScene().GetNodeByID(self.__dict__["_ids"][index])

    def nodes(self):
        """All nodes that are offered."""
        return [self.nodeFromIndex(index) for index in range(self.nodeCount())]

    def addAttribute(self, nodeType, name, value=None):
        """Offer nodes of that class only if they have the attribute."""
        self.__dict__["_filters"].setdefault(nodeType, []).append((name, value))
        self._sceneChanged()

    def removeAttribute(self, nodeType, name):
        """Take a filter away."""
        filters = self.__dict__["_filters"].get(nodeType, [])
        self.__dict__["_filters"][nodeType] = [entry for entry in filters if entry[0] != name]
        self._sceneChanged()

    def addNode(self, nodeType=None):
        """What the entry "Create new" does."""
        node = self.mrmlScene().AddNewNodeByClass(nodeType or self.nodeTypes[0], self.baseName)
        self.nodeAddedByUser.emit(node)
        self.setCurrentNode(node)
        return node

    def comboBox(self):
        """The list itself."""
        return self._box

    def setMRMLScene(self, scene):
        """Follow another scene."""
        before = self.mrmlScene()
        if before is not None:
            for tag in self.__dict__["_tags"]:
                before.RemoveObserver(tag)
        self.__dict__["_tags"] = []
        if scene is not None:
            for event in ("NodeAddedEvent", "NodeRemovedEvent", "EndBatchProcessEvent", "EndCloseEvent"):
                tag = scene.AddObserver(getattr(slicer.vtkMRMLScene, event), self._followed)
                self.__dict__["_tags"].append(tag)
        super().setMRMLScene(scene)

    def _followed(self, *_event):
        if shiboken6.isValid(self) and not self.mrmlScene().IsBatchProcessing():
            self._sceneChanged()

    def _sceneChanged(self):
        scene = self.mrmlScene()
        known = self.__dict__["_ids"]
        offered = self._offered() if scene else []
        self.__dict__["_ids"] = [node.GetID() for node in offered]
        self._observe_names(offered)
        fresh = [node for node in offered if node.GetID() not in known]
        current = self.__dict__["_current"]
        if current not in self.__dict__["_ids"]:
            current = ""
        if not current and offered and not self.noneEnabled:
            current = offered[-1 if known else 0].GetID() if fresh else offered[0].GetID()
        self._fill()
        self._choose(current)

    def _offered(self):
        scene = self.mrmlScene()
        nodes = [scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes())]
        return [node for node in nodes if self._fits(node)]

    def _fits(self, node):
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        for kind in self.nodeTypes:
            if node.IsA(kind) if self.showChildNodeTypes else node.GetClassName() == kind:
                filters = self.__dict__["_filters"].get(kind, [])
                return all(
                    node.GetAttribute(name) is not None and value in (None, node.GetAttribute(name))
                    for name, value in filters
                )
        return False

    def _observe_names(self, nodes):
        observed = self.__dict__["_observed"]
        for node in nodes:
            if node.GetID() not in observed:
                tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_event: self._rename())
                observed[node.GetID()] = (node, tag)
        for identifier in set(observed) - {node.GetID() for node in nodes}:
            node, tag = observed.pop(identifier)
            node.RemoveObserver(tag)

    def _rename(self):
        if not shiboken6.isValid(self):
            return
        scene = self.mrmlScene()
        shift = int(bool(self.noneEnabled))
        for place, identifier in enumerate(self.__dict__["_ids"]):
            node = scene.GetNodeByID(identifier)
            if node is not None and self._box.itemText(place + shift) != node.GetName():
                self._box.setItemText(place + shift, node.GetName())

    def _fill(self):
        self.__dict__["_filling"] = True
        self._box.clear()
        if self.noneEnabled:
            self._box.addItem(self.noneDisplay)
        for identifier in self.__dict__["_ids"]:
            self._box.addItem(self.mrmlScene().GetNodeByID(identifier).GetName())
        self.__dict__["_filling"] = False

    def _choose(self, identifier):
        self.__dict__["_filling"] = True
        shift = int(bool(self.noneEnabled))
        place = self.__dict__["_ids"].index(identifier) + shift if identifier else shift - 1
        self._box.setCurrentIndex(place)
        self.__dict__["_filling"] = False
        if identifier != self.__dict__["_current"]:
            self.__dict__["_current"] = identifier
            node = self.currentNode()
            self.currentNodeChanged.emit(node)
            self.currentNodeIDChanged.emit(identifier)

    def _picked(self, index):
        if self.__dict__.get("_filling"):
            return
        place = index - int(bool(self.noneEnabled))
        self._choose(self.__dict__["_ids"][place] if place >= 0 else "")

    def _show(self):
        if self.mrmlScene() is not None:
            self._sceneChanged()


class qMRMLCheckableNodeComboBox(qMRMLNodeComboBox):
    """Selector of several nodes."""


class qMRMLSubjectHierarchyComboBox(qMRMLWidget):
    """Selector of an item of the subject hierarchy."""


class qMRMLSubjectHierarchyTreeView(qMRMLWidget):
    """Tree of the scene."""


class qMRMLSegmentsTableView(qMRMLWidget):
    """Table of segments."""


class qMRMLSegmentSelectorWidget(qMRMLWidget):
    """Selector of a segment."""


class qSlicerMarkupsPlaceWidget(qMRMLWidget):
    """Buttons for placing points."""

    def setCurrentNode(self, node):
        """The markups that points go to."""
        self.__dict__["_node"] = node

    def currentNode(self):
        """The markups that points go to."""
        return self.__dict__.get("_node")


class qMRMLSliderWidget(NumberWidget):
    """Slider with units of the scene."""

    def setMRMLScene(self, _scene):
        """Units are not shown."""


class qMRMLSpinBox(NumberWidget):
    """Spin box with units of the scene."""

    def setMRMLScene(self, _scene):
        """Units are not shown."""


class qMRMLRangeWidget(RangeWidget):
    """Range with units of the scene."""

    def setMRMLScene(self, _scene):
        """Units are not shown."""


class qMRMLTableView(QtWidgets.QTableWidget):
    """A table node as a table."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.__dict__.update(_node=None, _tag=None)

    def setMRMLScene(self, _scene):
        """Nothing to keep."""

    def setMRMLTableNode(self, node):
        """Show a node and follow it."""
        if self.__dict__["_node"] is not None:
            self.__dict__["_node"].RemoveObserver(self.__dict__["_tag"])
        self.__dict__["_node"] = node
        if node is not None:
            self.__dict__["_tag"] = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_event: self._fill())
        self._fill()

    def mrmlTableNode(self):
        """The node that is shown."""
        return self.__dict__["_node"]

    def _fill(self):
        if not shiboken6.isValid(self):
            return
        node = self.__dict__["_node"]
        self.clear()
        columns = node.GetNumberOfColumns() if node is not None else 0
        rows = node.GetNumberOfRows() if node is not None else 0
        self.setColumnCount(columns)
        self.setRowCount(rows)
        for column in range(columns):
            self.setHorizontalHeaderItem(column, QtWidgets.QTableWidgetItem(node.GetColumnName(column)))
            for row in range(rows):
                self.setItem(row, column, QtWidgets.QTableWidgetItem(node.GetCellText(row, column)))


WIDGETS = {
    name: value
    for name, value in globals().items()
    if name.startswith(("qMRML", "qSlicer")) and isinstance(value, type)
}
"""All widgets here, by the name that they have in the module ``slicer``."""

"""``slicer.app.layoutManager()``: the views of the current layout, on Slicer's own layout and slice logic."""

from __future__ import annotations

from xml.etree import ElementTree

import slicer
import vtk
from PySide6 import QtCore

from .views import PlotWidget, SliceWidget, TableWidget, ThreeDWidget

SIZE = (900, 660)
"""Pixels of the area in which the views lie."""

_KINDS = {
    "vtkMRMLSliceNode": SliceWidget,
    "vtkMRMLViewNode": ThreeDWidget,
    "vtkMRMLPlotViewNode": PlotWidget,
    "vtkMRMLTableViewNode": TableWidget,
}


class qSlicerLayoutManager(QtCore.QObject):
    """Follows the layout node: makes a widget for each view, shows those of the current layout."""

    layoutChanged = QtCore.Signal(int)

    def __init__(self, scene, applicationLogic, area):
        super().__init__()
        self.__dict__.update(_area=area, _widgets={}, _application=applicationLogic, _layout=None)
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLApplicationLogic(applicationLogic)
        self._logic.SetMRMLScene(scene)
        self._node = self._logic.GetLayoutNode()
        self._tag = self._node.AddObserver("ModifiedEvent", lambda *_event: self._follow())
        self._scene = scene
        self._close = scene.AddObserver(slicer.vtkMRMLScene.EndCloseEvent, lambda *_event: self._follow(anew=True))
        self._imported = scene.AddObserver(slicer.vtkMRMLScene.EndImportEvent, lambda *_event: self._follow(anew=True))
        self._removed = scene.AddObserver(slicer.vtkMRMLScene.NodeRemovedEvent, self._drop)
        self._node.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)
        self._follow()

    layout = QtCore.Property(int, lambda self: self._node.GetViewArrangement(), lambda self, n: self.setLayout(n))
    threeDViewCount = QtCore.Property(int, lambda self: len(self._shown("vtkMRMLViewNode")))
    tableViewCount = QtCore.Property(int, lambda self: len(self._shown("vtkMRMLTableViewNode")))
    plotViewCount = QtCore.Property(int, lambda self: len(self._shown("vtkMRMLPlotViewNode")))

    def layoutLogic(self):
        return self._logic

    def setLayout(self, number):
        if not self._node.IsLayoutDescription(number):
            raise ValueError(f"there is no layout {number}: AddLayoutDescription first")
        self._node.SetViewArrangement(number)

    def sliceViewNames(self):
        return [widget.viewName() for widget in self._shown("vtkMRMLSliceNode")]

    def sliceWidget(self, name):
        for widget in self._widgets.values():
            if isinstance(widget, SliceWidget) and widget.viewName() == name:
                return widget
        return None

    def threeDWidget(self, index):
        return self._shown("vtkMRMLViewNode")[index]

    def plotWidget(self, index):
        return self._shown("vtkMRMLPlotViewNode")[index]

    def tableWidget(self, index):
        return self._shown("vtkMRMLTableViewNode")[index]

    def viewWidget(self, node):
        return self._widgets.get(node.GetID())

    def mrmlSliceLogics(self):
        return self._application.GetSliceLogics()

    def resetSliceViews(self):
        for widget in self._shown("vtkMRMLSliceNode"):
            widget.sliceLogic().FitSliceToAll()

    def resetThreeDViews(self):
        """Nothing is drawn in three dimensions."""

    def viewport(self):
        return self._area

    def shown(self) -> list:
        """The widgets of the current layout (for tests and pictures)."""
        return [self._widgets[node.GetID()] for node, _ in self._places() if node.GetID() in self._widgets]

    def _shown(self, class_name):
        return [widget for widget in self.shown() if widget.node().GetClassName() == class_name]

    def _follow(self, anew=False):
        if anew:  # after a scene was closed or loaded the slice logics look at old composite nodes
            for widget in self._widgets.values():
                widget.follow()
        places = self._places()
        for node, _ in places:
            if node.GetID() not in self._widgets:
                widget = _KINDS[node.GetClassName()](node, self._application, self._area)
                self._widgets[node.GetID()] = widget
        visible = {node.GetID(): rectangle for node, rectangle in places}
        for identifier, widget in self._widgets.items():
            rectangle = visible.get(identifier)
            if rectangle:
                left, top, width, height = rectangle
                widget.place(
                    round(left * SIZE[0]), round(top * SIZE[1]), round(width * SIZE[0]), round(height * SIZE[1])
                )
            widget.setVisible(rectangle is not None)
        current = self._node.GetViewArrangement()
        if current != self.__dict__["_layout"]:
            self.__dict__["_layout"] = current
            self.layoutChanged.emit(current)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _drop(self, _scene, _event, node):
        """With a view's node goes its widget, which lets the scene go (qMRMLLayoutViewFactory::deleteView)."""
        if node.GetID() in self._widgets and self._widgets[node.GetID()].node() is node:
            widget = self._widgets.pop(node.GetID())
            widget.setVisible(False)
            widget.end()

    def _places(self):
        """Node and (left, top, width, height) in parts of the whole, of each view of the current layout."""
        text = self._node.GetCurrentLayoutDescription()
        return _places(ElementTree.fromstring(text), (0.0, 0.0, 1.0, 1.0), self._scene) if text else []

    def end(self):
        """Let the scene go."""
        self._node.RemoveObserver(self._tag)
        self._scene.RemoveObserver(self._close)
        self._scene.RemoveObserver(self._imported)
        self._scene.RemoveObserver(self._removed)
        for widget in self._widgets.values():
            widget.end()
        self._widgets.clear()
        self._logic.SetMRMLScene(None)


def _places(element, rectangle, scene) -> list:
    """Views inside an element of the layout's XML: vertical, horizontal, grid and tab."""
    if element.tag == "view":
        node = scene.GetSingletonNode(element.get("singletontag"), element.get("class"))
        return [(node, rectangle)] if node is not None and node.GetClassName() in _KINDS else []
    items = element.findall("item")
    kind = element.get("type", "horizontal")
    left, top, width, height = rectangle
    if kind == "grid":
        rows = [int(item.get("row", 0)) for item in items]
        columns = [int(item.get("column", 0)) for item in items]
        tall, wide = max(rows, default=0) + 1, max(columns, default=0) + 1
        boxes = [
            (left + width * column / wide, top + height * row / tall, width / wide, height / tall)
            for row, column in zip(rows, columns)
        ]
    elif kind == "tab":
        boxes, items = [rectangle], items[:1]
    elif kind == "vertical":
        boxes = [(left, top + height * n / len(items), width, height / len(items)) for n in range(len(items))]
    else:
        boxes = [(left + width * n / len(items), top, width / len(items), height) for n in range(len(items))]
    found = []
    for item, box in zip(items, boxes):
        for child in item:
            found += _places(child, box, scene)
    return found

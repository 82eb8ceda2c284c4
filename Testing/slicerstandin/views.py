"""Views of the layout: slice, plot, table and three-dimensional ones."""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtCore, QtGui

from .pictures import SliceDrawing, ThreeDDrawing, chart_image, has_three_dimensions
from .qmrml_widgets import qMRMLTableView, qMRMLWidget

BAR = 18
"""Pixels of the coloured bar over a view."""


class ViewWidget(qMRMLWidget):
    """A coloured bar with the view's name over what it shows."""

    _words = ""

    def __init__(self, node, application, parent):
        super().__init__(parent)
        self.__dict__.update(_node=node, _application=application)

    def node(self):
        """The view node."""
        return self.__dict__["_node"]

    def mrmlViewNode(self):
        """The view node."""
        return self.__dict__["_node"]

    def place(self, left, top, width, height):
        """Where it lies in the area of the views."""
        self.setGeometry(left, top, width, height)

    def follow(self):
        """The scene was closed or loaded."""

    def end(self):
        """The scene goes."""
        self.setParent(None)
        self.deleteLater()

    def draw(self):
        """Make the picture anew; done for a screenshot only, since it takes time."""
        if self.width > 1 and self.height > BAR + 1:
            self.__dict__["_picture"] = self._draw(self.width, self.height - BAR)
        self.update()

    def image(self):
        """The picture as it is now, as a QImage, or None."""
        self.draw()
        return self.__dict__.get("_picture")

    def _draw(self, width, height):
        """Made by the kinds of views that have a picture."""

    def paintEvent(self, _event):
        """Bar, name and picture."""
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect, QtGui.QColor("black"))
        colour = QtGui.QColor.fromRgbF(*self._colour())
        painter.fillRect(QtCore.QRect(0, 0, self.width, BAR), colour)
        painter.setPen(QtGui.QColor("black" if colour.lightness() > 100 else "white"))
        aligned = QtCore.Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QtCore.QRect(6, 0, self.width - 12, BAR), aligned, self._title())
        image = self.__dict__.get("_picture")
        if image is not None:
            painter.drawImage(0, BAR, image)
        painter.setPen(QtGui.QColor("#888888"))
        if image is None:
            painter.drawText(self.rect, QtCore.Qt.AlignmentFlag.AlignCenter, self._words)
        painter.setPen(QtGui.QColor("#555555"))
        painter.drawRect(self.rect.adjusted(0, 0, -1, -1))
        painter.end()

    def _colour(self):
        return self.node().GetLayoutColor() if hasattr(self.node(), "GetLayoutColor") else (0.6, 0.6, 0.6)

    def _title(self):
        return self.node().GetLayoutLabel() or self.node().GetName()


class SliceWidget(ViewWidget):
    """A slice view on Slicer's slice logic."""

    def __init__(self, node, application, parent):
        super().__init__(node, application, parent)
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(application)
        logic.SetMRMLScene(slicer.mrmlScene)
        logic.SetSliceNode(node)
        application.GetSliceLogics().AddItem(logic)
        self.__dict__.update(_logic=logic, _drawing=None)

    def viewName(self):
        """Singleton tag of the node, such as Red."""
        return self.node().GetLayoutName()

    def sliceLogic(self):
        return self.__dict__["_logic"]

    def mrmlSliceNode(self):
        return self.node()

    def mrmlSliceCompositeNode(self):
        return self.sliceLogic().GetSliceCompositeNode()

    def sliceController(self):
        return SliceController(self)

    def sliceView(self):
        return SliceView(self)

    def sliceOrientation(self):
        return self.node().GetOrientation()

    def setSliceOrientation(self, orientation):
        self.node().SetOrientation(orientation)

    def fitSliceToBackground(self):
        self.sliceLogic().FitSliceToBackground()

    def place(self, left, top, width, height):
        super().place(left, top, width, height)
        self.sliceLogic().ResizeSliceNode(max(width, 1), max(height - BAR, 1))

    def _title(self):
        background = self.sliceLogic().GetBackgroundLayer().GetVolumeNode()
        name = f"   {background.GetName()}" if background is not None else ""
        return f"{self.node().GetLayoutLabel()}   {self.sliceLogic().GetSliceOffset():.1f} mm{name}"

    def _draw(self, width, height):
        if self.__dict__["_drawing"] is None:
            self.__dict__["_drawing"] = SliceDrawing(self.sliceLogic(), self._application)
        return self.__dict__["_drawing"].image(width, height)

    def end(self):
        if self.__dict__["_drawing"] is not None:
            self.__dict__["_drawing"].end()
        self._application.GetSliceLogics().RemoveItem(self.sliceLogic())
        self.sliceLogic().SetMRMLScene(None)
        super().end()


class SliceController:
    """The bar of a slice view."""

    def __init__(self, widget):
        self._widget = widget

    def fitSliceToBackground(self):
        self._widget.sliceLogic().FitSliceToBackground()

    def setSliceOffsetValue(self, offset):
        self._widget.sliceLogic().SetSliceOffset(offset)

    def sliceOffsetSlider(self):
        raise NotImplementedError("use sliceLogic().GetSliceOffset()")

    def setSliceLink(self, linked):
        self._widget.mrmlSliceCompositeNode().SetLinkedControl(linked)


class SliceView:
    """The picture of a slice view."""

    def __init__(self, widget):
        self._widget = widget

    def forceRender(self):
        self._widget.draw()

    def scheduleRender(self):
        self._widget.update()


class TableWidget(ViewWidget):
    """A view of the active table."""

    def __init__(self, node, application, parent):
        super().__init__(node, application, parent)
        self._table = qMRMLTableView(self)
        self.__dict__["_tag"] = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_event: self.follow())
        self.follow()

    def tableView(self):
        return self._table

    def follow(self):
        self._table.setMRMLTableNode(self.node().GetTableNode())

    def place(self, left, top, width, height):
        super().place(left, top, width, height)
        self._table.setGeometry(0, BAR, width, height - BAR)

    def end(self):
        self.node().RemoveObserver(self.__dict__["_tag"])
        super().end()


class PlotWidget(ViewWidget):
    """A view of a plot chart."""

    def plotView(self):
        return self

    def repaint(self):
        """What ``slicer.util.forceRenderAllViews`` calls."""
        self.draw()

    def mrmlPlotChartNode(self):
        return self.node().GetPlotChartNode()

    def _draw(self, width, height):
        chart = self.mrmlPlotChartNode()
        return chart_image(chart, width, height) if chart is not None else None


class ThreeDWidget(ViewWidget):
    """A three-dimensional view; drawn only where there is something to see, since that takes seconds."""

    _words = "3D view"

    def __init__(self, node, application, parent):
        super().__init__(node, application, parent)
        self.__dict__.update(_drawing=None, _axis=None)

    def threeDView(self):
        return self

    def forceRender(self):
        self.draw()

    def resetFocalPoint(self):
        self._look()

    def resetCamera(self, _rotation=True, _translation=True, _distance=True):
        self._look()

    def rotateToViewAxis(self, axis):
        """Look from -R, R, -A, A, -S or S, as qMRMLThreeDView counts."""
        if not 0 <= axis <= 5:
            raise ValueError(f"there is no axis {axis}")
        self.__dict__["_axis"] = axis
        self._look()

    def _look(self):
        if self.__dict__["_drawing"] is not None:
            self.__dict__["_drawing"].look(self.__dict__["_axis"])

    def _draw(self, width, height):
        if self.__dict__["_drawing"] is None and not has_three_dimensions(slicer.mrmlScene):
            return None
        if self.__dict__["_drawing"] is None:
            self.__dict__["_drawing"] = ThreeDDrawing(self.node(), self._application)
            self._look()
        return self.__dict__["_drawing"].image(width, height)

    def end(self):
        if self.__dict__["_drawing"] is not None:
            self.__dict__["_drawing"].end()
        super().end()

    def _colour(self):
        return (0.45, 0.45, 0.75)

"""What views show, drawn off-screen by Slicer's own displayable managers and by VTK's charts."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from PySide6 import QtGui
from vtk.util.numpy_support import vtk_to_numpy

_SLICE_MANAGERS = (
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
)

_THREE_D_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLVolumeRenderingDisplayableManager",
)
_AXES = ((-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1))
"""Where the camera is, as qMRMLThreeDView::rotateToViewAxis counts."""


class SliceDrawing:
    """A slice view's picture: the blended layers, with segmentations and markups over them."""

    def __init__(self, logic, application):
        self._logic = logic
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        actor = vtk.vtkActor2D()
        actor.SetMapper(self._mapper)
        actor.GetProperty().SetDisplayLocationToBackground()
        self._actor = actor
        renderer = vtk.vtkRenderer()
        window = _window(renderer)
        interactor = vtk.vtkGenericRenderWindowInteractor()
        window.SetInteractor(interactor)
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(application)
        for name in _SLICE_MANAGERS:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        group = factory.InstantiateDisplayableManagers(renderer)
        group.SetMRMLDisplayableNode(logic.GetSliceNode())
        self._renderer, self._window, self._interactor, self._group = renderer, window, interactor, group

    def image(self, width: int, height: int) -> QtGui.QImage:
        """The view as it is now."""
        self._logic.ResizeSliceNode(width, height)
        if tuple(self._window.GetSize()) != (width, height):
            self._window.SetSize(width, height)
            self._window.Render()
            self._logic.GetSliceNode().Modified()  # labels of markups take their place from the window's size
        layers = [self._logic.GetSliceCompositeNode().GetNthLayerVolumeID(number) for number in range(3)]
        shown = self._renderer.HasViewProp(self._actor)
        if any(layers):
            self._mapper.SetInputConnection(self._logic.GetImageDataConnection())
        if any(layers) and not shown:
            self._renderer.AddViewProp(self._actor)
        elif shown and not any(layers):
            self._renderer.RemoveViewProp(self._actor)
        return _image(self._window)

    def end(self):
        """Let the scene go."""
        self._group.SetMRMLDisplayableNode(None)
        self._window.Finalize()


class ThreeDDrawing:
    """A three-dimensional view's picture: surfaces and volume renderings."""

    def __init__(self, node, application):
        renderer = vtk.vtkRenderer()
        window = _window(renderer)
        interactor = vtk.vtkGenericRenderWindowInteractor()
        window.SetInteractor(interactor)
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(application)
        for name in _THREE_D_MANAGERS:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        group = factory.InstantiateDisplayableManagers(renderer)
        group.SetMRMLDisplayableNode(node)
        self._renderer, self._window, self._interactor, self._group = renderer, window, interactor, group
        self._axis, self._placed = 3, False

    def look(self, axis=None):
        """Look from an axis, or as before, at all there is."""
        self._axis, self._placed = self._axis if axis is None else axis, False

    def image(self, width: int, height: int) -> QtGui.QImage:
        """The view as it is now."""
        self._window.SetSize(width, height)
        if not self._placed:
            self._window.Render()
            camera = self._renderer.GetActiveCamera()
            camera.SetFocalPoint(0, 0, 0)
            camera.SetPosition(*_AXES[self._axis])
            camera.SetViewUp(*((0, 0, 1) if self._axis < 4 else (0, 1, 0)))
            self._renderer.ResetCamera()
            camera.Zoom(1.5)
            self._placed = True
        return _image(self._window)

    def end(self):
        """Let the scene go."""
        self._group.SetMRMLDisplayableNode(None)
        self._window.Finalize()


def has_three_dimensions(scene) -> bool:
    """Whether there is anything to see in three dimensions."""
    renderings = slicer.util.getNodesByClass("vtkMRMLVolumeRenderingDisplayNode", scene)
    surfaces = [
        display
        for display in slicer.util.getNodesByClass("vtkMRMLSegmentationDisplayNode", scene)
        if display.GetVisibility3D()
        and display.GetDisplayableNode() is not None
        and display.GetDisplayableNode().GetSegmentation().ContainsRepresentation("Closed surface")
    ]
    return any(display.GetVisibility() for display in renderings + surfaces)


def chart_image(chart, width: int, height: int) -> QtGui.QImage:
    """A plot chart node as VTK's chart."""
    scene = vtk.vtkContextView()
    scene.GetRenderWindow().SetOffScreenRendering(1)
    scene.GetRenderWindow().SetSize(width, height)
    scene.GetRenderer().SetBackground(1, 1, 1)
    plot = vtk.vtkChartXY()
    scene.GetScene().AddItem(plot)
    plot.SetTitle(chart.GetTitle() or "")
    plot.SetShowLegend(bool(chart.GetLegendVisibility()))
    for axis, title in ((vtk.vtkAxis.BOTTOM, chart.GetXAxisTitle()), (vtk.vtkAxis.LEFT, chart.GetYAxisTitle())):
        plot.GetAxis(axis).SetTitle(title or "")
    _axis_range(plot.GetAxis(vtk.vtkAxis.BOTTOM), chart.GetXAxisRangeAuto(), chart.GetXAxisRange())
    _axis_range(plot.GetAxis(vtk.vtkAxis.LEFT), chart.GetYAxisRangeAuto(), chart.GetYAxisRange())
    for number in range(chart.GetNumberOfPlotSeriesNodes()):
        series = chart.GetNthPlotSeriesNode(number)
        if series is not None and series.GetTableNode() is not None:
            _add_series(plot, series)
    return _image(scene.GetRenderWindow())


def _add_series(plot, series) -> None:
    table = series.GetTableNode().GetTable()
    names = [table.GetColumnName(number) for number in range(table.GetNumberOfColumns())]
    x, y = series.GetXColumnName(), series.GetYColumnName()
    assert y in names, f"{series.GetName()}: the table has no column {y!r}, only {names}"
    assert not series.IsXColumnRequired() or x in names, f"{series.GetName()}: no column {x!r} among {names}"
    points = series.GetPlotType() == slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter
    line = plot.AddPlot(vtk.vtkChart.LINE)
    line.SetInputData(table, x, y)
    line.SetLabel(series.GetName())
    colour = series.GetColor()
    line.SetColorF(*colour)
    line.SetWidth(series.GetLineWidth())
    line.SetMarkerStyle(series.GetMarkerStyle())
    line.SetMarkerSize(series.GetMarkerSize())
    if points and series.GetLineStyle() == slicer.vtkMRMLPlotSeriesNode.LineStyleNone:
        line.GetPen().SetLineType(vtk.vtkPen.NO_PEN)


def _axis_range(axis, automatic, limits) -> None:
    if not automatic:
        axis.SetBehavior(vtk.vtkAxis.FIXED)
        axis.SetRange(*limits)


def _window(renderer):
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.AddRenderer(renderer)
    return window


def _image(window) -> QtGui.QImage:
    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    data = grab.GetOutput()
    width, height, _ = data.GetDimensions()
    pixels = vtk_to_numpy(data.GetPointData().GetScalars()).reshape(height, width, 3)[::-1]
    pixels = np.ascontiguousarray(pixels)
    return QtGui.QImage(pixels.data, width, height, 3 * width, QtGui.QImage.Format.Format_RGB888).copy()

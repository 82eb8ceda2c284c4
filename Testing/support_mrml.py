"""A real MRML scene without the application, from the slicer-core package: the part of Slicer that nodes need."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

LOGICS = {
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Tables": "vtkSlicerTablesLogic",
}


def slicer_core():
    """The slicer package, or the test is skipped with a reason."""
    return pytest.importorskip("slicer", reason="slicer-core is not installed: tests on MRML are left out")


def start():
    """A fresh scene with the logics that volumes, segmentations, tables, plots and markups need.

    Returns:
        The scene; it is ``slicer.mrmlScene`` until ``stop`` is called. Keep the returned object's ``logics`` alive.
    """
    slicer = slicer_core()
    import vtk

    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    colors = application.GetColorLogic()
    colors.SetMRMLScene(scene)
    colors.AddDefaultColorNodes()
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    application.SetModuleLogic("Colors", colors)
    logics = {}
    for name, class_name in LOGICS.items():
        logic = getattr(slicer, class_name)()
        logic.SetMRMLApplicationLogic(application)
        logic.SetMRMLScene(scene)
        application.SetModuleLogic(name, logic)
        logics[name] = logic
    slicer.modules = SimpleNamespace(
        **{name.lower(): SimpleNamespace(logic=lambda logic=logic: logic) for name, logic in logics.items()}
    )
    return SimpleNamespace(scene=scene, application=application, logics=logics)


def stop(world) -> None:
    """Take the scene of ``start`` away."""
    slicer = slicer_core()
    world.scene.Clear(1)
    del slicer.mrmlScene, slicer.modules


def node_ids(scene) -> set[str]:
    """IDs of all nodes."""
    return {scene.GetNthNode(number).GetID() for number in range(scene.GetNumberOfNodes())}

"""A fresh scene with the logics of Slicer's modules, without application: the part of Slicer that nodes need."""

from __future__ import annotations

from types import SimpleNamespace

import slicer
import vtk

LOGICS = {
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
}


def make_world(cache_folder: str = "") -> SimpleNamespace:
    """The scene, its application logic and module logics; the scene becomes ``slicer.mrmlScene``.

    Args:
        cache_folder: where .mrb scenes are unpacked; without it they can be written and not read.

    Returns:
        ``scene``, ``application``, ``logics`` by name and ``modules`` for ``slicer.modules``; keep it alive.
    """
    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    kept = []
    if cache_folder:
        cache = slicer.vtkCacheManager()
        cache.SetRemoteCacheDirectory(cache_folder)
        cache.SetMRMLScene(scene)
        manager = slicer.vtkDataIOManager()
        manager.SetCacheManager(cache)
        scene.SetCacheManager(cache)
        scene.SetDataIOManager(manager)
        kept = [cache, manager]
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    colors = application.GetColorLogic()
    colors.SetMRMLScene(scene)
    colors.AddDefaultColorNodes()
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    application.SetModuleLogic("Colors", colors)
    logics = {"Colors": colors}
    for name, class_name in LOGICS.items():
        logic = getattr(slicer, class_name)()
        logic.SetMRMLApplicationLogic(application)
        logic.SetMRMLScene(scene)
        application.SetModuleLogic(name, logic)
        logics[name] = logic
    modules = SimpleNamespace()
    for name, logic in logics.items():
        setattr(modules, name.lower(), SimpleNamespace(name=name, path="", logic=lambda logic=logic: logic))
    return SimpleNamespace(scene=scene, application=application, logics=logics, modules=modules, kept=kept)

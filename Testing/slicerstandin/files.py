"""``slicer.app.coreIOManager()``: files into the scene and back, for slicer.util.loadVolume and its like."""

from __future__ import annotations

from pathlib import Path

import slicer
from PySide6 import QtCore


class IOManager(QtCore.QObject):
    """Reads volumes, markups, segmentations, tables and scenes; writes nodes by their storage nodes."""

    newFileLoaded = QtCore.Signal(object)

    def fileType(self, path):
        name = Path(path).name.lower()
        for ending, kind in (
            (".mrk.json", "MarkupsFile"),
            (".seg.nrrd", "SegmentationFile"),
            (".mrb", "SceneFile"),
            (".mrml", "SceneFile"),
            (".tsv", "TableFile"),
            (".csv", "TableFile"),
        ):
            if name.endswith(ending):
                return kind
        return "VolumeFile"

    def loadNodes(self, kind, properties, loaded=None, _messages=None):
        path = str(properties["fileName"])
        if not Path(path).exists():
            return False
        if kind == "SceneFile":
            scene = slicer.mrmlScene
            if path.endswith(".mrb"):
                return bool(scene.ReadFromMRB(path))
            scene.SetURL(path)
            return bool(scene.Import())
        name = properties.get("name") or Path(path).name.split(".")[0]
        node = self._read(kind, path, name, properties.get("show", True))
        if node is None:
            return False
        if loaded is not None:
            loaded.AddItem(node)
        return True

    def saveNodes(self, kind, properties, _messages=None):
        if kind == "SceneFile":
            return bool(slicer.mrmlScene.WriteToMRB(str(properties["fileName"])))
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        node.AddDefaultStorageNode()
        storage = node.GetStorageNode()
        storage.SetFileName(str(properties["fileName"]))
        return bool(storage.WriteData(node))

    def fileWriterFileType(self, _node):
        return "NodeFile"

    def _read(self, kind, path, name, show):
        if kind == "VolumeFile":
            node = slicer.modules.volumes.logic().AddArchetypeVolume(path, name)
            if node is not None and show:
                logic = slicer.app.applicationLogic()
                logic.GetSelectionNode().SetActiveVolumeID(node.GetID())
                logic.PropagateVolumeSelection()
            return node
        if kind == "MarkupsFile":
            identifier = slicer.modules.markups.logic().LoadMarkups(path, name)
            return slicer.mrmlScene.GetNodeByID(identifier) if identifier else None
        class_name = {"SegmentationFile": "vtkMRMLSegmentationNode", "TableFile": "vtkMRMLTableNode"}[kind]
        node = slicer.mrmlScene.AddNewNodeByClass(class_name, name)
        node.AddDefaultStorageNode()
        node.GetStorageNode().SetFileName(path)
        if not node.GetStorageNode().ReadData(node):
            slicer.mrmlScene.RemoveNode(node)
            return None
        node.CreateDefaultDisplayNodes()
        return node

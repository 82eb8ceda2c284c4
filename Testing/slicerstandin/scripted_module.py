"""The module ``slicer.ScriptedLoadableModule`` and how the application sees a scripted module."""

from __future__ import annotations

import importlib.util
import logging
import sys
import unittest
from pathlib import Path

import qt
import slicer
import slicer.util
from PySide6 import QtCore, QtWidgets

from .qmrml_widgets import qMRMLWidget

MODULE_PROPERTIES = {
    "title": "",
    "categories": [],
    "dependencies": [],
    "contributors": [],
    "helpText": "",
    "acknowledgementText": "",
    "hidden": False,
    "index": -1,
    "icon": None,
    "associatedNodeTypes": [],
    "widgetRepresentationCreationEnabled": True,
}


class ScriptedLoadableModule:
    """Base of a module's description."""

    def __init__(self, parent):
        self.parent = parent
        self.moduleName = type(self).__name__
        for ending in ("svg", "png"):
            icon = Path(parent.path).parent / "Resources" / "Icons" / f"{self.moduleName}.{ending}"
            if icon.is_file():
                parent.icon = qt.QIcon(str(icon))
                break
        slicer.selfTests[self.moduleName] = self.runTest

    def resourcePath(self, filename):
        return str(Path(self.parent.path).parent / "Resources" / filename)

    def runTest(self, msec=100, **kwargs):
        test = getattr(sys.modules[type(self).__module__], f"{self.moduleName}Test")()
        test.messageDelay = msec
        test.runTest(**kwargs)


class ScriptedLoadableModuleWidget:
    """Base of a module's panel."""

    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        if parent is None:
            self.parent = slicer.qMRMLWidget()
            self.parent.setLayout(qt.QVBoxLayout())
            self.parent.setMRMLScene(slicer.mrmlScene)
        self.layout = self.parent.layout()
        if parent is None:
            self.setup()
            self.parent.show()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, filename):
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / filename)

    def setup(self):
        """To be extended by the module."""

    def cleanup(self):
        """To be extended by the module."""

    def onReload(self):
        slicer.util.reloadScriptedModule(self.moduleName)

    def _onModuleAboutToBeUnloaded(self, name):
        if name == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)


class ScriptedLoadableModuleLogic:
    """Base of a module's work."""

    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        scene = slicer.mrmlScene
        node = scene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = scene.AddNode(self.createParameterNode())
        node.SetAttribute("ModuleName", self.moduleName)
        return node

    def getAllParameterNodes(self):
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self):
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """Base of a module's self-tests."""

    messageDelay = 0
    enableScreenshots = False

    def __init__(self, methodName="runTest"):
        super().__init__(methodName)

    def delayDisplay(self, message, requestedDelay=None, msec=None):
        logging.info(message)
        slicer.app.processEvents()

    def takeScreenshot(self, name, description, type=-1):  # noqa: A002
        """Off, as in Slicer by default."""

    def runTest(self):
        """Every method with "test" in its name."""
        names = [name for name in dir(self) if name.startswith("test") and callable(getattr(self, name))]
        for name in names:
            self.setUp()
            getattr(self, name)()
            self.tearDown()


class qSlicerScriptedLoadableModule:
    """How the application sees a module: its description, its path, its panel."""

    def __init__(self, name: str, path: Path):
        self.__dict__.update(MODULE_PROPERTIES, name=name, path=str(path), _representation=None, _python=None)
        self.load()

    def __setattr__(self, name, value):
        if name not in MODULE_PROPERTIES:
            raise AttributeError(f"a module has no property {name!r}")
        self.__dict__[name] = value

    def load(self):
        """Import the file as Slicer does and make the object that describes the module."""
        spec = importlib.util.spec_from_file_location(self.name, self.path)
        python = importlib.util.module_from_spec(spec)
        sys.modules[self.name] = python
        spec.loader.exec_module(python)
        self.__dict__["_python"] = getattr(python, self.name)(self)

    def python(self):
        """The Python file."""
        return sys.modules[self.name]

    def self(self):
        """The object that describes the module."""
        return self._python

    def widgetRepresentation(self):
        """The panel; made when it is first asked for."""
        if self._representation is None and self.widgetRepresentationCreationEnabled:
            if not hasattr(self.python(), f"{self.name}Widget"):
                return None
            self.__dict__["_representation"] = qSlicerScriptedLoadableModuleWidget(self)
            self._representation.reload()
        return self._representation

    def createNewWidgetRepresentation(self):
        """Another panel."""
        representation = qSlicerScriptedLoadableModuleWidget(self)
        representation.reload()
        return representation

    def logic(self):
        """Scripted modules have no logic in C++; Slicer gives an empty one."""
        return slicer.vtkMRMLAbstractLogic()


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The parent of a panel."""

    def __init__(self, module):
        super().__init__()
        self.__dict__.update(_module=module, _self=None, _entered=False)
        QtWidgets.QVBoxLayout(self)
        self.setMRMLScene(slicer.mrmlScene)

    isEntered = QtCore.Property(bool, lambda self: self.__dict__["_entered"])

    def self(self):
        """The panel of the module's file."""
        return self.__dict__["_self"]

    def module(self):
        """The module."""
        return self.__dict__["_module"]

    def reload(self):
        """Make the panel anew from what was imported last."""
        name = self.module().name
        # Slicer's reload takes the old widgets out of the layout and leaves them hidden; PySide6 would forget them.
        self.__dict__.setdefault("_old", []).extend(self.findChildren())
        widget = getattr(self.module().python(), f"{name}Widget")(self)
        self.__dict__["_self"] = widget
        setattr(slicer.modules, f"{name}Widget", widget)
        widget.setup()

    def enter(self):
        """The user comes to the module."""
        self.__dict__["_entered"] = True
        if hasattr(self.self(), "enter"):
            self.self().enter()

    def exit(self):
        """The user leaves the module."""
        self.__dict__["_entered"] = False
        if hasattr(self.self(), "exit"):
            self.self().exit()

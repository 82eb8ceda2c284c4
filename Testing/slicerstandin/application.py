"""``slicer.app``: the application object, its settings, its module manager."""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

_NONE_REFERENCES = 50_000


class qSlicerApplication(QtWidgets.QApplication):
    """One for the process, as Qt wants it; what belongs to one test lies in ``world``."""

    startupCompleted = QtCore.Signal()
    mrmlSceneChanged = QtCore.Signal(object)
    _signatures = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged(PyObject)"}  # noqa: RUF012

    def __init__(self):
        super().__init__([])
        self.setOrganizationName("NA-MIC")
        self.setApplicationName("Slicer")
        self.setQuitOnLastWindowClosed(False)
        self.setStyle("Fusion")

    def processEvents(self, *args):
        """Let events that wait happen."""
        super().processEvents(*args)
        # PySide6 gives away references to None that are not its own; before Python 3.12 their end ends the process
        for _ in range(_NONE_REFERENCES - sys.getrefcount(None)):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(None))

    majorVersion = QtCore.Property(int, lambda _self: 5)
    minorVersion = QtCore.Property(int, lambda _self: 12)
    revision = QtCore.Property(str, lambda _self: "33000")
    temporaryPath = QtCore.Property(str, lambda self: self.world.temporary)
    slicerHome = QtCore.Property(str, lambda self: self.world.temporary)
    cachePath = QtCore.Property(str, lambda self: self.world.temporary)
    extensionsInstallPath = QtCore.Property(str, lambda self: self.world.temporary)
    slicerUserSettingsFilePath = QtCore.Property(str, lambda self: QtCore.QSettings().fileName())

    @property
    def world(self):
        return self.__dict__["_world"]

    def testingEnabled(self):
        return self.world.testing

    def applicationLogic(self):
        return self.world.logic

    def mrmlScene(self):
        return slicer.mrmlScene

    def layoutManager(self):
        return self.world.layoutManager

    def moduleManager(self):
        return self.world.moduleManager

    def userSettings(self):
        return QtCore.QSettings()

    settings = userSettings

    def revisionUserSettings(self):
        return QtCore.QSettings()

    def mainWindow(self):
        return self.world.window

    def ioManager(self):
        return self.world.ioManager

    coreIOManager = ioManager

    def pythonConsole(self):
        return None

    def errorLogModel(self):
        return SimpleNamespace(filePath="")

    def startupEnvironment(self):
        return QtCore.QProcessEnvironment.systemEnvironment()

    def pauseRender(self):
        """Nothing is rendered before it is asked for."""

    def resumeRender(self):
        """Nothing is rendered before it is asked for."""

    def isInstalled(self):
        return True


class ModuleManager(QtCore.QObject):
    """Which modules there are."""

    moduleAboutToBeUnloaded = QtCore.Signal(str)
    moduleLoaded = QtCore.Signal(str)

    def modulesNames(self):
        return sorted(entry.name for entry in vars(slicer.modules).values() if hasattr(entry, "name"))

    def module(self, name):
        return getattr(slicer.modules, name.lower(), None)

    def isLoaded(self, name):
        return hasattr(slicer.modules, name.lower())


class MainWindow(QtWidgets.QMainWindow):
    """The window: the panel's column at the left, the views at the right."""

    def __init__(self):
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("3D Slicer stand-in")
        self._dock = QtWidgets.QDockWidget("", self)
        self._dock.setObjectName("PanelDockWidget")
        self._dock.setTitleBarWidget(QtWidgets.QWidget(self._dock))
        self.addDockWidget(QtCore.Qt.DockWidgetArea.LeftDockWidgetArea, self._dock)
        self._scroll = QtWidgets.QScrollArea(self._dock)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._dock.setWidget(self._scroll)
        self._dock.setFixedWidth(300)
        self._views = QtWidgets.QWidget(self)
        self.setCentralWidget(self._views)
        self.statusBar().show()

    def showPanel(self, panel, width: int):
        """Put a panel into the column."""
        if self._scroll.widget() is not panel:
            self._scroll.takeWidget()
            self._scroll.setWidget(panel)
        self._dock.setFixedWidth(width)
        panel.show()

    def viewArea(self):
        """Where the views lie."""
        return self._views

    def moduleSelector(self):
        """Selects modules, as in the toolbar."""
        return SimpleNamespace(selectModule=slicer.app.world.select, selectedModule=slicer.app.world.selected)


def the_application() -> qSlicerApplication:
    """The one application of the process."""
    return QtWidgets.QApplication.instance() or qSlicerApplication()


def set_theme(dark: bool) -> None:
    """Slicer's light or dark look, by Qt's Fusion style."""
    palette = QtGui.QPalette()
    if dark:
        role = QtGui.QPalette.ColorRole
        for key, colour in (
            (role.Window, "#2e2f30"),
            (role.WindowText, "#ffffff"),
            (role.Base, "#1e1f20"),
            (role.AlternateBase, "#2e2f30"),
            (role.Text, "#ffffff"),
            (role.Button, "#3a3b3c"),
            (role.ButtonText, "#ffffff"),
            (role.BrightText, "#ff5555"),
            (role.Link, "#5fa8ff"),
            (role.Highlight, "#2a82da"),
            (role.HighlightedText, "#000000"),
            (role.ToolTipBase, "#3a3b3c"),
            (role.ToolTipText, "#ffffff"),
            (role.PlaceholderText, "#9a9a9a"),
            (role.Light, "#55585a"),
            (role.Midlight, "#45484a"),
            (role.Mid, "#2a2b2c"),
            (role.Dark, "#1a1b1c"),
            (role.Shadow, "#0a0a0a"),
        ):
            palette.setColor(key, QtGui.QColor(colour))
        grey = QtGui.QColor("#8a8a8a")
        for key in (role.Text, role.WindowText, role.ButtonText):
            palette.setColor(QtGui.QPalette.ColorGroup.Disabled, key, grey)
    else:
        palette = QtWidgets.QStyleFactory.create("Fusion").standardPalette()
    QtWidgets.QApplication.setPalette(palette)

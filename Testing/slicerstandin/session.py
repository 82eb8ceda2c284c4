"""One test's Slicer: a fresh scene with application, window and modules; clicks, keys and pictures."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from types import ModuleType, SimpleNamespace

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer.util
from PySide6 import QtCore, QtTest, QtWidgets

from . import ctk_widgets, pythonqt, qmrml_widgets
from .world import make_world

ROOT = Path(__file__).parents[2]
WIDTH = 300
"""Pixels of the panel's column."""


class Session:
    """What a test holds in its hands; made by ``start`` and ended by ``end``."""

    def __init__(self):
        self.temporary = tempfile.mkdtemp(prefix="slicer-standin-")
        self.testing = False
        self.errors: list[BaseException] = []
        self.pip: list = []
        self._modules: dict[str, SimpleNamespace] = {}
        self._selected = ""
        self._undo: list = []
        self.panel_width = WIDTH

    # -- start and end -----------------------------------------------------------------------------------------

    def start(self, window: bool = True) -> Session:
        """Put everything in place; without a window as ``Slicer --no-main-window``, which has no views either."""
        from . import application

        pythonqt.ANSWERS.clear()
        pythonqt.DIALOGS.clear()
        app = application.the_application()
        app.__dict__["_world"] = self
        application.set_theme(dark=False)
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
        QtCore.QSettings.setPath(
            QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope, f"{self.temporary}/settings"
        )
        self.application = app
        self._put(sys, "excepthook", self._remember)
        before = QtCore.qInstallMessageHandler(self._hear)
        self._undo.append(lambda: QtCore.qInstallMessageHandler(before))
        self._install_modules()
        self._make_scene()
        for name, widget in qmrml_widgets.WIDGETS.items():
            self._put(slicer, name, widget)
        self._put(slicer, "app", app)
        self._put(slicer, "selfTests", {})
        self._install_packages()
        self.moduleManager = application.ModuleManager()
        from .files import IOManager
        from .layout import SIZE, qSlicerLayoutManager

        self.ioManager = IOManager()
        self.window = self.layoutManager = None
        if window:
            self.window = application.MainWindow()
            self.window.resize(SIZE[0] + self.panel_width + 8, SIZE[1] + 30)
            self.layoutManager = qSlicerLayoutManager(self.scene, self.logic, self.window.viewArea())
            self.window.show()
            self.window.activateWindow()
        self._put(slicer.util, "mainWindow", lambda: self.window)
        app.processEvents()
        return self

    def end(self) -> None:
        """Take everything away again.

        Raises:
            BaseException: the first error of a slot or observer that no step of the test has raised.
        """
        try:
            if self._selected:
                self.leave()
            for name in list(self._modules):
                self.moduleManager.moduleAboutToBeUnloaded.emit(name)
            self.application.processEvents()
        finally:
            if self.window is not None:
                self.window.close()
                self.layoutManager.end()
                self.window.deleteLater()
            for name in self._modules:
                for extra in [key for key in sys.modules if key == name or key.startswith(f"{name}Panel")]:
                    sys.modules.pop(extra)
            pythonqt.forget_connections()
            self.application.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete.value)
            self.application.processEvents()
            self.scene.Clear(1)
            while self._undo:
                self._undo.pop()()
            self.application.__dict__["_world"] = None
            shutil.rmtree(self.temporary, ignore_errors=True)
        self._raise_errors()

    # -- modules -------------------------------------------------------------------------------------------------

    def load(self, name: str, enter: bool = True) -> SimpleNamespace:
        """A module of the extension, imported as Slicer does, its panel in the column.

        Returns:
            ``module``, ``widget`` and ``logic``; the last two are None where the module has no panel.
        """
        if name != "CTVolume" and "CTVolume" not in self._modules:
            self.load("CTVolume", enter=False)
        from .scripted_module import qSlicerScriptedLoadableModule

        path = ROOT / name / f"{name}.py"
        sys.path.insert(0, str(path.parent))
        self._undo.append(lambda: sys.path.remove(str(path.parent)))
        module = qSlicerScriptedLoadableModule(name, path)
        setattr(slicer.modules, name.lower(), module)
        self._modules[name] = module
        if enter:
            self.application.startupCompleted.emit()
            self._raise_errors()
            self.select(name)
        return self.module(name)

    def module(self, name: str) -> SimpleNamespace:
        """The parts of a loaded module; ask again after a reload."""
        module = self._modules[name]
        parent = module._representation
        widget = parent.self() if parent is not None else None
        return SimpleNamespace(
            module=module, file=module.python(), widget=widget, parent=parent, logic=getattr(widget, "logic", None)
        )

    def select(self, name: str) -> None:
        """Come to a module, as by the module selector; one of Slicer's own is not there, it shows nothing."""
        if self._selected:
            self.leave()
        if name not in self._modules:
            return
        parent = self._modules[name].widgetRepresentation()
        if parent is None:
            return
        if self.window is not None:
            self.window.showPanel(parent, self.panel_width)
        self._selected = name
        parent.enter()
        self.settle()

    def selected(self) -> str:
        """Name of the module that the user is in."""
        return self._selected

    def enter(self) -> None:
        """Come back to the module that was loaded last."""
        self.select(list(self._modules)[-1])

    def leave(self) -> None:
        """Go to another module: the panel is left and hidden."""
        parent = self._modules[self._selected].widgetRepresentation()
        self._selected = ""
        parent.exit()
        parent.hide()
        self.settle()

    def reload(self, name: str) -> SimpleNamespace:
        """The Reload button: cleanup of the old panel, setup of the new one, and no enter, as in Slicer."""
        self.module(name).widget.onReload()
        self.settle()
        return self.module(name)

    # -- the user --------------------------------------------------------------------------------------------------

    def click(self, widget, modifiers=None) -> None:
        """A real click with the left button.

        Raises:
            AssertionError: a user could not click there, since it is hidden or disabled.
            Exception: what a slot or observer raised.
        """
        self._usable(widget)
        place = widget.rect.center()
        if isinstance(widget, ctk_widgets.ctkCollapsibleButton):
            place = QtCore.QPoint(10, ctk_widgets.HEADER_HEIGHT // 2)
        elif isinstance(widget, QtWidgets.QCheckBox | QtWidgets.QRadioButton):
            place = QtCore.QPoint(8, widget.height // 2)
        QtTest.QTest.mouseClick(
            widget, QtCore.Qt.MouseButton.LeftButton, modifiers or QtCore.Qt.KeyboardModifier.NoModifier, place
        )
        self.settle()

    def press(self, key, modifiers=None, widget=None) -> None:
        """A real key: one character or a Qt key, to a widget, else to what has the focus, else to the window."""
        target = widget or self.application.focusWidget() or self.window
        if widget is not None:
            self._usable(widget)
            widget.setFocus()
        QtTest.QTest.keyClick(target, key, modifiers or QtCore.Qt.KeyboardModifier.NoModifier)
        self.settle()

    def type(self, text: str, widget) -> None:
        """Type a text into a field."""
        self._usable(widget)
        widget.setFocus()
        QtTest.QTest.keyClicks(widget, text)
        self.settle()

    def choose(self, widget, entry) -> None:
        """Choose in a combo box: a node (or None) of a node selector; an index or a text of a plain one."""
        self._usable(widget)
        if isinstance(widget, qmrml_widgets.qMRMLNodeComboBox):
            if entry is not None:
                assert entry.GetID() in [node.GetID() for node in widget.nodes()], f"{entry.GetName()} is not offered"
            widget.setCurrentNode(entry)
        elif isinstance(entry, str):
            place = widget.findText(entry)
            assert place >= 0, f"{entry!r} is not among {[widget.itemText(n) for n in range(widget.count)]}"
            widget.setCurrentIndex(place)
        else:
            widget.setCurrentIndex(entry)
        self.settle()

    def answer(self, *values) -> None:
        """What the next modal dialogs answer."""
        pythonqt.ANSWERS.extend(values)

    def dialogs(self) -> list[str]:
        """The dialogs that were opened so far."""
        return pythonqt.DIALOGS

    def settle(self) -> None:
        """Let events that wait happen; raise what slots and observers raised."""
        for _ in range(3):
            self.application.processEvents()
        self._raise_errors()

    def wait(self, condition, seconds: float = 10.0) -> None:
        """Let events happen until the condition holds.

        Raises:
            AssertionError: it did not come to hold.
        """
        timer = QtCore.QElapsedTimer()
        timer.start()
        while not condition():
            assert timer.elapsed() < seconds * 1000, "it did not come to hold in time"
            self.application.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 20)
            time.sleep(0.005)  # what is waited for may need the processor
        self.settle()

    # -- scene -------------------------------------------------------------------------------------------------------

    def closeScene(self) -> None:
        """File > Close scene."""
        self.scene.Clear(0)
        self.settle()

    def saveScene(self, path) -> None:
        """File > Save as one file (.mrb)."""
        assert self.scene.WriteToMRB(str(path)), f"{path} was not written"
        self.settle()

    def loadScene(self, path) -> None:
        """Close the scene and load another one (.mrb)."""
        self.scene.Clear(0)
        assert self.scene.ReadFromMRB(str(path)), f"{path} was not read"
        self.settle()

    def theme(self, dark: bool) -> None:
        """Slicer's dark look, or the light one, which each test starts with."""
        from .application import set_theme

        set_theme(dark)
        self.settle()

    def screenshot(self, path, views=None) -> Path:
        """The window as a picture: the panel beside the views of the layout.

        Args:
            path: a .png file.
            views: names of slice views that must be in it.
        """
        names = self.layoutManager.sliceViewNames()
        missing = [name for name in views or () if name not in names]
        assert not missing, f"the layout shows {names}, not {missing}"
        self.settle()
        for view in self.layoutManager.shown():
            view.draw()
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        assert self.window.grab().save(str(path)), f"{path} was not written"
        return path

    # -- inside ------------------------------------------------------------------------------------------------------

    def _usable(self, widget) -> None:
        name = widget.objectName or type(widget).__name__
        assert widget.isVisible(), f"{name} is not visible: a user cannot use it"
        assert widget.isEnabled(), f"{name} is disabled: a user cannot use it"

    def _remember(self, kind, error, trace) -> None:
        traceback.print_exception(kind, error, trace)
        self.errors.append(error)

    def _hear(self, kind, _context, message) -> None:
        """What Qt says about wrong use is an error; that the offscreen platform lacks something is not."""
        if kind is not QtCore.QtMsgType.QtDebugMsg and "plugin does not support" not in message:
            self.errors.append(RuntimeError(f"Qt: {message}"))

    def _raise_errors(self) -> None:
        if self.errors:
            first, self.errors = self.errors[0], []
            raise first

    def _put(self, owner, name, value) -> None:
        missing = not hasattr(owner, name)
        before = getattr(owner, name, None)
        setattr(owner, name, value)
        self._undo.append(lambda: delattr(owner, name) if missing else setattr(owner, name, before))

    def _put_module(self, name, module) -> None:
        before = sys.modules.get(name)
        sys.modules[name] = module
        self._undo.append(
            lambda: sys.modules.pop(name, None) if before is None else sys.modules.__setitem__(name, before)
        )
        if name.startswith("slicer."):
            self._put(slicer, name.removeprefix("slicer."), module)

    def _install_modules(self) -> None:
        from .ui_files import QUiLoader

        self._put_module("qt", pythonqt.make_qt_module())
        self._put_module("ctk", ctk_widgets.make_ctk_module())
        sys.modules["qt"].QUiLoader = QUiLoader

    def _install_packages(self) -> None:
        from . import dicom, packaging, parameter_nodes, sample_data, scripted_module

        public = {name: value for name, value in vars(scripted_module).items() if name.startswith("Scripted")}
        self._put_module("slicer.ScriptedLoadableModule", _module("slicer.ScriptedLoadableModule", public))
        for name in ("qSlicerScriptedLoadableModule", "qSlicerScriptedLoadableModuleWidget"):
            self._put(slicer, name, getattr(scripted_module, name))
        self._put_module("slicer.parameterNodeWrapper", parameter_nodes)
        translated = {"tr": lambda text: text, "translate": lambda _context, text: text}
        self._put_module("slicer.i18n", _module("slicer.i18n", translated))
        packaging.install(self)
        sample_data.install(self)
        dicom.install(self)

    def _make_scene(self) -> None:
        before = getattr(slicer, "mrmlScene", None)
        world = make_world(self.temporary)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(world.scene, True)
        self.scene, self.logic, self._world = world.scene, world.application, world
        slicer.mrmlScene = before
        self._put(slicer, "mrmlScene", world.scene)
        self._put(slicer, "modules", world.modules)


def _module(name: str, members: dict) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(members)
    return module

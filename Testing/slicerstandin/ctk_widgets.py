"""The module ``ctk``: CTK's widgets that panels use, with their properties and signals."""

from __future__ import annotations

import re
import types
from pathlib import Path

from PySide6 import QtCore, QtGui, QtWidgets

from . import pythonqt

HEADER_HEIGHT = 22


def stored(key: str, kind, default, changed: str = ""):
    """A Qt property kept in the instance; setting another value emits the signal ``changed``."""

    def get(self):
        return self.__dict__.get(key, default)

    def put(self, value):
        value = kind(value) if isinstance(kind, type) else value
        before = get(self)
        self.__dict__[key] = value
        if value != before:
            if hasattr(self, "_show"):
                self._show()
            if changed:
                getattr(self, changed).emit(value)

    return QtCore.Property(kind, get, put)


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A heading that shows and hides what is inside."""

    contentsCollapsed = QtCore.Signal(bool)

    def __init__(self, *args):
        super().__init__()
        for arg in args:
            if isinstance(arg, str):
                self.setText(arg)
            elif arg is not None:
                self.setParent(arg)
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(0, HEADER_HEIGHT, 0, 0)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        self.__dict__["_hidden"] = []
        self.toggled.connect(lambda checked: self._fold(not checked))

    def _is_collapsed(self):
        return not self.isChecked()

    def _set_collapsed(self, value):
        self.setChecked(not value)

    collapsed = QtCore.Property(bool, _is_collapsed, _set_collapsed)
    collapsedHeight = stored("_collapsedHeight", int, 14)

    def _fold(self, collapsed):
        if collapsed:
            children = [child for child in self.children() if isinstance(child, QtWidgets.QWidget)]
            self.__dict__["_hidden"] = [child for child in children if not child.isHidden()]
            for child in self.__dict__["_hidden"]:
                child.setVisible(False)
        else:
            for child in self.__dict__["_hidden"]:
                child.setVisible(True)
            self.__dict__["_hidden"] = []
        self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)

    def sizeHint(self):
        """Header alone, or with what is inside."""
        layout = self.layout()
        if layout is None or self._is_collapsed():
            return QtCore.QSize(120, HEADER_HEIGHT)
        return layout.totalSizeHint()

    def minimumSizeHint(self):
        """As small as the contents allow."""
        layout = self.layout()
        if layout is None or self._is_collapsed():
            return QtCore.QSize(60, HEADER_HEIGHT)
        return layout.totalMinimumSize()

    def hasHeightForWidth(self):
        """Contents with wrapped text need more height in a narrow column."""
        return self.layout() is not None and not self._is_collapsed() and self.layout().hasHeightForWidth()

    def heightForWidth(self, width):
        """Height of header and contents."""
        return self.layout().totalHeightForWidth(width)

    def hitButton(self, position):
        """Only the header is the button."""
        return position.y() < HEADER_HEIGHT

    def paintEvent(self, _event):
        """Header with triangle and text."""
        painter = QtGui.QPainter(self)
        palette = self.palette
        header = QtCore.QRect(0, 0, self.rect.width(), HEADER_HEIGHT)
        painter.fillRect(header, palette.color(QtGui.QPalette.ColorRole.Button))
        painter.setPen(palette.color(QtGui.QPalette.ColorRole.ButtonText))
        mark = "\u25b8" if self._is_collapsed() else "\u25be"
        aligned = QtCore.Qt.AlignmentFlag.AlignVCenter
        painter.drawText(header.adjusted(6, 0, 0, 0), aligned, f"{mark}  {self.text}")
        if self.hasFocus():
            painter.setPen(palette.color(QtGui.QPalette.ColorRole.Highlight))
            painter.drawRect(header.adjusted(0, 0, -1, -1))
        painter.end()


class NumberWidget(QtWidgets.QWidget):
    """A slider with a spin box for a float: what ctkSliderWidget and its like share."""

    valueChanged = QtCore.Signal(float)

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        self._slider.setRange(0, 1000)
        self._slider.setMinimumWidth(40)
        self._box = QtWidgets.QDoubleSpinBox(self)
        layout.addWidget(self._slider)
        layout.addWidget(self._box)
        self.setFocusProxy(self._box)
        self._show()
        self._box.valueChanged.connect(self._typed)
        self._slider.sliderMoved.connect(
            lambda place: self.setValue(self.minimum + (self.maximum - self.minimum) * place / 1000)
        )

    def _clamped(self, value):
        return min(max(float(value), self.minimum), self.maximum)

    def _get_value(self):
        return self.__dict__.get("_value", 0.0)

    def _put_value(self, value):
        value = self._clamped(value)
        if value != self._get_value():
            self.__dict__["_value"] = value
            self._show()
            self.valueChanged.emit(value)

    value = QtCore.Property(float, _get_value, _put_value)
    minimum = stored("_minimum", float, 0.0)
    maximum = stored("_maximum", float, 99.0)
    singleStep = stored("_singleStep", float, 1.0)
    pageStep = stored("_pageStep", float, 10.0)
    decimals = stored("_decimals", int, 2)
    suffix = stored("_suffix", str, "")
    prefix = stored("_prefix", str, "")
    tracking = stored("_tracking", bool, True)

    def setValue(self, value):
        """Set within minimum and maximum."""
        self._put_value(value)

    def setRange(self, low, high):
        """Set minimum and maximum."""
        self.minimum = low
        self.maximum = high

    def _typed(self, value):
        if not self.__dict__.get("_showing"):
            self._put_value(value)

    def _show(self):
        self.__dict__["_showing"] = True
        box = self._box
        box.setDecimals(self.decimals)
        box.setRange(self.minimum, self.maximum)
        box.setSingleStep(self.singleStep)
        box.setPrefix(self.prefix)
        box.setSuffix(self.suffix)
        self.__dict__["_value"] = self._clamped(self._get_value())
        box.setValue(self._get_value())
        span = (self.maximum - self.minimum) or 1.0
        self._slider.setValue(round((self._get_value() - self.minimum) / span * 1000))
        self.__dict__["_showing"] = False


class ctkSliderWidget(NumberWidget):
    """Slider with spin box."""


class ctkDoubleSlider(NumberWidget):
    """Slider for floats."""


class ctkDoubleSpinBox(NumberWidget):
    """Spin box for floats."""


class RangeWidget(QtWidgets.QWidget):
    """Two numbers: what ctkRangeWidget and its like share."""

    valuesChanged = QtCore.Signal(float, float)

    def _bound(key, other):
        def get(self):
            return self.__dict__.get(key, 0.0 if key == "_low" else 99.0)

        def put(self, value):
            if value != get(self):
                self.__dict__[key] = float(value)
                self.valuesChanged.emit(self.minimumValue, self.maximumValue)

        return QtCore.Property(float, get, put)

    minimumValue = _bound("_low", "_high")
    maximumValue = _bound("_high", "_low")
    minimum = stored("_minimum", float, 0.0)
    maximum = stored("_maximum", float, 99.0)
    singleStep = stored("_singleStep", float, 1.0)
    decimals = stored("_decimals", int, 2)

    def setValues(self, low, high):
        """Set both."""
        self.minimumValue = low
        self.maximumValue = high


class ctkRangeWidget(RangeWidget):
    """Range with spin boxes."""


class ctkDoubleRangeSlider(RangeWidget):
    """Range slider."""


class ctkCheckBox(QtWidgets.QCheckBox):
    """Check box."""


class ctkComboBox(QtWidgets.QComboBox):
    """Combo box."""

    defaultText = stored("_defaultText", str, "")


class ctkPushButton(QtWidgets.QPushButton):
    """Push button."""


class ctkCheckablePushButton(QtWidgets.QPushButton):
    """Push button with a check box."""

    checkBoxControlsButton = stored("_controls", bool, True)


class ctkPathLineEdit(QtWidgets.QWidget):
    """A line for a path with a browse button; it tells of a path only while that is not empty and fits the filters."""

    currentPathChanged = QtCore.Signal(str)
    validInputChanged = QtCore.Signal(bool)

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._line = QtWidgets.QLineEdit(self)
        self._line.setMinimumWidth(40)
        self._browse = QtWidgets.QToolButton(self)
        self._browse.setText("...")
        layout.addWidget(self._line)
        layout.addWidget(self._browse)
        self.setFocusProxy(self._line)
        self.__dict__["_valid"] = False
        self._line.textChanged.connect(self._typed)
        self._browse.clicked.connect(lambda: self.browse())

    currentPath = QtCore.Property(str, lambda self: self._line.text, lambda self, path: self._line.setText(str(path)))
    filters = stored("_filters", int, 0)
    nameFilters = stored("_nameFilters", "QStringList", [])
    settingKey = stored("_settingKey", str, "")
    showHistoryButton = stored("_history", bool, True)
    showBrowseButton = stored("_showBrowse", bool, True)
    label = stored("_label", str, "")
    options = stored("_options", int, 0)
    Files, Dirs, Writable, Readable, Executable = 0x002, 0x001, 0x020, 0x010, 0x040

    def setCurrentPath(self, path):
        """Set the path."""
        self._line.setText(str(path))

    def _typed(self, path):
        endings = [part for text in self.nameFilters for part in re.findall(r"\*(\.\w+)", text)]
        before, self.__dict__["_valid"] = self._valid, bool(path) and (not endings or path.endswith(tuple(endings)))
        if self._valid:
            self.currentPathChanged.emit(path)
        if self._valid != before:
            self.validInputChanged.emit(self._valid)

    def addCurrentPathToHistory(self):
        """Kept in the settings by CTK."""

    def browse(self):
        """Ask for a path."""
        path = QtWidgets.QFileDialog.getOpenFileName(self, self.label)
        if path:
            self._line.setText(str(path))


class ctkDirectoryButton(QtWidgets.QWidget):
    """A button that shows a folder and asks for another one."""

    directoryChanged = QtCore.Signal(str)
    directorySelected = QtCore.Signal(str)

    def __init__(self, *args):
        super().__init__(next((arg for arg in args if isinstance(arg, QtWidgets.QWidget)), None))
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._button = QtWidgets.QPushButton(self)
        self._button.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)
        layout.addWidget(self._button)
        self.setFocusProxy(self._button)
        self._button.clicked.connect(lambda: self.browse())
        self._show()

    def _get_directory(self):
        return self.__dict__.get("_directory", str(Path.cwd()))

    def _put_directory(self, path):
        path = str(path or Path.cwd())
        if path != self._get_directory():
            self.__dict__["_directory"] = path
            self._show()
            self.directoryChanged.emit(path)

    directory = QtCore.Property(str, _get_directory, _put_directory)
    caption = stored("_caption", str, "")
    text = stored("_text", str, "")
    acceptMode = stored("_acceptMode", int, 0)

    def browse(self):
        """Ask for a folder."""
        path = QtWidgets.QFileDialog.getExistingDirectory(self, self.caption)
        if path:
            self._put_directory(path)
            self.directorySelected.emit(str(path))

    def _show(self):
        self._button.setText(self.text or self._get_directory())


class ctkColorPickerButton(QtWidgets.QPushButton):
    """A button with a colour."""

    colorChanged = QtCore.Signal(QtGui.QColor)
    color = stored("_color", QtGui.QColor, QtGui.QColor(), "colorChanged")
    displayColorName = stored("_displayColorName", bool, True)


class ctkMessageBox(QtWidgets.QMessageBox):
    """Message box with "don't show again"."""

    dontShowAgainVisible = stored("_dontShowAgainVisible", bool, False)
    dontShowAgain = stored("_dontShowAgain", bool, False)


class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    """Text browser."""


class ctkErrorLogModel(QtCore.QObject):
    """Only its name is needed."""


def make_ctk_module() -> types.ModuleType:
    """The module ``ctk``."""
    ctk = types.ModuleType("ctk", "Stand-in for CTK's widgets.")
    for name, value in globals().items():
        if name.startswith("ctk"):
            setattr(ctk, name, value)
    return ctk


pythonqt.set_rules()

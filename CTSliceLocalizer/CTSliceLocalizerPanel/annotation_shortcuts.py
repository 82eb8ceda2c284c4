"""Keys of Annotate: they exist between ``install`` and ``remove``, and are off wherever a key means something else.

What Slicer itself does with keys (main window, and views that have the focus):

=====================================  ================================================================================
Slicer's key                           why it goes on working
=====================================  ================================================================================
Ctrl with 0 .. 6, `, F, H, O, S, W     ours have no Ctrl, but for Ctrl+Z, Ctrl+Y and Ctrl+PgUp/PgDown, which Slicer's
                                       main window leaves free (its Undo actions are in no menu)
slice view: arrows, f b v r g t [ ]    not among ours
slice view: Delete, Backspace on a     the point under the mouse goes, not the label (``onRemove`` of the section)
markups point
3D view: - + and the number pad        all our keys are off while a 3D view has the focus
text fields, Python console, numbers   all our keys are off while one has the focus
Segment Editor: 0 .. 9, Esc, Ctrl+Z    exist while that module is shown, ours while ours is
Enter, Space on buttons                Space is not among ours; Enter does nothing to buttons of the main window
=====================================  ================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import qt
import slicer
import slicer.util

TYPING = ("QLineEdit", "QTextEdit", "QPlainTextEdit", "QAbstractSpinBox", "QKeySequenceEdit", "QWebEngineView")
"""Widgets that take keys as text."""

VIEWS = ("qMRMLThreeDView", "qMRMLThreeDWidget")
"""Views that use some of our keys themselves."""


class AnnotationShortcuts:
    """Keys in Slicer's main window that call functions."""

    def __init__(self, actions: Mapping[str, Callable[[], None]], changed: Callable[[], None]) -> None:
        """Nothing happens before ``install``.

        Args:
            actions: what each key does; keys as Qt writes them, such as ``"Ctrl+Z"``.
            changed: called when the keys go on or off.
        """
        self._actions = dict(actions)
        self._changed = changed
        self._shortcuts: list = []
        self._installed = False

    @property
    def active(self) -> bool:
        """Whether a key would do something now."""
        return self._installed and all(shortcut.enabled for shortcut in self._shortcuts)

    @property
    def installed(self) -> bool:
        """Whether the keys exist."""
        return self._installed

    def install(self) -> None:
        """Let the keys exist; does nothing where they do, or without a main window."""
        window = slicer.util.mainWindow()
        if self._installed or window is None:
            return
        for key, action in self._actions.items():
            shortcut = qt.QShortcut(window)
            shortcut.setKey(qt.QKeySequence(key))
            shortcut.autoRepeat = False
            shortcut.connect("activated()", action)
            # Another program part has the same key: ours is the one whose module is shown.
            shortcut.connect("activatedAmbiguously()", action)
            self._shortcuts.append(shortcut)
        self._installed = True
        slicer.app.connect("focusChanged(QWidget*,QWidget*)", self._onFocusChanged)
        self._onFocusChanged(None, qt.QApplication.focusWidget())

    def remove(self) -> None:
        """Let the keys go."""
        if not self._installed:
            return
        slicer.app.disconnect("focusChanged(QWidget*,QWidget*)", self._onFocusChanged)
        for shortcut in self._shortcuts:
            shortcut.enabled = False
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts = []
        self._installed = False

    def _onFocusChanged(self, _before, now) -> None:
        wanted = not isTaken(now)
        if wanted != self.active:
            for shortcut in self._shortcuts:
                shortcut.enabled = wanted
            self._changed()


def isTaken(widget) -> bool:
    """Whether keys belong to the widget that has the focus, or to one that it lies in."""
    while widget is not None:
        if any(widget.inherits(name) for name in TYPING + VIEWS):
            return True
        widget = widget.parentWidget()
    return False

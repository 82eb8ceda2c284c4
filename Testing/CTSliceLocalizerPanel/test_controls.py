"""Every control of every section: explained, named, reachable by keyboard."""

from __future__ import annotations

import re

import pytest

USED = ("QAbstractButton", "QComboBox", "QTableWidget", "QLineEdit", "QAbstractSpinBox", "QSlider", "QPlainTextEdit")
SHOWN = ("QLabel", "QProgressBar")
MODULES = {
    "CTSliceLocalizer": ("Locate", "Follow up", "Annotate", "Train"),
    "LungSegment": ("Segment", "Classic recipe", "Prepared volume"),
    "HeadrestRemoval": ("Remove headrest and table",),
}
SECTIONS = [title for titles in MODULES.values() for title in titles]


@pytest.fixture
def sections(slicer_app, title):
    """All sections of the module that has this one."""
    module = next(name for name, titles in MODULES.items() if title in titles)
    found = {section.button.text.partition(" (")[0]: section for section in slicer_app.load(module).widget.sections}
    assert tuple(found) == MODULES[module]
    return found


def own_widgets(section, kinds) -> list:
    """The widgets of a section's form; not the parts that Qt and Slicer's widgets are made of."""
    form = section.form
    names = {name for name in vars(section.ui) if not name.startswith(("_", "qt_"))}
    found = {child.objectName: child for kind in kinds for child in form.findChildren(kind)}
    return [child for name, child in found.items() if name in names]


@pytest.mark.parametrize("title", SECTIONS)
def test_every_control_has_a_tooltip(sections, title):
    controls = own_widgets(sections[title], USED)
    assert len(controls) > 5
    assert [control.objectName for control in controls if not control.toolTip] == []
    assert sections[title].button.toolTip


@pytest.mark.parametrize("title", SECTIONS)
def test_every_control_is_reached_by_keyboard(sections, title):
    import qt

    controls = own_widgets(sections[title], USED)
    unreachable = [control.objectName for control in controls if control.focusPolicy == qt.Qt.NoFocus]
    assert unreachable == []
    assert sections[title].button.focusPolicy != qt.Qt.NoFocus


@pytest.mark.parametrize("title", SECTIONS)
def test_labels_of_fields_lead_to_their_field(sections, title):
    """A letter that is underlined in a label moves the focus to the field beside it."""
    for label in own_widgets(sections[title], ("QLabel",)):
        if "&" in label.text:
            assert label.buddy() is not None, label.objectName


@pytest.mark.parametrize("title", SECTIONS)
def test_letters_are_given_once_in_a_section(sections, title):
    texts = [child.text for child in own_widgets(sections[title], ("QAbstractButton", "QLabel"))]
    letters = [found.lower() for text in texts for found in re.findall(r"&(\w)", text.replace("&&", ""))]
    assert letters
    assert sorted(letters) == sorted(set(letters))
    taken = set(letters) & set("fevh")
    assert not taken, f"Alt with {taken} opens a menu of Slicer"


@pytest.mark.parametrize("title", SECTIONS)
def test_the_tab_key_goes_through_the_form_from_top_to_bottom(slicer_app, sections, title):
    section = sections[title]
    for other in sections.values():
        if other.button.collapsed == (other is section):
            slicer_app.click(other.button)
    section.button.setFocus()
    seen, heights = set(), []
    for _ in range(60):
        widget = slicer_app.application.focusWidget()
        inside = section.form.isAncestorOf(widget)
        while inside and (widget.objectName not in vars(section.ui) or widget.objectName.startswith("qt_")):
            widget = widget.parentWidget()
        if inside and widget.objectName not in seen:
            seen.add(widget.objectName)
            heights.append(widget.mapTo(section.form, widget.rect.topLeft()).y())
        slicer_app.press("\t")
    assert len(seen) >= 2
    assert heights == sorted(heights)

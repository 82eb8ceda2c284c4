"""The section Classic recipe: each step of the way that tutorials teach, to look at in the slice views."""

from __future__ import annotations

import qt
from CTVolumePanel.scan_section import ScanSection
from CTVolumePanel.section import warning
from slicer.i18n import tr as _

from . import recipe_steps


class RecipeSection(ScanSection):
    """Widgets of Classic recipe; what it shows is in the views for a moment only."""

    def __init__(self, widget) -> None:
        self._overlay = self._steps = self._stepsKey = None
        super().__init__(
            widget, "Recipe.ui", _("Classic recipe"), _("Look at the steps by which tutorials find lungs, one by one.")
        )
        ui = self.ui
        for _key, title, words in recipe_steps.STEPS:
            ui.stepSelector.addItem(title)
            ui.stepSelector.setItemData(ui.stepSelector.count - 1, words, qt.Qt.ToolTipRole)
        ui.stepSelector.connect("currentIndexChanged(int)", self.onStep)
        ui.previousButton.connect("clicked()", self.onPrevious)
        ui.nextButton.connect("clicked()", self.onNext)
        ui.backgroundSelector.connect("currentIndexChanged(int)", self.onBackground)

    def guiMapping(self) -> dict:
        """Widgets by the names of their settings."""
        return {"fillSlices": self.ui.fillCheckBox, "pockets": self.ui.pocketsSpinBox}

    def removeTemporaryView(self) -> None:
        """Show no step."""
        self._steps = None
        self.ui.stepSelector.currentIndex = 0

    def onStep(self, _index=None) -> None:
        """Show the chosen step, doing the recipe where its settings changed."""
        if self._overlay is not None:
            self._overlay.remove()
            self._overlay = None
        number = self.ui.stepSelector.currentIndex
        if number > 0 and self.volume is not None:
            self.widget.removeTemporaryViews(but=self)
            self._overlay = self.attempt(self._showStep, number - 1)
        self.refresh()

    def onPrevious(self) -> None:
        """The step before."""
        self.ui.stepSelector.currentIndex -= 1

    def onNext(self) -> None:
        """The next step."""
        self.ui.stepSelector.currentIndex += 1

    def onBackground(self, index: int) -> None:
        """How the air around is found."""
        if self.parameterNode is not None:
            self.parameterNode.backgroundIndex = index

    def _onParametersModified(self, _caller=None, _event=None) -> None:
        # The step that is shown is done again.
        if self.parameterNode is not None:
            self.ui.backgroundSelector.currentIndex = self.parameterNode.backgroundIndex
        if self.ui.stepSelector.currentIndex > 0 and self._settings() != self._stepsKey:
            self.onStep()
        self.refresh()

    def refresh(self) -> None:
        """Bring all widgets into line with what is shown."""
        ui, number = self.ui, self.ui.stepSelector.currentIndex
        for control in (ui.stepSelector, ui.nextButton):
            control.enabled = self.volume is not None
        ui.previousButton.enabled = number > 0
        ui.nextButton.enabled = self.volume is not None and number < len(recipe_steps.STEPS)
        ui.stepLabel.text = recipe_steps.STEPS[number - 1][2] if number > 0 else _("Choose a step to see it in yellow.")
        ui.messageLabel.text = warning(self.problem) if self.problem else ""
        ui.messageLabel.visible = bool(self.problem)

    def _showStep(self, number: int):
        key = self._settings()
        if self._steps is None or key != self._stepsKey:
            self._stepsKey = key
            self._steps = self.logic.recipeSteps(self.volume, *key[1:])
        return self.logic.showRecipeStep(self.volume, self._steps, number)

    def _settings(self) -> tuple:
        parameters = self.parameterNode
        if parameters is None:
            return ()
        background = recipe_steps.BACKGROUNDS[parameters.backgroundIndex]
        volume = self.volume
        return (
            volume.GetID() if volume is not None else "",
            parameters.thresholdHu,
            background,
            parameters.fillSlices,
            parameters.pockets,
        )

"""What the three sections share: the chosen nodes, and how a problem is said."""

from __future__ import annotations

import logging

from CTVolumePanel.section import PanelSection
from slicer.i18n import tr as _

log = logging.getLogger(__name__)


class LungSection(PanelSection):
    """Base of the sections.

    Attributes:
        problem: a sentence that ``refresh`` shows, or nothing.
    """

    problem = ""

    @property
    def volume(self):
        """The scan that is chosen, or None."""
        return self.parameterNode.inputVolume if self.parameterNode is not None else None

    @property
    def segmentation(self):
        """The segmentation that is chosen, or None."""
        return self.parameterNode.outputSegmentation if self.parameterNode is not None else None

    def enter(self) -> None:
        """The module is shown."""
        self.refresh()

    def exit(self) -> None:
        """Another module is shown."""
        self.removeTemporaryView()

    def cleanup(self) -> None:
        """The module is unloaded or reloaded."""
        self.exit()
        self.setParameterNode(None)
        self.removeObservers()

    def refresh(self) -> None:
        """Bring all widgets into line with the scene."""

    def removeTemporaryView(self) -> None:
        """Take away what the section shows in the views for a moment only."""

    def attempt(self, action, *args, **named):
        """Call a method of the logic; its problem is said in the panel. None where it failed."""
        from CTVolumeLib.errors import CTError

        self.problem = ""
        try:
            return action(*args, **named)
        except CTError as error:
            self.problem = _("Cancelled: all is as before.") if error.code == "cancelled" else str(error)
        except Exception as error:  # the panel goes on; the log tells the rest
            log.exception("%s failed", action.__name__)
            self.problem = _("This failed ({kind}): the error log tells more. Try another volume.").format(
                kind=type(error).__name__
            )
        finally:
            self.widget.refresh()
        return None

    def _onParametersModified(self, _caller=None, _event=None) -> None:
        self.refresh()

"""The light as rich text: a word, a colour, and a sentence for each reason; never a colour alone."""

from __future__ import annotations

import html

from slicer.i18n import tr as _

_COLOURS = {"green": ("#1b7f3b", "#ffffff"), "amber": ("#ffb300", "#000000"), "red": ("#c62828", "#ffffff")}
"""Background and letters, the same in both themes."""


def lightText(light) -> str:
    """A ``segmenting.Light`` as rich text."""
    titles = {
        "green": _("No sign against this result."),
        "amber": _("Look at this result before you use it."),
        "red": _("Don't use this result as it is."),
    }
    words = {"green": _("GREEN"), "amber": _("AMBER"), "red": _("RED")}
    background, letters = _COLOURS[light.colour]
    chip = (
        f'<span style="background-color:{background};color:{letters}"><b>&nbsp;{words[light.colour]}&nbsp;</b></span>'
    )
    lines = [f"{chip} <b>{titles[light.colour]}</b>"]
    worst_first = sorted(light.reasons, key=lambda reason: list(_COLOURS).index(reason[0]), reverse=True)
    lines += [f"\u2022 {words[colour].capitalize()}: {html.escape(text)}" for colour, text in worst_first]
    lines += [f"\u2022 {html.escape(text)}" for text in light.notes]
    if light.edited:
        lines.append("<b>\u26a0 " + _("The lungs were edited since: the light is that of the result before.") + "</b>")
    return "<br>".join(lines)

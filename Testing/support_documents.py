"""The commands that a document tells people to type, so that tests can run them as they are written."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def text_of(name: str) -> str:
    """A document of the project."""
    return (ROOT / name).read_text(encoding="utf-8")


def commands(text: str, program: str = "ct-localize") -> list[str]:
    """The lines that call a command, without its name, in their order; a backslash joins lines."""
    joined = re.sub(r" *\\\n +", " ", text)
    return re.findall(rf"^    {program} (.+)$", joined, re.MULTILINE)


def links(text: str) -> list[str]:
    """Targets of links and pictures that are no addresses."""
    return [target for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in target]

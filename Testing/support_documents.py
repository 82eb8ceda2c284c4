"""What documents tell people to type, press, read and look at, so that tests can hold it against the program."""

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


def pictures(text: str) -> list[str]:
    """Names of the PNG pictures beside a document, without their ending."""
    return re.findall(r"!\[[^]]+\]\(([^)]+)\.png\)", text)


def sources(*folders: str) -> str:
    """The Python files below some folders, with literals of several lines joined as Python joins them."""
    text = " ".join(path.read_text(encoding="utf-8") for name in folders for path in (ROOT / name).rglob("*.py"))
    return re.sub(r'"\s*\n\s*f?"', "", text)


def forms(module: str) -> str:
    """The forms of a module's panel, with names of buttons as people read them."""
    files = (ROOT / module / "Resources" / "UI").glob("*.ui")
    return " ".join(path.read_text(encoding="utf-8") for path in files).replace("&amp;", "")


def snippets(text: str) -> list[str]:
    """The Python that a document tells people to paste."""
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)

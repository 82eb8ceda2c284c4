"""``slicer.packaging`` and ``slicer.util.pip_install`` that only note what was asked for; nothing is installed."""

from __future__ import annotations

from pathlib import Path

import slicer.util


def install(session) -> None:
    """Put the module in place; calls are listed in ``session.pip``."""
    from .session import _module

    def pip_ensure(requirements, **options):
        session.pip.append(("pip_ensure", list(requirements), options))

    def pip_install(requirements, **options):
        session.pip.append(("pip_install", requirements, options))

    def pip_uninstall(requirements, **options):
        session.pip.append(("pip_uninstall", requirements, options))

    def load_requirements(path):
        lines = [line.split("#")[0].strip() for line in Path(path).read_text("utf-8").splitlines()]
        return [line for line in lines if line]

    members = {
        "pip_ensure": pip_ensure,
        "pip_install": pip_install,
        "pip_uninstall": pip_uninstall,
        "load_requirements": load_requirements,
        "pip_check": lambda _requirements: False,
    }
    session._put_module("slicer.packaging", _module("slicer.packaging", members))
    session._put(slicer.util, "pip_install", pip_install)
    session._put(slicer.util, "pip_uninstall", pip_uninstall)

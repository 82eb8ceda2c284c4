"""Selecting the modules imports nothing heavy, and their files load without panel, window or views."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = ("CTSliceLocalizer", "LungSegment", "HeadrestRemoval")
HEAVY = {"tensorflow", "keras", "skimage", "ai_edge_litert", "onnxruntime", "matplotlib", "PIL", "dask", "joblib"}
BUNDLED_BUT_SLOW = {"SimpleITK", "pydicom", "scipy"}
"""Slicer ships them; they are imported when something is done, not when a module is selected."""

SCRIPT = """
import json, sys
from slicerstandin.session import Session
session = Session().start()
before = set(sys.modules)
session.load("CTVolume", enter=False)
session.load("CTSliceLocalizer", enter=False)
session.load("LungSegment", enter=False)
session.load("HeadrestRemoval", enter=False)
registered = set(sys.modules) - before
session.application.startupCompleted.emit()
session.select("CTSliceLocalizer")
session.select("LungSegment")
session.select("HeadrestRemoval")
selected = set(sys.modules) - before
session.end()
print(json.dumps([sorted(registered), sorted(selected)]))
"""


@pytest.fixture(scope="module")
def imported():
    """What loading the files imports, and what selecting the panel imports, by a fresh process."""
    pytest.importorskip("slicer", reason="slicer-core is not installed: tests of the panels are left out")
    pytest.importorskip("PySide6", reason="PySide6 is not installed: tests of the panels are left out")
    folders = [ROOT / name for name in ("Testing", "CTVolume", *MODULES)]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(map(str, folders)))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return [{name.split(".")[0] for name in names} for names in json.loads(done.stdout.splitlines()[-1])]


def test_loading_and_selecting_the_modules_imports_nothing_heavy(imported):
    for names in imported:
        assert names & (HEAVY | BUNDLED_BUT_SLOW) == set()


def test_slicer_starts_with_the_module_files_alone(imported):
    own = {"CTVolumeLib", "CTVolumePanel"}
    own |= {f"{module}{kind}" for module in MODULES for kind in ("Lib", "Panel")}
    assert imported[0] & own == set()


def test_panel_is_found(imported):
    assert {f"{module}Panel" for module in MODULES} <= imported[1], "else the tests above say nothing"

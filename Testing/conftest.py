"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import support_mrml
from support_browser import browser  # noqa: F401 (a fixture)


@pytest.fixture(scope="session")
def ct_data() -> Path:
    """Folder of the real CT; skipped where CT_DATA_DIR is not set, an error where it is set and wrong."""
    folder = os.environ.get("CT_DATA_DIR")
    if not folder:
        pytest.skip("CT_DATA_DIR is not set")
    path = Path(folder)
    missing = [name for name in ("vol", "dicom", "landmarks.csv", "scans.csv") if not (path / name).exists()]
    assert not missing, f"CT_DATA_DIR lacks {missing}"
    return path


@pytest.fixture
def world():
    """A real MRML scene with its logics for one test, without the application; ``slicer.mrmlScene`` meanwhile."""
    world = support_mrml.start()
    yield world
    support_mrml.stop(world)


@pytest.fixture
def scene(world):
    """The scene of ``world``."""
    return world.scene


@pytest.fixture
def slicer_app():
    """A fresh Slicer for one test, without display: see ``slicerstandin.session.Session`` for what it can do."""
    pytest.importorskip("slicer", reason="slicer-core is not installed: tests of the panels are left out")
    pytest.importorskip("PySide6", reason="PySide6 is not installed: tests of the panels are left out")
    from slicerstandin.session import Session

    session = Session().start()
    yield session
    session.end()

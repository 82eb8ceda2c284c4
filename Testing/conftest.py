"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import support_mrml
from support_browser import browser  # noqa: F401 (a fixture)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--part",
        choices=("slicer", "rest"),
        help="Only the tests in the stand-in for Slicer, or only all others. Each part needs a process of its own:"
        " TensorFlow and Mesa, which draws Slicer's views, both bring an LLVM, and with two of them a process crashes.",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files of the other part, before they import anything."""
    part = config.getoption("--part")
    if part is None or collection_path.suffix != ".py":
        return None
    return True if _in_slicer(collection_path) != (part == "slicer") else None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Say that both parts can't run together, rather than crash half-way."""
    if len({_in_slicer(item.path) for item in session.items}) > 1 and not session.config.option.collectonly:
        pytest.exit("Run `make test`, or pytest with --part slicer and with --part rest.", returncode=4)


def _in_slicer(path: Path) -> bool:
    """Whether the tests of a file run in the stand-in for Slicer."""
    return path.parent.name.endswith("Panel") or "slicer_app" in path.read_text(encoding="utf-8")


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

"""A real MRML scene without the application, for tests that need nodes and no panel."""

from __future__ import annotations

import pytest


def slicer_core():
    """The slicer package, or the test is skipped with a reason."""
    return pytest.importorskip("slicer", reason="slicer-core is not installed: tests on MRML are left out")


def start():
    """A fresh scene with the logics that volumes, segmentations, tables, plots and markups need.

    Returns:
        ``slicerstandin.world.make_world``'s; it is ``slicer.mrmlScene`` until ``stop`` is called.
    """
    slicer = slicer_core()
    from slicerstandin.world import make_world

    world = make_world()
    slicer.modules = world.modules
    return world


def stop(world) -> None:
    """Take the scene of ``start`` away."""
    slicer = slicer_core()
    world.scene.Clear(1)
    del slicer.mrmlScene, slicer.modules


def node_ids(scene) -> set[str]:
    """IDs of all nodes."""
    return {scene.GetNthNode(number).GetID() for number in range(scene.GetNumberOfNodes())}

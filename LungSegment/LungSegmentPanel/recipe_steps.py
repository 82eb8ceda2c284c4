"""The classic recipe's steps in the slice views, one by one: to learn from, not to segment with."""

from __future__ import annotations

import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import numpy_to_vtk

from .view_overlay import ViewOverlay

BACKGROUNDS = ("corners", "corner", "edges")
"""How the air around the patient is found, as ``recipe.RecipeOptions.background``."""

STEPS = (
    ("air", _("1  Air"), _("All that is darker than the threshold: lung, bowel gas, and the air around.")),
    ("body", _("2  Body"), _("All that is not connected to the air around: the patient, with the air inside.")),
    ("unfilled", _("3  Pockets of air"), _("The largest pockets of air inside the body, without their vessels.")),
    ("filled", _("4  Filled"), _("What is not the largest solid part of its slice: the pockets with their vessels.")),
    ("difference", _("5  Filled - unfilled"), _("Only the vessels and nodules.")),
)
"""Key, title and a sentence for each step."""


def follow(volumeNode, thresholdHu: float = -320, background: str = "corners", fill: bool = True, pockets: int = 1):
    """Do the recipe.

    Returns:
        (k, j, i) bool on the volume's own grid, by the keys of ``STEPS``.
    """
    import numpy as np
    from CTVolumeLib import scene
    from LungSegmentLib import recipe

    volume = scene.volume_from_node(volumeNode)
    found = recipe.follow(volume, recipe.RecipeOptions(thresholdHu, background, fill, pockets))
    steps = {}
    for key, _title, _words in STEPS:
        step = found.difference() if key == "difference" else getattr(found, key)
        onGrid = np.zeros(volume.array.shape, bool)
        volume.with_array(onGrid).as_axial().array[...] = step  # a view of it
        steps[key] = onGrid
    return steps


def overlay(volumeNode, mask, title: str) -> ViewOverlay:
    """Show a mask of ``follow`` in the slice views until its ``remove`` is called."""
    image = vtk.vtkImageData()
    image.SetDimensions(*mask.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(mask.ravel().view("u1"), deep=True))
    layer = ViewOverlay(volumeNode, title, "Yellow", image)
    layer.setRange(1, 1)
    return layer

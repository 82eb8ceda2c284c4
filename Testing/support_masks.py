"""Segmentations of the phantom for tests, with its exact truth."""

from __future__ import annotations

from CTSliceLocalizerLib import maskfiles
from CTSliceLocalizerLib.maskfiles import Structure
from CTVolumeLib import phantom, phantom_structures
from CTVolumeLib.phantom import Phantom


def phantom_with(**parameters: object) -> Phantom:
    return phantom.make(phantom.PhantomParameters(noise=0, nodules=0, **parameters))


def structures_of(made: Phantom) -> dict[str, Structure]:
    """All structures of a phantom, as reading its segmentation gives them."""
    labels, names = phantom_structures.segment(made)
    return {name: maskfiles.structure(made.volume.with_array(labels == value)) for name, value in names.items()}

"""Heads and bodies on equipment whose truth is known, small enough for tests, and all ways to store a scan."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from CTVolumeLib import volumefile
from CTVolumeLib.volume import CTVolume
from HeadrestRemovalLib import cluster, evaluation_cases, evaluation_patients
from HeadrestRemovalLib.evaluation_cases import Case
from HeadrestRemovalLib.evaluation_equipment import Patient
from HeadrestRemovalLib.labels import PATIENT

SPACING = (2.0, 2.0, 4.0)


@functools.cache
def head(seed: int = 900, **parameters: object) -> Patient:
    """A phantom's head in air; shared, so don't write to it."""
    return evaluation_patients.phantom_head(seed, **{"spacing": SPACING} | parameters)


def removed_ml(scan: Path, above_hu: float, below_hu: float = np.inf) -> float:
    """Volume of what clustering takes from a real scan, of voxels between two HU."""
    volume = volumefile.read(scan)
    gone = (cluster.label(volume).labels > PATIENT) & (volume.array > above_hu) & (volume.array < below_hu)
    return float(np.count_nonzero(gone) * np.prod(volume.spacing) / 1000)


@functools.cache
def case(kind: str, number: int = 0, seed: int = 900, **parameters: object) -> Case:
    """Equipment of a class of ``evaluation_cases.HEAD_KINDS`` about a phantom's head; shared."""
    return evaluation_cases.make(head(seed, **parameters), kind, number, seed)


@functools.cache
def body_case(kind: str, seed: int = 950, **parameters: object) -> Case:
    """Equipment of a class of ``evaluation_cases.BODY_KINDS`` about a phantom's trunk; shared."""
    patient = evaluation_patients.phantom_body(seed, **{"spacing": (3.0, 3.0, 6.0)} | parameters)
    return evaluation_cases.make(patient, kind, 0, seed)


def axis_orders(volume: CTVolume) -> Iterator[tuple[CTVolume, tuple[int, ...], tuple[int, ...]]]:
    """The same scan stored in all 48 ways.

    Yields:
        The volume, the order in which the array's axes (k, j, i) were put, and the axes that were flipped before.
    """
    axes, spacing = volume.axes(), np.array(volume.spacing)
    for flipped in itertools.chain.from_iterable(itertools.combinations(range(3), n) for n in range(4)):
        array = np.flip(volume.array, flipped)
        turned, origin = axes.copy(), np.array(volume.origin)
        for axis in flipped:
            column = 2 - axis
            origin = origin + axes[:, column] * spacing[column] * (volume.array.shape[axis] - 1)
            turned[:, column] = -axes[:, column]
        for order in itertools.permutations(range(3)):
            columns = [2 - order[2 - column] for column in range(3)]  # of i, j, k in the new array
            yield (
                replace(
                    volume, array=np.ascontiguousarray(array.transpose(order)), origin=tuple(origin.tolist()),
                    spacing=tuple(float(spacing[column]) for column in columns),
                    direction=tuple(turned[:, columns].ravel().tolist()), positions=None, slice_origins=None,
                    sources=(),
                ),
                order,
                flipped,
            )  # fmt: skip


def back(labels: np.ndarray, order: tuple[int, ...], flipped: tuple[int, ...]) -> np.ndarray:
    """Labels of one of ``axis_orders`` in the original's axes."""
    return np.flip(labels.transpose(np.argsort(order)), flipped)

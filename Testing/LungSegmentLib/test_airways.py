"""Trachea and main bronchi: in the phantom, whose tube is known, and where it opens into the lung."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib.cells import Cells
from CTVolumeLib.phantom import Phantom
from LungSegmentLib import airways, lungs
from LungSegmentLib.cells import cells_of
from support_lungs import chest

FORK_Z_MM = -389.5
"""Where the phantom's trachea ends."""


@pytest.fixture(scope="module")
def plain() -> Phantom:
    return chest()


def _find(made: Phantom, hu: np.ndarray | None = None) -> tuple[airways.Airways, Cells]:
    """With the true air and the true lungs, so that only the airways are tested."""
    cells = cells_of(made.volume if hu is None else made.volume.with_array(hu))
    assert cells.factors == (1, 1, 1)
    air = made.masks["left lung"] | made.masks["right lung"] | made.masks["airway"]
    middle = float(np.nonzero(made.masks["patient"])[2].mean())
    return airways.find(cells, air & (cells.hu < -320), air & ~made.masks["airway"], middle), cells


def test_the_phantom_s_tube(plain):
    tree, _ = _find(plain)
    truth = plain.masks["airway"]
    trachea = (plain.volume.superior() > FORK_Z_MM)[:, None, None]
    lung = plain.masks["left lung"] | plain.masks["right lung"]
    assert tree.sealed
    assert (tree.lumen & truth & trachea).sum() > 0.85 * (truth & trachea).sum()
    assert not (tree.lumen & trachea & ~truth).any()
    assert (tree.lumen & lung).sum() < 0.1 * truth.sum()


def test_its_length(plain):
    tree, _ = _find(plain)
    z = plain.volume.superior()
    inside = z[plain.masks["airway"].any(axis=(1, 2)) & (z > FORK_Z_MM)]
    # Below the fork it goes on into a main bronchus, which is as round.
    assert np.ptp(inside) - 5 <= tree.length_mm <= np.ptp(inside) + 70


def test_none_below_the_fork(plain):
    made = chest(z_range=(-700.0, -520.0))
    tree, _ = _find(made)
    assert not tree.lumen.any()
    assert tree.length_mm == 0
    assert tree.sealed


def test_nothing_far_from_the_middle_is_a_trachea(plain):
    cells = cells_of(plain.volume)
    air = plain.masks["airway"]
    off = float(np.nonzero(plain.masks["patient"])[2].mean()) + 60 / cells.spacing[0]
    lung = plain.masks["left lung"] | plain.masks["right lung"]
    assert not airways.find(cells, air, lung, off).lumen.any()


def test_a_hole_in_the_wall_lets_no_lung_in(plain):
    """Where tube and lung are one space of air, growing ends before it floods the lung, at their difference in HU."""
    truth = plain.masks["airway"]
    array = plain.volume.array.copy()
    k = int(np.flatnonzero(truth.any(axis=(1, 2)))[-1]) - 12
    j, i = (int(place.mean()) for place in np.nonzero(truth[k]))
    array[k : k + 2, j - 1 : j + 2, i : i + 40] = -900
    air = truth | plain.masks["left lung"] | plain.masks["right lung"]
    air[k : k + 2, j - 1 : j + 2, i : i + 40] = True
    cells = cells_of(plain.volume.with_array(array))
    middle = float(np.nonzero(plain.masks["patient"])[2].mean())
    tree = airways.find(cells, air, air & ~truth, middle)
    flooded = tree.lumen & (plain.masks["left lung"] | plain.masks["right lung"])
    assert cells.litres(flooded) < 0.02
    assert cells.litres(tree.lumen & truth) > 0.5 * cells.litres(truth)


def test_emphysema_around_it(plain):
    """Lung nearly as dark as the air in the tube."""
    lung = plain.masks["left lung"] | plain.masks["right lung"]
    array = np.where(lung & (plain.volume.array < -700), plain.volume.array - 70, plain.volume.array).astype(np.int16)
    tree, cells = _find(plain, array)
    assert cells.litres(tree.lumen & lung) < 0.02
    assert cells.litres(tree.lumen & plain.masks["airway"]) > 0.5 * cells.litres(plain.masks["airway"])


def test_it_is_taken_out_of_the_lungs_with_its_wall(plain):
    result = lungs.segment(plain.volume)
    trachea = plain.masks["airway"] & (plain.volume.superior() > FORK_Z_MM)[:, None, None]
    in_lung = np.isin(result.labels[trachea], (lungs.LEFT, lungs.RIGHT))
    assert in_lung.mean() < 0.003

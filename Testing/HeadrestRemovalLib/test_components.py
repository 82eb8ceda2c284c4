"""Components and their statistics, against numpy on each component by itself."""

from __future__ import annotations

import numpy as np
import pytest
from HeadrestRemovalLib.components import components
from HeadrestRemovalLib.shapes import ALL_AROUND, IN_SLICE
from support_trunk import cells_from


@pytest.fixture(scope="module")
def cells():
    return cells_from(np.random.default_rng(2).normal(0, 150, (5, 20, 22)), (2.0, 1.5, 4.0))


@pytest.fixture(scope="module")
def mask(cells):
    return np.random.default_rng(4).random(cells.hu.shape) > 0.75


def test_statistics_are_those_of_each_component(cells, mask):
    parts = components(mask, cells)
    assert parts.count > 20
    for number in range(1, parts.count + 1):
        hu = cells.hu[parts.labels == number].astype(float)
        assert parts.mean_hu[number] == pytest.approx(hu.mean())
        assert parts.sd_hu[number] == pytest.approx(hu.std(), abs=1e-6)
        assert parts.millilitres[number] == pytest.approx(hu.size * 0.012)
        assert parts.fat[number] == pytest.approx(np.mean((hu > -160) & (hu < -30)))
        assert parts.muscle[number] == pytest.approx(np.mean((hu > -10) & (hu < 130)))
        assert parts.bone[number] == pytest.approx(np.mean(hu > 180))
        assert parts.highest(cells.hu)[number] == hu.max()


def test_shares_and_choices(cells, mask):
    parts = components(mask, cells)
    left = np.zeros(mask.shape, bool)
    left[:, :, :11] = True
    number = int(parts.millilitres.argmax())
    wanted = left[parts.labels == number].mean()
    assert parts.share(left)[number] == pytest.approx(wanted)
    assert parts.touching(left)[number] == (wanted > 0)
    assert np.array_equal(parts.chosen(np.arange(parts.count + 1) == number), parts.labels == number)
    assert not parts.chosen(np.arange(parts.count + 1) == 0).any()  # 0 is no component


def test_boxes_are_those_in_the_whole_scan(cells):
    mask = np.zeros(cells.hu.shape, bool)
    mask[1:3, 4:6, 7:9] = mask[4, 10, 12:15] = True
    parts = components(mask, cells)
    assert parts.boxes == [(slice(1, 3), slice(4, 6), slice(7, 9)), (slice(4, 5), slice(10, 11), slice(12, 15))]
    none = components(np.zeros_like(mask), cells)
    assert none.boxes == []
    assert none.sizes.tolist() == [0]
    assert not none.chosen(np.ones(1, bool)).any()


def test_neighbours(cells):
    mask = np.zeros(cells.hu.shape, bool)
    mask[0, 0, 0] = mask[1, 0, 0] = mask[2, 1, 1] = True
    assert components(mask, cells, IN_SLICE).count == 3
    assert components(mask, cells).count == 2
    assert components(mask, cells, ALL_AROUND).count == 1

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib import phantom_painter
from CTVolumeLib.phantom_painter import Paint, Painter
from CTVolumeLib.phantom_shapes import Capsule, Ellipsoid, Loft

BALL = Ellipsoid((2, -3, 4), (9, 7, 6))


def _painter(step=1.0, edge=1.0):
    axis = np.arange(-20, 20 + step / 2, step)
    frame = axis.reshape(1, 1, -1), axis.reshape(1, -1, 1), axis.reshape(-1, 1, 1)
    shifted = frame[0], frame[1], frame[2] - 5
    return Painter((len(axis),) * 3, {"body": frame, "organ": shifted}, edge)


def test_a_shape_covers_what_was_there_with_a_soft_edge():
    painter = _painter(edge=4.0)
    painter.paint(Paint(BALL, 100, 3))
    assert painter.hu[24, 17, 22] == 100
    assert painter.hu[0, 0, 0] == -1000
    edge = painter.hu[24, 17, 22 + 9]
    assert -1000 < edge < 100
    assert (painter.labels == 3).sum() == pytest.approx(4 / 3 * np.pi * 9 * 7 * 6, rel=0.02)
    assert painter.labels[24, 17, 22] == 3


def test_shapes_outside_the_grid_change_nothing():
    painter = _painter()
    painter.paint(Paint(Ellipsoid((100, 0, 0), (9, 9, 9)), 100, 3))
    painter.paint(Paint(Capsule((0, 0, 40), (0, 0, 80), 5, 5), 100, 3))
    assert (painter.hu == -1000).all()
    assert not painter.labels.any()


def test_frames_shift_and_labels_restrict():
    painter = _painter()
    painter.paint(Paint(BALL, 0, 1))
    painter.paint(Paint(BALL, 500, 2, frame="organ", only=(1,)))
    assert (painter.labels[painter.hu > 250] == 2).all()
    k = np.flatnonzero((painter.labels == 2).any(axis=(1, 2)))
    assert k.min() == 24 - 6 + 5 + 1
    assert k.max() == 24 + 6 - 1
    assert painter.hu.max() == 500


def test_a_share_mixes():
    painter = _painter()
    painter.paint(Paint(BALL, 0, 1))
    painter.paint(Paint(BALL, 100, None, share=0.25))
    assert painter.hu[24, 17, 22] == pytest.approx(25)
    assert painter.labels[24, 17, 22] == 1


def test_grain_belongs_to_the_body_not_to_the_grid():
    coarse, fine = _painter(2.0), _painter(1.0)
    for painter in (coarse, fine):
        painter.paint(Paint(BALL.grow(20), 50, grain=10))
    np.testing.assert_allclose(coarse.hu[5:16, 5:16, 5:16], fine.hu[10:32:2, 10:32:2, 10:32:2], atol=1e-3)
    assert 2 < fine.hu[10:32, 10:32, 10:32].std() < 10


def test_small_pieces_give_the_same_picture(monkeypatch):
    loft = Loft(((-15, 0, 0, 8, 5, 0.3), (0, 2, 1, 12, 9, 0), (14, 0, 0, 3, 3, 0)))
    whole, pieces = _painter(), _painter()
    whole.paint(Paint(loft, 70, 5))
    monkeypatch.setattr(phantom_painter, "_CHUNK", 500)
    pieces.paint(Paint(loft, 70, 5))
    np.testing.assert_array_equal(whole.hu, pieces.hu)
    np.testing.assert_array_equal(whole.labels, pieces.labels)

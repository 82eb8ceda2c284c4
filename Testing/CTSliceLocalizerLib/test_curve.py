"""The curve, from distributions whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from CTSliceLocalizerLib import bodyscale, curve, landmarks

CELLS = 100
Z_MM = -500.0 + 4.0 * np.arange(CELLS)


def _true_body(scale: float = 1.0) -> np.ndarray:
    return 800.0 - 4.0 * scale * np.arange(CELLS)


def _logits(body_mm: np.ndarray, sigma_mm: float = 15.0) -> np.ndarray:
    return np.log(bodyscale.soft_bins(body_mm, np.full(len(body_mm), sigma_mm)) + 1e-6)


def _landmark_logits(body_mm: np.ndarray) -> np.ndarray:
    distance = np.abs(body_mm[:, None] - landmarks.BODY_MM)
    return np.where(distance.min(axis=0) < 4, 6.0 - distance / 4, -6.0)


def _fit(
    body_mm: np.ndarray, logits: np.ndarray | None = None, turned: np.ndarray | None = None, z_mm: np.ndarray = Z_MM
) -> curve.ScanLocation:
    logits = _logits(body_mm) if logits is None else logits
    heat = _landmark_logits(body_mm)
    estimates = curve.Estimates(
        z_mm=Z_MM,
        body=np.ones(CELLS, bool),
        raw=logits,
        orientation=np.full((CELLS, 2), -4.0),
        upright=curve.Sequence(logits, heat),
        reversed=curve.Sequence(logits if turned is None else turned, heat),
    )
    return curve.fit(
        estimates, z_mm=z_mm, index=np.arange(len(z_mm)), files=(), series={"z_mm": [z_mm[0], z_mm[-1]]}, model={}
    )


@pytest.mark.parametrize("scale", [0.85, 1.0, 1.15])
def test_a_clean_scan_is_located_to_the_millimetre(scale: float) -> None:
    truth = _true_body(scale)
    result = _fit(truth)
    assert np.abs(result.body_mm - truth).max() < 6
    assert np.abs(result.body_mm - truth).mean() < 2.5
    assert curve.smooth(_logits(truth), np.ones(CELLS, bool)).scale == pytest.approx(scale, abs=0.04)
    for landmark in landmarks.LANDMARKS:
        found = result.landmark(landmark.name)
        if truth.min() + 10 < landmark.body_mm < truth.max() - 10:
            assert found.inside
            assert abs(found.z_mm - np.interp(-landmark.body_mm, -truth, Z_MM)) < 4
        elif not truth.min() - 30 < landmark.body_mm < truth.max() + 30:
            assert not found.inside
            assert found.z_mm is None


def test_single_wrong_slices_do_not_move_the_curve() -> None:
    truth = _true_body()
    seen = truth.copy()
    seen[[20, 21, 55, 80]] = [100, 120, 900, 0]
    result = _fit(truth, _logits(seen))
    assert np.abs(result.body_mm - truth).max() < 8
    assert abs(landmarks.location_to_body(result.raw[55]) - 900) < 15


def test_the_curve_is_monotone_even_where_nothing_is_known() -> None:
    truth = _true_body()
    logits = _logits(truth)
    logits[30:70] = 0.0
    result = _fit(truth, logits)
    assert np.all(np.diff(result.body_mm) < 0)
    assert np.all(np.diff(result.location) < 0)
    assert result.sigma_mm[50] > 1.15 * _fit(truth).sigma_mm[50]


def test_upside_down_slices_are_flagged_and_located_by_the_picture() -> None:
    truth = _true_body()[::-1]
    blind = np.zeros((CELLS, len(bodyscale.BIN_CENTRES)))
    result = _fit(truth, blind, turned=_logits(truth))
    assert [flag.code for flag in result.flags] == ["upside_down"]
    assert np.abs(result.body_mm - truth).max() < 8


def test_slices_finer_or_coarser_than_the_cells_get_their_own_place() -> None:
    truth = _true_body()
    fine = np.linspace(Z_MM[0], Z_MM[-1], 793)
    result = _fit(truth, z_mm=fine)
    assert len(result.location) == 793
    assert np.abs(result.body_mm - np.interp(fine, Z_MM, truth)).max() < 8


def test_distributions_that_know_nothing_give_no_evidence() -> None:
    blind = curve.smooth(np.zeros((CELLS, len(bodyscale.BIN_CENTRES))), np.ones(CELLS, bool))
    seeing = curve.smooth(_logits(_true_body()), np.ones(CELLS, bool))
    assert abs(blind.evidence) < 0.05
    assert seeing.evidence > 0.2


def test_forward_and_backward_transitions_are_transposes() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 1, len(curve.STATES)))
    less, more = np.array([[0.3]]), np.array([[0.05]])
    headward, footward = curve._towards_head(a, less, more), curve._towards_feet(b, less, more)
    assert (a @ footward.T).item() == pytest.approx((headward @ b.T).item())

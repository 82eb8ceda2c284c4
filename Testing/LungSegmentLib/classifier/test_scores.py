from __future__ import annotations

import numpy as np
import pytest
from LungSegmentLib.classifier import scores
from LungSegmentLib.classifier.scores import Scored

metrics = pytest.importorskip("sklearn.metrics")


def scored(labels, values, folds=None, patients=None, thresholds=0.5):
    labels, values = np.atleast_2d(labels), np.atleast_2d(values)
    folds = np.zeros_like(labels) if folds is None else np.atleast_2d(folds)
    patients = [str(n) for n in range(labels.shape[1])] if patients is None else patients
    return Scored(patients, labels, values, folds, np.broadcast_to(thresholds, labels.shape))


@pytest.mark.parametrize("seed", range(4))
def test_auc_of_one_fold_is_that_of_everybody(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 40)
    values = np.round(rng.normal(labels, 1.5), 1)  # with ties
    one = scored(labels, values)
    assert scores.auc_draws(one, np.ones((1, 40)))[0] == pytest.approx(metrics.roc_auc_score(labels, values))
    weights = rng.integers(0, 4, (3, 40)).astype(float)
    wanted = [metrics.roc_auc_score(labels, values, sample_weight=row) for row in weights]
    np.testing.assert_allclose(scores.auc_draws(one, weights), wanted)


def test_folds_are_never_compared_with_each_other():
    """Both folds are in perfect order, and the second network's scores are all higher."""
    labels, values, folds = [0, 0, 1, 0, 0, 1], [0.1, 0.2, 0.3, 0.7, 0.8, 0.9], [0, 0, 0, 1, 1, 1]
    assert scores.auc(scored(labels, values, folds), np.ones((1, 6))).value == 1
    assert metrics.roc_auc_score(labels, values) < 1


def test_interval_holds_the_truth_as_often_as_it_says():
    """Scores of 60 patients with a known AUC of 0.76, drawn anew 150 times."""
    from scipy.stats import norm

    truth, hits = norm.cdf(1 / np.sqrt(2)), 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        labels = np.repeat([0, 1], 30)
        one = scored(labels, rng.normal(labels, 1))
        figure = scores.auc(one, scores.draws(one.patients, seed, 400))
        hits += figure.low <= truth <= figure.high
    assert 0.88 <= hits / 150 <= 0.99


def test_many_scans_of_a_patient_do_not_narrow_the_interval():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 20)
    values = rng.normal(labels, 1)
    people = [str(n) for n in range(40)]
    single = scored(labels, values, patients=people)
    many = scored(np.tile(labels, 5), np.tile(values, 5), patients=people * 5)
    widths = []
    for one in (single, many):
        figure = scores.auc(one, scores.draws(one.patients))
        widths.append(figure.high - figure.low)
    assert widths[1] == pytest.approx(widths[0], rel=0.02)


def test_difference_is_paired():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 30)
    values = rng.normal(labels, 1.0)
    first, second = scored(labels, values), scored(labels, values + rng.normal(0, 0.05, 60))
    weights = scores.draws(first.patients)
    apart, alone = scores.auc_difference(first, second, weights), scores.auc(first, weights)
    assert apart.low <= 0 <= apart.high
    assert apart.high - apart.low < 0.3 * (alone.high - alone.low)


def test_shares_and_their_thresholds():
    one = scored([1, 1, 1, 0, 0], [0.9, 0.6, 0.2, 0.4, 0.1], thresholds=0.5)
    weights = np.ones((1, 5))
    assert scores.accuracy(one, weights).value == pytest.approx(0.8)
    assert scores.sensitivity(one, weights).value == pytest.approx(2 / 3)
    assert scores.specificity(one, weights).value == 1
    assert scores.brier(one, weights).value == pytest.approx(metrics.brier_score_loss(one.labels[0], one.scores[0]))


def test_threshold_is_youdens():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 60)
    values = rng.normal(labels, 0.8)
    false, true, _ = metrics.roc_curve(labels, values)
    chosen = scores.threshold(values, labels)
    called = values >= chosen
    assert called[labels == 1].mean() - called[labels == 0].mean() == pytest.approx((true - false).max())
    assert scores.threshold(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1])) == pytest.approx(0.5)


def test_roc_has_the_area_of_the_auc():
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, (2, 80))
    values, folds = rng.normal(labels, 1.2), rng.integers(0, 3, (2, 80))
    false, true = scores.roc(scored(labels, values, folds), 2001)
    assert np.all(np.diff(true) >= 0)
    assert true[-1] == 1
    alone = [
        metrics.roc_auc_score(row[fold == n], value[fold == n])
        for row, value, fold in zip(labels, values, folds)
        for n in range(3)
    ]
    assert np.trapezoid(true, false) == pytest.approx(np.mean(alone), abs=0.02)


def test_calibration_of_honest_scores():
    rng = np.random.default_rng(6)
    given = rng.uniform(size=600)
    groups = scores.calibration(scored((rng.uniform(size=600) < given).astype(int), given))
    assert sum(group[-1] for group in groups) == 600
    for mean, share, low, high, _ in groups:
        assert low <= share <= high
        assert abs(mean - share) < 0.12


def test_a_draw_without_a_pair_is_no_number_and_no_crash():
    figure = scores.auc(scored([1, 0], [0.9, 0.1]), scores.draws(["a", "b"]))
    assert figure.value == 1
    assert figure.text() == "1.00 (1.00 to 1.00)"

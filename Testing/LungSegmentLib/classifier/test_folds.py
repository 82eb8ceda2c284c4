from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib.errors import CTError

pytest.importorskip("sklearn")
from LungSegmentLib.classifier import baseline, folds


def people(count, scans_each):
    patients = [f"p{n}" for n in range(count) for _ in range(scans_each)]
    return np.array([int(p[1:]) % 3 == 0 for p in patients], int), patients


@pytest.mark.parametrize("scans_each", [1, 3])
def test_no_patient_is_in_two_parts_and_each_scan_is_tested_once(scans_each):
    labels, patients = people(60, scans_each)
    found = folds.split(labels, patients, 5, seed=2)
    tested = np.concatenate([fold.test for fold in found])
    assert sorted(tested.tolist()) == list(range(len(labels)))
    for fold in found:
        parts = [{patients[n] for n in part} for part in (fold.train, fold.validation, fold.test)]
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]
        assert len(fold.train) + len(fold.validation) + len(fold.test) == len(labels)
        assert abs(labels[fold.test].mean() - labels.mean()) < 0.1


def test_seeds():
    labels, patients = people(40, 1)
    first, again, other = (folds.split(labels, patients, 4, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a.test, b.test) for a, b in zip(first, again))
    assert not all(np.array_equal(a.test, b.test) for a, b in zip(first, other))


def test_too_few_patients_are_refused():
    labels, patients = people(9, 4)  # three patients with the finding
    with pytest.raises(CTError, match="3 patients have one"):
        folds.split(labels, patients, 5, seed=0)
    learn, check = folds.hold_out(labels, patients, 3, seed=0)
    assert not {patients[n] for n in learn} & {patients[n] for n in check}


def test_baseline_learns_a_histogram_and_not_noise():
    rng = np.random.default_rng(0)
    labels, patients = people(120, 1)
    fold = folds.split(labels, patients, 4, seed=0)[0]
    shares = rng.dirichlet(np.full(20, 5.0), 120)
    noise = baseline.histogram_rows([{"histogram": row} for row in shares])
    shares[labels == 1, 3] += 0.08
    told = baseline.histogram_rows([{"histogram": row} for row in shares])

    def auc(rows):
        from sklearn.metrics import roc_auc_score

        return roc_auc_score(
            labels[fold.test], baseline.scores(rows, labels, fold.train, fold.validation, fold.test)[1]
        )

    assert auc(told) > 0.9
    assert auc(noise) < 0.75


def test_text_in_headers_becomes_columns():
    rows = baseline.header_rows([{"header": {"maker": "A", "step": 1.5}}, {"header": {"maker": "B", "step": 2.0}}])
    assert rows.shape == (2, 3)
    assert sorted(rows[0].tolist()) == [0, 1, 1.5]

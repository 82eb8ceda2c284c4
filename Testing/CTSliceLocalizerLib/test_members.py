"""A model of several networks: each answers as it does alone, together they are the mean of probabilities."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from CTSliceLocalizerLib import curve, members, predictor, slicegrid
from CTVolumeLib.errors import CTError
from CTVolumeLib.inference import Model
from scipy.special import softmax

SETTINGS = {"epochs": 1, "batches": 2, "validation_batches": 1}
HELD_OUT = (["p0"], ["p1", "p2"], ["p3"])


def sequence(rng: np.random.Generator, cells: int = 7) -> curve.Sequence:
    return curve.Sequence(rng.normal(size=(cells, 92)), rng.normal(size=(cells, 12)) * 3)


def estimates(seed: int) -> curve.Estimates:
    rng = np.random.default_rng(seed)
    return curve.Estimates(np.arange(7) * 4.0, np.ones(7, bool), rng.normal(size=(7, 92)), rng.normal(size=(7, 2)),
                           sequence(rng), sequence(rng), rng.random((7, 8)))  # fmt: skip


def with_nowhere(logits: np.ndarray) -> np.ndarray:
    return softmax(np.concatenate([logits, np.zeros((1, 12))]), axis=0)


class TestTogether:
    def test_probabilities_are_averaged(self):
        several = [estimates(seed) for seed in range(3)]
        mean = members.together(several)
        for way in ("upright", "reversed"):
            ones, one = [getattr(each, way) for each in several], getattr(mean, way)
            np.testing.assert_allclose(
                softmax(one.body, axis=1), np.mean([softmax(each.body, axis=1) for each in ones], axis=0), atol=1e-6
            )
            np.testing.assert_allclose(
                with_nowhere(one.landmarks), np.mean([with_nowhere(each.landmarks) for each in ones], axis=0), atol=1e-6
            )
        assert mean.features is several[0].features
        np.testing.assert_allclose(mean.orientation, np.mean([each.orientation for each in several], axis=0))
        np.testing.assert_allclose(softmax(mean.raw, axis=1), np.mean([softmax(e.raw, axis=1) for e in several], 0),
                                   atol=1e-6)  # fmt: skip

    def test_one_member_stays_as_it_is(self):
        one = estimates(0)
        assert members.together([one]) is one
        np.testing.assert_allclose(members.together([one, one]).upright.landmarks, one.upright.landmarks, atol=1e-5)

    def test_where_members_disagree_sigma_is_wider(self):
        place = np.arange(92)
        sure = [np.tile(-0.5 * ((place - at) / 2.0) ** 2, (7, 1)) for at in (40, 46)]
        apart = [replace(estimates(0), upright=curve.Sequence(body, np.zeros((7, 12)))) for body in sure]
        alone = curve.smooth(sure[0], np.ones(7, bool))
        both = curve.smooth(members.together(apart).upright.body, np.ones(7, bool))
        assert both.sigma_mm.mean() > 1.5 * alone.sigma_mm.mean()
        assert both.mean_mm[3] > alone.mean_mm[3] + 15


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A cross-validation with three tiny folds, trained in no time, and the model of all of them."""
    pytest.importorskip("tensorflow")
    from CTSliceLocalizerLib import dataset, training, training_ensemble, training_runs
    from CTVolumeLib import network_checkpoints
    from support_training import compact_store, tiny_networks

    work = tmp_path_factory.mktemp("ensemble")
    compact_store(work / "store")
    with pytest.MonkeyPatch.context() as patch:
        tiny_networks(patch)
        patch.setattr(dataset, "SLICES_A_BATCH", 24)
        patch.setattr(dataset, "LENGTHS", (12,))
        scans = dataset.from_store(work / "store", [f"1.2.3.{number}" for number in range(3)])
        folds = []
        for number, held_out in enumerate(HELD_OUT, start=1):
            name = f"fold{number}"
            training.train(scans[:2], scans[2:], work / name, training.Settings(seed=number, **SETTINGS))
            folds.append({"name": name, "train": [f"q{number}", "q"], "validation": ["v"], "test": held_out})
        network_checkpoints.begin(work, {"network": training.NETWORK, "folds": folds})
        training_ensemble.publish(work, work / "model", {"note": "tried"})
        for number in range(1, len(HELD_OUT) + 1):
            training_runs.write_model(work / f"fold{number}", work / f"single{number}", litert=False)
    return work


@pytest.fixture(scope="module")
def grid() -> slicegrid.SliceGrid:
    from support_training import series

    return series(5).grid


@pytest.mark.slow
class TestModel:
    def test_the_card_says_who_saw_whom(self, trained):
        card = json.loads((trained / "model.json").read_text())
        assert [entry["held_out"] for entry in card["members"]] == [sorted(names) for names in HELD_OUT]
        assert card["trained_on"]["patients"] == 4, "q1, q2, q3 and q"
        assert card["trained_on"]["scans"] == 2
        assert card["note"] == "tried"
        assert set(card["sha256"]) == {"npz", "tflite"}

    @pytest.mark.parametrize("engine", ["numpy", "litert"])
    def test_each_member_answers_as_it_does_alone(self, trained, grid, engine):
        if engine == "litert":
            pytest.importorskip("ai_edge_litert")
        model = predictor.load_model(trained / "model.npz", engine)
        assert members.count(model) == 3
        several = members.each(grid, model)
        for number, found in enumerate(several):
            (single,) = members.each(grid, predictor.load_model(trained / f"single{number + 1}.npz", "numpy"))
            (pruned,) = members.each(grid, members.only(model, number))
            for way in ("upright", "reversed"):
                for what in ("body", "landmarks"):
                    values = [getattr(getattr(each, way), what) for each in (found, single, pruned)]
                    np.testing.assert_allclose(values[0], values[1], atol=0.02)  # 16-bit weights
                    np.testing.assert_allclose(values[0], values[2], atol=1e-4)
        assert np.abs(several[0].upright.body - several[1].upright.body).max() > 0.1, "they are different networks"
        whole = predictor.estimate(grid, model)
        np.testing.assert_allclose(whole.upright.body, members.together(several).upright.body, atol=1e-5)

    def test_a_member_alone_costs_a_third(self, trained):
        model = Model.load(trained / "model.npz", "numpy")
        shares = members.only(model, 1).parts["encoder"].macs() / model.parts["encoder"].macs()
        assert shares == pytest.approx(1 / 3)
        with pytest.raises(CTError, match="has 3 members, not 4"):
            members.only(model, 3)

    def test_who_never_saw_a_patient(self, trained):
        model = Model.load(trained / "model.npz", "numpy")
        assert members.unseen(model, "p2").name.endswith(" 2")
        assert members.unseen(model, "q") is None

    def test_folds_that_are_not_finished_are_not_shipped(self, trained, tmp_path, monkeypatch):
        from CTSliceLocalizerLib import training, training_ensemble
        from support_training import tiny_networks

        tiny_networks(monkeypatch)
        (trained / "fold2" / training.TRAINED).rename(tmp_path / "away.npz")
        try:
            with pytest.raises(CTError, match="fold2 is not finished"):
                training_ensemble.publish(trained, tmp_path / "model")
        finally:
            (tmp_path / "away.npz").rename(trained / "fold2" / training.TRAINED)


def test_the_card_of_a_single_network_says_whom_it_never_saw():
    model = Model({"encoder": None, "context": None}, {"held_out_patients": ["a"]}, "m", "0" * 64, "numpy")
    assert members.unseen(model, "a") is model
    assert members.unseen(model, "b") is None
    assert members.count(Model({"slice": None}, {}, "m", "0" * 64, "numpy")) == 0

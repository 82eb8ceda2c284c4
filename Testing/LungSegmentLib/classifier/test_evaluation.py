from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from CTVolumeLib.errors import CTError

pytest.importorskip("tensorflow")
pytest.importorskip("sklearn")
from LungSegmentLib.classifier import (
    crossvalidation,
    evaluation_figures,
    evaluation_page,
    evaluation_pictures,
    evaluation_saliency,
    scores,
    table,
    training,
)
from LungSegmentLib.classifier.crossvalidation import Plan
from LungSegmentLib.classifier.inputs import InputOptions
from support_classifier import SHAPE, write_table
from support_classifier_scores import made_up

OPTIONS = InputOptions(part="whole", shape=SHAPE)
SHORT = training.Settings(epochs=1, batch=4)


@pytest.mark.parametrize(
    ("network", "histogram", "said"),
    [(3.0, 0.3, "The network beats the baseline."), (1.0, 1.0, "does not beat the baseline"),
     (0.0, 3.0, "is worse than the baseline")],
)  # fmt: skip
def test_the_page_says_in_words_whether_the_network_beats_the_baseline(network, histogram, said):
    found = made_up(network, histogram)
    figures = evaluation_figures.figures(found, 10_000)
    assert said in figures.verdict
    assert said in evaluation_page.make(found, figures, [], {})
    assert figures.alerts == ()
    assert len(figures.good) == 2


def test_too_few_is_said_first_and_nothing_is_claimed():
    figures = evaluation_figures.figures(made_up(5.0, 0.0, patients=20), 10_000)
    assert figures.verdict.startswith("Too few patients to say")
    assert "beats" not in figures.verdict
    assert "10 patients with the finding and 10 without: too few" in figures.alerts[0]
    assert not figures.good  # of few patients every interval holds chance


def test_leaks_are_told():
    leaking = evaluation_figures.figures(made_up(3.0, shuffled=2.0), 10_000)
    assert any("shuffled labels" in text and "leaks" in text for text in leaking.alerts)
    scanner = evaluation_figures.figures(made_up(2.0, header=2.0), 10_000)
    assert any("Spacing, size and scanner alone tell the label" in text for text in scanner.alerts)
    assert "The network is not better than spacing, size and scanner alone." in scanner.alerts
    unchecked = evaluation_figures.figures(replace(made_up(2.0), shuffled=None), 10_000)
    assert any("was not checked" in text for text in unchecked.alerts)


def test_too_many_parameters_are_told():
    figures = evaluation_figures.figures(made_up(3.0), 1_351_873)
    assert any("11,266 for each scan" in text for text in figures.alerts)


@pytest.mark.slow
def test_runs_on_a_table_goes_on_after_a_stop_and_keeps_patients_together(tmp_path, monkeypatch):
    scans = table.read(write_table(tmp_path, 12, scans_each=2))
    plan = Plan(folds=3, repetitions=1)
    seen = []
    train = training.train

    def watched(learn, check, *arguments, **named):
        seen.append(({scan.patient for scan in learn}, {scan.patient for scan in check}, named["labels"]))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return train(learn, check, *arguments, **named)

    monkeypatch.setattr(training, "train", watched)
    with pytest.raises(KeyboardInterrupt):
        crossvalidation.run(scans, tmp_path / "out", OPTIONS, SHORT, plan)
    found = crossvalidation.run(scans, tmp_path / "out", OPTIONS, SHORT, plan)
    assert len(seen) == 3 + 4  # two were finished, one was stopped, and three have shuffled labels
    everybody = {scan.patient for scan in scans}
    for fold, (learn, check, _) in enumerate(seen[:3]):
        tested = {scan.patient for scan, n in zip(found.scans, found.network.folds[0]) if n == fold}
        assert not learn & check
        assert not tested & (learn | check)
        assert tested | learn | check == everybody
    true = {scan.name: scan.label for scan in scans}
    assert seen[0][2] == true
    assert seen[-1][2] != true
    assert sorted(seen[-1][2].values()) == sorted(true.values())
    assert np.isfinite(found.network.scores).all()
    np.testing.assert_array_equal(found.shuffled.labels[0], [seen[-1][2][scan.name] for scan in found.scans])
    again = crossvalidation.run(scans, tmp_path / "out", OPTIONS, SHORT, plan)
    assert len(seen) == 7  # all was kept
    np.testing.assert_array_equal(again.network.scores, found.network.scores)
    scans[0].path.write_bytes(scans[2].path.read_bytes())
    with pytest.raises(CTError, match="holds another evaluation"):
        crossvalidation.run(scans, tmp_path / "out", OPTIONS, SHORT, plan)


def test_thresholds_come_from_the_validation_part_alone(tmp_path):
    """Scores of the test part are turned upside down, and no threshold moves."""
    labels = np.tile(np.arange(30) % 2, (1, 1))
    people = [str(n) for n in range(30)]
    drawn = [crossvalidation.folds.split(labels[0], people, 3, 0)]
    given = np.linspace(0.1, 0.9, 30)

    def scored(sign):
        return crossvalidation._scored(
            labels, people, drawn, lambda _r, _n, fold: (given[fold.validation], sign * given[fold.test])
        )

    one, other = scored(1), scored(-1)
    np.testing.assert_array_equal(one.thresholds, other.thresholds)
    for fold in range(3):
        part = drawn[0][fold].validation
        wanted = scores.threshold(given[part], labels[0, part])
        assert set(one.thresholds[0, one.folds[0] == fold]) == {wanted}


def test_too_few_patients_are_refused_before_anything_is_trained(tmp_path):
    scans = table.read(write_table(tmp_path, 4))
    with pytest.raises(CTError, match="2 patients with the finding; 3 are the least"):
        crossvalidation.run(scans, tmp_path / "out", OPTIONS, SHORT, Plan())
    assert not (tmp_path / "out/runs").exists()


def test_saliency_lies_where_the_network_looks():
    usual = np.full((12, 24, 24), 0.2, np.float32)
    picture = usual.copy()
    picture[2:5, 16:20, 4:8] = 0.9

    def score(inputs):
        return 1 / (1 + np.exp(-8 * (inputs[:, 3, 17, 5, 0] - 0.5)))

    heat = evaluation_saliency.occlusion(picture, usual, score)
    assert heat.shape == picture.shape
    assert heat[3, 17, 5] == pytest.approx(heat.max())
    assert heat.max() > 1
    assert heat[9, 4, 20] == pytest.approx(0, abs=1e-5)
    shown = evaluation_pictures.Shown(picture, heat, (240.0, 200.0, 300.0))
    assert np.abs(np.subtract(shown.place, (3, 17, 5))).max() <= 3
    assert evaluation_pictures.draw(shown).startswith(b"\x89PNG")


def test_figures_are_json(tmp_path):
    found = made_up(2.0)
    content = json.loads(json.dumps(evaluation_figures.figures(found, 9).to_json()))
    assert set(content["rows"]) == {"network", "histogram", "header", "shuffled"}
    assert content["rows"]["network"]["auc"]["low"] < content["rows"]["network"]["auc"]["value"]

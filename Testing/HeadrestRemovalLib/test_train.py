"""The networks by name, scenes in files, and a very short training."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from CTVolumeLib.errors import CTError
from HeadrestRemovalLib import compose, train_scenes
from HeadrestRemovalLib.labels import HEADREST, PATIENT
from HeadrestRemovalLib.netgrid import DEPTH, SIZE

keras = pytest.importorskip("keras")

from HeadrestRemovalLib import network, train, train_pictures  # noqa: E402


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> list[Path]:
    """Ten scenes of a square patient on a square block, as files."""
    from CTVolumeLib.files import npz_bytes, write_atomic

    folder, rng = tmp_path_factory.mktemp("scenes"), np.random.default_rng(0)
    paths = []
    for number in range(10):
        shares = np.zeros((compose.SLICES, SIZE, SIZE, 5), np.uint8)
        hu = rng.normal(-1000, 10, shares.shape[:3])
        top, left = rng.integers(40, 60), rng.integers(40, 60)
        for label, value, rows in ((PATIENT, 40, (top, top + 40)), (HEADREST, 90, (top + 40, top + 50))):
            hu[:, rows[0] : rows[1], left : left + 45] = value
            shares[:, rows[0] : rows[1], left : left + 45, label] = 255
        shares[..., 0] = 255 - shares[..., 1:].max(axis=-1)
        path = folder / f"{number}.npz"
        write_atomic(path, npz_bytes({"hu": hu.astype(np.int16), "shares": shares, "kind": np.array("square")}))
        paths.append(path)
    return paths


@pytest.mark.parametrize(
    ("name", "given", "result", "parameters"),
    [
        ("compact", (160, 160, 5), (160, 160, 5), (150_000, 500_000)),
        ("same-7", (512, 512, 1), (512, 512, 2), (31_000_000, 32_000_000)),
        ("valid-3", (512, 512, 1), (472, 472, 2), (110_000, 120_000)),
    ],
)
def test_networks_by_name(name, given, result, parameters):
    model = network.build(name)
    assert model.input_shape[1:] == given
    assert model.output_shape[1:] == result
    assert parameters[0] < model.count_params() < parameters[1]


def test_an_unknown_network_is_said():
    with pytest.raises(CTError) as caught:
        network.build("large")
    assert caught.value.code == "bad_option"
    assert "compact" in caught.value.hint


def test_the_compact_network_has_the_same_weights_at_any_size():
    small, whole = network.compact(64), network.compact()
    whole.set_weights(small.get_weights())
    x = np.zeros((1, SIZE, SIZE, DEPTH), np.float32)
    x[:, 48:112, 48:112] = np.random.default_rng(0).normal(0, 0.3, (64, 64, DEPTH))
    shares = np.asarray(whole(x, training=False))
    assert shares.sum(axis=-1) == pytest.approx(1, abs=1e-5)


def test_the_seam_counts_more():
    truth = np.zeros((2, 8, 8, 5), np.float32)
    truth[..., 0] = 1
    truth[:, 2:6, :4, 0], truth[:, 2:6, :4, PATIENT] = 0, 1
    truth[1, 2:6, 4:, 0], truth[1, 2:6, 4:, HEADREST] = 0, 1
    guess = np.full_like(truth, 0.2)
    at_the_seam, far = guess.copy(), guess.copy()
    at_the_seam[1, 3, 3], far[1, 0, 0] = [0.01, 0.96, 0.01, 0.01, 0.01], [0.96, 0.01, 0.01, 0.01, 0.01]
    whole, seam, away = (float(train.share_loss(truth, one)) for one in (guess, at_the_seam, far))
    assert whole == pytest.approx(np.log(5), rel=1e-4)
    assert whole - seam > 3 * (whole - away) > 0


def test_a_batch_has_its_number(scenes):
    first, second = (batch for batch, _ in zip(train_scenes.batches(scenes, 8, seed=1), range(2)))
    again = next(train_scenes.batches(scenes, 8, seed=1, first=1))
    assert first[0].shape == (8, 128, 128, DEPTH)
    assert first[1].shape == (8, 128, 128, 5)
    assert np.array_equal(second[0], again[0])
    assert not np.array_equal(first[0], second[0])
    # what is dense is patient or headrest, wherever the picture was cut and turned
    dense = first[0][..., DEPTH // 2] > -0.5
    assert np.array_equal(dense, first[1][..., 1:].sum(axis=-1) > 0.5)


def test_scenes_are_composed_once_and_of_their_own_part(tmp_path, monkeypatch):
    rows = [{"id": f"hn{n}", "patient": f"hn{n}", "use": "train", "equipment": "no"} for n in range(40)]
    with (tmp_path / "scans.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    learn, check = (train_scenes.Source(tmp_path, part) for part in ("train", "validation"))
    assert not set(train_scenes.patients(learn)) & set(train_scenes.patients(check))
    made: list[int] = []

    def compose_one(source: train_scenes.Source, number: int) -> compose.Scene:
        made.append(number)
        return compose.Scene(np.zeros((1, 2, 2), np.int16), np.zeros((1, 2, 2, 5), np.uint8), "x")

    monkeypatch.setattr(train_scenes, "compose_one", compose_one)
    paths = train_scenes.make(learn, tmp_path / "kept", 3)
    paths[1].unlink()
    assert train_scenes.make(learn, tmp_path / "kept", 4)[:3] == paths
    assert made == [0, 1, 2, 1, 3]
    assert train_scenes.read(paths[1]).kind == "x"


@pytest.mark.slow
def test_a_short_training_learns_shows_and_goes_on(scenes, tmp_path):
    settings = replace(train.Settings(), epochs=2, batches=6, batch=8, validation_batches=1, learning_rate=3e-3)
    model, record = train.train(scenes, scenes, tmp_path / "whole", settings)
    assert record["epochs"] == 2
    log = (tmp_path / "whole" / "log.csv").read_text().splitlines()
    losses = [float(line.split(",")[1]) for line in log[1:]]
    assert losses[1] < losses[0]
    assert model.input_shape == (None, SIZE, SIZE, DEPTH)

    from PIL import Image

    names = sorted(path.name for path in (tmp_path / "whole" / train_pictures.FOLDER).iterdir())
    assert names == ["epoch_001.png", "epoch_002.png"]
    with Image.open(tmp_path / "whole" / train_pictures.ANIMATION) as animation:
        assert animation.n_frames == 2
    # a second stage begins with the first's weights, and not with others
    start = tmp_path / "whole" / "best.npz"
    _, more = train.train(scenes, scenes, tmp_path / "more", replace(settings, epochs=1, learning_rate=1e-6), start)
    assert more["validation_loss"] == pytest.approx(record["validation_loss"], rel=0.2)


def test_the_same_ten_slices_show_equipment(scenes):
    pictures, truth = train_pictures.choose([train_scenes.read(path) for path in scenes])
    assert pictures.shape == (10, SIZE, SIZE, DEPTH)
    assert (truth[..., HEADREST] > 0.5).any(axis=(1, 2)).all()

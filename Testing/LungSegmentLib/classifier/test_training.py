from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from CTVolumeLib.errors import CTError

pytest.importorskip("tensorflow")
from CTVolumeLib import network_checkpoints as checkpoints
from LungSegmentLib.classifier import augmentation, network_model, networks, training
from LungSegmentLib.classifier.augmentation import Strength
from LungSegmentLib.classifier.inputs import InputOptions
from LungSegmentLib.classifier.prepared import PreparedScan
from support_classifier import SHAPE, prepared_scans

OPTIONS = InputOptions(part="whole", shape=SHAPE)
SHORT = training.Settings(epochs=3, batch=4, seed=1)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return prepared_scans(tmp_path_factory.mktemp("scans"), 18)


def weights(model):
    return [np.array(weight) for weight in model.weights]


@pytest.mark.parametrize(
    ("name", "least", "most"), [("small", 100, 200), ("example", 1e6, 2e6), ("resnet10", 14e6, 15e6)]
)
def test_networks_have_the_size_that_is_told(name, least, most):
    assert least <= networks.parameters(name, (64, 128, 128)) <= most


def test_small_is_few_parameters_for_each_of_a_hundred_scans():
    assert networks.parameters("small", (64, 128, 128)) < 1000 * 100


@pytest.mark.slow
@pytest.mark.parametrize("name", networks.NETWORKS)
def test_every_network_answers_with_a_probability(name):
    model = networks.build(name, SHAPE)
    answer = training.score(model, np.random.default_rng(0).uniform(size=(2, *SHAPE, 1)).astype(np.float32))
    assert answer.shape == (2,)
    assert np.all((answer > 0) & (answer < 1))


@pytest.mark.slow
def test_killed_and_started_again_it_gives_the_same(scans, tmp_path):
    """Cancelled after the first epoch, as a kill would; and the same again without: one seed, one result."""
    learn, check = scans[:12], scans[12:]
    straight, record = training.train(learn, check, tmp_path / "a", SHORT, OPTIONS)

    def stop(done, _total, _text):
        return done < 5

    with pytest.raises(CTError, match="cancelled"):
        training.train(learn, check, tmp_path / "b", SHORT, OPTIONS, progress=stop)
    assert checkpoints.record(tmp_path / "b")["epochs"] == 1
    resumed, again = training.train(learn, check, tmp_path / "b", SHORT, OPTIONS)
    assert (tmp_path / "a/log.csv").read_text() == (tmp_path / "b/log.csv").read_text()
    assert record["best_epoch"] == again["best_epoch"]
    assert all(np.array_equal(one, other) for one, other in zip(weights(straight), weights(resumed)))
    with pytest.raises(CTError, match="another training run"):
        training.train(learn, check, tmp_path / "b", replace(SHORT, seed=2), OPTIONS)
    with pytest.raises(CTError, match="another training run"):
        training.train(learn, check, tmp_path / "b", SHORT, replace(OPTIONS, part="centre"))


@pytest.mark.slow
def test_it_learns_what_is_plain_to_see(scans, tmp_path):
    settings = training.Settings(epochs=40, batch=6, patience=40, augmentation="none")
    model, _ = training.train(scans[:12], scans[12:], tmp_path, settings, OPTIONS)
    given = training.scores(model, scans[12:])
    labels = np.array([scan.label for scan in scans[12:]])
    assert given[labels == 1].min() > given[labels == 0].max()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_small_learns_with_any_seed_what_no_histogram_tells(tmp_path, seed):
    """Each scan has as many voxels of haze; the finding is that they lie together."""
    scans = _hazy_scans(tmp_path / "scans", 60)
    settings = training.Settings(epochs=20, augmentation="none", seed=seed)
    model, _ = training.train(scans[:40], scans[40:], tmp_path / "run", settings, OPTIONS)
    given = training.scores(model, scans[40:])
    labels = np.array([scan.label for scan in scans[40:]])
    assert np.mean(given[labels == 1][:, None] > given[labels == 0]) > 0.8


@pytest.mark.slow
def test_validation_scans_are_never_learned_from(scans, tmp_path):
    """What is scored may decide nothing: with their labels turned round the training is the same, but for its end."""
    learn, check = scans[:12], scans[12:]
    labels = {scan.name: scan.label for scan in scans}
    turned = labels | {scan.name: 1 - scan.label for scan in check}
    settings = replace(SHORT, epochs=1)
    models = [
        training.train(learn, check, tmp_path / str(n), settings, OPTIONS, labels=some)[0]
        for n, some in enumerate((labels, turned))
    ]
    assert all(np.array_equal(one, other) for one, other in zip(*map(weights, models)))


def test_each_scan_is_shown_once_an_epoch_and_varied_differently(scans):
    settings = replace(SHORT, augmentation="none", batch=4)
    labels = {scan.name: scan.label for scan in scans}
    batches = list(islice(training._endless(scans[:8], labels, settings, 0), 4))
    keys = [[float(picture.sum()) for picture in pictures] for pictures, _ in batches]
    assert sorted(keys[0] + keys[1]) == sorted(keys[2] + keys[3])
    assert keys[0] + keys[1] != keys[2] + keys[3]
    for pictures, targets in batches:
        wanted = [next(s.label for s in scans if np.array_equal(s.input(), p[..., 0])) for p in pictures]
        assert targets[:, 0].tolist() == wanted
    later = next(training._endless(scans[:8], labels, settings, 1))
    np.testing.assert_array_equal(later[0], batches[2][0])  # a run that goes on goes on the same


@pytest.mark.parametrize("schedule", ["exponential", "steps"])
def test_the_rate_falls_as_it_is_told(schedule):
    from CTVolumeLib.network_fitting import Lengths

    settings = training.Settings(epochs=10, schedule=schedule, learning_rate=1.0)
    rate = training._optimizer(settings, Lengths(10, 10, 5))._learning_rate
    values = [float(rate(step)) for step in (0, 45, 60, 95, 99)]
    assert values[0] == 1
    if schedule == "steps":
        np.testing.assert_allclose(values, [1, 1, 0.1, 0.01, 0.01], rtol=1e-5)
    else:
        np.testing.assert_allclose(values, 0.05 ** (np.array([0, 45, 60, 95, 99]) / 100), rtol=1e-4)


def test_a_turn_is_a_turn():
    """A quarter turn of a cube is what numpy makes of it, and no augmentation is nothing."""
    cube = np.random.default_rng(0).uniform(size=(4, 9, 9)).astype(np.float32)

    class Quarter:
        def uniform(self, low, high, size=None):
            return high if size is None else np.zeros(size)

        def integers(self, _):
            return 0

    turned = augmentation.vary(cube, Strength(degrees=90), Quarter())
    options = [np.rot90(cube, times, (1, 2)) for times in (1, 3)]
    assert min(np.abs(turned - option).max() for option in options) < 1e-4
    assert augmentation.vary(cube, None, np.random.default_rng(0)) is cube


def test_variation_is_small_and_stays_inside():
    ball = np.zeros((16, 32, 32), np.float32)
    ball[6:10, 12:20, 12:20] = 1
    for seed in range(20):
        varied = augmentation.vary(ball, augmentation.STRENGTHS["own"], np.random.default_rng(seed))
        assert varied.shape == ball.shape
        assert 0 <= varied.min() <= varied.max() <= 1
        assert varied.sum() == pytest.approx(ball.sum(), rel=0.15)


def test_a_model_on_disk_is_the_same_and_a_damaged_one_is_refused(tmp_path):
    model = networks.build("small", SHAPE)
    network_model.save(tmp_path / "m/mine", model, OPTIONS, 0.37, {"trained_on": {"scans": 3}})
    for name in ("mine", "mine.npz", "mine.json"):
        loaded = network_model.load(tmp_path / "m" / name)
        assert (loaded.threshold, loaded.options) == (0.37, OPTIONS)
        assert all(np.array_equal(one, other) for one, other in zip(weights(model), weights(loaded.network)))
    with pytest.raises(CTError, match="no model"):
        network_model.load(tmp_path / "nothing.npz")
    path = tmp_path / "m/mine.npz"
    path.write_bytes(path.read_bytes()[:-10] + b"0123456789")
    with pytest.raises(CTError, match="is not the file") as caught:
        network_model.load(path)
    assert caught.value.code == "bad_model"


@pytest.mark.parametrize("wrong", [{"network": "x"}, {"schedule": "x"}, {"augmentation": "x"}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(CTError, match="There is no"):
        training.Settings(**wrong)


@pytest.mark.slow
def test_runs_on_all_devices_that_there_are(scans, tmp_path):
    """Without a GPU that is one CPU in 32 bits, but by the same calls as on many."""
    from CTVolumeLib.network_fitting import Machine

    machine = Machine(mixed_precision=True, distribute=True)
    settings = replace(SHORT, epochs=1)
    model, record = training.train(scans[:10], scans[10:14], tmp_path, settings, OPTIONS, machine=machine)
    assert record["epochs"] == 1
    assert model.dtype_policy.name == "float32"
    assert np.isfinite(training.scores(model, scans[14:])).all()


def test_a_share_is_that_of_the_place():
    """Of a place half air, half water; what lies between two values counts for both."""
    values = np.zeros((1, 32, 64, 64, 1), np.float32)
    values[:, :, :, 1::2] = 0.525  # half way between the values 10 and 11 of 0 to 20
    shares = np.asarray(networks.build("small", (32, 64, 64)).get_layer("shares")(values))
    assert shares.shape == (1, *networks.PLACES, networks.BINS)
    np.testing.assert_allclose(shares.sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(shares[0, 3, 4, 5, [0, 10, 11]], [0.5, 0.25, 0.25], atol=1e-5)


def _hazy_scans(folder, count):
    """Lungs in a body, denser to the back, and forty voxels of haze: in a heap or, in every second scan, strewn."""
    found = []
    for number in range(count):
        rng = np.random.default_rng(number)
        values = rng.normal(0.1, 0.02, SHAPE) + np.linspace(0, rng.uniform(0, 0.15), SHAPE[1])[:, None]
        places = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1).reshape(-1, 3)
        far = np.linalg.norm(places - rng.uniform(3, np.array(SHAPE) - 4), axis=1) if number % 2 == 0 else None
        chosen = places[rng.permutation(len(places)) if far is None else np.argsort(far)][:40]
        values[tuple(chosen.T)] = rng.normal(0.3, 0.02, 40)
        values[:, :, [0, 1, -2, -1]] = rng.normal(0.7, 0.03, (*SHAPE[:2], 4))
        values[rng.uniform(size=SHAPE) < 0.05] = 0.75
        path = folder / f"s{number:03d}"
        path.mkdir(parents=True)
        np.save(path / "input.npy", np.clip(values, 0, 1).astype(np.float16))
        found.append(PreparedScan(path.name, int(number % 2 == 0), f"p{number}", path))
    return found

"""Training in small: a seed gives the same weights again, and after a kill it goes on as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from CTSliceLocalizerLib import dataset, training  # noqa: E402
from CTVolumeLib import network_checkpoints as checkpoints  # noqa: E402
from CTVolumeLib import network_fitting as fitting  # noqa: E402
from CTVolumeLib.errors import CTError  # noqa: E402
from support_training import compact_store, series, tiny_networks  # noqa: E402

SETTINGS = training.Settings(seed=3, epochs=3, batches=3, validation_batches=1)
KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from CTSliceLocalizerLib import dataset, training
import test_training as here

dataset.SLICES_A_BATCH, dataset.LENGTHS = 12, (6,)
told = lambda number, losses: os.kill(os.getpid(), signal.SIGKILL) if number == 2 else None
training.train(*here.scans(), Path(sys.argv[1]), here.SETTINGS, told=told)
"""


def scans() -> tuple[list[dataset.Scan], list[dataset.Scan]]:
    made = []
    for number in range(3):
        one = series(number)
        made.append(dataset.Scan(one.name, one.patient, "other", one.grid, one.annotations, one.body_mm, one.sigma_mm))
    return made[:2], made[2:]


def weights_of(parts: dict[str, keras.Model]) -> list[np.ndarray]:
    assert set(parts) == {"encoder", "context", "skeleton", "airway"}
    return [weight for part in parts.values() for weight in part.get_weights()]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "SLICES_A_BATCH", 12)
    monkeypatch.setattr(dataset, "LENGTHS", (6,))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[np.ndarray], dict]:
    """A run that nothing disturbed: its folder, weights and record."""
    work = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "SLICES_A_BATCH", 12)
        patch.setattr(dataset, "LENGTHS", (6,))
        parts, record = training.train(*scans(), work, SETTINGS)
    return work, weights_of(parts), record


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_a_killed_run_ends_as_if_it_had_not_been_killed(whole: tuple, tmp_path: Path) -> None:
    """Another process, killed after its second epoch, so this is also the same seed twice."""
    here = str(Path(__file__).parent)
    support = str(Path(__file__).parents[1])
    paths = os.pathsep.join([support, *sys.path])
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), here],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()[-2000:]
    assert len((tmp_path / checkpoints.LOG).read_text().splitlines()) == 3
    parts, record = training.train(*scans(), tmp_path, SETTINGS)
    work, weights, expected = whole
    assert (tmp_path / checkpoints.LOG).read_bytes() == (work / checkpoints.LOG).read_bytes()
    assert record == expected
    assert record["epochs"] == 3
    for one, other in zip(weights_of(parts), weights, strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.slow
def test_another_seed_gives_other_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_networks(monkeypatch)
    weights = []
    for name, seed in (("a", 3), ("b", 4), ("c", 3)):
        settings = training.Settings(seed=seed, epochs=1, batches=2, validation_batches=1)
        parts, _ = training.train(*scans(), tmp_path / name, settings)
        weights.append(parts["encoder"].get_weights()[0])
    assert not np.allclose(weights[0], weights[1])
    np.testing.assert_array_equal(weights[0], weights[2])


@pytest.mark.slow
def test_what_is_in_the_work_folder_makes_the_same_networks(whole: tuple) -> None:
    work, weights, _ = whole
    parts, finished = training.trained(work)
    assert finished
    for one, other in zip(weights_of(parts), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    run = checkpoints.read_run(work)
    assert (run["train"], run["validation"], run["patients"]) == (["1.2.3.0", "1.2.3.1"], ["1.2.3.2"], 2)


@pytest.mark.slow
def test_a_run_of_something_else_is_not_gone_on_with(whole: tuple) -> None:
    learn, check = scans()
    for settings, data in ((training.Settings(seed=5), learn), (SETTINGS, learn[:1])):
        with pytest.raises(CTError, match="another training run") as caught:
            training.train(data, check, whole[0], settings)
        assert caught.value.code == "other_run"


@pytest.mark.slow
def test_mixed_precision_ends_in_plain_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tiny_networks(monkeypatch)
    monkeypatch.setattr(fitting, "gpus", lambda: ["a GPU"])
    seen = []
    compiled = training._compiled
    monkeypatch.setattr(training, "_compiled", lambda model, *more: seen.append(model) or compiled(model, *more))
    settings = training.Settings(seed=3, epochs=1, batches=2, validation_batches=1)
    machine = fitting.Machine(mixed_precision=True)
    parts, record = training.train(*scans(), tmp_path, settings, machine=machine)
    assert len(seen) == 3, "slices, then each view"
    for model in seen:
        assert model.layers[1].compute_dtype == "float16"
        assert {output.dtype for output in model.outputs} == {"float32"}
    assert {layer.compute_dtype for part in parts.values() for layer in part.layers} == {"float32"}
    assert keras.mixed_precision.dtype_policy().name == "float32"
    assert np.isfinite(record["validation_loss"])
    assert checkpoints.read_run(tmp_path)["precision"] == "mixed_float16"


def test_mixed_precision_is_left_off_without_a_gpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fitting, "gpus", list)
    assert fitting.Machine(mixed_precision=True).policy == "float32"
    assert "no GPU" in caplog.text


SHARED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from CTSliceLocalizerLib import dataset, training
from CTVolumeLib import network_fitting as fitting
import test_training as here

here.tiny_networks(here.pytest.MonkeyPatch())
dataset.SLICES_A_BATCH, dataset.LENGTHS = 24, (6,)
mirrored = tf.distribute.MirroredStrategy
made = []
tf.distribute.MirroredStrategy = lambda: made.append(mirrored(["CPU:0", "CPU:1"])) or made[-1]
settings = training.Settings(seed=3, epochs=1, batches=2, validation_batches=1, augmentation="none")
training.train(*here.scans(), Path(sys.argv[1]), settings, machine=fitting.Machine(distribute=True))
print("replicas", made[0].num_replicas_in_sync)
"""


@pytest.mark.slow
def test_batches_are_shared_among_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processors stand in for two GPUs; dropout draws other numbers, so the losses are only alike."""
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    process = subprocess.run(
        [sys.executable, "-c", SHARED, str(tmp_path / "two"), str(Path(__file__).parent)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert "replicas 2" in process.stdout, process.stderr[-3000:]
    tiny_networks(monkeypatch)
    monkeypatch.setattr(dataset, "SLICES_A_BATCH", 24)
    settings = training.Settings(seed=3, epochs=1, batches=2, validation_batches=1, augmentation="none")
    training.train(*scans(), tmp_path / "one", settings)
    two, one = (checkpoints.record(tmp_path / name)["validation_loss"] for name in ("two", "one"))
    assert two == pytest.approx(one, rel=0.1)


def test_the_pipeline_gives_the_batches_in_their_order() -> None:
    learn, _ = scans()
    strength = training.augmentation.STRENGTHS["own"]
    sequences = dataset.Sequences(learn, batches=3, seed=1, strength=strength)
    made = list(sequences.pipeline(1, 3))
    assert len(made) == 6
    for number, (hu, targets, weights) in enumerate(made):
        expected = sequences.batch(1 + number // 3, number % 3)
        got = (hu, targets["body"], weights["body"], targets["landmarks"], targets["orientation"])
        for one, other in zip(got, expected, strict=True):
            np.testing.assert_array_equal(one, other)
    assert not np.array_equal(made[0][0], made[3][0])


def test_a_store_gives_the_scans_of_a_part(tmp_path: Path) -> None:
    compact_store(tmp_path / "store")
    (scan,) = dataset.from_store(tmp_path / "store", ["1.2.3.1"])
    expected = series(1)
    assert (scan.name, scan.patient, scan.annotations) == (expected.name, expected.patient, expected.annotations)
    np.testing.assert_array_equal(scan.grid.hu, expected.grid.hu)
    np.testing.assert_array_equal(scan.body_mm, expected.body_mm)


def test_too_little_data_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    learn, _ = scans()
    with pytest.raises(CTError, match="no scan of at least"):
        dataset.Sequences([], batches=1, seed=0, strength=None)
    monkeypatch.setattr(dataset, "LENGTHS", (30, 40))
    with pytest.raises(CTError, match="at least 116 mm among 2"):
        dataset.Sequences(learn, batches=1, seed=0, strength=None)

"""A run on disk: goes on to the last bit, stops when nothing improves, refuses what is not its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from CTVolumeLib import network_checkpoints as checkpoints  # noqa: E402
from CTVolumeLib import network_fitting as fitting  # noqa: E402
from CTVolumeLib.errors import CTError  # noqa: E402

LENGTHS = fitting.Lengths(epochs=4, batches=2, patience=9)


def tiny() -> keras.Model:
    keras.utils.set_random_seed(1)
    x = keras.Input((3,))
    y = keras.layers.BatchNormalization()(keras.layers.Dense(4)(x))
    model = keras.Model(x, keras.layers.Dense(1)(keras.layers.Dropout(0.5)(y)))
    model.compile(keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.5), loss="mse")
    return model


def batches(epoch: int, epochs: int = LENGTHS.epochs) -> tf.data.Dataset:
    """Batch n is always the same."""

    def made(number: np.int64) -> tuple[np.ndarray, np.ndarray]:
        x = np.random.default_rng(int(number)).random((8, 3), np.float32)
        return x, x[:, :1]

    def tensors(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x, y = tf.numpy_function(made, [number], [tf.float32, tf.float32])
        x.set_shape((8, 3))
        y.set_shape((8, 1))
        return x, y

    return tf.data.Dataset.range(epoch * LENGTHS.batches, epochs * LENGTHS.batches).map(tensors)


def fit(work: Path, **options: object) -> dict:
    check = batches(0, 1).map(lambda x, y: (x + 1, y))
    options = {"averaged": True, **options}
    lengths = options.pop("lengths", LENGTHS)
    return fitting.fit(tiny(), batches, check, work, lengths, **options)


class Killed(BaseException):
    """Nothing of the program catches it."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("whole")
    assert fit(work)["epochs"] == LENGTHS.epochs
    return work


@pytest.mark.parametrize("written", [0, 1, 2, 5])
def test_killed_between_any_two_files(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """Best weights, state and log are three files; whichever is the last, the run ends in the same bytes."""
    left = written

    def counted(function):
        def write(path: Path, *args: object, **named: object) -> None:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            function(path, *args, **named)

        return write

    with monkeypatch.context() as killing:
        killing.setattr(checkpoints, "_write_arrays", counted(checkpoints._write_arrays))
        killing.setattr(checkpoints, "write_atomic", counted(checkpoints.write_atomic))
        with pytest.raises(Killed):
            fit(tmp_path)
    fit(tmp_path)
    for name in (checkpoints.STATE, checkpoints.BEST, checkpoints.LOG):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes(), name


def test_the_weights_validated_best_are_kept(whole: Path) -> None:
    """What is kept validates as the log says, with the mean of the last weights."""
    model = tiny()
    checkpoints.load_weights(model, whole / checkpoints.BEST)
    record = checkpoints.record(whole)
    check = batches(0, 1).map(lambda x, y: (x + 1, y))
    assert model.evaluate(check, verbose=0) == pytest.approx(record["validation_loss"], abs=1e-4)


def test_the_log_has_a_row_for_each_epoch(whole: Path) -> None:
    rows = (whole / checkpoints.LOG).read_text().splitlines()
    assert rows[0] == "epoch,loss,val_loss"
    assert [row.split(",")[0] for row in rows[1:]] == ["1", "2", "3", "4"]


def test_tensorboard_finds_the_losses(whole: Path) -> None:
    rows = [row.split(",") for row in (whole / checkpoints.LOG).read_text().splitlines()[1:]]
    found = []
    for file in (whole / checkpoints.BOARD).iterdir():
        for record in tf.data.TFRecordDataset(str(file), buffer_size=1 << 16):
            event = tf.compat.v1.Event.FromString(record.numpy())
            found += [(event.step, one.tag, float(tf.make_ndarray(one.tensor))) for one in event.summary.value]
    expected = [(int(row[0]), name, float(value)) for row in rows for name, value in zip(("loss", "val_loss"), row[1:])]
    assert [one[:2] for one in found] == [one[:2] for one in expected]
    np.testing.assert_allclose([one[2] for one in found], [one[2] for one in expected], rtol=1e-6)


def test_stops_when_nothing_improves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the epochs without improvement lie on both sides of a stop."""
    losses = iter([3.0, 2.0, 2.5, 2.6, 2.7, 2.8])
    worse = checkpoints.Keeper.on_epoch_end

    def scripted(self: checkpoints.Keeper, epoch: int, logs: dict) -> None:
        worse(self, epoch, {**logs, "val_loss": next(losses)})

    monkeypatch.setattr(checkpoints.Keeper, "on_epoch_end", scripted)
    assert fit(tmp_path, lengths=fitting.Lengths(3, 2, 3))["epochs"] == 3
    record = fit(tmp_path, lengths=fitting.Lengths(9, 2, 3))
    assert record["epochs"] == 5
    assert record["best_epoch"] == 2
    assert fit(tmp_path, lengths=fitting.Lengths(9, 2, 3)) == record


def test_can_be_cancelled_and_goes_on(whole: Path, tmp_path: Path) -> None:
    seen = []

    def progress(done: int, total: int, text: str) -> bool:
        seen.append((done, total, text))
        return done < 5

    with pytest.raises(CTError) as caught:
        fit(tmp_path, progress=progress)
    assert caught.value.code == "cancelled"
    assert seen[-1] == (5, 8, "Epoch 3 of 4")
    fit(tmp_path)
    assert (tmp_path / checkpoints.STATE).read_bytes() == (whole / checkpoints.STATE).read_bytes()


def test_a_problem_with_the_data_is_told_as_such(tmp_path: Path) -> None:
    def broken(_: np.int64) -> tuple[np.ndarray, np.ndarray]:
        raise CTError("bad_slice", "3.npz can't be read.", "Convert again.")

    def learn(_: int) -> tf.data.Dataset:
        def tensors(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            x, y = tf.numpy_function(broken, [number], [tf.float32, tf.float32])
            x.set_shape((8, 3))
            y.set_shape((8, 1))
            return x, y

        return tf.data.Dataset.range(99).map(tensors)

    with pytest.raises(CTError, match=r"^3\.npz can't be read\. Convert again\.$"):
        fitting.fit(tiny(), learn, batches(0, 1), tmp_path, LENGTHS, averaged=True)


def test_a_damaged_state_is_refused(whole: Path, tmp_path: Path) -> None:
    data = (whole / checkpoints.STATE).read_bytes()
    (tmp_path / checkpoints.STATE).write_bytes(data[: len(data) // 2])
    with pytest.raises(CTError, match=r"state\.npz of the training run .* damaged"):
        fit(tmp_path)


def test_the_state_of_another_network_is_refused(whole: Path, tmp_path: Path) -> None:
    (tmp_path / checkpoints.STATE).write_bytes((whole / checkpoints.STATE).read_bytes())
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    other.compile("adam", loss="mse")
    with pytest.raises(CTError, match="belongs to another network"):
        fitting.fit(other, batches, batches(0, 1), tmp_path, LENGTHS)


def test_a_run_is_only_gone_on_with_as_what_it_is(tmp_path: Path) -> None:
    checkpoints.begin(tmp_path, {"network": "a", "settings": {"seed": 1}})
    checkpoints.begin(tmp_path, {"network": "a", "settings": {"seed": 1}})
    with pytest.raises(CTError, match="another training run"):
        checkpoints.begin(tmp_path, {"network": "a", "settings": {"seed": 2}})
    with pytest.raises(CTError, match="holds no training run"):
        checkpoints.read_run(tmp_path / "nothing")
    with pytest.raises(CTError, match="No epoch"):
        checkpoints.record(tmp_path)

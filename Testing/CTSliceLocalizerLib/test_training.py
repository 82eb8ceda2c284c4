"""Training in small: a seed gives the same losses again, and after a kill it goes on where it was."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")

from CTSliceLocalizerLib import dataset, groundtruth, slicegrid, training  # noqa: E402
from CTSliceLocalizerLib.groundtruth import Annotation  # noqa: E402

SETTINGS = training.Settings(seed=3, epochs=3, batches=3, validation_batches=1)


def _scan(number: int) -> dataset.Scan:
    rng = np.random.default_rng(number)
    hu = np.full((24, slicegrid.SIZE, slicegrid.SIZE), slicegrid.AIR_HU, np.int16)
    hu[:, 20:70, 20:76] = rng.integers(-100, 200, (24, 50, 56))
    grid = slicegrid.SliceGrid(hu, 4.0 * np.arange(24), np.full(24, 300.0), hu)
    annotations = {"Aortic arch": Annotation(60.0, 3.0), "Bifurcation of trachea": Annotation(30.0, 3.0)}
    body, sigma = groundtruth.body_targets(grid.z_mm, annotations)
    return dataset.Scan(f"s{number}", f"p{number}", "other", grid, annotations, body, sigma)


def _losses(work: Path) -> list[float]:
    with (work / "log.csv").open(newline="", encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "SLICES_A_BATCH", 12)
    monkeypatch.setattr(dataset, "LENGTHS", (6,))
    scans, validation = [_scan(0), _scan(1)], [_scan(2)]
    record = training.train(scans, validation, tmp_path / "whole", SETTINGS)[2]
    assert record["epochs"] == 3

    write_row = keras.callbacks.CSVLogger.on_epoch_end

    def killed_after_the_second_epoch(self: object, epoch: int, logs: dict | None = None) -> None:
        write_row(self, epoch, logs)
        if epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as killing:
        killing.setattr(keras.callbacks.CSVLogger, "on_epoch_end", killed_after_the_second_epoch)
        with pytest.raises(KeyboardInterrupt):
            training.train(scans, validation, tmp_path / "killed", SETTINGS)
    record = training.train(scans, validation, tmp_path / "killed", SETTINGS)[2]
    assert record["epochs"] == 3
    whole, killed = _losses(tmp_path / "whole"), _losses(tmp_path / "killed")
    np.testing.assert_allclose(killed[:2], whole[:2], rtol=1e-5)
    # Dropout draws other numbers after a restart; starting again from nothing would give the first epoch's loss.
    assert killed[2] == pytest.approx(whole[2], rel=0.03)
    assert killed[2] < 0.85 * whole[1]

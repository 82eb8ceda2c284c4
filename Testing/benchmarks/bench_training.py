"""Training the compact network: what limits it, the input pipeline or the network, and are all cores busy?"""

from __future__ import annotations

import os
import time
from pathlib import Path

SCANS, SLICES = 12, 100
BATCHES = 12


def run() -> list[tuple[str, str]]:
    """Time both parts alone, then an epoch of the two together, all with the shipped model's settings."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    from CTSliceLocalizerLib import augmentation, dataset, networks, training

    sequences = dataset.Sequences(
        scans(dataset), batches=BATCHES, seed=0, strength=augmentation.STRENGTHS[training.Settings.augmentation]
    )
    started, cpu = time.perf_counter(), time.process_time()
    made = list(sequences.pipeline(0, 1))
    pipeline, pipeline_cpu = time.perf_counter() - started, time.process_time() - cpu

    keras.utils.set_random_seed(0)
    model = training._compiled(
        networks.joined(networks.encoder(), networks.context()), training.Settings(batches=BATCHES), training.LOSSES
    )
    for batch in {batch[0].shape[1]: batch for batch in made}.values():
        model.train_on_batch(*batch)  # compiles, once for each length
    started, cpu = time.perf_counter(), time.process_time()
    for batch in made:
        model.train_on_batch(*batch)
    network, network_cpu = time.perf_counter() - started, time.process_time() - cpu

    model.fit(sequences.pipeline(0, 1), steps_per_epoch=BATCHES, shuffle=False, verbose=0)  # compiles its own step
    started, cpu, ready = time.perf_counter(), time.process_time(), ready_seconds()
    model.fit(sequences.pipeline(0, 1), steps_per_epoch=BATCHES, shuffle=False, verbose=0)  # the same batches
    together, together_cpu = time.perf_counter() - started, time.process_time() - cpu
    ready = ready_seconds() - ready

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [
        ("batches of 256 slices in a second, input pipeline alone", f"{BATCHES / pipeline:.1f}"),
        ("the same, network alone (forward, backward, update)", f"{BATCHES / network:.2f}"),
        ("the pipeline makes this many times as many as the network takes", f"{network / pipeline:.1f}"),
        (
            "processor time for a batch: pipeline, network, both together",
            f"{pipeline_cpu / BATCHES:.2f} + {network_cpu / BATCHES:.2f}, {together_cpu / BATCHES:.2f} s",
        ),
        ("an epoch together: batches in a second", f"{BATCHES / together:.2f}"),
        ("the same, cores busy with it", f"{together_cpu / together:.2f} of {cores} (load {os.getloadavg()[0]:.1f})"),
        ("the same, threads running or ready to run, whatever else the machine does", f"{ready / together:.2f}"),
    ]


def ready_seconds() -> float:
    """Seconds that the threads of this process have run or waited for a core, by Linux' scheduler; nan elsewhere.

    On a machine with other work the cores that a program gets say nothing of it; how many it could use does.
    """
    try:
        lines = [path.read_text() for path in Path("/proc/self/task").glob("*/schedstat")]
    except OSError:  # a thread has ended meanwhile, or this is not Linux
        return float("nan")
    return sum(int(number) for line in lines for number in line.split()[:2]) / 1e9 if lines else float("nan")


def scans(dataset) -> list:
    """Made-up scans: the work does not depend on what they show."""
    import numpy as np
    from CTSliceLocalizerLib import groundtruth, slicegrid

    made = []
    for number in range(SCANS):
        hu = np.full((SLICES, slicegrid.SIZE, slicegrid.SIZE), slicegrid.AIR_HU, np.int16)
        hu[:, 20:70, 16:80] = np.random.default_rng(number).integers(-100, 200, (SLICES, 50, 64))
        grid = slicegrid.SliceGrid(hu, 4.0 * np.arange(SLICES), np.full(SLICES, 300.0), hu)
        marks = {"Aortic arch": groundtruth.Annotation(200.0, 3.0), "T12": groundtruth.Annotation(60.0, 3.0)}
        body, sigma = groundtruth.body_targets(grid.z_mm, marks)
        made.append(dataset.Scan(f"s{number}", f"p{number}", "other", grid, marks, body, sigma))
    return made


if __name__ == "__main__":
    for row in run():
        print(" | ".join(row))

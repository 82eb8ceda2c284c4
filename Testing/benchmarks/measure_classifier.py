"""What ct-classify promises, measured: python Testing/benchmarks/measure_classifier.py --work DIR.

200 phantom chests, every second one with patches of ground glass whose contrast leaves the histogram of the lungs below
an AUC of 0.8; a small network by five folds, beside the same with shuffled labels. Then the seconds that a prediction
takes beyond reading (512 x 512 x 300), and whether memory grows with the number of scans that a network learns from.
What is finished is kept: start it again after a stop. About 20 minutes of one core.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from CTVolumeLib import phantom
from LungSegmentLib.classifier import (
    evaluation_run,
    network_model,
    networks,
    phantoms,
    table,
    training,
    training_prediction,
)
from LungSegmentLib.classifier.crossvalidation import Plan
from LungSegmentLib.classifier.inputs import InputOptions
from memory import resident

OPTIONS = InputOptions(part="lungs", shape=(32, 64, 64))
SETTINGS = training.Settings(epochs=20, patience=8, learning_rate=2e-2)
PLAN = Plan(folds=5, repetitions=1)
PREDICT_S = 3.0


def accuracy(work: Path, scans: int, seed: int) -> None:
    """AUC of network, histogram and shuffled labels against their bars."""
    path = phantoms.write(work / "phantoms", scans, seed, progress=told)
    _, figures = evaluation_run.evaluate(
        table.read(path), work / "evaluation", OPTIONS, SETTINGS, PLAN, cases=1, progress=told
    )
    rows = {name: row.auc for name, row in figures.rows.items()}
    network, histogram, shuffled = rows["network"], rows["histogram"], rows["shuffled"]
    print(f"\n{figures.verdict}\n" + "\n".join((*figures.alerts, *figures.good)))
    say("AUC of the network", network.text(3), ">= 0.9", network.value >= 0.9)
    say("its lower bound", f"{network.low:.3f}", f"> {histogram.value:.3f}", network.low > histogram.value)
    say("AUC of the histogram", histogram.text(3), "< 0.8", histogram.value < 0.8)
    say("AUC of spacing, size, scanner", rows["header"].text(3), "0.5 inside", rows["header"].low <= 0.5)
    say("AUC with shuffled labels", shuffled.text(3), "0.5 inside", shuffled.low <= 0.5 <= shuffled.high)


def speed() -> None:
    """Seconds of a prediction beyond reading, each network, on its usual input of 128 x 128 x 64."""
    options = InputOptions()
    parameters = phantom.PhantomParameters(
        spacing=(0.8, 0.8, 1.1), field_mm=410, coverage=(0.14, 0.345), arms="up", seed=1
    )
    volume = phantom.make(parameters).volume
    for name in networks.NETWORKS:
        classifier = network_model.Classifier(networks.build(name, options.shape), options, 0.5, {})
        training_prediction.predict(volume, classifier)  # what is loaded once does not count
        start, processor = time.perf_counter(), time.process_time()
        training_prediction.predict(volume, classifier)
        seconds, used = time.perf_counter() - start, time.process_time() - processor
        size = " x ".join(str(count) for count in volume.array.shape[::-1])
        say(f"predict, {name}, {size}", f"{seconds:.2f} s ({used:.2f} s of processor)", "<= 3 s", used <= PREDICT_S)


def memory(work: Path, few: int = 20, many: int = 200) -> None:
    """Bytes held after an epoch on few and on many scans: inputs of 128 x 128 x 64 made of noise."""
    import numpy as np
    from LungSegmentLib.classifier.prepared import PreparedScan

    options, settings = InputOptions(), training.Settings(epochs=1, batch=4, augmentation="none")
    values = np.random.default_rng(0).uniform(size=options.shape).astype(np.float16)
    scans = []
    for number in range(many):
        folder = work / "noise" / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "input.npy", values)
        scans.append(PreparedScan(str(number), number % 2, str(number), folder))
    held = []
    for run, count in enumerate((few, few, many)):  # the first loads what is loaded once
        chosen = scans[:count]
        work_folder = work / "memory" / str(run)
        training.train(chosen[4:], chosen[:4], work_folder, settings, options)
        held.append(resident() / 2**20)
    more = held[2] - held[1]
    whole = (many - few) * values.nbytes / 2**20
    say(f"memory, {many} scans against {few}", f"{more:+.0f} MB, the inputs are {whole:.0f} MB", "no growth", more < 60)


def say(what: str, found: str, bar: str, met: bool) -> None:
    """A line of the table."""
    print(f"{what:34} {found:40} {bar:14} {'met' if met else 'MISSED'}", flush=True)


def told(done: int, total: int, text: str) -> bool:
    """Progress, now and then."""
    if done % max(total // 20, 1) == 0:
        print(f"  {text} {done}/{total}", flush=True)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--scans", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="another number is other patients")
    parser.add_argument("--only", choices=("accuracy", "speed", "memory"))
    arguments = parser.parse_args()
    if arguments.only in (None, "speed"):
        speed()
    if arguments.only in (None, "memory"):
        memory(arguments.work)
    if arguments.only in (None, "accuracy"):
        accuracy(arguments.work, arguments.scans, arguments.seed)


if __name__ == "__main__":
    main()

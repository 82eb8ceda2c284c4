"""Speed of both engines on a network like the shipped one, in thousand millions of multiplications a second (GMAC/s).

Run it alone with ``python Testing/benchmarks/bench_inference.py [model.npz]``.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

import numpy as np
from CTVolumeLib.errors import CTError
from CTVolumeLib.inference import Model

Row = tuple[str, str, str]

SHIPPED = Path(__file__).resolve().parents[2] / "CTSliceLocalizer" / "Resources" / "Models"
BAR = {"numpy": ">= 24 GMAC/s on 2 cores", "litert": "no slower than numpy"}
TURNS = 5


def run(path: Path | None = None, slices: int = 256) -> list[Row]:
    """Time the encoder of a model with each engine that is here; the best of five counts.

    Args:
        path: the ``.npz`` of a model; where omitted the shipped one.
        slices: number of slices.

    Returns:
        Rows of name, value and what is asked for.
    """
    path = path or next(iter(sorted(SHIPPED.glob("*.npz"))), None)
    if path is None:
        return [("inference", "no model is there yet", "")]
    rows: list[Row] = []
    for engine in ("numpy", "litert"):
        try:
            part = Model.load(path, engine).parts["encoder"]
        except CTError as error:
            rows.append((f"encoder in {engine}", error.message, BAR[engine]))
            continue
        x = np.random.default_rng(0).random((slices, *part.inputs[0][1]), np.float32)
        best = min(_seconds(part, x) for _ in range(TURNS))
        rate = part.macs() * slices / best / 1e9
        value = f"{rate:.1f} GMAC/s ({part.macs() / 1e6:.1f} million for a slice, {best / slices * 1e3:.2f} ms)"
        rows.append((f"encoder in {engine}", value, BAR[engine]))
    return rows


def _seconds(part: object, x: np.ndarray) -> float:
    start = time.perf_counter()
    part.predict(x)
    return time.perf_counter() - start


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    for row in run(Path(sys.argv[1]) if len(sys.argv) > 1 else None):
        print(" | ".join(row))

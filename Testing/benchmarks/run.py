"""All benchmarks, one table: ``make bench``. Figures are ratios of things measured side by side in this run."""

from __future__ import annotations

import bench_convert
import bench_headrest
import bench_inference
import bench_linked_scrolling
import bench_locate
import bench_lungs
import bench_reading
import bench_selecting
import bench_training


def main() -> None:
    for bench in (
        bench_reading, bench_inference, bench_locate, bench_convert, bench_linked_scrolling, bench_selecting,
        bench_training, bench_lungs, bench_headrest,
    ):  # fmt: skip
        print(f"\n{(bench.__doc__ or '').splitlines()[0]}")
        for row in bench.run():
            print("  " + " | ".join(str(cell) for cell in row), flush=True)


if __name__ == "__main__":
    main()

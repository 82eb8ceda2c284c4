"""Make the pictures of Docs/Train-your-own.md again: python Testing/make_tutorial_pictures.py --work DIR.

It runs the tutorial's commands as they are written in DIR (what is finished there is kept; the training takes a
while), and then draws. The picture of the page needs Chromium.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
from CTSliceLocalizerLib import annotations, report_charts
from CTSliceLocalizerLib.cli import main as ct_localize
from CTVolumeLib import dicom, render
from PIL import Image
from support_documents import ROOT, commands, text_of

matplotlib.use("Agg")
from matplotlib import pyplot as plt

DOCS = ROOT / "Docs"
DOCUMENT = "Docs/Train-your-own.md"
SHOWN = (0, 2, 5)
"""Which of the series, by their paths."""


def main() -> None:
    """Run the tutorial where it has not been run, and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for what the tutorial makes")
    work = parser.parse_args().work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(work)
    for line in commands(text_of(DOCUMENT)):
        if line.startswith("phantom") and (work / line.split()[2]).is_dir():
            continue
        print(f"ct-localize {line}", file=sys.stderr)
        if ct_localize(line.split()) > 1:
            sys.exit(f"failed: {line}")
    draw_labels(work / "tree", DOCS / "train-labels.png")
    draw_loss(work / "models" / "mine-training" / "log.csv", DOCS / "train-loss.png")
    shoot_page(work / "evaluation" / "evaluation.html", DOCS / "train-evaluation.png")


def draw_labels(tree: Path, path: Path) -> None:
    """Sagittal sections of some series with their labels."""
    files = sorted(tree.rglob("labels.json"))
    figure, axes = plt.subplots(1, len(SHOWN), figsize=(9.6, 5.6), facecolor="black", layout="constrained")
    for axis, number in zip(axes, SHOWN):
        series = dicom.series_in(files[number].parent)[0]
        volume = dicom.read_series(series).as_axial()
        picture = render.upright(volume, "sagittal", window=(100, 700), mode="mean", slab_mm=16)
        axis.imshow(picture.pixels, cmap="gray", extent=picture.extent_mm, vmin=0, vmax=255)
        heights = {header.source.name: z for header, z in zip(series.slices, series.heights())}
        for name, file in annotations.read_labels(files[number]).landmarks.items():
            axis.axhline(heights[file], color="#ffc24d", linewidth=0.8)
            short = report_charts.SHORT_NAMES.get(name, name)
            axis.text(picture.extent_mm[0] + 4, heights[file] + 2, short, color="#ffc24d", fontsize=8)
        axis.set_axis_off()
    _save(figure, path)


def draw_loss(log: Path, path: Path) -> None:
    """Loss by epoch."""
    with log.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    epochs = np.arange(1, len(rows) + 1)
    figure, axis = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
    for key, name in (("loss", "training"), ("val_loss", "validation")):
        axis.plot(epochs, [float(row[key]) for row in rows], marker="o", label=name)
    axis.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    axis.grid(alpha=0.3)
    axis.legend()
    _save(figure, path)


def shoot_page(page: Path, path: Path, size: tuple[int, int] = (1300, 1540)) -> None:
    """The upper part of a page, so many pixels wide and high, as a browser shows it."""
    shot = page.with_suffix(".png")
    options = f"--headless=new --no-sandbox --disable-gpu --hide-scrollbars --window-size={size[0]},{size[1]}"
    command = ["chromium", *options.split(), f"--screenshot={shot}", page.as_uri()]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    _shrunk(Image.open(shot), path)


def _save(figure: plt.Figure, path: Path) -> None:
    data = io.BytesIO()
    figure.savefig(data, dpi=100)
    plt.close(figure)
    _shrunk(Image.open(data), path)


def _shrunk(picture: Image.Image, path: Path) -> None:
    """With 200 colors a picture of this kind is a third as large and looks the same."""
    picture.convert("RGB").quantize(200, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size // 1024} kB", file=sys.stderr)


if __name__ == "__main__":
    main()

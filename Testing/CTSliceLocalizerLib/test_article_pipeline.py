"""The article's pipeline from end to end with each of its back-ends, tiny: from DICOM files to an evaluated model."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from CTSliceLocalizerLib import article_networks, cli, partition, store
from CTVolumeLib import commands, inference, phantom

SIZE = 80
"""Pixels of a side; InceptionV3 takes no fewer than 75."""
PATIENTS = 3
PARTS = Counter({"train": 1, "validation": 1, "test": 1})


def run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def salt_for(keys: list[str]) -> str:
    """A salt by which three patients fall into three parts."""
    return next(salt for salt in map(str, range(999)) if Counter(partition.part_of(key, salt) for key in keys) == PARTS)


def weights_file(network: str, folder: Path) -> Path:
    """Weights of a back-end as Keras would fetch them; those of ImageNet can't be had in a test."""
    make = article_networks.BACK_ENDS[network].make
    path = folder / f"{network}.weights.h5"
    make(weights=None, include_top=False, input_shape=(SIZE, SIZE, 3)).save_weights(path)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the article's slices and their partition, made by the commands from DICOM of three phantoms."""
    folder = tmp_path_factory.mktemp("article")
    for seed in range(PATIENTS):
        parameters = phantom.PhantomParameters(coverage=(0.17, 0.30), spacing=(8.0, 8.0, 12.0), seed=seed)
        made = phantom.make(parameters)
        phantom.write_dicom(made.volume, folder / f"scans/{seed}", seed=seed, patient_id=f"P{seed}")
    assert run("organize", folder / "scans", "--out", folder / "tree") == commands.DONE
    for series in (folder / "tree").glob("*/*/*"):
        write_labels(series)
    truth = folder / "combined_normalized_locations.json"
    assert run("normalize", folder / "tree", "--out", truth) == commands.DONE
    finish(folder, folder / "tree", truth)
    return folder


def write_labels(series: Path) -> None:
    """Labels of the phantom's arch and carina, by the truth that the phantom's parameters give."""
    import pydicom

    heights = {}
    for file in series.glob("*.dcm"):
        heights[file.name] = float(pydicom.dcmread(file, stop_before_pixels=True).ImagePositionPatient[2])
    seed = int(series.parts[-3].removeprefix("P"))
    made = phantom.make(phantom.PhantomParameters(coverage=(0.17, 0.30), spacing=(8.0, 8.0, 12.0), seed=seed))
    labels = {}
    for name in ("Aortic arch", "Right dome of diaphragm"):
        labels[name] = min(heights, key=lambda file: abs(heights[file] - made.landmarks[name]))
    (series / "labels.json").write_text(json.dumps(labels))


def finish(folder: Path, tree: Path, truth: Path) -> None:
    """Convert and partition."""
    slices = folder / "slices"
    assert run("convert", tree, "--locations", truth, "--out", slices, "--format", "article", "--size", SIZE,
               "--jobs", 1) == commands.DONE  # fmt: skip
    keys = [entry.patient for entry in store.read_index(slices).series]
    assert run("partition", slices, "--salt", salt_for(keys), "--out", folder / "partition.json") == commands.DONE


@pytest.mark.slow
@pytest.mark.parametrize("network", sorted(article_networks.BACK_ENDS))
def test_from_dicom_to_an_evaluated_model(
    data: Path, tmp_path: Path, network: str, capsys: pytest.CaptureFixture
) -> None:
    slices, divided = data / "slices", data / "partition.json"
    known = weights_file(network, tmp_path)
    assert run("train", slices, "--partition", divided, "--network", network, "--weights", known, "--epochs", 1,
               "--batch-size", 8, "--no-litert", "--out", tmp_path / "mine") == commands.DONE  # fmt: skip
    log = (tmp_path / "mine-training/log.csv").read_text().splitlines()
    assert log[0] == "epoch,loss,mae,val_loss,val_mae"
    assert len(log) == 2
    card = json.loads((tmp_path / "mine.json").read_text())
    assert (card["network"], card["started_from"]) == (network, "file")
    assert card["trained_on"] == {"scans": 1, "patients": 1}

    assert run("evaluate", tmp_path / "mine.npz", slices, "--partition", divided, "--engine", "numpy",
               "--out", tmp_path / "evaluation") == commands.DONE  # fmt: skip
    figures = json.loads((tmp_path / "evaluation/evaluation.json").read_text())
    assert figures["part"] == "test"
    assert (tmp_path / "evaluation/evaluation.html").stat().st_size > 10_000

    again = tmp_path / "again/mine.npz"
    assert run("export", tmp_path / "mine-training", "--no-litert", "--out", again) == commands.DONE
    assert again.read_bytes() == (tmp_path / "mine.npz").read_bytes()
    model = inference.Model.load(again, "numpy")
    location = model.parts["slice"].predict(np.zeros((2, SIZE, SIZE, 1), np.uint8))
    assert location.shape == (2, 1)
    assert np.all((location > 0) & (location < 1))

    capsys.readouterr()
    assert run("locate", data / "scans/0", "--model", again, "--out", tmp_path / "out") == commands.NOTHING_USABLE
    assert "judges single slices" in capsys.readouterr().out


@pytest.mark.realct
@pytest.mark.slow
@pytest.mark.parametrize("network", sorted(article_networks.BACK_ENDS))
def test_on_the_dicom_of_real_scanners(ct_data: Path, tmp_path: Path, network: str) -> None:
    """Two labelled series: one to learn from, the other to validate and to test on."""
    folder = ct_data / "dicom"
    names = ("abdomen_kits136_jpegls", "chest_8mm_jpeg2000")
    assert run("organize", *(folder / name for name in names), "--out", tmp_path / "tree") == commands.DONE
    for name in names:
        place_labels(folder / name, folder / f"labels/{name}.json", tmp_path / "tree")
    truth = tmp_path / "combined_normalized_locations.json"
    assert run("normalize", tmp_path / "tree", "--out", truth) == commands.DONE
    slices = tmp_path / "slices"
    assert run("convert", tmp_path / "tree", "--locations", truth, "--out", slices, "--format", "article",
               "--size", SIZE, "--jobs", 1) == commands.DONE  # fmt: skip
    uids = [entry.uid for entry in store.read_index(slices).series]
    assert len(uids) == 2
    divided = partition.Partition(
        "patient", "", dict(zip(uids, ("train", "validation"))), {uid: uid[-6:] for uid in uids}
    )
    divided.write(tmp_path / "partition.json")
    assert run("train", slices, "--partition", tmp_path / "partition.json", "--network", network, "--weights",
               weights_file(network, tmp_path), "--epochs", 1, "--batch-size", 16, "--no-litert",
               "--out", tmp_path / "mine") == commands.DONE  # fmt: skip
    assert run("evaluate", tmp_path / "mine.npz", slices, "--partition", tmp_path / "partition.json", "--part",
               "validation", "--engine", "numpy", "--out", tmp_path / "evaluation") == commands.DONE  # fmt: skip


def place_labels(source: Path, labels: Path, tree: Path) -> None:
    """Put labels, which name the files as they came, beside the organized series, under the names they have there."""
    import pydicom

    content = json.loads(labels.read_text())
    numbers = {}
    for name, file in content.items():
        header = pydicom.dcmread(source / file, stop_before_pixels=True)
        numbers[name] = f"{header.InstanceNumber}.dcm"
    (series,) = tree.glob(f"*/*/{header.SeriesInstanceUID}")
    (series / "labels.json").write_text(json.dumps(numbers))

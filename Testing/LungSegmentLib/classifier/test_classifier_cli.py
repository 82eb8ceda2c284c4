"""``ct-classify`` from table to answers, as the example (NIfTI folders) and the article (MR in DICOM folders) do it."""

from __future__ import annotations

import csv
import json

import pytest
from CTVolumeLib import commands

pytest.importorskip("tensorflow")
pytest.importorskip("sklearn")
from LungSegmentLib.classifier import cli, table
from support_classifier import write_table
from support_mr import head, write_series

QUICK = ("--size", 16, 16, 8, "--epochs", 1, "--batch-size", 4)


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


@pytest.mark.slow
def test_the_examples_pipeline_on_nifti_folders(tmp_path, capsys):
    """Two folders of NIfTI, whole scans by spline zoom, turns up to 20 degrees, the example's network."""
    write_table(tmp_path, 12)
    for path in sorted((tmp_path / "scans").iterdir()):
        folder = tmp_path / ("CT-23" if int(path.name[1:3]) % 2 == 0 else "CT-0")
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)
    assert run("table", "--yes", tmp_path / "CT-23", "--no", tmp_path / "CT-0", "--out", tmp_path / "t.csv") == 0
    like_it = (*QUICK, "--part", "whole", "--zoom", "spline", "--augmentation", "rotation", "--network", "example")
    assert run("train", tmp_path / "t.csv", "--out", tmp_path / "m/covid", *like_it) == commands.DONE
    said = capsys.readouterr().err
    assert "too many" in said
    assert "was not measured" in said
    card = json.loads((tmp_path / "m/covid.json").read_text())
    assert card["inputs"]["shape"] == [8, 16, 16]
    assert card["trained_on"]["scans"] + card["validated_on"]["scans"] == 12
    (tmp_path / "broken.nii.gz").write_bytes(b"x")
    scans = (tmp_path / "CT-23/p00-0.nii.gz", tmp_path / "broken.nii.gz", tmp_path / "CT-0/p01-0.nii.gz")
    assert run("predict", tmp_path / "m/covid.npz", *scans, "--out", tmp_path / "out") == commands.SOME_FAILED
    answer = json.loads((tmp_path / "out/p00-0/prediction.json").read_text())
    assert 0 < answer["probability"] < 1
    assert answer["finding"] == (answer["probability"] >= answer["threshold"])
    assert answer["model"]["sha256"] == card["sha256"]
    assert (tmp_path / "out/p00-0/picture.png").read_bytes().startswith(b"\x89PNG")
    states = {row["name"]: row["state"] for row in csv.DictReader((tmp_path / "out/summary.csv").open())}
    assert states == {"p00-0": "done", "broken": "failed", "p01-0": "done"}


@pytest.mark.slow
def test_the_articles_pipeline_on_mr_in_dicom_folders(tmp_path, capsys):
    """Series as folders, a number of slices about the one with the most brain, percentiles instead of HU."""
    lines = ["path,label,patient"]
    for number in range(10):
        write_series(head(number % 2 == 0, number), tmp_path / f"mr/case-{number}")
        lines.append(f"mr/case-{number},{int(number % 2 == 0)},SECRET{number}")
    (tmp_path / "scans.csv").write_text("\n".join(lines))
    options = (*QUICK, "--values", "mr", "--part", "body", "--slices", 8)
    assert run("train", tmp_path / "scans.csv", "--out", tmp_path / "m", *options) == commands.DONE
    assert run("predict", tmp_path / "m.npz", tmp_path / "mr/case-0", "--out", tmp_path / "out") == commands.DONE
    assert 0 < json.loads((tmp_path / "out/case-0/prediction.json").read_text())["probability"] < 1
    evaluate = (
        "evaluate",
        tmp_path / "scans.csv",
        "--out",
        tmp_path / "e",
        "--folds",
        3,
        "--repetitions",
        1,
        "--cases",
        0,
    )
    assert run(*evaluate, *options) == commands.DONE
    assert "Too few patients" in capsys.readouterr().out
    written = [path for path in tmp_path.rglob("*") if path.suffix in (".json", ".html", ".csv")]
    named = {path.relative_to(tmp_path).parts[0] for path in written if "SECRET" in path.read_text(encoding="utf-8")}
    assert named == {"scans.csv"}


@pytest.mark.slow
def test_evaluates_and_compares(tmp_path, capsys):
    scans = write_table(tmp_path, 12)
    with scans.open("a") as file:
        file.write("scans/lost.nii.gz,1,SECRET99\n")
    options = (*QUICK, "--part", "whole", "--folds", 3, "--repetitions", 1)
    assert run("evaluate", scans, "--out", tmp_path / "e", *options, "--cases", 1) == commands.SOME_FAILED
    out, err = capsys.readouterr()
    assert "Left out lost: There is no file" in err
    assert "too few" in err
    page = (tmp_path / "e/evaluation.html").read_text(encoding="utf-8")
    assert out.strip().replace("'", "&#x27;") in page
    assert "lost" in page
    assert page.count("data:image/png;base64,") >= 2
    assert "http" not in page.replace("http-equiv", "")
    figures = json.loads((tmp_path / "e/evaluation.json").read_text())
    assert set(figures["rows"]) == {"network", "histogram", "header", "shuffled"}
    assert list(figures["failed"]) == ["lost"]
    rows = list(csv.DictReader((tmp_path / "e/predictions.csv").open()))
    assert len(rows) == 12
    assert {row["fold_1"] for row in rows} == {"1", "2", "3"}

    varied = ("--vary", "augmentation=none", "--vary", "network=small")
    assert run("ablate", scans, "--out", tmp_path / "a", *options, *varied) == commands.SOME_FAILED
    rows = list(csv.DictReader((tmp_path / "a/ablation.csv").open()))
    assert [row["variant"] for row in rows] == ["as given", "augmentation none", "network small"]
    assert float(rows[0]["apart"]) == 0
    assert rows[2]["auc"] == rows[0]["auc"]  # the same once more: one seed, one result
    assert len(list((tmp_path / "a").glob("inputs-*"))) == 1
    assert "Against as given" in (tmp_path / "a/ablation.html").read_text(encoding="utf-8")


def test_wrong_calls_are_told_in_a_sentence(tmp_path, capsys):
    scans = write_table(tmp_path, 2)
    (tmp_path / "bad.csv").write_text("path,label\nx,1\n")
    for arguments, said in (
        (("train", tmp_path / "bad.csv", "--out", tmp_path / "m"), "has no column patient"),
        (("predict", tmp_path / "none.npz", scans, "--out", tmp_path / "o"), "no model of ct-classify"),
        (("ablate", scans, "--out", tmp_path / "o", "--vary", "seed=1"), "can't be understood"),
        (("ablate", scans, "--out", tmp_path / "o", "--vary", "epochs=many"), "needs numbers"),
        (("train", scans, "--out", tmp_path / "m", "--values", "mr"), "Lungs are found in CT only"),
    ):
        assert run(*arguments) == commands.WRONG_CALL, arguments
        said_really = capsys.readouterr().err
        assert said in said_really
        assert "Traceback" not in said_really


def test_nothing_to_learn_from(tmp_path, capsys):
    scans = write_table(tmp_path, 2)
    assert run("evaluate", scans, "--out", tmp_path / "e", *QUICK, "--part", "whole") == commands.NOTHING_USABLE
    assert "1 patients with the finding; 3 are the least" in capsys.readouterr().err


def test_help_is_quick_and_tells_of_all_commands(capsys):
    assert run("--help") == commands.DONE
    text = capsys.readouterr().out
    for name in ("train", "predict", "evaluate", "ablate", "table", "phantom"):
        assert name in text


WITH_CONTRAST = ("ch02", "ch05", "ch11", "ch21", "kc02", "kc03", "kc04", "gc01")
WITHOUT = ("ch04", "ch06", "ch12", "ch13", "ch16", "kc01", "gw01")


@pytest.mark.slow
@pytest.mark.realct
def test_on_the_few_labelled_chests_that_there_are_nothing_is_claimed(ct_data, tmp_path, capsys):
    """Contrast medium in the blood is the one label that enough chests have; two scans of the data are one patient."""
    known = {row["id"]: row for row in csv.DictReader((ct_data / "scans.csv").open(encoding="utf-8"))}
    rows = [
        (ct_data / "vol" / f"{name}.nii.gz", int(name in WITH_CONTRAST), known[name]["patient"])
        for name in (*WITH_CONTRAST, *WITHOUT)
    ]
    table.write(tmp_path / "scans.csv", rows)
    plan = ("--folds", 3, "--repetitions", 1, "--cases", 0)
    small = ("--size", 32, 32, 16, "--epochs", 2)
    done = run("evaluate", tmp_path / "scans.csv", "--out", tmp_path / "e", *plan, *small)
    assert done in (commands.DONE, commands.SOME_FAILED)
    out, err = capsys.readouterr()
    assert out.startswith("Too few patients to say")
    assert "too few" in err
    figures = json.loads((tmp_path / "e/evaluation.json").read_text())
    assert sum(figures["scans"]) + len(figures["failed"]) == len(rows)
    assert figures["rows"]["network"]["auc"]["high"] - figures["rows"]["network"]["auc"]["low"] > 0.2

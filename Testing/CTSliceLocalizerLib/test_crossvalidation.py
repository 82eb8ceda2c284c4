"""Cross-validation: nobody is tested by a model that saw him, a stop changes nothing, and the pages say what was found.

The scans are phantoms and the networks tiny: the figures mean nothing here, who trained on whom does.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from CTSliceLocalizerLib import (
    crossvalidation,
    crossvalidation_document,
    crossvalidation_sources,
    evaluation_baselines,
    evaluation_figures,
)
from CTSliceLocalizerLib.crossvalidation import Patient, folds
from CTSliceLocalizerLib.evaluation_cases import LandmarkError
from CTVolumeLib.errors import CTError
from support_evaluation import BODY, make_case


def made_up(hn: int = 20, other: int = 12) -> list[Patient]:
    """Patients of a large source, and of small ones all along the body; every fifth of those may train nothing."""
    return [Patient(f"hn{n}", (f"hn{n}",), "hn", "large", 250.0, True) for n in range(hn)] + [
        Patient(f"x{n}", (f"x{n}a", f"x{n}b"), "other", f"small{n % 4}", 100.0 + 60 * n, n % 5 > 0)
        for n in range(other)
    ]


class TestFolds:
    @pytest.mark.parametrize("by", crossvalidation.BY)
    def test_everybody_is_tested_once_by_others(self, by):
        patients = made_up()
        divided = folds(patients, 4, by)
        assert Counter(name for fold in divided for name in fold.test) == {one.name: 1 for one in patients}
        may = {one.name for one in patients if one.may_train}
        for fold in divided:
            groups = [set(fold.train), set(fold.validation), set(fold.test)]
            assert sum(map(len, groups)) == len(set().union(*groups)), "somebody is in two groups"
            assert groups[0] | groups[1] == may - groups[2]
            assert groups[1]

    def test_folds_are_alike(self):
        for fold in folds(made_up(), 4):
            assert sum(name.startswith("hn") for name in fold.test) == 5
            levels = [int(name[1:]) for name in fold.test if name.startswith("x")]
            assert min(levels) < 4
            assert max(levels) > 7

    def test_by_source_nothing_of_a_source_was_seen(self):
        source = {one.name: one.source for one in made_up()}
        for fold in folds(made_up(), 4, "source"):
            assert not {source[name] for name in fold.test} & {source[name] for name in fold.train + fold.validation}
        assert {source[name] for name in folds(made_up(), 4, "source")[0].test} == {"large"}

    def test_a_seed_divides_the_same_way_again(self):
        assert folds(made_up(), 4, seed=3) == folds(made_up(), 4, seed=3)
        assert folds(made_up(), 4, seed=3) != folds(made_up(), 4, seed=4)

    def test_too_few(self):
        with pytest.raises(CTError, match="can't be divided"):
            folds(made_up(2, 0), 3)
        with pytest.raises(CTError, match="can't be divided"):
            folds(made_up(8, 0), 2, "source")


class TestFigures:
    def test_the_curve_is_told_from_the_single_slices(self):
        cases = [make_case(number, 3.0) for number in range(6)]
        cases = [replace(case, raw_mm=case.true_mm - 11.0) for case in cases]
        family = evaluation_figures.figures(cases)["families"]["all"]
        assert family["all_slices"]["mean_mm"] == 3.0
        assert family["single_slices"]["mean_mm"] == 11.0

    def test_landmarks_far_outside_that_are_claimed(self):
        case = replace(make_case(0, 0.0), claimed=("Aortic arch", "Top of head", "Bifurcation of trachea"))
        outside = evaluation_figures.figures([case])["families"]["all"]["outside"]
        # The scan shows T12 to T1: the carina is in it though nobody marked it, and C7 is too near to say.
        assert outside["which"] == ["scan0: Top of head"]
        assert outside["landmarks"] == 5, "head, orbit, C1, crest and femur"

    def test_by_what_sigma_would_have_to_be_multiplied(self):
        cases = [make_case(number, off, sigma_mm=2.0) for number, off in enumerate(range(1, 11))]
        part = evaluation_figures.figures(cases)["families"]["all"]["calibration"]["landmarks"]
        assert part["needed"] == pytest.approx(np.percentile(np.arange(1, 11) / 2.0, 90) / 2, abs=0.01)

    def test_baselines_know_the_other_patients_only(self):
        cases = [make_case(number, 0.0) for number in range(3)]
        cases[0] = replace(cases[0], true_mm=cases[0].true_mm + 90.0)
        for answer in evaluation_baselines.BASELINES.values():
            found = answer(cases)
            assert np.median(found[0].found_mm) == pytest.approx(np.median(BODY), abs=1.0)
            assert np.median(found[1].found_mm) == pytest.approx(np.median(BODY) + 45.0, abs=1.0)
        assert np.ptp(evaluation_baselines.same_place(cases)[1].found_mm) == 0

    def test_a_baseline_is_off_at_landmarks_by_what_it_is_off_along_the_body(self):
        cases = [make_case(number, 0.0) for number in range(2)]
        marks = tuple(replace(mark, true_z_mm=float(np.interp(-358.5, -BODY, cases[0].place)))
                      for mark in cases[0].landmarks[:1])  # fmt: skip
        cases = [replace(case, landmarks=marks) for case in cases]
        (error,) = evaluation_baselines.same_fraction(cases)[0].landmarks
        assert error.error_mm == pytest.approx(0.0, abs=0.5)
        (error,) = evaluation_baselines.same_place(cases)[0].landmarks
        assert error.error_mm is None

    def test_an_annotation_that_disagrees_alone_is_a_suspect(self):
        def marks(*errors: float) -> tuple[LandmarkError, ...]:
            names = ("C7", "T1", "Aortic arch", "Bifurcation of trachea")
            return tuple(LandmarkError("s", "p", "hn", name, error, 4.0, True, False, 7.0)
                         for name, error in zip(names, errors))  # fmt: skip

        case = make_case(0, 0.0)
        found = crossvalidation_document.suspects([replace(case, landmarks=marks(1, 19, 2, 0))], {"scan0": "why"})
        assert [(one["landmark"], one["off_mm"], one["known"]) for one in found] == [("T1", 18.0, "why")]
        assert not crossvalidation_document.suspects([replace(case, landmarks=marks(20, 19, 21, 20))], {})
        assert not crossvalidation_document.suspects([replace(case, landmarks=marks(-40, 19, 21, 60))], {})


class TestPages:
    def found(self, by: str = "patient") -> dict:
        cases = [make_case(n, 2.0 + n, family="hn") for n in range(6)] + [make_case(9, 30.0, family="other")]
        run = {"folds": [{"name": "fold1", "test": [case.patient for case in cases]}, {"name": "fold2", "test": ["q"]}],
               "settings": {"seed": 8, "epochs": 36, "batches": 60}}  # fmt: skip
        return crossvalidation_document.summarized(cases, by, run, crossvalidation.left_out())

    def test_the_page_says_what_was_found_beside_what_is_asked_for(self):
        page = crossvalidation_document.markdown(self.found())
        assert "Finished: 1 of them, 7 patients" in page
        assert "| landmarks, median mm | 4.5 (" in page
        assert "| landmarks, median mm | 30.0 | <= 7 |" in page
        assert "<= 4.5" in page
        assert "pv07" in page
        assert "| scan9 | Aortic arch | +30 | 5.0 | no |" in page
        assert "Insertion Network" in page
        assert "don't have" not in page
        assert "have the picture of the airway yet" in crossvalidation_document.markdown(
            self.found() | {"lacking": ["airway"]}
        )

    def test_sections_take_the_place_of_their_own(self):
        page = crossvalidation_document.with_section("# A\n\ntext\n\n## The worst\n\nrow\n", "## B\n\nfirst\n")
        assert page == "# A\n\ntext\n\n## The worst\n\nrow\n\n## B\n\nfirst\n"
        page = crossvalidation_document.with_section(page, "## C\n\nthird\n")
        assert crossvalidation_document.with_section(page, "## B\n\nsecond\n") == (
            "# A\n\ntext\n\n## The worst\n\nrow\n\n## B\n\nsecond\n\n## C\n\nthird\n"
        )

    def test_document_and_card(self, tmp_path):
        document, card = tmp_path / "Evaluation.md", tmp_path / "model.json"
        document.write_text("# How far off an older model was\n\nfigures\n")
        made = {"name": "m", "sha256": {"npz": "0" * 64}, "trained_on": {"scans": 7, "patients": 6}}
        card.write_text(json.dumps(made))
        for by in ("patient", "source", "patient"):
            crossvalidation_document.publish(self.found(by), card, document)
        text = document.read_text()
        assert text.startswith("# How far off the model is\n")
        assert "sha256 000000000000" in text
        assert "7 scans of 6 patients" in text
        assert "older" not in text
        assert [text.count(f"\n{heading}\n") for heading in crossvalidation_document.HEADINGS.values()] == [1, 1]
        assert [section.splitlines()[0] for section in crossvalidation_document.sections_of(text)] == list(
            crossvalidation_document.HEADINGS.values()
        )
        content = json.loads(card.read_text())
        assert content["trained_on"] == made["trained_on"]
        assert content["crossvalidation"]["by_patient"]["hn"]["landmarks"]["median_mm"] == 4.5

    def test_sources_stand_beside_the_same_scans_by_patient(self):
        cases = [make_case(n, 9.0, family="hn") for n in range(6)] + [make_case(9, 4.0, family="other")]
        beside = [make_case(n, 3.0, family="hn") for n in range(9)]  # not that of the last
        folds = [{"name": "fold1", "train": ["p9", "q"], "test": [f"p{n}" for n in range(6)]},
                 {"name": "fold2", "train": ["p1"], "test": ["p9"]}]  # fmt: skip
        scans = {case.patient: [case.name] for case in cases} | {"q": ["elsewhere"]}
        sources = dict.fromkeys(scans, "large") | {"p9": "small"}
        annotations = {case.name: dict.fromkeys(("T1", "Aortic arch")) for case in cases} | {"elsewhere": {"T1": None}}
        found = crossvalidation_sources.compared(cases, beside, folds, scans, sources, annotations)
        (row,) = found["folds"]
        assert (row["fold"], row["sources"], row["learned_from"], row["patients"]) == ("fold1", 1, 2, 6)
        assert row["here"] == {"median_mm": 9.0, "mean_mm": 9.0, "slices_mm": 9.0}
        assert row["by_patient"] == {"median_mm": 3.0, "mean_mm": 3.0, "slices_mm": 3.0}
        assert {(one["landmark"], one["learned_from"]) for one in found["landmarks"]} == {("T1", 2), ("Aortic arch", 1)}
        page = crossvalidation_document.markdown(self.found("source") | {"beside": found})
        assert "| fold1 | 1 | 2 | hn | 6 | 9.0, 9.0; 9.0 | 3.0, 3.0; 3.0 |" in page
        assert "| T1 | fold1 | 6 | 2 | 9.0 | 3.0 |" in page

    def test_cases_are_kept(self, tmp_path):
        case = replace(make_case(1, 2.5, missed=True), volume=None, claimed=("T1",), warnings=("so",))
        case = replace(case, found_mm=np.full(len(BODY), np.nan))
        crossvalidation.write_cases(tmp_path / "cases.json", [case])
        (again,) = crossvalidation.read_cases(tmp_path / "cases.json")
        assert again.landmarks == case.landmarks
        assert (again.claimed, again.warnings, again.name) == (("T1",), ("so",), "scan1")
        np.testing.assert_array_equal(again.found_mm, case.found_mm)
        np.testing.assert_array_equal(again.known, case.known)
        assert again.known.dtype == bool
        (tmp_path / "cases.json").write_text("[{")
        with pytest.raises(CTError, match="damaged"):
            crossvalidation.read_cases(tmp_path / "cases.json")


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory) -> Path:
    """A folder as the real data's, with a scan of each of six patients and one that is left out."""
    import SimpleITK as sitk
    from CTVolumeLib import phantom

    folder = tmp_path_factory.mktemp("phantoms")
    (folder / "vol").mkdir()
    scans, marks = [], []
    for number, name in enumerate(["hn1", "hn2", "hn3", "ch1", "ch2", "ch3", "pv07"]):
        made = phantom.make(phantom.PhantomParameters(seed=number, spacing=(8.0, 8.0, 8.0), coverage=(0.12, 0.33)))
        image = sitk.GetImageFromArray(made.volume.array)
        image.SetSpacing(made.volume.spacing)
        image.SetOrigin(made.volume.origin)
        sitk.WriteImage(image, str(folder / "vol" / f"{name}.nii.gz"))
        use = "evaluate" if name == "ch3" else "train"
        scans.append({"id": name, "patient": f"p{number}", "use": use, "repository": name[:2]})
        heights = made.volume.superior()
        marks += [{"id": name, "landmark": mark, "z_mm": z, "uncertainty_mm": 2.0}
                  for mark, z in made.landmarks.items() if heights.min() < z < heights.max()]  # fmt: skip
    for table, rows in (("scans.csv", scans), ("landmarks.csv", marks)):
        with (folder / table).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return folder


@pytest.mark.slow
class TestRun:
    SETTINGS = {"epochs": 2, "batches": 2, "validation_batches": 1}  # noqa: RUF012

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        pytest.importorskip("tensorflow")
        from CTSliceLocalizerLib import dataset
        from support_training import tiny_networks

        tiny_networks(monkeypatch)
        monkeypatch.setattr(dataset, "SLICES_A_BATCH", 24)
        monkeypatch.setattr(dataset, "LENGTHS", (12,))

    def test_a_stop_changes_nothing(self, phantoms, tmp_path):
        whole = crossvalidation.run(phantoms, tmp_path / "whole", count=2, settings=self.SETTINGS)
        assert sorted(case.name for fold in whole for case in fold) == ["ch1", "ch2", "ch3", "hn1", "hn2", "hn3"]

        def stopped(done: int, total: int, text: str) -> bool:  # in the second epoch
            return done < 3

        work = tmp_path / "stopped"
        with pytest.raises(CTError, match="cancelled"):
            crossvalidation.run(phantoms, work, count=2, settings=self.SETTINGS, progress=stopped)
        assert not (work / "fold1" / "cases.json").exists()
        crossvalidation.run(phantoms, work, count=2, only=[2], settings=self.SETTINGS)
        assert not (work / "fold1" / "cases.json").exists()
        crossvalidation.run(phantoms, work, count=2, settings=self.SETTINGS)
        for name in ("fold1", "fold2"):
            for file in ("log.csv", "cases.json", "run.json"):
                assert (work / name / file).read_bytes() == (tmp_path / "whole" / name / file).read_bytes()
            learned = json.loads((work / name / "run.json").read_text())
            assert not {"ch3", "pv07"} & {*learned["train"], *learned["validation"]}, "its terms, and its crop"

    def test_another_run_is_not_gone_on_with(self, phantoms, tmp_path):
        crossvalidation.run(phantoms, tmp_path, count=2, only=[3], settings=self.SETTINGS)
        with pytest.raises(CTError, match="another training run"):
            crossvalidation.run(phantoms, tmp_path, count=3, only=[4], settings=self.SETTINGS)

    def test_the_program(self, phantoms, tmp_path, monkeypatch):
        from click.testing import CliRunner
        from CTSliceLocalizerLib import training

        settings = training.Settings
        monkeypatch.setattr(training, "Settings", lambda **options: settings(**self.SETTINGS | options))
        options = ["--data", str(phantoms), "--folds", "2", "--only", "1", "--epochs", "1", "--work"]
        result = CliRunner().invoke(crossvalidation.main, [*options, str(tmp_path)])
        assert result.exit_code == 0, result.output
        more = [*options, str(tmp_path / "by"), "--by", "source", "--beside", str(tmp_path)]
        result = CliRunner().invoke(crossvalidation.main, more)
        assert result.exit_code == 0, result.output
        assert "Beside the same scans by patient" in (tmp_path / "by" / "Crossvalidation.md").read_text()
        figures = json.loads((tmp_path / "figures.json").read_text())
        assert figures["folds"] == {"all": 2, "finished": ["fold1"]}
        assert not figures["lacking"]
        assert "data:image/" in (tmp_path / "evaluation.html").read_text()
        assert "Finished: 1 of them, 3 patients" in (tmp_path / "Crossvalidation.md").read_text()

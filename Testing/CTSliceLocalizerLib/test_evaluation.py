"""Evaluation: figures that can be reckoned by hand, honest intervals, and what the command writes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from CTSliceLocalizerLib import (
    curve,
    evaluation_cases,
    evaluation_figures,
    evaluation_page,
    evaluation_run,
    partition,
    predictor,
    slicegrid,
    store,
)  # fmt: skip
from CTSliceLocalizerLib.cli import main
from CTSliceLocalizerLib.groundtruth import Annotation
from CTSliceLocalizerLib.landmarks import location_to_body
from CTVolumeLib.errors import CTError
from CTVolumeLib.inference import Model
from scipy.stats import norm
from support_evaluation import BODY, make_case
from support_locations import fake_location


class TestFigures:
    def test_known_errors(self):
        cases = [make_case(n, off) for n, off in enumerate((2.0, -4.0, 6.0, 8.0, 10.0))]
        family = evaluation_figures.figures(cases)["families"]["all"]
        row = next(row for row in family["landmarks"] if row["name"] == "Aortic arch")
        assert (row["patients"], row["landmarks"], row["missed"]) == (5, 5, 0)
        assert (row["median_mm"], row["mean_mm"], row["worst_mm"], row["bias_mm"]) == (6.0, 6.0, 10.0, 4.4)
        assert family["all_landmarks"]["landmarks"] == 10
        slices = family["all_slices"]
        assert (slices["slices"], slices["mean_mm"], slices["bias_mm"]) == (5 * 56, 6.0, 4.4)

    def test_parts_of_the_body_hold_their_own_slices(self):
        case = make_case(0, 0.0)
        off = np.where((case.true_mm >= 295.5) & (case.true_mm <= 386.5), 20.0, 3.0)  # T1 to carina
        rows = evaluation_figures.figures([replace(case, found_mm=case.true_mm - off)])["families"]["all"]["ranges"]
        by_name = {row["name"]: row for row in rows}
        assert by_name["Upper chest: T1 to carina"]["mean_mm"] == 20.0
        assert by_name["Lower chest: carina to T12"]["mean_mm"] == 3.0
        assert by_name["Pelvis: crest to femoral head"]["slices"] == 0
        assert by_name["Pelvis: crest to femoral head"]["mean_mm"] is None

    def test_slices_without_known_truth_do_not_count(self):
        case = make_case(0, 3.0)
        known = case.true_mm < 400
        off = np.where(known, 3.0, 500.0)
        found = evaluation_figures.figures([replace(case, known=known, found_mm=case.true_mm - off)])
        assert found["families"]["all"]["all_slices"]["worst_mm"] == 3.0

    def test_missed_and_gross_are_counted(self):
        cases = [make_case(0, 70.0), make_case(1, 2.0, missed=True)]
        row = evaluation_figures.figures(cases)["families"]["all"]["all_landmarks"]
        assert (row["missed"], row["gross_not_flagged"]) == (1, 2)
        assert row["landmarks"] == 4

    def test_families_are_never_pooled(self):
        cases = [make_case(0, 2.0, family="easy"), make_case(1, 30.0, family="hard")]
        families = evaluation_figures.figures(cases)["families"]
        assert families["easy"]["all_landmarks"]["median_mm"] == 2.0
        assert families["hard"]["all_landmarks"]["median_mm"] == 30.0

    def test_a_refused_scan_is_in_no_figure(self):
        case = make_case(0, 2.0)
        nothing = replace(case, found_mm=np.full(len(BODY), np.nan), landmarks=())
        found = evaluation_figures.figures([nothing])
        assert found["refused"] == 1
        assert found["families"]["all"]["all_slices"]["slices"] == 0

    def test_calibration_of_a_sigma_that_is_right_and_of_one_too_small(self):
        drawn = norm.ppf((np.arange(400) + 0.5) / 400) * 5
        for claimed, share in ((5.0, 0.68), (2.5, 0.38)):
            cases = [make_case(n, float(off), sigma_mm=claimed) for n, off in enumerate(drawn)]
            part = evaluation_figures.figures(cases)["families"]["all"]["calibration"]["landmarks"]
            assert part["within_1_sigma"] == pytest.approx(share, abs=0.01)
            assert part["rms"] == pytest.approx(5 / claimed, rel=0.02)
            at = part["claimed"].index(0.5)
            assert part["observed"][at] == pytest.approx(0.5 if claimed == 5 else 0.264, abs=0.01)

    def test_json_holds_plain_numbers_only(self):
        json.dumps(evaluation_figures.figures([make_case(0, 2.0)]), allow_nan=False)


class TestInterval:
    def test_with_few_patients_there_is_none(self):
        values = [np.array([float(n)]) for n in range(evaluation_figures.MIN_PATIENTS)]
        assert evaluation_figures.interval(values[:-1], np.median) is None
        assert evaluation_figures.interval(values, np.median) is not None

    def test_it_is_repeatable_and_holds_the_truth_as_often_as_it_says(self):
        """Of 200 samples of 20 patients with several values each, about 95 % of the intervals hold the true mean."""
        rng = np.random.default_rng(0)
        held = 0
        for _ in range(200):
            values = [10 + rng.normal(0, 3) + rng.normal(0, 1, rng.integers(1, 6)) for _ in range(20)]
            ends = evaluation_figures.interval(values, np.mean)
            held += ends[0] <= 10 <= ends[1]
        assert 0.88 <= held / 200 <= 0.98
        assert ends == evaluation_figures.interval(values, np.mean)

    def test_slices_of_one_patient_are_not_independent(self):
        """A hundred slices of a patient tell no more than one: the interval goes by patients."""
        once = [np.array([float(n)]) for n in range(10)]
        often = [np.full(100, float(n)) for n in range(10)]
        assert evaluation_figures.interval(once, np.mean) == evaluation_figures.interval(often, np.mean)

    def test_mean_by_sums_is_the_mean_of_all_values(self):
        values = [np.arange(n + 1.0) for n in range(6)]
        slow = evaluation_figures.interval(values, lambda some: float(np.mean(some)))
        assert evaluation_figures.interval(values, np.mean) == pytest.approx(slow)


class TestPage:
    def test_it_says_what_it_rests_on(self):
        cases = [make_case(n, 5.0 + n) for n in range(6)]
        page = evaluation_page.make(evaluation_figures.figures(cases), cases, {"Model": "mine"})
        assert "6 patients, 6 scans, 12 landmarks" in page
        assert "95 % interval" in page
        assert "too few" not in page.split("<main>")[1].split("By landmark")[0]
        assert page.count('<svg class="chart"') == 3 + 6  # by landmark, scatter, calibration, and a scan each
        assert "http" not in page.replace("http-equiv", "")

    @pytest.mark.parametrize("count", [1, 2])
    def test_few_patients_are_said(self, count):
        cases = [make_case(n, 5.0) for n in range(count)]
        page = evaluation_page.make(evaluation_figures.figures(cases), cases, {})
        assert "too few for an interval" in page
        assert f"{count} patient{'s' if count > 1 else ''}, " in page

    def test_worst_first_with_pictures(self):
        cases = [make_case(n, off) for n, off in enumerate((1.0, 50.0, 3.0))]
        page = evaluation_page.make(evaluation_figures.figures(cases), cases, {})
        worst = page.split("<h2>The worst</h2>")[1]
        assert worst.index("scan1") < worst.index("scan2")
        assert worst.count("data:image/jpeg") >= 6

    def test_names_can_not_break_the_page(self):
        case = make_case(0, 2.0)
        bad = '<script>alert("x")</script>'
        errors = tuple(replace(error, scan=bad) for error in case.landmarks)
        cases = [replace(case, name=bad, landmarks=errors, warnings=(bad,))]
        page = evaluation_page.make(evaluation_figures.figures(cases), cases, {bad: bad}, [bad])
        assert bad not in page


class TestStores:
    """Whole evaluations of small data sets, with the shipped network or one that is faked."""

    def test_compact_store_with_the_shipped_model(self, tmp_path, capsys):
        folder = _compact(tmp_path / "store", 2)
        shipped = Path(predictor.__file__).parent.parent / "Resources" / "Models" / "ct-slice-localizer.npz"
        out = tmp_path / "out"
        assert main(["evaluate", str(shipped), str(folder), "--out", str(out)]) in (0, 1)
        figures = json.loads((out / "evaluation.json").read_text())
        assert figures["schema"] == "ct-evaluation/1"
        assert (figures["scans"], figures["patients"]) == (2, 2)
        assert figures["model"]["name"] == "ct-slice-localizer"
        said = capsys.readouterr()
        assert "2 patients" in said.out or "no landmark" in said.out
        assert "figures are too good" in said.err
        assert (out / "evaluation.html").stat().st_size > 20_000

    def test_answers_of_the_curve_are_compared_with_the_store(self, tmp_path, monkeypatch):
        folder = _compact(tmp_path / "store", 3)
        monkeypatch.setattr(predictor, "estimate", lambda grid, model, progress=None: grid)
        monkeypatch.setattr(
            curve, "fit", lambda grid, **about: fake_location(grid.z_mm, 500 - grid.z_mm + 7, sigma_mm=4.0)
        )
        cases = list(evaluation_cases.from_store(folder, None, Model({"encoder": None}, {}, "m", "0" * 64, "numpy")))
        assert len(cases) == 3
        for case in cases:
            np.testing.assert_allclose(case.off_mm, 7.0, atol=1e-6)
            assert case.known.sum() < len(case.known)  # beyond the outermost landmarks nothing is known
            assert case.volume().array.shape == (30, 96, 96)

    def test_only_the_part_is_used(self, tmp_path):
        folder = _compact(tmp_path / "store", 4)
        parts = {"0": "train", "1": "test", "2": "validation", "3": "test"}
        made = partition.Partition("patient", "", parts, partition.patients_in(folder))
        made.write(tmp_path / "partition.json")
        shipped = Path(predictor.__file__).parent.parent / "Resources" / "Models" / "ct-slice-localizer.npz"
        for part, names in (("test", {"s1", "s3"}), ("train", {"s0"})):
            done = evaluation_run.evaluate(
                shipped, folder, tmp_path / part, partition_file=tmp_path / "partition.json", part=part
            )
            figures = json.loads((tmp_path / part / "evaluation.json").read_text())
            assert {case["name"] for case in figures["cases"]} == names
            assert ("too good" in " ".join(done.alerts)) == (part == "train")

    def test_article_store(self, tmp_path, capsys, monkeypatch):
        folder, model = _article(tmp_path / "store"), _ArticleModel()
        monkeypatch.setattr(predictor, "load_model", lambda path, engine: model)
        out = tmp_path / "out"
        assert main(["evaluate", str(folder), str(folder), "--out", str(out)]) == 3  # a folder without a model
        (tmp_path / "m.npz").write_bytes(b"")
        assert main(["evaluate", str(tmp_path / "m.npz"), str(folder), "--out", str(out)]) == 0
        figures = json.loads((out / "evaluation.json").read_text())
        (row,) = [row for row in figures["families"]["all"]["landmarks"] if row["name"] == "Aortic arch"]
        # 0.01 too low, by the scale between arch and carina 11.2 mm
        assert row["median_mm"] == pytest.approx(11.2, abs=0.3)
        assert row["bias_mm"] == pytest.approx(-11.2, abs=0.3)
        assert figures["families"]["all"]["calibration"] is None
        page = (out / "evaluation.html").read_text()
        assert "claims no standard deviation" in page
        assert "the number of the slice" in page
        assert "data:image/png" in page

    def test_a_model_and_data_of_different_kinds_are_refused(self, tmp_path, capsys):
        folder = _article(tmp_path / "store")
        shipped = Path(predictor.__file__).parent.parent / "Resources" / "Models" / "ct-slice-localizer.npz"
        assert main(["evaluate", str(shipped), str(folder), "--out", str(tmp_path / "out")]) == 3
        assert "in another format" in capsys.readouterr().err

    def test_a_folder_that_can_not_be_used_is_said(self, tmp_path, capsys):
        shipped = Path(predictor.__file__).parent.parent / "Resources" / "Models" / "ct-slice-localizer.npz"
        assert main(["evaluate", str(shipped), str(tmp_path), "--out", str(tmp_path / "out")]) == 3
        assert "is no data set" in capsys.readouterr().err
        (tmp_path / "scans.csv").write_text("id,patient\n")
        assert main(["evaluate", str(shipped), str(tmp_path), "--out", str(tmp_path / "out")]) == 3
        assert "has no landmarks.csv" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_an_empty_part_is_said(self, tmp_path):
        folder = _compact(tmp_path / "store", 1)
        made = partition.make(partition.patients_in(folder))
        made.write(tmp_path / "partition.json")
        empty = next(part for part in partition.PARTS if not made.series(part))
        shipped = Path(predictor.__file__).parent.parent / "Resources" / "Models" / "ct-slice-localizer.npz"
        with pytest.raises(CTError, match=f"belongs to the part {empty}"):
            evaluation_run.evaluate(
                shipped, folder, tmp_path / "out", partition_file=tmp_path / "partition.json", part=empty
            )


class _ArticlePart:
    def predict(self, pixels, progress=None):
        """The true location is in the pixels; the network is off by 0.01."""
        return {"location": pixels[:, 0, 0] / 500 + 0.01}


class _ArticleModel:
    parts = {"slice": _ArticlePart()}  # noqa: RUF012
    name, sha256 = "article", "0" * 64


def _article(folder: Path) -> Path:
    entries = []
    for number in range(2):
        place = folder / "series" / f"u{number}"
        place.mkdir(parents=True)
        for n, gray in enumerate(range(80, 120)):  # 0.16 to 0.238 on the location scale
            pixels = np.full((16, 16), gray, np.uint8)
            np.savez(place / f"{n + 1}.npz", pixels=pixels, norm_loc=gray / 500, series_instance_UID=f"u{number}")
        entries.append(store.Entry(f"u{number}", f"u{number}", f"p{number}", 40, 2, place))
    store.write_index(folder, store.Index(store.ARTICLE, {"format": "article"}, tuple(entries), ()))
    return folder


def _compact(folder: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    entries = []
    for number in range(count):
        hu = np.full((30, slicegrid.SIZE, slicegrid.SIZE), slicegrid.AIR_HU, np.int16)
        hu[:, 20:70, 20:76] = rng.integers(-100, 200, (30, 50, 56))
        z_mm = 40.0 + 4.0 * np.arange(30)
        body = 500 - z_mm
        annotations = {
            "Aortic arch": Annotation(500 - 358.5, 3.0),
            "Bifurcation of trachea": Annotation(500 - 386.5, 3),
        }
        one = store.StoredSeries(
            f"s{number}", str(number), store.patient_key(f"patient {number}"),
            slicegrid.SliceGrid(hu, z_mm, np.full(30, 300.0), hu), body, np.full(30, 3.0), location_to_body(body),
            annotations,
        )  # fmt: skip
        path = folder / "series" / one.name / store.SERIES_FILE
        store.write_series(path, one)
        entries.append(store.Entry(one.name, one.uid, one.patient, 30, 2, path))
    store.write_index(folder, store.Index(store.COMPACT, {"format": "compact"}, tuple(entries), ()))
    return folder

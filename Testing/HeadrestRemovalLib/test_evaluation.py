"""Tests of the measuring itself: its numbers must tell a wrong result from a right one."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import support_headrests
from CTVolumeLib.volume import CTVolume
from HeadrestRemovalLib import evaluation, evaluation_cases, evaluation_page, evaluation_recipe
from HeadrestRemovalLib.evaluation_cases import Case
from HeadrestRemovalLib.labels import BACKGROUND, HEADREST, PATIENT, TABLE

CLEAN = {"left_percent": 0.0, "lost_percent": 0.0, "lost_voxels": 0, "lost_all_ml": 0.0}


def small_case() -> Case:
    """A patient of 200 voxels of 1 mL (100 of them lung) above a headrest of 100 voxels of which 20 are faint."""
    truth = np.zeros((10, 10, 10), np.uint8)
    hu = np.full(truth.shape, -1000, np.int16)
    truth[:, 0:2], hu[:, 0], hu[:, 1] = PATIENT, 40, -800
    truth[:, 5], hu[:, 5], hu[0:2, 5] = HEADREST, 100, -950
    rim = np.zeros(truth.shape, bool)
    rim[:, 6] = True
    return Case("small", "gap", "phantom", "phantom 1", CTVolume(hu, (10.0, 10.0, 10.0)), truth, rim)


def test_the_truth_itself_is_perfect():
    case = small_case()
    row = evaluation.compare(case, "clustering", case.truth)
    assert {name: getattr(row, name) for name in CLEAN} == CLEAN
    assert row.headrest_dice == 1.0
    assert row.equipment_dice == 1.0
    assert row.equipment_ml == 100.0


def test_nothing_found_leaves_all_equipment():
    case = small_case()
    row = evaluation.compare(case, "clustering", np.where(case.truth > PATIENT, BACKGROUND, case.truth))
    assert row.left_percent == 100.0
    assert row.left_seen_percent == 100.0
    assert row.left_ml == 80.0, "what is fainter than -900 HU is not seen"
    assert row.lost_percent == 0.0
    assert row.headrest_dice == 0.0


def test_lost_tissue_counts_in_percent_and_millilitres_of_tissue():
    case = small_case()
    labels = case.truth.copy()
    labels[0, 0:2, 0:5] = TABLE
    row = evaluation.compare(case, "clustering", labels)
    assert row.lost_percent == 5.0, "5 of 100 voxels of tissue; the lung is no tissue"
    assert row.lost_ml == 5.0
    assert row.lost_voxels == 5
    assert row.lost_all_ml == 10.0


def test_the_blurred_edge_is_nobodys_fault_but_air_beyond_is():
    case = small_case()
    labels = case.truth.copy()
    labels[:, 6] = HEADREST
    assert evaluation.compare(case, "clustering", labels).headrest_dice == 1.0
    labels[:, 7] = HEADREST
    case.volume.array[:, 7] = -900
    assert evaluation.compare(case, "clustering", labels).headrest_dice == pytest.approx(2 / 3, abs=1e-3)
    case.volume.array[:, 7] = -1000
    row = evaluation.compare(case, "clustering", labels)
    assert row.headrest_dice == 1.0, "plain air"
    assert row.strict_dice == pytest.approx(2 / 3, abs=1e-3)


def test_a_headrest_called_table_is_removed_but_no_headrest():
    case = small_case()
    row = evaluation.compare(case, "clustering", np.where(case.truth == HEADREST, TABLE, case.truth))
    assert row.left_percent == 0.0
    assert row.headrest_dice == 0.0
    assert row.equipment_dice == 1.0


def test_the_recipe_takes_a_headrest_away_that_does_not_touch_and_loses_fat():
    case = support_headrests.case("not touching", 1)
    row = evaluation.run(case, evaluation.RECIPE)
    assert row.left_seen_percent == 0.0
    assert row.lost_percent > 1, "the skin's fat is below -50 HU"
    assert evaluation.run(case, evaluation.RECIPE_LOW).lost_percent < row.lost_percent


def test_the_wrap_closes_narrow_openings_and_enters_wide_ones():
    island = np.zeros((3, 60, 60), bool)
    island[:, 10:50, 10:50] = True
    island[:, 14:46, 14:46] = False
    narrow, wide = island.copy(), island.copy()
    narrow[:, 28:31, 10:14] = False
    wide[:, 20:40, 10:14] = False
    for opened, filled in ((narrow, True), (wide, False)):
        kept = evaluation_recipe.wrap(opened, (1.0, 1.0, 1.0), 8.0)
        assert kept[1, 30, 35] == filled
        assert not kept[1, 5, 5]
        assert (kept | ~opened).all(), "the island itself stays"


def test_rows_come_back_from_their_file(tmp_path):
    case = small_case()
    row = evaluation.compare(case, "clustering", case.truth, ("touching",), 1.5)
    evaluation.append_row(tmp_path / "rows.jsonl", row)
    evaluation.append_row(tmp_path / "rows.jsonl", replace(row, method="recipe"))
    assert evaluation.read_rows(tmp_path / "rows.jsonl") == [row, replace(row, method="recipe")]
    assert evaluation.read_rows(tmp_path / "none.jsonl") == []


def test_the_page_names_the_worst_cases_and_the_failures():
    case = small_case()
    good = evaluation.compare(case, "clustering", case.truth)
    bad = replace(good, case="bad one", left_seen_percent=12.5, left_ml=3.0, lost_percent=0.4, lost_ml=0.8)
    recipe = replace(bad, method="recipe", left_seen_percent=50.0)
    seen = {"gh01": {"equipment": "headrest", "removed_ml": 0, "left": "none", "verdict": "right"}}
    text = evaluation_page.page([good, bad, recipe], {"gh01": {"licence": "CC BY", "patient": "gh01"}}, seen)
    assert "Worst of clustering: 12.50 % (3.0 mL) left in *bad one*; 0.400 % (0.80 mL) lost in *bad one*." in text
    assert "Clustering, 1 of 2:" in text
    assert "| gh01 | CC BY |" in text
    assert "2 cases of 1 people, of whom 1 are phantoms" in text


def test_people_on_whom_nothing_was_set_are_counted_apart():
    case = small_case()
    good = evaluation.compare(case, "clustering", case.truth)
    fresh = replace(good, case="a fresh one", person="hn60", left_seen_percent=2.5)
    before, after = evaluation_page.page([good, fresh], {}, {}).split("## People on whom nothing was set")
    assert "1 cases of 1 people" in before
    assert "Clustering, 0 of 1:" in before
    assert "a fresh one" not in before
    assert "These 1 cases of 1 other people (0 of them phantoms)" in after
    assert "### Beyond the bars (left > 1 % or lost > 0.1 %)\n\nClustering, 1 of 1:" in after


def test_fine_pixels_are_counted_apart_in_the_same_classes():
    case = small_case()
    good = evaluation.compare(case, "clustering", case.truth)
    fine = replace(good, case="a fine one", kind=f"gap 1 mm{evaluation_cases.FINE}", left_seen_percent=2.5)
    before, after = evaluation_page.page([good, fine], {}, {}).split("## Fine pixels")
    assert "Clustering, 0 of 1:" in before
    assert "a fine one" not in before
    assert "1 cases of 1 people" in after
    assert "\n| gap 1 mm | 1 (1) | 2.50 /" in after


def test_supports_of_other_kinds_are_counted_apart():
    case = small_case()
    good = evaluation.compare(case, "clustering", case.truth)
    ring = replace(good, case="a ring", kind="gel ring", left_seen_percent=40.0)
    before, after = evaluation_page.page([good, ring], {}, {}).split("## Supports of other kinds")
    assert "1 cases of 1 people" in before
    assert "a ring" not in before
    assert "in 1 cases of 1 of the people above" in after
    assert "- a ring: left 40.00 %" in after


def test_what_was_seen_is_complete():
    seen = json.loads(evaluation_page.SEEN.read_text(encoding="utf-8"))
    assert len(seen) >= 40
    for name, entry in seen.items():
        assert set(entry) == {"equipment", "removed_ml", "left", "verdict"}, name
        assert entry["removed_ml"] >= 0

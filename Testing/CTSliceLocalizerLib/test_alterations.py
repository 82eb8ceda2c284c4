"""Altered scans: each does what it says, and the locations bear it; what is no CT of a patient is refused."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from CTSliceLocalizerLib import alterations, evaluation_robustness, predictor, slicegrid
from CTSliceLocalizerLib.evaluation_robustness import Row
from CTVolumeLib import dicom
from CTVolumeLib.samples import sample
from CTVolumeLib.volume import CTVolume


@pytest.fixture(scope="module")
def scan() -> CTVolume:
    return dicom.read(sample("CTChestSample").path).as_axial()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


class TestAlterations:
    @pytest.mark.parametrize("kind", alterations.KEPT)
    def test_heights_stay(self, scan, rng, kind):
        """The densest slice, bone of the shoulders, is where it was, or was cut away."""

        def heights(volume: CTVolume) -> tuple[np.ndarray, np.ndarray]:
            body = volume.array.shape[2] // 4
            middle = volume.array[:, :, body:-body].astype(float)
            return volume.superior(), np.mean(middle.clip(-1000, 400), axis=(1, 2))

        altered = alterations.KEPT[kind](scan, rng)
        z_mm, profile = heights(altered)
        before = np.interp(z_mm, *heights(scan))
        assert scan.superior()[0] - 8 <= z_mm[0] <= z_mm[-1] <= scan.superior()[-1] + 8
        if kind.startswith(("slices", "3 mm", "any 10 cm", "+", "-")):
            assert np.corrcoef(before, profile)[0, 1] > 0.8

    def test_crop_is_ten_centimetres(self, scan, rng):
        z_mm = alterations.cropped(scan, rng).superior()
        assert 100 - 2 * scan.spacing[2] <= z_mm[-1] - z_mm[0] <= 100

    def test_half_the_view_is_about_the_body(self, scan, rng):
        half = alterations.half_view(scan, rng)
        assert half.array.shape[1:] == tuple(size // 2 for size in scan.array.shape[1:])
        assert np.mean(half.array > -300) > 1.3 * np.mean(scan.array > -300)

    def test_tables_come_and_go(self, scan, rng):
        bare = alterations.without_table(scan, rng)
        dense = scan.array > -300
        assert 0.9 < np.count_nonzero(bare.array > -300) / np.count_nonzero(dense) <= 1
        table = alterations.on_table(bare, rng).array != bare.array
        assert table.any()
        rows = np.flatnonzero(table.any(axis=(0, 2)))
        assert rows[0] > np.flatnonzero(dense.any(axis=(0, 2)))[0]

    def test_blank_slices_are_one_of_twenty(self, scan, rng):
        blank = np.all(alterations.blanked(scan, rng).array == alterations.AIR_HU, axis=(1, 2))
        assert blank.sum() == round(0.05 * len(scan.array))


class TestGrid:
    def test_blank_slices_are_left_out(self, scan, rng):
        blank = scan.array.copy()
        blank[[20, 41, 42, 70]] = -1024
        blank[50] = 0
        plain, grid = slicegrid.make(scan), slicegrid.make(scan.with_array(blank))
        np.testing.assert_array_equal(plain.z_mm, grid.z_mm)
        assert np.all(grid.body_cm2 > 0.7 * plain.body_cm2)

    def test_air_at_the_ends_stays(self, scan):
        array = scan.array.copy()
        array[:6] = array[-6:] = -1024
        grid = slicegrid.make(scan.with_array(array))
        assert grid.body_cm2[0] == grid.body_cm2[-1] == 0
        assert len(grid.z_mm) == len(slicegrid.make(scan).z_mm)

    @pytest.mark.parametrize("hu", [-100, 0, 30, 100])
    def test_the_offset_of_the_values_is_found(self, scan, hu):
        found = slicegrid.hu_offset(scan.with_array(scan.array + np.int16(hu)))
        assert found == pytest.approx(hu, abs=45) if abs(hu) > 50 else found == 0

    def test_lungs_are_no_air_that_is_off(self):
        rng = np.random.default_rng(1)
        array = rng.normal(-860, 60, (40, 60, 60)).astype(np.int16)
        assert slicegrid.hu_offset(CTVolume(array, (3.0, 3.0, 3.0))) == 0


class TestLocating:
    @pytest.mark.parametrize("kind", ["+100 HU", "-100 HU", "5 % of the slices blank"])
    def test_landmarks_stay(self, scan, rng, kind):
        plain, result = predictor.locate(scan), predictor.locate(alterations.KEPT[kind](scan, rng))
        moved = [abs(a.z_mm - b.z_mm) for a, b in zip(plain.landmarks, result.landmarks) if a.inside and b.inside]
        assert len(moved) >= 3
        assert np.median(moved) <= 8
        assert ("hu_offset" in {flag.code for flag in result.flags}) == ("HU" in kind)

    @pytest.mark.parametrize("kind", [kind for kind in alterations.FOREIGN if kind != "smooth noise"])
    def test_what_is_no_patient_is_refused(self, rng, kind):
        assert predictor.locate(alterations.FOREIGN[kind](rng)).refused is not None

    @pytest.mark.parametrize("kind", alterations.MODALITY)
    def test_another_modality_is_refused_by_its_values(self, scan, rng, kind):
        assert predictor.locate(alterations.MODALITY[kind](scan, rng)).refused.code == "not_hu"

    @pytest.mark.parametrize("kind", alterations.WRONG)
    def test_a_header_that_lies_is_flagged(self, scan, rng, kind):
        result = predictor.locate(alterations.WRONG[kind](scan, rng))
        assert result.refused or result.flags


class TestPage:
    def rows(self) -> list[Row]:
        rows = [Row("+100 HU", f"hn{n}", f"hn{n}", "hn", False, n == 0, (n + 8.0, 9.0), 1, 0) for n in range(3)]
        rows += [Row("upside-down", f"hn{n}", f"hn{n}", "hn", False, n > 0, (), 0, 0) for n in range(3)]
        return [*rows, Row("noise", "model 1", "", "", True, True, (), 0, 0)]

    def test_the_page_says_what_moved_and_what_was_missed(self):
        page = evaluation_robustness.markdown(self.rows())
        assert "| +100 HU | 3 | 3 | 1 | 4 | 9.0 | 9.8 | 10.0 | 2 | 0 | missed |" in page, (
            "the flagged one doesn't count"
        )
        assert "| upside-down | 3 | 3 | 2 | 0 | 1 missed |" in page
        assert "| noise | 1 | 1 |" in page

    def test_rows_of_one_scan(self, scan):
        model = predictor.load_model(engine="numpy")
        few = {"+100 HU": alterations.shifted_up, "any 10 cm of it": alterations.cropped}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(alterations, "KEPT", few)
            patch.setattr(alterations, "WRONG", {"upside-down": alterations.upside_down})
            patch.setattr(alterations, "MODALITY", {})
            rows = evaluation_robustness.measure(scan, model, "s", "p", "other")
        assert [row.alteration for row in rows] == ["+100 HU", *2 * ["any 10 cm of it"], "upside-down"]
        assert rows[0].moved_mm
        assert max(rows[0].moved_mm) < 15
        assert rows[-1].flagged
        assert max(rows[-1].moved_mm) < 15, "turned back"
        assert asdict(rows[0])["family"] == "other"

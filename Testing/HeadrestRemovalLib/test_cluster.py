"""Patient and equipment on a trunk of known shapes, and scans that hold none or are no CT."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume
from HeadrestRemovalLib import cluster, remove
from HeadrestRemovalLib.cluster import ClusterOptions
from HeadrestRemovalLib.labels import BACKGROUND, HEADREST, OTHER, PATIENT, TABLE
from support_trunk import AIR, BONE, FAT, FOAM, LUNG, MUSCLE, SHELL, SPACING, ellipse, places, scan, table, trunk


def codes(result) -> list[str]:
    return [code for code, _ in result.warnings]


class TestTrunkOnATable:
    @pytest.fixture(scope="class")
    def made(self):
        return scan(draw=(table, trunk))

    @pytest.fixture(scope="class")
    def result(self, made):
        return cluster.label(made[0])

    def test_all_inside_the_skin_is_patient(self, made, result):
        _, (_, body) = made
        assert (result.labels[body] == PATIENT).all()

    def test_the_table_is_found_with_its_foam(self, made, result):
        _, (board, body) = made
        assert np.mean(result.labels[board & ~body] == TABLE) > 0.995

    def test_air_is_neither(self, made, result):
        _, (board, body) = made
        _, rows, columns = places()
        far = ~board & ~body & ((rows < 10) | (rows > 108) | (columns < 8))
        assert (result.labels[far] == BACKGROUND).all()

    def test_nothing_to_warn_of(self, result):
        assert codes(result) == []
        assert result.method == "clustering"

    def test_the_scan_is_not_changed_and_kept_voxels_are_identical(self, made, result):
        volume, _ = made
        before = volume.array.copy()
        cleaned = remove.remove(volume, result.labels)
        assert np.array_equal(volume.array, before)
        kept = result.labels <= PATIENT
        assert np.array_equal(cleaned.array[kept], before[kept])
        assert (cleaned.array[~kept] == -1000).all()


class TestPatient:
    def test_arms_beside_the_body_are_patient(self):
        def arm(hu):
            inside = ellipse(50, 10, 8, 8)
            hu[inside] = FAT
            hu[ellipse(50, 10, 6, 6)] = MUSCLE
            hu[ellipse(50, 10, 2, 2)] = BONE
            return inside

        volume, (_, _, limb) = scan(draw=(table, trunk, arm))
        assert (cluster.label(volume).labels[limb] == PATIENT).all()

    def test_a_rail_beside_the_body_is_not(self):
        def rail(hu):
            inside = ellipse(50, 8, 4, 4)
            hu[inside] = SHELL
            return inside

        volume, (_, _, bar) = scan(draw=(table, trunk, rail))
        assert np.mean(cluster.label(volume).labels[bar] > PATIENT) > 0.99

    def test_a_lung_that_the_picture_cuts_stays(self):
        volume, (_, body) = scan(draw=(table, trunk))
        cut = slice(36, None)  # through the right lung
        result = cluster.label(volume.crop(i=cut))
        assert not (result.labels[body[:, :, cut]] > PATIENT).any()
        assert "truncated" in codes(result)

    def test_a_lung_that_a_round_field_cuts_stays(self):
        volume, (_, body) = scan(draw=(table, trunk))
        _, rows, columns = places()
        outside = np.hypot(rows - 60, columns - 83) > 56
        volume = volume.with_array(np.where(outside, -1024, volume.array).astype(np.int16))
        crop = {"i": slice(24, None), "j": slice(1, 120)}
        result = cluster.label(volume.crop(**crop))
        inside = (body & ~outside)[:, crop["j"], crop["i"]]
        assert not (result.labels[inside] > PATIENT).any()

    def test_prone_on_the_same_table(self):
        volume, (board, body) = scan(draw=(table, trunk))
        prone = volume.with_array(volume.array[:, ::-1])
        labels = cluster.label(prone).labels[:, ::-1]
        assert (labels[body] == PATIENT).all()
        assert np.mean(labels[board] == TABLE) > 0.99


def test_the_touching_patient_is_warned_of_and_not_cut():
    def close(hu):
        return table(hu, row=81)

    volume, (_, body) = scan(draw=(close, trunk))
    result = cluster.label(volume)
    assert not (result.labels[body] > PATIENT).any()
    assert "touching" in codes(result)
    assert result.contact_cm2 > 1


def test_without_equipment_nothing_is_removed():
    volume, (body,) = scan(draw=(trunk,))
    result = cluster.label(volume)
    assert not np.isin(result.labels, (HEADREST, TABLE, OTHER)).any()
    assert (result.labels[body] == PATIENT).all()
    assert codes(result) == ["no_equipment"]


@pytest.mark.parametrize(("size", "goes"), [(2, False), (8, True)])
def test_crumbs_below_a_millilitre_in_all_are_no_equipment(size, goes):
    """They may be rims of ears that voxels hardly show."""

    def crumb(hu):
        hu[10 : 10 + size, 2 : 2 + size, 60 : 60 + 2 * size] = SHELL

    volume, _ = scan(draw=(trunk, crumb))
    result = cluster.label(volume)
    assert (result.labels > PATIENT).any() == goes
    assert codes(result) == ([] if goes else ["no_equipment"])


def test_a_sheet_in_front_is_no_table():
    def sheet(hu):
        _, rows, columns = places()
        inside = (rows >= 8) & (rows < 10) & (columns > 30) & (columns < 110)
        hu[inside] = -500
        return inside

    volume, (_, _, cloth) = scan(draw=(table, trunk, sheet))
    assert np.mean(cluster.label(volume).labels[cloth] == OTHER) > 0.99


def test_a_blanket_on_a_slope_is_no_blurred_end_of_the_body():
    """In one slice it lies where the next slice shows skin."""
    slices, rows, columns = places()
    front = np.minimum(30 + 5 * np.abs(slices - slices.max() // 2), 70)
    sides = (columns > 40) & (columns < 126)

    def slope(hu):
        hu[(rows < front) & (hu > -900)] = AIR
        return (rows >= front) & (hu > -900)

    def blanket(hu):
        inside = (rows >= front - 3) & (rows < front - 1) & sides
        hu[inside] = -650
        return inside

    volume, (_, body, cloth) = scan(draw=(trunk, slope, blanket))
    labels = cluster.label(volume).labels
    assert np.mean(labels[cloth] > PATIENT) > 0.99
    assert (labels[body & (volume.array > -300)] == PATIENT).mean() > 0.999


def test_finer_voxels_give_the_same_answer():
    volume, _ = scan(draw=(table, trunk))
    fine = CTVolume(volume.array.repeat(3, axis=1).repeat(3, axis=2), (SPACING[0] / 3, SPACING[1] / 3, SPACING[2]))
    labels, wanted = cluster.label(fine).labels, cluster.label(volume).labels
    assert np.mean(labels[:, 1::3, 1::3] == wanted) > 0.999


def test_coarse_voxels():
    volume, (board, body) = scan(draw=(table, trunk))
    result = cluster.label(replace(volume, spacing=(4.0, 4.0, 8.0)))
    assert (result.labels[body] == PATIENT).all()
    assert np.mean(result.labels[board] == TABLE) > 0.99


class TestBadInput:
    def refused(self, array: np.ndarray) -> str:
        with pytest.raises(CTError) as caught:
            cluster.label(CTVolume(array, SPACING))
        assert caught.value.hint
        return caught.value.code

    def test_mr(self):
        volume, _ = scan(draw=(table, trunk))
        assert self.refused((volume.array + 1024).clip(0)) == "not_ct"

    def test_empty(self):
        assert self.refused(np.zeros((5, 30, 30), np.int16)) == "not_ct"

    @pytest.mark.parametrize("hu", [-1000, -1024])
    def test_air_only(self, hu):
        noise = np.random.default_rng(0).normal(hu, 10, (6, 40, 40)).astype(np.int16)
        assert self.refused(noise) == "no_body"

    def test_a_table_without_a_patient(self):
        assert self.refused(scan(draw=(table,))[0].array) == "no_body"

    def test_values_without_their_offset(self):
        volume, _ = scan(draw=(table, trunk))
        assert self.refused(volume.array + 1024) == "not_ct"
        assert self.refused(volume.array - 1024) == "not_ct"

    @pytest.mark.parametrize("padding", [-2000, -3024])
    def test_padding_far_below_air_is_none_of_that(self, padding):
        volume, (_, body) = scan(draw=(table, trunk))
        hu = volume.array.copy()
        hu[:, :, :15] = hu[:, :12] = padding
        assert (cluster.label(volume.with_array(hu)).labels[body] == PATIENT).all()

    def test_a_single_slice(self):
        assert self.refused(scan(draw=(table, trunk))[0].array[:1]) == "too_few_slices"

    def test_two_slices_work_and_say_so(self):
        volume, (board, body) = scan(draw=(table, trunk))
        result = cluster.label(volume.crop(k=slice(3, 5)))
        assert (result.labels[body[3:5]] == PATIENT).all()
        assert np.mean(result.labels[board[3:5]] > PATIENT) > 0.9
        assert "uncertain" in codes(result)

    def test_what_hangs_on_the_patient_by_little_stays_and_is_told(self):
        def lump(hu):
            k, j, i = places()
            inside = (k >= 10) & (k < 18) & (j >= 42) & (j < 58) & (i >= 121) & (i < 136)
            hu[inside] = np.where((k + j + i) % 2, -100, 50)[inside]
            hu[10:18, 48:50, 115:121] = 50
            return inside

        volume, (_, piece) = scan(draw=(trunk, lump))
        result = cluster.label(volume)
        assert (result.labels[piece] == PATIENT).mean() > 0.95
        assert "uncertain" in codes(result)
        assert "uncertain" not in codes(cluster.label(scan(draw=(trunk,))[0]))

    def test_a_body_that_fills_the_picture(self):
        volume, _ = scan(draw=(trunk,))
        inner = volume.crop(j=slice(20, 66), i=slice(65, 76))
        assert inner.array.min() > -600
        result = cluster.label(inner)
        assert (result.labels == PATIENT).all()
        assert codes(result) == ["truncated", "no_equipment"]

    def test_metal_in_the_patient(self):
        def implant(hu):
            inside = ellipse(35, 70, 3, 3)
            hu[inside] = 12000
            return inside

        volume, (_, body, _) = scan(draw=(table, trunk, implant))
        assert (cluster.label(volume).labels[body] == PATIENT).all()

    def test_holes_in_a_scan_of_floats(self):
        volume, (_, body) = scan(draw=(table, trunk))
        array = volume.array.astype(np.float32)
        array[:, :3] = np.nan
        result = cluster.label(volume.with_array(array))
        assert (result.labels[body] == PATIENT).all()

    @pytest.mark.parametrize("classes", [2, 13])
    def test_classes(self, classes):
        with pytest.raises(CTError, match="classes"):
            ClusterOptions(classes)


def test_progress_tells_and_cancels():
    volume, _ = scan(draw=(table, trunk))
    told = []
    cluster.label(volume, progress=lambda *step: told.append(step) or True)
    assert [done for done, _, _ in told] == list(range(told[0][1] + 1))
    assert all(text for _, _, text in told)
    with pytest.raises(CTError) as caught:
        cluster.label(volume, progress=lambda done, total, text: done < 2)
    assert caught.value.code == "cancelled"


def test_constants_of_the_drawing_are_as_told_apart_here():
    assert AIR < FOAM <= LUNG < cluster.DENSE_HU < FAT < MUSCLE < SHELL

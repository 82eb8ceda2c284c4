"""Lungs in chests whose truth is known exactly, however they lie and are stored, and scans that hold none."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace

import numpy as np
import pytest
from CTVolumeLib import phantom
from CTVolumeLib.errors import CTError
from CTVolumeLib.phantom import Phantom, Sphere
from CTVolumeLib.volume import CTVolume
from LungSegmentLib import lungs
from LungSegmentLib.lungs import AIRWAY, LEFT, RIGHT, LungOptions, LungResult
from LungSegmentLib.shapes import erode
from support_lungs import CHEST_Z_MM, airway_in_lung, chest, dice, dices, restored, stored, swapped

THICK = (1.5, 1.5, 5.0)
GOOD, COARSE_GOOD = 0.98, 0.97
"""Dice that is asked of each lung; and on voxels of 2.5 mm, where a test is about something else."""

MAIN_BRONCHI_MM = 20.0
"""Further from the middle the phantom's bronchi run along the lungs and into them, behind a wall of 2 mm."""

HAZE = (Sphere(-80, -40, 430, 25, -500), Sphere(90, 20, 400, 20, -500))
STORAGES = [
    (axes, flips)
    for axes in itertools.permutations(range(3))
    for flips in itertools.product((False, True), repeat=3)
]  # fmt: skip


@pytest.fixture(scope="module")
def plain() -> Phantom:
    return chest()


@pytest.fixture(scope="module")
def found(plain) -> LungResult:
    return lungs.segment(plain.volume)


class TestExactOnThePhantom:
    @pytest.mark.slow
    def test_thin_slices(self):
        made = phantom.make(
            phantom.PhantomParameters(spacing=(0.7, 0.7, 0.6), field_mm=400, z_range=(-480.0, -380.0), noise=12)
        )
        assert min(dices(lungs.segment(made.volume).labels, made)) >= GOOD

    @pytest.mark.slow
    @pytest.mark.parametrize("thickness", [3.0, 8.0])
    def test_thick_slices(self, thickness):
        made = chest(spacing=(1.5, 1.5, thickness))
        result = lungs.segment(made.volume)
        assert min(dices(result.labels, made)) >= GOOD
        assert swapped(result.labels, made) < 0.005
        assert result.two_lungs
        assert result.airway_sealed

    @pytest.mark.parametrize("parameters", [{}, {"tilt": -20.0}], ids=["large pixels", "tilted the other way"])
    def test_large_pixels(self, parameters):
        made = chest(spacing=(2.0, 2.0, 5.0), **parameters)
        assert min(dices(lungs.segment(made.volume).labels, made)) >= GOOD

    @pytest.mark.parametrize(
        ("spacing", "least"),
        [((3.0, 3.0, 5.0), 0.97), ((4.0, 4.0, 6.0), 0.96), ((5.3, 5.3, 5.0), 0.945), ((6.0, 6.0, 8.0), 0.93)],
    )
    def test_coarse_voxels(self, spacing, least):
        """As of the CT that goes with a PET; half the lungs' rim is then in voxels that hold tissue as well."""
        made = chest(spacing=spacing, field_mm=500.0, arms="down")
        result = lungs.segment(made.volume)
        assert min(dices(result.labels, made)) >= least
        assert swapped(result.labels, made) < 0.005
        assert result.two_lungs

    def test_bases_only(self):
        """The right one is a rim around the dome of the diaphragm."""
        made = chest(spacing=(1.0, 1.0, 5.0), z_range=(-620.0, -520.0))
        result = lungs.segment(made.volume)
        assert min(dices(result.labels, made)) >= 0.95
        assert swapped(result.labels, made) < 0.005
        assert result.two_lungs

    @pytest.mark.parametrize(
        "parameters",
        [
            {},
            {"spacing": (1.5, 1.5, 8.0), "noise": 60.0},
            {"noise": 60.0},
            {"tilt": 25.0},
            {"tilt": -20.0},
            {"arms": "down", "field_mm": 500.0},
            {"arms": "up"},
            {"offset_mm": (0.0, 11.0)},
            {"offset_mm": (20.0, 0.0), "roll": 25.0},
            {"z_range": (-580.0, -400.0)},
            {"z_range": (-480.0, -300.0)},
            {"nodules": 12, "seed": 2},
            {"ground_glass": HAZE},
            {"contrast": 300.0},
            {"breathing": 1.0, "seed": 4, "variation": 0.05},
            {"girth": 1.5, "field_mm": 500.0},
            {"round_field": True},
            {"table": False},
            {"kernel": "sharp", "noise": 40.0},
            {"spacing": (1.0, 1.5, 4.0)},
        ],
        ids=[
            "plain", "8 mm slices and noise", "noise 60 HU", "gantry tilted by 25 degrees", "tilted the other way",
            "arms down", "arms up", "table touches the back", "turned by 25 degrees", "cut at the top",
            "cut at the bottom", "nodules", "ground glass", "contrast medium", "another person, breath held", "stout",
            "round field", "no table", "sharp kernel", "non-square pixels",
        ],
    )  # fmt: skip
    def test_whoever_lies_there(self, parameters):
        made = chest(**{"spacing": THICK} | parameters)
        result = lungs.segment(made.volume)
        assert min(dices(result.labels, made)) >= GOOD
        assert swapped(result.labels, made) < 0.005
        assert airway_in_lung(result.labels, made, MAIN_BRONCHI_MM) < 0.003

    def test_prone(self):
        """On the belly: rows and columns run the other way, as the header tells, and the table is in front."""
        made = chest(spacing=THICK)
        flips = (False, True, True)
        labels = restored(lungs.segment(stored(made.volume, (0, 1, 2), flips)).labels, (0, 1, 2), flips)
        assert min(dices(labels, made)) >= GOOD

    def test_turned_on_the_side_and_on_the_belly(self):
        """The header says supine; only the picture shows how the patient lies."""
        for roll in (90.0, 180.0):
            made = chest(spacing=THICK, roll=roll, field_mm=500.0, z_range=(-520.0, -360.0))
            both = np.isin(lungs.segment(made.volume).labels, (LEFT, RIGHT))
            assert dice(both, made.masks["left lung"] | made.masks["right lung"]) >= GOOD

    def test_trachea_is_not_lung(self, plain, found):
        assert airway_in_lung(found.labels, plain, MAIN_BRONCHI_MM) < 0.003
        assert dice(found.labels == AIRWAY, plain.masks["airway"]) > 0.8
        assert 100 < found.trachea_mm < 200
        assert found.airway_sealed

    def test_trachea_in_a_field_of_view_that_cuts_most_of_one_lung(self, plain):
        """The middle of what is left of the body is far from the trachea; that of the bones is not."""
        columns = np.flatnonzero(plain.masks["right lung"].any(axis=(0, 1)))
        begin = columns[0] + round(0.7 * (columns[-1] - columns[0]))
        volume = plain.volume
        moved = tuple(volume.origin + begin * volume.spacing[0] * volume.axes()[:, 0])
        narrow = CTVolume(volume.array[:, :, begin:].copy(), volume.spacing, moved, volume.direction)
        airway = plain.masks["airway"][:, :, begin:]
        result = lungs.segment(narrow)
        assert result.trachea_mm > 100
        assert np.isin(result.labels, (LEFT, RIGHT))[airway].mean() < 0.03

    def test_vessels_and_nodules_are_inside(self, plain, found):
        deep = erode(plain.masks["left lung"] | plain.masks["right lung"], plain.volume.spacing, 6.0)
        dense = deep & (plain.volume.array > -200)
        assert dense.sum() > 100
        assert found.labels[dense].all()

    def test_filled_and_unfilled_and_their_difference(self, plain, found):
        dense = plain.volume.array >= -320
        unfilled, difference = found.unfilled(plain.volume), found.difference(plain.volume)
        assert not unfilled[dense].any()
        assert not difference[~dense].any()
        np.testing.assert_array_equal(unfilled + difference, found.labels)
        assert np.count_nonzero(difference) > 0.01 * np.count_nonzero(found.labels)

    def test_one_lung_is_on_its_side(self, plain):
        array = plain.volume.array.copy()
        array[plain.masks["left lung"]] = 30
        result = lungs.segment(plain.volume.with_array(array))
        assert not result.two_lungs
        assert not (result.labels == LEFT).any()
        assert dice(result.labels == RIGHT, plain.masks["right lung"]) > COARSE_GOOD

    def test_lungs_that_touch_are_parted(self, plain):
        """A bridge of lung in front of the heart, as the junction line leaves it in thick slices."""
        array = plain.volume.array.copy()
        lung = plain.masks["left lung"] | plain.masks["right lung"]
        height = int(np.flatnonzero(lung.any(axis=(1, 2))).mean())
        rows = np.flatnonzero(lung[height].any(axis=1))
        row = rows[len(rows) // 4]
        columns = [np.nonzero(plain.masks[name][height, row])[0] for name in ("right lung", "left lung")]
        array[height : height + 2, row : row + 2, columns[0].max() - 2 : columns[1].min() + 3] = -850
        result = lungs.segment(plain.volume.with_array(array))
        assert result.two_lungs
        assert min(dices(result.labels, plain)) > COARSE_GOOD
        assert swapped(result.labels, plain) < 0.005


class TestHowItIsStored:
    @pytest.mark.slow
    def test_all_axis_orders(self):
        """The same scan in each of the 48 ways to store it: left is left, and not one voxel differs."""
        made = chest(spacing=(3.5, 3.5, 5.0), z_range=(-480.0, -360.0))
        plain = lungs.segment(made.volume).labels
        assert min(dices(plain, made)) > 0.96
        assert len(STORAGES) == 48
        for axes, flips in STORAGES:
            other = lungs.segment(stored(made.volume, axes, flips)).labels
            np.testing.assert_array_equal(restored(other, axes, flips), plain, err_msg=f"{axes} {flips}")

    def test_prone(self, plain, found):
        """On the belly: rows and columns run the other way, as the header tells."""
        flips = (False, True, True)
        prone = stored(plain.volume, (0, 1, 2), flips)
        assert prone.direction[0] == -1
        labels = lungs.segment(prone).labels
        np.testing.assert_array_equal(restored(labels, (0, 1, 2), flips), found.labels)

    def test_uneven_slices(self, plain, found):
        kept = np.delete(np.arange(len(plain.volume.array)), [20, 33, 34, 50])
        uneven = replace(
            plain.volume,
            array=plain.volume.array[kept],
            positions=kept * plain.volume.spacing[2],
        )
        labels = lungs.segment(uneven).labels
        lung = np.isin(labels, (LEFT, RIGHT))
        assert dice(lung, np.isin(found.labels[kept], (LEFT, RIGHT))) > 0.99

    def test_float_with_holes_and_huge_values(self, plain, found):
        array = plain.volume.array.astype(np.float32)
        array[:, :3] = np.nan  # what resampling leaves beyond a scan
        array[10, 60, 60], array[11, 60, 60] = 1e30, -np.inf
        labels = lungs.segment(plain.volume.with_array(array)).labels
        assert dice(np.isin(labels, (LEFT, RIGHT)), np.isin(found.labels, (LEFT, RIGHT))) > 0.995

    def test_metal(self, plain, found):
        array = plain.volume.array.copy()
        array[:, 20:24, 80:84] = 32767
        labels = lungs.segment(plain.volume.with_array(array)).labels
        assert dice(np.isin(labels, (LEFT, RIGHT)), np.isin(found.labels, (LEFT, RIGHT))) > 0.99

    @pytest.mark.parametrize("count", [1, 2])
    def test_few_slices(self, plain, count):
        middle = int(np.flatnonzero(plain.masks["left lung"].any(axis=(1, 2))).mean())
        few = plain.volume.crop(k=slice(middle, middle + count))
        labels = lungs.segment(few).labels
        for value, name in ((LEFT, "left lung"), (RIGHT, "right lung")):
            assert dice(labels == value, plain.masks[name][middle : middle + count]) > 0.9

    def test_the_scan_is_not_changed(self, plain):
        before = plain.volume.array.copy()
        lungs.segment(plain.volume)
        np.testing.assert_array_equal(plain.volume.array, before)


def _scan(array: np.ndarray) -> CTVolume:
    return CTVolume(array, (3.0, 3.0, 4.0))


def _water() -> np.ndarray:
    """A bottle of water in air."""
    array = np.full((30, 80, 80), -1000, np.int16)
    j, i = np.ogrid[-40:40, -40:40]
    array[:, j**2 + i**2 < 30**2] = 0
    return array


class TestNoLungs:
    @pytest.mark.parametrize(
        "array",
        [
            np.zeros((20, 60, 60), np.int16),
            np.full((20, 60, 60), -1000, np.int16),
            np.full((20, 60, 60), -3024, np.int16),
            np.full((20, 60, 60), np.nan, np.float32),
            np.random.default_rng(1).normal(0, 300, (20, 60, 60)).astype(np.int16),
            np.random.default_rng(1).integers(-1024, 3071, (20, 60, 60)).astype(np.int16),
            np.random.default_rng(1).integers(-1010, -990, (20, 60, 60)).astype(np.int16),
            np.random.default_rng(1).gamma(2, 150, (20, 60, 60)).astype(np.int16),
            np.random.default_rng(1).random((20, 60, 60)).astype(np.float32),
            _water(),
            np.zeros((1, 1, 1), np.int16),
            np.full((1, 2, 3), -900, np.int16),
        ],
        ids=[
            "empty", "air", "padding", "NaN", "noise", "wild noise", "air with noise", "MR", "from 0 to 1", "water",
            "one voxel", "six voxels",
        ],
    )  # fmt: skip
    def test_what_is_no_chest(self, array):
        self._refused(_scan(array))

    def test_an_mr_scan(self, plain):
        """Tissue bright, lungs and air dark, never below 0."""
        values = np.clip((plain.volume.array + 1000.0) * 0.4, 0, None).astype(np.int16)
        self._refused(plain.volume.with_array(values))

    @pytest.mark.parametrize(
        ("z_range", "what"), [((-250.0, 10.0), "head"), ((-800.0, -590.0), "abdomen"), ((-860.0, -660.0), "pelvis")]
    )
    def test_other_parts_of_the_body(self, z_range, what):
        made = chest(z_range=z_range)
        assert not (made.masks["left lung"] | made.masks["right lung"]).any() or what == "head"
        self._refused(made.volume)

    def test_bowel_full_of_gas_is_no_lung(self):
        volume = chest(z_range=(-800.0, -590.0)).volume
        array = volume.array.copy()
        k, j, i = np.ogrid[: array.shape[0], : array.shape[1], : array.shape[2]]
        colon = ((k - 25) * 4.0) ** 2 + ((j - 70) * 2.5) ** 2 + ((i - 70) * 2.5) ** 2 < 40**2
        array[colon] = -1000 + np.random.default_rng(3).normal(0, 15, colon.sum()).astype(np.int16)
        error = self._refused(volume.with_array(array))
        assert "gas inside the body" in error.message

    def test_bowel_gas_beside_lungs(self, plain, found):
        array = plain.volume.array.copy()
        k, j, i = np.ogrid[: array.shape[0], : array.shape[1], : array.shape[2]]
        stomach = ((k - 5) * 4.0) ** 2 + ((j - 70) * 2.5) ** 2 + ((i - 110) * 2.5) ** 2 < 18**2
        stomach &= plain.labels != 0
        array[stomach & ~np.isin(plain.labels, (2, 3))] = -1000
        labels = lungs.segment(plain.volume.with_array(array)).labels
        assert np.isin(labels[stomach], (LEFT, RIGHT)).mean() < 0.05
        assert dice(np.isin(labels, (LEFT, RIGHT)), np.isin(found.labels, (LEFT, RIGHT))) > 0.98

    @staticmethod
    def _refused(volume: CTVolume) -> CTError:
        with pytest.raises(CTError, match="No lungs were found in this scan") as refused:
            lungs.segment(volume)
        assert refused.value.code == "no_lungs"
        assert len(refused.value.message) > len("No lungs were found in this scan: .")
        assert refused.value.hint
        return refused.value


class TestOptions:
    def test_where_to_look(self, plain):
        z = plain.volume.superior()
        middle = float(np.median(z))
        labels = lungs.segment(plain.volume, LungOptions(within_z_mm=(middle, CHEST_Z_MM[1]))).labels
        assert np.isin(labels[z > middle + 10], (LEFT, RIGHT)).any()
        assert not labels[z < middle - 10].any()

    def test_threshold_and_closing(self, plain, found):
        low = lungs.segment(plain.volume, LungOptions(threshold_hu=-600.0)).labels
        open_ = lungs.segment(plain.volume, LungOptions(closing_mm=0.0)).labels
        both = np.count_nonzero(np.isin(found.labels, (LEFT, RIGHT)))
        assert 0.8 * both < np.count_nonzero(np.isin(low, (LEFT, RIGHT))) < both * 1.01
        assert np.count_nonzero(np.isin(open_, (LEFT, RIGHT))) < both

    @pytest.mark.parametrize("bad", [{"threshold_hu": 0.0}, {"threshold_hu": -1000.0}, {"closing_mm": -1.0}])
    def test_options_that_find_nothing(self, bad):
        with pytest.raises(CTError) as refused:
            LungOptions(**bad)
        assert refused.value.code == "bad_option"


class TestProgress:
    def test_it_is_told(self, plain, found):
        told = []
        result = lungs.segment(plain.volume, progress=lambda *step: told.append(step) or True)
        np.testing.assert_array_equal(result.labels, found.labels)
        assert [done for done, _, _ in told] == list(range(len(told)))
        assert {total for _, total, _ in told} == {told[-1][0]}
        assert told[-1][2] == "Done"

    def test_it_can_be_cancelled_at_each_step(self):
        made = chest(spacing=(3.5, 3.5, 5.0), z_range=(-480.0, -360.0))
        steps = []
        lungs.segment(made.volume, progress=lambda done, total, text: steps.append(done) or True)
        for last in steps:
            with pytest.raises(CTError) as cancelled:
                lungs.segment(made.volume, progress=functools.partial(self._go_on_until, last))
            assert cancelled.value.code == "cancelled"

    @staticmethod
    def _go_on_until(last: int, done: int, total: int, text: str) -> bool:
        assert done <= last, "it went on although it was cancelled"
        return done < last

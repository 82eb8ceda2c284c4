"""The classic recipe against slow and obvious ways to do its steps, and how it differs by its background."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib.volume import CTVolume
from LungSegmentLib import recipe
from LungSegmentLib.recipe import RecipeOptions
from scipy import ndimage
from skimage import measure
from support_lungs import chest, dice, restored, stored


@pytest.fixture(scope="module")
def made():
    return chest()


@pytest.fixture
def blobs() -> np.ndarray:
    noise = np.random.default_rng(11).standard_normal((9, 30, 34))
    return ndimage.gaussian_filter(noise, 1.5) > 0.05


def _slow_background(air: np.ndarray, seeds: set[tuple[int, int, int]]) -> np.ndarray:
    """Air reached from seeds by going from voxel to voxel."""
    reached, waiting = np.zeros_like(air), [seed for seed in seeds if air[seed]]
    while waiting:
        place = waiting.pop()
        if reached[place]:
            continue
        reached[place] = True
        for axis in range(3):
            for step in (-1, 1):
                other = list(place)
                other[axis] += step
                if 0 <= other[axis] < air.shape[axis] and air[tuple(other)] and not reached[tuple(other)]:
                    waiting.append(tuple(other))
    return reached


class TestSteps:
    @pytest.mark.parametrize("background", recipe.BACKGROUNDS)
    def test_background(self, blobs, background):
        air = blobs.copy()
        for corner in np.ndindex(2, 2, 2):
            air[tuple(-index for index in corner)] = True
        planes, rows, columns = air.shape
        if background == "corner":
            seeds = {(0, 0, 0)}
        elif background == "corners":
            seeds = {(k, j, i) for k in (0, planes - 1) for j in (0, rows - 1) for i in (0, columns - 1)}
        else:
            seeds = {
                place for place in np.ndindex(air.shape) if place[1] in (0, rows - 1) or place[2] in (0, columns - 1)
            }
        np.testing.assert_array_equal(recipe.around_the_body(air, background), _slow_background(air, seeds))

    def test_a_solid_corner_is_not_air(self, blobs):
        air = blobs.copy()
        air[0, 0, 0] = False
        assert not recipe.around_the_body(air, "corner").any()

    def test_solid_part_of_each_slice(self, blobs):
        wanted = np.zeros_like(blobs)
        for k, plane in enumerate(blobs):
            labels = measure.label(~plane, connectivity=1)
            sizes = [(labels == number).sum() for number in range(1, labels.max() + 1)]
            assert sizes.count(max(sizes)) == 1
            wanted[k] = labels != 1 + int(np.argmax(sizes))
        np.testing.assert_array_equal(recipe.fill_solid(blobs), wanted)

    def test_slices_all_air_and_all_solid(self):
        inner = np.zeros((2, 4, 5), bool)
        inner[0] = True
        np.testing.assert_array_equal(recipe.fill_solid(inner), inner)

    @pytest.mark.parametrize("count", [1, 2, 3, 1000])
    def test_pockets(self, blobs, count):
        labels = measure.label(blobs, connectivity=1)
        sizes = np.bincount(labels.ravel())[1:]
        kept = sorted(range(1, len(sizes) + 1), key=lambda number: -sizes[number - 1])[:count]
        found = recipe.keep_pockets(blobs, count)
        assert found.sum() == sum(sizes[number - 1] for number in kept)
        for number in range(1, len(sizes) + 1):
            assert found[labels == number].all() or not found[labels == number].any()

    def test_pockets_of_nothing(self):
        for count in (1, 2):
            assert not recipe.keep_pockets(np.zeros((3, 4, 5), bool), count).any()


class TestWhole:
    def test_the_phantom(self, made):
        steps = recipe.follow(made.volume, RecipeOptions(pockets=2))
        lung = made.masks["left lung"] | made.masks["right lung"]
        np.testing.assert_array_equal(steps.air, made.volume.array < -320)
        assert not (steps.body & made.masks["patient"]).sum() < made.masks["patient"].sum() * 0.99
        assert dice(steps.filled, lung) > 0.9
        np.testing.assert_array_equal(steps.filled, steps.unfilled | steps.difference())
        assert not (steps.unfilled & (made.volume.array >= -320)).any()
        assert (steps.filled & (made.volume.array >= -320)).any()

    def test_threshold_and_no_filling(self, made):
        steps = recipe.follow(made.volume, RecipeOptions(threshold_hu=-500.0, fill=False))
        np.testing.assert_array_equal(steps.air, made.volume.array < -500)
        assert not steps.difference().any()

    def test_stored_otherwise(self, made):
        axes, flips = (2, 0, 1), (True, False, True)
        other = recipe.follow(stored(made.volume, axes, flips))
        plain = recipe.follow(made.volume)
        np.testing.assert_array_equal(other.filled, plain.filled)
        np.testing.assert_array_equal(restored(stored(made.volume, axes, flips).array, axes, flips), made.volume.array)

    def test_a_table_from_edge_to_edge_cuts_air_off_from_one_corner(self):
        """The air under it is then taken for a pocket, and for the largest; all corners find it."""
        array = np.full((12, 60, 60), -1000, np.int16)
        j, i = np.ogrid[:60, :60]
        array[:, ((j - 20) / 15) ** 2 + ((i - 30) / 25) ** 2 < 1] = 30
        lungs = np.zeros(array.shape, bool)
        lungs[2:10, 14:26, 12:26] = lungs[2:10, 14:26, 34:48] = True
        array[lungs] = -850
        array[:, 40:42] = 100
        volume = CTVolume(array, (5.0, 5.0, 5.0))
        found = {
            name: recipe.follow(volume, RecipeOptions(background=name, pockets=2)).filled for name in recipe.BACKGROUNDS
        }
        assert found["corner"][:, 45:].all()
        assert not (found["corner"] & lungs).all()
        for name in ("corners", "edges"):
            np.testing.assert_array_equal(found[name], lungs)

    def test_air_inside_a_table_is_a_pocket(self):
        """No background finds what the shell encloses, and here it is larger than the lungs."""
        array = np.full((6, 40, 60), -1000, np.int16)
        array[:, 4:24, 10:50] = 30
        array[:, 8:20, 15:28] = array[:, 8:20, 32:45] = -850
        array[:, 28:38, 2:58] = 100
        array[:, 30:36, 4:56] = -980
        steps = recipe.follow(CTVolume(array, (5.0, 5.0, 5.0)), RecipeOptions(background="edges"))
        assert (steps.filled[:, 30:36, 4:56]).all()
        assert not steps.filled[:, :24].any()

"""The light on chests of known truth: green where the lungs are right, and why not where they are not."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib.phantom import Phantom
from CTVolumeLib.volume import CTVolume
from LungSegmentLib import evaluation_heldout, evaluation_ill, lungs, quality
from LungSegmentLib.lungs import LEFT, RIGHT
from LungSegmentLib.quality import AMBER, GREEN, RED, Light
from scipy import ndimage
from support_lungs import chest, dice, true_labels

WHOLE_Z_MM = (-620.0, -300.0)
COARSE = (3.0, 3.0, 6.0)


@pytest.fixture(scope="module")
def plain() -> Phantom:
    return chest(z_range=WHOLE_Z_MM, spacing=COARSE)


@pytest.fixture(scope="module")
def ill(plain) -> dict[tuple[str, str], evaluation_ill.IllScan]:
    truth = np.where(true_labels(plain) < 3, true_labels(plain), 0)
    return {(scan.kind, scan.severity): scan for scan in evaluation_ill.all_of(plain.volume, truth)}


def judged(volume: CTVolume) -> Light:
    return quality.judge(volume, lungs.segment(volume))


def codes(light: Light) -> set[str]:
    return {sign.code for sign in light.signs}


def test_healthy_lungs_are_green(plain):
    light = judged(plain.volume)
    assert light.colour == GREEN
    assert not light.signs
    assert light.figures["left_ml"] < light.figures["right_ml"]
    assert min(light.figures["left_recess_mm"], light.figures["right_recess_mm"]) > quality.RECESS_MM


@pytest.mark.parametrize(
    ("kind", "severity"),
    [
        ("consolidation", "25 % of the left lung"),
        ("consolidation", "50 % of the right lung"),
        ("consolidation", "both bases, 40 %"),
        ("effusion", "50 % of the right lung"),
    ],
)
def test_dense_lung_and_fluid_are_flagged(ill, kind, severity):
    light = judged(ill[kind, severity].volume)
    assert light.colour != GREEN
    assert codes(light) & {"dense_beside", "no_recess"}


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_missing_lung_is_red_and_named(ill, side):
    light = judged(ill["one lung missing", f"{side} lung"].volume)
    assert light.colour == RED
    assert f"No {side} lung" in next(sign.text for sign in light.signs if sign.code == "one_lung")


def test_lungs_that_the_scan_cuts_are_noted_not_flagged(ill):
    light = judged(ill["cut", "lower third gone"].volume)
    assert light.colour == GREEN
    assert [note.code for note in light.notes] == ["cut"]
    assert "bottom" in light.notes[0].text


def test_left_for_right_is_no_reason(ill):
    assert judged(ill["mirrored", "left for right"].volume).colour == GREEN


def test_labels_that_are_wrong_are_flagged(plain):
    """Made by hand, so that the light is asked apart from the lungs."""
    labels = true_labels(plain)
    gone = labels.copy()
    gone[(labels == LEFT) & (np.arange(labels.shape[0])[:, None, None] < np.nonzero(labels == LEFT)[0].mean())] = 0
    light = quality.judge(plain.volume, lungs.LungResult(gone, trachea_mm=100.0))
    assert light.colour == AMBER
    assert {"uneven", "no_recess"} & codes(light)
    leaked = lungs.LungResult(labels, airway_sealed=False, trachea_mm=0.0)
    assert {"no_trachea", "airway_leak"} <= codes(quality.judge(plain.volume, leaked))


def test_infiltrates_show_as_haze_around_the_lungs(plain, ill):
    healthy = judged(plain.volume)
    assert healthy.figures["hazy_share"] < quality.HAZE_AMBER / 2
    assert "hazy_beside" in codes(judged(ill["infiltrates", "half of the right lung"].volume))


def ball(volume: CTVolume, centre: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    k, j, i = (
        (np.arange(size) - middle) * step
        for size, middle, step in zip(volume.array.shape, centre, volume.spacing[::-1], strict=True)
    )
    return k[:, None, None] ** 2 + j[:, None] ** 2 + i**2 < radius_mm**2


@pytest.mark.parametrize(
    ("height", "radius_mm", "said"),
    [("base", 16.0, "bowel"), ("apex", 16.0, ""), ("apex", 24.0, "bulla")],
)
def test_a_little_gas_matters_at_the_diaphragm_much_gas_anywhere(plain, height, radius_mm, said):
    labels = true_labels(plain)
    lung = labels == LEFT
    inner = lung.sum(axis=0) == lung.sum(axis=0).max()
    j, i = np.argwhere(inner)[0]
    column = np.flatnonzero(lung[:, j, i])
    k = column[0] + 3 if height == "base" else column[0] + round(0.7 * len(column))
    array = plain.volume.array.copy()
    array[ball(plain.volume, (k, j, i), radius_mm) & lung] = -1000
    light = quality.judge(plain.volume.with_array(array), lungs.LungResult(labels, trachea_mm=100.0))
    found = [sign for sign in light.signs + light.notes if sign.code == "gas"]
    texts = [sign.text for sign in found]
    assert bool(texts) == bool(said)
    # It makes the light amber only where it is much of the lungs.
    much = light.figures["gas_ml"] > quality.GAS_SHARE * (light.figures["left_ml"] + light.figures["right_ml"])
    assert [sign.colour for sign in found] == ([AMBER if much else GREEN] if said else [])
    assert all(said in text for text in texts)


def test_much_gas_in_the_lungs_is_amber(plain):
    labels = true_labels(plain)
    where = tuple(axis.mean() for axis in np.nonzero(labels == RIGHT))
    array = plain.volume.array.copy()
    array[ball(plain.volume, where, 45.0) & (labels == RIGHT)] = -1000
    light = quality.judge(plain.volume.with_array(array), lungs.LungResult(labels, trachea_mm=100.0))
    assert next(sign.colour for sign in light.signs if sign.code == "gas") == AMBER


def test_what_lies_behind_bases_is_flagged_and_healthy_bases_are_not(plain):
    """The scan holds no more than the bases, so that only what is behind them can tell."""
    labels = true_labels(plain)
    lung = np.isin(labels, (LEFT, RIGHT))
    slices = np.flatnonzero(lung.any(axis=(1, 2)))
    part = slice(0, slices[0] + len(slices) // 2)
    volume = CTVolume(plain.volume.array[part], plain.volume.spacing, plain.volume.origin, plain.volume.direction)
    healthy = quality.judge(volume, lungs.LungResult(labels[part]))
    assert healthy.figures["behind"] < quality.BEHIND_SHARE / 2
    assert "dense_behind" not in codes(healthy)
    rows = np.flatnonzero(lung.any(axis=(0, 2)))
    dense = labels[part].copy()
    dense[:, rows[0] + round(0.6 * len(rows)) :][dense[:, rows[0] + round(0.6 * len(rows)) :] == RIGHT] = 0
    light = quality.judge(volume, lungs.LungResult(dense))
    assert "right" in next(sign.text for sign in light.signs if sign.code == "dense_behind")
    assert light.figures["behind_missing"] > quality.BEHIND_MISSING


def test_bronchi_full_of_air_tell_airless_lung_from_other_tissue(plain):
    """The upper front of the right lung is airless, once with open bronchi in it and once without."""
    labels = true_labels(plain)
    k, j, _ = np.indices(labels.shape)
    right = labels == RIGHT
    airless = right & (j < np.median(j[right])) & (k > np.median(k[right]))
    found = np.where(airless, 0, labels).astype(np.uint8)
    painted = ndimage.binary_dilation(airless, iterations=2) & (found == 0)  # with the rim, which is half as dense
    array = np.where(painted, 40, plain.volume.array).astype(plain.volume.array.dtype)

    def light(array: np.ndarray) -> Light:
        return quality.judge(plain.volume.with_array(array), lungs.LungResult(found, trachea_mm=100.0))

    solid = light(array)
    assert "bronchi_in_tissue" not in codes(solid)
    inner = ndimage.binary_erosion(airless, iterations=3)
    grid = np.zeros(labels.shape, bool)
    grid[::3, ::5, ::5] = True
    array[inner & grid] = -800
    open_bronchi = light(array)
    assert open_bronchi.figures["bronchi"] >= 10
    assert "bronchi_in_tissue" in codes(open_bronchi)


@pytest.mark.parametrize("factors", [(1, 1, 2), (1, 1, 0.5), (1.6, 1.6, 1), (0.6, 0.6, 1)])
def test_a_wrong_spacing_shows_in_the_proportions(plain, factors):
    spacing = tuple(step * factor for step, factor in zip(plain.volume.spacing, factors, strict=True))
    volume = CTVolume(plain.volume.array, spacing, plain.volume.origin, plain.volume.direction)
    light = quality.judge(volume, lungs.LungResult(true_labels(plain), trachea_mm=100.0))
    assert "extent" in codes(light)
    assert "spacing" in next(sign.text for sign in light.signs if sign.code == "extent")


def test_a_high_dome_at_the_end_of_a_scan_is_not_called_uneven(plain):
    """Half of the slices hold little of the right lung; where there is much lung, both have as much."""
    labels = true_labels(plain)
    middle = round(np.nonzero(np.isin(labels, (LEFT, RIGHT)))[0].mean())
    part = slice(middle - 10, middle + 10)
    volume = CTVolume(plain.volume.array[part], plain.volume.spacing, plain.volume.origin, plain.volume.direction)
    high = labels[part].copy()
    high[:9][high[:9] == RIGHT] = 0
    light = quality.judge(volume, lungs.LungResult(high, trachea_mm=100.0))
    assert light.figures["left_by_right"] > quality.NORMAL_RATIO[1]
    assert "uneven" not in codes(light)
    missing = high.copy()
    missing[missing == RIGHT] = np.where(np.nonzero(missing == RIGHT)[1] % 2, 0, RIGHT)
    assert "uneven" in codes(quality.judge(volume, lungs.LungResult(missing, trachea_mm=100.0)))


def test_apices_of_who_lies_tilted_are_not_called_uneven(plain):
    """Of the right lung the scan shows less, since its apex lies lower; from its apex down it is as wide."""
    labels = true_labels(plain)
    slices = np.flatnonzero((labels == LEFT).any(axis=(1, 2)))
    first = slices[-1] - round(60 / COARSE[2])
    low = np.where(labels == RIGHT, RIGHT, 0).astype(np.uint8)
    tilted = np.where(labels == RIGHT, 0, labels).astype(np.uint8)
    shift = round(18 / COARSE[2])
    tilted[:-shift][low[shift:] == RIGHT] = RIGHT
    volume = CTVolume(plain.volume.array[first:], plain.volume.spacing, plain.volume.origin, plain.volume.direction)
    light = quality.judge(volume, lungs.LungResult(tilted[first:], trachea_mm=60.0))
    assert light.figures["left_by_right"] > quality.UPPER_RATIO[1]
    assert "uneven" not in codes(light)
    thin = tilted[first:].copy()
    thin[:, :, ::2][thin[:, :, ::2] == RIGHT] = 0
    assert "uneven" in codes(quality.judge(volume, lungs.LungResult(thin, trachea_mm=60.0)))


class TestIllScans:
    """What the light is measured with has to be right itself."""

    def test_airless_lung_stays_lung_and_fluid_does_not(self, plain, ill):
        whole = np.isin(true_labels(plain), (LEFT, RIGHT))
        airless = ill["consolidation", "50 % of the right lung"]
        assert dice(airless.truth > 0, whole) == 1
        changed = airless.volume.array != plain.volume.array
        assert changed[airless.truth == RIGHT].mean() == pytest.approx(0.5, abs=0.03)
        assert not changed[airless.truth != RIGHT].any()
        fluid = ill["effusion", "50 % of the right lung"]
        gone = whole & (fluid.truth == 0)
        assert abs(fluid.volume.array[gone].mean() - 10) < 3
        assert fluid.must_flag
        # Fluid lies behind: j grows to the back.
        assert np.nonzero(gone)[1].mean() > np.nonzero(fluid.truth == RIGHT)[1].mean() + 10

    def test_gas_lies_below_the_dome_and_leaves_the_truth(self, plain, ill):
        gas = next(scan for (kind, _), scan in ill.items() if kind == "colon gas")
        bubble = (gas.volume.array < -900) & (plain.volume.array > -300)
        assert bubble.any()
        assert not (bubble & (gas.truth > 0)).any()
        assert dice(gas.truth > 0, np.isin(true_labels(plain), (LEFT, RIGHT))) == 1

    def test_mirrored_lungs_have_the_other_name(self, plain, ill):
        mirrored = ill["mirrored", "left for right"]
        assert (mirrored.truth[:, :, ::-1] == LEFT)[true_labels(plain) == RIGHT].all()

    def test_cut_scans_stay_where_they_are(self, plain, ill):
        cut = ill["cut", "lower third gone"]
        removed = len(plain.volume.array) - len(cut.volume.array)
        assert np.allclose(cut.volume.superior(), plain.volume.superior()[removed:])

    def test_the_same_scan_gives_the_same_voxels(self, plain, ill):
        truth = np.where(true_labels(plain) < 3, true_labels(plain), 0)
        first = next(evaluation_ill.all_of(plain.volume, truth))
        assert np.array_equal(first.volume.array, ill["consolidation", "25 % of the left lung"].volume.array)


class TestHeldOutScans:
    """The other ways of making scans ill, on which the light is measured."""

    @pytest.fixture(scope="class")
    def held_out(self, plain) -> dict[str, evaluation_ill.IllScan]:
        truth = np.where(true_labels(plain) < 3, true_labels(plain), 0)
        made: dict[str, evaluation_ill.IllScan] = {}
        for scan in evaluation_heldout.all_of(plain.volume, truth):
            made.setdefault(scan.kind, scan)
        return made

    def test_each_has_a_truth_on_its_own_grid(self, held_out):
        assert len(held_out) > 12
        for kind, scan in held_out.items():
            assert scan.truth.shape == scan.volume.array.shape, kind
            assert set(np.unique(scan.truth)) <= {0, LEFT, RIGHT}, kind

    @pytest.mark.parametrize("kind", ["effusion", "thick pleura", "pneumothorax", "collapsed lung"])
    def test_what_is_no_lung_any_more_is_not_in_the_truth(self, plain, held_out, kind):
        scan = held_out[kind]
        gone = np.isin(true_labels(plain), (LEFT, RIGHT)) & (scan.truth == 0)
        assert gone.any()
        assert scan.must_flag
        hu = float(np.median(scan.volume.array[gone]))
        assert hu < -980 if kind == "pneumothorax" else -10 < hu < 60

    def test_a_wrong_header_changes_no_voxel(self, plain, held_out):
        scan = held_out["wrong spacing"]
        assert np.array_equal(scan.volume.array, plain.volume.array)
        assert scan.volume.spacing != plain.volume.spacing

    def test_airless_lung_and_masses_stay_lung(self, plain, held_out):
        whole = np.isin(true_labels(plain), (LEFT, RIGHT))
        for kind in ("consolidation", "round consolidation"):
            scan = held_out[kind]
            assert np.array_equal(scan.truth > 0, whole)
            airless = [np.count_nonzero(volume.array[whole] > 0) for volume in (plain.volume, scan.volume)]
            assert airless[1] > 1.5 * airless[0]

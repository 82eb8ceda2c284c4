"""The light on chests of known truth: green where the lungs are right, and why not where they are not."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib.phantom import Phantom
from CTVolumeLib.volume import CTVolume
from LungSegmentLib import evaluation_ill, lungs, quality
from LungSegmentLib.lungs import LEFT, RIGHT
from LungSegmentLib.quality import AMBER, GREEN, RED, Light
from support_lungs import chest, dice, true_labels

WHOLE_Z_MM = (-620.0, -300.0)


@pytest.fixture(scope="module")
def plain() -> Phantom:
    return chest(z_range=WHOLE_Z_MM)


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

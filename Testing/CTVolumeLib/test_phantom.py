"""The truth that the phantom tells must be what its picture shows."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from CTVolumeLib import phantom
from CTVolumeLib.errors import CTError
from CTVolumeLib.phantom_skeleton import SPINE_MM, spine_y
from CTVolumeLib.phantom_tissue import LANDMARK_LOCATION
from scipy import ndimage

PLAIN = phantom.PhantomParameters(noise=0, nodules=0, hair=0)
REAL_DISTANCES = {
    ("Center of orbit", "C1"): 63, ("C1", "C7"): 103, ("C7", "T1"): 17.5, ("T1", "Aortic arch"): 63,
    ("Aortic arch", "Bifurcation of trachea"): 28, ("Bifurcation of trachea", "Right dome of diaphragm"): 90,
    ("Right dome of diaphragm", "T12"): 57, ("T12", "L1"): 30, ("L1", "Tip of iliac crest"): 114,
    ("Tip of iliac crest", "Head of femur"): 146, ("Top of head", "Center of orbit"): 115,
}  # fmt: skip


@pytest.fixture(scope="module")
def whole():
    """Vertex to hips, without noise."""
    return phantom.make(replace(PLAIN, spacing=(3.5, 3.5, 4), table=True, headrest="curved"))


@pytest.fixture(scope="module")
def noisy():
    return phantom.make(phantom.PhantomParameters(spacing=(5, 5, 10), coverage=(0.14, 0.36)))


def _place(made, mask):
    """LPS centre of a mask."""
    volume = made.volume
    k, j, i = ndimage.center_of_mass(mask)
    return volume.origin[0] + i * volume.spacing[0], volume.origin[1] + j * volume.spacing[1], float(
        np.interp(k, np.arange(len(volume.superior())), volume.superior())
    )  # fmt: skip


def _hu(made, x, y, z):
    """HU at the voxel nearest to an LPS point."""
    volume = made.volume
    k = int(np.argmin(np.abs(volume.superior() - z)))
    j, i = round((y - volume.origin[1]) / volume.spacing[1]), round((x - volume.origin[0]) / volume.spacing[0])
    return int(volume.array[k, j, i])


def _columns(made, x):
    """Index of the first column at or left of LPS x."""
    return int(np.ceil((x - made.volume.origin[0]) / made.volume.spacing[0]))


class TestLandmarks:
    def test_distances_are_those_of_people(self, whole):
        assert list(whole.landmarks) == list(LANDMARK_LOCATION)
        for (upper, lower), mm in REAL_DISTANCES.items():
            assert whole.landmarks[upper] - whole.landmarks[lower] == pytest.approx(mm)

    def test_top_of_head_is_the_topmost_skin(self, whole):
        top = whole.volume.superior()[whole.masks["patient"].any(axis=(1, 2))].max()
        assert top == pytest.approx(whole.landmarks["Top of head"], abs=5)

    def test_orbit_slice_shows_both_eyes(self, whole):
        left, right = np.split(whole.masks["eyes"], [_columns(whole, 0)], axis=2)[::-1]
        assert left.sum() == pytest.approx(right.sum(), rel=0.2)
        x, _, z = _place(whole, whole.masks["eyes"])
        assert z == pytest.approx(whole.landmarks["Center of orbit"], abs=1)
        assert abs(x) < 2
        for side in (-32, 32):
            assert 0 < _hu(whole, side, -68, z) < 60
            assert -130 < _hu(whole, side * 0.7, -47, z) < 60

    def test_vertebrae_lie_between_their_discs(self, whole):
        made = phantom.make(replace(PLAIN, spacing=(2, 2, 1), field_mm=120, coverage=(0.11, 0.44)))
        levels = list(SPINE_MM.values())[2:-1]
        for above, below in pairwise(levels):
            middle = (above + below) / 2
            disc = _hu(made, 0, spine_y(middle), -middle)
            assert 40 < disc < 130
            for level in (above, below):
                assert 150 < _hu(made, 0, spine_y(level), -level) < 400
        for name in ("C7", "T1", "T12", "L1"):
            assert whole.landmarks[name] == pytest.approx(-SPINE_MM[name])

    def test_aortic_arch_is_one_long_band(self, whole):
        made = phantom.make(
            replace(PLAIN, contrast=300, spacing=(2, 2, 2), coverage=(0.18, 0.222), field_mm=130, field_centre=(0, 0))
        )
        longest = {}
        for k, z in enumerate(made.volume.superior()):
            blood, _ = ndimage.label(made.volume.array[k] > 200)
            sizes = [2 * max(np.ptp(part) for part in np.nonzero(blood == n)[:1]) for n in range(1, blood.max() + 1)]
            longest[z] = max(sizes, default=0)
        band = [z for z, mm in longest.items() if mm > 50]
        assert np.mean(band) == pytest.approx(made.landmarks["Aortic arch"], abs=6)

    def test_main_bronchi_part_at_the_carina(self, whole):
        made = phantom.make(replace(PLAIN, spacing=(1.2, 1.2, 1.5), coverage=(0.215, 0.235), field_mm=120))
        parts = {z: ndimage.label(made.volume.array[k] < -930)[1] for k, z in enumerate(made.volume.superior())}
        trachea = {
            z: ndimage.label(made.masks["airway"][k], np.ones((3, 3)))[1] for k, z in enumerate(made.volume.superior())
        }
        assert len(parts) == len(trachea)
        split = max(z for z, count in trachea.items() if count >= 2)
        assert split == pytest.approx(made.landmarks["Bifurcation of trachea"], abs=3)
        assert all(count == 1 for z, count in trachea.items() if z > split)

    @pytest.mark.parametrize("breathing", [0, 0.5, 1])
    def test_right_dome_is_the_top_of_what_bulges_into_the_right_lung(self, breathing):
        made = phantom.make(replace(PLAIN, breathing=breathing, spacing=(4, 4, 2), coverage=(0.24, 0.31)))
        lung = made.masks["right lung"]
        top = None
        for k in range(len(lung))[::-1]:
            holes = ndimage.binary_fill_holes(lung[k]) & ~lung[k]
            if holes.sum() * 16 > 100 and _bulge(made, holes):
                top = made.volume.superior()[k]
                break
        assert top == pytest.approx(made.landmarks["Right dome of diaphragm"], abs=5)

    def test_iliac_crests_begin_at_their_landmark(self, whole):
        bone = whole.masks["bone"].copy()
        bone[:, :, _columns(whole, -110) : _columns(whole, 110)] = False
        z = whole.volume.superior()
        below_ribs = z < -650
        crest = z[bone.any(axis=(1, 2)) & below_ribs].max()
        assert crest == pytest.approx(whole.landmarks["Tip of iliac crest"], abs=4)

    def test_femoral_heads_are_balls_about_their_landmark(self, whole):
        z = whole.landmarks["Head of femur"]
        for side in (-88, 88):
            assert _hu(whole, side, -2, z) > 250
            assert _hu(whole, side, -2, z + 22) > 250
            assert _hu(whole, side, -2 - 21, z) > 250

    def test_locations_are_linear_between_the_landmarks(self, whole):
        z = np.array([whole.landmarks[name] for name in LANDMARK_LOCATION])
        np.testing.assert_allclose(
            phantom.locations_at(z, whole.landmarks), list(LANDMARK_LOCATION.values()), atol=1e-12
        )
        halfway = phantom.locations_at((z[2] + z[3]) / 2, whole.landmarks)
        assert halfway == pytest.approx(0.125)
        np.testing.assert_allclose(whole.locations, phantom.locations_at(whole.volume.superior(), whole.landmarks))
        assert np.all(np.diff(whole.locations) < 0)
        assert whole.locations[-1] < 0 < whole.locations[-8]
        assert whole.locations[0] > 0.5

    def test_people_differ_but_keep_their_order(self):
        everyone = [phantom.landmarks_of(replace(PLAIN, size=1, variation=0.12, seed=seed)) for seed in range(40)]
        steps = np.diff([list(one.values()) for one in everyone], axis=1)
        assert (steps < 0).all()
        assert (steps.std(axis=0) > 0.03 * np.abs(steps.mean(axis=0))).all()
        assert len({one["Head of femur"] for one in everyone}) == 40

    def test_same_at_any_spacing(self):
        fine, coarse = (phantom.landmarks_of(replace(PLAIN, spacing=step)) for step in ((1, 1, 1), (5, 5, 9)))
        assert fine == coarse


class TestPicture:
    def test_sides(self, whole):
        masks = whole.masks
        assert _place(whole, masks["left lung"])[0] > 40
        assert _place(whole, masks["right lung"])[0] < -40
        assert _place(whole, masks["liver"])[0] < -40
        assert _place(whole, masks["heart"])[0] > 5
        assert masks["right lung"].sum() > masks["left lung"].sum()
        nose_to_back = _place(whole, masks["eyes"])[1], _place(whole, masks["table"])[1]
        assert nose_to_back[0] < -50 < 100 < nose_to_back[1]

    def test_tissues_have_their_hounsfield_units(self, whole, noisy):
        for name, low, high in (
            ("left lung", -870, -740), ("right lung", -870, -740), ("airway", -1000, -850), ("liver", 50, 70),
            ("brain", 20, 45),
            ("kidneys", 10, 60), ("bone", 150, 800), ("table", -800, -400),
        ):  # fmt: skip
            assert low < np.median(whole.volume.array[whole.masks[name]]) < high, name
        assert np.median(noisy.volume.array[noisy.masks["left lung"]]) == pytest.approx(-850, abs=40)

    def test_masks_do_not_overlap_and_belong_together(self, whole):
        masks = whole.masks
        assert not (masks["left lung"] & masks["right lung"]).any()
        assert not (masks["patient"] & masks["equipment"]).any()
        np.testing.assert_array_equal(masks["equipment"], masks["table"] | masks["headrest"])
        for name in ("left lung", "right lung", "airway", "bone", "liver", "heart", "kidneys", "eyes", "brain"):
            assert not (masks[name] & ~masks["patient"]).any(), name
        assert np.median(whole.volume.array[~masks["patient"] & ~masks["equipment"]]) == -1000

    def test_volumes_of_organs_are_human(self, whole):
        litre = np.prod(whole.volume.spacing) / 1e6
        for name, low, high in (
            ("left lung", 1.2, 3.5),
            ("right lung", 1.5, 4),
            ("liver", 1, 2.2),
            ("brain", 1, 1.9),
            ("kidneys", 0.15, 0.5),
        ):
            assert low < whole.masks[name].sum() * litre < high, name

    @pytest.mark.parametrize("kind", ["flat", "curved", "box"])
    def test_headrests_lie_behind_the_head_and_not_in_it(self, kind):
        made = phantom.make(replace(PLAIN, headrest=kind, hair=8, spacing=(4, 4, 10), coverage=(-0.01, 0.2)))
        assert made.masks["headrest"].sum() * np.prod(made.volume.spacing) > 100_000
        assert _place(made, made.masks["headrest"])[1] > 50
        z = made.volume.superior()
        assert not made.masks["headrest"][z < made.landmarks["T1"]].any()
        assert not made.masks["table"][z > made.landmarks["C7"]].any()

    def test_a_rolled_patient_lies_with_the_left_side_down(self):
        flat, rolled = (
            phantom.make(replace(PLAIN, roll=roll, spacing=(5, 5, 20), coverage=(0.2, 0.3))) for roll in (0, 30)
        )
        for name, higher in (("left lung", False), ("right lung", True)):
            before, after = (_place(made, made.masks[name]) for made in (flat, rolled))
            assert (after[1] < before[1] - 20) if higher else (after[1] > before[1] + 20), name
            assert np.hypot(after[0], after[1]) == pytest.approx(np.hypot(before[0], before[1]), abs=3)
            assert after[2] == pytest.approx(before[2], abs=1)

    def test_no_equipment_where_none_is_wanted(self):
        made = phantom.make(replace(PLAIN, table=False, spacing=(8, 8, 30)))
        assert not made.masks["equipment"].any()
        assert phantom.make(replace(PLAIN, spacing=(8, 8, 30))).masks["table"].any(axis=(1, 2)).all()

    def test_arms(self):
        up, down, none = (
            phantom.make(replace(PLAIN, arms=arms, spacing=(6, 6, 20),
                field_mm=600)).masks["patient"] for arms in ("up", "down", "none")
        )  # fmt: skip
        z = phantom.make(replace(PLAIN, spacing=(60, 60, 20))).volume.superior()
        belly, head = z < -600, z > -250
        assert down[belly].sum() > 1.1 * none[belly].sum()
        assert up[head].sum() > 1.3 * none[head].sum()
        assert up[belly].sum() == none[belly].sum()

    def test_contrast_brightens_the_heart_and_girth_the_belt(self):
        base = replace(PLAIN, spacing=(6, 6, 20), coverage=(0.2, 0.4))
        plain, bright, stout = (phantom.make(replace(base, **more)) for more in ({}, {"contrast": 300}, {"girth": 1.5}))
        assert bright.volume.array[bright.masks["heart"]].mean() > plain.volume.array[plain.masks["heart"]].mean() + 50
        assert stout.masks["patient"].sum() > 1.2 * plain.masks["patient"].sum()
        assert np.mean(stout.volume.array[stout.masks["patient"]] < -60) > np.mean(
            plain.volume.array[plain.masks["patient"]] < -60
        )

    def test_ground_glass_and_nodules_are_where_they_should(self):
        patch = phantom.Sphere(-80, 0, 430, 25, -450)
        base = replace(PLAIN, spacing=(4, 4, 5), coverage=(0.2, 0.27))
        clean, hazy, knotty = (
            phantom.make(replace(base, **more)) for more in ({}, {"ground_glass": (patch,)}, {"nodules": 8})
        )
        assert _hu(hazy, -80, 4, -430) > _hu(clean, -80, 4, -430) + 150
        changed = hazy.volume.array != clean.volume.array
        assert not (changed & ~clean.masks["right lung"]).any()
        lungs = clean.masks["left lung"] | clean.masks["right lung"]
        np.testing.assert_array_equal(lungs, knotty.masks["left lung"] | knotty.masks["right lung"])
        assert ((knotty.volume.array > -200) & lungs).sum() > ((clean.volume.array > -200) & lungs).sum()

    def test_round_field_is_padded_outside(self):
        made = phantom.make(replace(PLAIN, round_field=True, spacing=(8, 8, 40)))
        assert (made.volume.array[:, 0, 0] == -1024).all()
        assert not made.masks["table"][:, -1, 0].any()


class TestDeterminism:
    def test_seeds(self, noisy):
        again = phantom.make(noisy.parameters)
        np.testing.assert_array_equal(again.volume.array, noisy.volume.array)
        later = phantom.make(replace(noisy.parameters, noise_seed=5))
        other = phantom.make(replace(noisy.parameters, seed=5, noise_seed=0))
        np.testing.assert_array_equal(later.labels, noisy.labels)
        assert (later.volume.array != noisy.volume.array).mean() > 0.8
        still, changed = (phantom.make(replace(made.parameters, noise=0)).volume.array for made in (noisy, other))
        assert 0.001 < (still != changed).mean() < 0.3

    def test_noise_is_as_strong_as_said(self, noisy):
        clean = phantom.make(replace(noisy.parameters, noise=0))
        inside = clean.masks["liver"]
        spread = np.std((noisy.volume.array - clean.volume.array)[inside].astype(float))
        assert 0.6 * noisy.parameters.noise < spread < 1.8 * noisy.parameters.noise
        sharp, crisp = (phantom.make(replace(noisy.parameters, kernel="sharp", noise=noise)) for noise in (12, 0))
        assert np.std((sharp.volume.array - crisp.volume.array)[inside].astype(float)) > 1.5 * spread

    def test_a_slice_does_not_depend_on_the_range_or_the_step(self, whole):
        z = whole.volume.superior()
        part = phantom.make(replace(whole.parameters, spacing=(3.5, 3.5, 8), z_range=(z[40], z[60])))
        np.testing.assert_allclose(part.volume.superior(), z[40:61:2])
        np.testing.assert_array_equal(part.volume.array, whole.volume.array[40:61:2])


class TestDisplacement:
    MARKERS = tuple(
        phantom.Sphere(-35 + 10 * (n % 2), 20, s, 7, 20_000) for n, s in enumerate((60, 240, 330, 450, 560, 660, 800))
    )

    def _found(self, parameters):
        """LPS z of the markers in the picture, head to feet."""
        made = phantom.make(replace(parameters, markers=self.MARKERS, spacing=(4, 4, 3)))
        spots, count = ndimage.label(made.volume.array > 2500)
        assert count == len(self.MARKERS)
        z = made.volume.superior()
        return np.array(sorted(_weighted(z, spots == n) for n in range(1, count + 1)))[::-1]

    @pytest.mark.parametrize(
        "change",
        [{"vertex_z_mm": -321.5}, {"size": 1.12}, {"neck_flexion": 25.0}, {"variation": 0.08, "seed": 3},
            {"breathing": 1.0},
         {"size": 0.9, "vertex_z_mm": 77.0, "breathing": 0.0, "neck_flexion": -12.0, "tilt": 0.0}],
        ids=lambda change: "+".join(change),
    )  # fmt: skip
    def test_markers_of_the_skeleton_move_as_said(self, change):
        first = replace(PLAIN, table=False)
        second = replace(first, **change)
        moved = phantom.displacement(first, second)(self._found(first))
        np.testing.assert_allclose(moved, self._found(second), atol=0.8)

    def test_landmarks_are_carried_onto_landmarks(self):
        first = replace(PLAIN, breathing=0.1)
        second = replace(PLAIN, size=1.1, breathing=0.9, vertex_z_mm=500, variation=0.05, seed=9)
        a, b = phantom.landmarks_of(first), phantom.landmarks_of(second)
        skeleton, organs = phantom.displacement(first, second), phantom.displacement(first, second, "organs")
        for name in a:
            expected = organs if name == "Right dome of diaphragm" else skeleton
            assert expected(a[name]) == pytest.approx(b[name], abs=1e-6), name
        assert phantom.displacement(second, first)(skeleton(-333.0)) == pytest.approx(-333)
        assert a["Right dome of diaphragm"] - phantom.landmarks_of(replace(first, breathing=0.9))[
            "Right dome of diaphragm"
        ] == pytest.approx(0.8 * 36)

    def test_nodules_move_with_the_breath(self):
        ball = phantom.Sphere(-90, 10, 440, 9, -850)
        base = replace(
            PLAIN, ground_glass=(replace(ball, hu=4000),), spacing=(4, 4, 2), coverage=(0.22, 0.31), table=False
        )
        out, full = (phantom.make(replace(base, breathing=breathing)) for breathing in (0, 1))
        z = [_weighted(made.volume.superior(), made.volume.array > 1200) for made in (out, full)]
        assert phantom.displacement(out, full, "organs")(z[0]) == pytest.approx(z[1], abs=1)
        assert z[0] - z[1] > 15

    def test_unknown_tissue(self):
        with pytest.raises(CTError, match="skeleton or organs"):
            phantom.displacement(PLAIN, PLAIN, "hair")


class TestTilt:
    def test_points_keep_their_place_in_sheared_slices(self):
        marker = (phantom.Sphere(30, -60, 60, 8, 20_000),)
        made = phantom.make(replace(PLAIN, markers=marker, tilt=18, table=False, spacing=(3, 3, 3), coverage=(0, 0.08)))
        volume = made.volume
        k, j, i = ndimage.center_of_mass(volume.array > 2500)
        origin = [np.interp(k, np.arange(len(volume.array)), volume.origins()[:, n]) for n in range(3)]
        point = np.array(origin) + volume.axes()[:, 0] * i * 3 + volume.axes()[:, 1] * j * 3
        np.testing.assert_allclose(point, (30, -60, -60), atol=1)
        steps = np.diff(volume.origins(), axis=0)
        np.testing.assert_allclose(steps, np.tile((0, 0, 3), (len(steps), 1)), atol=1e-9)
        np.testing.assert_allclose(
            volume.superior(), made.parameters.spacing[2] * np.arange(len(steps) + 1) + volume.superior()[0]
        )


@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"arms": "akimbo"}, {"headrest": "pillow"}, {"kernel": "B30"}, {"tilt": 80},
    {"noise": -1}, {"spacing": (1, 0, 1)},
              {"breathing": 2}]
)  # fmt: skip
def test_parameters_that_make_no_sense_are_refused(wrong):
    with pytest.raises(CTError, match="phantom"):
        replace(PLAIN, **wrong)


def test_an_empty_range_is_refused():
    with pytest.raises(CTError, match="no slice"):
        phantom.make(replace(PLAIN, z_range=(10, -10)))


def _weighted(z, mask):
    return float(np.average(z, weights=mask.sum(axis=(1, 2))))


def _bulge(made, holes):
    """Whether soft tissue fills a hole in the lung that lies under the dome's top."""
    volume = made.volume
    parts, count = ndimage.label(holes)
    for n in range(1, count + 1):
        j, i = ndimage.center_of_mass(parts == n)
        x, y = volume.origin[0] + i * volume.spacing[0], volume.origin[1] + j * volume.spacing[1]
        if np.hypot(x + 70, y + 22) < 15 and (parts == n).sum() * 16 > 150:
            return True
    return False

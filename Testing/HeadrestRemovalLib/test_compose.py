"""Scenes with exact truth, and who they are made of."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from HeadrestRemovalLib import (
    compose,
    compose_contact,
    compose_patients,
    compose_shapes,
    compose_solids,
    compose_worn,
    split,
)
from HeadrestRemovalLib.labels import BACKGROUND, HEADREST, OTHER, PATIENT, TABLE


@pytest.fixture(scope="module")
def head() -> compose_patients.Patient:
    return compose_patients.made_up(1003)


def test_a_scene_is_the_same_each_time_and_its_shares_add_up(head):
    first, second = (compose.scene(head, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first.hu, second.hu)
    assert np.array_equal(first.shares, second.shares)
    assert first.hu.shape == (12, 160, 160)
    assert np.abs(first.shares.sum(axis=-1, dtype=int) - 255).max() <= 3


def test_truth_fits_the_picture(head):
    """In many scenes: air is dark, the patient as dense as he is, and equipment lies outside of him."""
    touching, kinds = 0, set()
    for seed in range(12):
        made = compose.scene(head, np.random.default_rng(seed))
        whole = made.shares > 250
        assert np.median(made.hu[whole[..., BACKGROUND]]) == pytest.approx(-1000, abs=40)
        if np.count_nonzero(whole[..., PATIENT]) > 20_000:  # at the vertex there is next to nothing but hair
            assert np.median(made.hu[whole[..., PATIENT]]) > -150
        equipment = whole[..., HEADREST:].any(axis=-1)
        kinds |= {value for value in (HEADREST, TABLE, OTHER) if whole[..., value].any()}
        near = np.zeros_like(equipment)
        near[:, 1:] |= made.shares[:, :-1, :, PATIENT] > 0
        touching += bool((near & (made.shares[..., HEADREST:].sum(axis=-1) > 0)).any())
    assert kinds == {HEADREST, TABLE, OTHER}
    assert touching >= 5


def test_the_skin_is_where_it_was(head):
    """Without equipment nothing is added to the patient."""
    bare = [compose.scene(head, np.random.default_rng(seed)) for seed in range(40)]
    bare = [made for made in bare if made.kind.endswith("nothing")]
    assert bare
    assert not any(made.shares[..., HEADREST:].any() for made in bare)


def test_space_around_a_patient_is_in_mm():
    mask = np.zeros((4, 60, 60), bool)
    mask[:, 20:40, 15:45] = True
    at = compose_shapes.around(mask, 2.0, 5.0)
    assert at.outside[1, 45, 30] == pytest.approx(12.0)
    assert (at.front, at.back, at.half) == (-19.0, 19.0, 29.0)
    assert at.y.ravel()[45] - at.back == pytest.approx(12.0)


def test_a_shell_is_as_thick_as_it_says():
    """A block under a flat back: its volume is what thickness and width give."""
    mask = np.zeros((3, 200, 200), bool)
    mask[:, 40:100, 60:140] = True
    at = compose_shapes.around(mask, 1.5, 4.0)
    line = at.back + 6.0 + 0 * at.x
    share, hu, label = compose_shapes._slab(
        at, line, 0.0, 10.0, np.abs(at.x) - 50, 100.0, HEADREST, np.random.default_rng(0)
    )
    assert (hu, label) == (100.0, HEADREST)
    assert share.sum() / 3 * 1.5**2 == pytest.approx(100 * 10, rel=0.03)


def test_real_patients_are_found_without_their_table():
    volume_mask = np.zeros((6, 120, 120), bool)
    volume_mask[:, 30:70, 20:100] = True
    hu = np.where(volume_mask, 30, -1000).astype(np.int16)
    hu[:, 45:55, 40:50] = -800  # a lung
    hu[:, 70:73, 10:110] = 60  # a plate that touches the back
    hu[:, 5:15, 5:15] = -900  # a blanket
    from CTVolumeLib.volume import CTVolume

    patient = compose_patients.of_volume("x", CTVolume(hu, (3.0, 3.0, 5.0)), masked=False)
    assert patient.mask[:, 50, 45].all()
    assert not patient.mask[:, 5:15].any()
    assert np.count_nonzero(patient.mask & ~volume_mask) < 0.08 * np.count_nonzero(volume_mask)
    assert np.count_nonzero(volume_mask & ~patient.mask) < 0.01 * np.count_nonzero(volume_mask)


def test_nobody_trains_and_measures(tmp_path):
    rows = [
        {"id": f"{family}{n:02d}", "patient": f"{family}{n:02d}", "use": use, "equipment": "no"}
        for n in range(60)
        for family, use in (("hn", "train"), ("ch", "train"), ("kh", "evaluate"), ("pv", "train"))
    ]
    with (tmp_path / "scans.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    used = compose_patients.training_scans(tmp_path)
    assert {row["id"][:2] for row in used} == {"hn", "ch"}
    assert not any(split.held_out(row["patient"]) for row in used)
    assert 0.25 < np.mean([split.held_out(row["patient"]) for row in rows]) < 0.55
    assert not any(split.held_out(row["patient"]) and split.validates(row["patient"]) for row in rows)
    with pytest.raises(ValueError, match="measuring"):
        compose_patients.made_up(split.FIRST_TRAINING_SEED - 1)


@pytest.mark.realct
def test_held_out_patients_stay_the_same(ct_data):
    """The card and the measurement go by this list; a change makes old figures worthless."""
    with (ct_data / "scans.csv").open(newline="", encoding="utf-8") as file:
        held = {row["id"] for row in csv.DictReader(file) if split.held_out(row["patient"])}
    assert {"hn10", "hn101", "hn124", "hn146", "gh01", "head01", "gn01", "ch12"} <= held
    assert not {"hn100", "wb01", "ab05", "hn12"} & held


def test_contact_fills_the_gap_up_to_an_area():
    """A flat rest behind a round back: some of them touch widely, and nothing is drawn where it can't be seen."""
    _, j, i = np.meshgrid(np.arange(12), np.arange(200), np.arange(200), indexing="ij")
    mask = np.hypot((j - 80) * 1.5 / 90, (i - 100) * 1.5 / 75) < 1
    at = compose_shapes.around(mask, 1.5, 3.0)
    areas = []
    for seed in range(16):
        layers = compose_contact.padded(at, np.random.default_rng(seed), HEADREST)
        solid = np.max([np.broadcast_to(share, mask.shape) for share, _, _ in layers], axis=0) >= 0.5
        assert {label for _, _, label in layers} == {HEADREST}
        below = np.roll(solid, -1, axis=1) & mask & ~np.roll(mask, -1, axis=1)
        areas.append(np.count_nonzero(below) * 1.5 * 3 / 100)
    assert min(areas) < 10
    assert 15 < max(areas) < compose_contact.MOST_CM2 * 1.3


def test_a_band_lies_on_the_skin():
    mask = np.zeros((12, 120, 120), bool)
    mask[:, 30:90, 30:90] = True
    at = compose_shapes.around(mask, 1.5, 3.0)
    for seed in range(5):
        ((share, hu, label),) = compose_contact.band(at, np.random.default_rng(seed))
        assert label == OTHER
        assert -450 < hu < 80
        seen = (share >= 0.5) & ~mask
        assert seen.any()
        assert at.outside[seen].max() < 7


def test_scenes_of_contact_have_headrests_or_nothing(head):
    kinds = {compose.scene(head, np.random.default_rng(seed), show="contact").kind for seed in range(14)}
    assert kinds == {f"{head.name} contact", f"{head.name} nothing"}


def test_what_is_worn_touches_the_skin():
    mask = np.zeros((6, 90, 90), bool)
    mask[:, 25:60, 30:62] = True
    at = compose_shapes.around(mask, 3.0, 3.0)
    beside = (at.outside > 0) & (at.outside <= 3)
    touching, words = 0, set()
    for seed in range(60):
        layers, kind = compose_worn.things(at, np.random.default_rng(seed), head=seed % 3 > 0)
        words |= set(kind.split())
        assert (not layers) <= (kind == "nothing")
        touching += any((share[beside] > 0.5).any() for share, _, _ in layers)
    assert {"nothing", "mask", "band", "blanket", "pads", "hugged", "sunk", "padded"} <= words
    assert touching >= 30


def test_solids_of_every_density_touch_from_all_sides():
    mask = np.zeros((12, 120, 120), bool)
    mask[:, 40:80, 40:80] = True
    at = compose_shapes.around(mask, 2.0, 3.0)
    beside = (at.outside > 0) & (at.outside <= 3)
    touching, values, sides = 0, [], np.zeros(4, int)
    for seed in range(40):
        for share, hu, label in compose_solids.solid(at, np.random.default_rng(seed), HEADREST):
            seen = (share > 0.5) & ~mask
            touching += bool((seen & beside).any())
            values.append(float(np.mean(hu)))
            front, behind, right, left = (seen[:, :40], seen[:, 80:], seen[:, :, :40], seen[:, :, 80:])
            sides += [bool(side.any()) for side in (front, behind, right, left)]
            if label == OTHER and seen.any():
                assert np.argwhere(seen)[:, 1].mean() < 65
    assert touching > 20
    assert sides.min() >= 5
    assert sides.argmax() == 1  # mostly from behind
    assert np.histogram(values, [-1000, -600, -150, 200, 1500])[0].min() > 0


def test_equipment_is_above_who_lies_on_the_front(head, monkeypatch):
    monkeypatch.setattr(compose, "_PRONE", 1.0)
    monkeypatch.setattr(compose, "_UPRIGHT", 1.0)
    for seed in range(2, 6):
        made = compose.scene(head, np.random.default_rng(seed), show="worn")
        rows = [np.nonzero(made.shares[..., part] > 200)[1] for part in (slice(HEADREST, OTHER), PATIENT)]
        if len(rows[0]):
            assert rows[0].mean() < rows[1].mean()
            return
    pytest.fail("no scene with a headrest or table")


def test_varied_scenes_show_patients_of_any_size_on_either_side_by_any_kernel(head, monkeypatch):
    scales, front, kernels = [], [], set()
    posed, scanned = compose._posed, compose._scanned

    def watched_pose(patient, rng, own, hard, prone, scale):
        scales.append(scale)
        front.append(prone)
        return posed(patient, rng, own, hard, prone, scale)

    def watched_scan(picture, rng, kernel):
        kernels.add(kernel.most)
        return scanned(picture, rng, kernel)

    monkeypatch.setattr(compose, "_posed", watched_pose)
    monkeypatch.setattr(compose, "_scanned", watched_scan)
    words = [compose.scene(head, np.random.default_rng(seed), show="varied").kind for seed in range(16)]
    assert min(scales) < 0.95
    assert max(scales) > 1.15
    assert kernels == {1.8}
    assert {"contact", "solids"} <= {word.split()[1] for word in words}
    assert 2 <= sum(front) <= 8

"""From the network's shares to labels; the network is replaced by one that knows the truth, or nearly."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from CTVolumeLib import dicom
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume
from HeadrestRemovalLib import cluster, netgrid, prediction
from HeadrestRemovalLib.labels import BACKGROUND, HEADREST, OTHER, PATIENT, TABLE
from HeadrestRemovalLib.results import UNCERTAIN, EquipmentResult
from support_headrests import axis_orders, back

SPACING = (1.5, 1.5, 3.0)


def scene(gap_mm: float = 0.0) -> tuple[CTVolume, np.ndarray]:
    """A head of 40 HU that lies in a block of 60 HU, and a table further down: the scan and its truth."""
    k, j, i = np.meshgrid(np.arange(14) * 3.0, np.arange(150) * 1.5, np.arange(140) * 1.5, indexing="ij")
    away = np.hypot((i - 105) / 75, (j - 95) / 90)
    truth = np.full(k.shape, BACKGROUND, np.uint8)
    truth[(j > 140) & (j < 200) & (np.abs(i - 105) < 85)] = HEADREST
    truth[(away < 1 + gap_mm / 80)] = BACKGROUND
    truth[away < 1] = PATIENT
    truth[(j > 212) & (j < 220)] = TABLE
    hu = np.choose(truth, [-1000, 40, 60, -100, 0]).astype(np.int16)
    hu[(away > 0.8) & (away < 0.9)] = 700  # the skull
    return CTVolume(hu, SPACING), truth


def model_of(volume: CTVolume, truth: np.ndarray, change=None) -> SimpleNamespace:
    """A model that gives the true shares, whatever it is asked."""
    axial = volume.as_axial()
    shares = np.stack(
        [
            netgrid.of(axial.with_array(np.where(truth == value, 1000, 0).astype(np.int16))).hu.clip(0) / 1000
            for value in range(5)
        ],
        axis=-1,
    )
    if change:
        change(shares)
    inputs = (("hu_per_1000", (netgrid.SIZE, netgrid.SIZE, netgrid.DEPTH)),)
    part = SimpleNamespace(inputs=inputs, predict=lambda x, progress=None: shares)
    return SimpleNamespace(name="known", parts={"shares": part})


def lost_ml(labels: np.ndarray, truth: np.ndarray) -> float:
    return np.count_nonzero((truth == PATIENT) & (labels > PATIENT)) * np.prod(SPACING) / 1000


@pytest.mark.parametrize("gap", [0.0, 3.0])
def test_true_shares_give_true_labels(gap):
    volume, truth = scene(gap)
    result = prediction.label(volume, model=model_of(volume, truth))
    assert result.method == "network"
    assert result.labels.dtype == np.uint8
    for value in (PATIENT, HEADREST):
        found, wanted = result.labels == value, truth == value
        assert 2 * np.count_nonzero(found & wanted) / (found.sum() + wanted.sum()) > 0.97
    assert lost_ml(result.labels, truth) < 0.5
    assert (result.contact_cm2 > 20) == (gap == 0)


def test_both_separates_what_clustering_took_for_patient_and_keeps_the_rest():
    volume, truth = scene()
    given = truth.copy()
    given[:, :125][truth[:, :125] == HEADREST] = PATIENT  # the upper part of the block, where the head lies in it
    first = EquipmentResult(
        given, warnings=(("truncated", "It is cut."), ("uncertain", "2 mL."), ("touching", "Out of date."))
    )
    result = prediction.label(volume, first, model=model_of(volume, truth))
    assert result.method == "both"
    assert [code for code, _ in result.warnings] == ["truncated", "touching", "uncertain"]
    assert "cm2" in result.warnings[1][1]
    left = np.count_nonzero((truth == HEADREST) & (result.labels != HEADREST)) / np.count_nonzero(truth == HEADREST)
    assert left < 0.08  # at the skin it is taken only where the network is sure
    assert lost_ml(result.labels, truth) < 0.5
    assert np.array_equal(result.labels == TABLE, truth == TABLE)


def test_both_leaves_an_ear_that_the_network_takes_for_equipment():
    """It sticks out into the air, so nothing holds it."""
    volume, truth = scene(3.0)
    truth[4:9, 60:75, 15:34] = PATIENT
    volume = volume.with_array(np.where(truth == PATIENT, 40, volume.array).astype(np.int16))
    seen = truth.copy()
    seen[4:9, 60:75, 15:34] = HEADREST
    result = prediction.label(volume, EquipmentResult(truth.copy()), model=model_of(volume, seen))
    assert lost_ml(result.labels, truth) == 0


def test_an_unsure_network_changes_nothing():
    """Shares just beyond one half are no reason to cut into what clustering calls patient."""
    volume, truth = scene(3.0)

    def unsure(shares: np.ndarray) -> None:
        patient = shares[..., PATIENT].copy()
        shares[..., PATIENT], shares[..., HEADREST] = 0.4 * patient, shares[..., HEADREST] + 0.6 * patient

    result = prediction.label(volume, EquipmentResult(truth.copy()), model=model_of(volume, truth, unsure))
    assert lost_ml(result.labels, truth) == 0


def test_a_layer_of_skin_that_the_network_only_suspects_stays():
    """On the nape, say: no equipment that is certain lies near."""
    volume, truth = scene(3.0)

    def suspicious(shares: np.ndarray) -> None:
        patient, front = shares[..., PATIENT], np.arange(netgrid.SIZE)[:, None] < 50
        layer = 0.75 * np.where(front, patient, 0)
        shares[..., PATIENT] -= layer
        shares[..., HEADREST] += layer

    changed = model_of(volume, truth, suspicious)
    assert (changed.parts["shares"].predict(None)[..., HEADREST] > 0.7).sum() > 1000
    assert lost_ml(prediction.label(volume, model=changed).labels, truth) < 0.5


def test_a_piece_has_one_kind():
    """A corner of the headrest that looks like a table is the headrest's."""
    volume, truth = scene(3.0)
    seen = truth.copy()
    seen[:4, 125:][truth[:4, 125:] == HEADREST] = TABLE
    result = prediction.label(volume, model=model_of(volume, seen))
    headrest = truth == HEADREST
    assert np.count_nonzero(result.labels[headrest] == TABLE) == 0
    assert np.count_nonzero(result.labels[truth == TABLE] == TABLE) > 0.9 * np.count_nonzero(truth == TABLE)


def test_what_sinks_into_foam_stays_though_the_network_takes_it():
    """A nose, say: nothing around it is dense but the patient."""
    volume, truth = scene()
    hu = np.where(truth == HEADREST, -860, volume.array).astype(np.int16)
    seen = truth.copy()
    seen[:, 119:, 55:85][truth[:, 119:, 55:85] == PATIENT] = HEADREST
    assert (seen != truth).sum() * np.prod(SPACING) / 1000 > 1
    result = prediction.label(volume.with_array(hu), model=model_of(volume, seen))
    assert lost_ml(result.labels, truth) < 0.1
    dense = prediction.label(volume, model=model_of(volume, seen))
    assert lost_ml(dense.labels, truth) > 0.5


def test_a_mask_that_is_nowhere_away_from_the_face_is_found():
    volume, truth = scene(3.0)
    j, i = np.meshgrid(np.arange(150) * 1.5, np.arange(140) * 1.5, indexing="ij")
    away = np.hypot((i - 105) / 75, (j - 95) / 90)
    worn = (away >= 1.03) & (away < 1.07) & (j < 95)
    truth[:, worn] = OTHER
    hu = np.where(truth == OTHER, 60, volume.array).astype(np.int16)
    result = prediction.label(volume.with_array(hu), model=model_of(volume, truth))
    assert (result.labels[:, worn] == OTHER).mean() > 0.8
    assert lost_ml(result.labels, truth) < 0.5


def test_foam_between_plates_goes_with_them():
    """Two plates of 1.5 mm with 3 mm of foam: no cell is full of either."""
    volume, truth = scene(3.0)
    hu = volume.array.copy()
    for rows, value in ((slice(142, 143), 60), (slice(143, 145), -860), (slice(145, 146), 60)):
        truth[:, rows], hu[:, rows] = TABLE, value
    truth[:, 146:], hu[:, 146:] = BACKGROUND, -1000
    result = prediction.label(volume.with_array(hu), model=model_of(volume.with_array(hu), truth))
    assert (result.labels[:, 142:146, 20:120] == TABLE).mean() > 0.95


def haired(faint_hu: float, gap_mm: float) -> tuple[CTVolume, np.ndarray, np.ndarray]:
    """The head of ``scene`` with hair on its back half: scan, truth, and how far out the hair is, 0 to 1, else -1."""
    volume, truth = scene(gap_mm)
    j, i = np.meshgrid(np.arange(150) * 1.5, np.arange(140) * 1.5, indexing="ij")
    out = (np.hypot((i - 105) / 75, (j - 95) / 90) - 1) / 0.09 + np.zeros(truth.shape)
    hair = (out >= 0) & (out < 1) & (j > 80) & (truth == BACKGROUND)
    truth[hair] = PATIENT
    return volume.with_array(np.where(hair, faint_hu, volume.array).astype(np.int16)), truth, np.where(hair, out, -1)


def test_a_layer_of_hair_that_the_network_takes_for_foam_stays():
    """What is faint over a few millimetres is one thing."""
    volume, truth, out = haired(-850, 8.0)
    seen = truth.copy()
    seen[out > 0.55] = HEADREST
    assert (seen != truth).sum() * np.prod(SPACING) / 1000 > 8
    result = prediction.label(volume, model=model_of(volume, seen))
    assert np.mean(result.labels[out >= 0] > PATIENT) < 0.1
    assert np.mean(result.labels[truth == HEADREST] == HEADREST) > 0.95


@pytest.mark.parametrize("was", [PATIENT, HEADREST])
def test_both_leaves_what_is_faint_as_clustering_has_it(was):
    """Hair and foam look alike to the network."""
    volume, truth, out = haired(-850, 8.0)
    given, seen = (np.where(out >= 0, np.uint8(value), truth) for value in (was, PATIENT + HEADREST - was))
    result = prediction.label(volume, EquipmentResult(given), model=model_of(volume, seen))
    assert (result.labels == given).mean() > 0.999


def test_both_takes_a_pad_with_nothing_behind_it():
    volume, truth = scene()
    given = np.where(truth == HEADREST, np.uint8(PATIENT), truth)
    result = prediction.label(volume, EquipmentResult(given), model=model_of(volume, truth))
    assert np.mean(result.labels[truth == HEADREST] == HEADREST) > 0.95
    assert lost_ml(result.labels, truth) < 0.5


def test_both_leaves_clustering_alone_where_no_head_is_seen():
    volume, truth = scene()
    volume = volume.with_array(np.minimum(volume.array, 100))
    first = EquipmentResult(np.where(truth == HEADREST, np.uint8(PATIENT), truth))
    assert prediction.label(volume, first, model=model_of(volume, truth)) is first


@pytest.mark.parametrize(("columns", "goes"), [(4, False), (9, True)])
def test_both_leaves_skin_that_is_pressed_flat(columns, goes):
    """It looks like a thin plate on the skin; what is thicker than skin goes."""
    volume, truth = scene(3.0)
    flat = np.zeros(truth.shape, bool)
    flat[:, 35:95, 20 - columns : 20] = True
    volume = volume.with_array(np.where(flat, 40, volume.array).astype(np.int16))
    given, seen = np.where(flat, np.uint8(PATIENT), truth), np.where(flat, np.uint8(HEADREST), truth)
    result = prediction.label(volume, EquipmentResult(given), model=model_of(volume, seen))
    assert (result.labels[flat] == HEADREST).mean() > 0.9 if goes else (result.labels[flat] == PATIENT).all()


@pytest.mark.parametrize(("even", "goes"), [(True, True), (False, False)])
def test_both_takes_a_thin_pad_before_a_holder_but_no_ear(even, goes):
    """An ear that lies on a holder is of skin, fat and gristle."""
    volume, truth = scene(8.0)
    pad = np.zeros(truth.shape, bool)
    pad[3:11, 122:134, 62:79] = True
    pad &= truth == BACKGROUND
    truth[pad] = HEADREST
    material = 60 if even else np.where(np.arange(140) % 10 < 5, -120, 100)
    volume = volume.with_array(np.where(pad, material, volume.array).astype(np.int16))
    given = np.where(pad, np.uint8(PATIENT), truth)
    result = prediction.label(volume, EquipmentResult(given), model=model_of(volume, truth))
    taken = np.mean(result.labels[pad] == HEADREST)
    assert taken > 0.8 if goes else taken == 0
    assert lost_ml(result.labels, truth) < 0.5


def test_both_leaves_a_large_piece_of_which_the_network_is_not_sure():
    volume, truth = scene()

    def unsure(shares: np.ndarray) -> None:
        part = 0.1 * shares[..., HEADREST]
        shares[..., HEADREST] -= part
        shares[..., PATIENT] += part

    given = np.where(truth == HEADREST, np.uint8(PATIENT), truth)
    result = prediction.label(volume, EquipmentResult(given), model=model_of(volume, truth, unsure))
    assert np.array_equal(result.labels, given)


@pytest.mark.slow
@pytest.mark.realct
def test_both_leaves_the_nape_of_a_thin_child(ct_data):
    """To the network 58 mL of it are equipment, by a share of .88; that is said."""
    volume = dicom.read(ct_data / "vol" / "hn299.nii.gz")
    first = cluster.label(volume)
    result = prediction.label(volume, first)
    assert np.array_equal(result.labels, first.labels)
    (doubt,) = [text for code, text in result.warnings if code == UNCERTAIN]
    assert "About 58 mL" in doubt


def test_both_says_nothing_where_clustering_and_network_agree():
    volume, truth = scene(3.0)
    result = prediction.label(volume, EquipmentResult(truth), model=model_of(volume, truth))
    assert UNCERTAIN not in [code for code, _ in result.warnings]


def test_both_leaves_an_arm_that_the_picture_cuts():
    """To the network it looks like a holder."""
    volume, truth = scene(3.0)
    arm = np.zeros(truth.shape, bool)
    arm[:, 70:110, :12] = True
    volume = volume.with_array(np.where(arm, 40, volume.array).astype(np.int16))
    given, seen = np.where(arm, np.uint8(PATIENT), truth), np.where(arm, np.uint8(HEADREST), truth)
    result = prediction.label(volume, EquipmentResult(given), model=model_of(volume, seen))
    assert (result.labels[arm] == PATIENT).all()
    alone = prediction.label(volume, model=model_of(volume, seen))
    assert (alone.labels[arm] == HEADREST).mean() > 0.9


@pytest.mark.parametrize("cut", [True, False])
def test_where_the_picture_cuts_the_patient_both_takes_no_flesh_with_little_free_surface(cut):
    """A thigh that is cut looks like a pad to the network."""
    volume, truth = scene(3.0)
    _, j, i = np.meshgrid(np.arange(14) * 3.0, np.arange(150) * 1.5, np.arange(140) * 1.5, indexing="ij")
    flesh = np.hypot(i - 105, j - 95) < 45
    first = EquipmentResult(truth.copy(), warnings=(("truncated", "It is cut."),) if cut else ())
    result = prediction.label(volume, first, model=model_of(volume, np.where(flesh, np.uint8(HEADREST), truth)))
    taken = flesh & (result.labels > PATIENT)
    assert taken.any() != cut


def test_both_leaves_flesh_that_lies_on_bone():
    """A face in foam looks like a pad to the network; pads lie on skin."""
    volume, truth = scene(3.0)
    _, j, i = np.meshgrid(np.arange(14) * 3.0, np.arange(150) * 1.5, np.arange(140) * 1.5, indexing="ij")
    face = (np.hypot((i - 105) / 75, (j - 95) / 90) > 0.9) & (truth == PATIENT) & (j < 60)
    seen = np.where(face, np.uint8(HEADREST), truth)
    result = prediction.label(volume, EquipmentResult(truth.copy()), model=model_of(volume, seen))
    assert (result.labels[face] == PATIENT).all()


def test_a_plate_apart_from_the_body_is_taken_whole():
    """Most of it is seen as equipment, so the rest is, too."""
    volume, truth = scene(6.0)
    seen = truth.copy()
    seen[9:][truth[9:] == HEADREST] = PATIENT
    result = prediction.label(volume, model=model_of(volume, seen))
    assert np.mean(result.labels[truth == HEADREST] == HEADREST) > 0.98
    assert lost_ml(result.labels, truth) < 0.5


def wedge_beneath_a_back(support: int) -> tuple[CTVolume, np.ndarray, np.ndarray]:
    """A back on a wedge that is as dense as tissue, on a support: the scan, its truth, and where the wedge is."""
    k, j, i = np.ogrid[:40, :90, :100]
    depth = 60 - np.hypot((j - 35) * 2.0, (i - 50) * 2.0) + 0 * k  # mm within the skin
    wedge = (np.abs(k - 20) < 10) & (np.abs(i - 50) < 18) & (j > 40) & (j < 72) & (depth <= 0)
    plate = (j >= 72) & (j < 78) & (i > 10) & (i < 90) & (k >= 0)
    truth = np.select([depth > 0, wedge | plate], [PATIENT, support], BACKGROUND).astype(np.uint8)
    hu = np.where(wedge, 110, np.where(plate, 150, -1000 + 1030 * np.clip(depth / 2 + 0.5, 0, 1)))
    hu = hu + 8 * np.random.default_rng(0).standard_normal(hu.shape)
    return CTVolume(hu.astype(np.int16), (2.0, 2.0, 4.0)), truth, wedge


@pytest.mark.parametrize(
    ("support", "share", "taken"),
    [(TABLE, 0.0, True), (HEADREST, 0.6, True), (HEADREST, 0.3, False)],
    ids=["a table", "a headrest", "what looks like an ear on a headrest"],
)
def test_what_is_pressed_on_the_back_goes_up_to_the_skin(support, share, taken):
    """The network is sure of the plate, and not of the wedge between it and the back."""
    volume, truth, wedge = wedge_beneath_a_back(support)

    def unsure(shares: np.ndarray) -> None:
        moved = shares[..., OTHER] * np.float32(share)
        shares[..., support] += moved
        shares[..., PATIENT] += shares[..., OTHER] - moved
        shares[..., OTHER] = 0

    seen = np.where(wedge, np.uint8(OTHER), truth)
    result = prediction.label(volume, model=model_of(volume, seen, unsure))
    went = np.mean(result.labels[wedge] == support)
    assert went > 0.8 if taken else went < 0.1
    assert np.count_nonzero(result.labels[(truth == PATIENT) & (volume.array > -300)] > PATIENT) * 0.016 < 0.5


def test_axis_orders_give_the_same_voxels():
    volume, truth = scene()
    volume, truth = volume.crop(k=slice(4, 10)), truth[4:10]
    model = model_of(volume, truth)
    expected = prediction.label(volume, model=model).labels
    assert len(np.unique(expected)) == 4
    for turned, order, flipped in axis_orders(volume):
        assert np.array_equal(back(prediction.label(turned, model=model).labels, order, flipped), expected)


def test_no_patient_and_foreign_models_are_said():
    volume, truth = scene()
    nothing = model_of(volume, np.zeros_like(truth))
    with pytest.raises(CTError) as caught:
        prediction.label(volume, model=nothing)
    assert caught.value.code == "no_body"
    with pytest.raises(CTError) as caught:
        prediction.load_model("nowhere.npz")
    assert caught.value.code == "no_model"


def test_the_input_stays_as_it_was():
    volume, truth = scene()
    before, given = volume.array.copy(), EquipmentResult(truth.copy())
    prediction.label(volume, given, model=model_of(volume, truth))
    assert np.array_equal(volume.array, before)
    assert np.array_equal(given.labels, truth)

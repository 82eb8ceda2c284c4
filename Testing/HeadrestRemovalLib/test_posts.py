"""Posts beside shoulders, which touch the patient in few slices, and bones that slices show alone."""

from __future__ import annotations

import numpy as np
import pytest
import support_headrests
from CTVolumeLib.volume import CTVolume
from HeadrestRemovalLib import cluster, evaluation_cases, evaluation_patients, posts
from HeadrestRemovalLib.labels import PATIENT
from scipy import ndimage
from support_trunk import cells_from

SPACING = (4.0, 4.0, 3.0)
FAT, MUSCLE, BONE, PLASTIC, METAL = -100, 50, 600, 300, 1400
NO_HEAD = np.zeros(40, bool)


def patient(slices: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """HU of a trunk of fat, muscle and bone in air, and where it is."""
    j, i = np.mgrid[:80, :110]
    away = np.hypot((j - 35) / 0.6, i - 50)
    plane = np.select([away < 5, away < 28, away < 33], [BONE, MUSCLE, FAT], -1000)
    hu = np.repeat(plane[None], slices, 0)
    return hu, hu > -500


def with_a_post() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A post beside the trunk, from slice 8 to 34; from slice 28 on a plate of it lies against the skin."""
    hu, inside = patient()
    post = np.zeros(hu.shape, bool)
    post[8:34, 30:55, 92:100] = True
    post[28:34, 33:38, 80:92] = True
    post &= ~inside
    hu[post] = PLASTIC
    return hu, inside, post


def test_a_post_is_found_also_where_it_touches():
    hu, inside, post = with_a_post()
    found = posts.find(inside | post, NO_HEAD, cells_from(hu, SPACING))
    assert found[post].mean() > 0.95
    assert not found[inside].any()


def test_equipment_has_the_post_and_the_patient_loses_nothing():
    hu, inside, post = with_a_post()
    volume = CTVolume(hu.astype(np.int16), SPACING)
    labels = cluster.label(volume).labels
    assert np.mean(labels[post] > PATIENT) > 0.9
    assert not (labels[inside] > PATIENT).any()


def with_bags() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HU of a head between two bags of sand, which in some slices touch it, and where both are."""
    j, i = np.mgrid[:80, :110]
    away = np.hypot(j - 40, i - 55)
    plane = np.select([away < 14, away < 17, away < 18], [MUSCLE, BONE, FAT], -1000)
    hu = np.repeat(plane[None], 40, 0)
    inside, bags = hu > -500, np.zeros(hu.shape, bool)
    bags[5:35, 25:55, 74:89] = bags[5:35, 25:55, 22:37] = True
    bags[15:30, 36:44, 72:74] = bags[15:30, 36:44, 37:39] = True
    bags &= ~inside
    hu[bags] = 900
    return hu, inside, bags


def test_a_bone_that_bags_of_sand_touch_stays():
    hu, inside, bags = with_bags()
    hu[15:30, 36:44, 70:74] = hu[15:30, 36:44, 37:40] = BONE  # bone reaches the skin
    found = posts.find(inside | bags, NO_HEAD, cells_from(hu, SPACING))
    assert found[bags].mean() > 0.95
    assert not found[inside].any()


def test_ears_that_bags_of_sand_press_on_stay_for_the_most_part():
    case = evaluation_cases.make(evaluation_patients.phantom_head(909), "sandbags")
    labels = cluster.label(case.volume).labels
    voxel_ml = np.prod(case.volume.spacing) / 1000
    tissue = (case.truth == PATIENT) & (case.volume.array > -300)
    assert np.count_nonzero(tissue & (labels > PATIENT)) * voxel_ml < 4
    bags = case.truth > PATIENT
    assert (labels[bags] > PATIENT).mean() > 0.99


def test_the_blurred_edges_of_posts_go_and_the_skin_that_they_touch_stays():
    hu, inside, bags = with_bags()
    edge = ndimage.binary_dilation(bags, np.ones((1, 3, 3), bool)) & ~bags & ~inside
    found = posts.edges(bags, inside | edge, cells_from(hu, SPACING))
    assert found[edge].mean() > 0.85
    assert not found[inside].any()


@pytest.mark.parametrize("flesh", [False, True])
def test_a_bone_that_slices_show_alone_is_no_post_if_flesh_goes_on_from_it(flesh):
    """As at the vertex between raised arms: the last slices show a bowl of bone, beneath it is brain."""
    hu, inside = patient()
    top = np.zeros(hu.shape, bool)
    top[20:26, 10:24, 92:106] = True
    if flesh:
        hu[10:20, 10:24, 92:106] = MUSCLE
        inside[10:20, 10:24, 92:106] = True
    hu[top] = BONE
    found = posts.find(inside | top, NO_HEAD, cells_from(hu, SPACING))
    assert found[top].all() != flesh
    assert found[top].any() != flesh


def test_a_rail_beneath_the_back_is_found_and_an_implant_is_not():
    hu, inside = patient()
    rail, implant = np.zeros(hu.shape, bool), np.zeros(hu.shape, bool)
    rail[:20, 54:58, 45:56] = True
    rail &= ~inside
    implant[10:25, 40:44, 30:40] = True
    hu[rail | implant] = METAL
    scan = cells_from(hu, SPACING)
    found = posts.find(inside | rail, NO_HEAD, scan)
    assert found[rail].all()
    assert not found[inside].any()
    assert not posts.find(inside | rail, ~NO_HEAD, scan).any()


def on_a_board(face_hu: int, columns: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HU of a trunk with a flat back on the face of a board, where the trunk is, and the face."""
    hu, inside = patient()
    inside[:, 48:] = False
    hu[~inside] = -1000
    board = np.zeros(hu.shape, bool)
    board[:, 48, slice(*columns)] = True
    hu[board] = face_hu
    return hu, inside, board


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("face_hu", [-220, -400])
def test_a_board_that_the_back_lies_on_is_known_from_what_is_seen_of_it_beside_the_back(beside, face_hu):
    hu, inside, board = on_a_board(face_hu, (15, 85))
    below = board & inside[:, 47:48]
    if not beside:
        hu[board & ~below] = -1000
    own = inside | (below & (hu > -300))  # fainter ones would be the skin's blurred edge
    found = posts.boards(own, cells_from(hu, SPACING))
    assert not found[inside].any()
    assert found[below].all() == beside
    assert found.any() == beside


def test_equipment_has_the_face_of_a_board_and_the_patient_loses_nothing():
    hu, inside, board = on_a_board(-400, (15, 85))
    labels = cluster.label(CTVolume(hu.astype(np.int16), SPACING)).labels
    assert (labels[board] > PATIENT).all()
    assert not (labels[inside] > PATIENT).any()


def test_the_blurred_skin_between_creases_of_a_sheet_is_no_board():
    hu, inside, _ = on_a_board(-400, (33, 67))
    hu[:, 47, 33:36] = hu[:, 47, 64:67] = -1000  # the back leaves it there
    inside &= hu > -500
    found = posts.boards(inside, cells_from(hu, SPACING))
    assert not found.any()


@pytest.mark.parametrize(
    ("outer", "inner", "touching", "goes"),
    [
        (110, 110, 2, True),
        (20, 20, 2, False),  # a flap of skin
        (20, 600, 2, False),  # a finger
        (110, 110, 20, False),  # it lies on the skin all along
    ],
)
def test_a_plate_that_stands_off_is_no_patient(outer, inner, touching, goes):
    hu, inside = patient()
    apart = np.zeros(hu.shape, bool)
    apart[10:30, 22:46, 90:94] = True
    hu[apart] = outer
    hu[10:30, 24:44, 91:93] = inner
    bridge = np.zeros(hu.shape, bool)
    bridge[10 : 10 + touching, 34:36, 80:90] = True
    bridge &= ~inside
    hu[bridge] = outer
    found = posts.plates(apart | bridge, inside, cells_from(hu, SPACING))
    assert found[apart].all() == goes
    assert found.any() == goes


@pytest.mark.realct
@pytest.mark.parametrize(("name", "least_ml"), [("hn2", 1600), ("hn147", 1290)])
def test_shoulder_retractors_of_real_scans_go(ct_data, name, least_ml):
    """A post that stays is 160 to 230 mL."""
    assert support_headrests.removed_ml(ct_data / "vol" / f"{name}.nii.gz", -900) > least_ml


@pytest.mark.realct
@pytest.mark.parametrize(("name", "least_ml"), [("hn236", 780), ("hn256", 570)])
def test_plates_off_real_shoulders_go(ct_data, name, least_ml):
    """37 and 60 mL of them used to stay."""
    assert support_headrests.removed_ml(ct_data / "vol" / f"{name}.nii.gz", -300) > least_ml


@pytest.mark.realct
@pytest.mark.parametrize(("name", "least_ml"), [("hn247", 440), ("hn256", 305)])
def test_faces_of_boards_beneath_real_backs_go(ct_data, name, least_ml):
    """135 and 35 mL of them used to stay."""
    assert support_headrests.removed_ml(ct_data / "vol" / f"{name}.nii.gz", -450, -100) > least_ml

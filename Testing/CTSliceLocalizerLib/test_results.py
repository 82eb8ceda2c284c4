from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from CTSliceLocalizerLib.landmarks import NAMES
from CTSliceLocalizerLib.results import Appearance, Flag, from_json, refusal
from CTVolumeLib.errors import CTError
from support_locations import fake_location


@pytest.fixture
def located():
    """Lower neck to upper abdomen, 5 mm slices stored from the head down."""
    z_mm = np.arange(-600.0, -250.0, 5.0)
    files = tuple(f"/archive/study/{number}.dcm" for number in range(len(z_mm)))
    return fake_location(z_mm, index=np.arange(len(z_mm))[::-1], files=files, flags=(Flag("few", "A warning."),))


def test_file_survives_a_round_trip(located, tmp_path):
    located.write(tmp_path / "location.json")
    again = from_json(json.loads((tmp_path / "location.json").read_text(encoding="utf-8")))
    np.testing.assert_allclose(again.z_mm, located.z_mm, atol=1e-3)
    np.testing.assert_allclose(again.location, located.location, atol=1e-5)
    np.testing.assert_allclose(again.body_mm, located.body_mm, atol=0.01)
    assert again.index.tolist() == located.index.tolist()
    assert again.flags == located.flags
    assert [landmark.inside for landmark in again.landmarks] == [landmark.inside for landmark in located.landmarks]
    assert again.to_json() == from_json(again.to_json()).to_json()


def test_appearance_survives_a_round_trip(located):
    features = np.random.default_rng(0).random((5, 3)) * 40
    known = replace(located, appearance=Appearance.of(-600.0 + 4.0 * np.arange(5), features))
    again = from_json(json.loads(json.dumps(known.to_json()))).appearance
    np.testing.assert_allclose(again.z_mm, [-600, -596, -592, -588, -584])
    np.testing.assert_allclose(again.features * features.max() / 255, features, atol=features.max() / 500)
    content = known.to_json()
    assert from_json({key: value for key, value in content.items() if key != "appearance"}).appearance is None
    with pytest.raises(CTError, match="garbles"):
        from_json({**content, "appearance": {**content["appearance"], "rows": 4}})


def test_file_has_the_agreed_keys(located):
    content = located.to_json()
    assert content["schema"] == "ct-location/1"
    assert content["refused"] is None
    assert set(content["coverage"]) >= {"from", "to", "words"}
    assert set(content["slices"][0]) >= {"index", "file", "z_mm", "raw", "location", "sigma"}
    assert set(content["series"]) >= {"source", "modality", "slices", "z_mm"}
    assert [landmark["name"] for landmark in content["landmarks"]] == list(NAMES)
    assert set(content["model"]) >= {"name", "sha256"}


def test_landmarks_outside_the_scan_have_no_z(located):
    by_name = {landmark["name"]: landmark for landmark in located.to_json()["landmarks"]}
    assert by_name["Head of femur"]["inside"] is False
    assert by_name["Head of femur"]["z_mm"] is None
    assert by_name["Aortic arch"]["inside"] is True


def test_files_are_named_without_their_folders(located):
    assert located.to_json()["slices"][0]["file"] == "0.dcm"


def test_match_gives_the_nearest_slices_first_as_in_the_article(located):
    found = located.match(0.2, 0.005)
    distances = np.abs(located.location[found] - 0.2)
    assert len(found) > 1
    assert np.all(np.diff(distances) >= 0)
    assert np.all(distances <= 0.005)
    assert len(found) == np.count_nonzero(np.abs(located.location - 0.2) <= 0.005)
    assert located.match_files(0.2, 0.005)[0] == located.files[found[0]]


def test_match_beyond_the_scan_finds_nothing(located):
    assert len(located.match(0.0, 0.01)) == 0


def test_match_files_needs_files(located):
    with pytest.raises(CTError, match="one file per slice"):
        replace(located, files=()).match_files(0.2, 0.01)


def test_location_between_slices_is_interpolated_and_outside_unknown(located):
    middle = (located.z_mm[3] + located.z_mm[4]) / 2
    assert located.location_at(middle) == pytest.approx((located.location[3] + located.location[4]) / 2)
    assert np.isnan(located.location_at(located.z_mm[-1] + 20))


def test_refusal_has_no_slices_and_says_why():
    refused = refusal(Flag("not_ct", "The series is MR, not CT."), series={"source": "a"}, model={"name": "m"})
    content = refused.to_json()
    assert content["refused"] == {"code": "not_ct", "text": "The series is MR, not CT."}
    assert content["slices"] == []
    assert content["coverage"] is None
    assert not any(landmark["inside"] for landmark in content["landmarks"])
    json.dumps(content, allow_nan=False)
    assert from_json(content).refused == refused.refused


@pytest.mark.parametrize("damage", [{"schema": "other/1"}, {"slices": None}, {"landmarks": [{}]}])
def test_foreign_and_damaged_files_are_refused(located, damage):
    with pytest.raises(CTError) as problem:
        from_json({**located.to_json(), **damage})
    assert problem.value.code == "bad_schema"

from __future__ import annotations

import json

import pytest
from CTSliceLocalizerLib import partition, store
from CTSliceLocalizerLib.partition import PARTS, TEST, TRAIN, VALIDATION
from CTVolumeLib.errors import CTError
from hypothesis import given
from hypothesis import strategies as st

# UID and its SHA-256 as `printf UID | sha256sum` prints it, mod 10 as `bc` computes it, and the part.
KNOWN = [
    ("1.2.3.6", "2948ed61c9c9a154d114d3b72176de03591d4694d48498a9708d4e0efebb8160", 0, TRAIN),
    ("1.2.3.9", "902425018327ff07a82dc8684662e6a69f7dd7c0256040a7201b4a5faba8ae5b", 3, TRAIN),
    ("1.2.3.7", "72a39769def8b92ef54caa295abdbc94d76fa3d75a2bfd8d5ad2f511bf10440a", 4, TRAIN),
    ("1.2.3.5", "f53eea05fa9e492da3a048b6a9050791b7d6c20c1dafef710d0754bb4425f573", 5, TRAIN),
    ("1.2.3.4", "6694f83c9f476da31f5df6bcc520034e7e57d421d247b9d34f49edbfc84a764c", 6, TRAIN),
    ("1.2.3.19", "a40f7231bd49f1f85d56b7017124daac9cfc14de54167e55922f761fd65d118b", 7, VALIDATION),
    ("1.2.3.30", "6af7d9aa93dc41acd26bf875a84c1165a7352920ea96d28ec35639ba72ce942c", 8, VALIDATION),
    ("1.2.3.12", "edd95587d138c58f34df8e74995880da9f9d60bb62f834ac114daf69e775c331", 9, TEST),
    (
        "1.3.6.1.4.1.14519.5.2.1.6655.2359.207154000096236603057216610983",
        "d775dfe1ec60f715dc155e6e1ade4f8c73d5975ead98e02a872d70571fc56cfa",
        6,
        TRAIN,
    ),
]


@pytest.mark.parametrize(("uid", "digest", "remainder", "part"), KNOWN)
def test_known_uids_fall_where_their_digests_say(uid, digest, remainder, part):
    # 16 mod 10 is 6, and so is each of its powers: a number's digits but the last count six times
    *upper, last = (int(digit, 16) for digit in digest)
    assert (6 * sum(upper) + last) % 10 == remainder
    assert partition.part_of(uid) == part


def test_shares_are_those_of_the_article():
    parts = [partition.part_of(f"1.2.840.{n}") for n in range(10_000)]
    assert [round(parts.count(part) / 10_000, 1) for part in PARTS] == [0.7, 0.2, 0.1]


SERIES = st.dictionaries(st.text("0123456789.", min_size=1), st.text(max_size=3), max_size=30)


@given(SERIES, st.text(max_size=3))
def test_by_patient_nobody_is_in_two_parts(patients, salt):
    made = partition.make(patients, salt=salt)
    assert made.shared_patients() == 0
    assert sorted(uid for part in PARTS for uid in made.series(part)) == sorted(patients)
    assert len({patient for part in PARTS for patient in made.patients_of(part)}) == len(set(patients.values()))


@given(SERIES)
def test_by_series_is_the_articles_rule_and_survives_more_series(patients):
    made = partition.make(patients, by="series")
    assert all(part == partition.part_of(uid) for uid, part in made.parts.items())
    more = partition.make({**patients, "1.2.3": "x"}, by="series")
    assert {uid: more.parts[uid] for uid in patients if uid != "1.2.3"} == {
        uid: part for uid, part in made.parts.items() if uid != "1.2.3"
    }


def test_a_leak_is_counted():
    made = partition.make({"1.2.3.12": "a", "1.2.3.19": "a", "1.2.3.4": "b"}, by="series")
    assert made.shared_patients() == 1


def test_another_salt_is_another_draw():
    patients = {str(n): str(n) for n in range(50)}
    assert partition.make(patients, salt="1").parts != partition.make(patients).parts


@given(SERIES, st.sampled_from(["patient", "series"]))
def test_it_comes_back_from_its_file(tmp_path_factory, patients, by):
    path = tmp_path_factory.getbasetemp() / "partition.json"
    made = partition.make(patients, by=by)
    made.write(path)
    first = path.read_bytes()
    assert partition.read(path) == made
    partition.make(dict(reversed(patients.items())), by=by).write(path)
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(schema="ct-partition/2"),
        lambda content: content["series"]["test"].append(content["series"]["train"][0]),
        lambda content: content["patients"].clear(),
        lambda content: content.pop("series"),
    ],
)
def test_damaged_files_are_refused(tmp_path, change):
    path = tmp_path / "partition.json"
    partition.make({"1.2.3.4": "a", "1.2.3.12": "b"}, by="series").write(path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(CTError, match=r"partition\.json is no partition"):
        partition.read(path)
    with pytest.raises(CTError, match="There is no file"):
        partition.read(tmp_path / "none.json")


def test_locations_of_organized_files_tell_series_and_patient(tmp_path):
    path = tmp_path / "combined_normalized_locations.json"
    keys = ["anna/1.1/1.1.1/1.dcm", "anna/1.1/1.1.1/2.dcm", "anna/1.2/1.2.1/1.dcm", "bert/2/2.1/9.dcm"]
    path.write_text(json.dumps(dict.fromkeys(keys, 0.1)))
    found = partition.patients_in(path)
    assert list(found) == ["1.1.1", "1.2.1", "2.1"]
    assert found["1.1.1"] == found["1.2.1"] == store.patient_key("anna") != found["2.1"]
    assert "anna" not in json.dumps(found)


@pytest.mark.parametrize("text", ["", "[1]", '{"folder/1.dcm": 0.5}'])
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(CTError, match=r"a\.json"):
        partition.patients_in(tmp_path / "a.json")


def test_a_store_tells_the_same(tmp_path):
    entries = [
        store.Entry("a", "1.1.1", store.patient_key("anna"), 9, 2, tmp_path),
        store.Entry("b", "2.1", store.patient_key("bert"), 9, 2, tmp_path),
    ]
    for kind in ("compact", "article"):
        store.write_index(tmp_path, store.Index(kind, {}, tuple(entries), ()))
        assert partition.patients_in(tmp_path) == {
            "1.1.1": store.patient_key("anna"),
            "2.1": store.patient_key("bert"),
        }

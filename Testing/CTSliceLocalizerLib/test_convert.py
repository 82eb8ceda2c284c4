"""Conversion of labelled series: right pictures and truth, the article's files, resumable; nothing wrong gets in."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from CTSliceLocalizerLib import convert, groundtruth, landmarks, slicegrid, store, truths
from CTSliceLocalizerLib.cli import main
from CTSliceLocalizerLib.slicefile import SliceFile
from CTVolumeLib import batch, dicom
from CTVolumeLib.errors import CTError
from support_batch import wait_for
from support_tree import LANDMARKS, STEP_MM, contents, locations, tree

PROGRAM = [sys.executable, "-m", "CTSliceLocalizerLib.cli", "convert"]


def run(data: Path, out: Path, *options: str) -> int:
    return main(["convert", str(data), "--out", str(out), "--jobs", "1", *options])


def slices_of(out: Path, uid: str) -> dict[str, dict[str, np.ndarray]]:
    """The article's files of a series: their arrays by file name."""
    found = {}
    for path in (out / "series" / uid).glob("*.npz"):
        with np.load(path, allow_pickle=False) as archive:
            found[path.name] = {name: archive[name] for name in archive.files}
    return found


class TestArticle:
    @pytest.fixture
    def planted(self, tmp_path):
        return tree(tmp_path / "tree")

    def test_a_file_for_each_slice_with_its_keys(self, tmp_path, planted):
        truth = locations(planted, tmp_path / "locations.json")
        assert run(tmp_path / "tree", tmp_path / "out", "--locations", str(tmp_path / "locations.json"),
                   "--format", "article", "--size", "24") == 0  # fmt: skip
        for one in planted:
            found = slices_of(tmp_path / "out", one.uid)
            assert sorted(found) == sorted(Path(name).stem + ".npz" for name in one.files)
            for k, name in enumerate(one.files):
                arrays = found[Path(name).stem + ".npz"]
                assert list(arrays) == ["pixels", "norm_loc", "series_instance_UID"]
                assert arrays["norm_loc"] == truth[f"{one.path}/{name}"]
                assert arrays["norm_loc"].dtype == np.float64
                assert str(arrays["series_instance_UID"]) == one.uid
                assert arrays["pixels"].dtype == np.uint8
                gray = np.rint((np.clip(one.hu[k], -1000.0, 400.0) + 1000) * 255 / 1400)
                np.testing.assert_array_equal(arrays["pixels"], gray, err_msg="the slice of another height")

    def test_bytes_are_those_of_the_articles_own_call(self, tmp_path, planted):
        locations(planted[:1], tmp_path / "locations.json")
        run(tmp_path / "tree", tmp_path / "out", "--locations", str(tmp_path / "locations.json"), "--format", "article")
        path = tmp_path / "out" / "series" / planted[0].uid / "3.npz"
        with np.load(path) as archive:
            pixels, location = archive["pixels"], float(archive["norm_loc"])
        np.savez(tmp_path / "own.npz", pixels=pixels, norm_loc=location, series_instance_UID=planted[0].uid)
        assert path.read_bytes() == (tmp_path / "own.npz").read_bytes()

    @pytest.mark.parametrize("size", [1, 24, 256])
    def test_every_file_of_a_series_has_those_bytes(self, tmp_path, size):
        rng = np.random.default_rng(0)
        one = SliceFile(size, "1.2.840.99")
        for location in (0.05, -0.013, 0.5):
            pixels = rng.integers(0, 256, (size, size), np.uint8)
            np.savez(tmp_path / "own.npz", pixels=pixels, norm_loc=location, series_instance_UID="1.2.840.99")
            assert one.content(pixels, location) == (tmp_path / "own.npz").read_bytes()
        with pytest.raises(ValueError, match="size"):
            one.content(np.zeros((size, size + 1), np.uint8), 0.1)

    def test_labels_alone_give_the_locations(self, tmp_path, planted):
        assert run(tmp_path / "tree", tmp_path / "out", "--format", "article") == 0
        one = planted[1]
        found = slices_of(tmp_path / "out", one.uid)
        for name, k in LANDMARKS.items():
            arrays = found[Path(one.files[k]).stem + ".npz"]
            assert arrays["norm_loc"] == pytest.approx(landmarks.LOCATIONS[landmarks.NAMES.index(name)])
        between = found[Path(one.files[12]).stem + ".npz"]["norm_loc"]
        assert between == pytest.approx(0.18), "halfway between T1 (.16) and the arch (.2)"

    def test_one_label_is_not_enough(self, tmp_path, planted, capsys):
        (planted[0].folder / "labels.json").write_text(json.dumps({"C7": planted[0].files[22]}))
        assert run(tmp_path / "tree", tmp_path / "out", "--format", "article") == 1
        assert "needs two" in capsys.readouterr().out

    def test_only_located_slices_are_written(self, tmp_path, planted):
        one = planted[0]
        (tmp_path / "some.json").write_text(json.dumps({f"{one.path}/{name}": 0.2 for name in one.files[:5]}))
        run(tmp_path / "tree", tmp_path / "out", "--locations", str(tmp_path / "some.json"), "--format", "article")
        assert sorted(slices_of(tmp_path / "out", one.uid)) == sorted(f"{name[:-4]}.npz" for name in one.files[:5])
        assert [entry.uid for entry in store.read_index(tmp_path / "out").series] == [one.uid]


class TestPicture:
    def test_gray_is_hounsfield_whatever_else_is_in_the_slice(self):
        """The article's pictures were stretched from each slice's own minimum to its own maximum."""
        plain = np.full((64, 64), -300, np.int16)
        with_metal = plain.copy()
        with_metal[0, 0] = 3000
        assert convert.picture(plain, 64)[32, 32] == convert.picture(with_metal, 64)[32, 32] == round(700 * 255 / 1400)

    def test_shrinking_averages(self):
        stripes = np.tile(np.array([-1000, 400], np.int16), (64, 32))
        inner = convert.picture(stripes, 16)[2:-2, 2:-2]
        assert np.all(np.abs(inner.astype(int) - 127) <= 8), "single pixels would be black or white"

    @pytest.mark.parametrize("size", [16, 50, 64, 100, 299])
    def test_the_picture_stays_where_it_is(self, size):
        j, i = np.mgrid[:64, :64]
        centre = (20.0, 41.0)
        blob = -1000 + 1400 * np.exp(-0.5 * ((j - centre[0]) ** 2 + (i - centre[1]) ** 2) / 36)
        gray = convert.picture(blob, size).astype(float)
        where = [(np.average(np.arange(size), weights=gray.sum(axis=axis)) + 0.5) * 64 / size - 0.5 for axis in (1, 0)]
        assert where == pytest.approx(centre, abs=0.15)

    def test_slices_that_are_not_square_keep_their_proportions(self):
        wide = np.full((32, 64), 400, np.int16)
        gray = convert.picture(wide, 64)
        assert np.all(gray[18:46] == 255)
        assert not gray[:14].any()
        assert not gray[50:].any()

    @pytest.mark.parametrize(("pixels", "size"), [(64, 64), (64, 32), (96, 32), (64, 24), (64, 100)])
    def test_whole_numbers_are_only_faster(self, pixels, size):
        hu = np.random.default_rng(0).integers(-3000, 3000, (pixels, pixels)).astype(np.int16)
        difference = convert.picture(hu, size).astype(int) - convert.picture(hu.astype(np.float32), size)
        assert np.count_nonzero(difference) <= 0.001 * size**2, "but for ties"
        assert np.abs(difference).max() <= 1

    def test_window(self):
        assert convert.picture(np.full((4, 4), 40, np.int16), 4, (-160, 240)).max() == round(200 * 255 / 400)
        assert convert.picture(np.full((4, 4), 240, np.int16), 4, (-160, 240)).min() == 255


class TestCompact:
    @pytest.fixture
    def planted(self, tmp_path):
        return tree(tmp_path / "tree")

    def test_holds_the_networks_grid_and_the_landmarks(self, tmp_path, planted):
        assert run(tmp_path / "tree", tmp_path / "out") == 0
        paths = store.series(tmp_path / "out")
        assert [path.parent.name for path in paths] == [one.uid for one in planted]
        for path, one in zip(paths, planted):
            found = store.read_series(path)
            grid = slicegrid.make(dicom.read(one.folder).as_axial(), keep_unmasked=True)
            np.testing.assert_array_equal(found.grid.hu, grid.hu)
            np.testing.assert_array_equal(found.grid.unmasked, grid.unmasked)
            np.testing.assert_array_equal(found.grid.z_mm, grid.z_mm)
            heights = {name: one.z_mm[k] for name, k in LANDMARKS.items()}
            assert {name: mark.z_mm for name, mark in found.annotations.items()} == heights
            assert all(STEP_MM / 2 < mark.uncertainty_mm < STEP_MM for mark in found.annotations.values())
            body, sigma = groundtruth.body_targets(grid.z_mm, found.annotations)
            np.testing.assert_array_equal(found.body_mm, body)
            np.testing.assert_array_equal(found.sigma_mm, sigma)
            np.testing.assert_allclose(found.location, groundtruth.locations(grid.z_mm, heights))

    def test_locations_alone(self, tmp_path, planted):
        locations(planted, tmp_path / "locations.json")
        for one in planted:
            (one.folder / "labels.json").unlink()
        assert run(tmp_path / "tree", tmp_path / "out", "--locations", str(tmp_path / "locations.json")) == 0
        found = store.read_series(store.series(tmp_path / "out")[0])
        assert not found.annotations
        expected = 0.3 - 0.002 * (found.grid.z_mm - 100.0) / STEP_MM
        np.testing.assert_allclose(found.location, expected, atol=1e-9)
        np.testing.assert_allclose(landmarks.body_to_location(found.body_mm), expected, atol=1e-9)
        assert np.all(found.sigma_mm == convert.LOCATION_SIGMA_MM)

    def test_both(self, tmp_path, planted):
        """Landmarks tell the body coordinate, the ground truth file the location."""
        locations(planted, tmp_path / "locations.json")
        run(tmp_path / "tree", tmp_path / "out", "--locations", str(tmp_path / "locations.json"))
        found = store.read_series(store.series(tmp_path / "out")[0])
        assert list(found.annotations) == list(LANDMARKS)
        assert found.location[0] == pytest.approx(0.3)
        assert np.interp(found.annotations["T1"].z_mm, found.grid.z_mm, found.body_mm) == pytest.approx(295.5, abs=0.3)

    def test_beyond_the_located_slices_less_is_known(self, tmp_path, planted):
        one = planted[0]
        (one.folder / "labels.json").unlink()
        some = {f"{one.path}/{one.files[k]}": 0.3 - 0.002 * k for k in range(10, 15)}
        (tmp_path / "some.json").write_text(json.dumps(some))
        run(tmp_path / "tree", tmp_path / "out", "--locations", str(tmp_path / "some.json"))
        found = store.read_series(store.series(tmp_path / "out")[0])
        np.testing.assert_allclose(found.location, 0.3 - 0.002 * (found.grid.z_mm - 100) / STEP_MM, atol=1e-9)
        assert found.sigma_mm[0] == pytest.approx(convert.LOCATION_SIGMA_MM + 50 * convert.SIGMA_PER_MM)

    def test_labels_in_a_folder_of_their_own(self, tmp_path, planted):
        labels = tmp_path / "labels"
        (labels / planted[1].path).mkdir(parents=True)
        shutil.move(planted[0].folder / "labels.json", labels / f"{planted[0].uid}.json")
        shutil.move(planted[1].folder / "labels.json", labels / planted[1].path / "labels.json")
        assert run(tmp_path / "tree", tmp_path / "out", "--labels", str(labels)) == 0
        assert [path.parent.name for path in store.series(tmp_path / "out")] == [one.uid for one in planted[:2]]

    def test_patients_are_told_apart_but_not_named(self, tmp_path, planted):
        run(tmp_path / "tree", tmp_path / "out")
        keys = [entry.patient for entry in store.read_index(tmp_path / "out").series]
        assert keys[0] == keys[2] != keys[1], "series 0 and 2 are one patient's"
        everything = b"".join([*contents(tmp_path / "out").values(), *map(str.encode, contents(tmp_path / "out"))])
        assert b"patient0" not in everything

    def test_series_folders_of_the_same_name(self, tmp_path, planted):
        other = tmp_path / "tree" / "patient1" / "another study"
        shutil.copytree(planted[0].folder, other / planted[0].uid)
        assert run(tmp_path / "tree", tmp_path / "out") == 0
        names = [entry.name for entry in store.read_index(tmp_path / "out").series]
        assert len(names) == len(set(names)) == 4
        assert not any("study" in name or "patient" in name for name in names)


def lose_a_labelled_file(one):
    (one.folder / one.files[18]).unlink()


def swap_labels(one):
    (one.folder / "labels.json").write_text(json.dumps({"C7": one.files[2], "T1": one.files[8]}))


def label_a_stranger(one):
    (one.folder / "labels.json").write_text(json.dumps({"C7": "99.dcm", "T1": one.files[8]}))


def damage_everything(one):
    for name in one.files:
        (one.folder / name).write_bytes(b"\0" * 128 + b"DICM" + b"broken")


def empty(one):
    for name in one.files:
        (one.folder / name).unlink()


def only_air(one):
    for name in one.files:
        data = (one.folder / name).read_bytes()
        (one.folder / name).write_bytes(data[: -2 * one.hu[0].size] + b"\0\0" * one.hu[0].size)


class TestWrongInput:
    @pytest.mark.parametrize(
        ("harm", "code"),
        [
            (lose_a_labelled_file, "labels"),
            (swap_labels, "labels"),
            (label_a_stranger, "labels"),
            (damage_everything, "no_images"),
            (empty, "no_images"),
            (only_air, "no_body"),
        ],
    )
    def test_a_bad_series_is_listed_and_left_out(self, tmp_path, capsys, harm: Callable[..., None], code: str) -> None:
        planted = tree(tmp_path / "tree")
        harm(planted[1])
        assert run(tmp_path / "tree", tmp_path / "out") == 1
        shown = capsys.readouterr()
        assert f"left out: {planted[1].uid}" in shown.out
        assert "patient1" not in shown.out + shown.err
        index = store.read_index(tmp_path / "out")
        assert [entry.uid for entry in index.series] == [planted[0].uid, planted[2].uid]
        assert [(one["name"], one["code"]) for one in index.left_out] == [(planted[1].uid, code)]

    def test_what_is_wrong_with_labels_is_told_with_its_line(self, tmp_path, capsys):
        (one,) = tree(tmp_path / "tree", 1)
        text = json.dumps({"C7": one.files[2], "T1": one.files[8], "Aortic arch": "99.dcm"}, indent=1)
        (one.folder / "labels.json").write_text(text)
        assert run(tmp_path / "tree", tmp_path / "out") == 3
        assert f"{one.uid}/labels.json:4: Aortic arch names 99.dcm, which is not there." in capsys.readouterr().out

    def test_labels_of_no_series(self, tmp_path, capsys):
        planted = tree(tmp_path / "tree", 2)
        shutil.copytree(tmp_path / "tree", tmp_path / "labels", ignore=shutil.ignore_patterns("*.dcm"))
        shutil.copytree(tmp_path / "labels" / planted[0].path, tmp_path / "labels" / "1.2.3.99")
        assert run(tmp_path / "tree", tmp_path / "out", "--labels", str(tmp_path / "labels")) == 1
        assert "1.2.3.99/labels.json could not be assigned to one series" in capsys.readouterr().out
        assert len(store.series(tmp_path / "out")) == 2

    def test_two_files_of_labels_for_one_series(self, tmp_path, capsys):
        planted = tree(tmp_path / "tree", 2)
        labels = planted[0].folder / "labels.json"
        shutil.copy(labels, labels.with_name(f"{planted[0].uid}.labels.json"))
        assert run(tmp_path / "tree", tmp_path / "out") == 1
        assert capsys.readouterr().out.count("left out") == 2
        assert [entry.uid for entry in store.read_index(tmp_path / "out").series] == [planted[1].uid]

    def test_locations_that_contradict_the_heights(self, tmp_path):
        planted = tree(tmp_path / "tree", 2)
        truth = locations(planted, tmp_path / "locations.json")
        wrong = [f"{planted[0].path}/{planted[0].files[k]}" for k in (5, 6)]
        truth[wrong[0]], truth[wrong[1]] = truth[wrong[1]], truth[wrong[0]]
        (tmp_path / "locations.json").write_text(json.dumps(truth))
        assert run(tmp_path / "tree", tmp_path / "out", "--locations", str(tmp_path / "locations.json")) == 1
        assert store.read_index(tmp_path / "out").left_out[0]["code"] == "location_order"

    def test_located_files_that_are_not_there_are_counted(self, tmp_path, capsys):
        planted = tree(tmp_path / "tree", 2)
        locations(planted, tmp_path / "locations.json")
        (planted[0].folder / planted[0].files[9]).unlink()
        options = ("--locations", str(tmp_path / "locations.json"), "--format", "article")
        assert run(tmp_path / "tree", tmp_path / "out", *options) == 1
        assert f"incomplete: {planted[0].uid}: 1 files" in capsys.readouterr().out
        assert len(slices_of(tmp_path / "out", planted[0].uid)) == len(planted[0].files) - 1

    def test_nothing_labelled(self, tmp_path, capsys):
        planted = tree(tmp_path / "tree", 1)
        (planted[0].folder / "labels.json").unlink()
        assert run(tmp_path / "tree", tmp_path / "out") == 3
        assert "has labels" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "text", ["{", "[1]", '{"a/b/c/1.dcm": "x"}', '{"a/b/c/1.dcm": NaN}', '{"../../x/1.dcm": 0.1}']
    )
    def test_a_bad_ground_truth_file(self, tmp_path, text):
        tree(tmp_path / "tree", 1)
        (tmp_path / "locations.json").write_text(text)
        with pytest.raises(CTError) as caught:
            truths.find(tmp_path / "tree", tmp_path / "locations.json")
        assert caught.value.code == "bad_locations"

    def test_bad_options(self, tmp_path):
        tree(tmp_path / "tree", 1)
        assert run(tmp_path / "tree", tmp_path / "out", "--format", "article", "--window", "400", "-1000") == 2
        assert run(tmp_path / "tree", tmp_path / "out", "--size", "0") == 2

    def test_coronal_slices(self, tmp_path):
        from support_dicom import series

        uid = "1.2.9"
        series(tmp_path / "tree" / "p" / "s" / uid, step=2.0, orientation=(1, 0, 0, 0, 0, -1), series_uid=uid,
               positions=[(0.0, 2.0 * k, 0.0) for k in range(6)])  # fmt: skip
        truth = truths.Truth(tmp_path / "tree" / "p" / "s" / uid, "p", {"0003.dcm": 0.1})
        outcomes = convert.convert(tmp_path / "tree", tmp_path / "out", [truth])
        assert [outcome.code for outcome in outcomes] == ["not_axial"]


class TestAgain:
    def test_what_is_finished_is_kept_and_what_changed_is_made_again(self, tmp_path):
        planted = tree(tmp_path / "tree")
        data, out = tmp_path / "tree", tmp_path / "out"
        first = convert.convert(data, out, truths.find(data))
        assert {outcome.state for outcome in first} == {batch.DONE}
        before = contents(out)
        again = convert.convert(data, out, truths.find(data))
        assert {outcome.state for outcome in again} == {batch.KEPT}
        assert contents(out) == before
        (planted[0].folder / "labels.json").write_text(
            json.dumps({"C7": planted[0].files[20], "T1": planted[0].files[16]})
        )
        changed = convert.convert(data, out, truths.find(data))
        assert [outcome.state for outcome in changed] == [batch.DONE, batch.KEPT, batch.KEPT]
        assert list(store.read_series(store.series(out)[0]).annotations) == ["C7", "T1"]

    def test_a_data_set_of_the_other_format_is_not_made_over(self, tmp_path, capsys):
        tree(tmp_path / "tree", 1)
        assert run(tmp_path / "tree", tmp_path / "out") == 0
        before = contents(tmp_path / "out")
        assert run(tmp_path / "tree", tmp_path / "out", "--format", "article") == 3
        assert "out holds a data set in the compact format" in capsys.readouterr().err
        assert contents(tmp_path / "out") == before

    def test_other_locations_make_it_again(self, tmp_path):
        planted = tree(tmp_path / "tree", 1)
        data, out, path = tmp_path / "tree", tmp_path / "out", tmp_path / "locations.json"
        truth = locations(planted, path)
        convert.convert(data, out, truths.find(data, path), kind="article")
        path.write_text(json.dumps({key: value + 0.01 for key, value in truth.items()}))
        (again,) = convert.convert(data, out, truths.find(data, path), kind="article")
        assert again.state == batch.DONE

    @pytest.mark.slow
    @pytest.mark.parametrize(("kind", "jobs"), [("compact", "2"), ("article", "1")])
    def test_killed_and_started_again_it_ends_with_the_same_bytes(self, tmp_path, kind, jobs):
        count = 24
        tree(tmp_path / "tree", count, patients=5, pixels=64)
        options = ["--format", kind, str(tmp_path / "tree"), "--out"]
        assert main(["convert", *options, str(tmp_path / "whole"), "--jobs", "1"]) == 0
        out = tmp_path / "killed"
        process = subprocess.Popen([*PROGRAM, *options, str(out), "--jobs", jobs], stderr=subprocess.DEVNULL)
        wait_for(lambda: len(list(out.glob("series/1*"))) >= 5, 120)  # longer on a machine that is busy otherwise
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert len(list(out.glob("series/1*"))) < count, "the kill came too late to show anything"
        assert not (out / store.INDEX).exists(), "what is not finished is no data set"
        assert main(["convert", *options, str(out), "--jobs", "1"]) == 0
        assert contents(out) == contents(tmp_path / "whole")
        files = contents(out)
        assert len([name for name in files if name.endswith(".npz")]) == (count if kind == "compact" else count * 24)

    @pytest.mark.slow
    def test_processes_make_the_same_as_one(self, tmp_path):
        tree(tmp_path / "tree", 4)
        for jobs in "12":
            assert main(["convert", str(tmp_path / "tree"), "--out", str(tmp_path / jobs), "--jobs", jobs]) == 0
        assert contents(tmp_path / "1") == contents(tmp_path / "2")


@pytest.mark.realct
@pytest.mark.parametrize("kind", ["compact", "article"])
def test_real_series(tmp_path, ct_data, kind):
    """Compressed slices of two scanners, file names in no order; two folders without labels are not touched."""
    options = ("--labels", str(ct_data / "dicom" / "labels"), "--format", kind)
    assert run(ct_data / "dicom", tmp_path / "out", *options) == 0
    index = store.read_index(tmp_path / "out")
    assert [entry.name for entry in index.series] == ["abdomen_kits136_jpegls", "chest_8mm_jpeg2000"]
    assert [entry.landmarks for entry in index.series] == [4, 3]
    if kind == "article":
        assert [entry.slices for entry in index.series] == [74, 30]
        (femur,) = (
            one for name, one in slices_of(tmp_path / "out", "abdomen_kits136_jpegls").items() if "0055" in name
        )
        assert femur["norm_loc"] == pytest.approx(0.5)
        assert 100 < femur["pixels"][100:150, 60:200].mean() < 230, "tissue"
        return
    found = store.read_series(index.series[0].path)
    assert found.location[0] > 0.5 > found.location[10]
    assert (found.grid.hu[:, 48, 48] > -200).mean() > 0.9

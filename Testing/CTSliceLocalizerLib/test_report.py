"""The report's content, files beside it, size, speed; what a browser does with it is in test_report_browser."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from CTSliceLocalizerLib import report, report_html, report_pictures
from CTSliceLocalizerLib.landmarks import NAMES
from CTSliceLocalizerLib.matching import Match
from CTSliceLocalizerLib.results import Flag, from_json, refusal
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume
from support_report import make_location, make_match, make_pair, make_volume

EVIL = "<script>alert(1)</script>&\"'{{data}}</title>"


class Page(HTMLParser):
    """Text outside scripts, elements in order, and the data of a report."""

    VOID = frozenset({"meta", "link", "img", "input", "br"})

    def __init__(self, path):
        super().__init__()
        self.elements, self.open, self.text, self.scripts = [], [], "", []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        self.data = json.loads(self.scripts[0], parse_constant=pytest.fail)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] != "style":
            self.text += " " + data

    def words(self):
        return " ".join(self.text.split())


@pytest.fixture
def volume():
    return make_volume()


def location_page(tmp_path, volume, location):
    path = tmp_path / "report.html"
    report.write_location_report(path, volume, location)
    return Page(path)


def match_page(tmp_path, *scans, match=None):
    path = tmp_path / "match.html"
    (first, one), (second, other) = scans
    report.write_match_report(path, first, one, second, other, match or make_match(one, other))
    return Page(path)


def decoded(jpeg):
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(jpeg.split(",")[-1]))))


class TestLocationReport:
    def test_says_what_the_scan_covers_and_where_each_landmark_is(self, tmp_path, volume):
        location = make_location(volume)
        page = location_page(tmp_path, volume, location)
        assert page.open == []
        words = page.words()
        assert f"This scan covers {location.coverage.words}" in words
        assert words.count("Research use only, not a medical device") == 2
        assert "No warnings." in words
        outside = [estimate for estimate in location.landmarks if not estimate.inside]
        assert 0 < len(outside) < 12
        assert words.count("not in the scan") == len(outside)
        for estimate in location.landmarks:
            place = "– – not in the scan"
            if estimate.inside:
                place = f"{estimate.z_mm:.1f} ± 4.0 mm inside".replace("-", "−")
            assert f"{estimate.name} {estimate.location:g} {place}" in words
        assert "test-model" in words
        assert "0123456789abcdef" * 4 in words

    def test_only_landmarks_inside_are_drawn(self, tmp_path, volume):
        location = make_location(volume)
        page = location_page(tmp_path, volume, location)
        inside = sum(estimate.inside for estimate in location.landmarks)
        classes = [attrs.get("class") for _, attrs in page.elements]
        assert classes.count("mark") == 2 * inside  # coronal and sagittal
        assert classes.count("tick") == inside
        assert classes.count("point") == inside

    def test_flags_and_refusal_come_before_everything_else(self, tmp_path, volume):
        flags = (Flag("spacing_suspect", "The slice spacing is suspect."),)
        words = location_page(tmp_path, volume, make_location(volume, flags=flags)).words()
        assert words.index("Warning: The slice spacing is suspect. spacing_suspect") < words.index("This scan covers")
        refused = refusal(Flag("not_ct", "This is no CT."), series={"source": "x"}, flags=flags)
        page = location_page(tmp_path, volume, refused)
        words = page.words()
        assert words.index("No result: This is no CT. not_ct") < words.index("Warning:") < words.index("Soft tissue")
        assert words.count("not in the scan") == 12
        assert page.data["scans"][0]["words"] == []
        assert len(page.data["scans"][0]["axial"]) == 40

    def test_data_of_each_slice_is_that_of_the_result(self, tmp_path, volume):
        location = make_location(volume)
        scan = location_page(tmp_path, volume, location).data["scans"][0]
        np.testing.assert_allclose(scan["z"], location.z_mm, atol=1e-3)
        np.testing.assert_allclose(scan["location"], location.location, atol=1e-4)
        np.testing.assert_allclose(scan["sigma"], location.sigma_mm)
        assert scan["files"] == [f"{k + 1}.dcm" for k in range(40)]
        assert scan["index"] == list(range(40))
        below = int(np.argmax(location.z_mm > location.landmark("Aortic arch").z_mm)) - 1
        assert re.fullmatch(r"mid chest, (at|\d mm below) Aortic arch", scan["words"][below])

    def test_nothing_is_fetched_from_anywhere(self, tmp_path, volume):
        page = location_page(tmp_path, volume, make_location(volume))
        for _, attrs in page.elements:
            for key in ("src", "href", "xlink:href", "action"):
                assert (attrs.get(key) or "data:").startswith("data:")
        assert not re.search(r"https?:|//\w+\.\w+/", page.source)
        (policy,) = [attrs["content"] for _, attrs in page.elements if attrs.get("http-equiv")]
        assert policy.startswith("default-src 'none'; img-src data:;")
        digest = base64.b64encode(hashlib.sha256(page.scripts[1].encode()).digest()).decode()
        assert f"script-src 'sha256-{digest}'" in policy

    def test_names_and_flags_cannot_become_markup(self, tmp_path, volume):
        volume = replace(volume, sources=tuple(f"{EVIL}{k}.dcm" for k in range(40)))
        location = make_location(volume, source=EVIL, flags=(Flag(EVIL, EVIL),))
        location = replace(
            location,
            model={"name": EVIL, "sha256": EVIL},
            coverage=replace(location.coverage, words=EVIL),
            series=dict(location.series) | {"modality": EVIL, "PatientName": "Doe^Jane"},
        )
        for page in (
            location_page(tmp_path, volume, location),
            match_page(tmp_path, (volume, location), (volume, location)),
        ):
            assert [tag for tag, _ in page.elements].count("script") == 2
            assert len(page.scripts) == 2
            assert page.words().count("alert(1)") >= 5
            assert page.data["scans"][0]["files"][3] == "title>3.dcm"  # what follows the last slash is the name
            assert "Doe" not in page.source

    def test_folders_above_a_scan_are_not_told(self, tmp_path, volume):
        location = make_location(volume, source="/home/jane/Doe/scan7")
        page = location_page(tmp_path, volume, location)
        assert "scan7" in page.words()
        assert "jane" not in page.source

    def test_says_when_numbers_are_unknown(self, tmp_path, volume):
        location = make_location(volume)
        estimates = tuple(replace(estimate, sigma_mm=float("inf")) for estimate in location.landmarks)
        location = replace(
            location,
            raw=np.full(40, np.nan),
            sigma_mm=np.where(np.arange(40) % 2, np.nan, 3.0),
            landmarks=estimates,
        )
        page = location_page(tmp_path, volume, location)
        assert "± unknown" in page.words()
        assert page.data["scans"][0]["sigma"][:2] == [3.0, None]
        assert "nan" not in re.sub(r"base64,[^\"]*|<script.*?</script>", "", page.source, flags=re.DOTALL).lower()

    def test_refuses_a_result_of_another_scan(self, tmp_path, volume):
        other = make_location(make_volume(count=39))
        with pytest.raises(CTError, match="39 slices, the scan scan 40") as caught:
            report.write_location_report(tmp_path / "report.html", volume, other)
        assert caught.value.code == "bad_result"
        assert not list(tmp_path.iterdir())

    def test_tilted_slices_are_told(self, tmp_path, volume):
        origins = np.array(volume.origins())
        origins[:, 1] += np.linspace(0, 40, len(origins))
        assert "The slices are tilted" not in location_page(tmp_path, volume, make_location(volume)).words()
        volume = replace(volume, slice_origins=origins)
        assert "The slices are tilted" in location_page(tmp_path, volume, make_location(volume)).words()

    @pytest.mark.parametrize(("count", "thickness"), [(1, 5.0), (2, 5.0), (3000, 0.5)])
    def test_any_number_of_slices(self, tmp_path, count, thickness):
        volume = make_volume(count=count, size=24, spacing=(10.0, 10.0, thickness))
        page = location_page(tmp_path, volume, make_location(volume))
        scan = page.data["scans"][0]
        assert len(scan["z"]) == len(scan["words"]) == count
        pictured = count if count < 600 else 600
        assert len(scan["axial"]) == pictured
        assert ("every 5th slice is pictured here (600 of 3000)" in page.words()) == (count == 3000)
        assert ("too thin for a coronal" in page.words()) == (count < 3)


class TestPictures:
    def test_every_slice_is_the_right_one(self, volume):
        pictures = report_pictures.draw(volume)
        assert pictures.slices.tolist() == list(range(40))
        for k, jpeg in enumerate(pictures.axial):
            codes = decoded(jpeg).astype(float)
            middle = codes[codes.shape[0] // 2, codes.shape[1] // 2 - 8 : codes.shape[1] // 2 - 4].mean()
            expected = report_pictures.encode_hu(np.array([20 + (k % 5) * 40]))[0]
            assert abs(middle - expected) < 6  # the next slice is thirteen codes away

    def test_any_storage_order_gives_the_same_pictures(self, volume):
        upside_down = CTVolume(
            volume.array[::-1],
            volume.spacing,
            (*volume.origin[:2], float(volume.superior()[-1])),
            (1.0, 0, 0, 0, 1.0, 0, 0, 0, -1.0),
        )
        plain = report_pictures.draw(volume)
        turned = report_pictures.draw(upside_down.as_axial())
        assert turned.axial == plain.axial
        assert turned.coronal == plain.coronal

    def test_views_have_their_sides_and_their_aspect(self):
        array = np.full((50, 80, 100), -1000, dtype=np.int16)
        array[:, 10:70, 10:90] = 0
        array[35:40, 35:45, 70:80] = 1000  # high, on the patient's left
        array[5:10, 60:65, 45:55] = 1000  # low, at the back
        volume = CTVolume(array, (2.0, 2.0, 5.0), (0.0, 0.0, -300.0))
        pictures = report_pictures.draw(volume)
        for view, width in ((pictures.coronal, 184), (pictures.sagittal, 144)):
            picture = decoded(view.projection)
            assert view.top_mm == pytest.approx(-52.5)
            assert view.bottom_mm == pytest.approx(-302.5)
            assert view.width_mm == pytest.approx(width, abs=1)  # cut to the body and a margin of 12 mm
            assert picture.shape[1] / picture.shape[0] == pytest.approx(view.width_mm / 250, rel=0.02)
        coronal, sagittal = decoded(pictures.coronal.projection), decoded(pictures.sagittal.projection)
        height = coronal.shape[0]
        row, column = np.unravel_index(np.argmax(coronal[: height // 2]), (height // 2, coronal.shape[1]))
        assert row / height == pytest.approx(0.25, abs=0.06)
        assert column > coronal.shape[1] * 0.6
        low = sagittal[height // 2 :].astype(int)
        row, column = np.unravel_index(np.argmax(low), low.shape)
        assert (row + height // 2) / height == pytest.approx(0.85, abs=0.06)
        assert column > sagittal.shape[1] * 0.7

    def test_gaps_between_slices_stay_black(self):
        volume = make_volume(count=30)
        positions = np.concatenate([np.arange(15) * 6.0, 200 + np.arange(15) * 6.0])
        volume = replace(volume, positions=positions)
        view = report_pictures.draw(volume).coronal
        picture = decoded(view.section)
        z = view.top_mm - (np.arange(len(picture)) + 0.5) / len(picture) * (view.top_mm - view.bottom_mm)
        middle = picture[:, picture.shape[1] // 2].astype(int)
        start = volume.superior()[0]
        assert middle[np.abs(z - (start + 142)) < 30].max() < 10
        assert middle[np.abs(z - (start + 40)) < 30].min() > 40

    def test_floats_that_are_no_numbers_do_no_harm(self, volume):
        array = volume.array.astype(np.float32)
        inside = np.s_[24:32, 28:36]
        array[3][inside], array[4][inside], array[5][inside] = np.nan, np.inf, -np.inf
        meant = volume.array.copy()
        meant[3][inside], meant[4][inside], meant[5][inside] = -1024, 1300, -1024
        pictures = report_pictures.draw(volume.with_array(array))
        assert pictures == replace(report_pictures.draw(volume.with_array(meant)), slices=pictures.slices)

    def test_stays_within_its_budget(self):
        rng = np.random.default_rng(1)
        volume = CTVolume(rng.normal(0, 300, (60, 200, 200)).astype(np.int16), (2.0, 2.0, 2.0))
        sizes = {}
        for budget in (3_000_000, 600_000, 100_000, 40_000):
            pictures = report_pictures.draw(volume, budget)
            assert sum(map(len, pictures.axial)) <= budget
            sizes[budget] = len(pictures.axial)
        assert sizes[3_000_000] == 60
        assert 60 > sizes[100_000] > sizes[40_000] >= 1

    def test_a_window_in_the_browser_is_the_window_of_the_scan(self, tmp_path, volume):
        source = location_page(tmp_path, volume, make_location(volume)).source
        hu = np.arange(-1024, 1300)
        for name, _, width, level in report_html.WINDOWS:
            (table,) = re.findall(rf'id="window-{name}".*?<feFuncR type="table" tableValues="([^"]*)"', source)
            grey = np.array(table.split(), dtype=float)[report_pictures.encode_hu(hu)]
            truth = np.clip((hu - (level - width / 2)) / width, 0, 1)
            assert np.abs(grey - truth).max() < (0.006 if name == "soft" else 0.009)


class TestMatchReport:
    @pytest.fixture
    def scans(self):
        return make_pair()

    def test_pairs_and_flags_of_both_are_there(self, tmp_path, scans):
        match = make_match(scans[0][1], scans[1][1], flags=(Flag("little_overlap", "The overlap is small."),))
        page = match_page(tmp_path, *scans, match=match)
        assert page.open == []
        covered = [pair.covered for pair in match.pairs]
        assert any(covered)
        assert not all(covered)
        for pair, told in zip(match.pairs, page.data["pairs"], strict=True):
            assert told == ([pytest.approx(pair.followup_z_mm), 5.0] if pair.covered else [None, None])
        words = page.words()
        assert words.index("Warning (match): The overlap is small.") < words.index("Soft tissue")
        assert words.index("Warning (follow-up): The scan is noisy.") < words.index("Soft tissue")
        assert f"The follow-up covers {sum(covered)} of 40 slices of the baseline" in words
        assert "before" in words
        assert "after" in words
        assert covered[page.data["start"]]
        assert [scan["id"] for scan in page.data["scans"]] == ["baseline", "followup"]
        assert len(page.data["scans"][1]["axial"]) == 30

    def test_landmarks_in_both_are_compared(self, tmp_path, scans):
        words = match_page(tmp_path, *scans).words()
        both = [name for name in NAMES if all(location.landmark(name).inside for _, location in scans)]
        assert both
        first, second = (location.landmark(both[0]).z_mm for _, location in scans)
        told = f"{both[0]} {first:.1f} ± 4.0 mm {second:.1f} ± 4.0 mm".replace("-", "−")
        assert told in words

    def test_refused_match_shows_both_scans_and_the_reason(self, tmp_path, scans):
        match = Match(pairs=(), flags=(), refused=Flag("no_overlap", "The scans share no part of the body."))
        page = match_page(tmp_path, *scans, match=match)
        assert page.words().startswith("before and after: match")
        assert "No result: The scans share no part of the body." in page.words()
        assert page.data["pairs"] == [[None, None]] * 40
        assert page.data["empty"] == "no match"

    def test_refused_scan_is_told_once(self, tmp_path, scans):
        refused = refusal(Flag("not_ct", "This is no CT."), series={"source": "after"})
        match = Match(pairs=(), flags=(), refused=Flag("followup_refused", "The follow-up was refused."))
        words = match_page(tmp_path, scans[0], (scans[1][0], refused), match=match).words()
        assert words.count("No result") == 1
        assert "No result (follow-up): This is no CT." in words

    def test_wants_a_pair_for_each_slice(self, tmp_path, scans):
        match = make_match(scans[0][1], scans[1][1])
        with pytest.raises(CTError, match="3 pairs, the baseline 40 slices"):
            match_page(tmp_path, *scans, match=replace(match, pairs=match.pairs[:3]))


class TestFilesBeside:
    def test_table_has_a_line_for_each_slice(self, volume):
        location = make_location(volume)
        rows = list(csv.DictReader(io.StringIO(report.slices_csv(location))))
        assert list(rows[0]) == ["index", "file", "z_mm", "raw", "location", "sigma", "body_mm", "sigma_mm"]
        assert len(rows) == 40
        assert rows[7]["file"] == "8.dcm"
        np.testing.assert_allclose([float(row["z_mm"]) for row in rows], location.z_mm, atol=1e-3)
        np.testing.assert_allclose([float(row["body_mm"]) for row in rows], location.body_mm, atol=1e-2)
        np.testing.assert_allclose([float(row["location"]) for row in rows], location.location, atol=1e-5)

    def test_markups_load_in_slicer(self, tmp_path, volume):
        slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
        volume = replace(volume, origin=(-100.0, 30.0, -120.0))
        location = make_location(volume)
        path = tmp_path / "landmarks.mrk.json"
        path.write_text(report.landmarks_mrk_json(location, volume))
        scene = slicer.vtkMRMLScene()
        node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
        storage = slicer.vtkMRMLMarkupsFiducialStorageNode()
        storage = slicer.vtkMRMLMarkupsJsonStorageNode()
        scene.AddNode(storage)
        storage.SetFileName(str(path))
        assert storage.ReadData(node)
        inside = [estimate for estimate in location.landmarks if estimate.inside]
        assert node.GetNumberOfControlPoints() == len(inside) > 2
        for n, estimate in enumerate(inside):
            point = [0.0] * 3
            node.GetNthControlPointPosition(n, point)
            centre = (-100 + 4 * 31.5, 30 + 4 * 31.5)
            np.testing.assert_allclose(point, (-centre[0], -centre[1], estimate.z_mm), atol=1e-3)  # RAS
            assert node.GetNthControlPointLabel(n) == estimate.name
            assert node.GetNthControlPointDescription(n) == "+- 4.0 mm"

    def test_markups_follow_slices_that_are_not_straight_above_each_other(self, volume):
        origins = np.array(volume.origins())
        origins[:, 1] += np.linspace(0, 80, len(origins))
        volume = replace(volume, slice_origins=origins)
        location = make_location(volume)
        points = json.loads(report.landmarks_mrk_json(location, volume))["markups"][0]["controlPoints"]
        for point in points:
            x, y, z = point["position"]
            assert x == pytest.approx(0.0)
            assert y == pytest.approx((z - volume.superior()[0]) / np.ptp(volume.superior()) * 80)

    def test_writes_all_and_the_result_last(self, tmp_path, volume, monkeypatch):
        location = make_location(volume)
        folder = tmp_path / "deep" / "scan"
        report.write_all(folder, volume, location)
        assert sorted(path.name for path in folder.iterdir()) == [
            "landmarks.mrk.json",
            "location.json",
            "report.html",
            "slices.csv",
        ]
        again = from_json(json.loads((folder / "location.json").read_text()))
        np.testing.assert_allclose(again.location, location.location, atol=1e-5)

        def broken(*_):
            raise CTError("cannot_write", "The disk is full.")

        monkeypatch.setattr(report, "write_location_report", broken)
        with pytest.raises(CTError, match="disk is full"):
            report.write_all(tmp_path / "other", volume, location)
        assert not (tmp_path / "other" / "location.json").exists()

    def test_writes_all_of_a_refused_scan(self, tmp_path, volume):
        refused = refusal(Flag("not_ct", "This is no CT."), series={"source": "x"})
        report.write_all(tmp_path, volume, refused)
        assert (tmp_path / "slices.csv").read_text().count("\n") == 1
        assert json.loads((tmp_path / "landmarks.mrk.json").read_text())["markups"][0]["controlPoints"] == []


def test_importing_the_report_imports_nothing_heavy():
    code = (
        "import sys, CTSliceLocalizerLib.report; "
        "print([name for name in ('PIL', 'matplotlib', 'scipy', 'SimpleITK', 'tensorflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_large_pair_is_fast_small_and_modest(tmp_path):
    """500 slices of 512 x 512 with noise: below 6 s, a pair below 8 MB, memory far below the scan's own."""
    rng = np.random.default_rng(2)
    small = make_volume(count=100, size=128, spacing=(3.0, 3.0, 8.0))
    array = np.repeat(np.repeat(np.repeat(small.array, 5, axis=0), 4, axis=1), 4, axis=2)
    noise = rng.normal(0, 30, (512, 512)).astype(np.int16)
    for k in range(500):
        array[k] += np.roll(noise, 37 * k)
    volume = CTVolume(array, (0.75, 0.75, 1.6), (-192.0, -192.0, 0.0))
    location = make_location(volume, body_at_bottom=830.0)
    start = time.process_time()
    report.write_location_report(tmp_path / "one.html", volume, location)
    assert time.process_time() - start < 6
    tracemalloc.start()
    path = tmp_path / "two.html"
    report.write_match_report(path, volume, location, volume, location, make_match(location, location))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < array.nbytes / 2
    assert path.stat().st_size <= 8e6

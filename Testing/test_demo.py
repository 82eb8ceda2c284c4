from __future__ import annotations

import json

import demo
import numpy as np
import pytest
import SimpleITK
from CTSliceLocalizerLib import predictor
from CTVolumeLib import dicom
from support_followup import KnownMap
from support_locations import fake_location

TRUTH = json.loads(demo.TRUTH.read_text(encoding="utf-8"))
KNOWN = KnownMap(**TRUTH["parameters"])


@pytest.fixture
def fake_network(monkeypatch):
    """What the network would say, off by 12 mm in the follow-up."""

    def locate(volume, *, engine="auto", model=None, progress=None):
        axial = volume.as_axial()
        z_mm = axial.superior()
        body = 300 - (z_mm if z_mm[-1] < 200 else KNOWN.baseline(z_mm) + 12)
        return fake_location(z_mm, body, sigma_mm=10.0)

    monkeypatch.setattr(predictor, "locate", locate)


def test_demo_finds_the_sample_again_in_its_follow_up(fake_network, tmp_path, capsys):
    assert demo.main(["--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert (tmp_path / "report.html").exists()
    assert "Aortic arch" in said
    line = next(line for line in said.splitlines() if "by a known map" in line)
    median, largest = (float(word) for word in line.replace(",", "").split() if word.replace(".", "").isdigit())
    assert median < 1.5
    assert largest < 6
    assert "Research use only" in said


def test_one_scan_alone_is_located_only(fake_network, tmp_path, capsys):
    assert demo.main(["--out", str(tmp_path), str(demo.BASELINE)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "location.json", "slices.csv", "landmarks.mrk.json", "report.html"
    }  # fmt: skip
    assert "known map" not in capsys.readouterr().out


def test_unreadable_scan_is_said_in_words(tmp_path, capsys):
    assert demo.main(["--out", str(tmp_path), str(tmp_path / "missing")]) == 3
    assert "missing" in capsys.readouterr().err


@pytest.mark.parametrize("path", [demo.BASELINE, demo.FOLLOWUP])
def test_samples_are_small_and_hold_no_text(path):
    assert path.stat().st_size <= 3 * 2**20
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    for key in ("descrip", "aux_file", "intent_name", "db_name"):
        assert not (reader.HasMetaDataKey(key) and reader.GetMetaData(key).strip())


def test_truth_is_the_map_of_the_shipped_follow_up():
    baseline, followup = dicom.read(demo.BASELINE).as_axial(), dicom.read(demo.FOLLOWUP).as_axial()
    z_1, z_2 = baseline.superior(), followup.superior()
    matched = KNOWN.followup(z_1)
    for row, z, expected in zip(TRUTH["pairs"], z_1, matched):
        assert row["baseline_z_mm"] == pytest.approx(z, abs=1e-3)
        if row["followup_z_mm"] is None:
            assert not z_2[0] <= expected <= z_2[-1]
        else:
            assert row["followup_z_mm"] == pytest.approx(expected, abs=1e-3)
    # The lung area is a profile along the body that the in-plane changes hardly touch (scale 0.985, so 3 % in area).
    lung_1, lung_2 = (
        np.mean((volume.array > -950) & (volume.array < -600), axis=(1, 2)) for volume in (baseline, followup)
    )
    inside = (matched > z_2[0] + 10) & (matched < z_2[-1] - 10)
    fit = np.corrcoef(lung_1[inside], np.interp(matched[inside], z_2, lung_2))[0, 1]
    shifted = np.corrcoef(lung_1[inside], np.interp(matched[inside] + 8, z_2, lung_2))[0, 1]
    assert fit > 0.98
    assert fit > shifted

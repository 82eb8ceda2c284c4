"""The sample scans are what their table says."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from CTVolumeLib import samples
from CTVolumeLib.errors import CTError

ROOT = Path(samples.__file__).parents[2]
CREDITS = (ROOT / "Docs" / "Credits.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("sample", samples.SAMPLES, ids=lambda sample: sample.name)
def test_table(sample):
    data = sample.path.read_bytes()
    assert hashlib.sha256(data).hexdigest() == sample.sha256, "the file changed: put its new hash into the table"
    assert len(data) <= 3_000_000
    assert sample.file in CREDITS
    assert "CC BY" in sample.credit
    assert samples.sample(sample.name) is sample


def test_no_other_volumes_are_shipped():
    files = {path.name for path in (ROOT / "CTVolume/Resources/SampleData").glob("*.nii.gz")}
    assert files == {sample.file for sample in samples.SAMPLES}


def test_unknown_and_missing_samples_are_said(monkeypatch, tmp_path):
    with pytest.raises(CTError, match="no sample scan CTLeg") as error:
        samples.sample("CTLeg")
    assert "CTChestSample" in error.value.hint
    monkeypatch.setattr(samples, "_FOLDER", tmp_path)
    with pytest.raises(CTError, match="not part of this installation"):
        samples.sample("CTChestSample")

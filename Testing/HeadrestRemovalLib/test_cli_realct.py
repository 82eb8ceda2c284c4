"""``ct-headrest`` on DICOM as it comes from scanners: the series that it writes against the one that it read."""

from __future__ import annotations

import json

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from CTVolumeLib import commands, dicom
from HeadrestRemovalLib import cli
from support_validation import errors_in

pytestmark = [pytest.mark.realct, pytest.mark.slow]


@pytest.mark.parametrize("name", ["head_tilted_uneven", "chest_8mm_jpeg2000"])
def test_derived_series_is_the_scan_but_for_what_the_labels_say(ct_data, tmp_path, name, capsys):
    source = ct_data / "dicom" / name
    assert cli.main([str(source), "--out", str(tmp_path), "--cleaned", "dicom", "--fill", "-1001"]) == commands.DONE
    folder = tmp_path / name
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "equipment.nii.gz")))
    removed = labels >= 2
    before, after = dicom.read(source), dicom.read(folder / "cleaned")
    assert 0.002 < removed.mean() < 0.6
    np.testing.assert_array_equal(after.array[~removed], before.array[~removed])
    assert set(np.unique(after.array[removed])) == {-1001}
    np.testing.assert_array_equal(after.origins(), before.origins())
    identities = set()
    for old_path, new_path in zip(before.sources, after.sources):
        assert set(errors_in(new_path)) <= set(errors_in(old_path))
        old, new = pydicom.dcmread(old_path), pydicom.dcmread(new_path)
        assert new.StudyInstanceUID == old.StudyInstanceUID
        assert new.SourceImageSequence[0].ReferencedSOPInstanceUID == old.SOPInstanceUID
        assert list(map(str, new.ImagePositionPatient)) == list(map(str, old.ImagePositionPatient))
        identities |= {str(old.PatientName), str(old.PatientID)} - {""}
    told = (folder / "report.json").read_text(encoding="utf-8") + "".join(capsys.readouterr())
    assert json.loads((folder / "report.json").read_text(encoding="utf-8"))["fill"]["hu"] == -1001
    assert identities
    assert not any(identity in told for identity in identities)

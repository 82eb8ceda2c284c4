"""Zips, also broken and hostile ones, are read in place or refused."""

from __future__ import annotations

import zipfile

import numpy as np
from CTVolumeLib import dicom
from support_dicom import body, codes, refusal, series, zipped


class TestZips:
    def test_no_zip_at_all(self, tmp_path):
        path = tmp_path / "scan.zip"
        path.write_bytes(b"PK\x03\x04" + b"nonsense" * 50)
        assert refusal(path).code == "bad_zip"

    def test_cut_off_zip(self, tmp_path):
        series(tmp_path / "scan")
        path = zipped(tmp_path / "scan", tmp_path / "scan.zip")
        path.write_bytes(path.read_bytes()[:-300])
        assert refusal(path).code == "bad_zip"

    def test_one_damaged_member(self, tmp_path):
        hu = series(tmp_path / "scan", body(7))
        path = zipped(tmp_path / "scan", tmp_path / "scan.zip")
        data = bytearray(path.read_bytes())
        with zipfile.ZipFile(path) as archive:
            start = archive.infolist()[1].header_offset + 60
        data[start : start + 200] = b"\xaa" * 200
        path.write_bytes(data)
        volume = dicom.read(path)
        assert volume.array.shape[0] == 6
        assert "files_left_out" in codes(volume)
        assert all((hu == volume.array[k]).all(axis=(1, 2)).any() for k in range(6))

    def test_names_that_climb_out_write_nothing(self, tmp_path):
        series(tmp_path / "scan")
        path = tmp_path / "a" / "b" / "evil.zip"
        path.parent.mkdir(parents=True)
        with zipfile.ZipFile(path, "w") as archive:
            for number, file in enumerate(sorted((tmp_path / "scan").iterdir())):
                archive.write(file, f"../../climbed{number}.dcm")
        before = set(tmp_path.rglob("*"))
        volume = dicom.read(path)
        assert volume.array.shape[0] == 6
        assert set(tmp_path.rglob("*")) == before

    def test_bomb_is_refused(self, tmp_path):
        path = tmp_path / "bomb.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.dcm", "w") as member:
            for _ in range(300):
                member.write(b"\0" * (1 << 20))
        assert refusal(path).code == "zip_too_large"

    def test_volume_file_in_a_zip(self, tmp_path):
        import SimpleITK as sitk

        sitk.WriteImage(sitk.GetImageFromArray(body()), str(tmp_path / "a.mha"))
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(tmp_path / "a.mha", "../deep/a.mha")
        np.testing.assert_array_equal(dicom.read(path).array, body())

"""No name, ID or date of a patient reaches logs, warnings, errors or volumes."""

from __future__ import annotations

import logging
import warnings

import pytest
from CTVolumeLib import dicom
from CTVolumeLib.errors import CTError
from pydicom.uid import JPEGLSLossless
from support_dicom import body, dataset, series, write

CANARY = "CANARY^TWEETY"


MISUSED = [
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "SOPInstanceUID",
    "Modality",
    "ImagePositionPatient",
    "PixelSpacing",
    "Rows",
    "BitsStored",
    "RescaleIntercept",
    "PatientPosition",
    "ImageType",
    "PhotometricInterpretation",
    "SliceThickness",
    "AcquisitionTime",
    "InstanceNumber",
    "SpecificCharacterSet",
    "PatientBirthDate",
    "NumberOfFrames",
]


class TestPrivacy:
    @pytest.fixture
    def overheard(self, caplog, capfd):
        """All that is logged, warned or printed while the test runs, and all texts of errors and volumes."""
        caplog.set_level(logging.DEBUG)
        logging.getLogger("pydicom").setLevel(logging.DEBUG)
        texts = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield texts
            texts += [str(item.message) for item in caught] + [record.getMessage() for record in caplog.records]
        out, err = capfd.readouterr()
        everything = "\n".join([*texts, out, err])
        assert len(everything) > 10
        for part in CANARY.split("^"):
            assert part not in everything

    def _talk(self, path, texts):
        for series_ in dicom.series_in(path):
            texts.append(repr(series_))
        try:
            volume = dicom.read(path)
        except CTError as error:
            texts.append(f"{error!r} {error}")
        else:
            texts.append(repr(dict(volume.meta)))

    def _brand(self, ds, k):
        for keyword in ("PatientName", "PatientID", "AccessionNumber", "StudyDescription", "SeriesDescription",
                        "ImageComments", "InstitutionName", "ReferringPhysicianName", "ProtocolName", "StudyID",
                        "OtherPatientIDs", "PatientComments", "ConvolutionKernel"):  # fmt: skip
            setattr(ds, keyword, CANARY)
        ds.PatientBirthDate = "19700101"

    def test_good_series(self, tmp_path, overheard):
        series(tmp_path, edit=self._brand)
        self._talk(tmp_path, overheard)
        assert "19700101" not in "".join(overheard)

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("keyword", MISUSED)
    def test_name_in_the_wrong_place(self, tmp_path, overheard, keyword):
        def edit(ds, k):
            self._brand(ds, k)
            ds.add_new(keyword, "LO", CANARY)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logging.disable()
            series(tmp_path, edit=edit)
            logging.disable(logging.NOTSET)
        self._talk(tmp_path, overheard)

    @pytest.mark.filterwarnings("ignore")
    def test_name_as_transfer_syntax(self, tmp_path, overheard):
        path = write(dataset(body(1)[0]), tmp_path / "a.dcm")
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", CANARY.encode().ljust(20)))
        self._talk(tmp_path, overheard)

    def test_damaged_files(self, tmp_path, overheard):
        series(tmp_path, body(7), edit=self._brand, compress=JPEGLSLossless)
        for number, path in enumerate(sorted(tmp_path.iterdir())):
            path.write_bytes(path.read_bytes()[: 300 + 150 * number])
        self._talk(tmp_path, overheard)

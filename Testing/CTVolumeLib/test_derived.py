"""Derived DICOM series: kept voxels to the bit, true headers, and what a validator and other readers say."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from CTVolumeLib import derived_header, dicom, phantom, pixels
from CTVolumeLib.derived import DerivedSeries, write_series
from CTVolumeLib.derived_header import Derivation, program_version
from CTVolumeLib.errors import CTError
from CTVolumeLib.phantom_dicom import TRANSFER_SYNTAXES
from CTVolumeLib.volume import CTVolume
from pydicom.dataset import Dataset
from support_dicom import body, dataset, enhanced, series, tilt, zipped
from support_validation import errors_in

DERIVATION = Derivation("Every ninth voxel removed", "with holes", "1.2.3")
SECRET = "SECRET^NAME"


@pytest.fixture(scope="module")
def head() -> CTVolume:
    """The top of a head in coarse voxels."""
    return phantom.make(phantom.PhantomParameters(coverage=(0.0, 0.04), spacing=(5.0, 5.0, 12.0))).volume


def holes(volume: CTVolume) -> np.ndarray:
    """A mask that is the same at every call and in no slice regular."""
    return np.random.default_rng(5).random(volume.array.shape) < 1 / 9


def derive(source: Path, out: Path, fill: float = -1000.0, **options: object) -> tuple[CTVolume, DerivedSeries]:
    """Read a series and write it with holes; gives what was read and what was written."""
    volume = dicom.read(source)
    return volume, write_series(out, volume, holes(volume), fill, DERIVATION, **options)


def check_exact(volume: CTVolume, written: DerivedSeries) -> None:
    """Read back by the project: values, places and order are those of the source, but for the holes."""
    again = dicom.read(written.files[0].parent)
    expected = np.where(holes(volume), np.array(written.fill_hu, volume.array.dtype), volume.array)
    assert again.array.dtype == volume.array.dtype
    np.testing.assert_array_equal(again.array, expected)
    np.testing.assert_array_equal(again.origins(), volume.origins())
    assert (again.spacing, again.direction) == (volume.spacing, volume.direction)
    assert again.sources == tuple(str(path) for path in written.files)
    for key in ("kernel", "slice_thickness", "patient_position", "frame_of_reference_uid"):
        assert again.meta[key] == volume.meta[key]


VARIANTS = {
    **{name: {"transfer_syntax": name} for name in TRANSFER_SYNTAXES},
    "shuffled": {"shuffle": True},
    "frames": {"multi_frame": True, "shuffle": True},
    "frames jpegls": {"multi_frame": True, "transfer_syntax": "jpegls"},
    "display": {"monochrome1": "display"},
    "negative": {"monochrome1": "negative"},
    "signed": {"signed": True},
    "padding": {"padding": -2000},
    "padding negative": {"padding": -2000, "monochrome1": "negative"},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_kept_voxels_are_the_same_to_the_bit_and_the_validator_finds_nothing_new(head, tmp_path, variant):
    paths = phantom.write_dicom(head, tmp_path / "source", **VARIANTS[variant])
    volume, written = derive(tmp_path / "source", tmp_path / "out")
    assert written.fill_hu == -1000
    assert written.notes == ()
    assert len(written.files) == len(volume.array)
    check_exact(volume, written)
    known = set() if variant == "deflated" else set(errors_in(paths[0]))  # the validator can't read deflated files
    for path in written.files[:2]:
        new = [line for line in errors_in(path) if line not in known and "<Laterality>" not in line]
        assert new == []


def test_stored_values_are_those_of_the_source_as_pydicom_reads_them(head, tmp_path):
    phantom.write_dicom(head, tmp_path / "source", transfer_syntax="jpeg2000", padding=-2000)
    volume, written = derive(tmp_path / "source", tmp_path / "out", fill=-990.0)
    for k, (source, path) in enumerate(zip(volume.sources, written.files)):
        old, new, hole = pydicom.dcmread(source), pydicom.dcmread(path), holes(volume)[k]
        np.testing.assert_array_equal(new.pixel_array[~hole], old.pixel_array[~hole])
        assert set(np.unique(new.pixel_array[hole])) == {34}
        assert new.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
        for keyword in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleSlope",
                        "RescaleIntercept", "RescaleType", "PixelPaddingValue", "PhotometricInterpretation",
                        "WindowCenter", "Rows", "Columns"):  # fmt: skip
            assert new[keyword].value == old[keyword].value, keyword


def test_a_volume_that_shows_padding_as_it_is_stored_is_the_same_scan(head, tmp_path):
    """Slicer loads it so."""
    phantom.write_dicom(head, tmp_path / "source", padding=-2000)
    volume, first = derive(tmp_path / "source", tmp_path / "first")
    shown = np.stack([sitk.GetArrayFromImage(sitk.ReadImage(path))[0] for path in volume.sources]).astype(np.int16)
    assert shown.min() < -1500 < volume.array.min()
    second = write_series(tmp_path / "second", volume.with_array(shown), holes(volume), -1000.0, DERIVATION)
    for one, other in zip(first.files, second.files):
        assert np.array_equal(pydicom.dcmread(one).pixel_array, pydicom.dcmread(other).pixel_array)


def test_other_programs_read_the_same_volume(head, tmp_path):
    phantom.write_dicom(head, tmp_path / "source", transfer_syntax="rle", shuffle=True)
    volume, written = derive(tmp_path / "source", tmp_path / "out")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "out"), written.series_uid))
    image = reader.Execute()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), np.where(holes(volume), -1000, volume.array))
    assert image.GetOrigin() == pytest.approx(volume.origin)
    assert image.GetSpacing() == pytest.approx(volume.spacing)
    assert image.GetDirection() == pytest.approx(volume.direction)


PLACES = {
    "tilted": {"orientation": tilt(17.3)},
    "uneven": {"positions": [(-8.0, -6.0, z) for z in (100.0, 101.5, 105.0, 106.0, 111.25, 112.0)]},
    "gap": {"positions": [(-8.0, -6.0, z) for z in (100.0, 102.0, 104.0, 110.0, 112.0, 114.0)]},
    "feet first": {"positions": [(-8.0, -6.0, 200.0 - 2 * k) for k in range(6)]},
    "coronal": {
        "orientation": (1.0, 0.0, 0.0, 0.0, 0.0, -1.0), "positions": [(-8.0, 3.0 + 2 * k, 50.0) for k in range(6)]
    },
    "decubitus": {"orientation": (0.0, -1.0, 0.0, 1.0, 0.0, 0.0)},
    "odd numbers": {"positions": [(-179.658203125, -325.65820313, -344.3 + 1.0 / 3 * k) for k in range(6)]},
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_geometry_is_the_sources_own_words(tmp_path, place):
    options = dict(PLACES[place])
    if place == "tilted":
        options["positions"] = [(-8.0, -6.0 + 0.3 * k, 100.0 + 2 * k) for k in range(6)]
    series(tmp_path / "source", **options)
    volume, written = derive(tmp_path / "source", tmp_path / "out")
    check_exact(volume, written)
    for source, path in zip(volume.sources, written.files):
        old, new = pydicom.dcmread(source), pydicom.dcmread(path)
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
                        "PatientPosition", "FrameOfReferenceUID", "InstanceNumber"):  # fmt: skip
            assert str(new[keyword].value) == str(old[keyword].value), keyword


def test_copies_and_several_acquisitions_of_one_place(tmp_path):
    hu = np.concatenate([body(), body()[::-1]])
    places = [(-8.0, -6.0, 100.0 + 2 * k) for k in range(6)] * 2

    def acquisition(slice_: Dataset, k: int) -> None:
        slice_.AcquisitionNumber = 1 + k // 6

    series(tmp_path / "source", hu, positions=places, edit=acquisition)
    shutil.copy(tmp_path / "source" / "0003.dcm", tmp_path / "source" / "copy.dcm")
    parts = [dicom.read_series(one) for one in dicom.series_in(tmp_path / "source")]
    assert len(parts) == 2
    uids = set()
    for number, volume in enumerate(parts):
        written = write_series(tmp_path / str(number), volume, holes(volume), -1000.0, DERIVATION)
        check_exact(volume, written)
        uids.add(written.series_uid)
        uids |= {pydicom.dcmread(path).SOPInstanceUID for path in written.files}
    assert len(uids) == 2 + 12, "two stacks are two series, though they came as one"


def test_headers_say_what_it_is_and_where_it_is_from(head, tmp_path):
    def add(dataset: Dataset, k: int) -> None:
        dataset.SourceImageSequence = [Dataset()]
        dataset.DerivationDescription = "reconstructed"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"]
        dataset.SmallestImagePixelValue = 3
        block = dataset.private_block(0x0029, "SOMEBODY", create=True)
        block.add_new(0x10, "LO", SECRET)
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "1", "99X", "x"
        item.private_block(0x0029, "SOMEBODY", create=True).add_new(0x10, "LO", SECRET)
        dataset.ProcedureCodeSequence = [item]

    phantom.write_dicom(head, tmp_path / "source", patient_name="DOE^JANE", patient_id="77", edit=add, series_number=8)
    volume, written = derive(tmp_path / "source", tmp_path / "out")
    instances = set()
    for k, (source, path) in enumerate(zip(volume.sources, written.files)):
        old, new = pydicom.dcmread(source), pydicom.dcmread(path)
        assert path.name == f"slice{k + 1:04d}.dcm"
        for keyword in ("PatientName", "PatientID", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyID",
                        "AccessionNumber", "FrameOfReferenceUID", "SOPClassUID", "ConvolutionKernel"):  # fmt: skip
            assert new[keyword].value == old[keyword].value, keyword
        assert new.SOPInstanceUID not in (old.SOPInstanceUID, *instances)
        assert new.file_meta.MediaStorageSOPInstanceUID == new.SOPInstanceUID
        instances.add(new.SOPInstanceUID)
        assert new.SeriesInstanceUID == written.series_uid != old.SeriesInstanceUID
        assert list(new.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
        assert new.SeriesNumber == 1008
        assert new.SeriesDescription == "Phantom, with holes"
        assert new.DerivationDescription == "reconstructed; Every ninth voxel removed"
        (code,) = new.DerivationCodeSequence
        assert (code.CodeValue, code.CodingSchemeDesignator) == ("113047", "DCM")
        (image,) = new.SourceImageSequence
        assert image.ReferencedSOPInstanceUID == old.SOPInstanceUID
        assert image.SpatialLocationsPreserved == "YES"
        (referenced,) = new.ReferencedSeriesSequence
        assert referenced.SeriesInstanceUID == old.SeriesInstanceUID
        assert referenced.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == old.SOPInstanceUID
        assert new.ContributingEquipmentSequence[-1].SoftwareVersions == "1.2.3"
        assert "SmallestImagePixelValue" not in new
        assert not any(element.tag.is_private for element in new.iterall())
        assert SECRET.encode() not in path.read_bytes()


def test_frames_become_single_images_with_their_own_numbers(tmp_path):
    hu = body()
    enhanced(tmp_path / "source" / "all.dcm", hu)
    volume, written = derive(tmp_path / "source", tmp_path / "out")
    check_exact(volume, written)
    old = pydicom.dcmread(volume.sources[0])
    z = [
        float(frame.PlanePositionSequence[0].ImagePositionPatient[2]) for frame in old.PerFrameFunctionalGroupsSequence
    ]
    for path in written.files:
        new = pydicom.dcmread(path)
        (image,) = new.SourceImageSequence
        assert image.ReferencedSOPInstanceUID == old.SOPInstanceUID
        assert z[image.ReferencedFrameNumber - 1] == float(new.ImagePositionPatient[2])
        assert new.SOPClassUID == pydicom.uid.CTImageStorage
        assert new.SeriesNumber == 1000
        assert "PerFrameFunctionalGroupsSequence" not in new


@pytest.mark.parametrize("numbers", [None, [7] * 6, [9, 3, 4, 8, 1, 2]])
def test_every_instance_has_a_number_of_its_own(tmp_path, numbers):
    def number(slice_: Dataset, k: int) -> None:
        slice_.InstanceNumber = None if numbers is None else numbers[k]

    series(tmp_path / "source", edit=number)
    _, written = derive(tmp_path / "source", tmp_path / "out")
    found = [pydicom.dcmread(path).InstanceNumber for path in written.files]
    assert found == (numbers if numbers and len(set(numbers)) > 1 else [1, 2, 3, 4, 5, 6])


def test_same_call_same_bytes_and_anything_else_other_uids(head, tmp_path):
    phantom.write_dicom(head, tmp_path / "source")
    volume, first = derive(tmp_path / "source", tmp_path / "first")
    _, again = derive(tmp_path / "source", tmp_path / "again")
    assert [path.read_bytes() for path in first.files] == [path.read_bytes() for path in again.files]
    mask = holes(volume)
    others = [
        write_series(tmp_path / "fill", volume, mask, -999.0, DERIVATION),
        write_series(tmp_path / "mask", volume, np.roll(mask, 1), -1000.0, DERIVATION),
        write_series(tmp_path / "text", volume, mask, -1000.0, replace(DERIVATION, text="other")),
        write_series(tmp_path / "version", volume, mask, -1000.0, replace(DERIVATION, version="9")),
    ]
    series_uids = {one.series_uid for one in (first, *others)}
    instances = {pydicom.dcmread(path).SOPInstanceUID for one in (first, *others) for path in one.files}
    assert len(series_uids) == 5
    assert len(instances) == 5 * len(volume.array)


def test_nothing_removed_is_a_series_as_well(head, tmp_path):
    phantom.write_dicom(head, tmp_path / "source")
    volume = dicom.read(tmp_path / "source")
    written = write_series(tmp_path / "out", volume, np.zeros(volume.array.shape, bool), -1000.0, DERIVATION)
    np.testing.assert_array_equal(dicom.read(tmp_path / "out").array, volume.array)
    assert written.notes == ()


def test_series_in_a_zip(tmp_path):
    series(tmp_path / "source" / "a" / "b")
    path = zipped(tmp_path / "source", tmp_path / "packed.zip")
    check_exact(*derive(path, tmp_path / "out"))


def test_values_that_can_not_be_stored_are_the_nearest_that_can_and_it_is_said(tmp_path):
    series(tmp_path / "source", intercept=-1024)
    _, written = derive(tmp_path / "source", tmp_path / "out", fill=-1200.0)
    assert written.fill_hu == -1024
    assert [code for code, _ in written.notes] == ["fill_rounded"]

    def slope(slice_: Dataset, _: int) -> None:
        slice_.RescaleSlope, slice_.RescaleIntercept = 1.5, -1024

    series(tmp_path / "sloping", edit=slope)
    volume, written = derive(tmp_path / "sloping", tmp_path / "other", fill=-1000.0)
    assert abs(written.fill_hu + 1000) <= 0.75
    check_exact(volume, written)


def test_what_the_reader_took_the_values_for_is_written_down(tmp_path):
    def lose(slice_: Dataset, _: int) -> None:
        del slice_.RescaleIntercept, slice_.RescaleSlope

    series(tmp_path / "source", edit=lose)
    volume, written = derive(tmp_path / "source", tmp_path / "out")
    assert "no_rescale" in dict(volume.meta["warnings"])
    check_exact(volume, written)
    assert pydicom.dcmread(written.files[0]).RescaleIntercept == -1024


def test_decoders_that_give_wider_numbers(head, tmp_path, monkeypatch):
    """As for lossless JPEG, which SimpleITK decodes and rescales."""
    monkeypatch.setattr(pixels, "_decoder", lambda _: None)
    phantom.write_dicom(head, tmp_path / "source", transfer_syntax="rle")
    volume, written = derive(tmp_path / "source", tmp_path / "out")
    check_exact(volume, written)
    new = pydicom.dcmread(written.files[0])
    assert (new.BitsAllocated, new.pixel_array.dtype) == (16, np.uint16)


def test_floating_point_numbers_are_refused(tmp_path):
    def floats(slice_: Dataset, _: int) -> None:
        slice_.FloatPixelData = (slice_.pixel_array.astype(np.float32) + 0.5).tobytes()
        slice_.BitsAllocated = 32
        del slice_.PixelData

    series(tmp_path / "source", edit=floats)
    volume = dicom.read(tmp_path / "source")
    assert "floating-point" in assert_refused("no_dicom_source", tmp_path / "out", volume).message


def test_frames_of_one_place_can_not_be_told_apart_and_it_is_said(tmp_path):
    def double(whole: Dataset) -> None:
        for groups in whole.PerFrameFunctionalGroupsSequence:
            content = Dataset()
            place = groups.PlanePositionSequence[0]
            content.TemporalPositionIndex = 1 + int(place.ImagePositionPatient[2] >= 106)
            groups.FrameContentSequence = [content]
            place.ImagePositionPatient[2] = 100 + (place.ImagePositionPatient[2] - 100) % 6

    enhanced(tmp_path / "source" / "all.dcm", body(), edit=double)
    one = dicom.series_in(tmp_path / "source")[0]
    volume = dicom.read_series(one)
    assert "several frames of one place" in assert_refused("no_dicom_source", tmp_path / "out", volume).message


def test_bits_above_the_values_and_the_overlay_in_them_are_not_written(tmp_path):
    def overlay(slice_: Dataset, _: int) -> None:
        stored = slice_.pixel_array | np.uint16(1 << 12)
        slice_.PixelData = stored.tobytes()
        slice_.add_new(0x60000010, "US", 16)
        slice_.add_new(0x60000102, "US", 12)

    series(tmp_path / "source", edit=overlay)
    volume, written = derive(tmp_path / "source", tmp_path / "out")
    check_exact(volume, written)
    new = pydicom.dcmread(written.files[0])
    assert new.pixel_array.max() < 4096
    assert (0x6000, 0x0010) not in new


def test_damaged_elements_are_left_out_and_counted(tmp_path):
    def width(slice_: Dataset, _: int) -> None:
        slice_.SingleCollimationWidth = 0.5

    series(tmp_path / "source", edit=width)
    path = next((tmp_path / "source").iterdir())
    head = b"\x18\x00\x06\x93FD"
    whole, half = head + b"\x08\x00" + np.float64(0.5).tobytes(), head + b"\x04\x00" + bytes(4)
    data = path.read_bytes()
    assert whole in data
    path.write_bytes(data.replace(whole, half))
    volume, written = derive(tmp_path / "source", tmp_path / "out")
    check_exact(volume, written)
    (note,) = written.notes
    assert note[0] == "elements_left_out"
    assert note[1].startswith("1 element ")


def test_what_the_reader_understood_is_written_where_the_element_is_damaged(tmp_path):
    series(tmp_path / "source")
    path = next((tmp_path / "source").iterdir())
    data = path.read_bytes()
    for good, bad in ((b"\x28\x00\x04\x00CS", b"\x28\x00\x04\x00CZ"), (b"\x28\x00\x01\x01US", b"\x28\x00\x01\x01UZ")):
        assert good in data
        data = data.replace(good, bad)
    path.write_bytes(data)
    volume, written = derive(tmp_path / "source", tmp_path / "out")
    assert len(written.files) == 6
    check_exact(volume, written)
    for file in written.files:
        header = pydicom.dcmread(file)
        assert (header.PhotometricInterpretation, header.BitsStored) == ("MONOCHROME2", 12)


@pytest.mark.parametrize("variant", ["explicit", "implicit", "frames"])
def test_damaged_headers_give_the_same_scan_or_a_refusal(tmp_path, variant):
    rng = np.random.default_rng(3)
    good = phantom.make(phantom.PhantomParameters(coverage=(0.0, 0.02), spacing=(12.0, 12.0, 10.0))).volume
    paths = phantom.write_dicom(good, tmp_path / "source", **VARIANTS[variant])
    whole = [path.read_bytes() for path in paths]
    fine = 0
    for number in range(25):
        for path, data in zip(paths, whole):
            damaged = bytearray(data)
            for place in rng.integers(132, min(len(data), 1800), rng.choice([1, 3, 12])):
                damaged[place] = rng.integers(256)
            path.write_bytes(damaged)
        try:
            volume, written = derive(tmp_path / "source", tmp_path / str(number))
        except CTError:
            continue
        if any(code == "fill_rounded" for code, _ in written.notes):  # an intercept of one slice alone was hit
            continue
        again = dicom.read(tmp_path / str(number))
        np.testing.assert_array_equal(again.array, np.where(holes(volume), written.fill_hu, volume.array))
        np.testing.assert_array_equal(again.origins(), volume.origins())
        fine += 1
    assert fine >= 10


def test_elements_that_can_not_be_written_are_left_out(tmp_path):
    slice_ = dataset(body()[0])
    del slice_.PixelData
    slice_.KVP = "120"
    slice_.PatientAge = "040Y"
    slice_["PatientAge"]._value = object()
    assert derived_header.save(slice_, np.zeros((16, 20), np.uint16), tmp_path / "a.dcm") == 1
    again = pydicom.dcmread(tmp_path / "a.dcm")
    assert "PatientAge" not in again
    assert again.KVP == 120
    assert again.pixel_array.shape == (16, 20)


def test_names_keep_their_bytes_even_in_another_alphabet_than_the_header_says(tmp_path):
    def name(slice_: Dataset, _: int) -> None:
        slice_.SpecificCharacterSet = "ISO_IR 192"
        slice_.PatientName = "MUXLLER^A"

    series(tmp_path / "source", edit=name)
    for path in (tmp_path / "source").iterdir():
        path.write_bytes(path.read_bytes().replace(b"MUXLLER", b"MU\xdcLLER"))  # ISO_IR 100, not UTF-8
    _, written = derive(tmp_path / "source", tmp_path / "out")
    for path in written.files:
        assert b"MU\xdcLLER^A" in path.read_bytes()


def test_lossy_source_is_still_called_lossy(tmp_path):
    series(tmp_path / "source", compress=pydicom.uid.JPEGLSNearLossless)
    volume, written = derive(tmp_path / "source", tmp_path / "out")
    check_exact(volume, written)
    new = pydicom.dcmread(written.files[0])
    assert (new.LossyImageCompression, new.LossyImageCompressionMethod) == ("01", "ISO_14495_1")


def assert_refused(
    code: str, out: Path, volume: CTVolume, mask: np.ndarray | None = None, **options: object
) -> CTError:
    before = sorted(out.parent.iterdir())
    with pytest.raises(CTError) as caught:
        write_series(out, volume, holes(volume) if mask is None else mask, -1000.0, DERIVATION, **options)
    assert caught.value.code == code
    assert caught.value.message.endswith(".")
    assert caught.value.hint or code == "cancelled"
    assert sorted(out.parent.iterdir()) == before
    return caught.value


def test_without_its_own_dicom_source_nothing_is_written(head, tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(head.array), str(tmp_path / "head.nii.gz"))
    series(tmp_path / "source")
    volume = dicom.read(tmp_path / "source")
    out = tmp_path / "out"
    assert "head.nii.gz" in assert_refused("no_dicom_source", out, dicom.read(tmp_path / "head.nii.gz")).message
    assert_refused("no_dicom_source", out, head)
    assert_refused("no_dicom_source", out, volume.crop(j=slice(2, None)))
    assert_refused("source_changed", out, volume.with_array(volume.array[:, ::-1]))
    assert_refused("bad_labels", out, volume, np.zeros((2, 2, 2), bool))


def test_files_that_changed_since_are_noticed(tmp_path):
    series(tmp_path / "source")
    volume = dicom.read(tmp_path / "source")
    other = pydicom.dcmread(volume.sources[4])
    other.PixelData = bytes(len(other.PixelData))
    other.save_as(volume.sources[4])
    assert Path(volume.sources[4]).name in assert_refused("source_changed", tmp_path / "out", volume).message
    Path(volume.sources[4]).unlink()
    assert_refused("source_changed", tmp_path / "out", volume)
    shutil.rmtree(tmp_path / "source")
    assert_refused("source_changed", tmp_path / "out", volume)


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    series(tmp_path / "source")
    volume = dicom.read(tmp_path / "source")
    out = tmp_path / "out"
    out.mkdir()
    derive(tmp_path / "source", out)
    files = {path.name: path.read_bytes() for path in out.iterdir()}
    assert_refused("cannot_write", out, volume)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == files
    (tmp_path / "file").write_text("x")
    with pytest.raises(CTError, match="could not be written"):
        write_series(tmp_path / "file" / "out", volume, holes(volume), -1000.0, DERIVATION)


@pytest.mark.parametrize("when", [0, 3])
def test_full_disk_and_cancel_leave_nothing(tmp_path, monkeypatch, when):
    series(tmp_path / "source")
    volume = dicom.read(tmp_path / "source")
    seen = []

    def cancel(done: int, total: int, _: str) -> bool:
        seen.append((done, total))
        return done <= when

    assert_refused("cancelled", tmp_path / "out", volume, progress=cancel)
    assert seen == [(number + 1, 6) for number in range(when + 1)]
    count = iter(range(100))

    write = Path.write_bytes

    def full(path: Path, data: bytes) -> None:
        if next(count) == when:
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert "No space left" in assert_refused("cannot_write", tmp_path / "out", volume).message


def test_no_name_reaches_messages_logs_or_file_names(head, tmp_path, caplog, capfd):
    caplog.set_level("DEBUG")
    phantom.write_dicom(head, tmp_path / "source", patient_name=SECRET, patient_id=SECRET)
    _, written = derive(tmp_path / "source", tmp_path / "out")
    said = " ".join([caplog.text, *capfd.readouterr(), *(path.name for path in written.files), repr(written)])
    assert "SECRET" not in said
    assert str(pydicom.dcmread(written.files[0]).PatientName) == SECRET, "the series stays the patient's"


def test_version_is_that_of_the_program():
    assert program_version()[0].isdigit()


@pytest.mark.realct
@pytest.mark.slow
@pytest.mark.parametrize(
    "folder", ["abdomen_kits136_jpegls", "chest_8mm_jpeg2000", "head_tilted_uneven", "head_phantom_messy"]
)
def test_real_series(ct_data, tmp_path, folder):
    for number, one in enumerate(dicom.series_in(ct_data / "dicom" / folder)):
        if one.unusable is not None:
            continue
        volume = dicom.read_series(one)
        written = write_series(tmp_path / str(number), volume, holes(volume), -1000.0, DERIVATION)
        check_exact(volume, written)
        for k in (0, len(volume.array) // 2):
            assert set(errors_in(written.files[k])) <= set(errors_in(volume.sources[k]))

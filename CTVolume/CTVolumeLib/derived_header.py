"""Headers of derived images: what of the source stays, what is new, and what would no longer be true.

Patient, study, equipment, acquisition and geometry stay as they are: it is the same study of the same person. New are
the UIDs, the image type, the words about the derivation and the references to the source (DICOM PS3.3, C.7.6.1 General
Image, C.12.4 Derivation Image, C.12.2 Common Instance Reference). Private elements go: nobody but the vendor knows
whether they still hold, and they may repeat a name.
"""

from __future__ import annotations

import importlib.metadata
import io
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from .errors import CTError
from .headers import SliceHeader
from .sources import Files, Source

MAKER = "CTSliceLocalizer"

PIXEL_MASK = ("113047", "DCM", "Pixel by pixel mask")
"""Of the standard's image derivations (PS3.16, CID 7203) the one that means: voxels were blanked out by a mask."""

_SOURCE_IMAGE = ("121322", "DCM", "Source image for image processing operation")
_MODIFIED_BY = ("109103", "DCM", "Modifying Equipment")

_NO_LONGER_TRUE = (
    "SmallestImagePixelValue", "LargestImagePixelValue", "SmallestPixelValueInSeries", "LargestPixelValueInSeries",
    "IconImageSequence", "HistogramSequence", "DigitalSignaturesSequence", "MACParametersSequence",
    "EncryptedAttributesSequence", "DataSetTrailingPadding", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
    "InstanceCreationDate", "InstanceCreationTime", "InstanceCreatorUID", "InstanceAvailability", "RetrieveAETitle",
    "RetrieveURL", "StorageMediaFileSetID", "StorageMediaFileSetUID", "NumberOfSeriesRelatedInstances",
    "SourceImageSequence", "ReferencedSeriesSequence", "SourceImageEvidenceSequence", "PixelData",
)  # fmt: skip

_MULTI_FRAME = (
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "NumberOfFrames", "FrameIncrementPointer",
    "DimensionIndexSequence", "DimensionOrganizationSequence", "DimensionOrganizationType", "ConcatenationUID",
    "SOPInstanceUIDOfConcatenationSource", "InConcatenationNumber", "InConcatenationTotalNumber",
    "ConcatenationFrameOffsetNumber", "RepresentativeFrameNumber",
)  # fmt: skip

_NOT_OF_THE_PICTURE = {"FrameContentSequence", "DerivationImageSequence", "ReferencedImageSequence"}
"""Functional groups that say nothing of a single CT image; FrameType and the like are left out by their own names."""

_ENHANCED_ONLY = ("FrameType", "PixelPresentation", "VolumetricProperties", "VolumeBasedCalculationTechnique")

_LOSSY = {
    "1.2.840.10008.1.2.4.50": "ISO_10918_1",
    "1.2.840.10008.1.2.4.51": "ISO_10918_1",
    "1.2.840.10008.1.2.4.81": "ISO_14495_1",
}
"""Transfer syntaxes that are always lossy, and the method that PS3.3 C.7.6.1.1.5.1 calls them."""


@dataclass(frozen=True)
class Derivation:
    """What is said of a derived series.

    Attributes:
        text: what was done, for people; DerivationDescription.
        suffix: what is put behind the SeriesDescription of the source, such as "without equipment".
        version: of the program.
        code: what was done as value, scheme and meaning, of PS3.16, CID 7203.
        series_step: what is added to the SeriesNumber of the source.
    """

    text: str
    suffix: str
    version: str
    code: tuple[str, str, str] = PIXEL_MASK
    series_step: int = 1000


def program_version() -> str:
    """Version of the program as it is installed; inside Slicer, where it is no Python distribution, "unknown"."""
    try:
        return importlib.metadata.version(MAKER)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def read(source: Source, files: Files) -> tuple[Dataset, int]:
    """The header of a file of the source without what is private or no longer true, and how much was unreadable.

    To be called within ``quiet_libraries``.

    Raises:
        CTError: the file can't be read.
    """
    try:
        dataset = dcmread(io.BytesIO(files.read(source)), stop_before_pixels=True, force=True)
    except Exception as error:
        text = f"The header of {source.name} could not be read again."
        raise CTError("source_changed", text, "Read the scan again and repeat what you did.") from error
    lost = _without_private(dataset)
    for keyword in _NO_LONGER_TRUE:
        if keyword in dataset:
            del dataset[keyword]
    _without_overlays_in_pixels(dataset)
    return dataset, lost


def derive(template: Dataset, header: SliceHeader, derivation: Derivation) -> Dataset:
    """The header of one derived slice; UIDs of series and instance are the caller's.

    Args:
        template: as ``read`` gives it; not changed.
        header: of the slice in the source.
        derivation: what is said of it.
    """
    dataset = Dataset()
    # Copies: to set a value that is there changes the element, which the template would share.
    dataset.update({tag: copy(template.get_item(tag)) for tag in template.keys()})  # noqa: SIM118 (elements else)
    dataset.set_original_encoding(*template.original_encoding, template.original_character_set)
    if "PerFrameFunctionalGroupsSequence" in dataset:
        _single_frame(dataset, header)
    _restore(dataset, header)
    _refer(dataset, template, header)
    words = _text(dataset, "DerivationDescription")
    dataset.DerivationDescription = f"{words}; {derivation.text}"[-1024:] if words else derivation.text[:1024]
    dataset.DerivationCodeSequence = [*_items(dataset, "DerivationCodeSequence"), _coded(derivation.code)]
    dataset.ImageType = _image_type(header, "PerFrameFunctionalGroupsSequence" in template)
    description = _text(dataset, "SeriesDescription") or "CT"
    dataset.SeriesDescription = f"{description[: 62 - len(derivation.suffix)].strip()}, {derivation.suffix}"
    number = (_integer(dataset, "SeriesNumber") or 0) + derivation.series_step
    dataset.SeriesNumber = number if number < 1 << 31 else derivation.series_step
    maker = Dataset()
    maker.PurposeOfReferenceCodeSequence = [_coded(_MODIFIED_BY)]
    maker.Manufacturer, maker.ManufacturerModelName = MAKER, MAKER
    maker.SoftwareVersions, maker.ContributionDescription = derivation.version, derivation.text[:1024]
    dataset.ContributingEquipmentSequence = [*_items(dataset, "ContributingEquipmentSequence"), maker]
    _remember_losses(dataset, header)
    return dataset


def save(dataset: Dataset, stored: np.ndarray, path: Path) -> int:
    """Write a slice, uncompressed, explicit and little endian; returns how many elements could not be written.

    Args:
        dataset: its header.
        stored: (j, i) integers as the header describes them.
        path: of the file.

    Raises:
        OSError: the file can't be written.
        CTError: the header can't be written.
    """
    dataset.PixelData = stored.astype(stored.dtype.newbyteorder("<"), copy=False).tobytes()
    if stored.nbytes % 2:
        dataset.PixelData += b"\0"
    dataset["PixelData"].VR = "OW" if stored.dtype.itemsize > 1 else "OB"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    lost = 0
    try:
        data = _bytes_of(dataset, meta)
    except Exception:  # values that break their own rules; each such element is found and left out
        lost = _without_unwritable(dataset)
        try:
            data = _bytes_of(dataset, meta)
        except Exception as error:
            text = f"The header of {path.name} could not be written: it is damaged in its source."
            raise CTError("bad_header", text, "Write NRRD or NIfTI instead.") from error
    path.write_bytes(data)  # not by a rename: the whole folder gets its name when all is written
    return lost


def _bytes_of(dataset: Dataset, meta: FileMetaDataset) -> bytes:
    file = FileDataset(None, dataset, preamble=b"\0" * 128, file_meta=meta)
    file.set_original_encoding(*dataset.original_encoding, dataset.original_character_set)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, file, enforce_file_format=True)
    return buffer.getvalue()


def _without_private(dataset: Dataset) -> int:
    """Take out private elements at all depths, group lengths, and what can't be decoded; returns how many of these."""
    lost = 0
    for tag in list(dataset.keys()):
        if tag.is_private or tag.element == 0:
            del dataset[tag]
            continue
        try:
            raw = dataset.get_item(tag)
            element = dataset[tag]
        except Exception:  # a damaged value can make pydicom raise anything
            del dataset[tag]
            lost += 1
            continue
        if element.VR == "SQ":
            lost += sum(_without_private(item) for item in element.value)
        else:
            dataset[tag] = raw  # its own bytes: text in another alphabet than the header says would not survive
    return lost


def _without_overlays_in_pixels(dataset: Dataset) -> None:
    """Overlays that lie in unused bits of the pixels (retired) are not written; those with data of their own stay."""
    for group in range(0x6000, 0x6100, 2):
        if (group, 0x0010) in dataset and (group, 0x3000) not in dataset:
            for tag in [tag for tag in dataset.keys() if tag.group == group]:  # noqa: SIM118
                del dataset[tag]


def _without_unwritable(dataset: Dataset) -> int:
    lost = 0
    for tag in list(dataset.keys()):
        one = Dataset()
        for needed in ("SpecificCharacterSet", "PixelRepresentation"):
            if needed in dataset:
                one[needed] = dataset[needed]
        try:
            one[tag] = dataset[tag]
            pydicom.dcmwrite(io.BytesIO(), one, implicit_vr=False, little_endian=True)
        except Exception:
            del dataset[tag]
            lost += 1
    return lost


def _single_frame(dataset: Dataset, header: SliceHeader) -> None:
    """Turn the header of an enhanced multi-frame image into that of one CT image (PS3.3, A.3)."""
    groups = _items(dataset, "SharedFunctionalGroupsSequence")[:1]
    groups += _items(dataset, "PerFrameFunctionalGroupsSequence")[header.frame : header.frame + 1]
    for group in groups:
        for sequence in group:
            if sequence.VR != "SQ" or sequence.keyword in _NOT_OF_THE_PICTURE or not sequence.value:
                continue
            for element in sequence.value[0]:
                if element.VR != "SQ":
                    dataset[element.tag] = copy(element)
    for keyword in (*_MULTI_FRAME, *_ENHANCED_ONLY):
        if keyword in dataset:
            del dataset[keyword]
    dataset.SOPClassUID = CTImageStorage
    for keyword in ("KVP", "AcquisitionNumber", "PositionReferenceIndicator"):  # a single image must have them
        if keyword not in dataset:
            setattr(dataset, keyword, None)


def _restore(dataset: Dataset, header: SliceHeader) -> None:
    """Write what the reader understood of elements that were damaged and so left out."""
    pixels = header.pixels
    place = {
        "ImagePositionPatient": header.position, "ImageOrientationPatient": header.orientation,
        "PixelSpacing": header.spacing, "SliceThickness": header.thickness, "RescaleSlope": header.slope,
        "RescaleIntercept": header.intercept,
    }  # fmt: skip
    understood = {
        "SOPClassUID": CTImageStorage, "Modality": header.modality, "SamplesPerPixel": 1,
        "PhotometricInterpretation": pixels.photometric or "MONOCHROME2", "BitsAllocated": pixels.allocated,
        "BitsStored": pixels.stored, "HighBit": pixels.stored - 1, "PixelRepresentation": int(pixels.signed),
        **{keyword: _decimals(value) for keyword, value in place.items() if value is not None},
    }  # fmt: skip
    for keyword, value in understood.items():
        if keyword not in dataset or dataset[keyword].is_empty:
            setattr(dataset, keyword, value)


def _decimals(value: float | tuple[float, ...]) -> str | list[str]:
    """Decimal strings of at most 16 characters."""
    if isinstance(value, tuple):
        return [_decimals(one) for one in value]
    return f"{value:.10g}"[:16]


def _refer(dataset: Dataset, template: Dataset, header: SliceHeader) -> None:
    """Name the source, slice by slice."""
    if not header.sop_uid:
        return
    image, instance, series = Dataset(), Dataset(), Dataset()
    kind = template.get("SOPClassUID") or CTImageStorage
    for reference in (image, instance):
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = kind, header.sop_uid
    if "PerFrameFunctionalGroupsSequence" in template:
        image.ReferencedFrameNumber = header.frame + 1
    image.PurposeOfReferenceCodeSequence = [_coded(_SOURCE_IMAGE)]
    image.SpatialLocationsPreserved = "YES"
    dataset.SourceImageSequence = [image]
    if header.series_uid:
        series.SeriesInstanceUID = header.series_uid
        series.ReferencedInstanceSequence = [instance]
        dataset.ReferencedSeriesSequence = [series]


def _image_type(header: SliceHeader, enhanced: bool) -> list[str]:
    third = header.image_type[2:3] if not enhanced else ()
    return ["DERIVED", "SECONDARY", *(third or ("AXIAL",))]


def _remember_losses(dataset: Dataset, header: SliceHeader) -> None:
    """Pixels that were compressed with losses stay so when they are written uncompressed."""
    kind = header.pixels.transfer_syntax
    if kind not in _LOSSY or _text(dataset, "LossyImageCompression") == "01":
        return
    raw = header.pixels.rows * header.pixels.columns * header.pixels.allocated // 8 * header.pixels.frames
    dataset.LossyImageCompression = "01"
    dataset.LossyImageCompressionRatio = f"{raw / max(header.pixels.length, 1):.4g}"
    dataset.LossyImageCompressionMethod = _LOSSY[kind]


def _coded(code: tuple[str, str, str]) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    return list(dataset.get(keyword) or [])


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip()


def _integer(dataset: Dataset, keyword: str) -> int | None:
    try:
        return int(dataset.get(keyword))
    except (TypeError, ValueError):
        return None

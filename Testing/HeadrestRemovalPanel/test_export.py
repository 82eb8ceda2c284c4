"""Save as DICOM: the cleaned scan as a series of the same study, of scans that came from the DICOM database."""

from __future__ import annotations

import numpy as np
import pytest
from support_headrest_panel import answer, equipment_of, voxels
from support_segment_panel import apply, at_step


@pytest.fixture
def truth(patient):
    return equipment_of(patient)


@pytest.fixture
def loaded(slicer_app, panel, patient, truth, monkeypatch, tmp_path):
    """The patient as a node that was loaded from the database, with what Apply made of it."""
    import slicer
    from CTVolumeLib import phantom_dicom
    from DICOMLib import DICOMUtils

    phantom_dicom.write_dicom(patient.volume, tmp_path / "source", description="Head 1.0")
    DICOMUtils.importDicom(str(tmp_path / "source"))
    (name,) = DICOMUtils.loadSeriesByUID(DICOMUtils.allSeriesUIDsInDatabase())
    node = slicer.mrmlScene.GetNodeByID(name)
    turned = patient.volume.superior()[0] > patient.volume.superior()[-1]  # nodes go from the feet up
    answer(monkeypatch, truth[::-1] if turned else truth)
    apply(slicer_app, panel, node)
    return node


def written(folder):
    from CTVolumeLib import dicom

    (made,) = folder.iterdir()
    return made, dicom.read(made)


def test_the_series_holds_what_the_cleaned_scan_shows(slicer_app, panel, loaded, tmp_path):
    import pydicom

    (tmp_path / "out").mkdir()
    slicer_app.answer(str(tmp_path / "out"))
    slicer_app.click(panel.ui.exportButton)
    folder, volume = written(tmp_path / "out")
    assert np.array_equal(volume.array, voxels(panel.logic.cleaned(loaded)))
    header = pydicom.dcmread(next(folder.iterdir()), stop_before_pixels=True)
    source = pydicom.dcmread(next((tmp_path / "source").iterdir()), stop_before_pixels=True)
    assert header.ImageType[0] == "DERIVED"
    assert header.StudyInstanceUID == source.StudyInstanceUID
    assert header.SeriesInstanceUID != source.SeriesInstanceUID
    assert "by method clustering;" in header.DerivationDescription
    text = panel.ui.exportLabel.text
    assert f"{len(volume.array)} slices were written to" in text
    assert folder.name in text
    assert not panel.ui.messageLabel.isVisible()
    slicer_app.answer(str(tmp_path / "out"))
    slicer_app.click(panel.ui.exportButton)
    assert "exists already" in panel.ui.messageLabel.text
    assert not panel.ui.exportLabel.isVisible()


def test_segments_and_value_are_those_of_now(slicer_app, panel, loaded, tmp_path):
    import pydicom
    import slicer

    segmentation = panel.widget.parameterNode.outputSegmentation
    identifier = segmentation.GetSegmentation().GetNthSegmentID(0)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, identifier, loaded)
    array[: len(array) // 2] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, segmentation, identifier, loaded)
    series = panel.logic.exportDicom(loaded, segmentation, tmp_path / "out", fill=-500)
    _, volume = written(tmp_path / "out")
    labels = panel.logic.labels(loaded, segmentation)
    assert (volume.array[labels > 0] == -500).all()
    assert np.array_equal(volume.array[labels == 0], voxels(loaded)[labels == 0])
    assert "clustering, edited by hand" in pydicom.dcmread(series.files[0]).DerivationDescription


@pytest.mark.parametrize("answered", [False, True])
def test_who_cancels_has_no_series(slicer_app, panel, loaded, tmp_path, answered):
    (tmp_path / "out").mkdir()
    slicer_app.answer(str(tmp_path / "out") if answered else "")
    at_step(panel, 3, lambda: slicer_app.click(panel.ui.cancelButton))
    slicer_app.click(panel.ui.exportButton)
    assert list((tmp_path / "out").iterdir()) == []
    assert not panel.ui.exportLabel.isVisible()
    assert ("Cancelled" in panel.ui.messageLabel.text) == answered
    assert panel.ui.exportButton.isEnabled()


def test_a_scan_that_is_not_from_dicom_files_is_told(slicer_app, panel, volume, truth, monkeypatch, tmp_path):
    answer(monkeypatch, truth)
    apply(slicer_app, panel, volume)
    slicer_app.answer(str(tmp_path))
    slicer_app.click(panel.ui.exportButton)
    assert "was not read from DICOM files" in panel.ui.messageLabel.text
    assert list(tmp_path.iterdir()) == []


def test_a_scan_that_was_edited_is_told(slicer_app, panel, loaded, tmp_path):
    (tmp_path / "out").mkdir()
    voxels(loaded)[3, 20, 20] += 40
    loaded.Modified()
    slicer_app.answer(str(tmp_path / "out"))
    slicer_app.click(panel.ui.exportButton)
    assert "no longer holds" in panel.ui.messageLabel.text
    assert list((tmp_path / "out").iterdir()) == []

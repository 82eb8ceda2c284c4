"""Real scans: of organs that others outlined not a voxel goes; tables and holders do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from CTVolumeLib import volumefile
from HeadrestRemovalLib import cluster
from HeadrestRemovalLib.labels import HEADREST, PATIENT, TABLE
from scipy import ndimage

SCANS = {
    "ch01": ("lung", "airway", "solid"),
    "ch13": ("lung", "airway"),
    "ch14": ("lung", "airway", "solid"),
    "ch17": ("lung", "airway"),
    "ab05": ("lung", "liver", "hips", "femurs", "vertebrae"),
    "ga02": ("liver", "bone", "skin"),
    "wb01": ("lung", "airway"),
}


def labels_of(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray, float]:
    volume = volumefile.read(folder / "vol" / f"{name}.nii.gz")
    return volume.array, cluster.label(volume).labels, float(np.prod(volume.spacing) / 1000)


@pytest.mark.realct
@pytest.mark.slow
@pytest.mark.parametrize("name", SCANS)
def test_no_voxel_of_an_organ_is_taken(ct_data, name):
    _, labels, _ = labels_of(ct_data, name)
    for organ in SCANS[name]:
        mask = sitk.GetArrayFromImage(sitk.ReadImage(str(ct_data / "mask" / f"{name}_{organ}.nii.gz"))) > 0
        assert mask.any()
        assert np.count_nonzero(mask & (labels > PATIENT)) == 0, organ


@pytest.mark.realct
def test_a_lung_that_the_field_of_view_cuts_is_patient(ct_data):
    hu, labels, millilitres = labels_of(ct_data, "ch05")
    rows = np.arange(hu.shape[1])[None, :, None]
    lung = (hu > -950) & (hu < -700) & (rows < 120)  # the table lies further back
    assert np.count_nonzero(lung & (labels == PATIENT)) * millilitres > 700
    assert np.count_nonzero((labels == TABLE) & (rows < 100)) * millilitres < 5


@pytest.mark.realct
@pytest.mark.parametrize("name", ["ch01", "ch13", "ch19"])
def test_pictures_of_the_heart_alone_keep_their_lungs(ct_data, name):
    volume = volumefile.read(ct_data / "vol" / f"{name}.nii.gz").as_axial()
    before = cluster.label(volume).labels == PATIENT
    j, i = (np.flatnonzero(before.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    box = slice(j[0] + len(j) // 8, j[0] + len(j) * 5 // 8), slice(i[0] + len(i) // 4, i[0] + len(i) * 3 // 4)
    heart = cluster.label(volume.crop(j=box[0], i=box[1]))
    lost = before[:, *box] & (heart.labels > PATIENT)
    assert np.count_nonzero(lost) * np.prod(volume.spacing) / 1000 < 20


@pytest.mark.realct
def test_it_is_so_where_resampling_blurred_the_rim_of_the_field(ct_data):
    volume = volumefile.read(ct_data / "vol" / "ch05.nii.gz")
    before = cluster.label(volume).labels
    hu = ndimage.gaussian_filter(volume.array.astype(float), (0, 0.7, 0.7))
    labels = cluster.label(volume.with_array(np.rint(hu).astype(np.int16))).labels
    lost = (before == PATIENT) & (labels > PATIENT)
    assert np.count_nonzero(lost) * np.prod(volume.spacing) / 1000 < 40  # a lung has 400


@pytest.mark.realct
def test_the_upper_half_of_a_noisy_scan_keeps_its_back(ct_data):
    """Noise in the fat was taken for the seam of a pad: 130 mL went."""
    volume = volumefile.read(ct_data / "vol" / "ch17.nii.gz").as_axial()
    part = slice(32, None)
    lost = (cluster.label(volume).labels[part] == PATIENT) & (cluster.label(volume.crop(k=part)).labels > PATIENT)
    assert np.count_nonzero(lost & (volume.array[part] > -300)) * np.prod(volume.spacing) / 1000 < 5


@pytest.mark.realct
@pytest.mark.parametrize(("name", "least_ml"), [("head01", 700), ("gh01", 1500), ("kh06", 700)])
def test_holders_of_real_heads_go_and_bone_stays(ct_data, name, least_ml):
    hu, labels, millilitres = labels_of(ct_data, name)
    assert np.count_nonzero(labels == HEADREST) * millilitres > least_ml
    brain = ndimage.binary_erosion((hu > 0) & (hu < 80), iterations=3)  # deep in the head
    assert np.count_nonzero(brain & (labels > PATIENT)) == 0
    parts, _ = ndimage.label(hu > 250)
    skull = parts == np.bincount(parts.ravel())[1:].argmax() + 1
    # Where a holder touches the head its shell is one part with the bone; more than that would be the skull itself.
    assert np.count_nonzero(skull & (labels > PATIENT)) < 0.03 * np.count_nonzero(skull)

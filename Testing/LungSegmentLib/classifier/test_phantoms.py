from __future__ import annotations

import numpy as np
from LungSegmentLib.classifier import phantoms, table


def test_one_seed_one_chest_and_patches_only_in_even_ones():
    first, again = phantoms.chest(0, 2), phantoms.chest(0, 2)
    np.testing.assert_array_equal(first.array, again.array)
    plain = phantoms.chest(0, 2, patch_hu=-850.0)
    assert first.array.shape == plain.array.shape
    apart = np.abs(first.array.astype(int) - plain.array)
    millilitres = np.count_nonzero(apart > 60) * np.prod(first.spacing) / 1000
    assert 2 < millilitres < 180
    odd = phantoms.chest(0, 3)
    np.testing.assert_array_equal(odd.array, phantoms.chest(0, 3, patch_hu=-850.0).array)


def test_writes_scans_and_their_table(tmp_path):
    path = phantoms.write(tmp_path / "p", 2)
    scans = table.read(path)
    assert [scan.label for scan in scans] == [1, 0]
    assert all(scan.path.is_file() for scan in scans)
    assert len({scan.patient for scan in scans}) == 2

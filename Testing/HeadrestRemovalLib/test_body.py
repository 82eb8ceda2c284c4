"""The patient on the cells: what of a thin shell is an ear and what is not."""

from __future__ import annotations

import numpy as np
from HeadrestRemovalLib import body
from support_trunk import cells_from

SPACING = (2.0, 2.0, 3.0)
FAT, MUSCLE, SHELL, EAR = -100, 50, 250, 20


def test_a_shell_that_ears_touch_is_equipment_up_to_its_end_and_they_stay_whole():
    """Most slices show the shell as far as row 45; in the first ones it goes on past the ear, up to row 20."""
    j, i = np.mgrid[:90, :100]
    away = np.hypot(j - 45, i - 45)
    hu = np.repeat(np.select([away < 24, away < 30], [MUSCLE, FAT], -1000)[None], 40, 0)
    shell, ear = np.zeros(hu.shape, bool), np.zeros(hu.shape, bool)
    shell[:, 45:80, 80:82] = True
    shell[:14, 20:80, 80:82] = True
    ear[4:10, 34:38, 70:80] = True  # where the shell ends soon
    ear[4:10, 60:64, 70:80] = True  # where it goes on for long
    hu[shell], hu[ear] = SHELL, EAR
    found = body.find(cells_from(hu, SPACING), -300)
    assert not found.mask[shell].any()
    assert found.mask[ear].all(), np.argwhere(ear & ~found.mask)

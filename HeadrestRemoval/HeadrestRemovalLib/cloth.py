"""Dense cloth on the skin below the head, as a blanket: half-way between its density and that of skin the patient ends.

On bare skin what is denser than half-way between air and skin is skin. Beneath a blanket, so is its own lower side,
blurred with the skin; and where the body narrows from slice to slice all of it looks like the body's blurred end.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from CTVolumeLib.cells import Cells

from .body import Body
from .labels import OTHER
from .shapes import ALL_AROUND, grow, holes, reached

_LEAST_CM2 = 300.0
"""Less is no blanket: a cuff, or haze beside the skin."""

_DENSE_HU = (-800, -450)
"""So dense is cloth that looks like blurred skin. The gowns of 38 real scans are fainter."""

_EVEN_HU = 200
"""The middle half of it is as even as this."""

_FAINT_HU, _SKIN_HU = -850, -300
"""What is fainter is air, or cloth blurred with it; what is denser than the latter is skin, however dense the cloth."""

_REACH_MM = 8.0
"""So wide is what lies between cloth and skin where the body narrows steeply."""


def take(body: Body, kind: np.ndarray, cells: Cells) -> Body:
    """Give to the cloth what was taken for blurred skin beneath it.

    Args:
        body: the patient on the cells.
        kind: (k, j, i) uint8 label of the equipment on the cells; is changed.
        cells: the scan.

    Returns:
        The patient without it.
    """
    step, cm2 = cells.step_mm, cells.millilitres / cells.step_mm * 10
    cloth = kind == OTHER
    cloth[body.head] = False
    if np.count_nonzero(cloth) * cm2 < _LEAST_CM2:
        return body
    skin = body.mask & body.solid
    beside = grow(skin, step, step)
    # Cells beside the skin are blurred with it; those after the next may be blurred with air.
    layer = grow(beside, step, step) & ~beside & ~body.solid & grow(cloth, step, step) & ((kind == 0) | cloth)
    if np.count_nonzero(layer) * cm2 < _LEAST_CM2:
        return body
    low, cloth_hu, high = np.percentile(cells.hu[layer], [25, 50, 75])
    if not _DENSE_HU[0] < cloth_hu < _DENSE_HU[1] or high - low > _EVEN_HU:
        return body
    blurred = (cells.hu > _FAINT_HU) & (cells.hu < min(cloth_hu / 2, _SKIN_HU)) & ~body.solid
    blurred &= ~body.padding & ~holes(skin)
    blurred[body.head] = False
    # The cloth goes on along the skin as far as more than blurred skin lies there.
    cloth = reached(cloth, cloth | (blurred & ~beside & grow(skin, step, _REACH_MM)), ALL_AROUND)
    found = grow(cloth, step, _REACH_MM, within=blurred) & blurred & (kind == 0)
    kind[found] = OTHER
    return replace(body, mask=body.mask & ~found)

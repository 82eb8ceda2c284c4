"""Constants of the phantom: what tissues weigh on a CT, label numbers, and where the landmarks lie along the body.

Hounsfield units are textbook values at 120 kV. The places of the landmarks are mean distances read on real scans of
adults (orbit to C1 63 mm, C1 to C7 103, C7 to T1 17.5, T1 to arch 63, arch to carina 28, carina to dome 90, dome to
T12 57, T12 to L1 30, L1 to crest 114, crest to femoral head 146, vertex to orbit 115).
"""

from __future__ import annotations

from types import MappingProxyType

AIR = -1000.0
FAT = -100.0
SKIN = 20.0
MUSCLE = 52.0
FLUID = 8.0
BRAIN = 35.0
CARTILAGE = 110.0
DISC = 85.0
CANCELLOUS = 230.0
CORTICAL = 900.0
ENAMEL = 1900.0
LUNG = -850.0
LIVER = 60.0

AIR_LABEL = 0
PATIENT = 1
LEFT_LUNG = 2
RIGHT_LUNG = 3
AIRWAY = 4
TABLE = 5
HEADREST = 6
BONE = 7
LIVER_LABEL = 8
HEART = 9
KIDNEY = 10
EYE = 11
BRAIN_LABEL = 12
FLESH = 13
"""What lies under the fat of the skin and is nothing else: muscle."""

LUNGS = (LEFT_LUNG, RIGHT_LUNG)

LANDMARK_MM = MappingProxyType(
    {
        "Top of head": 0.0,
        "Center of orbit": 115.0,
        "C1": 178.0,
        "C7": 281.0,
        "T1": 298.5,
        "Aortic arch": 361.5,
        "Bifurcation of trachea": 389.5,
        "Right dome of diaphragm": 479.5,
        "T12": 536.5,
        "L1": 566.5,
        "Tip of iliac crest": 680.5,
        "Head of femur": 826.5,
    }
)
"""mm below the vertex in the phantom of size 1, at half a breath."""

LANDMARK_LOCATION = MappingProxyType(
    dict(zip(LANDMARK_MM, (0.0, 0.05, 0.1, 0.15, 0.16, 0.2, 0.225, 0.275, 0.325, 0.35, 0.425, 0.5)))
)
"""The article's location scale."""

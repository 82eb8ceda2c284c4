"""What a reader of the pictures saw: the part of Docs/Lungs.md that no program can write."""

from __future__ import annotations

REFERENCES = (
    "Three references (ch11, ch17, ch19) were drawn by others, the rest semi-automatically by threshold and closing and"
    " then corrected slice by slice. Such references agree with a tool that works the same way at the rim: they test"
    " gross decisions. Differences below 0.01 mean nothing (0.02 for parts of lungs and 8 mm slices). Airless lung that"
    " the references leave open (ch01, ch14) is not scored. ab05's reference is another model's output; ch17 and ch19"
    " have unclear terms and are only measured. No scan is part of this project."
)

SEEN = {
    "ab01": "bases, right as far as seen",
    "ab02": "8 mm slices, two of them interpolated; the right base is blurred by breathing and holds bits of colon and"
    " of fat at the dome",
    "ab03": "30 mL of colon gas at the left dome is in the left lung, since its wall is thinner than a cell",
    "ch04": "right; upper chest only",
    "ch05": "right, with both lungs' nodules; the field of view cuts the right lung; the scan holds 76 mm of a chest"
    " with a high right dome",
    "ch06": "lungs right; the scan begins below the carina, so that the main bronchi are counted as left lung there",
    "ga02": "bases, right",
    "ga03": "lungs right; colon gas below the left dome stays outside",
    "ga04": "lungs right; hazy and breathed out; the trachea's last 30 mm are found",
    "gc01": "right; bits of colon fat at the left base, below 5 mL",
    "gn01": "lungs and trachea right; the pharynx is part of the airway label",
    "gw01": "right, also between the arms",
    "kb01": "right; main bronchi only, as the scan begins at the carina",
    "kc01": "right; the lungs touch in front of the heart and are parted there",
    "kc02": "right; foam below the patient, enclosed by table and field of view, stays outside",
    "kc03": "right",
    "kc04": "right",
    "hn24": "upper lungs right; the pharynx is part of the airway label",
    "hn100": "upper lungs right; the pharynx is part of the airway label",
    "hn106": "upper lungs right; the pharynx is part of the airway label",
    "hn309": "upper lungs right; the pharynx is part of the airway label",
    **dict.fromkeys(("gh01", "head01", "head02", "kh05", "kh06"), "a head"),
    **dict.fromkeys(("pv07", "pv08", "pv11", "pv12", "pv13", "pv14", "pv15", "pv16"), "a hip"),
}
"""What is seen in pictures of the scans without a reference."""

"""What a reader of the pictures saw: the part of Docs/Lungs.md that no program can write."""

from __future__ import annotations

REFERENCES = (
    "Three references (ch11, ch17, ch19) were drawn by others, the rest semi-automatically by threshold and closing and"
    " then corrected slice by slice. Such references agree with a tool that works the same way at the rim: they test"
    " gross decisions. Differences below 0.01 mean nothing (0.02 for parts of lungs and 8 mm slices). Airless lung that"
    " the references leave open (ch01, ch14) is not scored. ab05's reference is another model's output; ch17 and ch19"
    " have unclear terms and are only measured. No scan is part of this project."
)

SEEN = {}

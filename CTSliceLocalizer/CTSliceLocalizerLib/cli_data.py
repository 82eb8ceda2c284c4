"""The commands of ``ct-localize`` that make training data: from DICOM files and labels to data sets.

Heavy packages are imported inside functions, so that ``--help`` is quick.
"""

from __future__ import annotations

import click

COMMANDS: tuple[click.Command, ...] = ()
"""All commands of this file, in the order of their use."""

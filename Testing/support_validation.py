"""An independent opinion on DICOM files: ``dciodvfy`` of David Clunie's dicom3tools (Debian: dicom3tools)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROGRAM = "dciodvfy"


def errors_in(path: Path | str) -> list[str]:
    """What the validator calls an error in a file; a test without the validator is skipped, or fails where CI runs it.

    Raises:
        AssertionError: the validator could make nothing of the file.
    """
    if shutil.which(PROGRAM) is None:
        missing = f"{PROGRAM} is not installed (Debian: apt-get install dicom3tools)"
        if os.environ.get("CT_VALIDATE_DICOM"):
            pytest.fail(f"{missing}, and CT_VALIDATE_DICOM asks for it")
        pytest.skip(missing)
    done = subprocess.run([PROGRAM, str(path)], capture_output=True, check=False)
    lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    assert any(line.strip().endswith("Image") for line in lines), lines  # it names the kind that it took the file for
    return [line for line in lines if line.startswith("Error")]

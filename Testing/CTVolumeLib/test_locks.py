"""Locks end with the process that holds them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from CTVolumeLib.locks import LockTakenError, locked

HOLD = """
import sys, pathlib
from CTVolumeLib.locks import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()
    process.stdin.close()


def test_is_held_by_one_and_gone_afterwards(tmp_path):
    path = tmp_path / "lock"
    with locked(path) as known:
        assert known
        with pytest.raises(LockTakenError), locked(path):
            pass
    assert not path.exists()
    with locked(path) as known:
        assert known


def test_ends_with_a_killed_process(tmp_path, holder):
    path = tmp_path / "lock"
    with pytest.raises(LockTakenError), locked(path, wait_s=0.2):
        pass
    holder.kill()
    with locked(path, wait_s=10) as known:
        assert known, "though the file was still there"


def test_waits_for_the_one_before(tmp_path, holder):
    holder.stdin.close()
    with locked(tmp_path / "lock", wait_s=10) as known:
        assert known


def test_a_disk_without_locks_is_told(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_args):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path / "lock") as known:
        assert not known

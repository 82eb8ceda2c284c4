"""Child processes: what they say, how they end, and that nothing of them is left after a cancel."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed: tests of the panels are left out")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def children(monkeypatch):
    """The file under test; the panel's package is found as in Slicer."""
    for folder in ("CTSliceLocalizer", "CTVolume"):
        monkeypatch.syspath_prepend(str(ROOT / folder))
    from CTSliceLocalizerPanel import child_commands

    return child_commands


@pytest.fixture
def start(children, tmp_path):
    """Starts scripts as commands, and ends all of them after the test."""
    started = []

    def started_with(*scripts: str, goes_on_after=(), log="log.txt"):
        commands = [
            children.Command(f"Step {n}", (sys.executable, "-c", script, str(tmp_path)), goes_on_after)
            for n, script in enumerate(scripts, 1)
        ]
        started.append(children.ChildCommands(commands, tmp_path / log, os.environ))
        return started[-1]

    yield started_with
    for run in started:
        run.kill()


def look_until(run, condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, run.lines
        run.poll()


SAYS = "print('hello'); print('progress 3 7 Working'); print('progress nonsense'); print('no end', end='')"


class TestRunning:
    def test_lines_and_progress_are_told_apart(self, start, tmp_path):
        run = start(SAYS)
        said = []
        look_until(run, lambda: said.extend(run.poll()) or not run.running)
        assert run.lines == ["hello", "progress nonsense", "no end"]
        assert (run.done, run.total, run.text) == (3, 7, "Working")
        assert run.succeeded
        assert run.problem == ""
        assert "hello" in (tmp_path / "log.txt").read_text()

    def test_one_after_the_other_and_the_log_grows(self, start, tmp_path):
        for _ in range(2):
            run = start("print('a')", "print('b')")
            run.wait()
            assert run.lines == ["a", "b"]
            assert (run.number, run.title) == (1, "Step 2")
        assert (tmp_path / "log.txt").read_text().split() == ["a", "b", "a", "b"]

    def test_a_failure_ends_it_with_its_reason(self, start):
        run = start("import sys; print('because'); sys.exit(3)", "print('never')")
        run.wait()
        assert not run.succeeded
        assert run.problem == "because"
        assert run.exitCode == 3
        assert "never" not in run.lines

    def test_a_partial_success_goes_on_and_is_remembered(self, start):
        run = start("import sys; sys.exit(1)", "print('still')", goes_on_after=(1,))
        run.wait()
        assert run.succeeded
        assert run.partly == ["Step 1"]
        assert run.lines == ["still"]

    def test_a_silent_failure_has_a_reason_too(self, start):
        run = start("import os; os._exit(9)")
        run.wait()
        assert run.problem == "Step 1 ended with code 9."

    def test_what_cannot_be_started_is_said(self, children, tmp_path):
        run = children.ChildCommands([children.Command("x", ("/no/such/python",))], tmp_path / "log.txt", os.environ)
        assert not run.running
        assert run.problem.startswith("python can't be started: ")

    def test_much_output_blocks_nobody(self, start):
        run = start("print('x' * 3000000); print('end')")
        run.wait()
        assert run.lines[-1] == "end"
        assert len(run.lines[0]) == 3_000_000

    def test_looking_never_blocks(self, start):
        run = start("import time; time.sleep(60)")
        before = time.perf_counter()
        for _ in range(20):
            run.poll()
        assert time.perf_counter() - before < 1
        assert run.running


TREE = """
import os, subprocess, sys, time
inner = "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print('ready', flush=True)"
inner += "; time.sleep(600)"
{deaf}
subprocess.Popen([sys.executable, "-c", inner, sys.argv[1] + "/lock"]).wait()
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock: a process that is gone holds none, even where nobody has fetched its end."""
    import fcntl

    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


@pytest.mark.skipif(sys.platform == "win32", reason="uses locks of POSIX; Windows ends the tree by taskkill")
class TestEnding:
    @pytest.mark.parametrize("deaf", ["", DEAF])
    def test_cancel_ends_the_children_of_the_child(self, children, start, tmp_path, monkeypatch, deaf):
        monkeypatch.setattr(children, "_GRACE_S", 0.3)
        run = start(TREE.format(deaf=deaf), "print('never')")
        look_until(run, lambda: "ready" in run.lines)
        assert not is_free(tmp_path / "lock")
        run.cancel()
        look_until(run, lambda: not run.running)
        look_until(run, lambda: is_free(tmp_path / "lock"))
        assert run.cancelled
        assert not run.succeeded
        assert run.problem == ""
        assert run.number == 0

    def test_kill_does_not_wait(self, start, tmp_path):
        run = start(TREE.format(deaf=DEAF))
        look_until(run, lambda: "ready" in run.lines)
        run.kill()
        assert not run.running
        look_until(run, lambda: is_free(tmp_path / "lock"))

    def test_the_child_ends_when_slicer_is_gone(self, tmp_path):
        """Slicer crashes while a command runs: here a Python that starts one and is killed."""
        (tmp_path / "CTSliceLocalizerLib").mkdir()
        (tmp_path / "CTSliceLocalizerLib/__init__.py").write_text("")
        (tmp_path / "CTSliceLocalizerLib/cli.py").write_text(ENDLESS)
        (tmp_path / "CTVolumeLib").mkdir()
        (tmp_path / "CTVolumeLib/__init__.py").write_text("")
        command = [sys.executable, "-c", CRASHING, str(ROOT / "CTSliceLocalizer"), str(tmp_path)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == -9, result.stderr
        end = time.monotonic() + 20
        while not is_free(tmp_path / "lock"):
            assert time.monotonic() < end


ENDLESS = """
import fcntl, time
def main(arguments):
    with open(arguments[0], "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        print("ready", flush=True)
        time.sleep(600)
"""
CRASHING = """
import os, sys
panel, folder = sys.argv[1:]
sys.path[:0] = [folder, panel]
from CTSliceLocalizerPanel import child_commands
command = child_commands.ctLocalize(sys.executable, "Endless", [folder + "/lock"])
run = child_commands.ChildCommands([command], folder + "/log.txt", os.environ)
while "ready" not in run.lines:
    run.poll()
os.kill(os.getpid(), 9)
"""


class TestCtLocalize:
    def run(self, children, tmp_path, *arguments, needs=(), python=sys.executable):
        command = children.ctLocalize(python, "Test", arguments, needs)
        run = children.ChildCommands([command], tmp_path / "log.txt", {"PATH": os.environ["PATH"]})
        run.wait()
        return run

    def test_another_python_finds_the_library(self, children, tmp_path):
        (tmp_path / "c.json").write_text("{}")
        run = self.run(children, tmp_path, "partition", tmp_path / "c.json", "--out", tmp_path / "p.json")
        assert run.problem == "c.json holds no series."
        assert run.exitCode == 3

    def test_what_it_lacks_is_told_and_nothing_is_run(self, children, tmp_path):
        run = self.run(children, tmp_path, "organize", needs=("os", "no_such_package", "click", "nor_this"))
        assert run.missing == ("no_such_package", "nor_this")
        assert run.problem == ""
        assert not run.succeeded
        assert run.pythonVersion == sys.version.split()[0]

    def test_without_a_command_it_only_looks(self, children, tmp_path):
        run = self.run(children, tmp_path, needs=("click",))
        assert run.succeeded
        assert run.missing == ()

    def test_too_old(self, children, tmp_path, monkeypatch):
        monkeypatch.setattr(children, "OLDEST_PYTHON", (99, 0))
        run = self.run(children, tmp_path, "organize")
        assert run.exitCode == children.TOO_OLD
        assert run.pythonVersion == sys.version.split()[0]

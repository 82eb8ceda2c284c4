"""Commands of ``ct-localize`` as child processes: with progress, log, and a Cancel that ends all of them.

Training needs TensorFlow, which must not be loaded into Slicer's own process and mostly is in another Python anyway.
A child writes into a file that is read from time to time: no thread, no pipe that fills up, and the log stays. It ends
by itself when Slicer is gone, since its stdin closes then.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MISSING, TOO_OLD = 4, 5
"""Exit codes of a child whose Python can't run it; those of the commands are in ``CTVolumeLib.commands``."""

OLDEST_PYTHON = (3, 11)

_START = """
import importlib.util, os, sys, threading
def end_with_slicer():
    while os.read(0, 1024):
        pass
    os._exit(130)
threading.Thread(target=end_with_slicer, daemon=True).start()
paths, needs, oldest = sys.argv[1:4]
del sys.argv[1:4]
print("start-fact python " + sys.version.split()[0], flush=True)
if sys.version_info[:2] < tuple(map(int, oldest.split("."))):
    sys.exit(5)
missing = [name for name in needs.split() if importlib.util.find_spec(name) is None]
if missing:
    print("start-fact missing " + " ".join(missing), flush=True)
    sys.exit(4)
if len(sys.argv) > 1:
    sys.path[:0] = paths.split(os.pathsep)
    from CTSliceLocalizerLib.cli import main
    sys.exit(main(sys.argv[1:]))
"""
_FACT = "start-fact"
_GRACE_S = 3.0
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Command:
    """One child process.

    Attributes:
        title: for the panel, such as ``"Converting"``.
        arguments: of the process, the program first.
        goesOnAfter: exit codes besides 0 after which the next command makes sense.
    """

    title: str
    arguments: tuple[str, ...]
    goesOnAfter: tuple[int, ...] = ()


def ctLocalize(
    python: str, title: str, arguments: Sequence[str | Path], needs: Sequence[str] = (), goesOnAfter: Sequence[int] = ()
) -> Command:
    """A command of ``ct-localize`` in another Python, which need not know this extension.

    Args:
        python: path of its interpreter.
        title: for the panel.
        arguments: such as ``["partition", folder, "--out", file]``; none only looks whether the needs are there.
        needs: packages that have to be there; looked up without importing them.
        goesOnAfter: see ``Command``.
    """
    paths = os.pathsep.join(libraryFolders())
    oldest = ".".join(map(str, OLDEST_PYTHON))
    start = (python, "-u", "-c", _START, paths, " ".join(needs), oldest)
    return Command(title, (*start, *map(str, arguments)), tuple(goesOnAfter))


def libraryFolders() -> list[str]:
    """Folders that a child has to search for the libraries of this extension."""
    import CTSliceLocalizerLib
    import CTVolumeLib

    folders = [str(Path(library.__file__).resolve().parents[1]) for library in (CTSliceLocalizerLib, CTVolumeLib)]
    return list(dict.fromkeys(folders))


def slicerPython() -> str:
    """Slicer's own interpreter; an empty text where it is not found."""
    found = shutil.which("PythonSlicer")
    if found:
        return found
    import slicer

    for name in ("PythonSlicer", "PythonSlicer.exe"):
        path = Path(slicer.app.slicerHome) / "bin" / name
        if path.is_file():
            return str(path)
    # Slicer's executable is no interpreter: it would open another Slicer.
    return sys.executable if Path(sys.executable).name.lower().startswith("python") else ""


class ChildCommands:
    """Commands that run one after the other. ``poll`` has to be called now and then; nothing happens in between.

    Attributes:
        commands: all of them.
        number: of the command that runs, or ran last, from 0.
        running: whether one runs or will.
        cancelled: whether ``cancel`` was called.
        exitCode: of the last command that ended; None before.
        done, total, text: progress of the command, as it told it last; total is 0 as long as it told none.
        lines: what the commands have said, without progress.
        partly: titles of the commands that could not do everything.
    """

    def __init__(
        self, commands: Sequence[Command], logFile: Path | str, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start the first command.

        Args:
            commands: what to run.
            logFile: what they say is added to it; its folder is made.
            environment: of the children; None takes that in which Slicer was started.

        Raises:
            OSError: the log can't be written.
        """
        self.commands = list(commands)
        self.number, self.running, self.cancelled, self.exitCode = -1, True, False, None
        self.done, self.total, self.text = 0, 0, ""
        self.lines: list[str] = []
        self.partly: list[str] = []
        self._facts: dict[str, str] = {}
        self._environment = dict(startupEnvironment() if environment is None else environment)
        self._environment |= {"CT_LOCALIZE_PROGRESS": "lines", "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}
        self._process: subprocess.Popen | None = None
        self._killAt = 0.0
        logFile = Path(logFile)
        logFile.parent.mkdir(parents=True, exist_ok=True)
        self._log = logFile.open("ab")  # shared with the children; what is read has a place of its own
        self._reader = logFile.open("rb")
        self._reader.seek(0, os.SEEK_END)
        self._rest = b""
        self._startNext()

    @property
    def title(self) -> str:
        """What is being done."""
        return self.commands[self.number].title

    @property
    def succeeded(self) -> bool:
        """Whether all commands ran to their ends."""
        return not self.running and not self.cancelled and self._goesOn()

    @property
    def problem(self) -> str:
        """Why it ended early, as the child said it; an empty text where it did not, or was cancelled."""
        if self.running or self.cancelled or self._goesOn():
            return ""
        if self.exitCode in (MISSING, TOO_OLD):
            return ""
        said = [line for line in self.lines if line.strip()]
        return said[-1] if said else f"{self.title} ended with code {self.exitCode}."

    @property
    def missing(self) -> tuple[str, ...]:
        """Packages that the child's Python lacks."""
        return tuple(self._facts.get("missing", "").split()) if self.exitCode == MISSING else ()

    @property
    def pythonVersion(self) -> str:
        """Version of the child's Python, as soon as it has told it."""
        return self._facts.get("python", "")

    def poll(self) -> list[str]:
        """See how far it is, and start the next command where one has ended; returns what was said since.

        Never blocks.
        """
        new = self._readLog()
        if not self.running:
            return new
        if self._process is not None and self._process.poll() is None:
            if self.cancelled and time.monotonic() > self._killAt:
                _end(self._process, forced=True)
            return new
        if self._process is not None:
            self.exitCode = self._process.returncode
            if self.cancelled:
                _end(self._process, forced=True)  # children of the child that did not hear
            if self.exitCode and self._goesOn():
                self.partly.append(self.title)
            self._process.stdin.close()
            self._process = None
            new += self._readLog()
        if self.cancelled or not self._goesOn() or self.number + 1 == len(self.commands):
            self._finish()
        else:
            self._startNext()
        return new

    def cancel(self) -> None:
        """End the child with all its children; what it has finished stays on disk."""
        if self.running and not self.cancelled:
            self.cancelled, self._killAt = True, time.monotonic() + _GRACE_S
            if self._process is not None:
                _end(self._process, forced=False)

    def kill(self) -> None:
        """End everything now; for the end of Slicer or of the module."""
        if not self.running:
            return
        self.cancelled = True
        if self._process is not None:
            _end(self._process, forced=True)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.exitCode = self._process.wait(timeout=5)
            self._process.stdin.close()
            self._process = None
        self._finish()

    def wait(self, each: Callable[[], None] | None = None) -> None:
        """Poll until all have ended; for scripts.

        Args:
            each: called after each look, such as ``slicer.app.processEvents``.
        """
        while self.running:
            self.poll()
            if each is not None:
                each()
            time.sleep(0.05)

    def _startNext(self) -> None:
        self.number += 1
        self.done, self.total, self.text = 0, 0, ""
        command = self.commands[self.number]
        own = {"start_new_session": True} if os.name == "posix" else {"creationflags": _WINDOWS_FLAGS}
        try:
            self._process = subprocess.Popen(
                command.arguments,
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                **own,
            )
        except OSError as error:
            self.lines.append(f"{Path(command.arguments[0]).name} can't be started: {error.strerror or error}.")
            self.exitCode, self._process = -1, None
            self._finish()

    def _finish(self) -> None:
        self._readLog(final=True)
        self.running = False
        self._log.close()
        self._reader.close()

    def _goesOn(self) -> bool:
        return self.exitCode in (None, 0) or self.exitCode in self.commands[self.number].goesOnAfter

    def _readLog(self, final: bool = False) -> list[str]:
        """The whole lines that are new; a line without an end waits for it."""
        if self._reader.closed:
            return []
        data = self._rest + self._reader.read(_MOST_BYTES)
        pieces = data.replace(b"\r", b"\n").split(b"\n")
        self._rest = b"" if final else pieces.pop()
        new = []
        for line in (piece.decode("utf-8", "replace").rstrip() for piece in pieces):
            if line and not self._isForUs(line):
                new.append(line)
        self.lines += new
        return new

    def _isForUs(self, line: str) -> bool:
        """Whether a line is for this program, not for people: progress, or what the start of a child tells."""
        word, _, rest = line.partition(" ")
        if word == _FACT:
            name, _, value = rest.partition(" ")
            self._facts[name] = value
            return True
        numbers = rest.split(" ", 2)
        if word != "progress" or len(numbers) < 2 or not (numbers[0] + numbers[1]).isdigit():
            return False
        self.done, self.total, self.text = int(numbers[0]), int(numbers[1]), "".join(numbers[2:])
        return True


_WINDOWS_FLAGS = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)


def startupEnvironment() -> dict[str, str]:
    """The environment in which Slicer was started: its own libraries would break another Python."""
    import slicer.util

    return slicer.util.startupEnvironment()


def _end(process: subprocess.Popen, *, forced: bool) -> None:
    """Tell a process and all its children to end, or end them."""
    if os.name != "posix":
        command = ["taskkill", "/T", "/F", "/PID", str(process.pid)]  # there is no gentle way for the whole tree
        subprocess.run(command, check=False, capture_output=True, creationflags=_WINDOWS_FLAGS)
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL if forced else signal.SIGTERM)

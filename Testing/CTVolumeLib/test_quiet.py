"""Libraries are silent while a scan is read, and talk as before afterwards."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import warnings

from CTVolumeLib import phantom, phantom_dicom
from CTVolumeLib.quiet import late, quiet_libraries


def test_silences_warnings_and_logs_of_libraries(caplog):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with quiet_libraries():
            warnings.warn("value: TWEETY", stacklevel=1)
            logging.getLogger("pydicom.pixels.decoders.base").error("TWEETY")
            logging.getLogger("CTVolumeLib.dicom").warning("ours")
    assert [record.getMessage() for record in caplog.records] == ["ours"]


def test_puts_everything_back_though_threads_overlap():
    before = (logging.getLogger("pydicom").level, list(warnings.filters))
    inside, leave = threading.Event(), threading.Event()

    def other():
        with quiet_libraries():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with quiet_libraries():
        thread.start()
        assert inside.wait(10)
    assert logging.getLogger("pydicom").level > logging.CRITICAL
    leave.set()
    thread.join()
    assert (logging.getLogger("pydicom").level, list(warnings.filters)) == before


def test_puts_everything_back_after_an_error():
    before = logging.getLogger("pydicom").level
    try:
        with quiet_libraries():
            raise KeyError
    except KeyError:
        pass
    assert logging.getLogger("pydicom").level == before


def test_a_library_that_is_imported_late_is_silent_as_well_and_keeps_its_own_level_afterwards(monkeypatch, tmp_path):
    """Pydicom sets its own level of logging when it is imported."""
    code = "import logging\nlogging.getLogger('pydicom').setLevel(logging.WARNING)\n"
    (tmp_path / "comes_late.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "comes_late", raising=False)
    logger = logging.getLogger("pydicom")
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    with quiet_libraries():
        assert late("comes_late").__name__ == "comes_late"
        assert logger.level > logging.CRITICAL
    assert logger.level == logging.WARNING


def test_ordinary_series_are_read_without_importing_large_libraries(tmp_path):
    """Each process of a batch would spend the time again."""
    phantom_dicom.write_dicom(phantom.make(phantom.PhantomParameters(spacing=(8.0, 8.0, 40.0))).volume, tmp_path)
    code = f"""
import sys
from CTVolumeLib import dicom
assert dicom.read_series(dicom.series_in({str(tmp_path)!r})[0]).array.size
print([name for name in ("pydicom", "SimpleITK") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

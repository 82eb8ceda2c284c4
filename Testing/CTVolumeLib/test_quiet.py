"""Libraries are silent while a scan is read, and talk as before afterwards."""

from __future__ import annotations

import logging
import threading
import warnings

from CTVolumeLib.quiet import quiet_libraries


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

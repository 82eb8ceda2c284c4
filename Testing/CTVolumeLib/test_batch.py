"""Batches: resumable, one result each, and a bad item, a crash, a kill or a full disk costs no more than it must."""

from __future__ import annotations

import csv
import errno
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import support_batch as support
from CTVolumeLib import batch, workers
from CTVolumeLib.errors import CTError
from CTVolumeLib.locks import locked
from support_batch import wait_for

TESTING = Path(support.__file__).parent
PROGRAM = [sys.executable, str(TESTING / "support_batch.py")]


def states(outcomes: list[batch.Outcome]) -> dict[str, str]:
    return {outcome.name: outcome.state for outcome in outcomes}


def results(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir() if path.is_dir())


class TestRun:
    @pytest.mark.parametrize("jobs", [1, 2])
    def test_makes_every_good_result_and_lists_the_bad_ones(self, tmp_path, jobs):
        items = support.make_items(tmp_path, 12, broken=2)
        outcomes = batch.run(items, support.work, tmp_path / "out", jobs=jobs)
        failed = [outcome for outcome in outcomes if outcome.state == batch.FAILED]
        assert [outcome.name for outcome in outcomes] == [item.name for item in items]
        assert [outcome.name for outcome in failed] == ["scan003", "scan009"]
        assert {outcome.code for outcome in failed} == {"no_images"}
        assert failed[0].message == "scan003.nii holds no images."
        good = sorted({item.name for item in items} - {"scan003", "scan009"})
        assert results(tmp_path / "out") == good
        for name in good:
            assert sorted(path.name for path in (tmp_path / "out" / name).iterdir()) == [
                batch.STATE_FILE,
                "first.txt",
                "second.txt",
            ]
        assert (tmp_path / "out/scan005/second.txt").read_text() == "GOOD 5"
        assert outcomes[0].facts == {"length": 6, "mean": 0.123456789}

    def test_does_not_make_a_finished_result_again_but_retries_failures(self, tmp_path):
        items = support.make_items(tmp_path, 6, broken=1)
        batch.run(items, support.work, tmp_path / "out")
        (tmp_path / "scan003.nii").write_text("mended")
        outcomes = batch.run(items, support.work, tmp_path / "out")
        assert states(outcomes) == {item.name: "done" if item.name == "scan003" else "kept" for item in items}
        assert outcomes[0].facts == {"length": 6, "mean": 0.123456789}
        assert support.calls(tmp_path) == {item.name: 2 if item.name == "scan003" else 1 for item in items}

    def test_makes_a_result_again_when_source_or_settings_change(self, tmp_path):
        items = support.make_items(tmp_path, 3)
        batch.run(items, support.work, tmp_path / "out")
        items[1].source.write_text("changed")
        outcomes = batch.run(items, support.work, tmp_path / "out")
        assert list(states(outcomes).values()) == ["kept", "done", "kept"]
        assert (tmp_path / "out/scan001/first.txt").read_text() == "changed"
        other_model = support.make_items(tmp_path, 3, settings={"model": "def"})
        outcomes = batch.run(other_model, support.work, tmp_path / "out")
        assert set(states(outcomes).values()) == {"done"}
        assert results(tmp_path / "out") == ["scan000", "scan001", "scan002"]

    def test_fingerprint_goes_by_the_files_of_a_folder(self, tmp_path):
        folder = tmp_path / "series"
        folder.mkdir()
        (folder / "1.dcm").write_text("a")
        whole, part = batch.Item("s", folder), batch.Item("s", folder, files=(str(folder / "1.dcm"),))
        before = batch.fingerprint_of(whole), batch.fingerprint_of(part)
        assert before == (batch.fingerprint_of(whole), batch.fingerprint_of(part))
        (folder / "2.dcm").write_text("b")
        assert batch.fingerprint_of(whole) != before[0]
        assert batch.fingerprint_of(part) == before[1]
        os.utime(folder / "1.dcm", (1, 1))
        assert batch.fingerprint_of(part) != before[1]

    def test_keeps_the_old_result_when_the_new_one_fails_and_says_so(self, tmp_path):
        items = support.make_items(tmp_path, 1)
        batch.run(items, support.work, tmp_path / "out")
        items[0].source.write_text("broken")
        (outcome,) = batch.run(items, support.work, tmp_path / "out")
        assert outcome.state == batch.FAILED
        assert "older result is still in scan000" in outcome.hint
        assert (tmp_path / "out/scan000/first.txt").read_text() == "good 0"

    def test_never_touches_a_folder_that_it_did_not_make(self, tmp_path):
        items = support.make_items(tmp_path, 2)
        precious = tmp_path / "out" / "scan000" / "precious.txt"
        precious.parent.mkdir(parents=True)
        precious.write_text("mine")
        outcomes = batch.run(items, support.work, tmp_path / "out")
        assert [outcome.code for outcome in outcomes] == ["in_the_way", ""]
        assert [path.name for path in precious.parent.iterdir()] == ["precious.txt"]

    @pytest.mark.parametrize("jobs", [1, 2])
    def test_unexpected_errors_show_no_patient_and_the_log_has_the_traceback(self, tmp_path, caplog, jobs):
        caplog.set_level(logging.DEBUG)
        items = support.make_items(tmp_path, 2)
        outcomes = batch.run(items, support.work_that_raises, tmp_path / "out", jobs=jobs)
        assert {outcome.code for outcome in outcomes} == {"internal"}
        assert "KeyError" in outcomes[0].message
        assert "JANE" not in "".join(outcome.message + outcome.hint for outcome in outcomes)
        shown = [record for record in caplog.records if record.levelno > logging.DEBUG]
        assert not shown
        assert "in work_that_raises" in caplog.text
        assert "JANE" not in batch.summarize(outcomes) + batch.summary_csv(outcomes)
        assert results(tmp_path / "out") == []

    def test_reports_progress_and_can_be_cancelled(self, tmp_path):
        items = support.make_items(tmp_path, 5)
        seen = []

        def progress(done: int, total: int, text: str) -> bool:
            seen.append((done, total, text))
            return done < 3

        with pytest.raises(CTError) as error:
            batch.run(items, support.work, tmp_path / "out", progress=progress)
        assert error.value.code == "cancelled"
        assert seen == [(1, 5, "scan000: done"), (2, 5, "scan001: done"), (3, 5, "scan002: done")]
        assert len(results(tmp_path / "out")) == 3 + (tmp_path / "out" / batch.UNFINISHED).exists()

    @pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a\\b", "nul", "summary.csv", "x ", "a:b"])
    def test_refuses_unsafe_names(self, tmp_path, name):
        with pytest.raises(ValueError, match="can't be the name"):
            batch.run([batch.Item(name, tmp_path)], support.work, tmp_path / "out")

    def test_refuses_names_that_differ_only_in_case(self, tmp_path):
        with pytest.raises(ValueError, match="same name"):
            batch.run([batch.Item("A", tmp_path), batch.Item("a", tmp_path)], support.work, tmp_path / "out")

    def test_processes_share_the_cores(self, tmp_path, monkeypatch):
        monkeypatch.setattr(workers, "cores", lambda: 6)
        items = support.make_items(tmp_path, 2)
        outcomes = batch.run(items, support.work_that_tells_its_threads, tmp_path / "out", jobs=2)
        assert [outcome.facts for outcome in outcomes] == [{"threads": 3}] * 2

    def test_nothing_to_do(self, tmp_path):
        assert batch.run([], support.work, tmp_path / "out") == []

    def test_repeatable_results_tell_nothing_of_the_run(self, tmp_path):
        """Made in one go, or with one item made earlier: the same files with the same bytes."""
        items = support.make_items(tmp_path, 3)
        for out, parts in (("whole", [items]), ("parts", [items[1:2], items])):
            for part in parts:
                outcomes = batch.run(part, support.work, tmp_path / out, repeatable=True)
        assert [outcome.state for outcome in outcomes] == [batch.DONE, batch.KEPT, batch.DONE]
        whole, parts = (
            {path.relative_to(tmp_path / out): path.read_bytes() for path in (tmp_path / out).rglob("*.*")}
            for out in ("whole", "parts")
        )
        assert whole == parts
        assert sorted(path.name for path in whole) == sorted(["batch.json", "first.txt", "second.txt"] * 3)


class TestDisk:
    def test_a_folder_that_cannot_be_written_is_said_at_once(self, tmp_path, monkeypatch):
        items = support.make_items(tmp_path, 2)

        def refuse(*_args, **_kwargs):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        monkeypatch.setattr(Path, "mkdir", refuse)
        with pytest.raises(CTError, match="Read-only file system") as error:
            batch.run(items, support.work, tmp_path / "out")
        assert error.value.code == "cannot_write"
        assert support.calls(tmp_path) == {}

    def test_a_disk_that_fills_up_between_two_steps_is_said(self, tmp_path, monkeypatch):
        def refuse(*_args, **_kwargs):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(batch, "locked", refuse)
        with pytest.raises(CTError, match="No space left") as error:
            batch.run(support.make_items(tmp_path, 1), support.work, tmp_path / "out")
        assert error.value.code == "cannot_write"

    def test_a_file_where_the_folder_should_be(self, tmp_path):
        (tmp_path / "out").write_text("")
        with pytest.raises(CTError) as error:
            batch.run(support.make_items(tmp_path, 1), support.work, tmp_path / "out")
        assert error.value.code == "cannot_write"

    @pytest.mark.parametrize("method", ["write_text", "replace"])
    def test_a_full_disk_leaves_no_half_results(self, tmp_path, monkeypatch, method):
        items = support.make_items(tmp_path, 4)
        out = tmp_path / "out"
        original = getattr(Path, method)

        def fill(path, *args, **kwargs):
            if "scan002" in path.parts and batch.UNFINISHED in path.parts:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(path, *args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(Path, method, fill)
            outcomes = batch.run(items, support.work, out)
        assert [outcome.code for outcome in outcomes] == ["", "", "cannot_write", ""]
        assert "No space left" in outcomes[2].message
        assert results(out) == ["scan000", "scan001", "scan003"]
        assert list(states(batch.run(items, support.work, out)).values()) == ["kept", "kept", "done", "kept"]

    def test_a_full_disk_while_replacing_keeps_the_old_result(self, tmp_path, monkeypatch):
        items = support.make_items(tmp_path, 1)
        out = tmp_path / "out"
        batch.run(items, support.work, out)
        items[0].source.write_text("new text")
        original = Path.replace

        def fill(path, target):
            if path.parent.name == "scan000" and path.suffix == "" and Path(target).parent == out:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(path, target)

        monkeypatch.setattr(Path, "replace", fill)
        (outcome,) = batch.run(items, support.work, out)
        assert outcome.code == "cannot_write"
        assert (out / "scan000/first.txt").read_text() == "good 0"

    def test_the_table_is_not_worth_the_results(self, tmp_path, monkeypatch, caplog):
        def refuse(path, _data):
            if path.name == batch.SUMMARY_FILE:
                raise CTError("cannot_write", "summary.csv could not be written.")
            return original(path, _data)

        original = batch.write_atomic
        monkeypatch.setattr(batch, "write_atomic", refuse)
        outcomes = batch.run(support.make_items(tmp_path, 2), support.work, tmp_path / "out")
        assert set(states(outcomes).values()) == {"done"}
        assert "summary.csv could not be written" in caplog.text


class TestDeath:
    @pytest.mark.slow
    def test_a_process_that_dies_costs_only_its_item(self, tmp_path):
        items = support.make_items(tmp_path, 12, broken=2)
        outcomes = batch.run(items, support.work_that_kills, tmp_path / "out", jobs=2)
        failed = [(outcome.name, outcome.code) for outcome in outcomes if outcome.state == batch.FAILED]
        assert failed == [("scan003", "worker_died"), ("scan009", "worker_died")]
        assert len(results(tmp_path / "out")) == 10, "and no leftovers"
        counts = support.calls(tmp_path)
        assert counts["scan003"] == counts["scan009"] == 2, "tried again once, by itself"

    @pytest.mark.slow
    @pytest.mark.parametrize("jobs", [1, 2])
    def test_200_items_killed_twice(self, tmp_path, jobs):
        """Every good one is made, once; the ten broken ones are listed; what the kills left is gone."""
        out = tmp_path / "out"
        command = [*PROGRAM, str(tmp_path), str(out), "200", "10", "0.01", str(jobs)]
        for enough in (60, 120):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            wait_for(lambda enough=enough: len(list(out.glob("scan*"))) >= enough)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
            assert len(list(out.glob("scan*"))) < 190, "the kill came too late to show anything"
        before = {path.name: path.stat().st_mtime_ns for path in out.glob("scan*")}
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1, "some failed"
        assert "10 failed" in done.stdout
        assert not done.stderr
        check_200(tmp_path, out)
        after = {path.name: path.stat().st_mtime_ns for path in out.glob("scan*")}
        assert before.items() <= after.items(), "what was finished is not made again"
        again = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "0 done, 190 kept from an earlier run, 10 failed." in again.stdout

    @pytest.mark.slow
    def test_processes_end_with_a_killed_program(self, tmp_path):
        """Else they would hold their memory for ever. Their locks tell: those end with them."""
        unfinished = tmp_path / "out" / batch.UNFINISHED
        command = [*PROGRAM, str(tmp_path), str(tmp_path / "out"), "2", "0", "600", "2"]
        process = subprocess.Popen(command)
        wait_for(lambda: len(list(unfinished.glob("scan*/*/first.txt"))) == 2)
        process.kill()
        process.wait()
        for number in range(2):
            with locked(unfinished / f"scan00{number}.lock", wait_s=30) as known:
                assert known

    def test_what_killed_the_program_comes_last(self, tmp_path):
        """An item that brings the whole program down (one job) doesn't hold up the others for ever."""
        items = support.make_items(tmp_path, 4)
        unfinished = tmp_path / "out" / batch.UNFINISHED
        (unfinished / "scan001" / "abc").mkdir(parents=True)
        (unfinished / "scan001.lock").touch()
        order = []
        batch.run(items, support.work, tmp_path / "out", progress=lambda _d, _t, text: order.append(text) is None)
        assert [text.split(":")[0] for text in order] == ["scan000", "scan002", "scan003", "scan001"]
        assert not unfinished.exists()

    @pytest.mark.slow
    def test_two_runs_at_once_share_the_work(self, tmp_path):
        out = tmp_path / "out"
        support.make_items(tmp_path, 40)
        command = [*PROGRAM, str(tmp_path), str(out), "40", "0", "0.05", "1"]
        runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        for run in runs:
            _, errors = run.communicate(timeout=60)
            assert (run.returncode, errors) == (0, "")
        assert len(results(out)) == 40
        assert set(support.calls(tmp_path).values()) == {1}


class TestCluster:
    @pytest.mark.slow
    def test_200_items_on_two_workers_one_of_which_is_killed(self, tmp_path, cluster):
        out = tmp_path / "out"
        command = [*PROGRAM, str(tmp_path), str(out), "200", "10", "0.02", "1", cluster.address]
        client = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for(lambda: len(list(out.glob("scan*"))) >= 40)
        client.send_signal(signal.SIGKILL)
        client.wait()
        assert len(list(out.glob("scan*"))) < 190
        client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: len(list(out.glob("scan*"))) >= 100)
        cluster.workers[0].send_signal(signal.SIGKILL)
        text, errors = client.communicate(timeout=60)
        assert client.returncode == 1
        assert "10 failed" in text
        assert "Traceback" not in errors
        check_200(tmp_path, out)

    @pytest.mark.slow
    def test_an_item_that_kills_workers_costs_only_itself(self, tmp_path, tmp_path_factory):
        """Not also the one that waited behind it on the same worker, which Dask blames as well."""
        cluster = Cluster(tmp_path_factory.mktemp("cluster"), nannies=True)
        try:
            items = support.make_items(tmp_path, 8, broken=1)
            outcomes = batch.run(items, support.work_that_kills, tmp_path / "out", scheduler=cluster.address)
        finally:
            cluster.close()
        assert {outcome.name: outcome.code for outcome in outcomes if outcome.code} == {"scan004": "worker_died"}
        assert len(results(tmp_path / "out")) == 7

    @pytest.mark.slow
    def test_a_scheduler_that_dies_costs_what_is_not_finished(self, tmp_path, cluster):
        items = support.make_items(tmp_path, 40, settings={"seconds": 0.05})

        def progress(done: int, _total: int, _text: str) -> bool:
            if done == 10:
                cluster.processes[0].kill()
            return True

        outcomes = batch.run(items, support.work, tmp_path / "out", scheduler=cluster.address, progress=progress)
        codes = [outcome.code for outcome in outcomes]
        assert set(codes) == {"", "cluster_lost"}
        assert codes.count("") >= 10
        assert "kept" in next(outcome.hint for outcome in outcomes if outcome.code)
        outcomes = batch.run(items, support.work, tmp_path / "out")
        assert {outcome.state for outcome in outcomes} == {"kept", "done"}

    @pytest.mark.slow
    def test_a_cluster_that_is_not_there(self, tmp_path, monkeypatch):
        distributed = pytest.importorskip("distributed")
        monkeypatch.setattr(distributed, "Client", lambda *_a, **k: (_ for _ in ()).throw(TimeoutError))
        with pytest.raises(CTError, match=r"tcp://127.0.0.1:1 can't be reached") as error:
            batch.run(support.make_items(tmp_path, 1), support.work, tmp_path / "out", scheduler="tcp://127.0.0.1:1")
        assert error.value.code == "no_cluster"

    @pytest.mark.parametrize(
        ("package", "options"),
        [("distributed", {"scheduler": "tcp://127.0.0.1:1"}), ("joblib.externals.loky", {"jobs": 2})],
    )
    def test_a_missing_package_is_said(self, tmp_path, monkeypatch, package, options):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(CTError) as error:
            batch.run(support.make_items(tmp_path, 2), support.work, tmp_path / "out", **options)
        assert error.value.code == "missing_package"
        assert error.value.hint


def check_200(folder: Path, out: Path) -> None:
    """The state that all runs of 200 items of which 10 are broken end in."""
    broken = {path.stem for path in folder.glob("*.nii") if path.read_text() == "broken"}
    assert len(broken) == 10
    assert results(out) == sorted({path.stem for path in folder.glob("*.nii")} - broken), "each once, no leftovers"
    for path in out.glob("scan*"):
        source = (folder / f"{path.name}.nii").read_text()
        assert (path / "first.txt").read_text() == source
        assert (path / "second.txt").read_text() == source.upper()
        assert json.loads((path / batch.STATE_FILE).read_text())["facts"]["length"] == len(source)
    with (out / batch.SUMMARY_FILE).open(encoding="utf-8", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert len(rows) == 200
    failed = {name: (row["code"], row["message"]) for name, row in rows.items() if row["state"] == "failed"}
    assert failed == {name: ("no_images", f"{name}.nii holds no images.") for name in broken}
    extra = sum(support.calls(folder).values()) - sum(support.calls(folder).get(name, 0) for name in broken) - 190
    assert extra <= 4, "only what was being made at a kill is made again"


class Cluster:
    """A scheduler and two workers as processes of their own; with nannies, workers that die are started again."""

    def __init__(self, folder: Path, *, nannies: bool = False) -> None:
        distributed = pytest.importorskip("distributed", reason="dask is not installed")
        del distributed
        environment = {**os.environ, "PYTHONPATH": str(TESTING), "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment, "cwd": folder}
        dask = [sys.executable, "-m", "dask"]
        found = folder / "scheduler.json"
        scheduler = [*dask, "scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard"]
        self.processes = [subprocess.Popen([*scheduler, "--scheduler-file", str(found)], **options)]
        try:
            wait_for(lambda: found.exists() and found.read_text().strip().endswith("}"), 60)
            self.address = json.loads(found.read_text())["address"]
            worker = [*dask, "worker", self.address, "--nthreads", "1", "--no-dashboard"]
            worker += ["--nanny" if nannies else "--no-nanny"]
            self.workers = [subprocess.Popen(worker, **options) for _ in range(2)]
            self.processes += self.workers
            self._wait_for_workers()
        except BaseException:
            self.close()
            raise

    def _wait_for_workers(self) -> None:
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)

    def close(self) -> None:
        for process in self.processes[::-1]:  # the workers first, they say goodbye to the scheduler
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.close()


class TestSummary:
    def test_table_for_people(self):
        outcomes = [
            batch.Outcome("a", "/x/a.nii", "done", facts={"coverage": "C1 to L1", "slices": 120}, seconds=1.5),
            batch.Outcome("long name", "/x/b.nii", "failed", "no_images", "No images.", "Choose another."),
            batch.Outcome("c", "/x/c", "kept", facts={"slices": 7, "mm": 1.23456789}),
        ]
        lines = batch.summarize(outcomes).splitlines()
        assert lines[0].split() == ["name", "state", "coverage", "slices", "mm", "reason"]
        assert lines[1].split("  ")[0] == "a"
        assert lines[2].endswith("No images. Choose another.")
        assert "1.235" in lines[3]
        assert lines[-1] == "1 done, 1 kept from an earlier run, 1 failed."
        assert len({line.index(text) for line, text in zip(lines[:2], ("coverage", "C1 to L1"))}) == 1, "in columns"

    def test_table_for_programs(self):
        outcome = batch.Outcome("a\udcff", "/x/a,b\n.nii", "done", facts={"words": 'say "chest"', "none": None})
        rows = list(csv.DictReader(batch.summary_csv([outcome]).splitlines(keepends=True)))
        assert rows[0]["source"] == "/x/a,b\n.nii"
        assert rows[0]["words"] == 'say "chest"'
        assert rows[0]["none"] == ""

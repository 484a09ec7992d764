"""One writer of a model folder at a time, permissions, and what killed writers leave."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from pellucid import Dense, MLPRegressor, Network, TabularRegressor, _lock, load, save
from pellucid._files import TEMPORARY, check_file, staged, write_atomically
from pellucid.errors import BusyError
from pellucid.export import export
from pellucid.persistence import ModelError, check_destination, read_folder, save_checkpoint
from pellucid.persistence.lock import LOCK, writing

BUSY = r"m' is being written by another process or thread.*Try again, or give it time: wait="


def network(mark: float = 0.0) -> Network:
    made = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=3, seed=0)
    for array in made.parameters.values():
        array[...] = mark
    return made


def mark_of(path: Path) -> float:
    """What all parts of a folder bear."""
    folder = read_folder(path)
    parts = {float(x) for a in load(folder).parameters.values() for x in a.ravel()}
    parts.add(folder.document("history")["loss"][0])
    assert len(parts) == 1
    return parts.pop()


def saved(path: Path, mark: float, **options: Any) -> None:
    save(network(mark), path, history={"loss": [mark]}, **options)


HOLD = """
import sys, time
from pathlib import Path
from pellucid.persistence.lock import writing
with writing(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of the folder m until it is let go or killed."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "m")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        yield child
        child.kill()


def let_go(child: subprocess.Popen[str]) -> None:
    """Have the process let the lock go in a moment."""
    assert child.stdin is not None
    threading.Timer(0.1, child.stdin.close).start()


# The lock -----------------------------------------------------------------------------------------


def test_the_second_writer_is_told(held: subprocess.Popen[str], tmp_path: Path) -> None:
    for write in (
        lambda: save(network(), tmp_path / "m"),
        lambda: save(network(), tmp_path / "m", overwrite=True, wait=0.05),
        lambda: save_checkpoint(tmp_path / "m", network(), {}, {}, None),
        lambda: check_destination(tmp_path / "m", overwrite=True),
        lambda: MLPRegressor(solver="lbfgs").fit([[0.0], [1.0]], [1.0, 2.0]).save(tmp_path / "m"),
    ):
        with pytest.raises(BusyError, match=BUSY):
            write()
    assert os.listdir(tmp_path / "m") == [LOCK]


def test_the_second_writer_may_wait(held: subprocess.Popen[str], tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(20, 2))
    fitted = TabularRegressor((2,), epochs=1, ensemble=1).fit(X, X[:, 0] * X[:, 1])
    let_go(held)
    fitted.save(tmp_path / "m", wait=60)
    assert load(tmp_path / "m").predict(X).shape == (20,)
    assert LOCK not in os.listdir(tmp_path / "m")


def test_a_killed_writer_leaves_no_lock(held: subprocess.Popen[str], tmp_path: Path) -> None:
    held.kill()
    held.wait()
    assert os.listdir(tmp_path / "m") == [LOCK], "the file is there and means nothing"
    check_destination(tmp_path / "m")
    saved(tmp_path / "m", 1.0)
    assert mark_of(tmp_path / "m") == 1
    assert LOCK not in os.listdir(tmp_path / "m")


@pytest.mark.parametrize("content", ["", "1"])
def test_a_file_by_the_locks_name_means_nothing(tmp_path: Path, content: str) -> None:
    saved(tmp_path / "m", 1.0)
    (tmp_path / "m" / LOCK).write_text(content)
    assert mark_of(tmp_path / "m") == 1
    saved(tmp_path / "m", 2.0, overwrite=True)
    assert mark_of(tmp_path / "m") == 2


def test_a_lock_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may only be read can be locked; one that may not be read is named."""
    saved(tmp_path / "m", 1.0)
    (tmp_path / "m" / LOCK).touch(0o444)
    original = os.open

    def denied(path: Any, flags: int, *rest: Any) -> int:
        if str(path).endswith(LOCK) and (flags & os.O_RDWR or secret):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return original(path, flags, *rest)

    secret = False
    monkeypatch.setattr(os, "open", denied)
    saved(tmp_path / "m", 2.0, overwrite=True)
    assert mark_of(tmp_path / "m") == 2
    (tmp_path / "m" / LOCK).touch()
    secret = True
    with pytest.raises(PermissionError, match=r"belongs to another user, so .* cannot be loc"):
        saved(tmp_path / "m", 3.0, overwrite=True)
    assert mark_of(tmp_path / "m") == 2


@pytest.mark.parametrize("wait", [-1, -0.1, "x", None, float("nan"), True, [1]])
def test_what_is_no_time_to_wait(tmp_path: Path, wait: Any) -> None:
    with pytest.raises(ValueError, match="wait must be a number of seconds, 0 or more; got"):
        save(network(), tmp_path / "m", wait=wait)
    assert os.listdir(tmp_path) == []


def test_threads_exclude_each_other(tmp_path: Path) -> None:
    path, faults = tmp_path / "m", []
    saved(path, 0.0)
    over = threading.Event()

    def write(mark: float) -> None:
        try:
            for k in range(15):
                saved(path, mark + k, overwrite=True, wait=60)
        except Exception as error:
            faults.append(error)

    def read() -> None:
        try:
            while not over.is_set():
                mark_of(path)
        except Exception as error:
            faults.append(error)

    writers = [threading.Thread(target=write, args=(100.0 * k,)) for k in range(3)]
    readers = [threading.Thread(target=read) for _ in range(3)]
    for each in (*writers, *readers):
        each.start()
    for each in writers:
        each.join()
    over.set()
    for each in readers:
        each.join()
    assert faults == []
    assert len(os.listdir(path)) == 3


@pytest.mark.parametrize("wait", [0.0, 60.0])
def test_of_two_first_saves_one_succeeds(tmp_path: Path, wait: float) -> None:
    gate, ends = threading.Barrier(2), {}

    def first(mark: float, path: Path) -> None:
        gate.wait()
        try:
            saved(path, mark, wait=wait)
            ends[mark] = "saved"
        except (BusyError, FileExistsError) as error:
            ends[mark] = type(error).__name__

    for k in range(15):
        path = tmp_path / "deep" / str(k) / "m"
        both = [threading.Thread(target=first, args=(mark, path)) for mark in (1.0, 2.0)]
        for each in both:
            each.start()
        for each in both:
            each.join()
        assert sorted(ends) == [1.0, 2.0]
        assert list(ends.values()).count("saved") == 1, ends
        assert ends[mark_of(path)] == "saved"
        if wait:
            assert "BusyError" not in ends.values()
        ends.clear()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("parent_dies", [False, True])
def test_a_forked_process_does_not_keep_the_lock(tmp_path: Path, parent_dies: bool) -> None:
    """The child lives on, and is not in the way, whether its parent does or not."""

    def fork_within(ready: Any, done: Any) -> None:
        with writing(tmp_path / "m"):
            child = processes.Process(target=done.wait)
            child.start()
            ready.set()
            if parent_dies:
                signal.pause()
        done.wait()
        child.join()

    processes = multiprocessing.get_context("fork")
    ready, done = processes.Event(), processes.Event()
    parent = processes.Process(target=fork_within, args=(ready, done))
    parent.start()
    ready.wait()
    if parent_dies:
        assert parent.pid is not None
        os.kill(parent.pid, signal.SIGKILL)
        parent.join()
    saved(tmp_path / "m", 1.0, wait=60)
    done.set()
    parent.join()
    assert mark_of(tmp_path / "m") == 1


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(descriptor: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(_lock, "_lock", none)
    with pytest.warns(UserWarning, match=r"m' is on a file system without locks \(No locks avail"):
        saved(tmp_path / "m", 1.0)
    assert mark_of(tmp_path / "m") == 1
    twin = tmp_path / f"p.csv{TEMPORARY}0123abcd"
    twin.write_text("another's, or left behind")
    write_atomically(tmp_path / "p.csv", b"new")
    assert twin.exists(), "whose it is cannot be told"


def test_a_save_that_fails_lets_the_lock_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    saved(tmp_path / "m", 1.0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            saved(tmp_path / "m", 2.0, overwrite=True)
    assert len(os.listdir(tmp_path / "m")) == 3
    saved(tmp_path / "m", 3.0, overwrite=True)
    assert mark_of(tmp_path / "m") == 3


# Readers ------------------------------------------------------------------------------------------


def test_a_reader_whose_model_went_and_came_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between model.json and the weights another model is written, then the first once more."""
    path, seen = tmp_path / "m", []
    saved(path, 1.0)
    opened = __import__("builtins").open

    def late(file: Any, *rest: Any, **options: Any) -> Any:
        if "weights-" in str(file) and not seen:
            seen.append(file)
            saved(path, 2.0, overwrite=True)
            Path(file).unlink(missing_ok=True)
            try:
                return opened(file, *rest, **options)
            finally:
                saved(path, 1.0, overwrite=True)
        return opened(file, *rest, **options)

    monkeypatch.setattr("builtins.open", late)
    assert mark_of(path) == 1
    assert seen


def test_a_file_that_is_missing_is_said_so(tmp_path: Path) -> None:
    saved(tmp_path / "m", 1.0)
    next((tmp_path / "m").glob("history-*")).unlink()
    with pytest.raises(ModelError, match=r"the file history-\w+\.json is missing"):
        load(tmp_path / "m")


# Permissions --------------------------------------------------------------------------------------


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps permissions elsewhere")
def test_permissions_of_a_model_stay(umask: None, tmp_path: Path) -> None:
    path = tmp_path / "m"
    saved(path, 1.0, report=b"1")
    assert [mode(each) for each in (path, *path.iterdir())] == [0o755] + [0o644] * 4
    path.chmod(0o700)
    for each in path.iterdir():
        each.chmod(0o600)
    saved(path, 2.0, report=b"2", overwrite=True)
    assert [mode(each) for each in (path, *path.iterdir())] == [0o700] + [0o600] * 4
    save_checkpoint(tmp_path / "c", network(), {}, {}, None)
    for each in (tmp_path / "c").iterdir():
        each.chmod(0o640)
    save_checkpoint(tmp_path / "c", network(1.0), {}, {}, None)
    assert {mode(each) for each in (tmp_path / "c").iterdir()} == {0o640}


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps permissions elsewhere")
@pytest.mark.parametrize("kept", [0o600, 0o664, 0o444])
def test_permissions_of_a_file_stay(umask: None, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "net.c"
    export(network(), path, "c")
    assert mode(path) == 0o644
    path.chmod(kept)
    export(network(1.0), path, "c", overwrite=True)
    assert mode(path) == kept


@pytest.mark.skipif(not hasattr(os, "fchown"), reason="files have no owner here")
def test_what_a_group_may_is_not_given_to_another(
    umask: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*arguments: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    path = tmp_path / "p.csv"
    path.write_text("old")
    path.chmod(0o660)
    monkeypatch.setattr(os, "fchown", denied)
    write_atomically(path, b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", 0o600)


def test_nobody_else_may_read_the_twin_meanwhile(umask: None, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("old")
    path.chmod(0o600)
    with staged(path, b"new"):
        assert {mode(each) for each in tmp_path.iterdir()} == {0o600}


# Temporary files ----------------------------------------------------------------------------------


def test_what_killed_writers_left_goes_and_a_living_ones_stays(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    dead = tmp_path / f"p.csv{TEMPORARY}0123abcd"
    others = [tmp_path / f"q.csv{TEMPORARY}0123abcd", tmp_path / f"p.csv{TEMPORARY}mine"]
    for each in (dead, *others):
        each.write_text("x")
    with staged(path, b"slow") as put:
        write_atomically(path, b"quick")
        assert not dead.exists()
        put()
    assert path.read_bytes() == b"slow"
    assert sorted(tmp_path.iterdir()) == sorted([path, *others])


@pytest.mark.parametrize("length", [230, 242, 243, 255])
def test_names_as_long_as_can_be(tmp_path: Path, length: int) -> None:
    path = tmp_path / ("x" * length)
    check_file(path)
    write_atomically(path, b"1")
    write_atomically(path, b"2")
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    with pytest.raises(OSError, match=r"no file can be written into '.*' \(File name too long\)"):
        check_file(tmp_path / ("x" * 256))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no other files here")
def test_what_is_no_plain_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileExistsError, match=r"cannot write '.*pipe': it is not a regular file"):
        check_file(tmp_path / "pipe", overwrite=True)


def test_trying_a_place_leaves_nothing(tmp_path: Path) -> None:
    check_destination(tmp_path / "deep" / "down" / "m")
    check_file(tmp_path / "deep" / "p.csv")
    assert list(tmp_path.iterdir()) == []


# The command line ---------------------------------------------------------------------------------

Run = Callable[..., Result]
ROWS = "x,y\n" + "".join(f"{k % 13},{'ab'[k % 13 > 6]}\n" for k in range(80))
TRAIN = ("train", "rows.csv", "--target", "y", "--hidden", "2", "--epochs", "1", "--ensemble", "1")


@pytest.fixture
def rows(here: None) -> None:
    Path("rows.csv").write_text(ROWS)


def test_train_waits_or_is_refused(
    rows: None, held: subprocess.Popen[str], tmp_path: Path, run: Run, refused: Callable[..., str]
) -> None:
    arguments = (*TRAIN, "--out", "m", "--overwrite", "-q")
    assert "'m' is being written by another process or thread; nothing" in refused(*arguments)
    assert "--wait must be a number of seconds" in refused(*arguments, "--wait", "-1")
    assert "for more than 0.05 seconds" in refused(*arguments, "--wait", "0.05")
    let_go(held)
    run(*arguments, "--wait", "60")
    assert load("m").classes_.tolist() == ["a", "b"]


def test_a_training_is_saved_elsewhere_and_it_is_said(
    rows: None, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody takes the name while the training goes on."""
    import pellucid.tables.fit

    fit = pellucid.tables.fit.fit

    def taken(*arguments: Any) -> Any:
        Path("m.pellucid").mkdir()
        Path("m.pellucid/letters.txt").write_text("dear Ann")
        return fit(*arguments)

    monkeypatch.setattr("pellucid.tables.fit.fit", taken)
    result = run(*TRAIN, "--out", "m.pellucid", code=2)
    (place,) = (each for each in Path().glob("m-*.pellucid"))
    assert "the training is done, but its model could not be saved: 'm.pellucid' is a" in (
        " ".join(result.stderr.split())
    )
    assert f"It is saved as '{place.absolute()}' instead." in " ".join(result.stderr.split())
    assert "mv " not in result.stderr  # it would put the model into that folder
    assert f"Predict: pellucid predict {place.absolute()} DATA" in result.stdout
    assert load(place).classes_.tolist() == ["a", "b"]
    assert os.listdir("m.pellucid") == ["letters.txt"]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("p.csv", ("predict", "m.pellucid", "rows.csv", "--out")),
        ("m.c", ("export", "m.pellucid", "--to", "c", "--out")),
    ],
)
def test_a_file_goes_to_the_temporary_folder_where_its_own_is_full(
    rows: None,
    run: Run,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    arguments: tuple[str, ...],
) -> None:
    run(*TRAIN, "--out", "m.pellucid", "-q")
    elsewhere, write = tmp_path_factory.mktemp("elsewhere"), os.write

    def full(descriptor: int, content: Any) -> int:
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith(f"{tmp_path}/") and any(content):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, content)

    if not Path("/proc/self/fd").exists():
        pytest.skip("no way to tell here which file is written")
    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    result = run(*arguments, name, code=2)
    (place,) = elsewhere.iterdir()
    assert f"could not be saved: '{name}': No space left on device. It is saved as" in (
        " ".join(result.stderr.split())
    )
    assert f"Once that is fixed: mv {place} {name}" in " ".join(result.stderr.split())
    assert place.stat().st_size > 500
    assert not Path(name).exists()


def test_a_name_too_long_is_refused_before_the_work(
    rows: None, refused: Callable[..., str]
) -> None:
    long = "x" * 300
    assert "File name too long" in refused(*TRAIN, "--out", f"{long}.pellucid", "-q")
    assert "File name too long" in refused("samples", "--write", "iris", f"{long}.csv")

"""What is interrupted: what stands there before, what is done, and what may stand there after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

import pellucid.report
from pellucid import Dense, Network, load, load_predictor, save, train
from pellucid.cli import app
from pellucid.errors import ModelError
from pellucid.export import export
from pellucid.persistence import load_checkpoint, read_folder

ROWS = "size,weight,kind\n" + "".join(
    f"{k % 17},{k * 7 % 23},{'ab'[k % 17 > 8]}\n" for k in range(120)
)
TRAINED = ("train", "rows.csv", "--target", "kind", "--hidden", "4", "--epochs", "2", "-q")
ONE = ("--ensemble", "1", "--out", "m.pellucid")


class BrokenError(AssertionError):
    """What must never be: neither the old nor the new, or something lost."""


@dataclass(frozen=True)
class Operation:
    """One way to write ``target``, in the working directory.

    ``before`` prepares what stands there; ``act`` writes, and returns "" or where its work went
    instead; ``state`` of such a place is "old" or "new", or BrokenError is raised;
    ``again`` writes once more.
    """

    target: str
    before: Callable[[], object]
    act: Callable[[], object]
    state: Callable[[str], str]
    again: Callable[[], object]


def network(mark: int) -> Network:
    """A network all of whose parameters are ``mark``."""
    made = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=3, seed=0)
    for array in made.parameters.values():
        array[...] = mark
    return made


def saved(mark: int, path: str | Path = "m.pellucid", **options: Any) -> None:
    """Save that network with a history, a report and an entry that bear its mark."""
    history = {"loss": [float(mark)]}
    save(network(mark), path, history=history, report=str(mark).encode(), mark=mark, **options)


def mark_of(path: str | Path) -> int:
    """Return the mark of a folder, all of whose parts must bear the same."""
    folder = read_folder(path)
    mark: int = folder.model["mark"]
    parts = [folder.document("history")["loss"][0]]
    parts += [float(x) for array in load(folder).parameters.values() for x in array.ravel()]
    if set(parts) != {float(mark)}:
        raise BrokenError(f"the parts of a model bear {sorted(set(parts))}; its mark is {mark}")
    return mark


def _exists(path: str) -> bool:
    try:
        load_predictor(path)
    except ModelError as error:
        if "no model folder" in str(error) or "it has no model.json" in str(error):
            return False
        raise
    return True


def _state_saved(path: str) -> str:
    if not _exists(path):
        return "old"
    mark = mark_of(path)
    report = Path(path, "report.html")
    if report.exists() and report.read_bytes() != str(mark).encode():
        raise BrokenError("the report is another model's")
    return "new" if mark else "old"


# The command line ---------------------------------------------------------------------------------


def command(*arguments: str) -> str:
    """Run a command; return the place that its work went to instead, and raise where it failed."""
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code == 0:
        return ""
    if result.exit_code != 2 or "Traceback" in result.output:
        raise BrokenError(f"exit status {result.exit_code}: {result.output}")
    if " is saved as '" in result.stderr:
        return result.stderr.partition(" is saved as '")[2].partition("'")[0]
    raise OSError(result.stderr.strip())


def trained(seed: int, *more: str) -> str:
    """Run ``pellucid train``; its report is one line here, as drawing it takes most of the time."""
    pellucid.report.report_html = lambda *_, **__: "<title>report</title>"
    Path("rows.csv").write_text(ROWS)
    return command(*TRAINED, *ONE, "--seed", str(seed), *more)


def _state_trained(path: str) -> str:
    model = load_predictor(path)
    if len(model.predict_proba([[1.0, 2.0]])[0]) != 2:
        raise BrokenError("the model does not predict")
    return "new" if model.settings["seed"] else "old"


def _before_predicting() -> None:
    trained(0)
    Path("p.csv").write_text("old")


def predicted() -> str:
    """Run ``pellucid predict --out``."""
    return command("predict", "m.pellucid", "rows.csv", "--out", "p.csv", "--overwrite")


def _state_predicted(path: str) -> str:
    text = Path(path).read_text()
    if text != "old" and len(text.splitlines()) != 121:
        raise BrokenError(f"p.csv holds {len(text.splitlines())} lines")
    return "old" if text == "old" else "new"


def _state_exported(path: str) -> str:
    text = Path(path).read_text()
    if text != "old" and not (text.startswith("/*") and text.rstrip().endswith("}")):
        raise BrokenError("m.c is cut off")
    return "old" if text == "old" else "new"


# Checkpoints --------------------------------------------------------------------------------------

EPOCHS = 5


def descended(epochs: int, **options: Any) -> Network:
    """Return a small network trained for so many epochs."""
    X = np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32)
    Y = (X.sum(axis=0) > 0).astype(np.float32)
    made = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=3, seed=0)
    train(made, X, Y, loss="binary_cross_entropy", epochs=epochs, n_threads=1, **options)
    return made


def _state_checkpoint(path: str) -> str:
    epoch = load_checkpoint(path)[1]["epoch"]
    resumed, unbroken = descended(EPOCHS, resume=path), descended(EPOCHS)
    for name, array in unbroken.parameters.items():
        if array.tobytes() != resumed.parameters[name].tobytes():
            raise BrokenError(f"resumed from epoch {epoch}, {name} has other bits")
    return "new" if epoch == EPOCHS else "old"


def _go_on() -> None:
    descended(EPOCHS, checkpoint="m.pellucid", resume="m.pellucid")


def _anew() -> None:
    descended(EPOCHS, checkpoint="m.pellucid")  # one that is at its end would write nothing


def _export() -> None:
    export(network(1), "m.c", "c", overwrite=True)


def _save() -> None:
    saved(1, overwrite=True)


def _state_plain(path: str) -> str:
    text = Path(path).read_text()
    if text not in ("old", "new" * 99):
        raise BrokenError(f"{len(text)} characters")
    return "old" if text == "old" else "new"


PLAIN = Operation(
    "plain.txt",
    lambda: Path("plain.txt").write_text("old"),
    lambda: Path("plain.txt").write_text("new" * 99) and None,
    _state_plain,
    lambda: Path("plain.txt").write_text("new" * 99),
)
"""A file that is written where it stands, which is found broken: so the trials do look."""

OPERATIONS = {
    "save, a new folder": Operation(
        "m.pellucid", lambda: None, lambda: saved(1), _state_saved, _save
    ),
    "save(overwrite=True)": Operation("m.pellucid", lambda: saved(0), _save, _state_saved, _save),
    "pellucid train --overwrite": Operation(
        "m.pellucid",
        lambda: trained(0),
        lambda: trained(1, "--overwrite"),
        _state_trained,
        lambda: trained(1, "--overwrite"),
    ),
    "checkpoints, and resuming": Operation(
        "m.pellucid",
        lambda: descended(1, checkpoint="m.pellucid") and None,
        _go_on,
        _state_checkpoint,
        _anew,
    ),
    "pellucid predict --out": Operation(
        "p.csv", _before_predicting, predicted, _state_predicted, predicted
    ),
    "export": Operation(
        "m.c", lambda: Path("m.c").write_text("old"), _export, _state_exported, _export
    ),
}

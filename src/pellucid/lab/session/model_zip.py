"""The experiment's network as a model folder in a zip file."""

from __future__ import annotations

import dataclasses
import io
import math
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from pellucid.history import History
from pellucid.lab.session.experiment import Experiment
from pellucid.layers import Dense
from pellucid.network import Network
from pellucid.persistence import save


def zipped(e: Experiment) -> tuple[str, bytes]:
    """Return the file's name and the zip of a model folder that load reads.

    Where the examples are a table's, the folder is a table's model: it has the columns' names and
    preprocessing, so that the commands read it too.
    """
    stem = re.sub(r"[^\w.-]+", "-", Path(e.dataset.title).stem).strip("-.") or "network"
    name = f"{stem[:60]}.pellucid"
    packed = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        _save(e, path)
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
            for file in sorted(path.iterdir()):
                out.write(file, f"{name}/{file.name}")
    return f"{name}.zip", packed.getvalue()


def knows_columns(e: Experiment) -> bool:
    """Whether what :func:`zipped` writes knows the columns of a table."""
    held = e.dataset.user_data
    return held is not None and held.columns is not None and e.settings.data.points is None


def _save(e: Experiment, path: Path) -> None:
    network, history = _healthy(e), _history(e)
    held, data = e.dataset.user_data, {"data": e.settings.to_dict()["data"]}
    if held is not None and held.columns is not None and knows_columns(e):
        settings = {"hidden_layer_sizes": network.n[1:-1], "seed": e.settings.seed}
        columns = dataclasses.replace(
            held.columns, networks=[network], settings=settings, histories=[history.to_dict()]
        )
        save(columns, path, lab=data)
        return
    names = {"inputs": list(e.dataset.inputs), "outputs": list(e.dataset.outputs)}
    entries: dict[str, Any] = {"lab": names | data}
    if held is not None and held.labels:
        several = e.dataset.task == "regression"
        kind = "multilabel-indicator" if several else e.dataset.task
        dtype = "object" if isinstance(held.labels[0], str) else type(held.labels[0]).__name__
        classes = {"dtype": dtype, "values": list(held.labels)}
        entries["fitted"] = {"classes_": classes, "target_type": kind}
    save(network, path, history=history, **entries)


def _healthy(e: Experiment) -> Network:
    """The network in layers of Pellucid's own, also where the experiment's are broken ones."""
    s = e.settings
    layers = [Dense(k.units, k.activation, dropout=k.dropout) for k in s.layers]
    made = Network([*layers, Dense(len(e.Y), s.output)], len(e.X), "zeros", s.seed)
    made.put_parameters(e.network.parameters | e.network.statistics)
    return made


def _history(e: Experiment) -> History:
    s = e.settings
    known = [k for k, epoch in enumerate(e.curves["epoch"]) if epoch]
    curves = {
        name: [values[k] for k in known]
        for name, values in e.curves.items()
        if name != "epoch" and known and not all(math.isnan(values[k]) for k in known)
    }
    names = ("loss", "optimizer", "learning_rate", "batch_size", "l1", "l2", "seed")
    settings = {name: getattr(s, name) for name in names} | {"epochs": e.epoch}
    engine, note = e.engine, e.engine_note
    message = f"trained in the lab for {e.step} steps"
    return History(curves, "finished", message, e.epoch, engine, note, settings)

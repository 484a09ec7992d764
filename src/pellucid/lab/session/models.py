"""A trained model in the lab: its network with what it has learned, on data of the user's.

The lab has one network of Dense layers in float32. Of an ensemble it takes the first; a Scale is
worked into the W behind it, W diag(s), which changes no answer beyond rounding.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import ModelError
from pellucid.lab.datasets import dataset
from pellucid.lab.session.experiment import MOST_PARAMETERS, Experiment
from pellucid.lab.session.model_data import drawn, from_table
from pellucid.lab.session.settings import LARGEST_SEED, Settings
from pellucid.lab.session.user_data import MOST_INPUTS, Model, Weights, add_weights
from pellucid.layers import Dense, Scale
from pellucid.network import Network
from pellucid.persistence import load_checkpoint, load_predictor, read_folder
from pellucid.persistence.predictor import NetworkPredictor
from pellucid.tables.model import TableModel

Floats = NDArray[Any]


def open_model(path: str, data: str | None = None, target: str | None = None) -> dict[str, Any]:
    """Return the experiment of a model folder, on a table where one is named.

    Without ``data`` inputs are drawn by chance where the model's own lay, and what is expected is
    what the model itself answers.

    Raises
    ------
    ModelError, DataError
        Where the folder or the table cannot be read, or the network is none that the lab shows.
    """
    model = read_model(path, Path(path).name)
    given = [os.path.abspath(path)]
    if data is not None:
        given += [data if data.startswith("sample:") else os.path.abspath(data)]
        given += [target] if target is not None else []
    call = f"open_model({', '.join(map(repr, given))})"
    recall = f"from pellucid.lab.session.models import open_model\n\n{call}\n"
    if data is None:
        return alone(model, recall)
    return experiment_of(model, {"name": from_table(model, data, target, recall).name}, recall)


def alone(model: Model, recall: str = "") -> dict[str, Any]:
    """Return the experiment of a model without a table: on what it was saved with, or drawn."""
    if model.data is not None:
        try:
            settings = Settings.read({"data": model.data}).data
            X, Y = settings.make()
            fits = (len(X), len(Y)) == model.n and dataset(settings.name).task == model.task
        except ValueError:
            fits = False
        if fits:
            return experiment_of(model, model.data, recall)
    return experiment_of(model, {"name": drawn(model, recall).name}, recall)


def experiment_of(model: Model, data: Mapping[str, Any], recall: str = "") -> dict[str, Any]:
    """Return a model on a data set, as :meth:`.Settings.read` takes it."""
    note = " ".join([f"Opened: {model.title}.", *model.notes])
    found = {
        "data": data,
        "layers": model.layers,
        "output": {"activation": model.output},
        **model.training,
        "model": add_weights(Weights(model.parameters, model, note, recall)),
    }
    try:
        made = Experiment(Settings.read(found))
    except ValueError as error:
        raise ModelError(f"the lab cannot show {model.title}: {error}") from None
    made.close()
    return made.settings.to_dict()


# Reading ------------------------------------------------------------------------------------------


def read_model(path: str | os.PathLike[str], title: str) -> Model:
    """Return the model of a folder of any kind that Pellucid writes."""
    folder = read_folder(path)
    if folder.model["kind"] == "checkpoint":
        network, training, _, _ = load_checkpoint(folder)
        history = training.get("history")
        return model_of(NetworkPredictor(network), title, _settings_of(history))
    predictor = load_predictor(folder)
    saved = folder.model.get("lab")
    history = folder.document("history") if "history" in folder.contents else {}
    settings = _settings_of(history[:1] if isinstance(history, list) else history)
    fitted = folder.model.get("fitted")
    fitted = fitted if isinstance(fitted, dict) else {}
    names = fitted.get("feature_names_in_", [])
    settings = settings or _of_drop_in(folder.model.get("parameters"))
    made = model_of(predictor, title, settings, names if isinstance(names, list) else [])
    made.data = saved.get("data") if isinstance(saved, dict) else None
    return made


def model_of(
    predictor: TableModel | NetworkPredictor,
    title: str,
    settings: Mapping[str, Any],
    features: Sequence[Any] = (),
) -> Model:
    """Return the model that predicts so; ``settings`` are those of its training's history."""
    networks = predictor.networks if isinstance(predictor, TableModel) else [predictor.network]
    if networks[0].n_parameters > MOST_PARAMETERS:
        raise ModelError(
            f"the lab cannot show {title}: it has {networks[0].n_parameters:,} parameters; up to "
            f"{MOST_PARAMETERS:,} are shown."
        )
    layers, output, parameters, notes = _dense(title, networks[0])
    if len(networks) > 1:
        notes.insert(0, f"It is network 1 of {len(networks)}; the model answers with their mean.")
    training, missing = _training(dict(settings), networks[0])
    if missing:
        notes.append(f"Here it trains without its {', '.join(missing)}.")
    if len(parameters["W1"][0]) > MOST_INPUTS:
        raise ModelError(
            f"the lab cannot show {title}: it has {len(parameters['W1'][0]):,} inputs; up to "
            f"{MOST_INPUTS} are shown."
        )
    if isinstance(predictor, TableModel):  # what is held is small: its columns and one network
        predictor = dataclasses.replace(predictor, networks=[], histories=[])
    named = len(features) == len(parameters["W1"][0])
    names = list(map(str, features)) if named else []
    return Model(title, predictor, layers, output, parameters, training, names, notes)


def _dense(
    title: str, network: Network
) -> tuple[list[dict[str, Any]], str, dict[str, NDArray[np.float32]], list[str]]:
    """The layers, the output's activation, W and b, and what is not as it was."""
    notes: list[str] = []
    layers: list[dict[str, Any]] = []
    parameters: dict[str, NDArray[np.float32]] = {}
    s: Floats | None = None
    for layer in network.layers:
        if type(layer) is Scale:
            s = layer.parameters["s"] if s is None else s * layer.parameters["s"]
            continue
        g = getattr(layer, "activation", None)
        plain = type(layer) is Dense and not layer.variant
        if not isinstance(layer, Dense) or not plain or g is None or not isinstance(g.spec(), str):
            what = f"the activation {g!r}" if plain else f"{layer!r:.120}"
            raise ModelError(
                f"the lab cannot show {title}: layer {layer.number} has {what}. It shows Dense "
                "layers without mask and each_step, with the activations as they stand in "
                "docs/catalogues.md."
            )
        W = layer.parameters["W"]
        if s is not None:
            W, s = W * s.T, None
            notes.append(f"Its scale of A[{layer.number - 1}] is folded into W[{layer.number}].")
        parameters[f"W{layer.number}"] = np.asarray(W, dtype=np.float32)
        parameters[f"b{layer.number}"] = layer.parameters["b"].astype(np.float32)
        layers.append({"units": layer.n_units, "activation": g.name, "dropout": layer.dropout})
    if network.dtype != np.float32:
        notes.append(f"Its {network.dtype} numbers are rounded to float32 here.")
    return layers[:-1], layers[-1]["activation"], parameters, notes


def _settings_of(history: Any) -> dict[str, Any]:
    """The settings of a history, or of the first of several."""
    history = history[0] if isinstance(history, list) and history else history
    found = history.get("settings") if isinstance(history, dict) else None
    return found if isinstance(found, dict) else {}


def _of_drop_in(parameters: Any) -> dict[str, Any]:
    """The settings of a drop-in; its history has none."""
    if not isinstance(parameters, dict):
        return {}
    batch_size = parameters.get("batch_size")
    solver = {"sgd": "nesterov"}.get(str(parameters.get("solver")), parameters.get("solver"))
    return {
        "optimizer": parameters.get("optimizer") or solver,
        "learning_rate": parameters.get("learning_rate_init"),
        "batch_size": {"auto": 200}.get(str(batch_size), batch_size),
    }


_LEFT_OUT = {"schedule": "constant", "label_smoothing": 0, "clip_norm": None, "clip_value": None}
"""Settings of a training that the lab does not have, and what stands for none of each."""


def _training(settings: dict[str, Any], network: Network) -> tuple[dict[str, Any], list[str]]:
    """Which settings the lab's own reader takes, and the names of those that it does not have."""
    missing = [name for name, none in _LEFT_OUT.items() if settings.get(name, none) != none]
    seed = settings.get("seed") or network.seed
    settings["seed"] = seed if isinstance(seed, int) and seed <= LARGEST_SEED else None
    factors = [layer.rate_factor("W") for layer in network.layers if type(layer) is Dense]
    rate = settings.get("learning_rate")
    if min(factors) != 1 and isinstance(rate, (int, float)):
        settings["learning_rate"] = rate * min(factors)
        missing.append("learning rate for each layer (the smallest is taken)")
    taken: dict[str, Any] = {}
    for name in ("optimizer", "learning_rate", "batch_size", "l1", "l2", "seed", "loss"):
        value = settings.get(name)
        if isinstance(value, dict):  # an entry with numbers of its own
            value = value.get("name")
            missing.append(f"{value!s:.20}'s own constants")
        try:
            Settings.read({**taken, name: value})
        except ValueError:
            missing.append(name.replace("_", " "))
        else:
            taken |= {} if value is None else {name: value}
    return taken, [name.replace("_", " ") for name in missing]

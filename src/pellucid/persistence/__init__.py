"""Models on disk: :func:`save` and :func:`load`, and checkpoints of a training.

:mod:`pellucid.persistence.folder` says what a model folder is; this module says what the objects
are that stand in it.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

import pellucid
from pellucid._catalogue import did_you_mean
from pellucid.checks import is_whole
from pellucid.errors import ModelError
from pellucid.layers import Layer, layer_from_dict
from pellucid.network import Network
from pellucid.persistence.folder import (
    MEND,
    MODEL_JSON,
    Arrays,
    ModelFolder,
    check_destination,
    read_folder,
    write_folder,
)
from pellucid.persistence.strict_json import decode, encode

__all__ = [
    "ModelError",
    "ModelFolder",
    "check_destination",
    "load",
    "load_checkpoint",
    "load_predictor",
    "network_from_model",
    "network_to_model",
    "networks_from_model",
    "networks_to_model",
    "read_folder",
    "save",
    "save_checkpoint",
    "write_folder",
]

MAX_LAYERS = 10_000
MAX_NETWORKS = 1000


def save(
    model: Any,
    path: str | os.PathLike[str],
    *,
    history: Any = None,
    report: bytes | None = None,
    overwrite: bool = False,
    wait: float = 0.0,
    **entries: Any,
) -> None:
    """Write a model to a folder, whole or not at all.

    One at a time writes a folder. Of two first saves at once without ``overwrite`` one succeeds,
    and the other raises BusyError or, where it comes later or waits, FileExistsError.

    Parameters
    ----------
    model : Network, estimator or TableModel
        Or any object whose ``to_folder()`` returns what :func:`write_folder` takes: the entries of
        model.json, the arrays and the documents.
    path : path
        The folder, by custom ``NAME.pellucid``. It must not exist, unless ``overwrite``.
    history : History, dict or None
        What :func:`pellucid.train` returned, to be kept beside the weights.
    report : bytes or None
        The folder's report.html, in UTF-8.
    overwrite : bool
        Replace the model that is there, with its permissions. A folder that holds anything else is
        always refused.
    wait : float
        Seconds to wait for another process or thread that is writing the folder.
    **entries
        Further entries of model.json, plain data.

    Raises
    ------
    FileExistsError
        Where something is there that must not be replaced.
    BusyError
        Where another is writing the folder, and after ``wait`` seconds still is.
    ModelError
        Where the model could not be loaded again, such as one with an activation of your own.

    Examples
    --------
    >>> from pellucid import Dense, Network, load
    >>> net = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=3, seed=0)
    >>> save(net, "small.pellucid")
    >>> load("small.pellucid")
    <Network 3-4-1, 21 parameters, float32>
    """
    if isinstance(model, Network):
        description, weights = network_to_model(model)
        contents: dict[str, Any] = {"kind": "network", "network": description}
        arrays: Mapping[str, Arrays] = {"weights": weights}
        documents: dict[str, Any] = {}
    elif hasattr(model, "to_folder"):
        contents, arrays, documents = model.to_folder()
    else:
        raise TypeError(
            f"save takes a Network, or an object with a method to_folder; got {model!r}. "
            "The model comes first: save(model, path)."
        )
    taken = [name for name in entries if name in contents]
    if taken:
        raise ValueError(
            f"save: {taken[0]!r} is an entry of model.json already; choose another name."
        )
    if history is not None:
        history = history.to_dict() if hasattr(history, "to_dict") else history
        documents = {**documents, "history": history}
    write_folder(
        path,
        {**contents, **entries},
        arrays=arrays,
        documents=documents,
        report=report,
        overwrite=overwrite,
        wait=wait,
    )


def load(path: str | os.PathLike[str] | ModelFolder) -> Any:
    """Return the model that :func:`save` wrote, bit for bit.

    Nothing in the folder is executed; the files are checked before the model is built. Where the
    model is replaced meanwhile, the result is the old one or the new.

    Raises
    ------
    ModelError
        Where the folder is not a whole model that this version can read; the message says why.

    Examples
    --------
    >>> from pellucid import Dense, Network
    >>> net = Network([Dense(1, "sigmoid")], n_inputs=2, seed=0)
    >>> save(net, "gate.pellucid")
    >>> bool((load("gate.pellucid").W[1] == net.W[1]).all())
    True
    """
    return _load(path, 0)


def load_predictor(path: str | os.PathLike[str] | ModelFolder) -> Any:
    """Return what predicts as the model of a folder does, importing numpy and safetensors alone.

    A model of a table becomes a :class:`~pellucid.tables.TableModel`; a network, an MLPClassifier
    or an MLPRegressor becomes a :class:`~pellucid.persistence.predictor.NetworkPredictor`. Both
    take rows, (m, n), a row an example, and have ``predict`` and ``predict_proba``, whose numbers
    are those of :func:`load`, bit for bit.

    Raises
    ------
    ModelError
        As :func:`load` does.

    Examples
    --------
    >>> from pellucid import Dense, Network
    >>> save(Network([Dense(1, "sigmoid")], n_inputs=2, initializer="zeros"), "half.pellucid")
    >>> load_predictor("half.pellucid").predict_proba([[0.0, 1.0]])
    array([[0.5, 0.5]], dtype=float32)
    """
    return _load(path, 1)


def _load(path: str | os.PathLike[str] | ModelFolder, form: int) -> Any:
    folder = read_folder(path)
    kind = folder.model["kind"]
    if kind == "checkpoint":
        raise ModelError(
            f"{folder.path} is a checkpoint, not a finished model. Go on from it with "
            f"train(..., resume={str(folder.path)!r}), or take its network: "
            "pellucid.persistence.load_checkpoint(path)[0]."
        )
    readers = pellucid._READERS
    if kind not in readers:
        raise ModelError(
            f"{folder.path} holds a model of the kind {kind!r}, which Pellucid "
            f"{pellucid.__version__} does not know{did_you_mean(kind, readers)}. "
            "If a newer Pellucid wrote it: pip install --upgrade pellucid."
        )
    reader = importlib.import_module(readers[kind][form])
    try:
        return reader.from_folder(folder)
    except (TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise folder.damaged(f"an entry is not one of those expected: {error}") from None


def from_folder(folder: ModelFolder) -> Network:
    """Return the network of a folder of the kind "network"."""
    return network_from_model(folder)


def save_checkpoint(
    path: str | os.PathLike[str],
    network: Network,
    training: Mapping[str, Any],
    state: Arrays,
    best: Arrays | None,
    *,
    wait: float = 0.0,
) -> None:
    """Write a training under way; an older checkpoint at this path is replaced, nothing else is.

    ``training`` is plain data; ``state`` holds the optimizer's arrays by name (v_W1, ...), ``best``
    the best parameters so far (W1, ...); ``wait`` is as in :func:`save`.
    """
    description, weights = network_to_model(network)
    slots = {f"state_{name}": array for name, array in state.items()}
    slots |= {f"best_{name}": array for name, array in (best or {}).items()}
    write_folder(
        path,
        {"kind": "checkpoint", "network": description},
        arrays={"weights": weights, "state": slots},
        documents={"training": training},
        overwrite=True,
        only="checkpoint",
        wait=wait,
    )


def load_checkpoint(
    path: str | os.PathLike[str] | ModelFolder,
) -> tuple[Network, dict[str, Any], dict[str, NDArray[Any]], dict[str, NDArray[Any]] | None]:
    """Return what :func:`save_checkpoint` got: network, training, state and best."""
    folder = read_folder(path)
    kind = folder.model["kind"]
    if kind != "checkpoint":
        raise ModelError(
            f"{folder.path} holds a model of the kind {kind!r}, not a checkpoint; expected a "
            "folder that train(..., checkpoint=path) wrote. A finished model is read with "
            "pellucid.load."
        )
    network = network_from_model(folder)
    training = folder.document("training")
    if not isinstance(training, dict):
        raise folder.damaged("its training document is not a JSON object")
    arrays = folder.arrays("state")
    found: dict[str, dict[str, NDArray[Any]]] = {"state": {}, "best": {}}
    for name in list(arrays):
        part, _, own = name.partition("_")
        if part not in found:
            raise folder.damaged(f"its state file holds an array {name!r:.60}")
        found[part][own] = np.array(arrays.pop(name), order="F")
    if found["best"]:
        shapes = {name: each.shape for name, each in network.parameters.items()}
        _check_arrays(folder, "best parameters", shapes, found["best"], network.dtype)
    return network, training, found["state"], found["best"] or None


def network_to_model(network: Network) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return a network as plain data and arrays; refuse what could not be read back."""
    for layer in network.layers:
        _check_known(layer)
    return network.to_dict(), dict(network.parameters)


def network_from_model(folder: ModelFolder) -> Network:
    """Return the network that ``model.json`` and the weights describe.

    The architecture is checked against the arrays that are really there before anything is built.
    """
    return _networks(folder, [""])[0]


def networks_to_model(networks: Sequence[Network]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return networks of one architecture as plain data and arrays, ``1.W1``, ..., ``2.W1``, ..."""
    described = [network_to_model(network) for network in networks]
    weights = {
        f"{k}.{name}": array
        for k, (_, arrays) in enumerate(described, start=1)
        for name, array in arrays.items()
    }
    return described[0][0], weights


def networks_from_model(folder: ModelFolder) -> list[Network]:
    """Return the networks of one architecture; ``networks`` in model.json is their number."""
    number = folder.entry("networks", int)
    if not 1 <= number <= MAX_NETWORKS:
        raise folder.damaged(f"it names {number} networks; expected 1 to {MAX_NETWORKS}")
    return _networks(folder, [f"{k}." for k in range(1, number + 1)])


def _networks(folder: ModelFolder, prefixes: list[str]) -> list[Network]:
    description = folder.entry("network", dict)
    where = f"{folder.path}: the network in {MODEL_JSON}"
    layers = _checked_description(where, description)
    weights = folder.arrays("weights")
    networks = []
    for prefix in prefixes:
        parameters = _taken(folder, layers, description, weights, prefix)
        try:
            networks.append(
                Network._around(layers, parameters, description["n_inputs"], description["seed"])
            )
        except (TypeError, ValueError) as error:
            raise ModelError(f"{where} is wrong: {error}") from None
    _check_arrays(folder, "weights", {}, weights, np.dtype(description["dtype"]))
    return networks


def _taken(
    folder: ModelFolder,
    layers: list[Layer],
    description: dict[str, Any],
    weights: dict[str, NDArray[Any]],
    prefix: str,
) -> list[dict[str, NDArray[Any]]]:
    """Each layer's parameters, taken out of ``weights``: what is there bounds what is made."""
    parameters = []
    shape: tuple[int, ...] = (description["n_inputs"],)
    number = 0
    for layer in layers:
        number += layer.computes_Z
        shapes = layer.parameter_shapes(shape)
        named = {f"{prefix}{letter}{number}": expected for letter, expected in shapes.items()}
        found = {name: weights[name] for name in named if name in weights}
        _check_arrays(folder, "weights", named, found, np.dtype(description["dtype"]))
        parameters.append(
            {k: np.array(weights.pop(f"{prefix}{k}{number}"), order="F") for k in shapes}
        )
        shape = layer.output_shape_for(shape)
    return parameters


def _check_known(layer: Layer) -> None:
    """Refuse a layer, or an activation, that loading would not find in the tables."""
    try:
        again = layer_from_dict(decode(encode(layer.to_dict())))
        same = type(again) is type(layer) and again.activation == layer.activation
    except (TypeError, ValueError):
        same = False
    if not same:
        g = "" if layer.activation is None else f" with the activation {layer.activation!r}"
        raise ModelError(
            f"{layer.where()}{g} cannot be saved: a model folder holds no code, so only layers and "
            "activations of Pellucid's own tables can be read back. Use one of those, or keep the "
            "arrays yourself: numpy.savez(path, **network.parameters)."
        )


def _checked_description(where: str, description: dict[str, Any]) -> list[Layer]:
    """The layers, without parameters; ModelError for anything that is not an architecture."""
    entries = description.get("layers")
    for name, holds, expected in (
        (
            "n_inputs",
            is_whole(description.get("n_inputs"), 1, 2**63),
            "a whole number of 1 or more",
        ),
        ("seed", is_whole(description.get("seed"), 0, 2**64 - 1), "a whole number below 2^64"),
        (
            "dtype",
            description.get("dtype") in ("float32", "float64"),
            "'float32' or 'float64'",
        ),
        (
            "layers",
            isinstance(entries, list) and 1 <= len(entries) <= MAX_LAYERS,
            f"a list of 1 to {MAX_LAYERS} layers",
        ),
    ):
        if not holds:
            shown = repr(description.get(name))
            raise ModelError(f"{where}: {name!r} should be {expected}; it is {shown[:60]}. {MEND}")
    layers = []
    for position, entry in enumerate(cast(list[Any], entries), start=1):
        try:
            if not isinstance(entry, dict):
                raise TypeError(f"expected an object, got {entry!r}")
            layers.append(layer_from_dict(entry))
        except (TypeError, ValueError, OverflowError) as error:
            raise ModelError(
                f"{where}: entry {position} of its layers is wrong: {error} {MEND}"
            ) from None
    return layers


def _check_arrays(
    folder: ModelFolder,
    kind: str,
    shapes: Mapping[str, tuple[int, ...]],
    found: Arrays,
    dtype: np.dtype[Any],
) -> None:
    """Refuse arrays whose names, shapes or dtypes are not those of the architecture."""
    for name in [*shapes, *(name for name in found if name not in shapes)]:
        wanted = f"{shapes[name]} {dtype.name}" if name in shapes else "absent"
        got = f"{found[name].shape} {found[name].dtype.name}" if name in found else "absent"
        if wanted != got:
            raise ModelError(
                f"{folder.path}: the {kind} do not match the architecture in {MODEL_JSON}: {name} "
                f"should be {wanted}, is {got}. {MEND}"
            )

"""Models on disk: :func:`save` and :func:`load`, and checkpoints of a training.

:mod:`pellucid.persistence.folder` says what a model folder is; this module says what the objects
are that stand in it.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

import pellucid
from pellucid._catalogue import did_you_mean
from pellucid.activations import ACTIVATIONS, Activation
from pellucid.checks import is_whole
from pellucid.errors import ModelError
from pellucid.layers import LAYERS, Layer, layer_from_dict
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

T = TypeVar("T")


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
        Where the model could not be loaded again: a layer of your own whose settings are no plain
        data, or whose name is that of another.

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


def load(
    path: str | os.PathLike[str] | ModelFolder,
    *,
    layers: Iterable[type[Layer]] = (),
    activations: Iterable[type[Activation]] = (),
) -> Any:
    """Return the model that :func:`save` wrote, bit for bit.

    Nothing in the folder is executed; the files are checked before the model is built. Where the
    model is replaced meanwhile, the result is the old one or the new.

    Parameters
    ----------
    path : path
        The folder.
    layers, activations : list of classes
        Those of your own that the model has; the folder names them, but holds no code, and nothing
        is imported by name.

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
    return _load(with_classes(path, layers, activations), 0)


def load_predictor(
    path: str | os.PathLike[str] | ModelFolder,
    *,
    layers: Iterable[type[Layer]] = (),
    activations: Iterable[type[Activation]] = (),
) -> Any:
    """Return what predicts as the model of a folder does, importing numpy and safetensors alone.

    A model of a table becomes a :class:`~pellucid.tables.TableModel`; a network, an MLPClassifier
    or an MLPRegressor becomes a :class:`~pellucid.persistence.predictor.NetworkPredictor`. Both
    take rows, (m, n), a row an example, and have ``predict`` and ``predict_proba``, whose numbers
    are those of :func:`load`, bit for bit. ``layers`` and ``activations`` are as there.

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
    return _load(with_classes(path, layers, activations), 1)


def with_classes(
    path: str | os.PathLike[str] | ModelFolder,
    layers: Iterable[type[Layer]],
    activations: Iterable[type[Activation]],
) -> ModelFolder:
    """Return a folder that was read, with classes of one's own to make its networks of."""
    folder = read_folder(path)
    own_layers = _by_name("layers", layers, Layer, LAYERS)
    own_activations = _by_name("activations", activations, Activation, ACTIVATIONS)
    return replace(
        folder,
        layers={**folder.layers, **own_layers},
        activations={**folder.activations, **own_activations},
    )


def _by_name(
    argument: str, classes: Iterable[type[T]], base: type[T], table: Mapping[str, type[T]]
) -> dict[str, type[T]]:
    """Classes of one's own by name; a name of the tables is the tables' own."""
    found: dict[str, type[T]] = {}
    kind, given = base.__name__, [classes] if isinstance(classes, type) else list(classes)
    for each in cast(list[Any], given):
        if not isinstance(each, type) or not issubclass(each, base) or each is base:
            raise ModelError(
                f"{argument}= takes classes that derive from {kind}, such as "
                f"{argument}=[My{kind}]; got {each!r}."
            )
        name = getattr(each, "name", "")
        if table.get(name) is each:
            continue
        if name in table or name in found:
            other = {**found, **table}[name].__name__
            raise ModelError(
                f"{each.__name__} has the name {name!r}, which is {other}'s. Give the class a name "
                "of its own."
            )
        found[name] = each
    return found


def _load(folder: ModelFolder, form: int) -> Any:
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
    *,
    layers: Iterable[type[Layer]] = (),
    activations: Iterable[type[Activation]] = (),
) -> tuple[Network, dict[str, Any], dict[str, NDArray[Any]], dict[str, NDArray[Any]] | None]:
    """Return what :func:`save_checkpoint` got: network, training, state and best.

    ``layers`` and ``activations`` are as :func:`load` takes them.
    """
    folder = with_classes(path, layers, activations)
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
    description = network.to_dict()
    for layer, entry in zip(network.layers, description["layers"], strict=True):
        if type(layer) is not LAYERS.get(layer.name):
            entry["class"] = type(layer).__name__  # so that a message can name what is missing
    return description, dict(network.parameters)


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
    layers = _checked_description(where, description, folder)
    weights = folder.arrays("weights")
    networks = []
    for prefix in prefixes:
        parameters = _taken(folder, layers, description, weights, prefix)
        start = description["n_inputs"], description["seed"], description["dtype"]
        try:
            networks.append(Network._around(layers, parameters, *start))
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
        shapes, after = _shapes(folder, layer, shape)
        named = {f"{prefix}{letter}{number}": expected for letter, expected in shapes.items()}
        found = {name: weights[name] for name in named if name in weights}
        _check_arrays(folder, "weights", named, found, np.dtype(description["dtype"]))
        parameters.append(
            {k: np.array(weights.pop(f"{prefix}{k}{number}"), order="F") for k in shapes}
        )
        shape = after
    return parameters


def _shapes(
    folder: ModelFolder, layer: Layer, shape: tuple[int, ...]
) -> tuple[dict[str, tuple[int, int]], tuple[int, ...]]:
    """The shapes of a layer's parameters and of its output."""
    if type(layer) is LAYERS.get(layer.name):
        return layer.parameter_shapes(shape), layer.output_shape_for(shape)
    try:
        return dict(layer.parameter_shapes(shape)), tuple(layer.output_shape_for(shape))
    except Exception as error:
        raise ModelError(
            f"{folder.path}: the class {type(layer).__name__} that was given does not fit: it "
            f"cannot say its shapes for inputs of shape {shape} ({_said(error)})."
        ) from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _check_known(layer: Layer) -> None:
    """Refuse a layer, or an activation, that loading could not make again."""
    g, name = layer.activation, type(layer).__name__
    try:
        own = _by_name("layers", [type(layer)], Layer, LAYERS)
        own_g = _by_name("activations", [type(g)] if g else [], Activation, ACTIVATIONS)
        described = decode(encode(layer.to_dict()))
        again = layer_from_dict(described, own, own_g)
        fault = ""
        if type(again) is not type(layer) or decode(encode(again.to_dict())) != described:
            fault = f"{name} made of its settings() has others"
        elif again.activation != g:
            fault = f"made of its settings() it has the activation {again.activation!r}"
    except Exception as error:
        fault = str(error) if isinstance(error, ModelError) else _said(error)
    if fault:
        with_g = "" if g is None else f" with the activation {g!r}"
        raise ModelError(
            f"{layer.where()}{with_g} cannot be saved: {fault.rstrip('.')}. A model folder holds a "
            "layer's name and settings as plain data, and no code. To keep the arrays yourself: "
            "numpy.savez(path, **network.parameters)."
        )


def _checked_description(
    where: str, description: dict[str, Any], folder: ModelFolder
) -> list[Layer]:
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
        here = f"{where}: entry {position} of its layers"
        try:
            if not isinstance(entry, dict):
                raise TypeError(f"expected an object, got {entry!r}")
            layers.append(_made(here, entry, folder))
        except _MissingClassError:
            raise
        except (TypeError, ValueError, OverflowError) as error:
            mend = "" if "load(path, " in str(error) else f" {MEND}"
            raise ModelError(f"{here} is wrong: {error}{mend}") from None
    return layers


class _MissingClassError(ModelError):
    """A folder names a class of somebody's own, and nobody gave it."""


def _made(here: str, entry: dict[str, Any], folder: ModelFolder) -> Layer:
    """A layer as described; what a class of one's own raises becomes a ValueError."""
    description = dict(entry)
    name, own_class = entry.get("layer"), description.pop("class", None)
    own = folder.layers.get(name) if isinstance(name, str) else None
    if own_class is not None and own is None:
        raise _MissingClassError(
            f"{here} is a {own_class!s:.60}, which is none of Pellucid's layers, and a model "
            f"folder holds no code. Give its class: load(path, layers=[{own_class!s:.60}])."
        )
    try:
        return layer_from_dict(description, folder.layers, folder.activations)
    except Exception as error:
        if str(error).startswith("unknown activation"):
            raise ValueError(
                f"{error} One of your own is given as a class: load(path, activations=[...])."
            ) from None
        if own is not None:
            raise ValueError(
                f"the class {own.__name__} that was given does not take its settings "
                f"({_said(error)})"
            ) from error
        raise


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

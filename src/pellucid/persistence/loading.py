"""load: the model of a folder, what predicts as it does, or a training under way."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pellucid
from pellucid._catalogue import did_you_mean
from pellucid.activations import ACTIVATIONS, Activation
from pellucid.errors import ModelError
from pellucid.layers import LAYERS, Layer
from pellucid.network import Network
from pellucid.persistence.folder import ModelFolder, read_folder
from pellucid.persistence.networks import by_name, check_arrays, network_from_model


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
    >>> from pellucid import Dense, Network, save
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
    >>> from pellucid import Dense, Network, save
    >>> save(Network([Dense(1, "sigmoid")], n_inputs=2, initializer="zeros"), "half.pellucid")
    >>> load_predictor("half.pellucid").predict_proba([[0.0, 1.0]])
    array([[0.5, 0.5]], dtype=float32)
    """
    return _load(with_classes(path, layers, activations), 1)


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
        arrays_of = network.parameters | network.statistics
        shapes = {name: each.shape for name, each in arrays_of.items()}
        check_arrays(folder, "best parameters", shapes, found["best"], network.dtype)
    return network, training, found["state"], found["best"] or None


def with_classes(
    path: str | os.PathLike[str] | ModelFolder,
    layers: Iterable[type[Layer]],
    activations: Iterable[type[Activation]],
) -> ModelFolder:
    """Return a folder that was read, with classes of one's own to make its networks of."""
    folder = read_folder(path)
    own_layers = by_name("layers", layers, Layer, LAYERS)
    own_activations = by_name("activations", activations, Activation, ACTIVATIONS)
    return replace(
        folder,
        layers={**folder.layers, **own_layers},
        activations={**folder.activations, **own_activations},
    )


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

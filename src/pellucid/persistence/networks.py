"""Networks as plain data and arrays, and back: what a folder says is checked before it is built."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from pellucid.activations import ACTIVATIONS, Activation
from pellucid.checks import is_whole
from pellucid.errors import ModelError
from pellucid.layers import LAYERS, Layer, layer_from_dict, with_layers
from pellucid.layers.chain import MOST_DEEP, leaves, walk
from pellucid.network import Network
from pellucid.persistence.folder import MEND, MODEL_JSON, Arrays, ModelFolder
from pellucid.persistence.strict_json import decode, encode

MAX_LAYERS = 10_000
MAX_NETWORKS = 1000

_DEEPEST = 5 * MOST_DEEP
"""Dicts and lists inside each other: of a layer inside another there are up to three."""

T = TypeVar("T")


def by_name(
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


def from_folder(folder: ModelFolder) -> Network:
    """Return the network of a folder of the kind "network"."""
    return network_from_model(folder)


def network_to_model(network: Network) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return a network as plain data and arrays; refuse what could not be read back."""
    every = list(walk(network.layers))
    for layer in every:
        _check_known(layer)
    own = {k.name: type(k).__name__ for k in every if type(k) is not LAYERS.get(k.name)}
    description = network.to_dict()
    for entry in described(description["layers"]):
        if entry["layer"] in own:
            entry["class"] = own[entry["layer"]]  # so that a message can name what is missing
    return description, network.parameters | network.statistics


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
    if "n_inputs" in description:  # format 1
        description = {**description, "input_shape": [description["n_inputs"]]}
    layers = _checked_description(where, description, folder)
    shape = tuple(description["input_shape"])
    _place(folder, where, layers, shape)
    weights = folder.arrays("weights")
    networks = []
    for prefix in prefixes:
        arrays = _taken(folder, leaves(layers), description, weights, prefix)
        try:
            made = Network._around(
                layers, [own for own, _ in arrays], shape, description["seed"], description["dtype"]
            )
        except (TypeError, ValueError) as error:
            raise ModelError(f"{where} is wrong: {error}") from None
        for layer, (_, statistics) in zip(made.leaves, arrays, strict=True):
            layer.statistics = statistics
        networks.append(made)
    check_arrays(folder, "weights", {}, weights, np.dtype(description["dtype"]))
    return networks


Named = dict[str, NDArray[Any]]


def _taken(
    folder: ModelFolder,
    layers: list[Layer],
    description: dict[str, Any],
    weights: Named,
    prefix: str,
) -> list[tuple[Named, Named]]:
    """Each layer's parameters and statistics, out of ``weights``: what is there bounds them."""
    found = []
    for layer in layers:
        parts = []
        for shapes in (layer.parameter_shapes, layer.statistic_shapes):
            letters = dict(shapes(layer.input_shape))
            named = {f"{prefix}{k}{layer.number}": shape for k, shape in letters.items()}
            there = {name: weights[name] for name in named if name in weights}
            check_arrays(folder, "weights", named, there, np.dtype(description["dtype"]))
            arrays = (np.array(weights.pop(name), order="F") for name in named)
            parts.append(dict(zip(letters, arrays, strict=True)))
        found.append((parts[0], parts[1]))
    return found


def _place(folder: ModelFolder, where: str, layers: list[Layer], shape: tuple[int, ...]) -> None:
    """Give the layers their shapes, in which nothing is allocated yet."""
    number = 0
    for layer in layers:
        own = [type(each) for each in walk([layer]) if type(each) is not LAYERS.get(each.name)]
        try:
            layer.place(shape, number + layer.computes_Z)
            for leaf in leaves([layer]):
                dict(leaf.parameter_shapes(leaf.input_shape))
        except Exception as error:
            if not own:
                raise ModelError(f"{where} is wrong: {error} {MEND}") from None
            names = " or ".join(dict.fromkeys(each.__name__ for each in own))
            raise ModelError(
                f"{folder.path}: the class {names} that was given does not fit: it cannot say its "
                f"shapes for inputs of shape {shape} ({_said(error)})."
            ) from error
        shape, number = tuple(layer.output_shape), layer.number


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _check_known(layer: Layer) -> None:
    """Refuse a layer, or an activation, that loading could not make again.

    Of a layer that holds others these have been found to be known before.
    """
    g, name, every = layer.activation, type(layer).__name__, list(walk([layer]))
    functions = [each.activation for each in every if each.activation is not None]
    try:
        own = by_name("layers", dict.fromkeys(map(type, every)), Layer, LAYERS)
        own_g = by_name("activations", dict.fromkeys(map(type, functions)), Activation, ACTIVATIONS)
        entry = decode(encode(layer.to_dict()))
        again = layer_from_dict(entry, own, own_g)
        fault = ""
        if type(again) is not type(layer) or decode(encode(again.to_dict())) != entry:
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
            "input_shape",
            _is_shape(description.get("input_shape")),
            "a list of one to four whole numbers of 1 or more",
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
    try:
        count = sum(1 for _ in described(entries))
    except ValueError as error:
        raise ModelError(f"{where} is wrong: {error} {MEND}") from None
    if count > MAX_LAYERS:
        raise ModelError(
            f"{where}: 'layers' should be at most {MAX_LAYERS} layers, those inside of others "
            f"counted; they are {count}. {MEND}"
        )
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


def _is_shape(given: Any) -> bool:
    return (
        isinstance(given, list)
        and 1 <= len(given) <= 4
        and all(is_whole(each, 1, 2**63) for each in given)
        and math.prod(given) < 2**63
    )


def described(entries: Any) -> Iterator[dict[str, Any]]:
    """Yield the description of each layer in plain data, and of those inside; refuse deep ones.

    >>> [each["layer"] for each in described([{"layer": "a", "layers": [{"layer": "b"}]}])]
    ['a', 'b']
    """
    waiting = [(entries, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError(f"layers may stand {MOST_DEEP} deep inside each other.")
        if isinstance(value, dict) and "layer" in value:
            yield value
        parts = value.values() if isinstance(value, dict) else value
        waiting += [(each, depth + 1) for each in parts if isinstance(each, (dict, list))]


class _MissingClassError(ModelError):
    """A folder names a class of somebody's own, and nobody gave it."""


def _made(here: str, entry: dict[str, Any], folder: ModelFolder) -> Layer:
    """A layer as described; what a class of one's own raises becomes a ValueError."""

    def inside(setting: str, entry: Mapping[str, Any]) -> Layer:
        try:
            return _made(f"{here}, in its {setting!r:.60},", dict(entry), folder)
        except _MissingClassError:
            raise
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"in its {setting!r:.60}: {error}") from None

    description = {
        setting: with_layers(value, partial(inside, setting)) for setting, value in entry.items()
    }
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


def check_arrays(
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

"""The steps of a scikit-learn pipeline before its network, as a part of an ONNX graph.

What is a line in :data:`pellucid.export.pipelines.ARITHMETIC` is written out; everything else is
skl2onnx's to convert, step by step, so that a message names the step.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from pellucid.errors import MissingPackageError, ModelError
from pellucid.export.exported import Exported
from pellucid.export.graph import ML, OPSETS, Graph
from pellucid.export.into_skl2onnx import inputs_of, write_into
from pellucid.export.pipelines import Operation, arithmetic
from pellucid.export.value import XP, Value
from pellucid.tables.values import as_objects, text_of


def transform(graph: Graph, exported: Exported) -> Value:
    """Add the inputs and the steps of a pipeline; return what the network takes, (n[0], m)."""
    x = [graph.input(name, rows.dtype, (rows.shape[1], "m")) for name, rows in exported.x.items()]
    later = [getattr(step, "n_features_in_", "n") for _, step in exported.steps[1:]]
    widths = [*later, exported.networks[0].n_inputs]
    for (name, step), n in zip(exported.steps, widths, strict=True):
        done = arithmetic(step)
        if done is not None and len(x) == 1 and x[0].dtype.kind == "f":
            x = [compute(x[0], done)]
        else:
            x = [_convert(graph, name, step, x, n)]
    return x[0]


def compute(x: Value, operations: list[Operation]) -> Value:
    """Do what :func:`~pellucid.export.pipelines.arithmetic` lists to the rows of x, (n, m)."""
    for what, numbers in operations:
        value = numbers[:, np.newaxis]
        if what == "fill":
            x = XP.where(x.alone("IsNaN", bool), value, x)
        else:
            x = _OPERATIONS[what](x, value)
    return x


_OPERATIONS: dict[str, Any] = {
    "-": lambda x, value: x - value,
    "/": lambda x, value: x / value,
    "*": lambda x, value: x * value,
    "+": lambda x, value: x + value,
    "max": XP.maximum,
    "min": XP.minimum,
}


def _convert(graph: Graph, name: str, step: Any, x: list[Value], n: int | str) -> Value:
    """Add what skl2onnx makes of a step that takes these values."""
    try:
        import skl2onnx
        from skl2onnx.common import data_types
    except ImportError:
        raise MissingPackageError(
            f"exporting the step {name!r} ({type(step).__name__}) of a pipeline to ONNX needs the "
            "package skl2onnx: pip install 'pellucid[onnx]'"
        ) from None
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder

    own = {SimpleImputer: _convert_imputer, OneHotEncoder: _convert_one_hot}
    as_type = {
        "float32": data_types.FloatTensorType,
        "float64": data_types.DoubleTensorType,
        "int64": data_types.Int64TensorType,
        "object": data_types.StringTensorType,
    }
    types = [(each.name, as_type[each.dtype.name]([None, each.shape[0]])) for each in x]
    try:
        model = skl2onnx.convert_sklearn(
            step, name, types, target_opset=OPSETS, custom_conversion_functions=own
        )
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # whatever a converter raises
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise ModelError(
            f"skl2onnx {skl2onnx.__version__} cannot convert the step {name!r} "
            f"({type(step).__name__}): {reason}. Replace the step, or do it before the exported "
            f"file and export the steps after it alone.{_hint(x)}"
        ) from None
    read = {each for node in model.graph.node for each in node.input}
    given = {theirs.name: ours for theirs, ours in zip(model.graph.input, x, strict=True)}
    taken = {each: value for each, value in given.items() if each in read}
    unread = {value.name for each, value in given.items() if each not in read}
    graph.inputs = [each for each in graph.inputs if each.name not in unread]
    return graph.embed(model, taken, name, n)


def _hint(x: list[Value]) -> str:
    if all(each.dtype != np.float64 for each in x):
        return ""
    return (
        " If it takes texts, or only float32, a few rows show the type: "
        "export(..., X=X[:10].astype('float32'))."
    )


# Steps that skl2onnx converts otherwise than scikit-learn computes --------------------------------


def _convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    """A SimpleImputer of any type: ONNX's own Imputer is of float32 in onnxruntime."""
    imputer = operator.raw_operator
    graph = Graph(container.target_opset_any_domain(""))
    x = graph.concatenate(inputs_of(graph, operator))
    missing, fill = _is_missing(x, imputer.missing_values), imputer.statistics_
    filled = _texts(fill) if x.dtype == object else fill.astype(x.dtype)
    imputed = XP.where(missing, filled[:, np.newaxis], x)
    imputed = _rows(imputed, np.flatnonzero(fill == fill))  # NaN: all was missing, it is left out
    if imputer.add_indicator:
        shown = _rows(missing, imputer.indicator_.features_)
        imputed = graph.concatenate([imputed, shown.astype(x.dtype)])
    graph.output("imputed", imputed)
    operator.outputs[0].type.shape = [None, imputed.shape[0]]
    write_into(graph, scope, operator, container)


def _is_missing(x: Value, missing: Any) -> Value:
    if x.dtype != object:
        return x.alone("IsNaN", bool) if missing != missing else x == missing
    is_it = x.graph.add(
        "LabelEncoder",
        x,
        dtype=np.int64,
        shape=x.shape,
        domain=ML,
        keys_strings=[missing if isinstance(missing, str) else ""],
        values_int64s=[1],
        default_int64=0,
    )
    return is_it.astype(bool)


def _rows(x: Value, places: NDArray[Any]) -> Value:
    if len(places) == x.shape[0]:
        return x
    shape = (len(places), *x.shape[1:])
    return x.graph.add("Gather", x, x.graph.constant(places), dtype=x.dtype, shape=shape, axis=1)


def _convert_one_hot(scope: Any, operator: Any, container: Any) -> None:
    """A OneHotEncoder; what scikit-learn knows as a missing text is "" in ONNX, not "nan"."""
    from skl2onnx.operator_converters.one_hot_encoder import convert_sklearn_one_hot_encoder

    encoder = copy.copy(operator.raw_operator)
    encoder.categories_ = [
        _texts(known) if known.dtype == object else known for known in encoder.categories_
    ]
    operator.raw_operator = encoder
    convert_sklearn_one_hot_encoder(scope, operator, container)


def _texts(values: NDArray[Any]) -> NDArray[Any]:
    """Texts, "" in place of None and NaN; whole numbers among them as ONNX writes them."""
    return as_objects([text_of(each) or "" for each in values])

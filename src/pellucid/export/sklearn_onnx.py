"""MLPClassifier and MLPRegressor within skl2onnx: their converter.

:func:`register` is called as skl2onnx is imported where pellucid.export was, or the other way
round. The graph is the one that export writes, so it takes any activation.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from pellucid.errors import ModelError
from pellucid.export.exported import Exported, exported
from pellucid.export.graph import OLDEST, Graph
from pellucid.export.into_skl2onnx import dtype_of, inputs_of, write_into
from pellucid.export.onnx import forward, label, probabilities

OPTIONS = {
    "zipmap": [True, False, "columns"],
    "output_class_labels": [False, True],
    "nocl": [True, False],
}
"""What may be asked of a classifier, as of scikit-learn's MLPClassifier."""


def register() -> None:
    """Make MLPClassifier and MLPRegressor known to skl2onnx."""
    from skl2onnx import update_registered_converter

    from pellucid.estimators import MLPClassifier, MLPRegressor

    for estimator, options in ((MLPClassifier, OPTIONS), (MLPRegressor, None)):
        alias = f"Pellucid{estimator.__name__}"
        update_registered_converter(estimator, alias, _set_types, _convert, options=options)


def _set_types(operator: Any) -> None:
    """Tell skl2onnx the types and shapes of the outputs: as those of its own MLPs."""
    from skl2onnx.common import data_types as types

    m, known = operator.inputs[0].get_first_dimension(), _known(operator)
    n, real = known.networks[0].n[-1], type(operator.outputs[-1].type)
    if "SklearnZipMap" in _takers(operator):
        real = types.FloatTensorType  # onnxruntime makes dicts of float32 alone
    if known.answer == "regression":
        operator.outputs[0].set_type(real([m, n]))
        return
    of_texts = known.classes is not None and known.classes.dtype.kind in "OU"
    of_label = types.StringTensorType if of_texts else types.Int64TensorType
    columns = 1 if _names_one_class(operator) else max(n, 2)
    operator.outputs[0].set_type(of_label([m, n] if known.answer == "multilabel" else [m]))
    operator.outputs[1].set_type(real([m, columns]))


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Write the network down: in double where an input is of doubles, in float where of floats."""
    known, opset = _known(operator), container.target_opset_any_domain("")
    if opset < OLDEST:
        raise ModelError(
            f"{type(operator.raw_operator).__name__} can be converted to opset {OLDEST} (ONNX 1.8) "
            f"and newer; got target_opset={opset}."
        )
    graph = Graph(opset)
    inputs = inputs_of(graph, operator)
    floats = [each.dtype for each in inputs if each.dtype.kind == "f"]
    dtype = np.result_type(*floats) if floats else known.dtype
    A = forward(
        graph, known.networks[0], graph.concatenate([each.astype(dtype) for each in inputs])
    )
    answers = [A]
    if known.answer != "regression":
        p = 1 - A if _names_one_class(operator) else probabilities(known, A)
        answers = [label(known, A), p]
    for variable, answer in zip(operator.outputs, answers, strict=True):
        graph.output("answer", answer.astype(dtype_of(variable)))
    write_into(graph, scope, operator, container)


def _known(operator: Any) -> Exported:
    """The estimator, its labels as skl2onnx has them: int64 or text, with ``nocl`` numbers."""
    model = operator.raw_operator
    known = exported(model)
    if known.classes is None:
        return known
    classes = known.classes
    if operator.scope_inst.get_options(model, {"nocl": False})["nocl"]:
        classes = np.unique(classes, return_inverse=True)[1]
    elif classes.dtype.kind not in "OU":
        classes = classes.astype(np.int64)
    return dataclasses.replace(known, classes=classes)


def _takers(operator: Any) -> set[str]:
    """What takes the last output, the probabilities."""
    return {each.type for each in operator.outputs[-1].operators_inputs_}


def _names_one_class(operator: Any) -> bool:
    """Whether there is a single class whose name is put to its probability: no second then."""
    named = any(each.startswith("SklearnZipMap") for each in _takers(operator))
    return named and len(operator.raw_operator.classes_) == 1

"""From our graphs to skl2onnx's, where it converts a step or an estimator of ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from pellucid.export.graph import Graph
from pellucid.export.value import Value


def inputs_of(graph: Graph, operator: Any) -> list[Value]:
    """The inputs of an operator as inputs of a graph."""
    return [
        graph.input("X", dtype_of(each), (each.get_second_dimension() or "n", "m"))
        for each in operator.inputs
    ]


def dtype_of(variable: Any) -> np.dtype[Any]:
    """The dtype of an operator's input or output."""
    number = variable.type.to_onnx_type().tensor_type.elem_type
    dtype: np.dtype[Any] = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number))
    return dtype


def write_into(graph: Graph, scope: Any, operator: Any, container: Any) -> None:
    """Copy a graph into skl2onnx's: an operator's inputs and outputs are its, in their order."""
    mine, theirs = graph.inputs + graph.outputs, [*operator.inputs, *operator.outputs]
    names = {one.name: other.full_name for one, other in zip(mine, theirs, strict=True)}

    def renamed(name: str) -> Any:
        if name not in names:
            names[name] = scope.get_unique_variable_name(name)
        return names[name]

    for tensor in graph.initializers:
        tensor.name = renamed(tensor.name)
        container.initializers.append(tensor)
    for node in graph.nodes:
        container.add_node(
            node.op_type,
            [renamed(name) for name in node.input],
            [renamed(name) for name in node.output],
            op_domain=node.domain,
            name=scope.get_unique_operator_name(node.op_type),
            **{each.name: onnx.helper.get_attribute_value(each) for each in node.attribute},
        )

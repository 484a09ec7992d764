"""C: the whole model as one self-contained file of C99, for the smallest processors.

It needs ``math.h`` alone and allocates nothing. The weights stand in it as constants, with digits
enough to make them again to the bit. An activation brings its own C form; a kind of column has one
in :mod:`pellucid.export.c_columns`.
"""

from __future__ import annotations

import dataclasses
import math
import re
import textwrap
from collections.abc import Sequence
from typing import Any

import pellucid
from pellucid.activations import Activation
from pellucid.errors import ModelError, SettingsError
from pellucid.export.c_text import array, comment, literal, real, typed
from pellucid.export.exported import Exported
from pellucid.export.pipelines import ARITHMETIC, arithmetic
from pellucid.layers import Dense, Layer, Scale
from pellucid.network import Network

LARGEST = 100_000_000
"""The most bytes of weights, written out; beyond this compilers give up."""

_C = {"float32": "float", "float64": "double"}

_BYTES = {"float32": 14, "float64": 22}
"""What a written number takes, about."""

_LAYER = """\
/* Z[l] = W[l] A[l-1] + b[l]: W has a row for each of the n units, a column for each of the n_prev
   units before them. */
static void layer(const real *W, const real *b, const real *A_prev, real *Z, int n, int n_prev)
{
    int i, j;
    for (i = 0; i < n; i++) {
        real z = b[i];
        for (j = 0; j < n_prev; j++) z += W[(long)i * n_prev + j] * A_prev[j];
        Z[i] = z;
    }
}
"""
_SCALE = """\
/* s * A: each unit times a number of its own. */
static void scale(const real *s, const real *A, real *scaled, int n)
{
    int i;
    for (i = 0; i < n; i++) scaled[i] = s[i] * A[i];
}
"""


def content(exported: Exported) -> bytes:
    """Return the C file of a model.

    >>> from pellucid.export.exported import exported
    >>> net = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=3, seed=0)
    >>> "void pellucid_predict(const float *x, float *y)" in content(exported(net)).decode()
    True
    """
    _check(exported)
    networks, dtype = exported.networks, exported.dtype.name
    layers = networks[0].layers
    code, described = "", exported.inputs
    if exported.preprocessing is not None:
        from pellucid.export.c_columns import preprocess

        code, described = preprocess(exported.preprocessing)
    elif exported.steps:
        code = _steps(exported)
    names = _function_names(layer.activation for layer in layers)
    parts = [
        _header(exported, described),
        code,
        typed(_LAYER, dtype),
        typed(_SCALE, dtype) if any(isinstance(layer, Scale) for layer in layers) else "",
        *(typed(_function(g, name), dtype) for g, name in names.items()),
        *(
            _network(net, names, ending)
            for net, ending in zip(networks, _endings(exported), strict=True)
        ),
        _predict(exported),
        _label(exported),
    ]
    return "\n".join(part for part in parts if part).encode("ascii")


def _check(exported: Exported) -> None:
    """Refuse what has no C form, and weights that make too long a file."""
    if exported.lengths:
        raise SettingsError(("lengths", "are for ONNX; a C file takes all numbers of x."))
    for name, step in exported.steps:
        if arithmetic(step) is None:
            raise ModelError(
                f"the step {name!r} ({type(step).__name__}) has no C form; {', '.join(ARITHMETIC)} "
                "have one, the imputer for numbers whose missing values are NaN. Export the "
                "pipeline to ONNX, or do the step before the exported file and export the steps "
                "after it alone."
            )
    if wrong := [_named(each) for each in exported.networks[0].layers if not _has_c_form(each)]:
        others = [f"{len(wrong) - _MOST} more layers"] if len(wrong) > _MOST else []
        raise ModelError(
            f"{', '.join([*wrong[:_MOST], *others])} cannot be exported to C: that takes Dense "
            "(without each_step) and Scale, and activations with a C form (c_form). Use those, or "
            "ONNX, which takes whatever computes with the array API."
        )
    numbers = sum(network.n_parameters for network in exported.networks)
    size = numbers * _BYTES[exported.dtype.name]
    if size > LARGEST:
        raise ModelError(
            f"{numbers:,} parameters would make a C file of about {size / 1e6:,.0f} MB; beyond "
            f"{LARGEST / 1e6:.0f} MB compilers give up. Export the model to ONNX, or take fewer "
            "units."
        )


_MOST = 6
"""Layers that a message names."""


def _has_c_form(layer: Layer) -> bool:
    g = layer.activation
    plain = type(layer) in (Dense, Scale) and not getattr(layer, "each_step", False)
    return plain and (g is None or g.c_form is not None)


def _named(layer: Layer) -> str:
    g = layer.activation
    own = "" if g is None or g.c_form is not None else f" with the activation {g!r}"
    return f"{layer.where()}{own}"


# The parts of the file ----------------------------------------------------------------------------


def _header(exported: Exported, described: Sequence[str]) -> str:
    """What the file is, and its declarations."""
    outputs, (real_x, real_y) = _outputs(exported), _types(exported)
    lines = [
        *_told(exported, described, outputs),
        "",
        "#include <math.h>",
        "",
        f"#define PELLUCID_INPUTS {_count_of_x(exported)}",
        f"#define PELLUCID_OUTPUTS {len(outputs)}",
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        f"void pellucid_predict(const {real_x} *x, {real_y} *y);",
    ]
    if exported.answer in ("binary", "multiclass"):
        lines.append(f"int pellucid_label(const {real_y} *y);")
        lines.append("extern const char *const pellucid_classes[PELLUCID_OUTPUTS];")
    return "\n".join([*lines, "#ifdef __cplusplus", "}", "#endif", ""])


def _told(exported: Exported, described: Sequence[str], outputs: Sequence[str]) -> list[str]:
    """The comment at the head of the file."""
    network, several = exported.networks[0], len(exported.networks)
    what = f"{several} neural networks, each" if several > 1 else "A neural network,"
    mean = f"; y is the mean of the {several} networks" if several > 1 else ""
    first = "the preprocessed x" if _is_preprocessed(exported) else "x"
    inputs = described
    if exported.preprocessing is None:
        inputs = [f"x[{k}] {name}" for k, name in enumerate(described)]
    shape = network.input_shape
    if len(inputs) > 1000 or len(shape) > 1:
        unrolled = f", {' x '.join(map(str, shape))}, the last fastest" if len(shape) > 1 else ""
        inputs = [f"x[0] to x[{len(inputs) - 1}]{unrolled}"]
    version = comment(pellucid.__version__)
    return [
        f"/* {what} {'-'.join(map(str, network.n))}, exported by Pellucid {version}.",
        "",
        f"   pellucid_predict computes the forward pass, for l = 1 ... L = {network.L}{mean}:",
        "",
        f"       A[0] = {first}",
        "       Z[l] = W[l] A[l-1] + b[l]",
        "       A[l] = g[l](Z[l])",
        "",
        "   l    n[l]  g[l]",
        *(f"   {l}  {n:>6}  {g}".rstrip() for l, n, g in _rows(network)),
        "",
        f"   x, the input, {_count_of_x(exported)} numbers:",
        *map(_described, inputs),
        "",
        f"   y, the output, {len(outputs)} numbers:",
        *(_described(f"y[{k}] {text}") for k, text in enumerate(outputs)),
        "",
        f"   It takes about {_stack(exported):,} bytes of stack and no other memory. "
        "To compile it:",
        "   cc -std=c99 -O2 -c FILE.c; link with -lm. Of two such files in one program compile one",
        "   with -Dpellucid_predict=ANOTHER_NAME, and so for the other names of pellucid_. */",
    ]


def _described(text: str) -> str:
    return textwrap.fill(
        comment(text), 96, initial_indent="   ", subsequent_indent=" " * 9, break_on_hyphens=False
    )


def _rows(network: Network) -> list[tuple[int, int, str]]:
    """l, n[l] and g[l] of each layer."""
    computing = [(layer, layer.activation) for layer in network.layers if layer.activation]
    return [
        (0, network.n_inputs, ""),
        *((k.number, math.prod(k.output_shape), comment(g.formula)) for k, g in computing),
    ]


def _count_of_x(exported: Exported) -> int:
    if exported.preprocessing is None:
        return len(exported.inputs)
    from pellucid.export.c_columns import places

    return sum(map(places, exported.preprocessing.columns.values()))


def _types(exported: Exported) -> tuple[str, str]:
    """The types of x and y: double for tables, whose numbers may need it, and scaled targets."""
    if exported.preprocessing is not None:
        return "double", "double"
    x, y = exported.x_dtype, exported.dtype
    return _C[x.name], _C[y.name] if exported.scale == (0.0, 1.0) else "double"


def _is_preprocessed(exported: Exported) -> bool:
    return exported.preprocessing is not None or bool(exported.steps)


def _outputs(exported: Exported) -> list[str]:
    """What each number of y is."""
    of = f" of {exported.target}" if exported.target else ""
    n = exported.networks[0].n[-1]
    if exported.answer == "regression":
        return [f"the prediction{of}"] if n == 1 else [f"prediction {k + 1}{of}" for k in range(n)]
    return [f"the probability of {name}" for name in _class_names(exported)]


def _class_names(exported: Exported) -> list[str]:
    n = exported.networks[0].n[-1]
    count = 2 if exported.answer == "binary" else n
    classes = range(count) if exported.classes is None else exported.classes.tolist()
    return [str(each) for each in classes][:count]


def _function_names(activations: Any) -> dict[Activation, str]:
    """A function's name for each different activation that does something."""
    names: dict[Activation, str] = {}
    for g in activations:
        if g is not None and g.c_form not in ("z", None) and g not in names:
            name = "g_" + re.sub(r"\W", "_", g.name, flags=re.ASCII)
            same = sum(each == name or each.startswith(f"{name}_") for each in names.values())
            names[g] = f"{name}_{same + 1}" if same else name
    return names


def _function(g: Activation, name: str) -> str:
    body = str(g.c_form)
    for parameter in dataclasses.fields(g):
        if (place := f"{{{parameter.name}}}") in body:
            body = body.replace(place, real(getattr(g, parameter.name)))
    if not body.startswith(" "):
        body = (
            "    int i;\n    for (i = 0; i < n; i++) {\n        const real z = a[i];\n"
            f"        a[i] = {body};\n    }}"
        )
    head = f"/* A[l] = g(Z[l]), {comment(g.formula)}. */\nstatic void {name}(real *a, int n)"
    return f"{head}\n{{\n{body}\n}}\n"


def _network(network: Network, names: dict[Activation, str], ending: str) -> str:
    """The constants of a network, and the function of its forward pass."""
    constants, calls, buffers = [], [], []
    inputs, last = "x", network.layers[-1]
    dtype = network.dtype.name
    for layer in network.layers:
        l, n = layer.number, math.prod(layer.output_shape)
        for letter, values in layer.parameters.items():
            if (connections := getattr(layer, "mask", None)) is not None and letter == "W":
                values = values * connections
            name = f"{letter}{l}{ending}"
            shape = " x ".join(map(str, values.shape))
            constants.append(f"/* {letter}[{l}], {shape} */\n{array(name, values, dtype)}")
        goal = "y" if layer is last else f"A{l}"
        if isinstance(layer, Scale):
            calls.append(f"    scale(s{l}{ending}, {inputs}, {goal}, {n});")
        else:
            n_prev = math.prod(layer.input_shape)
            calls.append(f"    layer(W{l}{ending}, b{l}{ending}, {inputs}, {goal}, {n}, {n_prev});")
            if layer.activation in names:
                calls.append(f"    {names[layer.activation]}({goal}, {n});")
        if goal != "y" and (goal, n) not in buffers:
            buffers.append((goal, n))
        inputs = goal
    declared = [f"    real {name}[{n}];" for name, n in buffers]
    body = "\n".join([*declared, *calls])
    text = f"static void network{ending}(const real *x, real *y)\n{{\n{body}\n}}\n"
    return "\n".join([*constants, typed(text, dtype)])


_STATEMENTS = {
    "-": "v -= {a};",
    "/": "v /= {a};",
    "*": "v *= {a};",
    "+": "v += {a};",
    "max": "if (v < {a}) v = {a};",
    "min": "if (v > {a}) v = {a};",
    "fill": "if (v != v) v = {a};",
}
"""What each of :data:`pellucid.export.pipelines.Operation` does to a number v of x."""


def _steps(exported: Exported) -> str:
    """preprocess: the steps of a pipeline, each in the order in which scikit-learn computes it."""
    x, z = _C[exported.x_dtype.name], _C[exported.dtype.name]
    constants: list[str] = []
    lines = []
    for name, step in exported.steps:
        for what, numbers in arithmetic(step) or []:
            a = f"step_{len(constants) + 1}"
            constants.append(array(a, numbers.astype(exported.x_dtype), exported.x_dtype.name))
            lines.append(f"        {_STATEMENTS[what].format(a=f'{a}[i]')} /* {comment(name)} */\n")
    return (
        "\n".join(constants) + "\n/* From x to z = A[0], the inputs of the network. */\n"
        f"static void preprocess(const {x} *x, {z} *z)\n{{\n    int i;\n"
        f"    for (i = 0; i < {len(exported.inputs)}; i++) {{\n        {x} v = x[i];\n"
        f"{''.join(lines)}        z[i] = ({z})v;\n    }}\n}}\n"
    )


def _predict(exported: Exported) -> str:
    """pellucid_predict: preprocessing, the networks, their mean, and the answer's own terms."""
    n, several = exported.networks[0].n[-1], len(exported.networks)
    kind, prepared = _C[exported.dtype.name], _is_preprocessed(exported)
    real_x, real_y = _types(exported)
    as_it_is = exported.scale == (0.0, 1.0) and exported.answer != "binary"
    if several == 1 and not prepared and as_it_is:
        return (
            f"void pellucid_predict(const {real_x} *x, {real_y} *y)\n{{\n    network(x, y);\n}}\n"
        )
    lines, x = [f"{kind} a[{n}];", f"{real_y} mean[{n}];", "int i;"], "x"
    if prepared:
        x = "A0"
        lines = [f"{kind} A0[{exported.networks[0].n_inputs}];", *lines, "preprocess(x, A0);"]
    for ending in _endings(exported):
        add = "=" if ending in ("", "_1") else "+="
        lines.append(f"network{ending}({x}, a);")
        lines.append(f"for (i = 0; i < {n}; i++) mean[i] {add} a[i];")
    if several > 1:
        lines.append(f"for (i = 0; i < {n}; i++) mean[i] /= {several};")
    if exported.answer == "binary":
        lines += ["y[0] = 1 - mean[0];", "y[1] = mean[0];"]
    elif exported.scale == (0.0, 1.0):
        lines.append(f"for (i = 0; i < {n}; i++) y[i] = mean[i];")
    else:
        mean, std = map(real, exported.scale)
        lines.append(f"for (i = 0; i < {n}; i++) y[i] = {mean} + {std} * mean[i];")
    body = "\n".join(f"    {line}" for line in lines)
    return f"void pellucid_predict(const {real_x} *x, {real_y} *y)\n{{\n{body}\n}}\n"


def _endings(exported: Exported) -> list[str]:
    """What tells the networks of an ensemble apart in C names."""
    several = len(exported.networks)
    return [f"_{k}" for k in range(1, several + 1)] if several > 1 else [""]


def _label(exported: Exported) -> str:
    """pellucid_label and the names of the classes, where there are classes."""
    if exported.answer not in ("binary", "multiclass"):
        return ""
    names = ",\n".join(f"    {literal(name)}" for name in _class_names(exported))
    if exported.answer == "binary":
        half = "0.5f" if _types(exported)[1] == "float" else "0.5"
        body = f"    return y[1] {'>=' if exported.at_half else '>'} {half};"
    else:
        body = (
            "    int i, best = 0;\n"
            "    for (i = 1; i < PELLUCID_OUTPUTS; i++) if (y[i] > y[best]) best = i;\n"
            "    return best;"
        )
    return (
        "/* The classes, and the number of the one that y stands for. */\n"
        f"const char *const pellucid_classes[PELLUCID_OUTPUTS] = {{\n{names}\n}};\n\n"
        f"int pellucid_label(const {_types(exported)[1]} *y)\n{{\n{body}\n}}\n"
    )


def _stack(exported: Exported) -> int:
    """The bytes of the arrays that are alive at one time, rounded up."""
    n = exported.networks[0].n
    numbers = sum(n) + (n[0] if _is_preprocessed(exported) else 0) + 3 * n[-1]
    return -(-numbers * 8 // 100) * 100

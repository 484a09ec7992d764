"""scikit-learn's pipelines and searches: the network within, and the steps before it.

What a step does to each column by itself, as scalers do, is a line in :data:`ARITHMETIC`. Both
formats write it out. All other steps are skl2onnx's to convert
(:mod:`pellucid.export.sklearn_onnx`), and have no C form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import ModelError

Operation = tuple[str, NDArray[Any]]
"""One of "-", "/", "*", "+", "max", "min" and "fill" (in place of NaN), and a number a column."""

TAKES = (
    "a Network, a fitted MLPClassifier, MLPRegressor, TabularClassifier or TabularRegressor, a "
    "scikit-learn Pipeline or search that ends in one of these, a TableModel, or the path of a "
    "model folder"
)


@dataclass
class Unwrapped:
    """An estimator of Pellucid's, and what scikit-learn has around it.

    Attributes
    ----------
    estimator : estimator
    steps : list of (str, transformer)
        What is done to the rows before, in this order.
    scale : (float, float)
        The prediction is mean + std * the estimator's, (mean, std).
    """

    estimator: Any
    steps: list[tuple[str, Any]] = field(default_factory=list)
    scale: tuple[float, float] = (0.0, 1.0)


def unwrap(model: Any) -> Unwrapped:
    """Return the estimator in a fitted pipeline, search or TransformedTargetRegressor.

    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from pellucid import MLPRegressor
    >>> X = np.array([[0.0], [1.0]])
    >>> pipeline = make_pipeline(StandardScaler(), MLPRegressor(solver="lbfgs")).fit(X, [0.0, 1.0])
    >>> unwrap(pipeline).steps
    [('standardscaler', StandardScaler())]
    """
    from pellucid.estimators.inside import inside

    found = Unwrapped(model)
    while True:
        kind, found.estimator, _ = inside(model := found.estimator)
        if kind == "pipeline":
            found.steps += [step for each in model.steps[:-1] for step in _steps(*each)]
        elif kind == "transformed target":
            found.scale = combined(found.scale, _scale_of_target(model.transformer_))
        elif kind != "search":
            return found
        elif found.estimator is None:
            raise ModelError(
                f"the {type(model).__name__} was fitted with refit={model.refit!r}, so it holds no "
                "fitted estimator. Fit it with refit=True, or fit the estimator with its "
                "best_params_ and export that."
            )


def _steps(name: str, transformer: Any) -> list[tuple[str, Any]]:
    """A step of a pipeline: several where it is itself one, none where it passes rows on."""
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import check_is_fitted

    if not hasattr(transformer, "transform"):  # "passthrough", or a sampler of imbalanced-learn
        return []
    if isinstance(transformer, Pipeline):
        return [step for each in transformer.steps for step in _steps(*each)]
    check_is_fitted(transformer)
    return [(name, transformer)]


def _scale_of_target(transformer: Any) -> tuple[float, float]:
    """Mean and standard deviation of a target that a StandardScaler standardised."""
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    if type(transformer) is StandardScaler and transformer.n_features_in_ == 1:
        mean = transformer.mean_[0] if transformer.with_mean else 0.0
        return float(mean), float(transformer.scale_[0] if transformer.with_std else 1.0)
    if type(transformer) is FunctionTransformer and transformer.inverse_func is None:
        return 0.0, 1.0
    raise ModelError(
        f"the target was transformed by a {type(transformer).__name__}; export takes a "
        "TransformedTargetRegressor with a StandardScaler of one target. Export its regressor_, "
        "and apply the inverse of the transformation to what the file predicts."
    )


def combined(outer: tuple[float, float], inner: tuple[float, float]) -> tuple[float, float]:
    """Return (mean, std) of one scale after another: m + s (m' + s' a) = (m + s m') + s s' a.

    >>> combined((1.0, 2.0), (10.0, 3.0))
    (21.0, 6.0)
    """
    return outer[0] + outer[1] * inner[0], outer[1] * inner[1]


def refusal(found: Unwrapped) -> TypeError:
    """Return the error for what ends in an estimator that is not Pellucid's."""
    kind = type(found.estimator)
    name = f"{kind.__module__.partition('.')[0]}'s {kind.__name__}"
    if isinstance(found.estimator, type) or not hasattr(found.estimator, "predict"):
        name = repr(found.estimator)
    got = f"a pipeline that ends in {name}" if found.steps else name
    return TypeError(
        f"export takes {TAKES}; got {got}. Once pellucid.export is imported, skl2onnx converts "
        "scikit-learn's own models, and many that hold estimators of Pellucid's: "
        "skl2onnx.to_onnx(model, X[:1])."
    )


# Steps that take each column by itself ------------------------------------------------------------


def arithmetic(transformer: Any) -> list[Operation] | None:
    """Return what a fitted transformer computes, in scikit-learn's order; None for all others.

    >>> from sklearn.preprocessing import StandardScaler
    >>> arithmetic(StandardScaler().fit([[1.0], [3.0]]))
    [('-', array([2.])), ('/', array([1.]))]
    """
    known = ARITHMETIC.get(type(transformer).__name__)
    if known is None or not type(transformer).__module__.startswith("sklearn."):
        return None
    return known(transformer)


def _standard(t: Any) -> list[Operation]:
    return [("-", t.mean_)] * bool(t.with_mean) + [("/", t.scale_)] * bool(t.with_std)


def _min_max(t: Any) -> list[Operation]:
    return [("*", t.scale_), ("+", t.min_), *_clip(t, *t.feature_range)]


def _max_abs(t: Any) -> list[Operation]:
    return [("/", t.scale_), *_clip(t, -1.0, 1.0)]


def _clip(t: Any, low: float, high: float) -> list[Operation]:
    bounds: list[Operation] = [("max", np.full(t.n_features_in_, low))]
    return [*bounds, ("min", np.full(t.n_features_in_, high))] * bool(t.clip)


def _robust(t: Any) -> list[Operation]:
    return [("-", t.center_)] * bool(t.with_centering) + [("/", t.scale_)] * bool(t.with_scaling)


def _impute(t: Any) -> list[Operation] | None:
    """Of numbers, NaN missing, and each column kept, without an indicator."""
    fill = t.statistics_
    plain = fill.dtype.kind == "f" and np.isfinite(fill).all() and not t.add_indicator
    nan = isinstance(t.missing_values, float) and np.isnan(t.missing_values)
    return [("fill", fill)] if plain and nan else None


ARITHMETIC: dict[str, Callable[[Any], list[Operation] | None]] = {
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "RobustScaler": _robust,
    "SimpleImputer": _impute,
}
"""scikit-learn's transformers that change each column by itself, by their names."""

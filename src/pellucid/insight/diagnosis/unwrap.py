"""The network within what people fit: a pipeline, a search, scikit-learn's own MLP."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid.history import History

Pair = tuple[Any, Any]


@dataclass
class Unwrapped:
    """The innermost ``model``, and how rows, targets and settings lead to it."""

    model: Any
    prefix: str = ""
    names: tuple[str, ...] = ()
    steps: list[Callable[[Any, Any], Pair]] = field(default_factory=list)

    def data(self, pair: Pair | None) -> Pair | None:
        """Return rows and targets as the innermost model was given them."""
        if pair is None:
            return None
        for step in self.steps:
            pair = step(*pair)
        return pair

    def renamed(self, fix: Mapping[str, Any]) -> dict[str, Any]:
        """Return suggested settings by the names that ``set_params`` of the whole takes."""
        own = self.model.get_params(deep=False) if self.prefix else ()
        return {self.prefix * (name in own) + name: value for name, value in fix.items()}


def unwrapped(given: Any) -> Unwrapped:
    """Return what is inside of pipelines, searches and models of a transformed target.

    Unfitted ones raise scikit-learn's NotFittedError.
    """
    found = Unwrapped(given)
    while True:
        model = found.model
        if hasattr(model, "named_steps"):
            _enter_pipeline(found)
        elif hasattr(model, "transformer") and hasattr(model, "regressor"):
            _enter_transformed(found)
        elif _is_search(model):
            if not hasattr(model, "best_estimator_"):
                raise _not_fitted(
                    model, "; call fit, with refit=True" if model.refit is False else ""
                )
            found.model, found.prefix = model.best_estimator_, found.prefix + "estimator__"
        elif _is_scikit_learns_mlp(model):
            found.model = _as_drop_in(model)
        else:
            return found


def refusal(given: Any) -> Exception:
    """Return the error for what cannot be diagnosed: not yet fitted, or no network."""
    is_class = isinstance(given, type)
    name = f"the class {given.__name__}" if is_class else type(given).__name__
    if hasattr(given, "fit") and not is_class:
        if type(given).__module__.partition(".")[0] == "pellucid":
            return _not_fitted(given)
        parts = hasattr(given, "estimators_")
        hint = " Diagnose one of its estimators_." if parts else ""
        return TypeError(f"diagnose is about neural networks; {name} is none.{hint}")
    return TypeError(
        "diagnose takes a History, a Network, a fitted estimator, pipeline or search, or the path "
        f"of a model folder; got {name}."
    )


def _enter_pipeline(found: Unwrapped) -> None:
    pipeline = found.model
    name, found.model = pipeline.steps[-1]
    found.prefix += f"{name}__"
    if len(pipeline.steps) > 1:
        before = pipeline[:-1]
        found.steps.append(lambda X, y: (before.transform(X), y))
        with contextlib.suppress(Exception):  # not every step names its outputs
            found.names = tuple(map(str, before.get_feature_names_out()))


def _enter_transformed(found: Unwrapped) -> None:
    model = found.model
    if not hasattr(model, "regressor_"):
        raise _not_fitted(model)

    def transformed(X: Any, y: Any) -> Pair:
        columns = model.transformer_.transform(np.asarray(y).reshape(len(X), -1))
        return X, columns[:, 0] if np.ndim(y) == 1 else columns

    found.steps.append(transformed)
    found.model, found.prefix = model.regressor_, found.prefix + "regressor__"


def _is_search(model: Any) -> bool:
    return hasattr(model, "refit") and hasattr(model, "estimator")


def _is_scikit_learns_mlp(model: Any) -> bool:
    module = sys.modules.get("sklearn.neural_network")
    known = () if module is None else (module.MLPClassifier, module.MLPRegressor)
    return isinstance(model, known)


def _as_drop_in(model: Any) -> Any:
    """Our estimator with the parameters and the curves of scikit-learn's."""
    from pellucid.estimators import MLPClassifier, MLPRegressor

    if not hasattr(model, "coefs_"):
        raise _not_fitted(model)
    kind = MLPClassifier if hasattr(model, "classes_") else MLPRegressor
    made = kind(**model.get_params(deep=False))
    for name, value in vars(model).items():
        if name.endswith("_"):
            setattr(made, name, value)
    if hasattr(model, "classes_"):
        made._label_binarizer = model._label_binarizer
    made.history_ = History.from_sklearn(model)
    made.loss_curve_ = made.history_.curves["loss"]
    return made


def _not_fitted(model: Any, more: str = "") -> Exception:
    from sklearn.exceptions import NotFittedError

    error: Exception = NotFittedError(
        f"this {type(model).__name__} is not fitted yet{more or '; call fit before diagnose'}."
    )
    return error

"""The network within what people fit: a pipeline, a search, scikit-learn's own MLP."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from pellucid.history import History

Pair = tuple[Any, Any]

UNFITTED = "this %(name)s is not fitted yet; call fit before diagnose."


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
    found, name = Unwrapped(given), "the whole"
    while name and hasattr(found.model, "get_params"):
        from pellucid.estimators.inside import inside

        model = found.model
        kind, found.model, name = inside(model, UNFITTED)
        found.prefix += f"{name}__" if name else ""
        if kind == "pipeline" and len(model) > 1:
            found.steps.append(partial(_with_rows, model[:-1]))
            with contextlib.suppress(Exception):  # not every step names its outputs
                found.names = tuple(map(str, model[:-1].get_feature_names_out()))
        elif kind == "transformed target":
            found.steps.append(partial(_with_target, model.transformer_))
        elif kind == "scikit-learn's MLP":
            found.model = _as_drop_in(model)
        elif found.model is None:
            raise _not_fitted(model, UNFITTED.replace(" before diagnose", ", with refit=True"))
    return found


def refusal(given: Any) -> Exception:
    """Return the error for what cannot be diagnosed: not yet fitted, or no network."""
    is_class = isinstance(given, type)
    name = f"the class {given.__name__}" if is_class else type(given).__name__
    if hasattr(given, "fit") and not is_class:
        if type(given).__module__.partition(".")[0] == "pellucid":
            return _not_fitted(given)
        hint = " Diagnose one of its estimators_." if hasattr(given, "estimators_") else ""
        return TypeError(f"diagnose is about neural networks; {name} is not one.{hint}")
    return TypeError(
        "diagnose takes a History, a Network, a fitted estimator, pipeline or search, or the path "
        f"of a model folder; got {name}."
    )


def _with_rows(before: Any, X: Any, y: Any) -> Pair:
    return before.transform(X), y


def _with_target(transformer: Any, X: Any, y: Any) -> Pair:
    columns = transformer.transform(np.asarray(y).reshape(len(X), -1))
    return X, columns[:, 0] if np.ndim(y) == 1 else columns


def _as_drop_in(model: Any) -> Any:
    """Our estimator with the parameters and the curves of scikit-learn's."""
    from pellucid.estimators import MLPClassifier, MLPRegressor

    kind = MLPClassifier if hasattr(model, "classes_") else MLPRegressor
    made = kind(**model.get_params(deep=False))
    for name, value in vars(model).items():
        if name.endswith("_") or name == "_label_binarizer":
            setattr(made, name, value)
    made.history_ = History.from_sklearn(model)
    made.loss_curve_ = made.history_.curves["loss"]
    return made


def _not_fitted(model: Any, message: str = UNFITTED) -> Exception:
    from sklearn.exceptions import NotFittedError

    error: Exception = NotFittedError(message % {"name": type(model).__name__})
    return error

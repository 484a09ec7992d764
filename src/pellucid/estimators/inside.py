"""What a fitted model of scikit-learn's kind holds inside."""

from __future__ import annotations

import sys
from typing import Any

from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def inside(model: Any, unfitted: str | None = None) -> tuple[str, Any, str]:
    """Return what kind a model is of, the model inside, and its name for ``set_params``.

    A search with ``refit=False`` holds None; "scikit-learn's MLP" and models of no kind, "", hold
    themselves. What is not fitted raises NotFittedError, with the message ``unfitted``.

    >>> inside(Pipeline([("last", "passthrough")]).fit([[0.0]]))
    ('pipeline', 'passthrough', 'last')
    """
    theirs = sys.modules.get("sklearn.neural_network")
    if isinstance(model, Pipeline):
        check_is_fitted(model, msg=unfitted)
        return "pipeline", model[-1], model.steps[-1][0]
    if isinstance(model, TransformedTargetRegressor):
        check_is_fitted(model, msg=unfitted)
        return "transformed target", model.regressor_, "regressor"
    if hasattr(model, "refit") and hasattr(model, "estimator"):  # any library's search
        check_is_fitted(model, msg=unfitted)
        return "search", getattr(model, "best_estimator_", None), "estimator"
    if theirs and isinstance(model, (theirs.MLPClassifier, theirs.MLPRegressor)):
        check_is_fitted(model, msg=unfitted)
        return "scikit-learn's MLP", model, ""
    return "", model, ""

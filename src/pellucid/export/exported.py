"""What there is to export: networks, what goes in, and what their answer means."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import ModelError, SettingsError
from pellucid.export.pipelines import TAKES, Unwrapped, combined, refusal, unwrap
from pellucid.network import Network
from pellucid.network.given import checked_lengths
from pellucid.tasks import task_of


@dataclass
class Exported:
    """A model as an exporter sees it.

    Attributes
    ----------
    networks : list of Network
        One, or several whose outputs are averaged.
    answer : str
        What their outputs say, one of :data:`pellucid.tasks.TASKS`.
    inputs : list of str
        The names of the networks' inputs.
    at_half : bool
        Whether a probability of exactly 0.5 counts as yes (lecture 001) or not (scikit-learn).
    classes : array or None
        What each class number stands for; None leaves the numbers.
    target : str
        The name of what is predicted, "" where it has none.
    scale : (float, float)
        Regression: the prediction is mean + std * A[L], (mean, std).
    preprocessing : Preprocessing or None
        Of a table: from its columns to the networks' inputs.
    steps : list of (str, transformer)
        Of a scikit-learn pipeline: what is done to its rows before they reach the network.
    x : dict of str to array
        What goes into its first step: the name of each input, with rows of its dtype and width.
    lengths : bool
        Whether the file takes the steps that each example has.
    """

    networks: list[Network]
    answer: str
    inputs: list[str]
    at_half: bool = True
    classes: NDArray[Any] | None = None
    target: str = ""
    scale: tuple[float, float] = (0.0, 1.0)
    preprocessing: Any = None
    steps: list[tuple[str, Any]] = field(default_factory=list)
    x: dict[str, NDArray[Any]] = field(default_factory=dict)
    lengths: bool = False

    def __post_init__(self) -> None:
        for number, network in enumerate(self.networks, start=1):
            for name, array in network.parameters.items():
                if not np.isfinite(array).all():
                    of = f" of network {number}" if len(self.networks) > 1 else ""
                    raise ModelError(
                        f"{name}{of} holds NaN or infinity, so there is nothing to export: its "
                        "training diverged. Train it again with a smaller learning rate."
                    )

    @property
    def dtype(self) -> np.dtype[Any]:
        """What the networks compute in."""
        dtype: np.dtype[Any] = self.networks[0].dtype
        return dtype

    @property
    def x_dtype(self) -> np.dtype[Any]:
        """What the rows of a network or pipeline are given in."""
        return next((rows.dtype for rows in self.x.values()), self.dtype)


def exported(model: Any, X: Any = None, *, lengths: bool = False) -> Exported:
    """Return what is to be exported of a model, or of the model in a folder.

    ``X`` is a few rows, for the types of what a pipeline takes; ``lengths`` tells whether the file
    is to take them.

    >>> from pellucid import Dense, Network
    >>> exported(Network([Dense(1, "sigmoid")], n_inputs=2)).inputs
    ['x1', 'x2']
    """
    model = loaded(model)
    made = _exported(model, X)
    if lengths:
        if made.preprocessing is not None or made.steps:
            raise SettingsError(("lengths", "are for a network of sequences; this is a table's."))
        network = made.networks[0]
        try:
            checked_lengths(np.array(network.input_shape[:1]), network.input_shape, 1)
        except ValueError as error:
            raise SettingsError(("lengths", str(error).removeprefix("lengths "))) from None
    made.lengths = lengths
    return made


def _exported(model: Any, X: Any) -> Exported:
    if isinstance(model, Network):
        task = task_of(model.layers[-1].activation, model.output_shape[-1])
        return Exported([model], task.name, _numbered(model.n_inputs))
    if hasattr(model, "preprocessing"):
        return _of_table(model)
    if not hasattr(model, "get_params"):
        raise TypeError(f"export takes {TAKES}; got {model!r}.")
    return _of_estimator(unwrap(model), X)


def loaded(model: Any) -> Any:
    """Return the model in a folder; anything but a path as it is."""
    if not isinstance(model, (str, os.PathLike)):
        return model
    from pellucid.persistence import load

    return load(model)


def _of_estimator(found: Unwrapped, X: Any) -> Exported:
    """An estimator with what scikit-learn has around it."""
    model, steps = found.estimator, found.steps
    if hasattr(type(model), "network_"):
        made = _of_drop_in(model)
    elif hasattr(type(model), "feature_importances"):
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(model)
        made = _of_table(model.model_)
    else:
        raise refusal(found)
    if steps and made.preprocessing is not None:
        raise ModelError(
            f"the exported file of a {type(model).__name__} takes a table's columns as they are; "
            f"here the step {steps[0][0]!r} comes before it. Fit it without that step, and export "
            "it alone."
        )
    if steps:
        first = steps[0][1]
        names = getattr(first, "feature_names_in_", None)
        n = getattr(first, "n_features_in_", 1)  # a vectorizer takes documents
        made.inputs = _numbered(n) if names is None else [str(name) for name in names]
        made.steps = steps
        made.x = _x(made, model, X)
    made.scale = combined(found.scale, made.scale)
    return made


def _x(made: Exported, model: Any, X: Any) -> dict[str, NDArray[Any]]:
    """The inputs of a pipeline: those of X, or else one of the dtype that the network learned."""
    from pellucid.export.rows import arrays_of, finds_columns

    first = made.steps[0][1]
    if X is not None:
        return arrays_of(X, first)
    if finds_columns(first) and hasattr(first, "feature_names_in_"):
        raise ModelError(
            f"the pipeline begins with a {type(first).__name__} that finds columns by name, and it "
            "does not know their types. Give a few rows, best all that it was fitted to: "
            "export(pipeline, path, X=X)."
        )
    in_float = made.dtype == np.float32 and model.dtype is None
    return {"X": np.empty((0, len(made.inputs)), np.float32 if in_float else np.float64)}


def _of_drop_in(model: Any) -> Exported:
    network = model.network_
    names = getattr(model, "feature_names_in_", None)
    inputs = _numbered(network.n_inputs) if names is None else [str(name) for name in names]
    if not hasattr(model, "classes_"):
        return Exported([network], "regression", inputs)
    classes = np.asarray(model.classes_)
    if len(classes) == 1:
        classes = np.resize(classes, 2)  # scikit-learn knows a classifier of one class
    return Exported([network], model._task().name, inputs, at_half=False, classes=classes)


def _of_table(model: Any) -> Exported:
    """A TableModel."""
    return Exported(
        model.networks,
        model.task,
        list(model.preprocessing.output_names),
        classes=model.labels() if model.classes else None,
        target=model.target,
        scale=(model.target_mean, model.target_std) if model.task == "regression" else (0.0, 1.0),
        preprocessing=model.preprocessing,
    )


def _numbered(n: int) -> list[str]:
    return [f"x{number}" for number in range(1, n + 1)]

"""Tasks: what the outputs A[L], (n[L], m), are to say of an example.

One table, :data:`TASKS`. A task names the output activation, the loss, the metrics and the
baselines, and tells how outputs become an answer::

    binary      one output a, P(second class):  1 where a >= 1/2, else 0  (lecture 001)
    multiclass  an output a class:              the number of the largest
    multilabel  an output a label:              1 where a >= 1/2, else 0, for each
    regression  numbers:                        A itself

>>> import numpy as np
>>> TASKS["binary"].answers(np.array([[0.2, 0.5]])), TASKS["binary"].loss
(array([[0, 1]]), 'binary_cross_entropy')
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.activations import Activation

Array = NDArray[Any]


@dataclass(frozen=True)
class Task:
    """What is asked of a network, one entry of :data:`TASKS`.

    Attributes
    ----------
    name, title, asks : str
        Its name; what it is called in a sentence; what is asked for.
    output, loss : str
        The output activation and the loss that suit it.
    metrics : tuple of str
        What people judge it by (:func:`pellucid.metrics.metric`), the most telling first.
    baselines : tuple of str
        What a model is compared with: the best answer without inputs, and a linear model.
    decide : callable
        From A[L] and whether a half counts as yes to the answer.
    probabilities : callable or None
        From A[L] to the probability of each class or label, (k, m); None where there are none.
    several : bool
        Whether an example has several labels at once.
    also : tuple of str
        Other output activations whose outputs mean the same.
    output_per_class : bool
        Whether each class has an output of its own; else there is one.
    """

    name: str
    title: str
    asks: str
    output: str
    loss: str
    metrics: tuple[str, ...]
    baselines: tuple[str, str]
    decide: Callable[[Array, bool], Array]
    probabilities: Callable[[Array], Array] | None = None
    several: bool = False
    also: tuple[str, ...] = ()
    output_per_class: bool = False

    @property
    def has_classes(self) -> bool:
        """Whether an answer is a class, or a label; else it is a number."""
        return self.probabilities is not None

    def n_outputs(self, n_classes: int) -> int:
        """Return n[L] for so many classes.

        >>> TASKS["binary"].n_outputs(2), TASKS["multiclass"].n_outputs(3)
        (1, 3)
        """
        return n_classes if self.output_per_class else 1

    def answers(self, A: Array, *, at_half: bool = True) -> Array:
        """Return what the outputs A[L] stand for.

        Class numbers, (m,), for one class out of several; 0 or 1, (n[L], m), for yes or no; A
        itself for numbers. ``at_half`` tells whether exactly 1/2 is a yes, as in the lectures, or
        not, as in scikit-learn.
        """
        return self.decide(A, at_half)


def _yes(A: Array, at_half: bool) -> Array:
    return (A >= 0.5 if at_half else A > 0.5).astype(np.int64)


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "binary",
            "binary classification",
            "one of two classes",
            "sigmoid",
            "binary_cross_entropy",
            ("accuracy",),
            ("majority class", "logistic regression"),
            _yes,
            lambda A: np.concatenate([1 - A, A]),
            also=("hard_sigmoid",),
        ),
        Task(
            "multiclass",
            "multi-class classification",
            "one of several classes",
            "softmax",
            "categorical_cross_entropy",
            ("accuracy",),
            ("majority class", "logistic regression"),
            lambda A, at_half: A.argmax(axis=0),
            lambda A: A,
            output_per_class=True,
        ),
        Task(
            "multilabel",
            "multi-label classification",
            "several labels at once",
            "sigmoid",
            "binary_cross_entropy",
            ("accuracy",),
            ("majority class", "logistic regression"),
            _yes,
            lambda A: A,
            several=True,
            also=("hard_sigmoid",),
            output_per_class=True,
        ),
        Task(
            "regression",
            "regression",
            "a number",
            "identity",
            "mean_squared_error",
            ("mae", "rmse", "r2"),
            ("mean", "linear regression"),
            lambda A, at_half: A,
        ),
    )
}
"""Every task by its name. A new one is an entry here."""

OF_A_COLUMN = {name: task for name, task in TASKS.items() if not task.several}
"""The tasks whose target is one column of a table."""


def task_of(g: Activation | None, n_outputs: int) -> Task:
    """Return the task whose answers a network with this output activation and n[L] gives.

    >>> from pellucid.activations import activation
    >>> task_of(activation("sigmoid"), 1).name, task_of(activation("exp"), 1).name
    ('binary', 'regression')
    """
    name = "" if g is None else g.name
    for task in TASKS.values():
        fits = task.output_per_class or n_outputs == 1
        if task.has_classes and fits and name in (task.output, *task.also):
            return task
    return TASKS["regression"]

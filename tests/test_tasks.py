"""The table of tasks: each names entries of the catalogues, and all that answers goes by it."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid import Dense, Network
from pellucid.activations import ACTIVATIONS, activation
from pellucid.losses import LOSSES, check_targets
from pellucid.losses import loss as find_loss
from pellucid.metrics import metric
from pellucid.tables import TASKS as OF_TABLES
from pellucid.tables import recipe
from pellucid.tasks import OF_A_COLUMN, TASKS, task_of

A = np.array([[0.25, 0.5, 0.75], [0.6, 0.2, 0.1]])

each_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


@each_task
def test_a_task_names_entries_of_the_catalogues(task):
    assert {task.output, *task.also} <= set(ACTIVATIONS)
    assert task.output in LOSSES[task.loss].fits
    assert set(task.also) <= set(LOSSES[task.loss].fits)
    assert all(metric(name) for name in task.metrics)
    assert TASKS[task.name] is task


@each_task
def test_a_network_with_its_output_answers_so(task):
    n = task.n_outputs(2)
    net = Network([Dense(n, task.output)], 2, seed=0, dtype="float64")
    X = np.random.default_rng(0).normal(size=(2, 5))
    assert task_of(net.layers[-1].activation, n) is task
    found = net.predict(X)
    assert found.shape == ((5,) if task.name == "multiclass" else (n, 5))
    np.testing.assert_array_equal(found, task.answers(net.forward(X)))
    if task.has_classes:  # what it answers can be learned
        check_targets(found, find_loss(task.loss), n, 5)
        p = task.probabilities(net.forward(X))
        assert p.shape == (2, 5)
        if not task.several:
            np.testing.assert_allclose(p.sum(axis=0), 1)


def test_answers():
    assert TASKS["binary"].answers(A[:1]).tolist() == [[0, 1, 1]]
    assert TASKS["binary"].answers(A[:1], at_half=False).tolist() == [[0, 0, 1]]
    assert TASKS["multilabel"].answers(A).tolist() == [[0, 1, 1], [1, 0, 0]]
    assert TASKS["multiclass"].answers(A).tolist() == [1, 0, 0]
    assert TASKS["regression"].answers(A) is A


@pytest.mark.parametrize(
    ("g", "n", "name"),
    [
        ("sigmoid", 1, "binary"),
        ("hard_sigmoid", 1, "binary"),
        ("sigmoid", 2, "multilabel"),
        ("softmax", 2, "multiclass"),
        ("softmax", 1, "multiclass"),
        ("tanh", 1, "regression"),
        ("exp", 3, "regression"),
    ],
)
def test_the_task_of_an_output(g, n, name):
    assert task_of(activation(g), n).name == name
    assert task_of(None, n).name == "regression"


def test_the_target_of_a_table_is_one_column():
    assert list(OF_TABLES) == list(OF_A_COLUMN) == ["binary", "multiclass", "regression"]


def test_the_recipe_of_tables_knows_every_task_of_a_column():
    assert set(recipe.LEARNING_RATE) == set(recipe.ACTIVATION) == set(OF_A_COLUMN)

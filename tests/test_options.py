"""A setting of a table's training is declared once; what repeats it says the same."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import typer

import pellucid
from pellucid import TabularClassifier, TabularRegressor
from pellucid.checks import TRAINING
from pellucid.cli import app
from pellucid.tables import TrainSettings
from pellucid.tables.settings import OPTIONS, documented

USUAL = TrainSettings()
OWN = {"random_state", "n_threads", "callbacks", "verbose"}
"""Parameters of the estimators that are no settings of the same name."""
COMMAND = typer.main.get_command(app).commands["train"]  # type: ignore[attr-defined]
OF_COMMAND = {each.name: each for each in COMMAND.params}


@pytest.mark.parametrize(
    ("estimator", "lacks"),
    [
        (TabularClassifier, {"task", "seed"}),
        (TabularRegressor, {"task", "seed", "label_smoothing", "class_weight"}),
    ],
)
def test_the_estimators_have_every_setting_with_its_default(estimator: Any, lacks: set) -> None:
    parameters = inspect.signature(estimator).parameters
    assert set(parameters) - OWN == set(OPTIONS) - lacks
    defaults = {name: parameters[name].default for name in set(parameters) - OWN}
    assert defaults == {name: getattr(USUAL, name) for name in defaults}
    assert parameters["random_state"].default == USUAL.seed


@pytest.mark.parametrize("name", sorted(set(OPTIONS) - {"task", "seed"}))
def test_the_documentation_of_the_classifier_has_the_text_of_each_setting(name: str) -> None:
    expected = documented([name])
    text = inspect.cleandoc(str(TabularClassifier.__doc__))
    assert expected in text, f"write into the docstring of TabularClassifier:\n{expected}"


def test_the_regressor_names_every_parameter_in_its_documentation() -> None:
    told = str(TabularRegressor.__doc__).split("Parameters\n")[1].split("As of Tab")[0]
    names = {name.strip(" \n-") for name in told.replace("\n", " ").split(",")}
    assert names == set(inspect.signature(TabularRegressor).parameters)


@pytest.mark.parametrize("name", [name for name, each in OPTIONS.items() if each.command_line])
def test_the_command_line_has_every_setting(name: str) -> None:
    option, declared = OF_COMMAND[name], OPTIONS[name]
    assert option.opts[0] == (declared.flag or "--" + name.replace("_", "-"))
    assert option.help.startswith(declared.text.rstrip("."))  # type: ignore[attr-defined]
    if declared.usual:
        assert option.show_default == declared.usual  # type: ignore[attr-defined]
    if not isinstance(getattr(USUAL, name), tuple):
        assert option.default == getattr(USUAL, name)


def test_what_the_command_line_leaves_out() -> None:
    assert set(OPTIONS) - set(OF_COMMAND) == {"validation_fraction", "class_weight"}


def test_the_settings_document_themselves() -> None:
    assert documented() in str(TrainSettings.__doc__)


@pytest.mark.parametrize("name", inspect.signature(pellucid.train).parameters)
def test_train_documents_every_argument(name: str) -> None:
    section = str(pellucid.train.__doc__).split("Returns\n")[0]
    heads = [line.split(" : ")[0] for line in section.splitlines() if " : " in line]
    assert name in [each.strip() for head in heads for each in head.split(",")] or (
        f"``{name}``" in section
    )


def test_what_is_checked_is_an_argument_of_train() -> None:
    assert set(TRAINING) <= set(inspect.signature(pellucid.train).parameters)

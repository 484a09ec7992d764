"""The lab's diagnosis: silent while a healthy network trains, and why a broken one fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pellucid import Network, train
from pellucid import diagnose as diagnose_history
from pellucid.insight import Diagnosis
from pellucid.insight.diagnosis.finding import Finding
from pellucid.insight.diagnosis.rules import KINDS
from pellucid.lab.faults import FAULTS
from pellucid.lab.presets import PRESETS
from pellucid.lab.session.experiment import Experiment
from pellucid.lab.session.settings import Settings
from pellucid.lab.views.diagnosis import LATER, REMEDIES, diagnose, history, remedy

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

HEALTHY = [name for name, preset in PRESETS.items() if not preset.finding]
CIRCLES = {
    "data": {"name": "circles", "noise": 0.1, "m": 200, "split": 0.25},
    "layers": [{"units": 6}, {"units": 6}],
    "learning_rate": 0.05,
}


def made(given: dict[str, Any], **more: Any) -> Experiment:
    return Experiment(Settings.read({**given, **more}))


def serious(found: Diagnosis) -> list[str]:
    return [f.kind for f in found.findings if f.severity != "info"]


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_preset_is_left_alone_at_every_epoch(name):
    e = made(PRESETS[name].experiment)
    while e.epoch < 1000:
        assert serious(diagnose(e)) == [], f"epoch {e.epoch}, step {e.step}"
        if e.epoch < 3:
            e.steps(1)
        else:
            for _ in range(max(1, e.epoch // 5)):
                e.steps(e.left_in_epoch())


@pytest.mark.parametrize("name", [name for name in PRESETS if name not in HEALTHY])
def test_a_preset_that_is_wrong_on_purpose_is_told_so(name):
    e = made(PRESETS[name].experiment)
    assert serious(diagnose(e)) == [PRESETS[name].finding]
    e.steps(100)
    assert PRESETS[name].finding in serious(diagnose(e))


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_and_its_remedy_mends_it(fault):
    kind = FAULTS[fault].finding
    where = "layer 2" if FAULTS[fault].steps else "every layer"
    after = 40 if FAULTS[fault].rate > 1 else 0  # steps until it shows
    e = made(CIRCLES, fault=fault)
    for steps in (after, 60):
        e.steps(steps)
        found = diagnose(e)
        first = found.findings[0]
        assert (first.kind, first.where) == (kind, where), found
        assert first.severity != "info"
        assert not set(serious(found)) & LATER
    mended = remedy(e.settings, first)
    if kind == "wrong_backward":
        assert mended is None  # its advice is to correct the code
        return
    assert "fault switched off" in mended["changed"]
    again = made({**e.settings.to_dict(), **mended["settings"]})
    again.steps(60)
    assert kind not in serious(diagnose(again))
    assert again.fault is None


def test_what_is_said_later_are_kinds_of_findings():
    assert set(KINDS) > LATER


def test_the_wrong_array_is_named():
    """A gradient that comes back wrong is not taken for a wrong g'."""
    for fault, array in (("dropped_transpose", "dA[1]"), ("wrong_layer_derivative", "db[2]")):
        evidence = diagnose(made(CIRCLES, fault=fault)).findings[0].evidence
        assert evidence.startswith(array), evidence


def test_dead_units_arise_while_it_trains():
    relu = {**CIRCLES, "layers": [{"units": 8, "activation": "relu"}], "seed": 3}
    e = made(relu)
    assert diagnose(e).ok
    for unit in range(5):
        e.set_cell("b", 1, unit, 0, -50.0)
    e.steps(e.left_in_epoch())
    found = {f.kind: f for f in diagnose(e).findings}
    assert found["dead_units"].where == "layer 1"
    assert found["dead_units"].evidence.startswith("5 of 8 units")
    assert found["dead_units"].severity == "warning"


def test_the_whole_diagnosis_judges_the_end_too():
    e = made(CIRCLES, learning_rate=0.001)
    e.steps(2 * e.left_in_epoch())
    assert diagnose(e).ok
    found = diagnose(e, whole=True)
    assert "stopped_too_early" in serious(found)
    assert set(serious(found)) & LATER


def test_the_whole_diagnosis_is_that_of_a_training():
    """What :func:`pellucid.train` hands to :func:`pellucid.diagnose`."""
    e = made(CIRCLES, learning_rate=0.3)
    e.steps(30 * e.left_in_epoch())
    X, Y = e.X[:, e.training], e.Y[:, e.training]
    part = e.X[:, e.validation], e.Y[:, e.validation]
    net = Network(list(made(CIRCLES).network.layers), 2, seed=1)
    net.put_parameters(e._start)
    trained = train(
        net, X, Y, loss=e.loss, learning_rate=0.3, batch_size=32, epochs=30, seed=1,
        validation_data=part,
    )  # fmt: skip
    expected = diagnose_history(trained, X, Y, network=net, validation_data=part)
    assert serious(diagnose(e, whole=True))[:1] == serious(expected)[:1]


def test_the_history_is_evenly_spaced_and_keeps_the_least_validation_loss():
    e = made(CIRCLES, learning_rate=0.02)
    e.steps(1000 * e.left_in_epoch())
    curves, every = history(e).curves, 8
    least = e.curves["epoch"][int(np.argmin(e.curves["val_loss"]))]
    epochs = [epoch for epoch in curves["epoch"] if epoch % every == 0 or epoch != least]
    assert epochs == list(range(every, 1001, every))
    assert min(curves["val_loss"]) == min(e.curves["val_loss"])
    assert least in curves["epoch"]
    known = dict(zip(e.curves["epoch"], e.curves["loss"], strict=True))
    assert [known[epoch] for epoch in curves["epoch"]] == curves["loss"]


def test_statistics_are_taken_at_the_start_and_after_1_2_4_epochs_and_forgotten_by_a_reset():
    e = made(CIRCLES)
    e.steps(9 * e.left_in_epoch())
    assert [each["epoch"] for each in e.statistics] == [0, 1, 2, 4, 8]
    assert history(e).statistics[-1]["epoch"] == 9
    moved = [each["layers"][0]["moved_since_start"] for each in e.statistics]
    assert moved[0] == 0 < moved[1] < moved[-1]
    e.reset()
    assert [each["epoch"] for each in e.statistics] == [0]


def test_looking_changes_nothing_that_is_learned():
    watched, alone = made(CIRCLES), made(CIRCLES)
    for _ in range(20):
        watched.steps(7)
        diagnose(watched)
    alone.steps(140)
    assert watched.digest() == alone.digest()


def test_divergence_is_told_with_its_layer():
    e = made(PRESETS["sine"].experiment, optimizer="gradient_descent", learning_rate=50.0)
    e.steps(1000)
    assert e.diverged
    found = diagnose(e)
    assert found.findings[0].kind in ("learning_rate_too_high", "divergence")
    assert any("diverged at step" in f.evidence for f in found.findings)


# What would mend it -------------------------------------------------------------------------------


def finding(**fix: Any) -> Finding:
    return Finding("kind", "error", "", "", "", "", fix)


@pytest.mark.parametrize(
    ("fix", "changed"),
    [
        ({"learning_rate": 0.5}, ["learning rate: 0.05 → 0.5"]),
        ({"batch_size": 8}, ["batch size: 32 → 8"]),
        ({"initializer": "he_normal"}, ["initial weights: to suit the activation → he normal"]),
        ({"activation": "relu"}, ["g of the hidden layers: tanh → relu"]),
        ({"hidden_layer_sizes": [64, 64]}, ["hidden layers: 6-6 → 64-64"]),
        ({"hidden_layer_sizes": [16]}, ["hidden layers: 6-6 → 16"]),
        ({"output": "identity", "loss": "half_squared_error"},
         ["output: sigmoid → identity", "loss: binary cross entropy → half squared error"]),
        ({"l2": 0.01, "early_stopping": 5}, ["penalty L2: 0 → 0.01"]),
    ],
)  # fmt: skip
def test_what_a_finding_suggests_becomes_settings(fix, changed):
    settings = Settings.read(CIRCLES)
    found = remedy(settings, finding(**fix))
    assert found["changed"] == changed
    again = Settings.read({**settings.to_dict(), **found["settings"]})
    assert remedy(again, finding(**fix)) is None  # there is nothing left to change


@pytest.mark.parametrize(
    "fix", [{}, {"epochs": 500}, {"gradient_clip": 1.0, "bias": 0.0}, {"drop_columns": [1]}]
)
def test_what_the_lab_has_not_is_not_offered(fix):
    assert remedy(Settings.read(CIRCLES), finding(**fix)) is None


def test_more_units_than_the_lab_takes_are_not_offered():
    wide = Settings.read({**CIRCLES, "layers": [{"units": 400}]})
    assert remedy(wide, finding(hidden_layer_sizes=[800])) is None


def test_typed_weights_go_where_others_are_to_start():
    gate = Settings.read(PRESETS["and-gate"].experiment)
    found = remedy(gate, finding(initializer="glorot_uniform"))
    assert found["settings"]["parameters"] is None
    assert "typed weights: removed" in found["changed"]


def test_the_remedies_are_settings_that_rules_suggest():
    assert {"learning_rate", "initializer", "activation", "batch_size"} <= set(REMEDIES)

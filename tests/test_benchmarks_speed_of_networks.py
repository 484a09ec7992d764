"""The benchmark of convolutional and recurrent networks: its work, its check, its page."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

# Multiplications and additions of a step, counted by hand: three products a layer, two in the first
# where its inputs are data; the places of a convolution, the steps of a recurrence.
MFLOP = {
    "lenet": 64e-6 * (2 * 2 * 784 * 25 * 6 + 3 * 2 * (100 * 150 * 16 + 400 * 120 + 120 * 84 + 840)),
    "vgg": 64e-6
    * (
        2 * 2 * 1024 * 27 * 32
        + 3 * 2 * (1024 * 288 * 32 + 256 * 288 * 64 + 256 * 576 * 64 + 4096 * 256 + 2560)
    ),
    "conv1d": 64e-6 * (2 * 2 * 150 * 30 * 32 + 3 * 2 * (75 * 160 * 64 + 64 * 6)),
    "lstm": 64e-6 * (28 * 256 * (2 * 2 * 28 + 3 * 2 * 64) + 3 * 2 * 640),
    "gru": 64e-6 * (100 * 384 * (2 * 2 * 16 + 3 * 2 * 128) + 3 * 2 * 1280),
    "characters": 64e-6 * (64 * 512 * 3 * 2 * (32 + 128) + 64 * 3 * 2 * 128 * 65),
}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    known = set(sys.modules)
    monkeypatch.syspath_prepend(BENCHMARKS)
    import networks
    import report_networks
    import worker
    import workloads

    yield SimpleNamespace(
        networks=networks, report=report_networks, worker=worker, workloads=workloads
    )
    for name in set(sys.modules) - known:  # "machine" and "worker" are names others may want
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_operations_are_counted_as_by_hand(bench: Any) -> None:
    found = {name: task.flops / 1e6 for name, task in bench.workloads.TASKS.items()}
    assert found == pytest.approx(MFLOP)


def test_a_job_arrives_in_the_process_as_it_was(bench: Any) -> None:
    for task in bench.workloads.TASKS.values():
        job = bench.workloads.Job(task.with_steps(2), threads=1)
        there = bench.workloads.Job.from_dict(job.to_dict())
        assert there.workload == job.workload
        assert there.workload.steps == 2


@pytest.mark.parametrize("name", ["lstm", "characters"])
def test_other_outputs_than_the_reference_engines_are_refused(bench: Any, name: str) -> None:
    task = bench.workloads.TASKS[name].with_steps(1)
    X, _ = task.data()
    network = task.network()
    task.check(X, network.forward(bench.workloads.columns(X)).T)
    network.W[network.L][:] *= 1.1
    with pytest.raises(ValueError, match=r"outputs are .* away from those of the reference engine"):
        task.check(X, network.forward(bench.workloads.columns(X)).T)


def test_other_steps_than_the_reference_engines_are_refused(bench: Any) -> None:
    task = bench.workloads.TASKS["lstm"].with_steps(2)
    right = task._expected_costs().tolist()
    task.check_costs(right)
    with pytest.raises(
        ValueError, match=r"J of the first steps is 2\.\d+, 3, that of the reference"
    ):
        task.check_costs([right[0], 3.0])


def test_a_form_that_does_other_steps_is_left_out(bench: Any) -> None:
    import stopwatch
    import variants

    def epoch(J: float, order: int, costs: list[float] | None) -> None:
        if costs is not None:
            costs.append(J)

    def check(costs: list[float]) -> None:
        if costs[0] > 2:
            raise ValueError("J is wrong")

    class EnoughError(Exception):
        pass

    class Watch(stopwatch.Stopwatch):
        def __init__(self) -> None:
            self.info: dict[str, Any] = {}

        def __call__(self) -> None:
            raise EnoughError

    watch = Watch()
    forms = {name: lambda J=J: partial(epoch, J) for name, J in (("wrong", 3.0), ("right", 1.0))}
    with pytest.raises(EnoughError):
        variants.train_best(forms, "", [0, 1], watch, check)
    assert watch.info == {
        "left_out": "wrong: ValueError: J is wrong",
        "form": "right",
        "first_loss": 1.0,
    }


def test_bare_steps_and_train_do_the_same_steps(bench: Any) -> None:
    job = bench.workloads.Job(bench.workloads.TASKS["lstm"].with_steps(3), threads=1)
    answers = [
        bench.worker.ask(name, job, 0.01)["info"] for name in ("pellucid-session", "pellucid")
    ]
    assert answers[0]["engine"] == answers[1]["engine"]
    assert answers[0]["first_loss"] == pytest.approx(answers[1]["first_loss"], rel=1e-6)


def result(us: float, first_loss: float = 2.0, **more: Any) -> dict[str, Any]:
    return {
        "threads": 1,
        "us_per_step": us,
        "cpu_us_per_step": us,
        "rounds_us": [us],
        "gflops": 145e3 / us,
        "first_loss": first_loss,
        **more,
    }


def test_the_page_says_what_was_reached_and_who_was_absent(bench: Any) -> None:
    results = {
        "pellucid@1": result(1500),
        "pellucid@all": result(1000),
        "torch@1": result(3600),
        "torch@all": result(3400),
        "jax@all": result(6800, first_loss=2.001, left_out="patches: J is wrong"),
        "keras@all": {"skipped": "keras is not installed"},
        "fma@1": {"gflops_best": 120.0},
        "fma@all": {"gflops_best": 240.0},
    }
    task = {"label": "LeNet-5", "flops_per_step": 145e6, "rows": 640, "results": results}
    said = "\n".join(bench.report.training_section({"lenet": task}))
    assert "| PyTorch | 3,400 | 18 % | 3.40×, asked 3.50×: **not met** |" in said
    assert "| 1,500 | 1,500 | 81 %, asked 75 %: met | PyTorch | 3,600 |" in said
    assert "whole first epoch agree to 1 %" in said
    assert "- LeNet-5, jax@all: patches: J is wrong" in said
    assert "- keras@all: keras is not installed (lenet)" in said
    results["torch@all"]["first_loss"] = 2.5
    assert "not all have done the same steps" in "\n".join(bench.report.agreement({"lenet": task}))


def test_one_row_and_mnist_are_judged(bench: Any) -> None:
    rows = {
        "pellucid@1": result(1, seconds_per_epoch=20e-6),
        "jax@1": result(1, seconds_per_epoch=90e-6),
        "onnxruntime@1": result(1, seconds_per_epoch=25e-6),
    }
    said = "\n".join(bench.report.row_section({"lenet": {"label": "LeNet-5", "results": rows}}))
    assert "| 4.50×, asked 5.00×: **not met** | 1.25×, asked 1.00×: met |" in said
    fits = [{"accuracy": a, "seconds": s, "cpu_seconds": 2 * s} for a, s in ((99.1, 9), (98.9, 16))]
    said = "\n".join(bench.report.mnist_section({"fits": fits, "settings": {"epochs": 7}}))
    assert "| 99.00, asked 99.0: met | 9.00, 16.0 | 16.0 s, asked 15.0 s: **not met** |" in said


def test_what_is_wanted_is_planned(bench: Any) -> None:
    task = bench.workloads.TASKS["lenet"]
    keys = list(dict(bench.networks.training(task, ["pellucid", "jax"], [1, 0])))
    assert keys == [
        *("sgemm@1", "fma@1", "pellucid@1", "jax@1"),
        *("sgemm@all", "fma@all", "pellucid@all", "jax@all", "pellucid-train@all"),
    ]
    assert not dict(bench.networks.rows(bench.workloads.TASKS["gru"], ["pellucid"], [1]))
    names = {
        each.name
        for each in dict(bench.networks.rows(task, list(bench.networks.ROWS), [1])).values()
    }
    from contestants import CONTESTANTS

    assert names | set(bench.networks.CONTESTANTS.values()) <= set(CONTESTANTS)

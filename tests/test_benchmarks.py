"""The benchmarks: a new process for each round, what becomes of those that fail, the report."""

import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pellucid.engines import simd

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
MODULES = (
    "stopwatch",
    "machine",
    "report",
    "report_fits",
    "report_format",
    "report_networks",
    "report_scaling",
    "worker",
    "workloads",
)

CONTESTANT = """
import json, sys, time
sys.path.insert(0, {benchmarks!r})
import stopwatch
from workloads import Job

name, job = sys.argv[1], Job.from_dict(json.loads(sys.argv[2]))
with open({starts!r}, "a+") as starts:
    print(name, job.form, file=starts)
    starts.seek(0)
    nth = sum(line.split()[0] == name for line in starts)
stopwatch.WARM_SECONDS = 0.05
stopwatch = stopwatch.Stopwatch(float(sys.argv[3]), sys.stdout)
if name == "absent" or (name == "tires" and nth > 1):
    stopwatch.finish(skipped=f"start {{nth}}")
if name == "dies":
    raise SystemExit("out of luck")
if name == "forms":
    stopwatch.info["form"] = job.form or "second"
while True:
    stopwatch()
    time.sleep(0.01)
"""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules, contestants that only sleep, and the list of their starts."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    import stopwatch
    import worker
    import workloads

    starts, child = tmp_path / "starts.txt", tmp_path / "child.py"
    child.write_text(CONTESTANT.format(benchmarks=str(BENCHMARKS), starts=str(starts)))
    monkeypatch.setattr(worker, "CHILD", str(child))
    job = workloads.Job(workloads.WORKLOADS["table"])

    def run(*names: str, rounds: int) -> dict[str, Any]:
        return worker.compare({n: worker.Contestant(n, job) for n in names}, rounds, 0.05)

    yield SimpleNamespace(run=run, starts=starts, ask=worker.ask, job=job, Skip=stopwatch.Skip)
    for name in MODULES:
        sys.modules.pop(name, None)


def test_every_round_is_a_process_of_its_own_and_the_start_rotates(bench: Any) -> None:
    found = bench.run("a", "b", rounds=2)
    assert bench.starts.read_text().split() == ["a", "b", "b", "a"]
    for each in found.values():
        assert len(each["rounds_us"]) == 2
        assert each["seconds_per_epoch"] >= 0.01


def test_who_fails_is_not_started_again(bench: Any) -> None:
    found = bench.run("absent", "tires", "dies", "a", rounds=3)
    assert found["absent"] == {"skipped": "start 1"}
    assert found["tires"] == {"skipped": "start 2"}
    assert found["dies"] == {"skipped": "out of luck"}
    started = bench.starts.read_text().split()
    assert [started.count(name) for name in ("absent", "tires", "dies", "a")] == [1, 2, 1, 3]


def test_later_rounds_are_told_the_form_that_the_first_has_found(bench: Any) -> None:
    found = bench.run("forms", rounds=3)
    assert bench.starts.read_text().splitlines() == ["forms ", "forms second", "forms second"]
    assert found["forms"]["form"] == "second"


def test_the_bursts_count_in_which_the_cores_could_do_most(bench: Any) -> None:
    import worker

    def burst(seconds: float, gflops: float) -> dict[str, float]:
        worked = {"seconds_per_epoch": seconds, "cpu_seconds_per_epoch": 2 * seconds}
        return worked | {"gflops_given": gflops}

    def answer(*bursts: dict[str, float]) -> dict[str, Any]:
        return {"bursts": list(bursts), "cores_used": 4, "cores_others": 0, "info": {"n": 1}}

    rounds = [answer(burst(3, 200), burst(1, 400)), answer(burst(4, 100)), answer(burst(2, 300))]
    found = worker.Contestant("a", bench.job, rounds).result()
    assert found["seconds_per_epoch"] == 2  # of 1, 2 and 3
    assert found["cpu_us_per_step"] == 4e6 / bench.job.workload.steps
    assert (found["gflops_given"], found["gflops_given_all"]) == (300, 200)
    busy = dataclasses.replace(bench.job, taken=(0,))
    assert worker.Contestant("a", busy, rounds).result()["seconds_per_epoch"] == 2.5


def test_a_real_contestant_answers(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import worker

    monkeypatch.setattr(worker, "CHILD", str(BENCHMARKS / "run_contestant.py"))
    answer = bench.ask("sgemm", bench.job, 0.1)
    assert answer["info"] == {"flops": 2 * 1536**3}
    assert all(each["seconds_per_epoch"] > 0 for each in answer["bursts"])
    assert all(each["gflops_given"] > 0 for each in answer["bursts"]) or not simd.levels()
    with pytest.raises(bench.Skip, match="KeyError: 'nobody'"):
        bench.ask("nobody", bench.job, 0.1)


def test_whole_fits_of_both_libraries_end_at_the_same_loss(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import report_fits
    import worker
    import workloads

    monkeypatch.setattr(worker, "CHILD", str(BENCHMARKS / "run_contestant.py"))
    iris = workloads.FITS["iris"]
    job = workloads.Job(iris, 1, "float64")
    found = {}
    for name in ("pellucid", "sklearn"):
        answer = bench.ask(f"{name}-fit", job)
        assert answer["epochs"] == 200
        assert min(answer["seconds"]) > 0
        assert answer["cores_others"] >= 0
        found[name] = {"seconds": answer["seconds"], "loss": answer["loss"]}
    assert found["pellucid"]["loss"] == pytest.approx(found["sklearn"]["loss"], rel=1e-9)
    results = {"pellucid@all": found["pellucid"], "sklearn@1": found["sklearn"]}
    fits = {"iris": {"label": iris.label, "rows": iris.rows, "results": results}}
    machine = {"machine": "a machine", "cpus": 1, "date": "today", "rounds": 1}
    row = report_fits.fits_section({"fits": fits, **machine})[-1]
    assert row.startswith("| iris, 4-100-3, 150 | 150 | ")
    assert row.endswith(f" | {found['pellucid']['loss']:.4g} |")
    assert "*(1)*" in row


def test_the_committed_results_can_be_reported(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import report

    (tmp_path / "results").mkdir()
    for path in (BENCHMARKS / "results").glob("*.json"):
        (tmp_path / "results" / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(report, "plot", lambda results, path: True)
    report.write(tmp_path)
    said = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    old = (BENCHMARKS / "RESULTS.md").read_text(encoding="utf-8")
    for title in (line for line in old.splitlines() if line.startswith("## ")):
        assert title in said

"""Healthy trainings of the kinds that cried wolf: how many are called faulty.

PELLUCID_DATA=path/to/data python benchmarks/diagnosis/false_alarms.py [--groups GROUP ...]

writes false_alarms.json (only where no group is named); without PELLUCID_DATA the pixels are left
out.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

from groups import GROUPS, Run
from threadpoolctl import threadpool_limits

from pellucid import Network, diagnose, train
from pellucid.insight import Watch
from pellucid.insight.diagnosis.finding import Diagnosis

HERE = Path(__file__).parent


def asked(run: Run, seed: int) -> dict[str, Any]:
    """Train a run and diagnose it, with everything given and with the history and network alone."""
    net = Network(run.layers, len(run.train[0]), seed=seed)
    settings = dict(run.settings)
    if run.validation is None:
        settings.pop("early_stopping", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        history = train(
            net, *run.train, loss=run.loss, validation_data=run.validation, callbacks=Watch(),
            seed=seed, n_threads=1, **settings,
        )  # fmt: skip
        score = run.score(*run.test, net.forward(run.test[0]))
        row = {"name": run.name, "score": round(score, 3), "good": round(run.good, 3)}
        if score < run.good:
            return row | {"kept": False}
        alone = diagnose(history, network=net)
        full = diagnose(history, *run.train, network=net, validation_data=run.validation)
    return row | {"kept": True, "full": serious(full), "alone": serious(alone)}


def serious(diagnosis: Diagnosis) -> list[str]:
    """The kinds of warnings and errors."""
    return [finding.kind for finding in diagnosis.findings if finding.severity != "info"]


def main() -> None:
    """Train every group, ask, and write false_alarms.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--groups", nargs="*", choices=list(GROUPS), default=list(GROUPS))
    options = parser.parse_args()
    threadpool_limits(1)
    rows: list[dict[str, Any]] = []
    for group in options.groups:
        new = [{"group": group} | asked(run, seed) for seed, run in enumerate(GROUPS[group]())]
        kept = [row for row in new if row["kept"]]
        full, alone = (sum(bool(row[what]) for row in kept) for what in ("full", "alone"))
        print(
            f"{group:21} healthy {len(kept):3} of {len(new):3}, alarms with everything given "
            f"{full}, with history and network {alone}",
            flush=True,
        )
        for row in new:
            if not row["kept"]:
                print(f"    not kept: {row['name']} {row['score']} < {row['good']}")
            elif row["full"] or row["alone"]:
                print(f"    {row['name']} {row['score']}: {row['full']}, alone {row['alone']}")
        rows += new
    kept = [row for row in rows if row["kept"]]
    full, alone = (sum(bool(row[what]) for row in kept) for what in ("full", "alone"))
    print(f"{len(kept)} healthy runs: {full} with an alarm, {alone} by history and network alone")
    if len(options.groups) == len(GROUPS):
        lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
        (HERE / "false_alarms.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()

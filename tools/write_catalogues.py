"""Write docs/catalogues.md from the tables of the installed package: ``make docs``."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pellucid.activations import ACTIVATIONS
from pellucid.augmentations import AUGMENTATIONS
from pellucid.graph import OPERATIONS
from pellucid.initializers import INITIALIZERS
from pellucid.insight.diagnosis.rules import RULES
from pellucid.insight.trace import PRESETS
from pellucid.lab.faults import FAULTS
from pellucid.layers import LAYERS
from pellucid.losses import LOSSES, PAIRS
from pellucid.optimizers import OPTIMIZERS
from pellucid.schedules import SCHEDULES
from pellucid.tasks import TASKS

HEAD = """# The catalogues

What may be named, from the tables in the code; this page is written by `make docs`. A name stands
for its entry with the usual parameters; an entry with others is an object:
`LeakyReLU(slope=0.1)` of `pellucid.activations`, `Huber(delta=2.0)` of `pellucid.losses`.
"""


def page() -> str:
    """Return the page's text."""
    parts = [HEAD, *_layers()]
    g = {"Formula": "formula", "Derivative": "derivative", "Range": "range", "Advice": "advice"}
    parts += _section("Activations", ACTIVATIONS, g)
    fits = {name: ", ".join(loss.fits) for name, loss in LOSSES.items()}
    parts += _section("Losses", LOSSES, {"Formula": "formula", "Advice": "advice"}, {"Fits": fits})
    parts.append("These pairs of output activation and loss are worked out from Z, dZ = A - Y:\n")
    parts += _rows(
        ["Output", "Loss", "Formula"],
        ([f"`{g}`", f"`{loss}`", f"`{pair.formula}`"] for (g, loss), pair in PAIRS.items()),
    )
    parts += _section("Initializers", INITIALIZERS, {"Formula": "formula", "Advice": "advice"})
    rates = {name: f"{entry.default_learning_rate:g}" for name, entry in OPTIMIZERS.items()}
    parts += _section(
        "Optimizers", OPTIMIZERS, {"Formula": "formula"}, {"Usual learning rate": rates}
    )
    parts += _section("Schedules", SCHEDULES, {"Formula": "formula"})
    parts += _section("Augmentations", AUGMENTATIONS, {"Formula": "formula"})
    parts += [
        "\n## Tasks\n",
        *_rows(
            ["Name", "What is asked for", "Output", "Loss", "Judged by", "Compared with"],
            (
                [
                    *(f"`{t.name}`", t.asks, f"`{t.output}`", f"`{t.loss}`"),
                    *(", ".join(t.metrics), ", ".join(t.baselines)),
                ]
                for t in TASKS.values()
            ),
        ),
    ]
    parts += _seen_through()
    return "\n".join(parts)


def _layers() -> list[str]:
    """The layers, with their arguments and what their docstrings begin with."""
    rows = []
    for name, entry in LAYERS.items():
        arguments = [
            each.name if each.default is each.empty else f"{each.name}={each.default!r}"
            for each in inspect.signature(entry).parameters.values()
        ]
        computes = (entry.__doc__ or "").split("\n")[0].split(":")[0].rstrip(".")
        weights = ", ".join(f"`{letter}`" for letter in entry.penalised)
        rows.append(
            [f"`{name}`", f"`{entry.__name__}({', '.join(arguments)})`", f"`{computes}`", weights]
        )
    return ["\n## Layers\n", *_rows(["Name", "Object", "What it computes", "Weights"], rows)]


def _seen_through() -> list[str]:
    """What looks into a network: presets of the trace, kinds of findings, operations, faults."""
    presets = (
        [f"`{p.name}`", p.title, p.source, f"{', '.join(p.inputs)}; {p.target}", f"{p.X.shape[1]}"]
        for p in PRESETS.values()
    )
    whys = {rule.kind: rule.why for rule in RULES}
    return [
        "\n## Presets of the trace\n",
        "`pellucid trace --preset NAME`, each with its own small data.\n",
        *_rows(["Name", "What it is", "From", "Inputs; target", "Examples"], presets),
        "\n## What a diagnosis knows\n",
        "The most causal first; what follows from another finding is told as info.\n",
        *_rows(["Kind", "Why"], ([k.replace("_", " "), why] for k, why in whys.items())),
        "\n## Operations of a computation graph\n",
        *_rows(["Name", "Written"], ([f"`{o.name}`", f"`{o.shown}`"] for o in OPERATIONS.values())),
        "\n## Faults of the lab\n",
        *_rows(
            ["Name", "What it does", "Why that is wrong", "Diagnosis"],
            ([f"`{f.name}`", f.title, f.why, f"`{f.finding}`"] for f in FAULTS.values()),
        ),
    ]


def _section(
    title: str,
    table: Mapping[str, Any],
    attributes: Mapping[str, str],
    more: Mapping[str, Mapping[str, str]] | None = None,
) -> list[str]:
    """A table with a row for each entry."""
    extra = more or {}
    rows = []
    for name, entry in table.items():
        fields = [f"{f.name}={f.default!r}" for f in dataclasses.fields(entry)]
        names = ", ".join(f"`{each}`" for each in (name, *entry.aliases))
        cells = [names, f"`{entry.__name__}({', '.join(fields)})`"]
        for attribute in attributes.values():
            text = getattr(entry(), attribute)
            cells.append(text if attribute == "advice" else f"`{text}`")
        rows.append([*cells, *(column[name] for column in extra.values())])
    return [f"\n## {title}\n", *_rows(["Name", "Object", *attributes, *extra], rows)]


def _rows(header: list[str], rows: Iterable[list[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines] + [""]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")

"""From the results of ``tables.py`` to the tables of ``accuracy.md``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from report_format import with_part

PEERS = {"mlp": "scikit-learn's MLP", "boosting": "HistGradientBoosting"}
METHODS = {"pellucid": "Pellucid", **PEERS}
Results = dict[str, dict[str, dict[str, dict[str, float]]]]


def write(page: Path, document: dict[str, Any], tuned: list[str], samples: list[str]) -> None:
    """Replace what stands between the markers of the page."""
    page.write_text(with_part(page.read_text(), "tables.py", text(document, tuned, samples)))


def text(document: dict[str, Any], tuned: list[str], samples: list[str]) -> str:
    """Return the tables and what they say, as Markdown."""
    results: Results = document["results"]
    names = [name for name in results if all(results[name].get(method) for method in METHODS)]
    names.sort(key=lambda name: (name in samples, name in tuned))
    unseen = [name for name in names if name not in [*tuned, *samples]]
    groups = {
        "Tables that nothing was tuned on": unseen,
        "Tables that the recipe's constants were chosen on": [n for n in tuned if n in names],
        "Samples that ship with scikit-learn": [n for n in samples if n in names],
    }
    about = document["machine"]
    versions = about["versions"]
    lines = [
        f"{about['date']}, {about['machine']}, one thread a fit on a machine that others used "
        f"too, pellucid {about['commit']}, scikit-learn {versions['scikit-learn']}.",
        "",
    ]
    for title, group in groups.items():
        if group:
            lines += [f"**{title}**", "", *_errors(results, group), ""]
    lines += ["**Against each peer**", "", *_summary(results, groups), ""]
    lines += ["**Log-loss and seconds**", "", *_costs(results, names)]
    several = [n for n in names if len(_paired(results, n, "folds")[0])]
    several = [n for n in several if _differ(results, n)]
    if several:
        lines += [
            "",
            "**Five folds where one network is the default**",
            "",
            *_folds(results, several),
        ]
    return "\n".join(lines)


def _errors(results: Results, names: list[str]) -> list[str]:
    lines = _head(["table", *METHODS.values(), "against the MLP", "in standard errors"])
    for name in names:
        cells = []
        for method in METHODS:
            values = _values(results, name, method, "error")
            cells.append(_mean_and_error(values, percent=_is_share(results, name)))
        mine, theirs = _paired(results, name, "mlp")
        ratio = 100 * (mine.mean() / theirs.mean() - 1)
        lines.append(_row([name, *cells, f"{ratio:+.1f} %", f"{_in_errors(mine, theirs):+.1f}"]))
    return lines


def _summary(results: Results, groups: dict[str, list[str]]) -> list[str]:
    """The mean error against each peer's: the geometric mean of the tables' ratios."""
    lines = _head(["peer", "tables", "number", "mean error", "worse by over 2 standard errors"])
    everything = [name for group in groups.values() for name in group]
    for peer, title in PEERS.items():
        for about, group in {**groups, "All": everything}.items():
            if not group:
                continue
            pairs = {name: _paired(results, name, peer) for name in group}
            ratios = [np.log(mine.mean() / theirs.mean()) for mine, theirs in pairs.values()]
            worse = [name for name, pair in pairs.items() if _in_errors(*pair) > 2]
            mean = f"{100 * np.expm1(np.mean(ratios)):+.1f} %"
            lines.append(_row([title, about, str(len(group)), mean, ", ".join(worse) or "none"]))
    return lines


def _costs(results: Results, names: list[str]) -> list[str]:
    titles = [f"log-loss, {title}" for title in METHODS.values()]
    lines = _head(["table", *titles, *(f"fit s, {title}" for title in METHODS.values())])
    for name in names:
        losses = [_values(results, name, method, "log_loss") for method in METHODS]
        seconds = [_values(results, name, method, "fit_seconds") for method in METHODS]
        cells = [_mean_and_error(values) if len(values) else "" for values in losses]
        lines.append(_row([name, *cells, *(f"{np.median(each):.1f}" for each in seconds)]))
    return lines


def _differ(results: Results, name: str) -> bool:
    """Whether five folds are something else than the default."""
    mine, folds = _paired(results, name, "folds")
    return bool((mine != folds).any())


def _folds(results: Results, names: list[str]) -> list[str]:
    lines = _head(
        ["table", "one network", "`ensemble=5`", "difference", "in standard errors", "fit s"]
    )
    for name in names:
        percent = _is_share(results, name)
        mine, folds = _paired(results, name, "folds")
        lines.append(
            _row(
                [
                    name,
                    _mean_and_error(mine, percent=percent),
                    _mean_and_error(folds, percent=percent),
                    f"{100 * (folds.mean() / mine.mean() - 1):+.1f} %",
                    f"{_in_errors(folds, mine):+.1f}",
                    f"{np.median(_values(results, name, 'folds', 'fit_seconds')):.1f}",
                ]
            )
        )
    return lines


def _values(results: Results, name: str, method: str, key: str) -> np.ndarray:
    found = results[name][method]
    return np.array([found[k][key] for k in sorted(found, key=int) if key in found[k]])


def _paired(results: Results, name: str, peer: str) -> tuple[np.ndarray, np.ndarray]:
    """The errors of ours and a peer's on the splits that both have."""
    mine, theirs = results[name]["pellucid"], results[name].get(peer, {})
    both = sorted(set(mine) & set(theirs), key=int)
    return tuple(np.array([each[k]["error"] for k in both]) for each in (mine, theirs))


def _in_errors(mine: np.ndarray, theirs: np.ndarray) -> float:
    """The mean of the paired differences in its standard errors; positive is worse."""
    difference = mine - theirs
    spread = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else np.nan
    return float(difference.mean() / spread) if spread else 0.0


def _is_share(results: Results, name: str) -> bool:
    """Whether the error is the share of wrong classes."""
    return "log_loss" in next(iter(results[name]["pellucid"].values()))


def _mean_and_error(values: np.ndarray, percent: bool = False) -> str:
    spread = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    mean, spread = (100 * values.mean(), 100 * spread) if percent else (values.mean(), spread)
    digits = 2 if percent or mean >= 10 else 3
    return f"{mean:.{digits}f} ± {spread:.{digits}f}" + (" %" if percent else "")


def _head(titles: list[str]) -> list[str]:
    return [_row(titles), _row(["---"] * len(titles))]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"

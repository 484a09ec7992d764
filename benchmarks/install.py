"""What an installation weighs and how long an import takes, beside the peers.

    python benchmarks/install.py [NAME ...]

Each package is installed by pip into a new environment in a temporary folder; its megabytes are
those of site-packages with all that it pulls, without pip and compiled .pyc. An import is a whole
process, up to the class that trains, less the start of Python alone: the median of RUNS, of all
packages in turns. The results are written to benchmarks/results/install.json; what is not measured
anew stays there.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import machine

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "install.json"
RUNS = 9


@dataclass
class Package:
    """What pip is asked for, and what a user imports first."""

    requirement: str
    statement: str
    distribution: str
    note: str = ""


PACKAGES = {
    "pellucid": Package(str(ROOT), "from pellucid import TabularClassifier", "pellucid"),
    "pellucid-predict": Package(
        str(ROOT / "packaging" / "predict"),
        "from pellucid import load_predictor",
        "pellucid-predict",
        "for prediction alone",
    ),
    "pellucid[all]": Package(f"{ROOT}[all]", "from pellucid import TabularClassifier", "pellucid"),
    "scikit-learn": Package(
        "scikit-learn", "from sklearn.neural_network import MLPClassifier", "scikit-learn"
    ),
    "LightGBM": Package(
        "lightgbm[scikit-learn]", "from lightgbm import LGBMClassifier", "lightgbm"
    ),
    "PyTorch": Package("torch==2.13.0", "import torch.nn", "torch", "CPU build"),
    "JAX": Package("jax", "import jax.numpy", "jax", "CPU build"),
    "Keras": Package("keras tensorflow-cpu", "import keras", "keras", "with TensorFlow, CPU build"),
    "AutoGluon": Package(
        "autogluon.tabular",
        "from autogluon.tabular import TabularPredictor",
        "autogluon.tabular",
        "tabular, its base alone",
    ),
}


def main() -> None:
    """Install and measure what is asked for, by default everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*PACKAGES, []], metavar="NAME")
    parser.add_argument("--folder", type=Path, help="where environments are, and stay")
    asked = parser.parse_args()
    names = asked.names or list(PACKAGES)
    found = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {"packages": {}}
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        pythons = {name: installed(PACKAGES[name], folder / name) for name in names}
        there = {name: python for name, python in pythons.items() if python}
        times: dict[str, list[float]] = {name: [] for name in there}
        for _ in range(RUNS):
            for name, python in there.items():
                alone = seconds(python, "pass")
                times[name].append(seconds(python, PACKAGES[name].statement) - alone)
        for name, python in there.items():
            package = PACKAGES[name]
            found["packages"][name] = {
                "megabytes": round(megabytes(python), 1),
                "import_s": round(statistics.median(times[name]), 3),
                "import": package.statement,
                "version": version(python, package.distribution),
                "note": package.note,
            }
            print(name, found["packages"][name], flush=True)
    found["date"] = datetime.date.today().isoformat()
    found["machine"] = (
        f"{machine.model()}, {machine.cpu_count()} CPUs, Python {platform.python_version()}"
    )
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def installed(package: Package, folder: Path) -> str | None:
    """Return the Python of a new environment with the package; None where pip could not."""
    python = str(folder / "bin" / "python")
    if Path(python).exists():
        return python
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *package.requirement.split()], capture_output=True, text=True)
    if done.returncode:
        shutil.rmtree(folder)
        print(f"SKIPPED {package.requirement}: {done.stderr.strip().splitlines()[-1]}", flush=True)
        return None
    return python


def megabytes(python: str) -> float:
    """Return the size of site-packages, without pip, setuptools and compiled files."""
    (site,) = Path(python).parents[1].glob("lib/python*/site-packages")
    size = 0
    for path in site.rglob("*"):
        own = path.relative_to(site).parts[0].partition("-")[0] not in ("pip", "setuptools")
        if own and path.is_file() and not path.is_symlink() and path.suffix != ".pyc":
            size += path.stat().st_size
    return size / 1e6


def seconds(python: str, statement: str) -> float:
    """Return how long a process takes."""
    start = time.perf_counter()
    subprocess.run([python, "-c", statement], check=True, capture_output=True)
    return time.perf_counter() - start


def version(python: str, distribution: str) -> str:
    """Return the version that is installed."""
    code = "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))"
    done = subprocess.run([python, "-c", code, distribution], check=True, capture_output=True)
    return done.stdout.decode().strip()


if __name__ == "__main__":
    main()

"""Build the sdist and the wheels, and try them where there is no compiler: ``make wheels``.

    python tools/wheels.py [--out dist] [--built] [PYTHON ...]

In --out come the sdist, a wheel for each PYTHON that no other wheel fits (Python 3.12 and newer
share one), made from the sdist, and the wheel of pellucid-predict. Each is tried in a new
environment of every PYTHON, and, where debootstrap may be used (by root, on Debian), in bare
systems, build/roots: install, train on a table, predict.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORK = ROOT / "build" / "wheels"
ROOTS = ROOT / "build" / "roots"
SUITES = ("oldstable", "stable", "testing")
MIRROR = "http://deb.debian.org/debian"
COMPILERS = ("cc", "gcc", "g++", "c++", "clang", "cmake")
GLIBC = (5, 12, 17, 24, 26, 27, 28, 31, 34)
"""Minor versions of the C library that wheels name; for pip download, which asks for each."""


# Building -----------------------------------------------------------------------------------------


def build(out: Path, pythons: Sequence[str]) -> None:
    """Write the sdist and all wheels to ``out``, which is emptied before."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    run(sys.executable, "-m", "build", "--sdist", "--outdir", out, ROOT)
    (sdist,) = out.glob("pellucid-*.tar.gz")
    for python in pythons:
        pip: list[str | Path] = [environment(python), "-m", "pip", "--disable-pip-version-check"]
        fits = [*pip, "download", "-q", "--no-deps", "--no-index", "--only-binary=:all:"]
        if not succeeds(*fits, "--find-links", out, "--dest", WORK / "found", "pellucid"):
            run(*pip, "wheel", "-q", "--no-deps", "--wheel-dir", WORK / "raw", sdist)
            for wheel in (WORK / "raw").glob("*.whl"):
                repair(wheel, out)
                wheel.unlink()
    part = ROOT / "packaging" / "predict"
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", out, part)
    check(out)


def repair(wheel: Path, out: Path) -> None:
    """Name the oldest C library that the wheel runs with, where wheels do that."""
    if sys.platform == "linux":
        run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", out, wheel)
    else:
        shutil.copy(wheel, out)


def check(out: Path) -> None:
    """Check what the index would: the metadata, what is inside, the stable ABI's symbols."""
    wheels = sorted(out.glob("*.whl"))
    run(sys.executable, "-m", "twine", "check", "--strict", *wheels, *out.glob("*.tar.gz"))
    run(sys.executable, "-m", "check_wheel_contents", *wheels)
    stable = [wheel for wheel in wheels if "-abi3-" in wheel.name]
    if stable:
        run(sys.executable, "-m", "abi3audit", "--strict", *stable)


# Trying -------------------------------------------------------------------------------------------


@dataclass
class Place:
    """Where a wheel is tried: its Python, its folder, and how to start a program in it."""

    name: str
    python: str
    folder: Path
    root: Path | None = None

    def inside(self, path: Path) -> str:
        """Return a path of this machine as it is called in the place."""
        return str(path if self.root is None else Path("/") / path.relative_to(self.root))

    def run(self, *command: str | Path) -> str:
        """Run a command in the folder with an empty environment; return what it printed."""
        inner = [self.inside(each) if isinstance(each, Path) else each for each in command]
        path = f"{self.inside(self.folder / 'venv' / 'bin')}:{'/usr/bin:/bin' if self.root else ''}"
        start = [] if self.root is None else ["chroot", str(self.root)]
        home = self.inside(self.folder)
        env = ["env", "-i", "-C", home, f"HOME={home}", f"PATH={path.rstrip(':')}"]
        return run(*start, *env, *inner)

    def version(self) -> str:
        """Return the version of its Python, as in 3.12."""
        print_it = "import sys; print('%d.%d' % sys.version_info[:2])"
        return self.run(self.python, "-c", print_it).strip()


def places(pythons: Sequence[str]) -> Iterator[Place]:
    """Every place that there is here, each with an empty folder."""
    for python in pythons:
        folder = WORK / "try" / Path(python).name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        yield Place(f"a new environment of {python}", str(shutil.which(python)), folder)
    if not (shutil.which("debootstrap") and os.geteuid() == 0):
        print("\nSKIPPED bare systems: they need root and debootstrap (apt install debootstrap)")
        return
    for suite in SUITES:
        root = bare_system(suite)
        folder = root / "try"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield Place(f"a bare Debian {suite}", "/usr/bin/python3", folder, root)


def bare_system(suite: str) -> Path:
    """Return the folder of a Debian that has Python and no compiler; it is kept for next time."""
    root = ROOTS / suite
    if not root.is_dir():
        ROOTS.mkdir(parents=True, exist_ok=True)
        part = ROOTS / f"{suite}.part"
        shutil.rmtree(part, ignore_errors=True)
        script = "/usr/share/debootstrap/scripts/sid"  # serves every suite
        options = ["--variant=minbase", "--include=python3,python3-venv"]
        run("debootstrap", *options, suite, part, MIRROR, script)
        part.rename(root)
    return root


def download(place: Place, package: str, out: Path, dest: Path, *options: str) -> list[str | Path]:
    """Return the command that downloads a package for the Python of a place, ours from ``out``."""
    machine = platform.machine()
    names = [f"manylinux_2_{k}_{machine}" for k in GLIBC] + [f"manylinux2014_{machine}"]
    command: list[str | Path] = [sys.executable, "-m", "pip", "download", "-q", package]
    command += ["--only-binary=:all:", "--python-version", place.version(), *options]
    command += [option for name in names for option in ("--platform", name)]
    return [*command, "--dest", dest, "--find-links", out]


def try_in(place: Place, out: Path) -> None:
    """Install in the place, train on a table and predict, with pellucid and pellucid-predict."""
    print(f"\n== {place.name}", flush=True)
    which = "import shutil, sys; print(*filter(shutil.which, sys.argv[1:]))"
    there = place.run(place.python, "-c", which, *COMPILERS).split()
    assert not there, f"{place.name} has a compiler: {there}"
    wheels = place.folder / "wheels"
    if not succeeds(*download(place, "pellucid", out, wheels, "--no-deps", "--no-index")):
        print(f"SKIPPED: no wheel here is for its Python {place.version()}")
        return
    for package in ("pellucid", "pellucid-predict"):
        run(*download(place, package, out, wheels))
    table, model = place.folder / "cancer.csv", place.folder / "cancer.pellucid"
    pellucid = install(place, "venv", "pellucid", wheels) / "pellucid"
    version = place.run(pellucid, "--version")
    assert "engine   fused" in version, version
    assert "breast_cancer" in place.run(pellucid, "samples")
    place.run(pellucid, "samples", "--write", "breast_cancer", table)
    trained = place.run(pellucid, "train", table, "--target", "target", "--out", model)
    print(version + trained[trained.index("\non 114 held-out rows") :])
    place.run(pellucid, "predict", model, table, "--out", place.folder / "said.csv")
    with open(place.folder / "said.csv", encoding="utf-8", newline="") as file:
        said = [row["prediction"] for row in csv.DictReader(file)]
    with open(table, encoding="utf-8", newline="") as file:
        true = [row["target"] for row in csv.DictReader(file)]
    right = sum(map(str.__eq__, said, true)) / len(true)
    assert right > 0.95, f"only {right:.0%} are right"
    predictor = install(place, "predict", "pellucid-predict", wheels) / "python"
    answers = place.run(predictor, "-c", PREDICT, model, table).split("\n")[: len(said)]
    assert answers == said, "pellucid-predict says something else than pellucid"
    print(f"{right:.1%} right; pellucid-predict says the same", flush=True)


PREDICT = """
import csv, sys
from pellucid import load_predictor
rows = list(csv.DictReader(open(sys.argv[2], newline="")))
table = {name: [float(row[name]) for row in rows] for name in rows[0] if name != "target"}
print(*load_predictor(sys.argv[1]).predict(table), sep="\\n")
"""


def install(place: Place, venv: str, package: str, wheels: Path) -> Path:
    """Install from the folder of wheels alone, into a new environment; return its bin."""
    place.run(place.python, "-m", "venv", place.folder / venv)
    programs = place.folder / venv / "bin"
    pip: list[str | Path] = [
        programs / "python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "-q",
    ]
    place.run(*pip, "--no-index", "--find-links", wheels, package)
    return programs


# Commands -----------------------------------------------------------------------------------------


def environment(python: str) -> Path:
    """Return the Python of a new environment of this one."""
    folder = WORK / "build" / Path(python).name
    run(python, "-m", "venv", "--clear", folder)
    return folder / "bin" / "python"


def succeeds(*command: str | Path) -> bool:
    """Whether a command ends well; what it says is not shown."""
    try:
        return not subprocess.run(command, capture_output=True).returncode
    except FileNotFoundError:
        return False


def run(*command: str | Path) -> str:
    """Run a command; return what it printed, or stop with all that it said."""
    done = subprocess.run(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}\n{' '.join(map(str, command))}: {done.returncode}")
    return done.stdout


def main() -> None:
    """Build and try."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("pythons", nargs="*", metavar="PYTHON", help="those not there are left out")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--built", action="store_true", help="try what --out holds already")
    asked = parser.parse_args()
    pythons = [each for each in asked.pythons or [sys.executable] if succeeds(each, "--version")]
    if not asked.built:
        build(asked.out.resolve(), pythons)
    for place in places(pythons):
        try_in(place, asked.out.resolve())
    print()
    for file in sorted(asked.out.iterdir()):
        print(f"{file.stat().st_size / 1e6:5.2f} MB  {asked.out / file.name}")


if __name__ == "__main__":
    main()

"""The choice among the builds of the fused engine."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pellucid.engines import simd

BUILT = bool(simd.levels())
built = pytest.mark.skipif(not BUILT, reason="the fused engine is not built (PELLUCID_PURE)")


def python(code, **environment):
    """Run code in a Python of its own and return what it printed."""
    variables = {k: v for k, v in os.environ.items() if k != "PELLUCID_SIMD"} | environment
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, check=True)
    return done.stdout.split()


LOADED = """
import sys
from pellucid.engines.simd import load_level
print(load_level().level)
print(*sorted(name for name in sys.modules if "_fused_" in name))
"""


@pytest.fixture
def machine(monkeypatch):
    """A function that makes simd see an architecture, what its CPU lacks, and what is built."""

    def pretend(architecture, built, lacks=(), half_width=False):
        cpu = ModuleType("pellucid.engines._cpu")
        cpu.architecture, cpu.half_width_avx512 = architecture, half_width
        cpu.missing = lambda level: [name for name in lacks if name.lower().startswith(level)]
        monkeypatch.setitem(sys.modules, cpu.__name__, cpu)
        there = {cpu.__name__, *(f"pellucid.engines._fused_{level}" for level in built)}
        monkeypatch.setattr(simd, "find_spec", lambda name: name if name in there else None)

    return pretend


@pytest.fixture
def pure(monkeypatch):
    """An installation with PELLUCID_PURE=1: no compiled module at all."""
    monkeypatch.setattr(simd, "find_spec", lambda name: None)


def test_every_level_is_possible_or_has_a_reason():
    assert sorted([*simd.levels(), *simd.why_not()]) == sorted(simd.LEVELS)
    assert all(simd.why_not().values())


def test_levels_come_fastest_first(machine):
    machine("x86-64", ["baseline", "avx2", "avx512"])
    assert simd.levels() == ["avx512", "avx2", "baseline"]
    assert simd.why_not() == {"neon": "only for aarch64"}


def test_where_avx512_runs_at_half_width_avx2_comes_first(machine):
    machine("x86-64", ["baseline", "avx2", "avx512"], half_width=True)
    assert simd.levels() == ["avx2", "avx512", "baseline"]
    machine("x86-64", ["baseline", "avx512"], half_width=True)
    assert simd.levels() == ["avx512", "baseline"]


@built
def test_half_width_is_known_by_the_family_of_the_cpu():
    cpu = importlib.import_module("pellucid.engines._cpu")
    try:
        fields = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
        known = dict(re.findall(r"(.*?)\s*: (.*)", fields))
        expected = known["vendor_id"] == "AuthenticAMD" and known["cpu family"] == "25"
    except (OSError, KeyError):
        pytest.skip("the system does not say")
    assert cpu.half_width_avx512 is expected


def test_a_level_that_the_cpu_lacks_says_what_it_lacks(machine):
    machine("x86-64", ["baseline", "avx2", "avx512"], lacks=["AVX512DQ", "AVX512VL"])
    assert simd.levels() == ["avx2", "baseline"]
    assert simd.why_not()["avx512"] == "this CPU lacks AVX512DQ, AVX512VL"


def test_a_level_that_is_not_built_says_so(machine):
    machine("x86-64", ["baseline", "avx512"])
    assert simd.levels() == ["avx512", "baseline"]
    assert simd.why_not()["avx2"] == "not built"


def test_on_aarch64_neon_is_all(machine):
    machine("aarch64", ["neon"])
    assert simd.levels() == ["neon"]
    assert simd.why_not() == {
        "avx512": "only for x86-64",
        "avx2": "only for x86-64",
        "baseline": "not built",
    }


def test_on_another_architecture_baseline_is_all(machine):
    machine("other", ["baseline"])
    assert simd.levels() == ["baseline"]


@pytest.mark.usefixtures("pure")
def test_a_pure_installation_has_no_level(monkeypatch):
    assert simd.levels() == []
    assert simd.why_not() == dict.fromkeys(simd.LEVELS, "not built")
    monkeypatch.delenv("PELLUCID_SIMD", raising=False)
    with pytest.raises(ImportError, match=r"not built in this installation.*PELLUCID_PURE"):
        simd.load_level()


@pytest.mark.usefixtures("pure")
def test_a_level_cannot_be_forced_in_a_pure_installation(monkeypatch):
    monkeypatch.setenv("PELLUCID_SIMD", "avx2")
    message = r"PELLUCID_SIMD='avx2' cannot be used here: not built. None is possible here"
    with pytest.raises(ValueError, match=message):
        simd.load_level()


def test_an_unknown_level_is_refused_by_name(machine, monkeypatch):
    machine("x86-64", ["baseline", "avx2", "avx512"])
    monkeypatch.setenv("PELLUCID_SIMD", "avx51")
    message = r"PELLUCID_SIMD='avx51' is not a SIMD level.*avx512.*here: avx512, avx2, baseline;"
    with pytest.raises(ValueError, match=message):
        simd.load_level()


def test_an_impossible_level_is_refused_with_the_reason(machine, monkeypatch):
    machine("x86-64", ["baseline", "avx2", "avx512"], lacks=["AVX512F"])
    monkeypatch.setenv("PELLUCID_SIMD", "avx512")
    message = r"cannot be used here: this CPU lacks AVX512F. Possible here: avx2, baseline;"
    with pytest.raises(ValueError, match=message):
        simd.load_level()


@built
@pytest.mark.parametrize("value", ["", " "])
def test_the_fastest_level_is_loaded_and_no_other(value):
    fastest = simd.levels()[0]
    expected = [fastest, f"pellucid.engines._fused_{fastest}"]
    assert python(LOADED) == expected
    assert python(LOADED, PELLUCID_SIMD=value) == expected


@pytest.mark.parametrize("level", simd.LEVELS)
def test_a_forced_level_is_loaded_and_no_other(level):
    if level not in simd.levels():
        pytest.skip(f"{level}: {simd.why_not()[level]}")
    expected = [level, f"pellucid.engines._fused_{level}"]
    assert python(LOADED, PELLUCID_SIMD=level) == expected
    assert python(LOADED, PELLUCID_SIMD=level.upper()) == expected


def test_asking_for_the_levels_loads_none():
    code = "import sys; from pellucid.engines.simd import levels, why_not; levels(); why_not()"
    assert not [name for name in python(f"{code}; print(*sys.modules)") if "_fused_" in name]


@built
def test_every_level_of_this_architecture_is_built():
    architecture = importlib.import_module("pellucid.engines._cpu").architecture
    expected = {
        "x86-64": {"avx512", "avx2", "baseline"},
        "aarch64": {"neon"},
        "other": {"baseline"},
    }
    not_built = {level for level, reason in simd.why_not().items() if reason == "not built"}
    assert not expected[architecture] & not_built


@built
def test_the_cpu_lacks_what_numpy_does_not_find():
    from numpy._core._multiarray_umath import __cpu_features__ as numpy_finds

    cpu = importlib.import_module("pellucid.engines._cpu")
    names = {"AVX2": "AVX2", "FMA": "FMA3", "AVX512F": "AVX512F", "AVX512DQ": "AVX512DQ"}
    if cpu.architecture != "x86-64" or not set(names.values()) <= numpy_finds.keys():
        pytest.skip("NumPy does not say")
    lacks = cpu.missing("avx512")
    for ours, numpys in names.items():
        assert (ours in lacks) is not numpy_finds[numpys], ours
    assert cpu.missing("baseline") == []

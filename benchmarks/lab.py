"""The lab while it plays `spiral`, 2-64-64-1 in mini-batches of 32: steps and frames a second.

    python benchmarks/lab.py                # needs the extra lab, and make browser
    taskset -c 0,1 python benchmarks/lab.py # on two cores

Prints a table: training alone, then with a page that draws, in a headless Chromium, at each width;
and the milliseconds of what the trainer does for a page that looks: a frame, layers, diagnosis.
The page's milliseconds are those of its main thread, in CPU time: they hold on a busy machine too.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from timeit import repeat
from typing import Any

from machine import cpu_count, model
from playwright.sync_api import sync_playwright

from pellucid.lab.presets import PRESETS
from pellucid.lab.server.trainer import Player
from pellucid.lab.session.experiment import Experiment
from pellucid.lab.session.settings import Settings
from pellucid.lab.views.boundary import View
from pellucid.lab.views.diagnosis import diagnose
from pellucid.lab.views.layers import layers

WIDTHS = {"phone": (390, 844), "laptop": (1280, 900), "projector": (1920, 1080)}
COMMAND = os.environ.get("PELLUCID_LAB_COMMAND", f"{sys.executable} -m pellucid lab")
COUNTED = """
    window.acknowledged = 0;
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (data) {
      if (data.includes('"ack"')) window.acknowledged += 1;
      return send.call(this, data);
    };
"""
WARM_UP = 2.0


def alone(preset: str, seconds: float) -> tuple[float, dict[str, float]]:
    """Steps a second without a page, and the milliseconds of each look of the trainer's."""
    experiment = Experiment(Settings.read(PRESETS[preset].experiment))
    player = Player(lambda message: None)
    player.open(experiment)
    player.view = View()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        experiment.steps(experiment.left_in_epoch())
    rate = experiment.step / seconds
    looks = {
        "a frame": player.frame,
        "layers": lambda: layers(experiment),
        "a diagnosis": lambda: diagnose(experiment),
    }
    return rate, {
        name: 1e3 * median(repeat(look, number=1, repeat=100)) for name, look in looks.items()
    }


@contextmanager
def served() -> Iterator[str]:
    """The address of a lab in a process of its own."""
    command = [*shlex.split(COMMAND), "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            found = re.search(r"http\S+", server.stdout.readline() if server.stdout else "")
            if found is None:
                raise SystemExit(f"{COMMAND} printed no address")
            yield found[0]
        finally:
            server.terminate()


def drawn(browser: Any, address: str, preset: str, size: tuple[int, int], seconds: float) -> Any:
    """What a page does while it plays: per second, and per frame of its main thread."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    page.add_init_script(COUNTED)
    page.goto(address)
    page.wait_for_selector("body.ready")
    page.locator("#presets select").select_option(preset)
    page.wait_for_selector("#steps .cell")
    devtools = context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def now() -> dict[str, float]:
        values = {m["name"]: m["value"] for m in devtools.send("Performance.getMetrics")["metrics"]}
        step = page.locator("#numbers div:has(dt:text-is('Step')) dd").inner_text()
        frames = page.evaluate("window.acknowledged")
        return values | {"step": int(step.replace(",", "")), "frames": frames}

    page.get_by_role("button", name="Play").click()
    page.wait_for_timeout(1e3 * WARM_UP)
    before, started = now(), time.perf_counter()
    page.wait_for_timeout(1e3 * seconds)
    after, taken = now(), time.perf_counter() - started
    context.close()
    gone = {name: after[name] - before[name] for name in after}
    frames = max(1.0, gone["frames"])
    tasks = ("TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration")
    return gone["step"] / taken, gone["frames"] / taken, *(1e3 * gone[t] / frames for t in tasks)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--preset", choices=PRESETS, default="spiral")
    parser.add_argument("--width", choices=WIDTHS, nargs="*", default=list(WIDTHS))
    given = parser.parse_args()
    print(f"{model()}, {cpu_count()} CPUs, {given.preset}, {given.seconds:g} s each")
    rate, looks = alone(given.preset, given.seconds)
    told = ", ".join(f"{name} {taken:.2f} ms" for name, taken in looks.items())
    print(
        f"{'':22}{'steps/s':>10}{'frames/s':>10}{'main':>9}{'script':>9}{'layout':>9}{'style':>9}"
    )
    print(f"{'training alone':22}{rate:10,.0f}{'':10}   (the trainer: {told})")
    with served() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name in given.width:
            size = WIDTHS[name]
            steps, frames, *parts = drawn(browser, address, given.preset, size, given.seconds)
            row = f"{name}, {size[0]} × {size[1]}"
            shown = "".join(f"{part:6.1f} ms" for part in parts)
            print(f"{row:22}{steps:10,.0f}{frames:10.1f}{shown}")
        browser.close()


if __name__ == "__main__":
    main()

"""What a page may ask for. A new command is a function here.

Each takes the player and the arguments, and returns the reply; a tuple's second part is a binary
frame that follows. A ValueError becomes the reply ``{"error": ...}``.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from pellucid._catalogue import did_you_mean
from pellucid.lab.server import frames
from pellucid.lab.server.trainer import Player, StopAt, Traced
from pellucid.lab.server.uploads import choose_target
from pellucid.lab.session.experiment import Experiment
from pellucid.lab.session.model_zip import knows_columns, zipped
from pellucid.lab.session.script import script
from pellucid.lab.session.settings import LARGEST_SEED, Settings, real, whole
from pellucid.lab.views.boundary import View, boundary, unit_maps
from pellucid.lab.views.catalogue import catalogue
from pellucid.lab.views.diagnosis import diagnose, diagnosis_state
from pellucid.lab.views.hidden import hidden
from pellucid.lab.views.layers import layers
from pellucid.lab.views.passes import cell_state, trace_state
from pellucid.lab.views.state import metrics, state_of
from pellucid.lab.views.surface import race, surface

Arguments = dict[str, Any]
Reply = dict[str, Any]
Command = Callable[[Player, Arguments], "Reply | tuple[Reply, bytes]"]

MOST_TRACED, MOST_TRACED_PARAMETERS = 64, 200_000
MOST_CHECKED_PARAMETERS = 5_000
LARGEST_VIEW, MOST_UNIT_MAPS = 200, 64

logger = logging.getLogger(__name__)


def handle(player: Player, request: dict[str, Any]) -> list[str | bytes]:
    """Return what is sent for a request: the reply and, for some, a frame."""
    number, name = request["id"], request["do"]
    try:
        if name not in COMMANDS:
            raise ValueError(
                f"there is no command {name!r:.40}{did_you_mean(name[:40], COMMANDS)}."
            )
        found = COMMANDS[name](player, request)
        reply, *frame = found if isinstance(found, tuple) else (found,)
        return [frames.dumps({"reply": number, **reply}), *frame]
    except ValueError as error:
        fault = str(error)
    except Exception as error:
        logger.exception("command %s", name)
        fault = f"internal error: {type(error).__name__}: {error}"
    return [frames.dumps({"reply": number, "error": fault})]


COMMANDS: dict[str, Command] = {}
"""Every command by its name."""


def _command(function: Command) -> Command:
    """Enter a command: the page calls it as the function is called, without the underscore."""
    COMMANDS[function.__name__.removeprefix("_")] = function
    return function


@_command
def _catalogue(player: Player, given: Arguments) -> Reply:
    return catalogue()


@_command
def _open(player: Player, given: Arguments) -> Reply:
    player.open(Experiment(Settings.read(given.get("experiment") or {})))
    return _state(player, brief=False)


@_command
def _play(player: Player, given: Arguments) -> Reply:
    e = _experiment(player)
    if e.stuck:
        raise ValueError(f"Training cannot go on: it {e.diverged}")
    speed = given.get("speed")
    player.play(None if speed is None else real(given, "speed", 0.1, 1e9, None))
    return _state(player)


@_command
def _pause(player: Player, given: Arguments) -> Reply:
    player.playing = False
    return _state(player)


@_command
def _epoch(player: Player, given: Arguments) -> Reply:
    e = _still(player)
    e.steps(e.left_in_epoch(), closely=True)
    return _state(player)


@_command
def _batch(player: Player, given: Arguments) -> Reply:
    _still(player).steps(1, closely=True)
    return _state(player)


@_command
def _example(player: Player, given: Arguments) -> Reply:
    _still(player).example()
    return _state(player)


@_command
def _reset(player: Player, given: Arguments) -> Reply:
    _still(player).reset()
    return _state(player)


@_command
def _stop_at(player: Player, given: Arguments) -> Reply:
    epoch, loss = given.get("epoch"), given.get("loss")
    player.stop_at = StopAt(
        None if epoch is None else whole(given, "epoch", 1, LARGEST_SEED, None),
        None if loss is None else real(given, "loss", -1e9, 1e9, None),
    )
    return {"epoch": player.stop_at.epoch, "loss": player.stop_at.loss}


@_command
def _set_cell(player: Player, given: Arguments) -> Reply:
    letter, layer, row, column = _place(given)
    value = real(given, "value", -1e9, 1e9, None)
    _experiment(player).set_cell(letter, layer, row, column, value)
    return _state(player)


# The pass -----------------------------------------------------------------------------------------


@_command
def _trace(player: Player, given: Arguments) -> Reply:
    e = _experiment(player)
    chosen = given.get("examples", [0])
    if not isinstance(chosen, list) or not 1 <= len(chosen) <= MOST_TRACED:
        raise ValueError(f"examples must be a list of 1 to {MOST_TRACED} numbers of examples.")
    if e.network.n_parameters > MOST_TRACED_PARAMETERS:
        raise ValueError(
            f"a pass of {e.network.n_parameters:,} parameters is too large to show; the limit is "
            f"{MOST_TRACED_PARAMETERS:,}. Use fewer units."
        )
    numbers = [whole({"example": k}, "example", 0, e.m - 1, None) for k in chosen]
    player.trace = Traced(numbers, e.trace(numbers), e.mark)
    return {"examples": numbers, **trace_state(player.trace.trace, e.fault)}


@_command
def _cell(player: Player, given: Arguments) -> Reply:
    found = _traced(player).trace
    letter, layer, row, column = _place(given)
    return cell_state(found.cell(letter, layer=layer, row=row, column=column))


@_command
def _check(player: Player, given: Arguments) -> Reply:
    e = _experiment(player)
    if e.network.n_parameters > MOST_CHECKED_PARAMETERS:
        raise ValueError(
            f"checking {e.network.n_parameters:,} parameters by central differences takes too "
            f"long; the limit is {MOST_CHECKED_PARAMETERS:,}. Use fewer units."
        )
    numbers = player.trace.examples if player.trace else list(range(min(e.m, 8)))
    found = e.trace(numbers).check()
    return {
        "ok": found.ok,
        "by_name": found.by_name,
        "verdict": found.verdict,
        "tolerance": found.tolerance,
        "near_kink": found.near_kink,
        "fused": found.fused,
        "fused_note": found.fused_note,
        "why": e.fault.why if e.fault and not found.ok else None,
        "text": str(found),
    }


@_command
def _update(player: Player, given: Arguments) -> Reply:
    e = _still(player)
    traced = _traced(player)
    before = {"J": traced.trace.J, **e.network.copy_parameters()}
    e.update(traced.examples)
    return {
        "before": before,
        "after": {"J": _traced(player).trace.J, **e.network.copy_parameters()},
        "learning_rate": e.learning_rate,
        "state": _state(player),
    }


# Views --------------------------------------------------------------------------------------------


@_command
def _watch(player: Player, given: Arguments) -> Reply:
    player.view = _view(player, given) if given.get("boundary") else None
    return {"watching": player.view is not None}


@_command
def _boundary(player: Player, given: Arguments) -> tuple[Reply, bytes]:
    values, header = boundary(_experiment(player), _view(player, given))
    return _framed(player, frames.BOUNDARY, header, {"boundary": values})


@_command
def _unit_maps(player: Player, given: Arguments) -> tuple[Reply, bytes]:
    most = whole(given, "most", 1, MOST_UNIT_MAPS, 8)
    arrays, header = unit_maps(_experiment(player), _view(player, given), most)
    return _framed(player, frames.VIEW, header, arrays)


@_command
def _hidden(player: Player, given: Arguments) -> tuple[Reply, bytes]:
    e = _experiment(player)
    layer = whole(given, "layer", 0, e.network.L, None)
    axes = _pair(given, "axes", "units", e.network.n[layer])
    arrays, header = hidden(e, layer, axes)
    return _framed(player, frames.VIEW, header, arrays)


@_command
def _ack(player: Player, given: Arguments) -> Reply:
    player.acknowledge()
    return {}


@_command
def _script(player: Player, given: Arguments) -> Reply:
    return {"python": script(_experiment(player))}


@_command
def _save(player: Player, given: Arguments) -> Reply:
    e = _experiment(player)
    name, content = zipped(e)
    return {"name": name, "zip": base64.b64encode(content).decode(), "columns": knows_columns(e)}


@_command
def _learn_table(player: Player, given: Arguments) -> Reply:
    return choose_target(*(given.get(name) for name in ("table", "target", "model", "task")))


@_command
def _diagnosis(player: Player, given: Arguments) -> Reply:
    whole = given.get("whole", False) is True
    e = _still(player) if whole else _experiment(player)
    return diagnosis_state(e, diagnose(e, whole=whole))


@_command
def _layers(player: Player, given: Arguments) -> Reply:
    return layers(_experiment(player), given.get("gradient", "dZ"))


@_command
def _metrics(player: Player, given: Arguments) -> Reply:
    return metrics(_experiment(player))


@_command
def _surface(player: Player, given: Arguments) -> tuple[Reply, bytes]:
    header, J = surface(_experiment(player), given, playing=player.playing)
    return _framed(player, frames.VIEW, header, {"J": J})


@_command
def _race(player: Player, given: Arguments) -> Reply:
    return {"runs": race(_still(player), given)}


@_command
def _costs(player: Player, given: Arguments) -> Reply:
    e = _experiment(player)
    return {**e.costs.summary(), "batch_size": e.batch_size, "m": len(e.training)}


# Arguments ----------------------------------------------------------------------------------------


def _experiment(player: Player) -> Experiment:
    if player.experiment is None:
        raise ValueError('No experiment is open yet; send {"do": "open"} first.')
    return player.experiment


def _still(player: Player) -> Experiment:
    """The experiment, no longer playing."""
    player.playing = False
    return _experiment(player)


def _traced(player: Player) -> Traced:
    """The pass that is looked at: as the parameters are now, or while it plays as it was shown."""
    e = _experiment(player)
    if player.trace is None:
        raise ValueError('There is no pass to look at yet; send {"do": "trace"} first.')
    if player.trace.mark != e.mark and not player.playing:
        player.trace = Traced(player.trace.examples, e.trace(player.trace.examples), e.mark)
    return player.trace


def _state(player: Player, *, brief: bool = True) -> Reply:
    state = state_of(_experiment(player), brief=brief)
    player.curves_sent()
    return {**state, "playing": player.playing}


def _place(given: Arguments) -> tuple[str, int, int, int]:
    letter = given.get("letter")
    if not isinstance(letter, str) or len(letter) > 8:
        raise ValueError(f"letter must be the name of an array, such as 'W'; got {letter!r:.40}.")
    row, column = (whole(given, name, 0, 10**6, 0) for name in ("row", "column"))
    return letter, whole(given, "layer", 0, 100, None), row, column


def _view(player: Player, given: Arguments) -> View:
    e = _experiment(player)
    unit, n = given.get("unit"), e.network.n
    if unit is not None:
        if not isinstance(unit, list) or len(unit) != 2:
            raise ValueError(f"unit must be [layer, unit] or null; got {unit!r:.40}.")
        layer = whole({"layer of unit": unit[0]}, "layer of unit", 1, e.network.L, None)
        unit = (layer, whole({"unit": unit[1]}, "unit", 0, n[layer] - 1, None))
    columns = _pair(given, "columns", "inputs", n[0]) or (0, min(1, n[0] - 1))
    return View(whole(given, "size", 2, LARGEST_VIEW, 100), unit, columns)


def _pair(given: Arguments, name: str, kind: str, count: int) -> tuple[int, int] | None:
    """Two different numbers from 0, None where none are given; of one alone both may be it."""
    pair = given.get(name)
    if pair is None:
        return None
    if not isinstance(pair, list) or len(pair) != 2:
        raise ValueError(f"{name} must be two numbers of {kind}; got {pair!r:.40}.")
    first, second = (whole({name: k}, name, 0, count - 1, None) for k in pair)
    if first == second and count > 1:
        raise ValueError(f"{name} must be two different {kind}; got {first} twice.")
    return first, second


def _framed(
    player: Player, kind: int, header: Reply, arrays: dict[str, NDArray[Any]]
) -> tuple[Reply, bytes]:
    """The reply that announces a frame, and the frame."""
    player.sequence += 1
    return {"sequence": player.sequence}, frames.pack(kind, player.sequence, header, arrays)

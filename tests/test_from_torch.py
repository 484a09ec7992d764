"""Network.from_torch: what PyTorch answered, from stand-ins for its modules (golden_torch.py)."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from golden_torch import FILE, Sequential, Tensor, made, module
from pellucid import Dense, Network
from pellucid.layers import Conv1D, Conv2D
from pellucid.network.from_torch import MODULES

KEPT = json.loads(FILE.read_text(encoding="utf-8"))


def network(name: str) -> Network:
    kept = KEPT[name]
    return Network.from_torch(Sequential(*map(made, kept["modules"])), tuple(kept["shape"]))


def classes(modules: list[Any]) -> set[str]:
    found = set()
    for each in modules:
        found |= classes(each["modules"]) if "modules" in each else {each["class"]}
    return found


@pytest.mark.parametrize("name", KEPT)
def test_it_answers_as_pytorch_does(name: str) -> None:
    net = network(name)
    assert net.dtype == np.float64
    A = net.forward(np.array(KEPT[name]["X"]))
    np.testing.assert_allclose(A, KEPT[name]["A"], rtol=1e-12, atol=1e-14)


def test_all_that_is_known_is_among_them() -> None:
    kept = set().union(*(classes(case["modules"]) for case in KEPT.values()))
    assert kept - MODULES.keys() == set()
    assert MODULES.keys() - kept == {"AdaptiveAvgPool1d", "AdaptiveMaxPool2d"}


def test_what_becomes_of_each_module() -> None:
    assert repr(network("dense").layers) == "[Dense(4, 'relu', dropout=0.5), Dense(1, 'sigmoid')]"
    assert repr(network("picture").layers) == (
        "[Conv2D(4, (3, 2), 'relu', padding='same'), MaxPool(2, 2), "
        "Conv2D(2, 3, 'tanh', padding=1, groups=2, learning_rate_factor={'W': 1.0, 'b': 0.0}), "
        "AveragePool((1, 2), (1, 2)), Dense(3, 'softmax')]"
    )
    assert repr(network("strides").layers) == (
        "[Conv2D(2, (3, 1), 'silu', stride=(2, 1), padding='same'), GlobalPool('average'), "
        "Dense(2, 'identity')]"
    )
    assert repr(network("sequence").layers) == (
        "[Conv1D(3, 3, 'tanh', padding=2), MaxPool(2, 2), AveragePool(2, 1), GlobalPool('max'), "
        "Dense(2, 'identity')]"
    )
    assert network("steps").layers[0].each_step
    assert repr(network("words").layers) == (
        "[Embedding(5, 2, padding=0), GRU(2, reset='after', sequences=True), Dropout(0.5), "
        "LSTM(3, sequences=True, dropout=0.1), LSTM(3, sequences=True), "
        "Recurrent(2, 'relu', sequences=True), Dense(2, 'identity', each_step=True)]"
    )
    assert repr(network("norms").layers) == (
        "[BatchNorm(), Conv2D(4, 3, 'relu'), MaxPool(2, 2), Dropout(0.5), "
        "BatchNorm(momentum=0.8, epsilon=0.001, "
        "learning_rate_factor={'gamma': 0.0, 'beta': 0.0}), Dense(3, 'silu'), BatchNorm(), "
        "Dense(3, 'tanh'), LayerNorm(), Dropout(0.2), Dense(2, 'softmax')]"
    )
    assert network("places").output_shape == (2, 3, 2)


def linear(n_in: int, n_out: int, dtype: str = "torch.float32") -> Any:
    weight = Tensor(np.arange(n_in * n_out).reshape(n_out, n_in), dtype)
    return module("Linear", in_features=n_in, weight=weight, bias=None, out_features=n_out)


def conv(kind: str = "Conv2d", channels: int = 1, **others: Any) -> Any:
    n_axes = int(kind[4])
    settings: dict[str, Any] = {
        "in_channels": channels,
        "out_channels": 2,
        "kernel_size": (3,) * n_axes,
        "stride": (1,) * n_axes,
        "padding": (0,) * n_axes,
        "dilation": (1,) * n_axes,
        "groups": 1,
        "padding_mode": "zeros",
        "bias": None,
    } | others
    weight = Tensor(np.ones((2, channels, *settings["kernel_size"])))
    return module(kind, weight=weight, shown=f"{kind}(...)", **settings)


def pool(kind: str, **others: Any) -> Any:
    plain = {"kernel_size": 2, "stride": 2, "padding": 0, "dilation": 1, "ceil_mode": False}
    return module(kind, **plain | {"return_indices": False, "divisor_override": None} | others)


def norm(n: int, **others: Any) -> Any:
    plain: dict[str, Any] = {"eps": 1e-5, "momentum": 0.1, "track_running_stats": True}
    plain |= {"weight": None, "bias": None, "running_mean": Tensor([0] * n)}
    plain |= {"running_var": Tensor([1] * n), "num_features": n}
    return module("BatchNorm2d", **plain | others)


def recurrent(**others: Any) -> Any:
    plain = {"batch_first": True, "bidirectional": False, "bias": True, "proj_size": 0}
    return module("GRU", **plain | {"input_size": 3} | others)


def embedding(**others: Any) -> Any:
    plain = {"max_norm": None, "scale_grad_by_freq": False, "weight": Tensor(np.ones((4, 2)))}
    return module("Embedding", **plain | others)


def layer_norm(*shape: int) -> Any:
    return module("LayerNorm", normalized_shape=shape, eps=1e-5, weight=None, bias=None)


FLATTEN = module("Flatten", start_dim=1, end_dim=-1)
RELU, SILU, TANH = module("ReLU"), module("SiLU"), module("Tanh")


def test_the_order_of_weights_by_hand() -> None:
    """2 x 2 pixels of 2 channels: PyTorch flattens channel by channel, 0 1 2 3 and 4 5 6 7."""
    net = Network.from_torch(Sequential(FLATTEN, linear(8, 1)), (2, 2, 2))
    assert net.W[1].tolist() == [[0, 4, 1, 5, 2, 6, 3, 7]]
    assert net.dtype == np.float32
    filters = Tensor(np.arange(8).reshape(1, 2, 2, 2))
    one = conv(channels=2, kernel_size=(2, 2), out_channels=1)
    one.weight = filters
    assert Network.from_torch(Sequential(one), (2, 2, 2)).W[1].tolist() == net.W[1].tolist()


def test_a_bias_that_is_not_there_is_0_and_stays_so() -> None:
    net = Network.from_torch(Sequential(linear(2, 1)), 2)
    assert net.b[1].tolist() == [[0]]
    assert net.layers[0].rate_factor("b") == 0 != net.layers[0].rate_factor("W")


def test_the_weights_are_copied() -> None:
    layer = linear(2, 1, "torch.float64")
    net = Network.from_torch(Sequential(layer), 2)
    net.W[1][:] = 9
    assert layer.weight.values.tolist() == [[0, 1]]
    assert (net.dtype, net.seed) != (np.float32, None)


def test_an_activation_may_stand_behind_a_pool_or_a_dropout() -> None:
    drop = module("Dropout", p=0.25)
    modules = [conv(), pool("MaxPool2d"), TANH, FLATTEN, linear(2, 3), drop, RELU, linear(3, 1)]
    layers = Network.from_torch(Sequential(*modules), (4, 4, 1)).layers
    assert repr(layers[0].activation) == "Tanh()"
    assert repr(layers[2]).startswith("Dense(3, 'relu', dropout=0.25, ")


def test_a_sequence_may_be_either() -> None:
    """Two axes are (steps, features) to a Linear, and channels first to a convolution."""
    assert isinstance(Network.from_torch(Sequential(linear(3, 2)), (5, 3)).layers[0], Dense)
    found = Network.from_torch(Sequential(conv("Conv1d", 3)), (5, 3)).layers[0]
    assert isinstance(found, Conv1D)
    assert not isinstance(found, Conv2D)


@pytest.mark.parametrize(
    ("modules", "shape", "message"),
    [
        ([module("ConvTranspose2d")], (4, 4, 1), r"entry 1, ConvTranspose2d\(\), is not known"),
        ([Sequential(RELU, module("Own", "home"))], 3, r"entry 1\.1, ReLU\(\), must follow"),
        ([linear(2, 2), module("Linear", "home")], 2, r"entry 2, Linear\(\), is not known. Known"),
        ([linear(3, 2)], 2, r"has in_features=3; here are 2, of \(2,\)\.$"),
        ([linear(9, 2)], (3, 3, 1), r"takes a column or .* here is channels first\. Put a Flatten"),
        ([linear(2, 2), conv("Conv1d", 2)], (5, 2), r"channels first; here is \(steps, features\)"),
        (
            [conv(channels=3)],
            (3, 9, 9),
            r"in_channels=3; here are 9, .* last in input_shape, as in",
        ),
        ([conv()], (9, 9), r"has in_channels=1; here are 9, .* as in \(28, 28, 1\)"),
        ([conv(dilation=(2, 2))], (9, 9, 1), r"has dilation=\(2, 2\); only 1 can be read"),
        ([conv(padding_mode="reflect")], (9, 9, 1), r"padding_mode='reflect'; only 'zeros'"),
        ([conv(padding=(1, 2))], (9, 9, 1), r"padding=\(1, 2\); only one number for both axes"),
        ([pool("MaxPool2d", ceil_mode=True)], (4, 4, 1), r"ceil_mode=True; only False"),
        ([pool("MaxPool2d", padding=1)], (4, 4, 1), r"padding=1; only 0 can be read"),
        ([pool("AvgPool2d", divisor_override=3)], (4, 4, 1), r"divisor_override=3; only None"),
        ([module("AdaptiveAvgPool2d", output_size=(2, 1))], (4, 4, 1), r"=\(2, 1\); only 1 can"),
        ([module("Flatten", start_dim=0, end_dim=-1)], 2, r"has start_dim=0; only 1"),
        ([linear(2, 2), module("GELU", approximate="none")], 2, r"'none'; only 'tanh' can be read"),
        ([linear(2, 2), RELU, TANH], 2, r"entry 3, Tanh\(\), must follow a layer .* no activation"),
        ([conv(), pool("AvgPool2d"), RELU], (4, 4, 1), r"ReLU\(\), must follow a layer"),
        ([conv(), pool("MaxPool2d"), SILU], (4, 4, 1), r"SiLU\(\), must stand before the MaxPool"),
        ([linear(2, 2), module("Dropout", p=0.5), TANH], 2, r"must stand before the Dropout"),
        ([recurrent(batch_first=False)], (5, 3), r"has batch_first=False; only True can be read"),
        ([recurrent(bidirectional=True)], (5, 3), r"has bidirectional=True; only False"),
        ([recurrent()], (5, 2), r"has input_size=3; here are 2, of \(5, 2\)"),
        ([recurrent()], 3, r"takes \(steps, features\); here is a column\.$"),
        ([embedding(max_norm=1.0)], 3, r"has max_norm=1\.0; only None"),
        ([embedding(padding_idx=1)], 3, r"other numbers than 0 for the word 1, its padding_idx"),
        ([norm(2), RELU], (4, 4, 2), r"ReLU\(\), must follow a layer that computes Z"),
        ([conv(), norm(2), pool("MaxPool2d"), RELU], (4, 4, 1), r"must stand before the BatchNorm"),
        (
            [norm(2, momentum=None)],
            (4, 4, 2),
            r"momentum=None, the mean over all steps, which cann",
        ),
        ([norm(3)], (4, 4, 2), r"has num_features=3; here are 2"),
        ([norm(2, track_running_stats=False)], (4, 4, 2), r"track_running_stats=False; only True"),
        ([FLATTEN, norm(32)], (4, 4, 2), r"normalises each number of a volume that was flattened"),
        ([FLATTEN, layer_norm(32)], (4, 4, 2), r"must normalise the features of a step, or a col"),
        ([layer_norm(4, 2)], (4, 2), r"must normalise the features of a step, .* are \(4, 2\)"),
        ([layer_norm(2)], (4, 4, 2), r"takes a column or \(steps, features\); here is channels"),
        ([conv(), FLATTEN, module("Softmax", dim=1)], (4, 4, 1), r"is not over the units of each"),
        ([linear(2, 2), module("Softmax", dim=0)], 2, r"is not over the units of each example"),
        ([linear(2, 2), module("ReLU", _forward_hooks={1: print})], 2, r"has hooks, which may"),
        ([conv(), pool("MaxPool2d")], (4, 4, 1), r"last layer must compute a Z"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(modules: Any, shape: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Network.from_torch(Sequential(*modules), shape)


def test_only_a_sequential_can_be_read() -> None:
    class Own(Sequential):
        def forward(self, x: Any) -> Any:
            return x + 1

    class Kept(Sequential):
        pass

    for wrong in (linear(2, 2), Own(linear(2, 2)), Dense(2), None):
        name = re.escape(type(wrong).__name__)
        with pytest.raises(TypeError, match=rf"takes an nn\.Sequential, .*; got {name}\. What a"):
            Network.from_torch(wrong, 2)
    assert Network.from_torch(Kept(linear(2, 2)), 2).n == [2, 2]

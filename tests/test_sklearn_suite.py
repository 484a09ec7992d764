"""scikit-learn's own tests of its MLP, run on ours; and its checks for any estimator."""

import importlib.util
import sys

import pytest
import sklearn.neural_network
from sklearn.utils.estimator_checks import parametrize_with_checks

from pellucid import Dense, MLPClassifier, MLPRegressor, NetworkClassifier, NetworkRegressor

# Its tests are written for its own warning filters, not for "every warning is an error".
pytestmark = pytest.mark.filterwarnings("ignore")

PRIVATE = {
    "test_gradient": "calls _loss_grad_lbfgs",
    "test_learning_rate_warmstart": "reads _optimizer.learning_rate",
    "test_adaptive_learning_rate": "reads _optimizer.learning_rate",
}
"""Tests of scikit-learn's that reach into private attributes of its classes, and which."""


def _its_tests():
    """Import test_mlp with our classes in the place of scikit-learn's."""
    theirs = sklearn.neural_network.MLPClassifier, sklearn.neural_network.MLPRegressor
    sklearn.neural_network.MLPClassifier = MLPClassifier
    sklearn.neural_network.MLPRegressor = MLPRegressor
    try:
        spec = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sklearn.neural_network.MLPClassifier, sklearn.neural_network.MLPRegressor = theirs
    assert module.MLPClassifier is MLPClassifier
    return {name: test for name, test in vars(module).items() if name.startswith("test_")}


_ITS_TESTS = _its_tests()
for _name, _test in _ITS_TESTS.items():
    if _name not in PRIVATE:
        setattr(sys.modules[__name__], _name, _test)


@pytest.fixture(params=[0, 42])
def global_random_seed(request):
    """What scikit-learn's conftest gives its tests."""
    return request.param


def test_the_private_ones_still_exist():
    assert set(PRIVATE) <= set(_ITS_TESTS)
    assert len(_ITS_TESTS) >= 43


@parametrize_with_checks(
    [
        MLPClassifier(hidden_layer_sizes=(20,), max_iter=100, solver="lbfgs", random_state=0),
        MLPClassifier(max_iter=50, n_iter_no_change=20, random_state=0),
        MLPClassifier(
            hidden_layer_sizes=(20, 10),
            activation=["tanh", "leaky_relu"],
            optimizer="adamw",
            schedule="cosine",
            gradient_clip=1.0,
            learning_rate_init=0.02,
            max_iter=50,
            random_state=0,
        ),
        MLPRegressor(max_iter=100, random_state=0),
        MLPRegressor(
            hidden_layer_sizes=(20,),
            solver="sgd",
            learning_rate_init=0.02,
            max_iter=100,
            random_state=0,
        ),
        NetworkClassifier(learning_rate=0.05, batch_size=None, dtype=None, random_state=0),
        NetworkClassifier([Dense(16)], learning_rate=0.01, random_state=0),
        NetworkRegressor(
            [Dense(16, "tanh")], optimizer="lbfgs", batch_size=None, dtype=None, random_state=0
        ),
    ],
    expected_failed_checks=lambda estimator: {
        f"check_sample_weight_equivalence_on_{kind}_data": "rows that are there twice fall into "
        "other mini-batches than one of weight 2"
        for kind in ("dense", "sparse")
        if getattr(estimator, "batch_size", 0) == 32
    },
)
def test_estimator_checks(estimator, check):
    check(estimator)

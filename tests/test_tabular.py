"""TabularClassifier and TabularRegressor: as scikit-learn expects them, on tables as they are."""

from __future__ import annotations

import datetime
import pickle
import warnings
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from pellucid import TabularClassifier, TabularRegressor, load, philox
from pellucid.callbacks import Callback
from pellucid.errors import DataError, DataWarning, SettingsError
from pellucid.optimizers import AdamW
from pellucid.tables import TrainSettings


def small(**parameters: Any) -> TabularClassifier:
    return TabularClassifier((8,), **{"epochs": 6, "ensemble": 1, **parameters})


def small_regressor(**parameters: Any) -> TabularRegressor:
    return TabularRegressor((8,), **{"epochs": 6, "ensemble": 1, **parameters})


DAY = datetime.datetime(2020, 1, 1)


def columns(m: int = 60) -> dict[str, list[Any]]:
    """A column of every kind, missing values among them; images apart."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=m)
    return {
        "number": [None if k % 9 == 0 else float(v) for k, v in enumerate(x)],
        "count": [int(v) for v in rng.integers(0, 9, m)],
        "flag": [None if k % 11 == 0 else bool(v > 0.3) for k, v in enumerate(x)],
        "kind": [[None, "красный", "blue ", "green"][k % 4] for k in range(m)],
        "answer": ["yes" if v > 0 else "no" for v in rng.normal(size=m)],
        "when": [
            None if k % 7 == 0 else DAY + datetime.timedelta(hours=int(h))
            for k, h in enumerate(rng.integers(0, 9000, m))
        ],
        "almost": ["n/a" if k == 3 else f"{v:.2f}" for k, v in enumerate(rng.normal(size=m))],
    }


def target(m: int = 60) -> list[str]:
    return ["high" if k % 4 > 1 else "low" for k in range(m)]


FRAMES = {
    "dict": lambda data: data,
    "list of dicts": lambda data: [
        dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)
    ],
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
}


# scikit-learn -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        TabularClassifier((8,), epochs=15, ensemble=1),
        TabularClassifier((4,), epochs=3, ensemble=3, patience=2),
        TabularRegressor((8,), epochs=15, ensemble=1),
    ],
    expected_failed_checks=lambda estimator: {
        "check_sample_weight_equivalence_on_dense_data": "a row that is there twice may train and "
        "validate, one of weight 2 does either; the medians of the columns know no weights"
    },
)
def test_estimator_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("form", ["pandas", "polars"])
def test_search_and_cross_validation_with_data_frames(form: str) -> None:
    X, y = FRAMES[form](columns()), target()
    search = GridSearchCV(small(), {"hidden_layer_sizes": [(4,), (8, 4)], "l2": [0.0, 0.1]}, cv=2)
    search.fit(X, y)
    assert set(search.best_params_) == {"hidden_layer_sizes", "l2"}
    assert search.predict(X).shape == (60,)
    assert cross_val_score(small(), X, y, cv=3).shape == (3,)
    assert cross_val_score(small_regressor(), X, np.arange(60.0) ** 2, cv=2).shape == (2,)


def test_clone_and_parameters() -> None:
    given = small(activation="relu", optimizer=AdamW(), categorical=["zip"], class_weight={"a": 2})
    copied = clone(given)
    assert copied.get_params() == given.get_params()
    assert not hasattr(copied, "model_")
    defaults = {name for name in TabularClassifier().get_params() if hasattr(TrainSettings(), name)}
    for name in defaults:
        assert getattr(TabularClassifier(), name) == getattr(TrainSettings(), name)
    assert set(TabularRegressor().get_params()) == set(TabularClassifier().get_params()) - {
        "class_weight",
        "label_smoothing",
    }


def test_pickled_estimators_predict_the_same() -> None:
    clf = small(ensemble=2).fit(columns(), target())
    again = pickle.loads(pickle.dumps(clf))
    assert again.predict_proba(columns()).tobytes() == clf.predict_proba(columns()).tobytes()


def test_attributes() -> None:
    clf = small(ensemble=3).fit(pd.DataFrame(columns()), target())
    assert clf.n_features_in_ == 7
    assert clf.feature_names_in_.tolist() == list(columns())
    assert clf.left_out_ == {}
    assert len(clf.history_) == len(clf.model_.networks) == 3
    assert clf.history_[0].epochs == 6
    assert clf.model_.target == "y"
    y = pd.Series(target(), name="price")
    assert small().fit(columns(), y).model_.target == "price"
    clf.fit(np.random.default_rng(0).normal(size=(60, 3)), target())
    assert not hasattr(clf, "feature_names_in_")
    assert clf.n_features_in_ == 3


def test_a_seed_and_a_random_state() -> None:
    X, y = columns(), target()
    p = [
        small(random_state=state).fit(X, y).predict_proba(X).tobytes()
        for state in (0, 0, 1, 2**63, np.random.RandomState(0), np.random.RandomState(0))
    ]
    assert p[0] == p[1] != p[2] != p[3]
    assert p[4] == p[5] != p[0]
    assert isinstance(small(random_state=None).fit(X, y).model_.settings["seed"], int)


def test_every_fault_of_the_parameters_is_named_at_once() -> None:
    wrong = TabularClassifier(
        (0,), epochs=0, optimizer="adamm", random_state="x", n_threads=0, callbacks=[3]
    )
    with pytest.raises(SettingsError) as caught:
        wrong.fit(columns(), target())
    names = [name for name, _ in caught.value.faults]
    assert names == [
        "hidden_layer_sizes",
        "optimizer",
        "epochs",
        "random_state",
        "n_threads",
        "callbacks",
    ]
    assert "(did you mean 'adam'?)" in str(caught.value)
    for state in (-1, 2**64, True):
        with pytest.raises(SettingsError, match=r"random_state must be a whole number of 0 to 2"):
            small(random_state=state).fit(columns(), target())


# Labels -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array(["no", "yes"]), "<U3"),
        (np.array(["no", "maybe", "да"], dtype=object), "O"),
        (np.array([False, True]), "?"),
        (np.array([3, 7], dtype=np.int8), "i1"),
        (np.array([3, 7, 9]), "i8"),
        (np.array([1.0, 2.0], dtype=np.float32), "f4"),
        (np.array([-1.0, 0.0, 1.0]), "f8"),
        (["b", "a"], "<U1"),
        ([1, 0], "i8"),
        (pd.Series(["a", "b"]), "O"),
        (pd.Series(["a", "b"], dtype="category"), "O"),
        (pd.Series([True, False]), "?"),
        (pd.Series([1, 2], dtype="Int64"), "i8"),
        (pl.Series(["a", "b"]), "<U1"),
        (pl.Series([1, 2], dtype=pl.UInt8), "u1"),
        (pa.chunked_array([["a", "b"]]), "O"),
        (np.array([" a", "b "]), "<U2"),
    ],
)
def test_labels_come_back_as_they_were(values: Any, dtype: str, tmp_path: Any) -> None:
    given = np.asarray(values)
    X = {
        "x": np.repeat(np.arange(len(given)), 20)
        + np.random.default_rng(0).normal(size=20 * len(given)) / 9
    }
    places = np.repeat(np.arange(len(given)), 20)
    y: Any = given[places]
    if isinstance(values, pd.Series):
        y = values.iloc[places]
    elif isinstance(values, pl.Series):
        y = values[places.tolist()]
    elif isinstance(values, pa.ChunkedArray):
        y = values.take(places)
    clf = TabularClassifier((8,), epochs=40, ensemble=1).fit(X, y)
    predicted = clf.predict(X)
    assert predicted.dtype == clf.classes_.dtype == np.dtype(dtype)
    assert clf.classes_.tolist() == sorted(given.tolist())
    assert clf.score(X, y) > 0.8
    clf.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert again.predict(X).dtype == predicted.dtype
    assert again.predict(X).tolist() == predicted.tolist()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1.5, 2.5, 3.5, 4.5] * 15, "Unknown label type: continuous"),
        ([1] * 60, r"the target 'y' is constant: every row holds 1 \(one class only"),
        (list(range(60)), "60 distinct whole numbers in 60 rows: too many classes"),
        (["a", None] * 30, "y is missing in 30 rows: 2, 4, 6"),
        (["a", "b"] * 29, "X has 60 rows and y has 58 values"),
        (np.zeros((60, 2)), r"y has the shape \(60, 2\)"),
        (None, "requires y to be passed, but the target y is None"),
    ],
)
def test_targets_that_are_no_classes(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small().fit(columns(), y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", "b"] * 30, "2 distinct texts, such as 'a': regression needs numbers"),
        ([2.5] * 60, "the target 'y' is constant: every row holds 2.5"),
        ([1.0, np.nan] * 30, "y is missing in 30 rows"),
        ([1.0, np.inf] * 30, "y: infinite values"),
        ([1.0, 1e300] * 30, "y: values beyond 1e.38"),
    ],
)
def test_targets_that_are_no_numbers(y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        small_regressor().fit(columns(), y)


def test_rows_that_cannot_be_learned_from() -> None:
    with pytest.raises(DataError, match="has 3 rows; at least 4"):
        small().fit({"a": [1, 2, 3]}, [0, 1, 0])
    with pytest.raises(DataError, match=r"X: infinite values in 1 column: 'number'"):
        small().fit({**columns(), "number": [np.inf] * 60}, target())
    with pytest.raises(ValueError, match=r"X has 2 features, but \w+ is expecting 3 features"):
        small().fit(np.random.default_rng(0).normal(size=(60, 3)), target()).predict([[1, 2]])


# Tables as they are -------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FRAMES)
def test_every_form_of_a_table_gives_the_same_model(form: str) -> None:
    plain = small(ensemble=2).fit(columns(), target())
    clf = small(ensemble=2).fit(FRAMES[form](columns()), target())
    assert clf.model_.preprocessing.to_dict() == plain.model_.preprocessing.to_dict()
    expected = plain.predict_proba(columns()).tobytes()
    for other in FRAMES.values():
        assert clf.predict_proba(other(columns())).tobytes() == expected


def test_other_forms() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2)).round(2)
    expected = small().fit({"1": X[:, 0], "2": X[:, 1]}, target()).predict_proba(X).tobytes()
    frame = pl.DataFrame({"1": X[:, 0], "2": X[:, 1]})
    for form in (
        X,
        X.tolist(),
        X.astype(object),
        X.astype(np.longdouble),
        np.asfortranarray(X),
        frame.lazy(),
        frame.to_numpy(structured=True),
        nw.from_native(frame),
        {"1": pd.Series(X[:, 0], index=range(60, 0, -1)), "2": frame["2"]},
    ):
        clf = small().fit(form, pd.Series(target(), index=range(60, 0, -1)))
        assert clf.predict_proba(form).tobytes() == expected
    assert small().fit(X.astype(str), target()).predict_proba(X.astype(str)).shape == (60, 2)
    half = X.astype(np.float16)
    assert small().fit(half, target()).predict(half).shape == (60,)
    masked = np.ma.masked_greater(X, 1.0)
    clf = small().fit(masked, target())
    assert clf.model_.preprocessing.output_names == ["1", "1 is missing", "2", "2 is missing"]
    filled = masked.astype(object).filled(None)
    assert clf.predict_proba(masked).tobytes() == clf.predict_proba(filled).tobytes()


def test_values_missing_or_unseen_at_first_in_prediction() -> None:
    full = {name: [v for v in values if v is not None] for name, values in columns(90).items()}
    m = min(map(len, full.values()))
    full = {name: values[:m] for name, values in full.items()}
    clf = small().fit(full, target(m))
    new = {name: [None, values[0], values[1]] for name, values in full.items()}
    new["kind"][1], new["answer"][2] = "violet", "perhaps"
    new["when"][1] = datetime.datetime(2031, 5, 5)
    p = clf.predict_proba(new)
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)


def test_images() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 4, 4, 3), dtype=np.uint8)
    images[::2] //= 4
    y = ["dark", "light"] * 10
    clf = TabularClassifier((8,), epochs=30, ensemble=1).fit(images, y)
    assert clf.model_.networks[0].n[0] == 48
    assert clf.score(images, y) > 0.9
    with pytest.raises(DataError, match="expected images of 4 x 4 pixels"):
        clf.predict(images[:, :2])


def test_no_column_is_left_out_that_was_given() -> None:
    data: dict[str, Any] = {**columns(), "id": list(range(60)), "same": [1] * 60, "no": [None] * 60}
    said = r"used anyway: 'id' \(it numbers the rows.*'same' .*'no' .*keep=\["
    with pytest.warns(DataWarning, match=said) as caught:
        clf = small().fit(data, target())
    assert caught[0].filename == __file__
    assert clf.left_out_ == {}
    assert clf.n_features_in_ == 10
    with pytest.raises(DataError, match="lacks 3 columns"):
        clf.predict(columns())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = small(drop=["same", "no"], keep=["id"]).fit(data, target())
    assert list(kept.left_out_) == ["same", "no"]
    assert kept.predict({**columns(), "id": list(range(60))}).shape == (60,)
    with pytest.raises(SettingsError, match=r"drop names the column 'ID', .*mean 'id'"):
        small(drop=["ID"]).fit(data, target())


@pytest.mark.filterwarnings("ignore::pellucid.errors.DataWarning")
@pytest.mark.parametrize("cv", [5, GroupKFold(5)])
def test_cross_validation_has_the_decisive_column_in_each_fold(cv: Any) -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"temp": rng.normal(size=300), "site": rng.choice(list("abc"), 300)})
    clf = TabularClassifier((16,), epochs=20, ensemble=1)
    groups = None if cv == 5 else rng.integers(0, 12, 300)
    assert min(cross_val_score(clf, X, X["temp"] > 0, groups=groups, cv=cv)) > 0.93


@pytest.mark.parametrize("form", ["dict", "list of dicts", "pandas"])
def test_what_dropped_and_further_columns_hold_does_not_matter(form: str) -> None:
    data: dict[str, Any] = {**columns(), "odd": [[k] for k in range(60)]}
    clf = small(drop=["odd"]).fit(FRAMES[form](data), target())
    assert clf.left_out_ == {"odd": "dropped as asked"}
    assert clf.n_features_in_ == 8
    assert clf.model_.columns == list(data)
    more = {**data, "more": [object()] * 60}
    for rows in (data, columns(), more):
        expected = clf.predict_proba(FRAMES[form](rows)).tobytes()
        assert expected == clf.predict_proba(columns()).tobytes()
    y = np.arange(60.0) ** 2
    reg = small_regressor(drop="odd").fit(FRAMES[form](data), y)
    assert reg.predict(FRAMES[form](more)).tobytes() == reg.predict(columns()).tobytes()


def test_a_frame_after_an_array_is_taken_by_position() -> None:
    X = np.random.default_rng(0).normal(size=(60, 3)).round(2)
    clf = small().fit(X, target())
    expected = clf.predict_proba(X).tobytes()
    for frame in (pd.DataFrame(X, columns=list("abc")), pl.DataFrame(X), pd.DataFrame(X)):
        with pytest.warns(
            UserWarning, match="X has feature names, but TabularClassifier was fitted without"
        ) as caught:
            assert clf.predict_proba(frame).tobytes() == expected
        assert caught[0].filename == __file__
    with (
        pytest.warns(UserWarning, match="names"),
        pytest.raises(DataError, match="X has 2 features, but Tabul"),
    ):
        clf.predict(pd.DataFrame(X[:, :2]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        by_name = {str(k + 1): X[:, k] for k in (2, 0, 1)}
        assert clf.predict_proba(by_name).tobytes() == expected


def test_codes_are_pointed_out_and_declared() -> None:
    zips = [10000 + 37 * (k % 5) for k in range(60)]
    data = {"number": columns()["count"], "zip_code": zips}
    with pytest.warns(DataWarning, match=r"'zip_code' .*looks like codes.*categorical=\['zip_code"):
        small().fit(data, target())
    clf = small(categorical=["zip_code"]).fit(data, target())
    assert clf.model_.preprocessing.columns["zip_code"].kind == "category"
    frame = pd.DataFrame(data).astype({"zip_code": "category"})
    assert small().fit(frame, target()).model_.preprocessing.columns["zip_code"].kind == "category"


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).filter(str.strip)
COLUMN = st.sampled_from(["number", "text", "flag", "date", "mixed"])


@st.composite
def tables(draw: Any) -> dict[str, list[Any]]:
    """Tables of any kinds, with missing values, doubles of rows, and odd names."""
    m = draw(st.integers(10, 25))
    cells = {
        "number": st.floats(-1e30, 1e30) | st.none() | st.integers(-3, 3),
        "text": st.sampled_from(["a", "b", " c", "дом", "NA", "?"]) | TEXTS | st.none(),
        "flag": st.booleans() | st.none(),
        "date": st.datetimes(datetime.datetime(1900, 1, 1)) | st.none(),
        "mixed": st.sampled_from([1, 2.5, "x", None]),
    }
    names = draw(st.lists(TEXTS | st.just("n" * 3000), min_size=1, max_size=6, unique=True))
    return {name: draw(st.lists(cells[draw(COLUMN)], min_size=m, max_size=m)) for name in names}


@given(tables(), st.booleans(), st.integers(1, 3))
@settings(max_examples=25)
def test_any_table_is_fitted_or_refused_with_a_reason(
    data: dict[str, list[Any]], numbers: bool, ensemble: int
) -> None:
    m = len(next(iter(data.values())))
    y = [k * k / 7 for k in range(m)] if numbers else [f"{k % 3}" for k in range(m)]
    kind = small_regressor if numbers else small
    estimator = kind(epochs=2, ensemble=ensemble)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            estimator.fit(data, y)
    except DataError as refused:
        event(str(refused)[:30])
        return
    predicted = estimator.predict(data)
    assert len(predicted) == m
    one = {name: values[:1] for name, values in data.items()}
    assert estimator.predict(one).tolist() == predicted[:1].tolist()


def test_very_wide_tables() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 3000))
    clf = small(epochs=2).fit(X, [0, 1] * 10)
    assert clf.predict_proba(X).shape == (20, 2)


def test_class_weight_and_callbacks() -> None:
    seen: list[int] = []

    class Count(Callback):
        def on_epoch_end(self, run: Any) -> None:
            seen.append(run.epoch)

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 2)), ["rare" if k % 10 == 0 else "often" for k in range(200)]
    plain = small(callbacks=[Count()], ensemble=2).fit(X, y)
    assert seen == [1, 2, 3, 4, 5, 6] * 2
    balanced = small(class_weight="balanced", ensemble=2).fit(X, y)
    assert balanced.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean() + 0.1


def test_class_weights_take_the_users_own_labels() -> None:
    X = np.random.default_rng(0).normal(size=(60, 2))
    mixed: Any = np.array([1, "b"] * 30, dtype=object)
    for y, key, plain in (([" a", "b"] * 30, " a", "a"), (mixed, 1, "1")):
        weighted = small(class_weight={key: 9}).fit(X, y)
        same = small(class_weight={plain: 9}).fit(X, y)
        assert weighted.predict_proba(X).tobytes() == same.predict_proba(X).tobytes()
        assert (weighted.predict_proba(X)[:, 0] > small().fit(X, y).predict_proba(X)[:, 0]).all()
    with pytest.raises(SettingsError, match="class_weight is 0 for every class"):
        small(class_weight={0: 0, 1: 0}).fit(X, [0, 1] * 30)


def test_progress_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    small(verbose=True).fit(columns(), target())
    assert "loss" in capsys.readouterr().err


# Importances --------------------------------------------------------------------------------------


def test_importances_find_what_matters() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    data = pd.DataFrame(
        {"noise": rng.normal(size=300), "sign": np.where(x > 0, "plus", "minus"), "x": x}
    )
    y = 3 * x + rng.normal(size=300)
    reg = TabularRegressor((16,), epochs=30, ensemble=1).fit(data, y)
    found = reg.feature_importances(data, y)
    assert next(iter(found)) == "x"
    assert set(found) == {"noise", "sign", "x"}
    assert found["x"][0] > 0.3 > abs(found["noise"][0])
    assert all(std >= 0 for _, std in found.values())
    assert reg.feature_importances(data, y) == found
    labels = np.where(y > 0, " up", "down")
    clf = TabularClassifier((16,), epochs=20, ensemble=1).fit(data[["noise", "x"]], labels)
    assert clf.feature_importances(data[["x", "noise"]], labels)["x"][0] > 0.2
    with pytest.raises(ValueError, match="n_repeats must be a whole number of 1 or more; got 0"):
        clf.feature_importances(data, labels, n_repeats=0)
    with pytest.raises(DataError, match="X has 300 rows and y has 2 values"):
        clf.feature_importances(data, labels[:2])
    with pytest.raises(DataError, match="X has 0 rows and y has 0 values"):
        reg.feature_importances(data[:0], [])
    with pytest.raises(DataError, match=r"y holds texts, such as .*; the model predicts num"):
        reg.feature_importances(data, labels)
    with pytest.raises(DataError, match="y is 7 in every row, so R squared"):
        reg.feature_importances(data, np.full(300, 7.0))
    with pytest.raises(
        DataError, match="y: the target holds 'left', which is not among the classes"
    ):
        clf.feature_importances(data, ["left"] * 300)


def test_a_column_is_shuffled_as_a_whole() -> None:
    """Its indicators too: with the first alone shuffled, b and c would be told all the same."""
    rng = np.random.default_rng(0)
    letters = rng.choice(list("abc"), 300)
    data = pd.DataFrame({"noise": rng.normal(size=300), "letter": letters})
    y = np.where(letters == "c", 3.0, 0.0) + rng.normal(size=300) / 10
    reg = TabularRegressor((16,), epochs=20, ensemble=1).fit(data, y)
    falls = []
    for repeat in range(5):
        order = philox.permutation(repeat, 300, step=1)
        shuffled = data.assign(letter=letters[order])
        falls.append(reg.score(data, y) - reg.score(shuffled, y))
    mean, std = reg.feature_importances(data, y)["letter"]
    assert mean == pytest.approx(np.mean(falls))
    assert std == pytest.approx(np.std(falls))
    assert mean > 1

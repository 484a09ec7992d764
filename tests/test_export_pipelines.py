"""Export of scikit-learn's pipelines and searches: the file gives what their predict gives."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.decomposition import PCA
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.neural_network import MLPClassifier as ScikitLearns
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)

from pellucid import MLPClassifier, MLPRegressor, Network
from pellucid.errors import DataError, MissingPackageError, ModelError, SettingsError
from pellucid.estimators import TabularClassifier
from pellucid.export import c, export, runners, verify
from pellucid.export.pipelines import ARITHMETIC
from pellucid.layers import Dense

M = 60
CC = next(filter(None, map(runners.shutil.which, runners.COMPILERS)), None)
compiled = pytest.param("c", marks=pytest.mark.skipif(CC is None, reason="no C compiler"))
each_format = pytest.mark.parametrize("to", ["onnx", compiled])


@pytest.fixture(autouse=True)
def few_steps():
    """A network need not have learned anything to be exported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def classifier(**more: Any) -> MLPClassifier:
    return MLPClassifier((8,), max_iter=3, random_state=0, **more)


def regressor(**more: Any) -> MLPRegressor:
    return MLPRegressor(hidden_layer_sizes=(8,), max_iter=3, random_state=0, **more)


@pytest.fixture
def X(rng) -> np.ndarray:
    X = 5 + 3 * rng.normal(size=(M, 4))
    X[:, 2] = 7.0  # no variance
    return X


@pytest.fixture
def frame(rng) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age (years)": np.where(np.arange(M) % 7, rng.normal(40, 10, M), np.nan),
            "children": rng.integers(0, 5, M),
            "member": rng.random(M) > 0.5,
            "Größe": np.where(np.arange(M) % 5, rng.choice(["klein", "groß"], M), None),
            "label": rng.choice(["p", "q", "r"], M),
            "unused": rng.normal(size=M),
        }
    )


LABELS = np.resize(["a", "b", "c"], M)


def check(model: Any, rows: Any, folder: Path, to: str = "onnx", **how: Any) -> Any:
    """Export, compare, and return the comparison."""
    path = folder / f"model.{to}"
    export(model, path, to, **how)
    found = verify(path, model, rows)
    assert found.ok, found.summary()
    return found


# Steps that take each column by itself ------------------------------------------------------------

SCALERS: dict[str, list[Any]] = {
    "standard": [StandardScaler()],
    "not centred": [StandardScaler(with_mean=False)],
    "not scaled": [StandardScaler(with_std=False)],
    "neither": [StandardScaler(with_mean=False, with_std=False)],
    "range": [MinMaxScaler((-1, 2), clip=True)],
    "largest": [MaxAbsScaler(clip=True)],
    "robust": [RobustScaler()],
    "robust, not centred": [RobustScaler(with_centering=False)],
    "imputed": [SimpleImputer(strategy="median"), StandardScaler()],
    "several": ["passthrough", MinMaxScaler(), None, make_pipeline(RobustScaler(), "passthrough")],
}


def test_every_step_of_the_table_is_tested():
    tested = {type(step).__name__ for steps in SCALERS.values() for step in steps}
    assert set(ARITHMETIC) <= tested


CASES = [(name, "onnx", dtype) for name in SCALERS for dtype in ("float32", "float64")]
CASES += [(name, "c", "float64") for name in SCALERS] + [("several", "c", "float32")]


@pytest.mark.parametrize(
    ("steps", "to", "dtype"),
    [pytest.param(*case, marks=compiled.marks if case[1] == "c" else ()) for case in CASES],
)
def test_scalers(steps, to, dtype, X, tmp_path):
    X = X.astype(dtype)
    model = make_pipeline(*SCALERS[steps], classifier()).fit(X, LABELS)
    far = np.vstack([X, 10 * X, -X])  # beyond what was seen: where clip counts
    if steps == "imputed":
        far[::3, 1] = np.nan
    found = check(model, far, tmp_path, to)
    assert found.inputs[0].dtype == {"float32": "float", "float64": "double"}[dtype]
    assert found.difference < {"float32": 1e-5, "float64": 1e-12}[dtype]
    assert found.equal_labels == 1


@each_format
def test_all_kinds_of_answers(to, X, rng, tmp_path):
    several = rng.integers(0, 2, (M, 3))
    for y in (LABELS == "a", np.arange(M) % 3, several):
        check(
            make_pipeline(StandardScaler(), classifier()).fit(X, y), X, tmp_path, to, overwrite=True
        )
    for y in (X[:, 0] * 1e6, X[:, :2]):
        check(
            make_pipeline(StandardScaler(), regressor()).fit(X, y), X, tmp_path, to, overwrite=True
        )


@each_format
def test_a_network_in_float32_behind_steps_in_float64(to, X, tmp_path):
    X += 1e9  # in float32 nothing would be left of it
    model = make_pipeline(StandardScaler(), classifier(dtype="float32")).fit(X, LABELS)
    found = check(model, X, tmp_path, to)
    assert (found.inputs[0].dtype, found.outputs[0].dtype) == ("double", "float")


def test_rows_that_were_sparse(X, tmp_path):
    X = scipy.sparse.csr_array(np.where(X > 5, X, 0))
    model = make_pipeline(StandardScaler(with_mean=False), classifier()).fit(X, LABELS)
    assert check(model, X, tmp_path).inputs[0].shape == ["m", 4]


def test_a_search_and_a_search_within(X, tmp_path):
    scaled = make_pipeline(StandardScaler(), classifier())
    check(GridSearchCV(scaled, {"mlpclassifier__alpha": [0.1]}, cv=2).fit(X, LABELS), X, tmp_path)
    within = make_pipeline(
        StandardScaler(),
        RandomizedSearchCV(regressor(), {"alpha": [1, 2]}, n_iter=1, cv=2, random_state=0),
    )
    check(within.fit(X, X[:, 0]), X, tmp_path, overwrite=True)


@each_format
def test_a_target_that_was_standardised(to, X, tmp_path):
    y, standard = 1e6 + 1e3 * X[:, 0], StandardScaler()
    for regression in (regressor(), make_pipeline(StandardScaler(), regressor())):
        model = TransformedTargetRegressor(regression, transformer=standard).fit(X, y)
        check(model, X, tmp_path, to, overwrite=True)
    twice = TransformedTargetRegressor(model, transformer=standard)
    check(make_pipeline("passthrough", twice).fit(X, y), X, tmp_path, to, overwrite=True)


def test_no_rows_and_one(X, tmp_path):
    model = make_pipeline(StandardScaler(), PCA(2), classifier()).fit(X, LABELS)
    export(model, tmp_path / "model.onnx")
    session = ort.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for m in (0, 1):
        p, label = session.run(None, {"X": X[:m]})
        assert (p.shape, label.shape) == ((m, 3), (m,))


# Steps that skl2onnx converts ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "steps",
    [
        [StandardScaler(), PCA(2)],
        [VarianceThreshold(), MinMaxScaler()],
        [FeatureUnion([("pca", PCA(2)), ("all", StandardScaler())])],
        [make_column_transformer((StandardScaler(), [0, 1]), remainder="passthrough")],
        [FunctionTransformer()],
    ],
    ids=lambda steps: type(steps[-1]).__name__,
)
def test_other_steps(steps, X, tmp_path):
    check(make_pipeline(*steps, classifier()).fit(X, LABELS), X, tmp_path)


def imputed(*steps: Any, **how: Any) -> Pipeline:
    return make_pipeline(SimpleImputer(**how), *steps)


NUMBERS = ["age (years)", "children", "member"]
COLUMNS = {
    "plain": [(imputed(StandardScaler()), NUMBERS), (OneHotEncoder(), ["label"])],
    "missing texts as a category": [(OneHotEncoder(), ["Größe"])],
    "missing texts filled": [
        (imputed(OneHotEncoder(), strategy="most_frequent"), ["Größe"]),
        (imputed(OneHotEncoder(drop="first"), strategy="constant", fill_value="none"), ["Größe"]),
    ],
    "texts and numbers filled": [
        (imputed(OneHotEncoder(), strategy="most_frequent"), ["Größe", "children", "label"])
    ],
    "an indicator": [(imputed(add_indicator=True), NUMBERS), (OrdinalEncoder(), ["label"])],
    "codes": [(OneHotEncoder(handle_unknown="ignore"), ["children", "label"])],
    "a selector": [(imputed(), make_column_selector(dtype_include="number"))],
}


@pytest.mark.parametrize("columns", COLUMNS)
def test_columns_of_a_frame(columns, frame, tmp_path):
    model = make_pipeline(make_column_transformer(*COLUMNS[columns]), classifier())
    model.fit(frame, LABELS)
    found = check(model, frame, tmp_path, X=frame)
    assert found.difference < 1e-9
    named = {each.name: each.dtype for each in found.inputs}
    assert "unused" not in named or columns == "a selector"
    assert all(named[name] == "string" for name in ("Größe", "label") if name in named)
    assert all(named[name] == "double" for name in NUMBERS if name in named)


def test_columns_of_which_everything_is_missing(frame, tmp_path):
    frame["age (years)"], frame["Größe"] = np.nan, None
    steps = make_column_transformer(
        (imputed(), NUMBERS),
        (imputed(OneHotEncoder(), strategy="most_frequent"), ["Größe", "label"]),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Skipping features without any observed values")
        check(make_pipeline(steps, classifier()).fit(frame, LABELS), frame, tmp_path, X=frame)


def test_unseen_values_of_a_frame(frame, tmp_path):
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    model = make_pipeline(
        make_column_transformer((imputed(), NUMBERS), (encoder, ["label"])), classifier()
    ).fit(frame, LABELS)
    export(model, tmp_path / "model.onnx", X=frame[:1])
    frame.loc[::2, "label"] = "new"
    frame.loc[::3, "age (years)"] = np.nan
    assert verify(tmp_path / "model.onnx", model, frame).ok


def test_a_frame_of_polars(frame, tmp_path):
    rows = pl.from_pandas(frame[["children", "label"]])
    model = make_pipeline(
        make_column_transformer((StandardScaler(), ["children"]), (OneHotEncoder(), ["label"])),
        classifier(),
    ).fit(rows, LABELS)
    assert [each.name for each in check(model, rows, tmp_path, X=rows).inputs] == list(rows.columns)


def test_a_frame_of_numbers_is_one_matrix(frame, tmp_path):
    rows = frame[["children", "unused"]]
    for steps in ([StandardScaler()], [PCA(2)]):
        model = make_pipeline(*steps, classifier()).fit(rows, LABELS)
        for how in ({}, {"X": rows}):
            assert check(model, rows, tmp_path, overwrite=True, **how).inputs[0].name == "X"


def test_documents(tmp_path):
    rows = ["good day", "bad day", "good work"] * (M // 3)
    model = make_pipeline(CountVectorizer(lowercase=False), classifier()).fit(rows, LABELS)
    assert check(model, rows, tmp_path, X=rows[:3]).inputs[0].dtype == "string"


def test_float32_where_skl2onnx_knows_nothing_else(X, tmp_path):
    model = make_pipeline(PolynomialFeatures(2), StandardScaler(), classifier()).fit(X, LABELS)
    with pytest.raises(ModelError, match=r"step 'polynomialfeatures' \(Poly.*astype\('float32'\)"):
        export(model, tmp_path / "model.onnx")
    as_float = X.astype(np.float32)
    assert check(model, as_float, tmp_path, X=as_float).inputs[0].dtype == "float"


# Messages -----------------------------------------------------------------------------------------


def refused(model: Any, kind: type[Exception], message: str, folder: Path, **how: Any) -> None:
    with pytest.raises(kind, match=message):
        export(model, folder / "model", **how)
    assert not list(folder.iterdir())


def test_what_is_not_fitted(X, tmp_path):
    pipeline = make_pipeline(StandardScaler(), classifier())
    refused(pipeline, NotFittedError, "This Pipeline instance is not fitted yet", tmp_path)
    search = GridSearchCV(pipeline, {}, cv=2)
    refused(search, NotFittedError, "This GridSearchCV instance is not fitted", tmp_path)
    by_hand = make_pipeline(StandardScaler(), classifier().fit(X, LABELS))
    refused(by_hand, NotFittedError, "This StandardScaler instance is not fitted", tmp_path)


@pytest.mark.parametrize(
    ("model", "got"),
    [
        (
            make_pipeline(StandardScaler(), ScikitLearns((3,), max_iter=3)),
            "a pipeline that ends in",
        ),
        (ScikitLearns((3,), max_iter=3), "got sklearn's MLPClassifier"),
        (VotingClassifier([("a", classifier())]), "got sklearn's VotingClassifier"),
        (make_pipeline(StandardScaler(), "passthrough"), "ends in 'passthrough'"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_does_not_end_in_an_estimator_of_ours(model, got, X, tmp_path):
    refused(
        model.fit(X, LABELS), TypeError, rf"{got}.*skl2onnx\.to_onnx\(model, X\[:1\]\)", tmp_path
    )


def test_a_search_that_kept_no_estimator(X, tmp_path):
    search = GridSearchCV(classifier(), {}, cv=2, refit=False).fit(X, LABELS)
    refused(search, ModelError, "fitted with refit=False, .*Fit it with refit=True", tmp_path)


def test_a_target_transformed_otherwise(X, tmp_path):
    model = TransformedTargetRegressor(regressor(), func=np.log, inverse_func=np.exp)
    model.fit(X, np.exp(X[:, 0]))
    refused(model, ModelError, "a FunctionTransformer;.*Export its regressor_, and", tmp_path)


def test_a_step_before_a_table(tmp_path):
    rows = pd.DataFrame({"a": np.arange(40.0), "b": np.resize([1.0, 2, 3], 40)})
    scaler = StandardScaler().set_output(transform="pandas")
    table = TabularClassifier((4,), epochs=1, ensemble=1)
    model = make_pipeline(scaler, table).fit(rows, np.arange(40) % 2)
    message = "takes a table's columns as they are; here the step 'standardscaler' comes before"
    refused(model, ModelError, message, tmp_path)
    alone = make_pipeline("passthrough", table).fit(rows, np.arange(40) % 2)
    assert [each.name for each in check(alone, rows, tmp_path).inputs] == ["a", "b"]


def test_steps_without_a_c_form(X, frame, tmp_path):
    model = make_pipeline(StandardScaler(), PCA(2), classifier()).fit(X, LABELS)
    message = r"the step 'pca' \(PCA\) has no C form; StandardScaler, .*Export the pipeline to ONNX"
    refused(model, ModelError, message, tmp_path, to="c")
    model = make_pipeline(make_column_transformer(*COLUMNS["plain"]), classifier())
    refused(model.fit(frame, LABELS), ModelError, "has no C form", tmp_path, to="c", X=frame)


def test_steps_that_skl2onnx_does_not_know(X, tmp_path):
    for step in (SplineTransformer(), FunctionTransformer(np.abs)):
        model = make_pipeline(StandardScaler(), step, classifier()).fit(X, LABELS)
        name = type(step).__name__
        message = rf"cannot convert the step '{name.lower()}' \({name}\).*Replace the step, or do"
        refused(model, ModelError, message, tmp_path)


def test_columns_whose_types_are_not_known(frame, tmp_path):
    model = make_pipeline(make_column_transformer(*COLUMNS["plain"]), classifier())
    model.fit(frame, LABELS)
    refused(model, ModelError, r"finds columns by name.*export\(pipeline, path, X=X\)", tmp_path)
    refused(model, DataError, "X lacks 1 column.*'label'", tmp_path, X=frame.drop(columns="label"))
    frame["label"] = pd.Timestamp("2020-01-01")
    refused(model, DataError, "column 'label' holds Datetime.*numbers or texts", tmp_path, X=frame)


def test_rows_that_do_not_fit(X, tmp_path):
    model = make_pipeline(StandardScaler(), classifier()).fit(X, LABELS)
    refused(model, DataError, "X has 2 columns; expected 4", tmp_path, X=X[:, :2])
    refused(model, DataError, r"X has the shape \(4,\).*pass \[row\]", tmp_path, X=X[0])
    mixed = np.array([["a", 1.0, 2.0, 3.0]], dtype=object)
    refused(model, DataError, "X holds 1.0 among texts .*Pass a data frame", tmp_path, X=mixed)


def test_rows_are_for_pipelines(X, tmp_path):
    for model in (classifier().fit(X, LABELS), Network([Dense(2, "softmax")], 4)):
        refused(model, SettingsError, "X gives the types .*this model is not", tmp_path, X=X)


@pytest.mark.parametrize("to", ["onnx", "c"])
def test_what_a_step_was_converted_to_is_compared(to, X, tmp_path, monkeypatch):
    model = make_pipeline(StandardScaler(), classifier()).fit(X, LABELS)
    wrong = lambda t: [("-", t.mean_ + 1), ("/", t.scale_)]  # noqa: E731
    monkeypatch.setitem(ARITHMETIC, "StandardScaler", wrong)
    if to == "onnx" or CC:
        message = "does not give what the pipeline itself gives: 60 rows: largest difference"
        refused(model, ModelError, message, tmp_path, to=to, X=X)
    export(model, tmp_path / "unseen", to)  # without rows there is nothing to compare


def test_without_skl2onnx(X, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    scaled = make_pipeline(StandardScaler(), classifier()).fit(X, LABELS)
    check(scaled, X, tmp_path)
    (tmp_path / "model.onnx").unlink()
    model = make_pipeline(PCA(2), classifier()).fit(X, LABELS)
    message = (
        r"the step 'pca' \(PCA\) .* needs the package skl2onnx: pip install 'pellucid\[onnx\]'"
    )
    refused(model, MissingPackageError, message, tmp_path)


def test_without_onnxruntime_rows_are_not_compared(X, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    model = make_pipeline(StandardScaler(), classifier()).fit(X, LABELS)
    export(model, tmp_path / "model.onnx", X=X)


def test_the_head_of_the_c_file_says_what_goes_in(frame):
    rows = frame[["age (years)", "children"]]
    model = make_pipeline(SimpleImputer(), StandardScaler(), classifier()).fit(rows, LABELS)
    head, _, code = c.content(pellucid_subject(model)).decode().partition("*/")
    for line in ("x[0] age (years)", "x[1] children", "A[0] = the preprocessed x"):
        assert line in head
    assert "if (v != v) v = step_1[i]; /* simpleimputer */" in code


def pellucid_subject(model: Any) -> Any:
    from pellucid.export.exported import exported

    return exported(model)

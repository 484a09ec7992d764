"""``pellucid train``: what it prints, what it makes of its options, what it leaves behind."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import Result

from pellucid import load, load_predictor
from pellucid.activations import ACTIVATIONS
from pellucid.optimizers import OPTIMIZERS
from pellucid.tables import read_table

pytestmark = pytest.mark.usefixtures("here")
Run = Callable[..., Result]
FAST = ("--epochs", "3", "--hidden", "4")


def write_table(name: str = "t.csv", rows: int = 60) -> None:
    """A table that the first of its columns, and no other, half explains."""
    lines = [f"{k % 13},{(k * 7) % 11},{'uvw'[k % 3]},{'ab'[k % 11 > 5]}" for k in range(rows)]
    Path(name).write_text("\n".join(["x,z,word,kind", *lines]))


# What it says -------------------------------------------------------------------------------------


def test_one_network(run: Run) -> None:
    write_table()
    options = ["--ensemble", "1", "--epochs", "20", "--patience", "0"]
    result = run("train", "t.csv", "--target", "kind", *options)
    for expected in (
        r"Read t\.csv: 60 rows, 3 input columns; delimiter ','; header in line 1\.",
        r"Task: 'kind' holds 2 distinct texts: binary classification\.",
        r"Rows: 38 to train on, 10 to decide when to stop; 12 held out for the metrics\.",
        r"\ncolumn +kind +missing +inputs +what it becomes",
        r"\nx +number +1 +median \d",
        r"\nword +category +3 +3 categories: ",
        r"\n4 +dense +1 +sigmoid +\(1, 256\)",
        r"\nepoch  1/20  loss [\d.]+  validation loss [\d.]+.*\nepoch  2/20",
        r"\nepoch 20/20 ",
        r"\nStopped: all 20 epochs done; the best, epoch \d+, is kept\.",
        r"on 12 held-out rows +accuracy +log-loss +AUC",
        r"\nnetwork +[\d.]+ +[\d.]+ +[\d.]+",
        r"\nmajority class +[\d.]+ +[\d.]+ +0\.5000",
        r"\nlogistic regression \(no hidden layer\) +[\d.]+",
        r"\nSaved: t\.pellucid\nReport: t\.pellucid/report\.html\n",
        r"Predict: pellucid predict t\.pellucid DATA\n",
        r"Evaluate: pellucid evaluate t\.pellucid DATA\n",
        r"In Python: pellucid\.load\('t\.pellucid'\)\.predict\(frame\)\n$",
    ):
        assert re.search(expected, result.stdout), expected
    early = r"(pellucid: (stopped too early|for details run).*\n)*"  # so few steps are
    assert re.fullmatch(early, result.stderr)
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert {path.name.split("-")[0] for path in Path("t.pellucid").iterdir()} == {
        "model.json",
        "weights",
        "history",
        "report.html",
    }
    assert "pellucid" in load_predictor("t.pellucid").data["command"]


def test_an_ensemble(run: Run) -> None:
    write_table()
    result = run("train", "t.csv", "--target", "kind", *FAST)
    for expected in (
        r"Rows: 48 in 5 folds, each of which decides when one of 5 networks stops; 12 held out",
        r"\n5 networks, each:\nlayer ",
        r"\nnetwork 1/5  epoch 3/3  loss [\d.]+  validation loss [\d.]+",
        r"\nnetwork 5/5  epoch 3/3 ",
        r"\nStopped after 3, 3, 3, 3, 3 epochs; the best epochs, which are kept: [\d, ]+\.",
    ):
        assert re.search(expected, result.stdout), expected
    assert len(load_predictor("t.pellucid").networks) == 5


def test_regression_has_its_metrics_and_a_sample_needs_no_target(run: Run) -> None:
    result = run("train", "sample:diabetes", *FAST, "--ensemble", "1")
    assert "214 distinct whole numbers: regression" in result.stdout
    assert re.search(r"RMSE +MAE +R²", result.stdout)
    assert re.search(r"\nmean +", result.stdout)
    assert re.search(r"\nlinear regression \(no hidden layer\) +", result.stdout)
    assert load_predictor("diabetes.pellucid").task == "regression"


def test_what_screening_finds_is_told(run: Run) -> None:
    rows = [f"{k},ann{k},{(k * 7) % 11},{k % 5 + 94100},{'ab'[k % 11 > 5]}" for k in range(80)]
    Path("t.csv").write_text("\n".join(["id,name,z,zip,kind", *rows]))
    result = run("train", "t.csv", "--target", "kind", *FAST)
    assert re.search(r"\nLeft out: 'id': it numbers the rows", result.stdout)
    assert re.search(r"\nLeft out: 'name': it names the rows", result.stdout)
    assert "To use one anyway: --keep COLUMN." in result.stdout
    assert re.search(r"\nNote: .*'zip'.*--categorical", result.stdout)
    kept = ["--keep", "id, name", "--categorical", "zip", "--overwrite"]
    result = run("train", "t.csv", "--target", "kind", *FAST, *kept)
    assert "Left out" not in result.stdout
    assert re.search(r"\nzip +category +5 +5 categories: 94100", result.stdout)


def test_long_tables_and_names_are_cut_short(run: Run) -> None:
    names = ["x" * 50, *(f"column {k}" for k in range(24)), "kind"]
    rng = np.random.default_rng(0)
    rows = [",".join([*map(str, rng.normal(size=25)), "ab"[k % 2]]) for k in range(40)]
    Path("t.csv").write_text("\n".join([",".join(names), *rows]))
    result = run("train", "t.csv", "--target", "kind", *FAST)
    assert f"\n{'x' * 13}…{'x' * 14} " in result.stdout
    assert re.search(r"\n5 more +5 ", result.stdout)
    assert "column 20" not in result.stdout


def test_json(run: Run) -> None:
    write_table()
    result = run("train", "t.csv", "--target", "kind", *FAST, "--json", "--out", "deep/m")
    found = json.loads(result.stdout)
    assert result.stderr == ""
    assert found["model"] == "deep/m"
    assert found["rows"] == {"all": 60, "seen": 48, "test": 12}
    assert (found["task"], found["units"], found["networks"]) == ("binary", [5, 4, 1], 5)
    assert [each["epochs"] for each in found["histories"]] == [3] * 5
    assert found["histories"][0]["engine"] in ("fused", "reference")
    assert [each["name"] for each in found["columns"]] == ["x", "z", "word"]
    assert list(found["metrics"]) == ["network", "majority class", "logistic regression"]
    assert load_predictor("deep/m").metrics["metrics"] == found["metrics"]


def test_quiet(run: Run) -> None:
    write_table()
    result = run("train", "t.csv", "--target", "kind", *FAST, "-q")
    assert (result.stdout, result.stderr) == ("", "")
    assert Path("t.pellucid").is_dir()


def test_help_names_every_choice(run: Run) -> None:
    text = " ".join(run("train", "--help").stdout.split())
    for name, g in ACTIVATIONS.items():
        assert (f"{name}," in text or f"{name}." in text) == (not g.output_only)
    for name in OPTIMIZERS:
        assert f"{name}," in text or f"{name}." in text


# Options ------------------------------------------------------------------------------------------


def test_options_reach_the_network(run: Run) -> None:
    write_table()
    options = ["--activation", "tanh", "--hidden", "5,6", "--dropout", "0.25", "--seed", "7"]
    options += ["--task", "multiclass", "--optimizer", "momentum", "--learning-rate", "0.05"]
    options += ["--l2", "0.01", "--batch-size", "16", "--epochs", "2", "--patience", "0"]
    run("train", "t.csv", "--target", "kind", *options, "--ensemble", "2")
    found = load_predictor("t.pellucid")
    assert len(found.networks) == 2
    assert found.networks[0].n == [5, 5, 6, 2]
    layers = [repr(layer) for layer in found.networks[0].layers]
    assert [bool(re.search(r"'tanh'.*dropout=0\.25", layer)) for layer in layers].count(True) == 2
    asked = found.histories[0]["settings"]
    assert (asked["optimizer"], asked["learning_rate"]) == ("momentum", 0.05)
    assert (asked["l2"], asked["batch_size"]) == (0.01, 16)
    assert found.settings["seed"] == 7
    run("train", "t.csv", "--target", "kind", "--hidden", "none", "--overwrite", "--epochs", "2")
    assert load_predictor("t.pellucid").networks[0].n == [5, 1]


def test_label_smoothing_is_chosen_or_asked_for(run: Run) -> None:
    write_table()
    for options, expected in (((), 0.05), (("--label-smoothing", "0.2"), 0.2)):
        run("train", "t.csv", "--target", "kind", *FAST, *options, "--overwrite")
        model = load_predictor("t.pellucid")
        assert model.histories[0]["settings"]["label_smoothing"] == expected
        page = Path("t.pellucid/report.html").read_text()
        shown = re.sub(r"<[^>]*>|\s+", " ", page)
        automatic = r" \(automatic\)" if not options else ""
        assert re.search(rf"label smoothing +{expected}{automatic} ", shown)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer(run: Run, optimizer: str) -> None:
    write_table()
    options = ["--optimizer", optimizer, "--ensemble", "1"]
    run("train", "t.csv", "--target", "kind", *FAST, *options)
    assert load_predictor("t.pellucid").settings["optimizer"] == optimizer


def test_no_header(run: Run) -> None:
    write_table()
    rows = Path("t.csv").read_text().splitlines()[1:]
    Path("u.csv").write_text("\n".join(rows))
    result = run("train", "u.csv", "--target", "4", *FAST)
    assert "no header: columns are named 1 to 4" in result.stdout
    assert list(load_predictor("u.pellucid").preprocessing.columns) == ["1", "2", "3"]
    result = run("predict", "u.pellucid", "u.csv")
    assert len(result.stdout.splitlines()) == 61
    result = run("train", "t.csv", "--no-header", "--target", "4", *FAST)
    assert "no header: columns are named 1 to 4" in result.stdout
    assert "'4' holds 3 distinct texts" in result.stdout


def test_columns_are_named_in_lists_or_one_by_one(run: Run) -> None:
    text = 'a,"b, c",d,kind\n' + "\n".join(f"{k % 7},{k % 5},{k % 3},{k % 2}" for k in range(40))
    Path("t.csv").write_text(text)
    result = run("train", "t.csv", "--target", "kind", *FAST, "--drop", "b, c")
    assert "dropped: 'b, c'" in result.stdout
    options = ["--drop", "a,d", "--overwrite"]
    run("train", "t.csv", "--target", "kind", *FAST, *options)
    assert list(load_predictor("t.pellucid").preprocessing.columns) == ["b, c"]


def test_codes_keep_their_zeros(run: Run) -> None:
    rows = [f"{['02134', '00501', '94107'][k % 3]},{k % 5},{k % 2}" for k in range(40)]
    Path("t.csv").write_text("\n".join(["zip,n,kind", *rows]))
    run("train", "t.csv", "--target", "kind", *FAST, "--categorical", "zip")
    model = load_predictor("t.pellucid")
    assert "zip = 02134" in model.preprocessing.output_names
    printed = run("predict", "t.pellucid", "t.csv", "--json").stdout
    table = {"zip": ["02134", "00501", "94107"] * 13 + ["02134"], "n": [k % 5 for k in range(40)]}
    assert json.loads(printed)["predictions"] == model.predict(table).tolist()


def test_the_same_seed_gives_the_same_model(run: Run) -> None:
    write_table()
    weights = []
    for seed in ("0", "0", "1"):
        run("train", "t.csv", "--target", "kind", *FAST, "--seed", seed, "--overwrite")
        weights.append(next(Path("t.pellucid").glob("weights-*")).read_bytes())
    assert weights[0] == weights[1] != weights[2]


def test_the_held_out_rows_are_never_seen(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.tables import fit

    write_table()
    seen: list[int] = []
    prepare = fit.prepare
    monkeypatch.setattr(fit, "prepare", lambda t, s: seen.append(t.m) or prepare(t, s))
    run("train", "t.csv", "--target", "kind", *FAST)
    assert seen == [48]


def test_a_file_is_read_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.tables import read

    write_table()
    Path("t.csv").write_text(Path("t.csv").read_text().replace("kind", "target"))
    opened: list[Path] = []
    whole = read.content_of
    monkeypatch.setattr(read, "content_of", lambda path: opened.append(path) or whole(path))
    run("train", "t.csv", *FAST, "-q")
    assert opened == [Path("t.csv")]


def test_a_model_is_replaced_where_asked_for(run: Run) -> None:
    write_table()
    run("train", "t.csv", "--target", "kind", *FAST)
    before = next(Path("t.pellucid").glob("weights-*")).name
    run("train", "t.csv", "--target", "kind", *FAST, "--seed", "1", "--overwrite")
    assert next(Path("t.pellucid").glob("weights-*")).name != before


def test_without_jinja2_the_model_is_saved_all_the_same(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    write_table()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    result = run("train", "t.csv", "--target", "kind", *FAST)
    assert re.search(r"no report\.html was written: .*pip install 'pellucid\[", result.stderr)
    assert "Report:" not in result.stdout
    assert load("t.pellucid") is not None


def test_a_fault_of_the_report_does_not_lose_the_model(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pellucid.report.report_html", lambda *a, **k: 1 / 0)
    write_table()
    result = run("train", "t.csv", "--target", "kind", *FAST)
    assert re.search(r"no report\.html was written, .*ZeroDivisionError", result.stderr)
    assert load("t.pellucid").predict(read_table("t.csv", target="kind").columns).shape == (60,)
    assert not Path("t.pellucid/report.html").exists()


# Divergence ---------------------------------------------------------------------------------------

DIVERGING = ("--optimizer", "gradient_descent", "--activation", "identity", "--ensemble", "1")


def test_a_training_that_diverges_later_is_told_and_its_last_good_parameters_kept(
    run: Run,
) -> None:
    options = ["--learning-rate", "2", "--patience", "0", "--batch-size", "512", "--hidden", "none"]
    result = run("train", "sample:diabetes", *DIVERGING, *options, "--epochs", "300")
    assert re.search(r"Stopped: diverged at step \d+ of epoch \d+: J or a", result.stdout)
    assert re.search(r"^pellucid: .*diverged .* before is kept\..*--learning-rate", result.stderr)
    model = load_predictor("diabetes.pellucid")
    assert model.histories[0]["stopped"] == "diverged"
    assert np.isfinite(model.predict(read_table("sample:diabetes"))).all()


# Images -------------------------------------------------------------------------------------------


@pytest.fixture
def photos() -> None:
    rng = np.random.default_rng(0)
    for name, channel in (("cat", 0), ("other", 2)):
        Path("photos", name).mkdir(parents=True)
        for k in range(20):
            pixels = rng.integers(0, 60, (12, 9, 3), dtype=np.uint8)
            pixels[..., channel] += 150
            Image.fromarray(pixels).save(f"photos/{name}/{k:02d}.{'png' if k % 2 else 'jpg'}")


def test_folders_of_images(run: Run, photos: None) -> None:
    options = ["--epochs", "5", "--hidden", "8"]
    result = run("train", "photos/", "--size", "8", *options)
    assert "40 images resized to 8 x 8 pixels, RGB" in result.stdout
    assert re.search(r"\nimage +image +192 +8 x 8 pixels", result.stdout)
    assert "'class' holds 2 distinct texts: binary" in result.stdout
    result = run("predict", "photos.pellucid", "photos", "--head", "3")
    header, *rows = (line.split(",") for line in result.stdout.splitlines())
    assert header == ["file", "prediction", "p_cat", "p_other"]
    assert [row[:2] for row in rows] == [
        [f"cat/{k:02d}.{'jpg' if k % 2 == 0 else 'png'}", "cat"] for k in range(3)
    ]
    assert json.loads(run("evaluate", "photos.pellucid", "photos", "--json").stdout)["rows"] == 40
    shutil.copytree("photos/other", "new")
    result = run("predict", "photos.pellucid", "new", "--json")
    assert json.loads(result.stdout)["files"][0] == "00.jpg"
    assert set(json.loads(result.stdout)["predictions"]) == {"other"}


def test_one_image(run: Run, refused: Callable[..., str], photos: None) -> None:
    run("train", "photos", "--size", "8", "--epochs", "5", "--hidden", "8", "--target", "class")
    whole = run("predict", "photos.pellucid", "photos").stdout.splitlines()
    result = run("predict", "photos.pellucid", "photos/cat/03.png")
    assert result.stderr == "photos/cat/03.png: 1 row; 1 image resized to 8 x 8 pixels, RGB.\n"
    assert result.stdout.splitlines() == [
        whole[0],
        next(line for line in whole if line.startswith("cat/03.png,")).removeprefix("cat/"),
    ]
    message = refused("predict", "photos.pellucid", "photos/cat/04.png")
    assert "there is no file or folder 'photos/cat/04.png' (did you mean 'photos/cat/" in message
    Path("broken.png").write_bytes(b"no image")
    message = refused("predict", "photos.pellucid", "broken.png")
    assert re.search(r"1 of 1 image cannot be read: broken\.png \(cannot identify", message)
    message = refused("evaluate", "photos.pellucid", "photos/cat/03.png")
    assert "was read without the target 'class'" in message


def test_options_of_columns_are_refused_for_images(
    run: Run, refused: Callable[..., str], photos: None
) -> None:
    options = ["--drop", "nosuch", "--keep", "x", "--categorical", "y", "--no-header"]
    message = refused("train", "photos", "--target", "nosuch", *options)
    assert message == (
        "pellucid: --target is 'class' for images, the name of an image's folder; got 'nosuch'. "
        + " ".join(
            f"--{name} is for tables; images have one column, 'image', and no header."
            for name in ("header", "drop", "keep", "categorical")
        )
        + "\n"
    )
    run("train", "photos", "--size", "8", "--epochs", "1", "--hidden", "4", "-q")
    message = refused("evaluate", "photos.pellucid", "photos", "--target", "kind")
    assert "--target is 'class' for images" in message
    assert "--header is for tables" in refused("predict", "photos.pellucid", "photos", "--header")


def test_images_and_tables_are_told_apart(
    run: Run, refused: Callable[..., str], photos: None
) -> None:
    write_table()
    run("train", "photos", "--size", "8", "--epochs", "1", "--hidden", "4")
    run("train", "t.csv", "--target", "kind", *FAST)
    message = refused("predict", "photos.pellucid", "t.csv")
    assert re.search(
        r"'t\.csv' is not an image \(\.bmp, .*; the model was trained on images", message
    )
    message = refused("predict", "t.pellucid", "photos")
    assert "'photos' is a folder; the model was trained on a table" in message


# Progress -----------------------------------------------------------------------------------------


def test_the_bar_of_a_terminal() -> None:
    from pellucid import Dense, Network, train
    from pellucid._progress import progress

    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    shown = progress(console, 2)
    X = np.random.default_rng(0).normal(size=(2, 50))
    for _ in range(2):
        net = Network([Dense(1, "sigmoid")], n_inputs=2, seed=0)
        train(
            net,
            X,
            (X[:1] > 0).astype(float),
            loss="binary_cross_entropy",
            epochs=30,
            validation_data=(X, (X[:1] > 0).astype(float)),
            callbacks=[shown],
        )
    shown.stop()
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    assert re.search(r"network 2/2 epoch 30/30 .* loss [\d.]+  validation [\d.]+", text)
    assert shown.bar.tasks[0].completed == shown.bar.tasks[0].total == 60


def test_the_speed_is_of_epochs_or_of_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from pellucid._progress import Speed

    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    speed = Speed()
    run: Any = SimpleNamespace(epoch=4, data=SimpleNamespace(m=3000))
    assert speed.shown(run) == ""
    now[0] = 2.0
    assert speed.shown(run) == "2 epochs/s"
    now[0] = 8.0
    assert speed.shown(run) == "1,500 examples/s"

"""The trace as HTML, LaTeX, drawings, slides and data, and in notebooks."""

from __future__ import annotations

import itertools
import json
import math
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest

from pellucid import Dense, LayerNorm, Network, Scale, trace, train
from pellucid.history import History
from pellucid.insight.trace import PRESETS, preset
from pellucid.record import latex, mathml
from test_trace import deep


@pytest.fixture
def pieces(rng):
    return rng.normal(size=(10, 30)), rng.integers(0, 3, 30), rng.uniform(0.5, 1.5, 30)


# HTML, LaTeX, data --------------------------------------------------------------------------------


class Tags(HTMLParser):
    """Checks that tags are closed in order; collects text."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "mspace"):
            self.open.append(tag)
        for key, value in attrs:
            assert key not in ("src", "href")
            assert "url(" not in (value or "")

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("name", PRESETS)
def test_the_page_is_whole_and_loads_nothing(name):
    page = preset(name).trace().html()
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert "http" not in page.replace("http-equiv", "")
    assert preset(name).title in "".join(tags.text).replace("&amp;", "&")


def test_rows_have_the_users_names(pieces):
    X, Y, _ = pieces
    t = preset("movie-taste").trace()
    assert "X = [0.1  0.2  0.9  0.8  0.9]  romance\n" in t.text(80)
    assert "Y = [0  1  1  0  1]  liked" in t.text(80)
    assert "<mtext>action</mtext>" in t.html()
    assert r"\text{romance} \\ \text{action}" in t.latex()
    named = trace(deep(), X, Y, "cce", inputs=[f"<{k}>" for k in range(10)])
    assert "  <9>\n" in named.text(80)
    assert "<5>" not in named.text(80)  # a row that is left out
    assert "&lt;9&gt;" in named.html()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"inputs": ["a"]}, r"inputs must name each of the 2 rows; got 1 names"),
        ({"outputs": "liked"}, r"outputs must be a sequence of names, a text for each row"),
        ({"inputs": [1, 2]}, r"inputs must be a sequence of names"),
    ],
)
def test_names_that_do_not_fit_are_refused(how, message):
    with pytest.raises((TypeError, ValueError), match=message):
        preset("movie-taste").trace(**how)


@pytest.mark.parametrize("name", ["deep", "movie-taste"])
def test_the_page_prints_on_A4(name, pieces, browser):
    X, Y, _ = pieces
    t = trace(deep(), X, Y, "cce", l1=0.1) if name == "deep" else preset(name).trace()
    page = browser.new_page(viewport={"width": 680, "height": 1000})  # 180 mm
    page.emulate_media(media="print")
    page.set_content(t.html())
    assert page.evaluate("document.documentElement.scrollWidth") <= 680
    page.close()


def test_the_network_is_drawn(pieces):
    X, Y, _ = pieces
    t = trace(deep(), X, Y, "cce")
    root = ET.fromstring(t.svg())
    drawn = {tag: len(root.findall(f".//{{*}}{tag}")) for tag in ("circle", "line")}
    units = [6, 6, 5, 3]  # of 10 and 12 units the first five and the last
    edges = sum(a * b for a, b in itertools.pairwise(units))
    assert drawn == {"circle": sum(units), "line": edges}
    picture = t.tikz()
    assert picture.count(r"\draw") == edges
    assert picture.count(r"\vdots") == 2


def test_the_drawing_says_what_the_layers_are(pieces):
    t = odd(pieces)
    root = ET.fromstring(t.svg())
    texts = [each.text for each in root.findall(".//{*}text")]
    below = ["X", "10 inputs", "scale", "A[1]", "12 units", "dense", "tanh", "scale", "A[2]"]
    assert [each for each in texts if each in below] == [*below, "dense"]
    assert sum("50 %" in each for each in texts) == 6 + 3  # of 10 names six, all three outputs
    width = float(root.get("width"))
    for each in root.findall(".//{*}text"):
        wide = 6.2 * len(each.text)  # no letter of 11 px is wider on average
        ends = {"end": (wide, 0), "start": (0, wide)}
        side = {"small in": "end", "small out": "start"}.get(each.get("class"))
        left, right = ends.get(side, (wide / 2, wide / 2))
        assert left <= float(each.get("x")) <= width - right
    assert t.tikz().count(r"\normalsize$A^{[1]}$\\12 units\\dense\\tanh\\scale") == 1
    assert t.tikz().count("50 ") == 6 + 3


def test_each_step_has_a_slide():
    t = preset("xor").trace(optimizer="momentum")
    document = t.slides()
    steps = sum(map(len, t.sections().values()))
    assert document.count(r"\begin{frame}") == document.count(r"\end{frame}") == steps + 1
    assert document.count(r"\begin{tikzpicture}") == steps + 1
    assert "very thick" in document
    plain = document.replace(r"\{", "").replace(r"\}", "")
    assert plain.count("{") == plain.count("}")


def test_cells_and_checks_show_themselves_in_a_notebook():
    t = preset("xor").trace()
    shown = t.cell("dW", layer=1, row=0, column=0)._repr_html_()
    assert shown.count("<math>") == 2
    assert "<mo>∑</mo>" in shown
    assert "near" not in t.check()._repr_html_()
    assert "dZ2" in t.check()._repr_html_()


def test_a_step_shows_itself_in_a_notebook():
    shown = preset("xor").trace().forward[0]._repr_html_()
    assert shown.startswith('<div class="pellucid-trace">')
    assert shown.count("<section") == 1
    assert "A weighted sum of what comes in" in shown


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_show_themselves_in_a_notebook(dtype):
    layers = [Scale(), Dense(20, "tanh"), LayerNorm(), Dense(1, "sigmoid")]
    net = Network(layers, 2, seed=0, dtype=dtype)
    cache = net.forward([[0, 0, 1, 1], [0, 1, 0, 1]], cache=True)
    gradients = net.backward(cache, [0, 1, 1, 0], "bce", inputs=True)
    shown = gradients._repr_html_()
    tags = Tags()
    tags.feed(shown)
    assert not tags.open
    rows = re.findall(r"<tr><th>(\w+(?:\[\d\])?)</th><td>([\dx ]+)</td>", shown)
    assert dict(rows)["dW[1]"] == "20 x 2"
    assert [name for name, _ in rows][:3] == ["dW[2]", "dW[1]", "db[2]"]
    names = {name for name, _ in rows}
    assert {"db[1]", "ds[0]", "dgamma[1]", "dbeta[1]", "dZ[1]", "dA[1]", "dX"} <= names
    dW = gradients.dW[2]
    bounds = (dW.min(), dW.max(), np.sqrt(np.mean(dW.astype(float) ** 2)))
    assert "".join(f"<td>{each:.4g}</td>" for each in bounds) in shown
    assert f"<td>{dW[0, 7]:.4g}</td>" in shown  # 20 numbers are shown, 40 are not
    assert f"<td>{gradients.dW[1][7, 1]:.4g}</td>" not in shown
    gradients.dW[1][0, 0] = np.nan
    gradients.dW[2][...] = np.finfo(dtype).max
    assert f"<td>{np.finfo(dtype).max:.4g}</td>" * 3 in gradients._repr_html_()


def test_a_title_is_escaped_everywhere(pieces):
    X, Y, _ = pieces
    t = trace(deep(), X, Y, "cce", title="<script>alert(1)</script> 50 % & _x_")
    assert "<script>" not in t.html()
    assert r"50 \% \& \_x\_" in t.latex()


def test_a_notebook_shows_it():
    page = preset("xor").trace()._repr_html_()
    assert page.startswith('<div class="pellucid-trace">')
    assert "−9.999" in page


def test_networks_and_histories_show_themselves_too():
    net = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=2, seed=0)
    for row in net.summary().splitlines():
        for cell in row.split("  "):
            assert cell.strip() in net._repr_html_()
    X, Y = np.array([[0, 0, 1, 1], [0, 1, 0, 1.0]]), [0, 1, 1, 0]
    history = train(net, X, Y, loss="bce", epochs=5, validation_data=(X, Y))
    shown = history._repr_html_()
    points = re.findall(r'points="([^"]*)"', shown)
    assert [len(p.split()) for p in points] == [5, 5]
    assert "all 5 epochs done" in shown
    losses = history["loss"] + history["val_loss"]
    assert f"drawn from {min(losses):.4g} to {max(losses):.4g}" in shown
    places = [float(place.split(",")[1]) for p in points for place in p.split()]
    assert (min(places), max(places)) == (0, 100)
    assert places[0] < places[4]  # up is a large loss
    once = History(curves={"loss": [0.5, math.nan]})._repr_html_()
    assert 'points="0.0,0.0 0.0,0.0"' in once
    for nothing in (History(), History(curves={"loss": [math.inf]}, message="<b>")):
        assert "<svg" not in nothing._repr_html_()
        assert "<b>" not in nothing._repr_html_()


ODD = "50 % of_all & $x$ ^ ~ \\ # {a} -- << € ï α ≤ ⇒ 語 Ж \x1b"


def odd(pieces):
    """A wide network with a Scale, penalties, weights, and names that TeX would take amiss."""
    X, Y, w = pieces
    layers = [Scale(), Dense(12, "tanh"), Scale(), Dense(3, "softmax")]
    net = Network(layers, n_inputs=10, seed=0)
    how = {"l1": 0.1, "l2": 0.1, "sample_weight": w, "optimizer": "adam", "title": ODD}
    return trace(net, X, Y, "cce", inputs=[ODD] * 10, outputs=[ODD] * 3, **how)


def compiled(folder, text, packages=""):
    """The log of pdflatex."""
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    for file in packages.split():
        if subprocess.run(["kpsewhich", file], capture_output=True, check=False).returncode:
            pytest.skip(f"LaTeX's {file} is not installed")
    (folder / "t.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


@pytest.mark.parametrize("name", [*PRESETS, "odd"])
def test_the_latex_compiles(name, pieces, tmp_path):
    t = odd(pieces) if name == "odd" else preset(name).trace(l2=0.1)
    assert "Overfull" not in compiled(tmp_path, t.latex())


@pytest.mark.parametrize("name", ["xor", "odd"])
def test_the_slides_compile(name, pieces, tmp_path):
    t = odd(pieces) if name == "odd" else preset(name).trace(optimizer="adam")
    log = compiled(tmp_path, t.slides(), "beamer.cls tikz.sty")
    assert "Overfull" not in log
    assert f"({sum(map(len, t.sections().values())) + 1} pages" in log


def test_the_drawing_compiles(tmp_path):
    names = {"inputs": ["50 % of_all", "α & $x$ ^"], "outputs": [r"\b{a}"]}
    picture = preset("xor").trace(**names).tikz()
    document = rf"\documentclass{{article}}\usepackage{{tikz}}\begin{{document}}{picture}"
    compiled(tmp_path, rf"{document}\end{{document}}", "tikz.sty")


def test_letters_that_pdflatex_lacks_are_declared():
    text = preset("xor").trace(title="ż ⁿ 語 α -- <<").latex()
    assert r"\section*{ż ⁿ 語 \ensuremath{\alpha} -{}- <{}<}" in text
    assert r"\lacking{ż}{017C}{z}" in text
    assert r"\lacking{ⁿ}{207F}{n}" in text
    assert r"\lacking{語}{8A9E}{?}" in text
    assert "lacking" not in preset("xor").trace().latex()


def test_a_line_of_a_slide_is_no_wider_than_it(pieces):
    document = odd(pieces).slides()
    for line in re.findall(r"\\fitted\{(.*)\}", document):
        matrices = re.findall(r"\\begin\{bmatrix\}(.*?)\\end\{bmatrix\}", line)
        assert sum(each.split(r" \\ ")[0].count("&") + 1 for each in matrices) <= 12
        assert all(each.count(r" \\ ") <= 5 for each in matrices)


def test_latex_is_balanced_where_there_is_no_compiler(pieces):
    X, Y, _ = pieces
    text = trace(deep(), X, Y, "cce").latex()
    assert text.count("\\begin{bmatrix}") == text.count("\\end{bmatrix}") > 20
    plain = text.replace("\\{", "").replace("\\}", "")
    assert plain.count("{") == plain.count("}")


@pytest.mark.parametrize(
    ("formula", "tex", "markup"),
    [
        ("W[2]^T dZ[2]", r"{W^{[2]}}^{T}\,dZ^{[2]}", "<msup><msup><mi>W</mi>"),
        ("sum(W[1]^2)", r"\mathrm{sum}({W^{[1]}}^{2})", "<msup><msup><mi>W</mi>"),
        ("g[1]'^2", "{{g^{[1]}}'}^{2}", "</msup><mo>′</mo></mrow><mrow><mn>2</mn></mrow></msup>"),
        ("g[1]'^T", "{{g^{[1]}}'}^{T}", "</msup><mo>′</mo></mrow><mi>T</mi></msup>"),
        ("alpha x", r"{\alpha}\,x", '<mi>α</mi><mspace width="0.3em"/><mi>x</mi>'),
        ("beta1", r"\beta_{1}", "<msub><mi>β</mi><mn>1</mn></msub>"),
        ("alpha_t", r"\alpha_{t}", "<msub><mi>α</mi><mi>t</mi></msub>"),
        ("alphabet", r"\mathrm{alphabet}", "<mi>alphabet</mi>"),
        ("1e-08 + 2.5e+10", r"{10^{-8}} + 2.5\cdot{10^{10}}", "<mn>1e-08</mn>"),
        ("ä z", r"\text{ä}\,z", "<mo>ä</mo>"),
        ("e^-z", "e^{-z}", "<msup><mi>e</mi><mrow><mo>−</mo><mi>z</mi></mrow></msup>"),
        ("sum_j z_j", r"\sum_j\,z_j", "<msub><mi>z</mi><mi>j</mi></msub>"),
        ("dL", r"d\mathcal{L}", "<mi>dℒ</mi>"),
        ("x<2>", r"x^{\langle{2}\rangle}", "<mo>⟨</mo><mn>2</mn><mo>⟩</mo>"),
        ("a[1]<3>", r"a^{[1]\langle{3}\rangle}", "<mo>]</mo></mrow><mo>⟨</mo><mn>3</mn>"),
        ("dGamma_u[1]<3>", r"d\Gamma_{u}^{[1]\langle{3}\rangle}", "<mi>dΓ</mi><mi>u</mi>"),
        ("c~[1]<3>^2", r"{\tilde{c}{}^{[1]\langle{3}\rangle}}^{2}", "<mover><mi>c</mi><mo>~</mo>"),
        ("dgamma[1]", r"d\gamma^{[1]}", "<msup><mi>dγ</mi>"),
        ("A_norm[1]_p", r"A_{norm,p}^{[1]}", "<mi>norm,p</mi>"),
        ("v_dW[1]", r"v_{dW}^{[1]}", "<mi>v</mi><mi>dW</mi>"),
        ("sum_t dW[1]<t>", r"\sum_t\,dW^{[1]\langle{t}\rangle}", "<mo>⟨</mo><mi>t</mi>"),
    ],
)
def test_formulas_are_written_once_and_shown_twice(formula, tex, markup):
    assert latex(formula) == tex
    assert markup in mathml(formula)


def test_the_data_are_plain_and_complete(pieces):
    X, Y, _ = pieces
    t = trace(deep(), X, Y, "cce")
    data = json.loads(json.dumps(t.to_dict()))
    assert data["J"] == t.J
    for key, values in t.arrays.items():
        name = key[0] if key[0] in ("X", "dX", "Y", "w", "L", "J") else f"{key[0]}[{key[1]}]"
        np.testing.assert_allclose(np.array(data["arrays"][name]), values)

"""Formulas of the lectures, written as text once and shown as LaTeX or MathML.

``Z[1] = W[1] A[0] + b[1]``: a name with its layer in brackets, ``^T``, ``g[1]'``, numbers, words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

_TOKEN = re.compile(
    r"(?P<array>(?:[a-z]_)?d?[A-Za-z]+(?:_[a-z]+)?~?\**)\[(?P<layer>\d+)\](?:<(?P<step>\d+|t)>)?"
    r"(?P<prime>')?(?P<example>\(i\)|_[a-z])?(?P<T>\^T)?"
    r"|(?P<name>d?(?:[XYLJw]|x(?=<\d+>)))(?![A-Za-z])(?:<(?P<namestep>\d+)>)?(?P<nameT>\^T)?"
    r"(?P<nameexample>\(i\)|_[a-z])?"
    r"|(?P<number>\d+(?:\.\d+)?(?:e[-+]?\d+)?)"
    r"|(?P<sum>sum_[a-z])"
    r"|(?P<space>\s+)"
    r"|\^(?P<power>T(?![A-Za-z])|-?\|?[a-z0-9]+(?:_[a-z])?\|?)"
    r"|(?P<indexed>[a-z])_(?P<index>[a-z])(?![a-z])"
    r"|(?P<word>[A-Za-z][A-Za-z0-9_]*)"
    r"|(?P<symbol>.)"
)
_LATEX = {"*": r"\ast ", "|": "|", "{": r"\{", "}": r"\}", "%": r"\%", "&": r"\&", "#": r"\#",
          "_": r"\_", "$": r"\$", "~": r"\sim ", ",": r",\;", "\\": r"\backslash "}  # fmt: skip
_MATHML = {"*": "∗", "-": "−", "'": "′"}
_LETTERS = (
    ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"),
    ("lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi"),
)
GREEK = dict(zip(sum(_LETTERS, ()), "αβγδεζηθικλμνξπρστυφχψ", strict=True)) | {"omega": "ω"}
"""Greek letters by their names."""
_CAPITALS = {"Gamma": "Γ"}
_GREEK = re.compile(rf"({'|'.join(GREEK)})(?:_?([a-z]|\d+))?")


def latex(formula: str) -> str:
    r"""Return a formula in LaTeX's notation.

    >>> latex("dZ[1] = W[2]^T dZ[2] * g[1]'(Z[1])")
    "dZ^{[1]} = {W^{[2]}}^{T}\\,dZ^{[2]} \\ast {g^{[1]}}'(Z^{[1]})"
    """
    parts = []
    for kind, token in _tokens(formula):
        if kind == "array":
            each = token["example"] or ""
            raised, index = (each, "") if each == "(i)" else ("", each[1:])
            step = rf"\langle{{{token['step']}}}\rangle" if token["step"] else ""
            text = f"{_letter(token['array'], index)}^{{[{token['layer']}]{step}{raised}}}"
            text = f"{{{text}}}'" if token["prime"] else text
            parts.append(f"{{{text}}}^{{T}}" if token["T"] else text)
        elif kind == "name":
            letter = (token["name"] or "").replace("L", r"\mathcal{L}")
            each = token["nameexample"] or ""
            raised = rf"\langle{{{token['namestep']}}}\rangle" if token["namestep"] else ""
            raised += "(i)" if each == "(i)" else ""
            letter += f"^{{{raised}}}" * bool(raised) + ("" if each == "(i)" else each)
            parts.append(f"{{{letter}}}^{{T}}" if token["nameT"] else letter)
        elif kind == "sum":
            parts.append(rf"\sum_{(token['sum'] or '')[-1:]}")
        elif kind == "power":
            if parts and set("^'") & set(parts[-1]):  # TeX takes one exponent of one thing
                parts[-1] = f"{{{parts[-1]}}}"
            parts.append(f"^{{{token['power']}}}")
        elif kind == "number":
            digits, _, power = (token["number"] or "").partition("e")
            if power:
                times = "" if digits == "1" else rf"{digits}\cdot"
                digits = f"{times}{{10^{{{int(power)}}}}}"
            parts.append(digits)
        elif kind == "indexed":
            parts.append(f"{token['indexed']}_{token['index']}")
        elif kind == "word":
            parts.append(_word(token["word"] or ""))
        elif kind == "space":
            parts.append(" ")
        else:
            sign = token["symbol"] or ""
            parts.append(_LATEX.get(sign, sign if sign.isascii() else rf"\text{{{sign}}}"))
    text = "".join(parts)
    return re.sub(r"(?<=[\w}]) (?=[\w{\\[](?!ast|sum))", r"\\,", text)


def mathml(formula: str) -> str:
    """Return a formula as MathML, without the <math> around it."""
    parts = []
    for kind, token in _tokens(formula):
        if kind == "array":
            layer = f"<mrow><mo>[</mo><mn>{token['layer']}</mn><mo>]</mo></mrow>"
            of, _, index = (token["array"] or "").partition("_")
            each, letter = token["example"] or "", _letter_in_mathml(of)
            if token["step"]:
                layer = f"<mrow>{layer}{_step_in_mathml(token['step'])}</mrow>"
            if each == "(i)":
                layer = f"<mrow>{layer}<mo>(</mo><mi>i</mi><mo>)</mo></mrow>"
            if each[:1] == "_":
                index = ",".join(filter(None, (index, each[1:])))
            text = f"<msup>{letter}{layer}</msup>"
            if index:
                text = f"<msubsup>{letter}<mi>{escape(index)}</mi>{layer}</msubsup>"
            text += "<mo>′</mo>" if token["prime"] else ""
            raised = f"<mrow>{text}</mrow>" if token["prime"] else text
            parts.append(f"<msup>{raised}<mi>T</mi></msup>" if token["T"] else text)
        elif kind == "name":
            text = f"<mi>{(token['name'] or '').replace('L', 'ℒ')}</mi>"
            each = token["nameexample"] or ""
            if token["namestep"]:
                text = f"<msup>{text}<mrow>{_step_in_mathml(token['namestep'])}</mrow></msup>"
            if each == "(i)":
                text = f"<msup>{text}<mrow><mo>(</mo><mi>i</mi><mo>)</mo></mrow></msup>"
            elif each:
                text = f"<msub>{text}<mi>{each[1:]}</mi></msub>"
            parts.append(f"<msup>{text}<mi>T</mi></msup>" if token["nameT"] else text)
        elif kind == "sum":
            parts.append(f"<msub><mo>∑</mo><mi>{(token['sum'] or '')[-1:]}</mi></msub>")
        elif kind == "power":
            base = parts.pop() if parts else "<mrow/>"
            base = f"<mrow>{base}</mrow>" if base.endswith("<mo>′</mo>") else base
            parts.append(f"<msup>{base}<mrow>{mathml(token['power'] or '')}</mrow></msup>")
        elif kind == "indexed":
            parts.append(f"<msub><mi>{token['indexed']}</mi><mi>{token['index']}</mi></msub>")
        elif kind == "word":
            word = token["word"] or ""
            greek = _GREEK.fullmatch(word)
            text = f"<mi>{GREEK[greek[1]] if greek else escape(word)}</mi>"
            if greek and greek[2]:
                text = f"<msub>{text}{mathml(greek[2])}</msub>"
            parts.append(text)
        elif kind == "number":
            parts.append(f"<mn>{token['number']}</mn>")
        elif kind == "space":
            parts.append('<mspace width="0.3em"/>')
        else:
            symbol = token["symbol"] or ""
            parts.append(f"<mo>{escape(_MATHML.get(symbol, symbol))}</mo>")
    return "".join(parts)


def _tokens(formula: str) -> Iterator[tuple[str, dict[str, str | None]]]:
    for found in _TOKEN.finditer(formula):
        groups = found.groupdict()
        kinds = ("array", "name", "number", "sum", "power", "indexed", "space", "word", "symbol")
        yield next(kind for kind in kinds if groups[kind] is not None), groups


def _word(word: str) -> str:
    greek = _GREEK.fullmatch(word)
    if greek:
        return f"\\{greek[1]}_{{{greek[2]}}}" if greek[2] else f"{{\\{greek[1]}}}"
    word = word.replace("_", r"\_")
    return word if len(word) == 1 else rf"\mathrm{{{word}}}"


def _letter(array: str | None, index: str = "") -> str:
    """A letter with what stands below it: v_dW, A_norm, and the unit or place that is meant."""
    letter, _, name = (array or "").partition("_")
    d, of = _parted(letter.rstrip("~*"))
    written = f"\\{of}" if _is_greek(of) else _word(of)
    if "~" in letter:  # {}: TeX takes what is raised of it and the exponent for one otherwise
        written = rf"\tilde{{{written}}}{{}}"
    written = d + written + "{*}" * letter.count("*")
    if not name:
        return f"{written}_{index}" if index else written
    return f"{written}_{{{name}{',' if index else ''}{index}}}"


def _parted(letter: str) -> tuple[str, str]:
    """The d of a derivative, and of what it is: dgamma."""
    is_derivative = len(letter) > 1 and letter[0] == "d" and not _is_greek(letter)
    return ("d", letter[1:]) if is_derivative else ("", letter)


def _is_greek(word: str) -> bool:
    return word in GREEK or word in _CAPITALS


def _letter_in_mathml(letter: str) -> str:
    plain = letter.rstrip("~*")
    d, of = _parted(plain)
    of = GREEK.get(of) or _CAPITALS.get(of) or of
    text = f"<mi>{escape(d + of + letter[len(plain) :].replace('~', ''))}</mi>"
    return f"<mover>{text}<mo>~</mo></mover>" if "~" in letter else text


def _step_in_mathml(step: str) -> str:
    number = f"<mn>{step}</mn>" if step.isdigit() else f"<mi>{step}</mi>"
    return f"<mo>⟨</mo>{number}<mo>⟩</mo>"

"""What each step of a pass means, in a sentence: known by the form of its formula."""

from __future__ import annotations

import re

from pellucid.insight.trace.recorded import RecordedLayer
from pellucid.losses import Loss, pair
from pellucid.record import Key

_NAME = r"(?:X|A\**\[\d+\])(?:\[\d*:\d*\])?"
_BACK = r"d(A|X)\S* = "
_WHY = (
    (
        rf"Z\S+ = W\S+ {_NAME} \+ b\S+",
        "A weighted sum of what comes in, and the bias; a column is an example.",
    ),
    (rf"A\*+\S+ = s\S+ \* {_NAME}", "Each unit is scaled."),
    (
        rf"Z\S+ = \(W\S+ \* M\S+\) {_NAME} \+ b\S+",
        "A weighted sum of what comes in by the connections that there are, where M is 1.",
    ),
    (
        rf"dW\S+ = \(1/m\) dZ\S+ {_NAME}\^T \* M\S+( \+ .*)?",
        "What came in times the error, the mean over the examples; 0 where nothing is connected.",
    ),
    (rf"{_BACK}\(W\S+ \* M\S+\)\^T dZ\S+", "Each unit gets the errors of the units that it feeds."),
    (r"Z\S+ = W\S+\[:, words\]", "Of each word its column of W: a look-up."),
    (
        r"dW\S+ = \(1/m\) \(?sum of dZ\S+ by word\)?( \+ .*)?",
        "For each word the sum of dZ where it stands, the mean over the examples.",
    ),
    (rf"{_BACK}0", "A word number has no derivative."),
    (r"dZ\S+ = dA\S+", "It comes back as it is."),
    (rf"{_BACK}d(A|X)\S*", "It comes back as it is."),
    (r"P\S+ = patches\(.*\)", "A column is what the filters see at one place, unrolled."),
    (
        r"Z\S+ = W\S+ P\S+ \+ b\S+",
        "Each filter times each patch, and its bias: a number for each place and filter.",
    ),
    (
        r"Z\S+ = \[W.*\] \+ b\S+",
        "Each group of filters times its channels of the patches, and the bias.",
    ),
    (
        r"dW\S+ = \(1/m\) \[dZ.*",
        "Of each group what its filters saw times the error: summed over the places, the mean over "
        "the examples.",
    ),
    (r"Z\S+ = \[.*", "Those of all steps."),
    (r"A\[\d+\] = a\S+", "The state after the last step."),
    (r"A\[\d+\] = \[a\[.*", "The states of all steps."),
    (rf"A\*+\S+ = max over windows of {_NAME}", "The largest number that each window sees."),
    (rf"A\*+\S+ = mean over windows of {_NAME}", "The mean of what each window sees."),
    (
        rf"{_BACK}sum over windows of share \* dA\S+",
        "Each number gets its share of the error of every window that saw it: the largest all of "
        "it, or all the same.",
    ),
    (rf"A\*+\S+ = {_NAME} \+ .*", "What came in, and what the layers made of it."),
    (r"A\*+\S+ = \[.*", "What the branches gave, the units of one below those of the other."),
    (rf"A\*+\S+ = {_NAME}", "It goes on as it is: nothing is dropped but in training."),
    (r"mean\S+ = mean_j .*", "The mean of the units."),
    (r"variance\S+ = mean_j .*", "Their variance: the mean square of how far they are from it."),
    (r"A_norm\S+ = \(.* - mean\S+\) / sqrt.*", "The mean is taken away, and the spread made 1."),
    (r"A\*+\S+ = gamma\S+ \* A_norm\S+ \+ beta\S+", "Each unit is scaled and moved as learned."),
    (r"L = .*sum_p .*", "The loss of each example: the mean of those of its steps or places."),
    (r"L = .*", "The loss of each example: how wrong its output is."),
    (r"J = \(1/m\) sum_i L\(i\)( \* w\(i\))?", "The cost is the mean of the losses."),
    (r"J = .*", "The cost: the mean of the losses, and the penalties on the weights."),
    (r"A\[\d+\] = Z\[\d+\]", "What was computed goes on as it is."),
    (r"dA\S+ = dL/dA\S+ .*", "How the loss of each example changes with the output."),
    (
        r"dZ\S+ = dA\S+ \* g\S+'\(Z\S+\).*",
        "The chain rule through the activation, entry by entry.",
    ),
    (
        r"dW\S+ = \(1/m\) dZ\S+ P\S+\^T( \+ .*)?",
        "What a filter saw times its error there: the sum over the places, the mean over the "
        "examples.",
    ),
    (
        rf"dW\S+ = \(1/m\) dZ\S+ {_NAME}\^T( \+ .*)?",
        "The mean over the examples of what came in times the error of the unit it entered.",
    ),
    (
        r"db\S+ = \(1/m\) sum_i dZ\S+\(i\)( \+ .*)?",
        "The bias is the same for every example: the mean of dZ over the examples.",
    ),
    (
        r"db\S+ = \(1/m\) sum_p dZ\S+( \+ .*)?",
        "The bias is the same at all places: the sum over these, the mean over the examples.",
    ),
    (r"dW\S+ = \(1/m\) \(.*dW\[\d+\]<.*", "W is the same at each step: its steps add up."),
    (r"db\S+ = \(1/m\) \(.*db\[\d+\]<.*", "b is the same at each step: its steps add up."),
    (r"d(s|gamma|beta)\S+ = \(1/m\) sum_i .*", "The mean over the examples."),
    (
        r"d(s|gamma|beta)\S+ = \(1/m\) sum_p .*",
        "The sum over the places, the mean over the examples.",
    ),
    (rf"{_BACK}.* / sqrt\(variance.*", "Back through the normalisation."),
    (rf"{_BACK}\[d(A|x)\S*<.*", "Those of all steps."),
    (rf"{_BACK}\[.*", "What comes back from the branches, each to its part."),
    (
        rf"{_BACK}sum over patches of \[?W\S+\^T dZ.*",
        "Each entry gets the errors of all filters at all places that saw it, times their weights.",
    ),
    (rf"{_BACK}dA\S+ \+ .*", "It comes back as it is, and through the layers."),
    (rf"{_BACK}dA\*+\[\d+\]\[.*", "The part of it that this branch gave."),
    (rf"{_BACK}.* \+ .*", "What comes back from the branches."),
    (
        r"d(A|X)\S* = W\S+\^T dZ\S+",
        "Each unit gets the errors of the units that it feeds, times the weights.",
    ),
    (r"d(A|X)\S* = s\S+ \* dA\S+", "Back through the scaling."),
)
"""What a formula of the lectures means, by its form."""


_AT_A_STEP = {
    "Z": "What was before and what is new, weighted, and the bias: the same at every step.",
    "Gamma_u": "The update gate: how much of the candidate is taken in, between 0 and 1.",
    "Gamma_f": "The forget gate: how much of the cell is kept, between 0 and 1.",
    "Gamma_o": "The output gate: how much of the cell is shown, between 0 and 1.",
    "Gamma_r": "The reset gate: how much of the state the candidate sees, between 0 and 1.",
    "q": "What the reset gate lets through of the state.",
    "c~": "The candidate for what is new.",
    "c": "The cell: what it takes in and what it keeps.",
    "a": "The state after this step.",
    "da": "What comes to the state of this step: from the layer above, and from the step after.",
    "dc": "What comes to the cell: through what it showed, and from the step after.",
    "dW": "What this step adds to dW: the sum over the examples.",
    "db": "What this step adds to db: the sum over the examples.",
    "dx": "What goes back to what came in at this step.",
    "dA": "What goes back to what came in at this step.",
}
"""What is computed at each step of a sequence; what else has a d is the chain rule."""


def why(layer: RecordedLayer, key: Key, text: str, loss: Loss) -> str:
    """Return what a step is, in a sentence."""
    g, l, letter = layer.activation, layer.number, key[0]
    if len(key) == 3 and not (g is not None and letter == "a"):
        chained = "By the chain rule." if letter[0] == "d" else "The part of it for some gates."
        return _AT_A_STEP.get(letter, chained)
    if g is not None and re.match(rf"(A|a)\[{l}\](<\d+>)? = g\[{l}\]", text):
        if g.mixes:
            return f"The {g.name} of each column: probabilities that sum to 1."
        return f"The activation {g.name}, entry by entry."
    difference = rf"\(?A\[{l}\] - Y\)?"
    together = rf"dZ\[{l}\] = (1/\d+ )?{difference}( / \[.*\])?( \* w)?"
    if g is not None and pair(g.g, loss) and re.fullmatch(together, text):
        shared = ", shared among its steps" if len(layer.output_shape) > 1 else ""
        return (
            f"{g.name} and {loss.name} together: the derivative of the loss by Z is a plain "
            f"difference{shared}."
        )
    if g is not None and g.mixes and text.startswith(f"dZ[{l}] = "):
        name = g.name.capitalize()
        return f"{name} mixes the units of an example, so each dz depends on every da."
    if layer.volume("Z") is not None and (found := _at_each_place(text)):
        return found
    known = (why for form, why in _WHY if re.fullmatch(form, text))
    return next(known, f"As {type(layer.original).__name__} computes it.")


def _at_each_place(text: str) -> str:
    """What a Dense does at each step or place."""
    if re.fullmatch(rf"Z\S+ = W\S+ {_NAME} \+ b\S+", text):
        return "The same weights at each step or place: a weighted sum of what comes in there."
    if re.fullmatch(rf"dW\S+ = \(1/m\) dZ\S+ {_NAME}\^T( \+ .*)?", text):
        return "What came in times the error: the sum over the places, the mean over the examples."
    return ""

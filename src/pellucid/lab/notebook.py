"""``open_lab``: the lab's page on a network and data that are in memory, inline in a notebook.

The page in the notebook is the lab's own, in a frame, where the notebook's page is one of this
computer: of 127.0.0.1 or localhost, over http. Elsewhere, as in Colab or in editors, and where the
frame stays empty, there is how to reach it instead. What stays in the notebook's file is a ticket:
a key that is good once.
"""

from __future__ import annotations

import atexit
import json
import secrets
import sys
import threading
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.lab.datasets import Dataset
from pellucid.lab.server.app import HOST, Lab, link_of
from pellucid.lab.session.model_data import from_arrays, targets
from pellucid.lab.session.models import experiment_of, model_of
from pellucid.lab.session.table import add_rows, learned
from pellucid.lab.session.user_data import Model
from pellucid.network import Network
from pellucid.persistence.predictor import NetworkPredictor
from pellucid.tables.model import TableModel
from pellucid.tables.table import count

HEIGHT = 900
"""Pixels of the frame."""

_lock = threading.Lock()
_open: set[LabPage] = set()
_server: Lab | None = None


class LabPage:
    """A page of the lab; a notebook shows it inline.

    Attributes
    ----------
    address : str
        What to open, with the token.
    """

    def __init__(self, lab: Lab, experiment: dict[str, Any]) -> None:
        self._lab, self._link = lab, link_of(experiment)

    @property
    def address(self) -> str:
        """What to open, with the token, and the experiment behind the ``#``."""
        return self._lab.address + self._link

    def close(self) -> None:
        """Close it; with the last page the server ends, and what trains there."""
        global _server
        with _lock:
            _open.discard(self)
            if _open or _server is not self._lab:
                return
            _server = None
        self._lab.__exit__()

    def __repr__(self) -> str:
        return f"<LabPage at http://{HOST}:{self._lab.port}>"

    def _repr_html_(self) -> str:
        name = f"pellucid-{secrets.token_hex(6)}"
        port = self._lab.port
        rest = f":{port}/?ticket={self._lab.app.ticket()}{self._link}"
        return _FRAME.format(
            name=name,
            port=port,
            address=escape(f"http://{HOST}{rest}"),
            rest=json.dumps(rest).replace("<", "\\u003c"),
            height=HEIGHT,
        )


_FRAME = """<div id="{name}"><p>The lab is on the computer where this notebook's Python runs.
<a href="{address}" target="_blank" rel="noopener">Open it in a browser there</a>; the address is
good once, for ten minutes. On another computer run first
<code>ssh -L {port}:127.0.0.1:{port} that-computer</code>.</p></div>
<script>
(() => {{
  const box = document.getElementById("{name}");
  const host = location.hostname;
  if (!box || location.protocol !== "http:" || !["127.0.0.1", "localhost"].includes(host)) return;
  const frame = document.createElement("iframe");
  frame.src = `http://${{host}}` + {rest}; // of the page's own site: others may keep no key
  frame.title = "Pellucid lab";
  frame.allow = "clipboard-write";
  frame.style = "width: 100%; height: {height}px; border: 1px solid #8886; border-radius: 8px";
  const text = box.firstElementChild;
  text.hidden = true;
  box.append(frame);
  const late = setTimeout(() => {{ text.hidden = false; frame.hidden = true; }}, 8000);
  addEventListener("message", (event) => {{
    if (event.source !== frame.contentWindow) return;
    clearTimeout(late);
    text.hidden = !(frame.hidden = false);
  }});
}})();
</script>"""


def open_lab(model: Any, X: Any, Y: Any) -> LabPage:
    """Open the lab on a network and its examples; a notebook shows the page inline.

    The page has a copy: what is trained there leaves ``model`` as it is. One server, on the
    loopback address alone, serves all pages of this process.

    Parameters
    ----------
    model : Network, or a fitted estimator
        Of Dense layers (a Scale is worked into the W behind it); MLPClassifier, MLPRegressor,
        NetworkClassifier, NetworkRegressor, TabularClassifier, TabularRegressor.
    X, Y : array
        For a Network as :func:`pellucid.train` takes them, (n[0], m) and (n[L], m) or class
        numbers, (m,); for an estimator rows and labels or numbers, as ``fit`` does.

    Returns
    -------
    LabPage
        With ``address`` and ``close()``. Outside a notebook the page opens in the browser.

    Raises
    ------
    ModelError, ValueError
        Where the network is none that the lab shows, or X or Y does not fit it.

    Examples
    --------
    >>> from pellucid import Dense, Network
    >>> net = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=2, seed=0)
    >>> page = open_lab(net, [[0, 0, 1, 1], [0, 1, 0, 1]], [0, 1, 1, 0])  # doctest: +SKIP
    >>> page.close()  # doctest: +SKIP
    """
    global _server
    made, data = _on_network(model, X, Y) if isinstance(model, Network) else _fitted(model, X, Y)
    experiment = experiment_of(made, {"name": data.name})
    with _lock:
        if _server is None:
            _server = Lab(framed=True).__enter__()
        page = LabPage(_server, experiment)
        _open.add(page)
    if not _in_notebook():
        page._lab.browse(experiment)
    return page


def _on_network(network: Network, X: Any, Y: Any) -> tuple[Model, Dataset]:
    made = model_of(NetworkPredictor(network), "your network", {})
    X, Y = np.asarray(X, dtype=np.float64), np.asarray(Y)
    n, k = made.n
    if X.ndim != 2 or len(X) != n or Y.shape not in ((X.shape[1],), (k, X.shape[1])):
        raise ValueError(
            f"open_lab: X must be (n[0], m) = ({n}, m) and Y (n[L], m) = ({k}, m) or (m,); got "
            f"{X.shape} and {Y.shape}."
        )
    if Y.ndim == 2 and made.task != "regression":
        Y = Y.argmax(axis=0) if made.task == "multiclass" else Y[0]
    if Y.ndim == 1:
        Y = targets(made, NetworkPredictor(network), Y)
    return made, _from_memory(made, X, Y)


def _fitted(estimator: Any, X: Any, y: Any) -> tuple[Model, Dataset]:
    if isinstance(getattr(estimator, "model_", None), TableModel):
        columns: TableModel = estimator.model_
        settings = columns.histories[0].get("settings", {}) if columns.histories else {}
        made = model_of(columns, f"your {type(estimator).__name__}", settings)
        Z, t = columns.inputs(X), learned(columns, np.asarray(y), "y")
        return made, add_rows(columns, Z, t, "Your data", count(len(Z), "row"))
    if not hasattr(estimator, "network_"):
        raise TypeError(
            "open_lab takes a Network, or a fitted MLPClassifier, MLPRegressor, NetworkClassifier, "
            "NetworkRegressor, TabularClassifier or TabularRegressor; got "
            f"{estimator!r:.80}."
        )
    binarizer = getattr(estimator, "_label_binarizer", None)
    several = getattr(binarizer, "y_type_", "") == "multilabel-indicator"
    predictor = NetworkPredictor(estimator.network_, getattr(estimator, "classes_", None), several)
    rate = estimator.history_.settings.get("learning_rate", 0.001)
    settings = {"batch_size": 200, "learning_rate": rate}
    names = getattr(estimator, "feature_names_in_", ())
    made = model_of(predictor, f"your {type(estimator).__name__}", settings, list(names))
    X = np.asarray(X, dtype=np.float64).T
    return made, _from_memory(made, X, targets(made, predictor, np.asarray(y).T))


def _from_memory(made: Model, X: NDArray[Any], Y: NDArray[Any]) -> Dataset:
    for name, values in (("X", X), ("Y", Y)):
        if not np.isfinite(values).all():
            raise ValueError(f"open_lab: {name} holds values that are not finite.")
    if X.shape[1] != Y.shape[-1] or not X.shape[1]:
        raise ValueError(
            f"open_lab: X has {X.shape[1]} examples and Y has {Y.shape[-1]}; expected "
            "the same number."
        )
    return from_arrays(made, X, Y, "Your data", count(X.shape[1], "example"))


def _in_notebook() -> bool:
    """Whether a kernel runs this, so that what a cell returns is shown."""
    ipython = sys.modules.get("IPython")
    return hasattr(ipython and ipython.get_ipython(), "kernel")


@atexit.register
def _close_all() -> None:
    for page in list(_open):
        page.close()

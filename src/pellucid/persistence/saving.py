"""save: a model, or a training under way, to a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pellucid.network import Network
from pellucid.persistence.folder import Arrays, write_folder
from pellucid.persistence.networks import network_to_model


def save(
    model: Any,
    path: str | os.PathLike[str],
    *,
    history: Any = None,
    report: bytes | None = None,
    overwrite: bool = False,
    wait: float = 0.0,
    **entries: Any,
) -> None:
    """Write a model to a folder, whole or not at all.

    One at a time writes a folder. Of two first saves at once without ``overwrite`` one succeeds,
    and the other raises BusyError or, where it comes later or waits, FileExistsError.

    Parameters
    ----------
    model : Network, estimator or TableModel
        Or any object whose ``to_folder()`` returns what :func:`write_folder` takes: the entries of
        model.json, the arrays and the documents.
    path : path
        The folder, by custom ``NAME.pellucid``. It must not exist, unless ``overwrite``.
    history : History, dict or None
        What :func:`pellucid.train` returned, to be kept beside the weights.
    report : bytes or None
        The folder's report.html, in UTF-8.
    overwrite : bool
        Replace the model that is there, with its permissions. A folder that holds anything else is
        always refused.
    wait : float
        Seconds to wait for another process or thread that is writing the folder.
    **entries
        Further entries of model.json, plain data.

    Raises
    ------
    FileExistsError
        Where something is there that must not be replaced.
    BusyError
        Where another is writing the folder, and after ``wait`` seconds still is.
    ModelError
        Where the model could not be loaded again: a layer of your own whose settings are no plain
        data, or whose name is that of another.

    Examples
    --------
    >>> from pellucid import Dense, Network, load
    >>> net = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=3, seed=0)
    >>> save(net, "small.pellucid")
    >>> load("small.pellucid")
    <Network 3-4-1, 21 parameters, float32>
    """
    if isinstance(model, Network):
        description, weights = network_to_model(model)
        contents: dict[str, Any] = {"kind": "network", "network": description}
        arrays: Mapping[str, Arrays] = {"weights": weights}
        documents: dict[str, Any] = {}
    elif hasattr(model, "to_folder"):
        contents, arrays, documents = model.to_folder()
    else:
        raise TypeError(
            f"save takes a Network, or an object with a method to_folder; got {model!r}. "
            "The model comes first: save(model, path)."
        )
    taken = [name for name in entries if name in contents]
    if taken:
        raise ValueError(
            f"save: {taken[0]!r} is an entry of model.json already; choose another name."
        )
    if history is not None:
        history = history.to_dict() if hasattr(history, "to_dict") else history
        documents = {**documents, "history": history}
    write_folder(
        path,
        {**contents, **entries},
        arrays=arrays,
        documents=documents,
        report=report,
        overwrite=overwrite,
        wait=wait,
    )


def save_checkpoint(
    path: str | os.PathLike[str],
    network: Network,
    training: Mapping[str, Any],
    state: Arrays,
    best: Arrays | None,
    *,
    wait: float = 0.0,
) -> None:
    """Write a training under way; an older checkpoint at this path is replaced, nothing else is.

    ``training`` is plain data; ``state`` holds the optimizer's arrays by name (v_W1, ...), ``best``
    the best parameters so far (W1, ...); ``wait`` is as in :func:`save`.
    """
    description, weights = network_to_model(network)
    slots = {f"state_{name}": array for name, array in state.items()}
    slots |= {f"best_{name}": array for name, array in (best or {}).items()}
    write_folder(
        path,
        {"kind": "checkpoint", "network": description},
        arrays={"weights": weights, "state": slots},
        documents={"training": training},
        overwrite=True,
        only="checkpoint",
        wait=wait,
    )

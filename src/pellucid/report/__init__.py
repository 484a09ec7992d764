"""The report: one HTML page about a trained table model, for people who did not train it.

:func:`report_html` writes it; ``pellucid train`` puts it into the model folder as ``report.html``.
The page stands alone: no script, nothing to be loaded, charts inside it as SVG. A section is an
entry of :data:`~pellucid.report.sections.SECTIONS` and a file in ``templates/``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pellucid.errors import MissingPackageError

if TYPE_CHECKING:
    from pellucid.tables.model import TableModel

__all__ = ["report_html"]


def report_html(
    model: TableModel, evaluation: Mapping[str, Any], *, folder: str = "model.pellucid"
) -> str:
    """Return the report of a trained model as one HTML page.

    Parameters
    ----------
    model : TableModel
        Its settings, histories, data and preprocessing are told.
    evaluation : dict
        ``Evaluation.to_dict()``: how it does on rows that were held out. What is not in it is
        left out of the page; an empty one stands for a model that nobody has measured.
    folder : str
        The model folder's name, for the commands that load it.

    Raises
    ------
    MissingPackageError
        Where jinja2 or matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid import TabularClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = {"width": rng.normal(size=60), "height": rng.normal(size=60)}
    >>> y = np.where(X["width"] > 0, "wide", "narrow")
    >>> classifier = TabularClassifier(epochs=2, ensemble=1, random_state=0).fit(X, y)
    >>> page = report_html(classifier.model_, {})
    >>> "width" in page and "<script" not in page
    True
    """
    for package in ("jinja2", "matplotlib"):
        try:
            importlib.import_module(package)
        except ImportError:
            raise MissingPackageError(
                f"the report needs {package}: pip install 'pellucid[tables]'"
            ) from None
    from pellucid.report.page import page

    return page(model, evaluation, folder)

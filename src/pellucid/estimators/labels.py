"""What estimators of classes have in common, and what those of numbers have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.class_weight import compute_sample_weight

from pellucid.estimators.parameters import LOSS_NAMES
from pellucid.losses import Loss
from pellucid.losses import loss as find_loss
from pellucid.tasks import TASKS, Task


class OfClasses(ClassifierMixin):
    """Labels as columns of Y, and outputs as labels.

    An estimator has ``loss``, ``class_weight``, and once fitted ``classes_`` and ``n_outputs_``.
    """

    _label_binarizer: LabelBinarizer

    def _fit_labels(self, y: NDArray[Any]) -> None:
        """Take the classes from y."""
        self._label_binarizer = _plain_binarizer(y) or LabelBinarizer().fit(y)
        self.classes_ = self._label_binarizer.classes_

    def _task(self) -> Task:
        kind = self._label_binarizer.y_type_
        return TASKS["multilabel" if kind.startswith("multilabel") else kind]

    def _output_activation(self) -> str:
        return self._task().output

    def _loss(self) -> Loss:
        if isinstance(self.loss, str) and self.loss == "log_loss":
            return find_loss(self._task().loss)
        return find_loss(self.loss)

    def _check_loss(self) -> None:
        """Refuse a loss that does not fit the output."""
        if isinstance(self.loss, str) and self.loss == "log_loss":
            return
        loss, g = find_loss(self.loss), self._output_activation()
        if g not in loss.fits:
            raise ValueError(
                f"{type(self).__name__}: the loss {loss.name} is for the outputs "
                f"{', '.join(loss.fits)}; here the output is {g} (softmax for more than two "
                "classes, else sigmoid). Use loss='log_loss', which is right for both."
            )

    def _columns(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        """A column for each output. The binarizer's own way takes 8 bytes each, and half a ms."""
        columns: NDArray[np.bool_]
        if self._task() is TASKS["multiclass"]:
            numbers = np.searchsorted(self.classes_, y)
            columns = numbers.reshape(-1, 1) == np.arange(len(self.classes_))
        elif self._task() is TASKS["binary"] and y.ndim == 1 and len(self.classes_) == 2:
            columns = (y == self.classes_[1]).reshape(-1, 1)
        else:
            columns = self._label_binarizer.transform(y).astype(bool)
        return columns

    def _encode(self, y: Any) -> NDArray[Any]:
        """Y as (n[L], m) from labels."""
        y = np.asarray(y)
        known = np.isin(y, self.classes_)
        if not known.all():
            raise ValueError(
                f"y holds {y[~known].tolist()[0]!r}, which is not one of {self.classes_}."
            )
        return self._columns(y).T

    def _labels(self, A: NDArray[Any]) -> NDArray[Any]:
        """The labels that outputs, rows of A[L], stand for: of two, the second above 1/2."""
        if self._task() is TASKS["multiclass"]:
            chosen: NDArray[Any] = self.classes_[A.argmax(axis=1)]
            return chosen
        labels: NDArray[Any] = self._label_binarizer.inverse_transform(
            A.ravel() if self.n_outputs_ == 1 else A
        )
        return labels

    def _probabilities(self, A: NDArray[Any]) -> NDArray[Any]:
        """A column for each class, from outputs as rows."""
        if self.n_outputs_ > 1:
            return np.ascontiguousarray(A)
        P = np.empty((len(A), 2), dtype=A.dtype)
        P[:, 1:] = A
        np.subtract(1, A, out=P[:, :1])
        return P

    def _class_factors(self, y: NDArray[Any]) -> NDArray[np.float64]:
        """What ``class_weight`` makes of each row, from columns of Y."""
        factors: NDArray[np.float64] = compute_sample_weight(self.class_weight, self._labels(y))
        return factors

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class OfNumbers(RegressorMixin):
    """Targets as columns of Y, and outputs as predictions; an estimator has ``loss``."""

    def _output_activation(self) -> str:
        return "exp" if self._loss().name == "poisson" else "identity"

    def _loss(self) -> Loss:
        return find_loss(
            LOSS_NAMES.get(self.loss, self.loss) if isinstance(self.loss, str) else self.loss
        )

    def _check_loss(self) -> None:
        """Refuse a loss that does not fit the output."""
        loss = self._loss()
        if loss.targets not in ("real", "non-negative"):
            name = type(self).__name__
            raise ValueError(
                f"{name}: the loss {loss.name} is for probabilities; use "
                f"{name.replace('Regressor', 'Classifier')}, or a loss for numbers, such as "
                "'squared_error'."
            )

    def _encode(self, y: Any) -> NDArray[Any]:
        """Y as (n[L], m) from targets."""
        rows: NDArray[Any] = check_array(y, ensure_2d=False, dtype="numeric", input_name="y")
        return rows.reshape(-1, 1).T if rows.ndim == 1 else rows.T

    def _predictions(self, A: NDArray[Any]) -> NDArray[Any]:
        """(m,) for one output, else (m, n[L]), from outputs as rows."""
        return A.ravel() if A.shape[1] == 1 else np.ascontiguousarray(A)


def _plain_binarizer(y: Any) -> LabelBinarizer | None:
    """What LabelBinarizer().fit makes of whole numbers, truth values and texts; None of others."""
    if type(y) is not np.ndarray or y.ndim != 1 or not y.size or y.dtype.kind not in "biuU":
        return None
    classes = np.unique(y)
    if y.dtype.kind == "U":
        classes = np.array(classes.tolist())  # no wider than the longest
    binarizer = LabelBinarizer()
    binarizer.classes_, binarizer.sparse_input_ = classes, False
    binarizer.y_type_ = "binary" if len(classes) <= 2 else "multiclass"
    return binarizer


def as_one(y: NDArray[Any]) -> NDArray[Any]:
    """Return y, of one column as a vector, as scikit-learn takes it."""
    if y.ndim == 2 and y.shape[1] == 1:
        return column_or_1d(y, warn=True)  # type: ignore[no-any-return]
    return y

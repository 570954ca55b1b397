"""Any transformer of scikit-learn, applied to time steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skrnn._doc_link import DocLinkMixin
from skrnn._fitting import all_or_nothing
from skrnn._sequences import as_list, check_features, feature_names_of, is_nested_table, read_table, refuse_masked
from skrnn.preprocessing._output import SetOutputMixin
from skrnn.preprocessing._steps import GridSteps, ListSteps, Steps, TableSteps

Array = NDArray[Any]


def _inner_has(method: str) -> Callable[[Any], bool]:
    """Whether the transformer has ``method``; if not, Stepwise has not either, and the error is the transformer's."""

    def check(stepwise: Stepwise) -> bool:
        inner = stepwise._inner if method == "partial_fit" else getattr(stepwise, "transformer_", stepwise._inner)
        getattr(inner, method)
        return True

    return check


class Stepwise(SetOutputMixin, TransformerMixin, DocLinkMixin, BaseEstimator):
    """Apply a scikit-learn transformer to every time step of sequences.

    The transformer sees one table whose rows are the time steps of all sequences, without padding: a scaler learns one
    mean per feature over all of them, an encoder one set of categories.

    Parameters
    ----------
    transformer : transformer, default=None
        Of tables (n_steps, n_features): a scaler, encoder, imputer, decomposition, ``ColumnTransformer`` or pipeline of
        such. It is cloned. None stands for ``StandardScaler()``.

    Attributes
    ----------
    transformer_ : transformer
        The fitted clone.
    n_features_in_ : int
        Features of a time step; the number of time steps if fitted on a 2-D table.
    feature_names_in_ : array of str
        Names of the columns, if fitted on data frames.
    n_features_out_ : int
        Features of a time step as the transformer returns it.

    See Also
    --------
    pad_sequences : Sequences of different lengths as one array.

    Notes
    -----
    ``X`` has the forms that the estimators take, and comes back in the same form:

    - array (n, T, F): array (n, T, n_features_out_). Steps at its end that are NaN altogether are padding: the
      transformer does not see them, and they stay NaN. (Where it returns integers, the result is then of floats.)
    - list of arrays (T_i, F) or (T_i,): list of arrays.
    - list of data frames: list of arrays. The transformer sees a data frame, so it may pick columns by name. This form
      needs narwhals.
    - array or data frame (n, T): n univariate series, so the transformer sees *one* feature, whose values are those of
      all columns. Returns (n, T). A list of lists of numbers, all of one length, is such a table too.

    Sequences without an axis of features stay so if the transformer returns one feature, and get one otherwise.

    Values are not checked here: strings, missing values and infinities are for the transformer to take or to refuse.
    Its sparse matrices and data frames become arrays. ``set_output`` leaves sequences alone, which are no tables: it is
    there for the pipeline, which hands it to all steps. A table (n, T) that stays one does become a data frame.

    ``y`` and metadata (``sample_weight``) have one entry per sequence, which all its steps get, or are a list of arrays
    with one entry per step; ``sample_weight`` may be an array (n, T) as well. A ``y`` that fits neither way, such as
    sequences of other lengths to be learned, is not shown to the transformer. Transformers that cross-fit
    (``TargetEncoder``) split steps, not sequences.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.preprocessing import Stepwise
    >>> from sklearn.preprocessing import MinMaxScaler
    >>> X = [np.array([[0.0, 5.0], [2.0, 6.0]]), np.array([[4.0, 7.0]])]
    >>> Stepwise(MinMaxScaler()).fit_transform(X)
    [array([[0. , 0. ],
           [0.5, 0.5]]), array([[1., 1.]])]
    """

    _fitted_on_table: bool

    def __init__(self, transformer: Any = None) -> None:
        self.transformer = transformer

    @property
    def _inner(self) -> Any:
        """What the next fit would clone."""
        return StandardScaler() if self.transformer is None else self.transformer

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        if hasattr(self._inner, "__sklearn_tags__"):
            inner = get_tags(self._inner)
            for name in ("allow_nan", "categorical", "string", "positive_only"):
                setattr(tags.input_tags, name, getattr(inner.input_tags, name))
            tags.target_tags.required = inner.target_tags.required
            tags.non_deterministic = inner.non_deterministic
            if inner.transformer_tags is not None:
                tags.transformer_tags.preserves_dtype = inner.transformer_tags.preserves_dtype
        return tags

    def get_metadata_routing(self) -> MetadataRouter:
        """Say where metadata goes: to the methods of the transformer of the same names.

        Returns
        -------
        routing : sklearn.utils.metadata_routing.MetadataRouter
        """
        mapping = MethodMapping()
        for method in ("fit", "fit_transform", "partial_fit"):
            if hasattr(self._inner, method):
                mapping.add(caller=method, callee=method)
        return MetadataRouter(owner=type(self).__name__).add(transformer=self._inner, method_mapping=mapping)

    def fit(self, X: Any, y: Any = None, **params: Any) -> Stepwise:
        """Fit the transformer to the time steps of ``X``.

        Parameters
        ----------
        X : array-like or list
            Sequences, in any form that the notes name.
        y : array-like, default=None
            One target per sequence, or a list of arrays with one per step.
        **params : dict
            Metadata for ``fit`` of the transformer, such as ``sample_weight``.

        Returns
        -------
        self : Stepwise

        Raises
        ------
        TypeError, ValueError
            If the transformer is none, if ``X`` is in no form that the notes name, or from the transformer.
        """
        with all_or_nothing(self):
            steps, inner = self._begin_fit(X)
            inner.fit(steps.table, self._steps_of_y(y, steps), **self._params_for("fit", params, steps))
            self.transformer_ = inner
            self.n_features_out_ = _as_array(inner.transform(steps.table[:1]), 1).shape[1]
        return self

    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit the transformer to the time steps of ``X`` and return them transformed.

        Parameters
        ----------
        X : array-like or list
            Sequences, in any form that the notes name.
        y : array-like, default=None
            One target per sequence, or a list of arrays with one per step.
        **params : dict
            Metadata for ``fit_transform`` of the transformer, such as ``sample_weight``.

        Returns
        -------
        X_new : array, list of arrays or data frame
            In the form of ``X``. As ``set_output`` says a table (n, T) may be a data frame.

        Raises
        ------
        TypeError, ValueError
            As by :meth:`fit`, or if the transformer returns no row for each time step.
        """
        with all_or_nothing(self):
            if not hasattr(self._inner, "fit_transform"):
                return self.fit(X, y, **params).transform(X)
            steps, inner = self._begin_fit(X)
            out = inner.fit_transform(
                steps.table, self._steps_of_y(y, steps), **self._params_for("fit_transform", params, steps)
            )
            values = _as_array(out, len(steps.table))
            self.transformer_ = inner
            self.n_features_out_ = values.shape[1]
            return self._contain(steps.restore(values), X)

    @available_if(_inner_has("partial_fit"))
    def partial_fit(self, X: Any, y: Any = None, **params: Any) -> Stepwise:
        """Fit the transformer further, to the time steps of more sequences.

        Parameters
        ----------
        X : array-like or list
            Sequences, in any form that the notes name.
        y : array-like, default=None
            One target per sequence, or a list of arrays with one per step.
        **params : dict
            Metadata for ``partial_fit`` of the transformer, such as ``sample_weight``.

        Returns
        -------
        self : Stepwise

        Raises
        ------
        TypeError, ValueError
            As by :meth:`fit`, or if the time steps have other features than those seen before.
        """
        with all_or_nothing(self):
            if hasattr(self, "transformer_"):
                # of a copy, since a transformer that fails may have changed by then
                steps, inner = self._read(X, reset=False), copy.deepcopy(self.transformer_)
            else:
                steps, inner = self._begin_fit(X)
            inner.partial_fit(steps.table, self._steps_of_y(y, steps), **self._params_for("partial_fit", params, steps))
            self.transformer_ = inner
            self.n_features_out_ = _as_array(inner.transform(steps.table[:1]), 1).shape[1]
        return self

    def transform(self, X: Any) -> Any:
        """Transform every time step.

        Parameters
        ----------
        X : array-like or list
            Sequences, in any form that the notes name.

        Returns
        -------
        X_new : array, list of arrays or data frame
            In the form of ``X``. As ``set_output`` says a table (n, T) may be a data frame.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If ``X`` is in no form that the notes name, if its time steps have other features than those in ``fit``, or
            from the transformer.
        """
        check_is_fitted(self)
        steps = self._read(X, reset=False)
        values = _as_array(self.transformer_.transform(steps.table), len(steps.table))
        return self._contain(steps.restore(values), X)

    @available_if(_inner_has("inverse_transform"))
    def inverse_transform(self, X: Any) -> Any:
        """Undo ``transform``, as far as the transformer can.

        Parameters
        ----------
        X : array or list of arrays
            Sequences with ``n_features_out_`` features, in any form.

        Returns
        -------
        X_original : array or list of arrays
            In the form of ``X``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If ``X`` is in no form that the notes name, if its time steps have not ``n_features_out_`` features, or from
            the transformer.
        """
        check_is_fitted(self)
        X = as_list(X)
        if not isinstance(X, list):
            X = np.asarray(X)
            if X.ndim == 2:
                X = TableSteps(X)
        steps = X if isinstance(X, TableSteps) else _read_sequences(X, type(self).__name__)
        if steps.table.shape[1] != self.n_features_out_:
            raise ValueError(
                f"X has {steps.table.shape[1]} features, but {type(self).__name__} returns {self.n_features_out_} "
                "features, and undoes those alone."
            )
        return steps.restore(_as_array(self.transformer_.inverse_transform(steps.table), len(steps.table)))

    @available_if(_inner_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return the names of what is along the last axis of the output.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the features that go in; by default ``feature_names_in_``, or x0, x1...

        Returns
        -------
        names : array of str
            The transformer's names of its features. Fitted on a table (n, T) and returning such, the names of its
            columns.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If ``input_features`` are not the names in ``feature_names_in_``, or not as many as there are features.
        """
        check_is_fitted(self)
        if not self._fitted_on_table:
            return np.asarray(self.transformer_.get_feature_names_out(input_features), dtype=object)
        columns = OneToOneFeatureMixin.get_feature_names_out(self, input_features)
        if self.n_features_out_ > 1:  # the columns are time steps, and their number is no feature
            columns = self.transformer_.get_feature_names_out()
        return np.asarray(columns, dtype=object)

    def _contain(self, out: Any, X: Any) -> Any:
        """Put a table (n, T) into the container that was set, with the columns and the index of ``X``."""
        container = self._container()
        if container == "default" or isinstance(out, list) or out.ndim != 2:
            return out
        names = OneToOneFeatureMixin.get_feature_names_out(self)
        wrap = FunctionTransformer(lambda _: out, feature_names_out=lambda *_: names)
        return wrap.set_output(transform=container).fit_transform(X)

    def _begin_fit(self, X: Any) -> tuple[Steps, Any]:
        """Return the steps of ``X`` and a transformer to fit."""
        inner = self._inner
        if isinstance(inner, type) or not all(hasattr(inner, method) for method in ("fit", "transform")):
            raise TypeError(
                "The 'transformer' parameter of Stepwise must be None or an instance with the methods fit and "
                f"transform. Got {inner!r} instead."
            )
        return self._read(X, reset=True), clone(inner)

    def _read(self, X: Any, *, reset: bool) -> Steps:
        """Read ``X``; set or compare the number and names of features."""
        name = type(self).__name__
        X = as_list(X)
        refuse_masked(X, "X")
        if is_nested_table(X) and (reset or (self._fitted_on_table and len(X[0]) == self.n_features_in_)):
            X = np.asarray(X)
        if not isinstance(X, list) and not hasattr(X, "shape"):
            X = np.asarray(X)  # what can be turned into an array
        if not isinstance(X, list) and len(getattr(X, "shape", ())) < 3:
            return TableSteps(read_table(self, X, None, reset=reset))
        steps = _read_sequences(X, name)
        if reset or not self._fitted_on_table:
            check_features(self, steps.table.shape[1], feature_names_of(steps.table), reset=reset)
        elif steps.table.shape[1] != 1:  # the columns of the table were time steps of univariate series
            raise ValueError(f"X has {steps.table.shape[1]} features, but {name} is expecting 1 features as input.")
        if reset:
            self._fitted_on_table = False
        return steps

    def _steps_of_y(self, y: Any, steps: Steps) -> Any:
        return None if y is None else steps.spread(y, "y")

    def _params_for(self, method: str, params: dict[str, Any], steps: Steps) -> dict[str, Any]:
        """Return the metadata that ``method`` of the transformer gets, one entry per step."""
        if params and get_config()["enable_metadata_routing"]:
            params = process_routing(self, method, **params).transformer[method]
        spread = {}
        for name, value in params.items():
            is_weight = name == "sample_weight" and value is not None
            if is_weight or (
                isinstance(value, Sized) and not isinstance(value, (str, bytes, dict)) and len(value) == len(steps)
            ):
                spread[name] = steps.spread(value, name, by_step=True)
                if spread[name] is None:
                    raise ValueError(
                        f"{name} must have one entry per sequence, or be a list of arrays with one entry per time "
                        f"step: expected lengths {_shorten(steps.lengths)}, got {_shorten([len(v) for v in value])}."
                    )
            else:
                spread[name] = value
        return spread


def _read_sequences(X: Any, owner: str) -> Steps:
    """Read an array (n, T, F) or a list of sequences."""
    return ListSteps(X, "X", owner) if isinstance(X, list) else GridSteps(np.asarray(X), "X", owner)


def _as_array(out: Any, n_steps: int) -> Array:
    """Return what a transformer returned as an array (n_steps, n_outputs)."""
    if hasattr(out, "toarray"):  # a sparse matrix: networks read dense ones
        out = out.toarray()
    values = np.asarray(out)
    if values.ndim != 2 or len(values) != n_steps:
        raise ValueError(
            f"The transformer must return one row for each time step: expected shape ({n_steps}, n_outputs), got "
            f"{values.shape}."
        )
    return values


def _shorten(lengths: Any) -> str:
    shown = ", ".join(str(int(length)) for length in lengths[:5])
    return f"({shown}{', ...' if len(lengths) > 5 else ''})"

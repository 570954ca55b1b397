"""scikit-learn's protocol for callbacks, where the installed scikit-learn has none yet: the same four methods.

From version 1.9 on ``sklearn.callback`` gives the mixin, the decorator and the contexts, and what is
here is not used. Before, the part of them that an estimator without sub-estimators needs.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["CallbackSupportMixin", "is_callback", "run_with_callbacks", "with_callbacks"]

_HOOKS = ("setup", "on_fit_task_begin", "on_fit_task_end", "teardown")


def is_callback(value: Any) -> bool:
    """Whether ``value`` has the four methods, and is no class."""
    return not isinstance(value, type) and all(callable(getattr(value, hook, None)) for hook in _HOOKS)


class Context:
    """A task of a fit: the fit as a whole, or one of its epochs."""

    def __init__(
        self,
        callbacks: list[Any],
        estimator_name: str,
        task_name: str,
        max_subtasks: int | None,
        parent: Context | None,
    ) -> None:
        self._callbacks = callbacks
        self._n_subtasks = 0
        self.estimator_name = estimator_name
        self.task_name = task_name
        self.max_subtasks = max_subtasks
        self.parent = parent
        self.task_id = 0
        self.source_estimator_name = None
        self.source_task_name = None

    def subcontext(self, task_name: str = "", max_subtasks: int | None = 0) -> Context:
        """Return the context of the next subtask."""
        made = Context(self._callbacks, self.estimator_name, task_name, max_subtasks, self)
        made.task_id = self._n_subtasks
        self._n_subtasks += 1
        return made

    def call_on_fit_task_begin(self, *, estimator: Any, **options: Any) -> Context:
        """Call the hook of all callbacks, each with what it asks for by name."""
        self._call("on_fit_task_begin", estimator, options)
        return self

    def call_on_fit_task_end(self, *, estimator: Any, **options: Any) -> bool:
        """Call the hook of all callbacks; return whether one of them wants to stop."""
        return self._call("on_fit_task_end", estimator, options)

    def _call(self, hook: str, estimator: Any, options: dict[str, Any]) -> bool:
        stop = False
        known: dict[str, Any] = {}  # what one callback has asked for is not made again for the next
        for callback in self._callbacks:
            method = getattr(callback, hook)
            parameters = inspect.signature(method).parameters.values()
            names = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
            unknown = names - {"X", "y", "metadata", "fitted_estimator"}
            if unknown:
                raise TypeError(
                    f"Hook {hook} of the callback {type(callback).__name__} has unknown parameters: {unknown}"
                )
            for name in names - known.keys():
                if name == "fitted_estimator":
                    known[name] = _fitted_copy(estimator, options.get("reconstruction_attributes"))
                else:
                    known[name] = _evaluate(options.get(name))
            stop |= bool(method(estimator, self, **{name: known[name] for name in names}))
        return stop


def _evaluate(option: Any) -> Any:
    return option() if callable(option) else option


def _fitted_copy(estimator: Any, attributes: Any) -> Any:
    attributes = _evaluate(attributes)
    if attributes is None:
        return None
    copied = copy.copy(estimator)
    for name, value in attributes.items():
        setattr(copied, name, value)
    return copied


class _CallbackSupportMixin:
    """Gives an estimator ``set_callbacks``."""

    def set_callbacks(self, *callbacks: Any) -> Any:
        """Set callbacks for later fits, instead of those set before.

        Parameters
        ----------
        *callbacks : callback
            Objects with the methods ``setup``, ``on_fit_task_begin``, ``on_fit_task_end`` and
            ``teardown``.

        Returns
        -------
        self
        """
        if not all(map(is_callback, callbacks)):
            raise TypeError(f"callbacks must be instances with the methods {', '.join(_HOOKS)}.")
        if callbacks:
            self._skl_callbacks = list(callbacks)
        else:
            self.__dict__.pop("_skl_callbacks", None)
        return self

    def _init_callback_context(self, task_name: str = "fit", max_subtasks: int | None = 0) -> Context:
        callbacks = list(getattr(self, "_skl_callbacks", []))
        context = Context(callbacks, type(self).__name__, task_name, max_subtasks, None)
        self._callback_fit_ctx = context
        self._skl_callbacks_to_teardown: list[Any] = []
        for callback in callbacks:
            self._skl_callbacks_to_teardown.append(callback)
            callback.setup(estimator=self, context=context)
        return context


def _with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
    """Call ``teardown`` of all callbacks that were set up, however the method ends."""

    @functools.wraps(method)
    def managed(estimator: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(estimator, *args, **kwargs)
        finally:
            context = estimator.__dict__.pop("_callback_fit_ctx", None)
            errors = []
            for callback in estimator.__dict__.pop("_skl_callbacks_to_teardown", ()):
                try:
                    callback.teardown(estimator=estimator, context=context)
                except Exception as error:
                    errors.append(error)
            if len(errors) == 1:
                raise errors[0]
            if errors:
                raise ExceptionGroup("The teardown of several callbacks failed", errors)

    return managed


try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:
    CallbackSupportMixin, with_callbacks = _CallbackSupportMixin, _with_callbacks


@contextmanager
def _also(estimator: Any, callbacks: Iterable[Any]) -> Iterator[None]:
    """Let an estimator have these callbacks, too."""
    before = estimator.__dict__.get("_skl_callbacks")
    # A copy that a callback has made of the estimator in training has them already.
    known = list(before or ())
    estimator._skl_callbacks = known + [one for one in callbacks if not any(one is other for other in known)]
    try:
        yield
    finally:
        if before is None:
            estimator.__dict__.pop("_skl_callbacks", None)
        else:
            estimator._skl_callbacks = before


def run_with_callbacks(estimator: Any, max_subtasks: int, body: Callable[[Any], Any]) -> Any:
    """Call ``body(context)`` with the root context of a fit; ``context`` is None where nobody listens."""
    given = estimator.callbacks or ()
    if not given and "_skl_callbacks" not in estimator.__dict__ and not hasattr(estimator, "_parent_callback_ctx"):
        return body(None)

    def run(estimator: Any) -> Any:
        return body(estimator._init_callback_context(max_subtasks=max_subtasks))

    with _also(estimator, given):
        return with_callbacks(run)(estimator)

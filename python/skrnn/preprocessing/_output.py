"""What transformers whose output is sequences make of ``set_output``."""

from __future__ import annotations

from typing import Any, Self

from sklearn import get_config

_CONTAINERS = ("default", "pandas", "polars")


class SetOutputMixin:
    """``set_output`` for transformers that scikit-learn's own does not fit: it would wrap sequences, too.

    A pipeline asks all of its steps for the container that the last one is to return, so none may be without it.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**{"auto_wrap_output_keys": None, **options})

    def set_output(self, *, transform: str | None = None) -> Self:
        """Set the container of what comes out, which sequences do not heed.

        Lists and arrays of sequences are no tables and stay what they are, so that a pipeline can be told what its
        last step returns. Only a table (n, T) that is transformed into another becomes a data frame.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            The container of tables. None changes nothing.

        Returns
        -------
        self : transformer

        Raises
        ------
        ValueError
            If ``transform`` is none such.
        """
        if transform is None:
            return self
        if transform not in _CONTAINERS:
            raise ValueError(f"transform must be None or one of {_CONTAINERS}, got {transform!r}.")
        self._sklearn_output_config = {"transform": transform}  # the name that clone copies
        return self

    def _container(self) -> str:
        """Return what was set, here or by ``sklearn.set_config``."""
        config: dict[str, str] = getattr(self, "_sklearn_output_config", {})
        return config.get("transform") or str(get_config()["transform_output"])

"""Problems made up to test recurrent networks, each from the paper that posed it.

Like the generators of scikit-learn: ``(X, y)``, and the same ``random_state`` gives the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrnn._random import generator
from skrnn.nn._checks import check_bool, check_choice, check_size, is_number

Array = NDArray[Any]
RandomState = int | np.random.RandomState | np.random.Generator | None

__all__ = ["make_adding_problem", "make_copy_memory", "make_sine"]


def make_adding_problem(
    n_samples: int = 100, n_timesteps: int = 100, *, random_state: RandomState = None
) -> tuple[Array, Array]:
    """Make sequences of random numbers, two of which are marked and are to be added.

    At each step the first feature is a number drawn from [0, 1), the second a mark: 1 at one step
    of the first half of the sequence and at one of the second half, 0 elsewhere. The target is the
    sum of the two marked numbers. Who predicts the mean, 1, has a mean squared error of 1/6, the
    variance of that sum; to do better the network must carry the first number to the end, past
    all that is not marked.

    Parameters
    ----------
    n_samples : int, default=100
        Sequences.
    n_timesteps : int, default=100
        Steps of each, at least 2. The first half has ``n_timesteps // 2`` of them.
    random_state : int, RandomState, Generator or None, default=None
        Decides the numbers and the marks; None draws from NumPy's global state.

    Returns
    -------
    X : ndarray of float64 of shape (n_samples, n_timesteps, 2)
        Numbers and marks.
    y : ndarray of float64 of shape (n_samples,)
        The sums, in [0, 2).

    Raises
    ------
    TypeError, ValueError
        If an argument is not as documented.

    References
    ----------
    The problem is that of Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation
    9(8), 1997, experiment 4, in the form of Le, Jaitly and Hinton, "A simple way to initialize
    recurrent networks of rectified linear units", arXiv:1504.00941, 2015.

    Examples
    --------
    >>> from skrnn.datasets import make_adding_problem
    >>> X, y = make_adding_problem(n_samples=5, n_timesteps=20, random_state=0)
    >>> X.shape
    (5, 20, 2)
    >>> bool(((X[:, :, 0] * X[:, :, 1]).sum(axis=1) == y).all())
    True
    """
    n_samples = check_size("n_samples", n_samples)
    n_timesteps = check_size("n_timesteps", n_timesteps, low=2)
    rng = generator(random_state)
    half = n_timesteps // 2
    rows = np.arange(n_samples)
    X = np.zeros((n_samples, n_timesteps, 2))
    X[:, :, 0] = rng.random((n_samples, n_timesteps))
    first, second = rng.integers(half, size=n_samples), rng.integers(half, n_timesteps, size=n_samples)
    X[rows, first, 1] = 1.0
    X[rows, second, 1] = 1.0
    return X, X[rows, first, 0] + X[rows, second, 0]


def make_copy_memory(
    n_samples: int = 100,
    delay: int = 50,
    *,
    n_symbols: int = 8,
    n_recall: int = 10,
    target: str = "steps",
    one_hot: bool = True,
    random_state: RandomState = None,
) -> tuple[Array, Array]:
    """Make sequences of symbols that are to be repeated after a delay.

    A sequence begins with ``n_recall`` symbols, drawn from ``0`` to ``n_symbols - 1``. Blanks
    follow (the symbol ``n_symbols``), then one delimiter (``n_symbols + 1``), which asks for the
    symbols: the i-th of them stands ``n_recall + delay`` steps before the place of its answer.

    Parameters
    ----------
    n_samples : int, default=100
        Sequences.
    delay : int, default=50
        Steps from the last of the symbols to the delimiter, so ``delay - 1`` blanks; at least 1.
    n_symbols : int, default=8
        Symbols to draw from, at least 2.
    n_recall : int, default=10
        Symbols to remember.
    target : {"steps", "first", "all"}, default="steps"
        What ``y`` is, and how long a sequence is.

        - "steps": a label for each step, for models that answer at each. After the delimiter come
          ``n_recall`` more blanks, at which the symbols are to be given, one each; before it, the
          right answer is the blank. Who remembers nothing reaches a cross-entropy of ``n_recall *
          log(n_symbols) / (2 * n_recall + delay)``.
        - "first": one label for each sequence, for classifiers: the symbol shown first. The
          sequence ends at the delimiter. With ``n_recall=1``, which symbol was shown ``delay``
          steps ago; otherwise it has to be kept apart from those that follow it.
        - "all": all symbols in their order as an indicator matrix, for multilabel classifiers and
          for regressors of several outputs: ``y.reshape(-1, n_recall, n_symbols).argmax(axis=2)``
          are the symbols, and the same of predicted scores is the answer. The sequence ends at
          the delimiter.
    one_hot : bool, default=True
        Whether steps are one-hot vectors, or else integers, for models that embed them.
    random_state : int, RandomState, Generator or None, default=None
        Decides the symbols; None draws from NumPy's global state.

    Returns
    -------
    X : ndarray of float64 of shape (n_samples, T, n_symbols + 2), or of int64 of shape (n_samples, T)
        The sequences; the latter without ``one_hot``. T is ``2 * n_recall + delay`` with
        ``target="steps"``, else ``n_recall + delay``.
    y : ndarray of int64
        Of shape (n_samples, T) with ``target="steps"``, (n_samples,) with "first", and
        (n_samples, n_recall * n_symbols) with "all".

    Raises
    ------
    TypeError, ValueError
        If an argument is not as documented.

    References
    ----------
    The problem goes back to Hochreiter and Schmidhuber, "Long short-term memory", Neural
    Computation 9(8), 1997; ``target="steps"`` is it as Arjovsky, Shah and Bengio pose it, "Unitary
    evolution recurrent neural networks", ICML 2016, whose T is ``delay`` here.

    Examples
    --------
    >>> from skrnn.datasets import make_copy_memory
    >>> make_copy_memory(1, delay=4, n_recall=3, one_hot=False, random_state=1)
    (array([[3, 4, 6, 8, 8, 8, 9, 8, 8, 8]]), array([[8, 8, 8, 8, 8, 8, 8, 3, 4, 6]]))
    >>> make_copy_memory(1, delay=4, n_recall=3, one_hot=False, target="first", random_state=1)
    (array([[3, 4, 6, 8, 8, 8, 9]]), array([3]))
    """
    n_samples, delay = check_size("n_samples", n_samples), check_size("delay", delay)
    n_symbols, n_recall = check_size("n_symbols", n_symbols, low=2), check_size("n_recall", n_recall)
    check_choice("target", target, ("steps", "first", "all"))
    one_hot = check_bool("one_hot", one_hot)
    blank, delimiter = n_symbols, n_symbols + 1
    symbols = generator(random_state).integers(n_symbols, size=(n_samples, n_recall))

    n_answers = n_recall if target == "steps" else 0
    tokens = np.full((n_samples, n_recall + delay + n_answers), blank, dtype=np.int64)
    tokens[:, :n_recall] = symbols
    tokens[:, n_recall + delay - 1] = delimiter
    if target == "steps":
        y = np.full_like(tokens, blank)
        y[:, n_recall + delay :] = symbols
    elif target == "first":
        y = symbols[:, 0].copy()
    else:
        y = np.eye(n_symbols, dtype=np.int64)[symbols].reshape(n_samples, -1)
    return (np.eye(n_symbols + 2)[tokens] if one_hot else tokens), y


def make_sine(
    n_samples: int = 100,
    n_timesteps: int = 10,
    *,
    horizon: int = 1,
    period: float = 25.0,
    noise: float = 0.1,
    independent: bool = False,
    random_state: RandomState = None,
) -> tuple[Array, Array]:
    """Make windows of a noisy sine wave, and what follows each of them.

    The value at time t is ``sin(2 pi t / period)`` plus normal noise, both in the windows and in
    what follows: no prediction of it can have a root mean squared error much below ``noise``.

    Parameters
    ----------
    n_samples : int, default=100
        Windows.
    n_timesteps : int, default=10
        Steps of each window.
    horizon : int, default=1
        Steps to predict after each window.
    period : float, default=25.0
        Steps of one wave.
    noise : float, default=0.1
        Standard deviation of the noise; 0 for none.
    independent : bool, default=False
        Whether each window is a series of its own, with noise of its own and a phase at random.
        Otherwise they are cut, one step after the other, from one series of ``n_samples +
        n_timesteps + horizon - 1`` steps. Those overlap: split them in the order of time.
    random_state : int, RandomState, Generator or None, default=None
        Decides noise and phases; None draws from NumPy's global state.

    Returns
    -------
    X : ndarray of float64 of shape (n_samples, n_timesteps, 1)
        The windows.
    y : ndarray of float64 of shape (n_samples,), or (n_samples, horizon) where that is above 1
        What follows.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as documented.

    Examples
    --------
    >>> from skrnn.datasets import make_sine
    >>> X, y = make_sine(n_samples=50, n_timesteps=10, random_state=0)
    >>> X.shape, y.shape
    ((50, 10, 1), (50,))
    >>> bool((X[1:, -1, 0] == y[:-1]).all())  # what follows one window ends the next
    True
    """
    n_samples, n_timesteps = check_size("n_samples", n_samples), check_size("n_timesteps", n_timesteps)
    horizon = check_size("horizon", horizon)
    period, noise = _check_number("period", period), _check_number("noise", noise)
    if period == 0.0:
        raise ValueError("period must be greater than zero, got 0.0")
    independent = check_bool("independent", independent)
    rng = generator(random_state)
    n_steps = n_timesteps + horizon
    if independent:
        time = np.arange(n_steps) + period * rng.random((n_samples, 1))
    else:
        time = np.arange(float(n_samples + n_steps - 1))[np.newaxis]
    series = np.sin(2 * np.pi / period * time)
    series += noise * rng.standard_normal(series.shape)
    windows = series if independent else np.lib.stride_tricks.sliding_window_view(series[0], n_steps)
    X, y = windows[:, :n_timesteps, np.newaxis].copy(), windows[:, n_timesteps:].copy()
    return X, y[:, 0] if horizon == 1 else y


def _check_number(name: str, value: Any) -> float:
    """Return ``value`` as a ``float`` when it is a finite number from zero on."""
    if not is_number(value):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    if not 0.0 <= value < np.inf:
        raise ValueError(f"{name} must be in the range [0, inf), got {value}")
    return float(value)

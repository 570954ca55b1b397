"""Solvers: how a gradient moves the weights.

Each step is one call of the core, which clips the gradient of all layers together by its norm and
updates the flat vector of parameters in the same pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from skrnn import _core
from skrnn.nn._checks import check_exact, check_size
from skrnn.nn.parameters import Parameters, aligned_zeros, check_parameters


class Solver:
    """What all solvers share.

    Parameters
    ----------
    parameters : Parameters
        The weights to move, in place: ``layer.parameters``, or ``Parameters.join`` of several layers.
    learning_rate : float
        The size of steps; may be changed between them.
    decay : float, default=0.0
        Weight decay of the matrices; biases do not decay. Added to the gradient as
        ``decay * weight`` after clipping (an L2 penalty), except by :class:`AdamW`.
    max_grad_norm : float, default=inf
        A gradient whose Euclidean norm is larger is scaled down to it (Pascanu, Mikolov and
        Bengio, "On the difficulty of training recurrent neural networks", 2013).
    options : float
        What the solver itself needs, by the names of ``_core.solver_step``.

    Attributes
    ----------
    parameters : Parameters
        The weights it moves.
    n_steps : int
        Steps taken.
    """

    name: ClassVar[str]
    slot_names: ClassVar[tuple[str, ...]]
    """What it remembers of every parameter."""

    def __init__(
        self,
        parameters: Parameters,
        learning_rate: float,
        decay: float,
        max_grad_norm: float,
        **options: float,
    ) -> None:
        values = check_parameters("parameters", parameters).values
        self.n_steps = 0
        self.parameters = parameters
        self._slots = [aligned_zeros(values.size, values.dtype) for _ in self.slot_names]
        self._options = {
            "learning_rate": learning_rate,
            "decay": decay,
            "decay_size": parameters.decay_size,
            "max_grad_norm": max_grad_norm,
            **options,
        }

    @property
    def learning_rate(self) -> float:
        """The size of steps."""
        return self._options["learning_rate"]

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._options["learning_rate"] = value

    def step(self, gradients: Parameters) -> float:
        """Move the parameters once.

        Parameters
        ----------
        gradients : Parameters
            Of the same names, shapes and dtype as the parameters: ``tape.backward(...).parameters``.

        Returns
        -------
        float
            The norm of the gradient before clipping. When it is not finite, nothing has moved and
            the step does not count.

        Raises
        ------
        TypeError, ValueError
            If the gradients are anything else, or of other weights.
        RuntimeError
            If the layer was joined with others after the solver was made.
        """
        if self.parameters.abandoned:
            raise RuntimeError(
                "the layer was joined with others after this solver was made: make one for the joint parameters"
            )
        self.parameters.check_like("gradients", gradients)
        self._options["step"] = self.n_steps + 1
        norm = _core.solver_step(self.name, self.parameters.values, gradients.values, self._slots, self._options)
        if math.isfinite(norm):
            self.n_steps += 1
        return norm

    def state(self) -> dict[str, Any]:
        """Return what the solver remembers of its steps; its settings are not part of it.

        Returns
        -------
        dict
            ``n_steps``, an int, and copies of the flat arrays by the names in ``slot_names``;
            :class:`NAdam` adds ``mu_product``, a float.
        """
        slots = {name: slot.copy() for name, slot in zip(self.slot_names, self._slots, strict=True)}
        return {"n_steps": self.n_steps, **slots}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on where another solver of the same kind has left off: with the same bits.

        Parameters
        ----------
        state : mapping
            What :meth:`state` has returned. The weights and the settings, such as the learning
            rate, are the caller's to restore.

        Raises
        ------
        TypeError, ValueError
            If a name is missing or unknown, or an array has another dtype or size than the
            parameters; nothing is changed then.
        """
        names = self.state().keys()
        if state.keys() != names:
            raise ValueError(f"state must have these names: {sorted(names)}, got {sorted(state)}")
        n_steps = check_size("state['n_steps']", state["n_steps"], low=0)
        values = self.parameters.values
        slots = [check_exact(f"state[{name!r}]", state[name], values.dtype, values.shape) for name in self.slot_names]
        self.n_steps = n_steps
        for slot, array in zip(self._slots, slots, strict=True):
            slot[:] = array


class SGD(Solver):
    """Stochastic gradient descent with momentum, by default Nesterov's.

    ``v <- momentum * v + g``; the weights move by ``-learning_rate * v``, or by
    ``-learning_rate * (momentum * v + g)`` with Nesterov's momentum (Sutskever et al., "On the
    importance of initialization and momentum in deep learning", 2013).

    Parameters
    ----------
    parameters, learning_rate, decay, max_grad_norm
        As for :class:`Solver`.
    momentum : float, default=0.9
        How much of the last step is kept.
    nesterov : bool, default=True
        Whether to look ahead along the momentum.
    """

    name = "sgd"
    slot_names = ("velocity",)

    def __init__(
        self,
        parameters: Parameters,
        learning_rate: float = 1e-2,
        *,
        momentum: float = 0.9,
        nesterov: bool = True,
        decay: float = 0.0,
        max_grad_norm: float = math.inf,
    ) -> None:
        super().__init__(
            parameters,
            learning_rate,
            decay,
            max_grad_norm,
            momentum=momentum,
            nesterov=float(nesterov),
        )


class Adam(Solver):
    """Steps scaled by running moments of the gradient.

    Kingma and Ba, "Adam: a method for stochastic optimization", 2015.

    Parameters
    ----------
    parameters, learning_rate, decay, max_grad_norm
        As for :class:`Solver`.
    beta_1, beta_2 : float, default=0.9 and 0.999
        How slowly the running mean of the gradient and of its square forget.
    epsilon : float, default=1e-8
        Added to the root of the mean square.
    """

    name = "adam"
    slot_names = ("first_moment", "second_moment")

    def __init__(
        self,
        parameters: Parameters,
        learning_rate: float = 1e-3,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        decay: float = 0.0,
        max_grad_norm: float = math.inf,
    ) -> None:
        super().__init__(
            parameters,
            learning_rate,
            decay,
            max_grad_norm,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
        )


class AdamW(Adam):
    """Adam whose weight decay is kept apart from the gradient.

    Each step first takes ``learning_rate * decay * weight`` from the matrices (Loshchilov and
    Hutter, "Decoupled weight decay regularization", 2019). Parameters as for :class:`Adam`.
    """

    name = "adamw"


class NAdam(Solver):
    """Adam with Nesterov's momentum, which grows to ``beta_1`` from half of it.

    Dozat, "Incorporating Nesterov momentum into Adam", 2016, in the form of ``torch.optim.NAdam``:
    step t has the momentum ``mu(t) = beta_1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))``.

    Parameters
    ----------
    parameters, learning_rate, decay, max_grad_norm
        As for :class:`Solver`.
    beta_1, beta_2 : float, default=0.9 and 0.999
        How slowly the running mean of the gradient and of its square forget.
    epsilon : float, default=1e-8
        Added to the root of the mean square.
    momentum_decay : float, default=4e-3
        How fast the momentum grows.
    """

    name = "nadam"
    slot_names = ("first_moment", "second_moment")

    def __init__(
        self,
        parameters: Parameters,
        learning_rate: float = 2e-3,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        momentum_decay: float = 4e-3,
        decay: float = 0.0,
        max_grad_norm: float = math.inf,
    ) -> None:
        super().__init__(
            parameters,
            learning_rate,
            decay,
            max_grad_norm,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
        )
        self._beta_1 = beta_1
        self._momentum_decay = momentum_decay
        self._mu_product = 1.0

    def _mu(self, step: int) -> float:
        return self._beta_1 * (1.0 - 0.5 * math.pow(0.96, step * self._momentum_decay))

    def step(self, gradients: Parameters) -> float:
        """Move the parameters once.

        Parameters
        ----------
        gradients : Parameters
            As for :meth:`Solver.step`.

        Returns
        -------
        float
            As that does.

        Raises
        ------
        TypeError, ValueError, RuntimeError
            As that does.
        """
        mu, mu_next = self._mu(self.n_steps + 1), self._mu(self.n_steps + 2)
        product = self._mu_product * mu
        self._options.update(mu=mu, mu_next=mu_next, mu_product=product)
        norm = super().step(gradients)
        if math.isfinite(norm):
            self._mu_product = product
        return norm

    def state(self) -> dict[str, Any]:
        """Return what the solver remembers of its steps.

        Returns
        -------
        dict
            As of :meth:`Solver.state`, and ``mu_product``, the product of all momenta.
        """
        return {**super().state(), "mu_product": self._mu_product}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on where another solver of the same kind has left off.

        Parameters
        ----------
        state : mapping
            As for :meth:`Solver.load_state`.

        Raises
        ------
        TypeError, ValueError
            As there, and if ``mu_product`` is no float in the range [0, 1]; nothing is changed then.
        """
        product = state.get("mu_product", math.nan)  # its absence is for Solver to report
        if "mu_product" in state and not (isinstance(product, float) and 0.0 <= product <= 1.0):
            raise ValueError(f"state['mu_product'] must be a float in the range [0, 1], got {product!r}")
        super().load_state(state)
        self._mu_product = product


class RMSprop(Solver):
    """Steps scaled by the root of a running mean of the squared gradient.

    Tieleman and Hinton, "Lecture 6.5: rmsprop", Neural networks for machine learning, 2012.

    Parameters
    ----------
    parameters, learning_rate, decay, max_grad_norm
        As for :class:`Solver`.
    rho : float, default=0.9
        How slowly the running mean forgets.
    momentum : float, default=0.0
        How much of the last step is kept.
    epsilon : float, default=1e-8
        Added to the root of the mean square.
    """

    name = "rmsprop"
    slot_names = ("mean_square", "velocity")

    def __init__(
        self,
        parameters: Parameters,
        learning_rate: float = 1e-3,
        *,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-8,
        decay: float = 0.0,
        max_grad_norm: float = math.inf,
    ) -> None:
        super().__init__(
            parameters,
            learning_rate,
            decay,
            max_grad_norm,
            rho=rho,
            momentum=momentum,
            epsilon=epsilon,
        )


class Adagrad(Solver):
    """Steps scaled by the root of the sum of all squared gradients so far.

    Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", 2011.

    Parameters
    ----------
    parameters, learning_rate, decay, max_grad_norm
        As for :class:`Solver`.
    initial_accumulator_value : float, default=0.0
        What the sums begin with; not negative.
    epsilon : float, default=1e-10
        Added to the root of the sum.

    Raises
    ------
    ValueError
        If ``initial_accumulator_value`` is negative or not finite.
    """

    name = "adagrad"
    slot_names = ("sum_of_squares",)

    def __init__(
        self,
        parameters: Parameters,
        learning_rate: float = 1e-2,
        *,
        initial_accumulator_value: float = 0.0,
        epsilon: float = 1e-10,
        decay: float = 0.0,
        max_grad_norm: float = math.inf,
    ) -> None:
        if not 0.0 <= initial_accumulator_value < math.inf:
            raise ValueError(
                f"initial_accumulator_value must be at least 0 and finite, got {initial_accumulator_value}"
            )
        super().__init__(parameters, learning_rate, decay, max_grad_norm, epsilon=epsilon)
        self._slots[0].fill(initial_accumulator_value)

"""Solvers: how a gradient moves the weights.

Each step is one call of the core, which clips the gradient of all layers together by its norm and
updates the flat vector of parameters in the same pass.
"""

from __future__ import annotations

import math
from typing import ClassVar

from skrnn import _core
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
    n_slots: ClassVar[int]

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
        self._slots = [aligned_zeros(values.size, values.dtype) for _ in range(self.n_slots)]
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
    n_slots = 1

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
    n_slots = 2

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
    n_slots = 2

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

"""Why vanilla networks forget: how the gradient of a loss flows back through 150 time steps.

Left, new networks on the adding problem. The gradient of the vanilla ones vanishes, and with it all
hope to learn what the first steps have to do with the answer. Gates alone are no cure: half open,
as they are at first, they forget as fast. But they can learn to stay open, as weights cannot learn
to be orthogonal; dotted, the same networks with biases of gates as if they had.

Right, vanilla networks whose recurrent weights are larger: the gradient explodes. Clipping makes
it as small as it should be, so that training survives, but the first steps still outvote the last.

    python examples/gradient_flow.py --output gradient_flow.png
"""

from __future__ import annotations

import argparse

import numpy as np

from skrnn.datasets import make_adding_problem
from skrnn.nn import Recurrent

N_STEPS = 150
HIDDEN_SIZE = 64
MAX_GRAD_NORM = 1.0


def main() -> None:
    """Compute, print, plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="gradient_flow.png", help="where to save the plot")
    output = parser.parse_args().output
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("no plot: matplotlib is not installed (pip install matplotlib)")
        return
    from skrnn.inspection import GradientFlowDisplay

    X, _ = make_adding_problem(32, N_STEPS, random_state=0)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 6), layout="constrained")

    def show(name: str, layer: Recurrent, ax: plt.Axes, **options: object) -> None:
        display = GradientFlowDisplay.from_recurrent(layer, X, random_state=0, ax=ax, name=name, **options)
        first = display.norms[0, :, 0].mean()
        print(f"{name + ':':32} {first:8.1e} of the gradient reaches the first step", end="")
        print(f", {display.clip_factor * first:.1e} clipped" if display.clip_factor < 1 else "")

    show("RNN, tanh", new("rnn"), left, line_kw={"color": "#D55E00"})
    show("RNN, ReLU", new("rnn", "relu"), left, line_kw={"color": "#E69F00"})
    for cell, color in (("gru", "#009E73"), ("lstm", "#0072B2")):
        show(cell.upper(), new(cell), left, line_kw={"color": color})
        show(f"{cell.upper()}, gates open", open_gates(new(cell)), left, line_kw={"color": color, "linestyle": ":"})
    for scale, color in ((1.0, "#E69F00"), (1.45, "#D55E00"), (1.8, "#CC79A7")):
        larger = new("rnn", "relu")
        larger.weights["weight_hh_l0"][...] *= scale
        name = f"weights x {scale}"
        show(name, larger, right, line_kw={"color": color}, max_grad_norm=MAX_GRAD_NORM)

    left.set_title("new networks: vanishing, and what gates can do")
    right.set_title("RNN, ReLU with larger recurrent weights: exploding")
    for ax in (left, right):
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, fontsize="small")
    figure.suptitle(f"How a gradient of norm 1 at step {N_STEPS} flows back, mean of {len(X)} sequences")
    figure.savefig(output, dpi=120)
    print(f"plot saved to {output}")


def new(cell: str, activation: str = "tanh") -> Recurrent:
    """Return a new layer: orthogonal recurrent weights."""
    return Recurrent(cell, input_size=2, hidden_size=HIDDEN_SIZE, activation=activation, random_state=0)


def open_gates(layer: Recurrent) -> Recurrent:
    """Set the biases of the gates such that units remember from 1 to N_STEPS steps.

    As Tallec and Ollivier, "Can recurrent neural networks warp time?", ICLR 2018, begin training.
    """
    remember = np.log(np.random.default_rng(0).uniform(1, N_STEPS - 1, size=HIDDEN_SIZE))
    gates = layer.weights["bias_ih_l0"].reshape(-1, HIDDEN_SIZE)
    gates[1] = remember  # the forget gate of LSTM (i, f, g, o), the update gate of GRU (r, z, n)
    if layer.config.cell == "lstm":
        gates[0] = -remember
    layer.weights["bias_hh_l0"][...] = 0
    return layer


if __name__ == "__main__":
    main()

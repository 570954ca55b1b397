"""Why vanilla networks forget: how the gradient of a loss flows back through 150 time steps.

Left, new networks on the adding problem. The gradient of the vanilla ones vanishes, and with it all
hope to learn what the first steps have to do with the answer. Gates alone are no cure: half open,
as they are at first, they forget as fast. But they can learn to stay open, as weights cannot learn
to be orthogonal; dotted, the same networks with biases of gates as if they had, ``memory_steps``.

Right, vanilla networks whose recurrent weights are larger: the gradient explodes. Clipping makes
it as small as it should be, so that training survives, but the first steps still outvote the last.

    python examples/gradient_flow.py --output gradient_flow.png
"""

from __future__ import annotations

import argparse

from skrnn.datasets import make_adding_problem
from skrnn.nn import Recurrent

N_STEPS = 150
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
        show(
            f"{cell.upper()}, gates open",
            new(cell, memory_steps=N_STEPS),
            left,
            line_kw={"color": color, "linestyle": ":"},
        )
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


def new(cell: str, activation: str = "tanh", memory_steps: int | None = None) -> Recurrent:
    """Return a new layer: orthogonal recurrent weights, and biases of gates that make it remember for a time."""
    return Recurrent(
        cell, input_size=2, hidden_size=64, activation=activation, memory_steps=memory_steps, random_state=0
    )


if __name__ == "__main__":
    main()

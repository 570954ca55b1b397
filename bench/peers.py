"""The contenders: one network, held with equal weights by skrnn, PyTorch and onnxruntime.

A contender has ``forward()``, and ``train()`` where it can train: these are timed, and do what a user's program would
do at that point and nothing more. ``output()`` and ``gradients()`` say the same in NumPy, for the comparison that comes
before any timing.

Each peer is given what suits it best. Both read and write their own time-major layout, while ours is batch-first;
nobody's transposition is timed. PyTorch runs under ``inference_mode`` where it does not train. onnxruntime has gates,
optimised graph and constant weights prepared outside the timed call, and spins for the length of a call only (see
``compare.py``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

import machine
import skrnn
from grid import Array, Problem
from skrnn.nn import Recurrent

torch = machine.optional("torch")
onnx = machine.optional("onnx")
onnxruntime = machine.optional("onnxruntime") if onnx is not None else None

Gradients = dict[str, Array]


def swap(array: Array) -> Array:
    """(N, T, ...) to (T, N, ...), or back."""
    return np.ascontiguousarray(array.swapaxes(0, 1))


class Contender(ABC):
    name: str
    trains = False

    @abstractmethod
    def forward(self) -> Any: ...

    @abstractmethod
    def output(self) -> Array: ...


class TrainingContender(Contender):
    trains = True

    @abstractmethod
    def train(self) -> Any: ...

    @abstractmethod
    def gradients(self) -> Gradients: ...


class Skrnn(TrainingContender):
    name = "skrnn"

    def __init__(self, problem: Problem, n_threads: int) -> None:
        shape = problem.shape
        skrnn.set_num_threads(n_threads)
        self.problem = problem
        self.layer = Recurrent(
            cell=problem.cell,
            input_size=shape.input_size,
            hidden_size=shape.hidden_size,
            num_layers=shape.num_layers,
            bidirectional=shape.bidirectional,
            dtype="float32",
            random_state=0,
        )
        self.frozen = self.layer.freeze()
        self.X, self.d_output, self.lengths = problem.X, problem.d_output, problem.lengths

    def forward(self) -> Any:
        return self.frozen.forward(self.X, self.lengths)

    def train(self) -> Any:
        return self.layer.record(self.X, self.lengths).backward(self.d_output)

    def output(self) -> Array:
        return np.asarray(self.forward()[0])

    def gradients(self) -> Gradients:
        grads = self.train()
        return {"X": grads.X, **grads.weights}

    @property
    def weights(self) -> dict[str, Array]:
        return {name: np.array(value) for name, value in self.layer.weights.items()}


class Torch(TrainingContender):
    name = "torch"

    def __init__(self, problem: Problem, n_threads: int, weights: dict[str, Array]) -> None:
        shape = problem.shape
        torch.set_num_threads(n_threads)
        self.problem = problem
        kind = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[problem.cell]
        self.module = kind(
            shape.input_size,
            shape.hidden_size,
            num_layers=shape.num_layers,
            bidirectional=shape.bidirectional,
        )
        self.module.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        self.X = torch.from_numpy(swap(problem.X))
        self.d_output = torch.from_numpy(swap(problem.d_output))
        self.lengths = None if problem.lengths is None else torch.from_numpy(problem.lengths)

    def call(self, X: Any) -> Any:
        return self.module(X)[0]

    def forward(self) -> Any:
        with torch.inference_mode():
            return self.call(self.X)

    def train(self) -> Any:
        self.module.zero_grad(set_to_none=True)
        X = self.X.detach().requires_grad_()
        self.call(X).backward(self.d_output)
        return X.grad

    def output(self) -> Array:
        return swap(np.asarray(self.forward())) * self.problem.mask

    def gradients(self) -> Gradients:
        grad_X = self.train()
        weights = {name: np.asarray(p.grad) for name, p in self.module.named_parameters()}
        return {"X": swap(np.asarray(grad_X)), **weights}


class TorchPacked(Torch):
    """PyTorch skipping the padding; ``Torch`` computes on it, which is right here because it only comes at the end."""

    name = "torch packed"

    def call(self, X: Any) -> Any:
        pack = torch.nn.utils.rnn.pack_padded_sequence
        packed = pack(X, self.lengths, enforce_sorted=False)
        return torch.nn.utils.rnn.pad_packed_sequence(self.module(packed)[0], total_length=len(X))[0]


class Onnxruntime(Contender):
    name = "onnxruntime"
    skip_padding = False

    # Where our gates go in the operators of ONNX: LSTM has i, o, f, c, and GRU has z, r, h.
    GATE_ORDER: ClassVar = {"rnn": [0], "gru": [1, 0, 2], "lstm": [0, 3, 1, 2]}

    def __init__(self, problem: Problem, n_threads: int, weights: dict[str, Array]) -> None:
        self.problem = problem
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = n_threads
        options.inter_op_num_threads = 1
        # Its threads wait actively during a call, as by default, but leave the cores to the next contender after it.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        model = self.model(problem, weights)
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self.feed = {"X": swap(problem.X)}
        if self.skip_padding:
            assert problem.lengths is not None
            self.feed["lengths"] = problem.lengths.astype(np.int32)

    @classmethod
    def model(cls, problem: Problem, weights: dict[str, Array]) -> Any:
        shape, D = problem.shape, problem.directions
        helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
        nodes, constants = [], []
        below = "X"
        for layer in range(shape.num_layers):
            suffixes = [f"l{layer}", f"l{layer}_reverse"][:D]

            def stack(part: str, suffixes: list[str] = suffixes) -> Array:
                """(D, G*H, ...) with the gates in ONNX's order."""
                blocks = [weights[f"{part}_{s}"] for s in suffixes]
                split = [b.reshape(-1, shape.hidden_size, *b.shape[1:]) for b in blocks]
                ordered = [b[cls.GATE_ORDER[problem.cell]].reshape(blocks[0].shape) for b in split]
                return np.stack(ordered)

            arrays = {
                f"W{layer}": stack("weight_ih"),
                f"R{layer}": stack("weight_hh"),
                f"B{layer}": np.concatenate([stack("bias_ih"), stack("bias_hh")], axis=1),
            }
            constants += [onnx.numpy_helper.from_array(value, name) for name, value in arrays.items()]
            last = layer == shape.num_layers - 1
            above = "Y" if last else f"Y{layer}"
            nodes.append(
                helper.make_node(
                    problem.cell.upper(),
                    [below, *arrays, "lengths" if cls.skip_padding else ""],
                    [above],
                    hidden_size=shape.hidden_size,
                    direction="bidirectional" if D == 2 else "forward",
                    **({"linear_before_reset": 1} if problem.cell == "gru" else {}),
                )
            )
            if not last:  # (T, D, N, H) -> (T, N, H); the grid has no stack of two directions
                assert D == 1
                constants.append(onnx.numpy_helper.from_array(np.array([1]), f"axis{layer}"))
                below = f"X{layer + 1}"
                nodes.append(helper.make_node("Squeeze", [above, f"axis{layer}"], [below]))
        inputs = [helper.make_tensor_value_info("X", float32, [shape.steps, shape.batch, shape.input_size])]
        if cls.skip_padding:
            inputs.append(helper.make_tensor_value_info("lengths", onnx.TensorProto.INT32, [shape.batch]))
        outputs = [helper.make_tensor_value_info("Y", float32, [shape.steps, D, shape.batch, shape.hidden_size])]
        graph = helper.make_graph(nodes, "network", inputs, outputs, constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        return model

    def forward(self) -> Any:
        return self.session.run(None, self.feed)[0]

    def output(self) -> Array:
        shape = self.problem.shape
        batch_first = self.forward().transpose(2, 0, 1, 3)  # (T, D, N, H) -> (N, T, D, H)
        return batch_first.reshape(shape.batch, shape.steps, -1) * self.problem.mask


class OnnxruntimePacked(Onnxruntime):
    """Told the lengths, so that it may skip the padding."""

    name = "onnxruntime packed"
    skip_padding = True


def contenders(problem: Problem, n_threads: int, *, training: bool) -> list[Contender]:
    """Ourselves first, then every peer that is installed and able, in each of its variants."""
    ours = Skrnn(problem, n_threads)
    found: list[Contender] = [ours]
    if torch is not None:
        found.append(Torch(problem, n_threads, ours.weights))
        if problem.shape.ragged:
            found.append(TorchPacked(problem, n_threads, ours.weights))
    if onnxruntime is not None and not training:
        found.append(Onnxruntime(problem, n_threads, ours.weights))
        if problem.shape.ragged:
            found.append(OnnxruntimePacked(problem, n_threads, ours.weights))
    return found

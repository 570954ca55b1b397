// RecurrentWeights, Workspace and Tape: check, release the GIL, call.
#include "../core/recurrent.h"

#include <variant>

#include "arrays.h"

namespace skrnn {
namespace {

template <class T>
using Weights = std::shared_ptr<RecurrentWeights<T>>;

const Cell& find_cell(const KernelTable& table, const std::string& name) {
    std::string known;
    for (int i = 0; i < table.n_cells; ++i) {
        if (name == table.cells[i].data->name) return table.cells[i];
        known += (known.empty() ? "'" : ", '") + std::string(table.cells[i].data->name) + "'";
    }
    throw py::value_error("cell must be one of " + known + ", got '" + name + "'");
}

Activation find_activation(const std::string& name) {
    if (name == "tanh") return Activation::tanh;
    if (name == "relu") return Activation::relu;
    if (name == "linear") return Activation::linear;
    throw py::value_error("activation must be one of 'tanh', 'relu', 'linear', got '" + name + "'");
}

const char* activation_name(Activation activation) {
    return activation == Activation::tanh ? "tanh" : activation == Activation::relu ? "relu" : "linear";
}

/// A (rows, steps, features) array with contiguous features; absent for None.
template <class T>
SequenceView<T> sequence(py::handle value, const char* name, index_t rows, index_t steps, index_t features) {
    using Value = std::remove_const_t<T>;
    if (value.is_none()) return {};
    constexpr Access access = std::is_const_v<T> ? Access::read : Access::write;
    const py::array array = checked<Value>(value, name, {rows, steps, features}, access);
    constexpr auto size = static_cast<py::ssize_t>(sizeof(T));
    const auto stride = [&](int axis) { return static_cast<index_t>(array.strides(axis)) / size; };
    if (array.size() == 0) return {static_cast<T*>(const_cast<void*>(array.data())), 0, 0};  // strides mean nothing
    bool fits = features <= 1 || array.strides(2) == size;
    for (int axis = 0; axis < 2; ++axis) {
        fits = fits && array.strides(axis) % size == 0;
        // a repeated element can be read, not written
        if (access == Access::write && array.shape(axis) > 1) fits = fits && stride(axis) != 0;
    }
    if (!fits)
        throw py::value_error(std::string(name) + " must have contiguous features (unit stride on the last axis)" +
                              (access == Access::write ? " and no repeated elements" : ""));
    return {static_cast<T*>(const_cast<void*>(array.data())), stride(0), stride(1)};
}

/// The arrays of a sequence of states, which stay alive as long as this does: a list may change during a call.
template <class T>
struct HeldStates {
    py::tuple objects;
    StateArrays<T> arrays{};
};

/// A sequence of one (rows, hidden) array or None per state; all absent for None.
template <class T>
HeldStates<T> states(py::handle value, const char* name, int n_states, index_t rows, index_t hidden_size) {
    HeldStates<T> held;
    if (value.is_none()) return held;
    if (!PyTuple_Check(value.ptr()) && !PyList_Check(value.ptr()))
        refuse_type(name, "a sequence of " + std::to_string(n_states) + " arrays, one per state of the cell", value);
    held.objects = py::reinterpret_steal<py::tuple>(PySequence_Tuple(value.ptr()));
    if (static_cast<int>(held.objects.size()) != n_states)
        throw py::value_error(std::string(name) + " must hold " + std::to_string(n_states) +
                              " arrays, one per state of the cell, got " + std::to_string(held.objects.size()));
    for (std::size_t k = 0; k < held.objects.size(); ++k)
        held.arrays[k] = contiguous<std::remove_const_t<T>>(held.objects[k], name, {rows, hidden_size},
                                                            std::is_const_v<T> ? Access::read : Access::write);
    return held;
}

template <class T>
struct HeldCall {
    RecurrentCall<T> call;
    HeldStates<const T> state;
    HeldStates<T> final_state;
};

template <class T>
HeldCall<T> checked_call(const RecurrentWeights<T>& weights, py::handle x, py::handle lengths, bool reverse,
                         py::handle state, py::handle output, py::handle final_state) {
    HeldCall<T> held;
    RecurrentCall<T>& call = held.call;
    const py::array input = checked<T>(x, "x", {"N", "T", weights.input_size()}, Access::read);
    call.rows = input.shape(0);
    call.steps = input.shape(1);
    call.reverse = reverse;
    call.x = sequence<const T>(x, "x", call.rows, call.steps, weights.input_size());
    call.lengths = checked_lengths(lengths, call.rows, call.steps);
    const int n_states = weights.cell().n_states;
    const index_t H = weights.hidden_size();
    held.state = states<const T>(state, "state", n_states, call.rows, H);
    held.final_state = states<T>(final_state, "final_state", n_states, call.rows, H);
    call.state = held.state.arrays;
    call.output = sequence<T>(output, "output", call.rows, call.steps, H);
    call.final_state = held.final_state.arrays;
    return held;
}

/// Gains, or their gradients: there with layer normalisation, and only with it.
template <class T>
T* gain(py::handle value, const char* name, index_t size, bool wanted, Access access) {
    if (wanted) return required<T>(value, name, {size}, access);
    if (!value.is_none()) refuse_type(name, "None without layer normalisation", value);
    return nullptr;
}

/// A probability of dropping or keeping something.
void check_rate(double value, const char* name) {
    if (!(value >= 0 && value < 1))
        throw py::value_error(std::string(name) + " must be in the range [0, 1), got " + std::to_string(value));
}

class PyTape {
public:
    template <class T>
    PyTape(std::unique_ptr<Tape<T>> tape, py::object x) : tape_(std::move(tape)), x_(std::move(x)) {}

    void backward(py::handle d_output, py::handle d_final_state, py::handle d_x, py::handle d_state,
                  py::handle d_weight_ih, py::handle d_weight_hh, py::handle d_bias_ih, py::handle d_bias_hh,
                  py::handle d_gain_ih, py::handle d_gain_hh, bool add_to_d_x) {
        std::visit(
            [&](auto& tape) {
                using T = typename std::decay_t<decltype(*tape)>::value_type;
                const RecurrentWeights<T>& weights = tape->weights();
                const CellData& cell = weights.cell();
                const index_t I = weights.input_size(), H = weights.hidden_size(), G = cell.n_gates;
                RecurrentGradients<T> gradients;
                gradients.d_output = sequence<const T>(d_output, "d_output", tape->rows(), tape->steps(), H);
                const auto final_states =
                    states<const T>(d_final_state, "d_final_state", cell.n_states, tape->rows(), H);
                const auto initial_states = states<T>(d_state, "d_state", cell.n_states, tape->rows(), H);
                gradients.d_final_state = final_states.arrays;
                gradients.d_state = initial_states.arrays;
                gradients.d_x = sequence<T>(d_x, "d_x", tape->rows(), tape->steps(), I);
                gradients.add_to_d_x = add_to_d_x;
                gradients.d_weight_ih = required<T>(d_weight_ih, "d_weight_ih", {G * H, I}, Access::write);
                gradients.d_weight_hh = required<T>(d_weight_hh, "d_weight_hh", {G * H, H}, Access::write);
                gradients.d_bias_ih = required<T>(d_bias_ih, "d_bias_ih", {G * H}, Access::write);
                gradients.d_bias_hh = required<T>(d_bias_hh, "d_bias_hh", {G * H}, Access::write);
                gradients.d_gain_ih = gain<T>(d_gain_ih, "d_gain_ih", G * H, weights.normalizes(), Access::write);
                gradients.d_gain_hh = gain<T>(d_gain_hh, "d_gain_hh", G * H, weights.normalizes(), Access::write);
                if (!tape->claim())
                    throw std::runtime_error("this tape was consumed by an earlier backward(); record again");
                {
                    const py::gil_scoped_release release;
                    tape->backward(gradients);
                }
                x_ = py::none();
            },
            tape_);
    }

    std::size_t bytes() const {
        return std::visit([](const auto& tape) { return tape->bytes(); }, tape_);
    }

private:
    std::variant<std::unique_ptr<Tape<float>>, std::unique_ptr<Tape<double>>> tape_;
    py::object x_;  // the tape points into it
};

class PyRecurrentWeights {
public:
    PyRecurrentWeights(const std::string& cell_name, const std::string& activation_name, py::handle weight_ih,
                       py::handle weight_hh, py::handle bias_ih, py::handle bias_hh, py::handle gain_ih,
                       py::handle gain_hh, bool training, double zoneout) {
        check_rate(zoneout, "zoneout");
        const KernelTable& table = kernels();
        const Cell& cell = find_cell(table, cell_name);
        const Activation activation = find_activation(activation_name);
        with_dtype_of(weight_ih, "weight_ih", [&](auto zero) {
            using T = decltype(zero);
            const index_t G = cell.data->n_gates;
            const py::array hh = checked<T>(weight_hh, "weight_hh", {"G*H", "H"}, Access::read);
            const index_t H = hh.shape(1);
            if (H < 1 || hh.shape(0) != G * H)
                refuse_value("weight_hh", "of shape (" + std::to_string(G) + " * H, H) with H >= 1", weight_hh);
            const py::array ih = checked<T>(weight_ih, "weight_ih", {G * H, "I"}, Access::read);
            const index_t I = ih.shape(1);
            if (I < 1) refuse_value("weight_ih", "of shape (G*H, I) with I >= 1", weight_ih);
            const T* const ih_data = required<T>(weight_ih, "weight_ih", {G * H, I}, Access::read);
            const T* const hh_data = required<T>(weight_hh, "weight_hh", {G * H, H}, Access::read);
            const T* const bias_ih_data = required<T>(bias_ih, "bias_ih", {G * H}, Access::read);
            const T* const bias_hh_data = required<T>(bias_hh, "bias_hh", {G * H}, Access::read);
            const bool normalizes = !gain_ih.is_none();
            const T* const gain_ih_data = gain<T>(gain_ih, "gain_ih", G * H, normalizes, Access::read);
            const T* const gain_hh_data = gain<T>(gain_hh, "gain_hh", G * H, normalizes, Access::read);
            const py::gil_scoped_release release;
            weights_ =
                std::make_shared<RecurrentWeights<T>>(table, cell, activation, I, H, ih_data, hh_data, bias_ih_data,
                                                      bias_hh_data, training, zoneout, gain_ih_data, gain_hh_data);
        });
    }

    void forward(py::handle x, py::handle lengths, bool reverse, py::handle state, py::handle output,
                 py::handle final_state) const {
        std::visit(
            [&](const auto& weights) {
                const auto held = checked_call(*weights, x, lengths, reverse, state, output, final_state);
                const py::gil_scoped_release release;
                weights->forward(held.call);
            },
            weights_);
    }

    PyTape record(py::object x, py::handle lengths, bool reverse, py::handle state, py::handle output,
                  py::handle final_state, std::shared_ptr<Workspace> workspace, index_t checkpoint_steps,
                  double recurrent_dropout, std::uint64_t key, std::uint32_t first_step) const {
        if (checkpoint_steps < 0) throw py::value_error("checkpoint_steps must be 0 or more");
        check_rate(recurrent_dropout, "recurrent_dropout");
        return std::visit(
            [&](const auto& weights) {
                if (!weights->training()) throw std::runtime_error("record() needs weights packed with training=True");
                auto held = checked_call(*weights, x, lengths, reverse, state, output, final_state);
                held.call.draws = {recurrent_dropout, key, first_step};
                auto tape = [&] {
                    const py::gil_scoped_release release;
                    return weights->record(held.call, checkpoint_steps, std::move(workspace));
                }();
                return PyTape(std::move(tape), std::move(x));
            },
            weights_);
    }

    template <class F>
    auto get(F f) const {
        return std::visit([&](const auto& weights) { return f(*weights); }, weights_);
    }

private:
    std::variant<Weights<float>, Weights<double>> weights_;
};

}  // namespace

void register_recurrent(py::module_& m) {
    py::class_<Workspace, std::shared_ptr<Workspace>>(m, "Workspace")
        .def(py::init<>())
        .def_property_readonly("nbytes", &Workspace::bytes);

    py::class_<PyTape>(m, "Tape")
        .def_property_readonly("nbytes", &PyTape::bytes)
        .def("backward", &PyTape::backward, py::arg("d_output").none(true), py::arg("d_final_state").none(true),
             py::arg("d_x").none(true), py::arg("d_state").none(true), py::arg("d_weight_ih"), py::arg("d_weight_hh"),
             py::arg("d_bias_ih"), py::arg("d_bias_hh"), py::arg("d_gain_ih").none(true) = py::none(),
             py::arg("d_gain_hh").none(true) = py::none(), py::kw_only(), py::arg("add_to_d_x") = false);

    using W = PyRecurrentWeights;
    py::class_<W>(m, "RecurrentWeights")
        .def(py::init<const std::string&, const std::string&, py::handle, py::handle, py::handle, py::handle,
                      py::handle, py::handle, bool, double>(),
             py::arg("cell"), py::arg("activation"), py::arg("weight_ih"), py::arg("weight_hh"), py::arg("bias_ih"),
             py::arg("bias_hh"), py::arg("gain_ih").none(true) = py::none(), py::arg("gain_hh").none(true) = py::none(),
             py::kw_only(), py::arg("training") = false, py::arg("zoneout") = 0.0)
        .def_property_readonly("cell", [](const W& w) { return w.get([](const auto& x) { return x.cell().name; }); })
        .def_property_readonly(
            "activation",
            [](const W& w) { return w.get([](const auto& x) { return activation_name(x.activation()); }); })
        .def_property_readonly("isa", [](const W& w) { return w.get([](const auto& x) { return x.table().isa; }); })
        .def_property_readonly("input_size",
                               [](const W& w) { return w.get([](const auto& x) { return x.input_size(); }); })
        .def_property_readonly("hidden_size",
                               [](const W& w) { return w.get([](const auto& x) { return x.hidden_size(); }); })
        .def_property_readonly("nbytes", [](const W& w) { return w.get([](const auto& x) { return x.bytes(); }); })
        .def("forward", &W::forward, py::arg("x"), py::arg("lengths").none(true), py::arg("reverse"),
             py::arg("state").none(true), py::arg("output").none(true), py::arg("final_state").none(true))
        .def("record", &W::record, py::arg("x"), py::arg("lengths").none(true), py::arg("reverse"),
             py::arg("state").none(true), py::arg("output").none(true), py::arg("final_state").none(true),
             py::arg("workspace") = nullptr, py::arg("checkpoint_steps") = 0, py::arg("recurrent_dropout") = 0.0,
             py::arg("key") = 0, py::arg("first_step") = 0);

    m.def(
        "random_words",
        [](std::uint64_t key, std::uint32_t counter, py::handle out) {
            const index_t n = checked<std::uint32_t>(out, "out", {2, "n"}, Access::write).shape(1);
            std::uint32_t* const data = required<std::uint32_t>(out, "out", {2, n}, Access::write);
            kernels().random_words(key, counter, n, data, data + n);
        },
        py::arg("key"), py::arg("counter"), py::arg("out"));
}

}  // namespace skrnn

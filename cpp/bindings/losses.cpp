// Losses, and the softmax of one of them.
#include <cmath>
#include <string>

#include "../core/buffer.h"
#include "../core/dispatch.h"
#include "arrays.h"

namespace skrnn {
namespace {

void py_softmax(py::handle logits, py::handle out) {
    with_dtype_of(logits, "logits", [&](auto zero) {
        using T = decltype(zero);
        const py::array input = checked<T>(logits, "logits", {"N", "C"}, Access::read);
        const index_t N = input.shape(0), C = input.shape(1);
        if (C < 1) refuse_value("logits", "of shape (N, C) with C >= 1", logits);
        const T* const in = required<T>(logits, "logits", {N, C}, Access::read);
        T* const outs = required<T>(out, "out", {N, C}, Access::write);
        const py::gil_scoped_release release;
        functions<T>(kernels()).softmax(in, outs, N, C);
    });
}

double py_cross_entropy(py::handle logits, py::handle target, py::handle weight, py::handle d_logits) {
    return with_dtype_of(logits, "logits", [&](auto zero) {
        using T = decltype(zero);
        const py::array input = checked<T>(logits, "logits", {"N", "C"}, Access::read);
        const index_t N = input.shape(0), C = input.shape(1);
        if (C < 1) refuse_value("logits", "of shape (N, C) with C >= 1", logits);
        const T* const in = required<T>(logits, "logits", {N, C}, Access::read);
        const std::int64_t* const targets = required<std::int64_t>(target, "target", {N}, Access::read);
        for (index_t n = 0; n < N; ++n)
            if (targets[n] < 0 || targets[n] >= C)
                throw py::value_error("target must be between 0 and C - 1 = " + std::to_string(C - 1) + ", got " +
                                      std::to_string(targets[n]) + " for row " + std::to_string(n));
        const T* const weights = contiguous<T>(weight, "weight", {N}, Access::read);
        T* const d = contiguous<T>(d_logits, "d_logits", {N, C}, Access::write);
        const py::gil_scoped_release release;
        if (d != nullptr) return functions<T>(kernels()).cross_entropy(in, targets, weights, d, C, N, C);
        Buffer<T> row(static_cast<std::size_t>(C));
        return functions<T>(kernels()).cross_entropy(in, targets, weights, row.data(), 0, N, C);
    });
}

/// The arguments of a loss of each element; what some losses need besides is for `complete` to add and check.
template <class Choose, class Complete>
double loss_of_elements(py::handle prediction, py::handle target, py::handle weight, py::handle d_prediction,
                        Choose choose, Complete complete) {
    return with_dtype_of(prediction, "prediction", [&](auto zero) {
        using T = decltype(zero);
        const py::array input = checked<T>(prediction, "prediction", {"N", "K"}, Access::read);
        const index_t N = input.shape(0), K = input.shape(1);
        LossArgs<T> args{required<T>(prediction, "prediction", {N, K}, Access::read),
                         required<T>(target, "target", {N, K}, Access::read),
                         contiguous<T>(weight, "weight", {N}, Access::read),
                         contiguous<T>(d_prediction, "d_prediction", {N, K}, Access::write),
                         N,
                         K};
        complete(args);
        const py::gil_scoped_release release;
        return choose(functions<T>(kernels()))(args);
    });
}

template <class Choose>
void define_loss(py::module_& m, const char* name, Choose choose) {
    m.def(
        name,
        [choose](py::handle prediction, py::handle target, py::handle weight, py::handle d_prediction) {
            return loss_of_elements(prediction, target, weight, d_prediction, choose, [](auto&) {});
        },
        py::arg("prediction"), py::arg("target"), py::arg("weight").none(true), py::arg("d_prediction").none(true));
}

double py_huber(py::handle prediction, py::handle target, py::handle weight, py::handle d_prediction, double delta) {
    if (!(delta > 0) || std::isinf(delta))
        throw py::value_error("delta must be positive and finite, got " +
                              py::str(py::float_(delta)).cast<std::string>());
    return loss_of_elements(
        prediction, target, weight, d_prediction, [](const auto& f) { return f.huber; },
        [delta](auto& args) { args.delta = delta; });
}

template <class T>
void add_quantiles(LossArgs<T>& args, py::handle quantiles) {
    args.quantiles = required<T>(quantiles, "quantiles", {args.columns}, Access::read);
    for (index_t k = 0; k < args.columns; ++k) {
        const double level = static_cast<double>(args.quantiles[k]);
        if (!(level > 0 && level < 1))
            throw py::value_error("quantiles must lie between 0 and 1, both excluded, got " +
                                  py::str(py::float_(level)).cast<std::string>() + " for column " + std::to_string(k));
    }
}

double py_quantile(py::handle prediction, py::handle target, py::handle weight, py::handle d_prediction,
                   py::handle quantiles) {
    return loss_of_elements(
        prediction, target, weight, d_prediction, [](const auto& f) { return f.quantile; },
        [&](auto& args) { add_quantiles(args, quantiles); });
}

}  // namespace

void register_losses(py::module_& m) {
    m.def("softmax", &py_softmax, py::arg("logits"), py::arg("out"));
    m.def("softmax_cross_entropy", &py_cross_entropy, py::arg("logits"), py::arg("target"),
          py::arg("weight").none(true), py::arg("d_logits").none(true));
    define_loss(m, "squared_error", [](const auto& f) { return f.squared_error; });
    define_loss(m, "absolute_error", [](const auto& f) { return f.absolute_error; });
    define_loss(m, "poisson", [](const auto& f) { return f.poisson; });
    define_loss(m, "binary_cross_entropy", [](const auto& f) { return f.binary_cross_entropy; });
    m.def("huber", &py_huber, py::arg("prediction"), py::arg("target"), py::arg("weight").none(true),
          py::arg("d_prediction").none(true), py::kw_only(), py::arg("delta"));
    m.def("quantile", &py_quantile, py::arg("prediction"), py::arg("target"), py::arg("weight").none(true),
          py::arg("d_prediction").none(true), py::kw_only(), py::arg("quantiles"));
}

}  // namespace skrnn

// Losses: the sum over rows, and its gradient.
#pragma once

#include "elementwise.h"

namespace skrnn {
namespace {

/// out = softmax of one row; returns the sum that divides it, and its maximum in `largest`.
template <class T>
SKRNN_INLINE T softmax_row(const T* logits, T* out, index_t columns, T& largest) {
    largest = logits[0];
    for (index_t i = 1; i < columns; ++i) largest = logits[i] > largest ? logits[i] : largest;
    const T shift = largest;
    map<T>(logits, out, columns, [&](const auto& v) SKRNN_INLINE_LAMBDA { return exp(v - v.all(shift)); });
    T sum = out[0];
    for (index_t i = 1; i < columns; ++i) sum += out[i];
    for (index_t i = 0; i < columns; ++i) out[i] /= sum;
    return sum;
}

template <class T>
void softmax(const T* logits, T* out, index_t rows, index_t columns) {
    T largest;
    for (index_t n = 0; n < rows; ++n) softmax_row<T>(logits + n * columns, out + n * columns, columns, largest);
}

/// Loss of row n is log(sum exp(logits)) - logits[target]; its gradient softmax - one_hot(target).
template <class T>
double cross_entropy(const T* logits, const std::int64_t* target, const T* weight, T* d_logits, index_t d_stride,
                     index_t rows, index_t columns) {
    double loss = 0;
    for (index_t n = 0; n < rows; ++n, logits += columns, d_logits += d_stride) {
        T largest;
        const T sum = softmax_row<T>(logits, d_logits, columns, largest);
        const double row_loss = __builtin_log(static_cast<double>(sum)) +
                                (static_cast<double>(largest) - static_cast<double>(logits[target[n]]));
        d_logits[target[n]] -= T(1);
        if (weight == nullptr) {
            loss += row_loss;
        } else {
            loss += static_cast<double>(weight[n]) * row_loss;
            for (index_t i = 0; i < columns; ++i) d_logits[i] *= weight[n];
        }
    }
    return loss;
}

// ---- Losses of each element, summed over the columns of a row. In float64, but for the difference of prediction and
// target and for exponentials, which are rounded to T. A NaN gives NaN, in the loss and in the gradient.

/// Sum over rows of factor * weight * sum over columns of term(prediction, target, column, slope), which leaves the
/// derivative in `slope`.
template <class T, class Term>
SKRNN_INLINE double sum_of_terms(const LossArgs<T>& args, double factor, Term term) {
    const T* const prediction = args.prediction;
    const T* const target = args.target;
    const T* const weight = args.weight;
    T* const d_prediction = args.d_prediction;
    const index_t rows = args.rows, columns = args.columns;
    double loss = 0;
    for (index_t n = 0; n < rows; ++n) {
        const T w = weight == nullptr ? T(1) : weight[n];
        double row_loss = 0;
        for (index_t k = 0; k < columns; ++k) {
            const index_t i = n * columns + k;
            T slope;
            row_loss += term(prediction[i], target[i], k, slope);
            if (d_prediction != nullptr) d_prediction[i] = w * slope;
        }
        loss += factor * static_cast<double>(w) * row_loss;
    }
    return loss;
}

template <class T>
double squared_error(const LossArgs<T>& args) {
    return sum_of_terms(args, 0.5, [](T prediction, T target, index_t, T& slope) SKRNN_INLINE_LAMBDA {
        const T error = slope = prediction - target;
        return static_cast<double>(error) * static_cast<double>(error);
    });
}

/// `above` for a positive error, `below` for a negative one, 0 for 0.
template <class T>
SKRNN_INLINE T by_sign(T error, T above, T below) {
    return error > T(0) ? above : error < T(0) ? below : error;
}

template <class T>
double absolute_error(const LossArgs<T>& args) {
    return sum_of_terms(args, 1.0, [](T prediction, T target, index_t, T& slope) SKRNN_INLINE_LAMBDA {
        const T error = prediction - target;
        slope = by_sign(error, T(1), T(-1));
        return __builtin_fabs(static_cast<double>(error));
    });
}

/// Huber 1964: squared up to delta, straight from there on.
template <class T>
double huber(const LossArgs<T>& args) {
    const double delta = args.delta;
    const T bound = static_cast<T>(delta);
    return sum_of_terms(args, 1.0, [=](T prediction, T target, index_t, T& slope) SKRNN_INLINE_LAMBDA {
        const T error = prediction - target;
        const double size = __builtin_fabs(static_cast<double>(error));
        slope = size > delta ? by_sign(error, bound, -bound) : error;
        return size > delta ? delta * (size - 0.5 * delta) : 0.5 * size * size;
    });
}

/// Koenker & Bassett 1978: a level q costs q per unit below the target and 1 - q per unit above it.
template <class T>
double quantile(const LossArgs<T>& args) {
    const T* const levels = args.quantiles;
    return sum_of_terms(args, 1.0, [=](T prediction, T target, index_t column, T& slope) SKRNN_INLINE_LAMBDA {
        const T error = prediction - target;
        slope = by_sign(error, T(1) - levels[column], -levels[column]);
        return static_cast<double>(error) * static_cast<double>(slope);
    });
}

// ---- Losses with an exponential, which is computed for some columns of a row at a time.

constexpr index_t piece_size = 64;

/// Sum over rows of weight * sum over pieces of terms(prediction, target, powers, columns of the piece, weight, d),
/// where powers are what `power` makes of the predictions, and d is where the gradient goes, or null.
template <class T, class Power, class Terms>
SKRNN_INLINE double sum_of_pieces(const LossArgs<T>& args, Power power, Terms terms) {
    T powers[piece_size];
    double loss = 0;
    for (index_t n = 0; n < args.rows; ++n) {
        const T w = args.weight == nullptr ? T(1) : args.weight[n];
        double row_loss = 0;
        for (index_t column = 0; column < args.columns; column += piece_size) {
            const index_t at = n * args.columns + column, left = args.columns - column;
            const index_t size = left < piece_size ? left : piece_size;
            map<T>(args.prediction + at, powers, size, power);
            row_loss += terms(args.prediction + at, args.target + at, powers, size, w,
                              args.d_prediction == nullptr ? nullptr : args.d_prediction + at);
        }
        loss += static_cast<double>(w) * row_loss;
    }
    return loss;
}

/// The prediction is the logarithm of the mean; what the target alone contributes is left out.
template <class T>
double poisson(const LossArgs<T>& args) {
    return sum_of_pieces<T>(
        args, [](const auto& v) SKRNN_INLINE_LAMBDA { return exp(v); },
        [](const T* prediction, const T* target, const T* mean, index_t size, T w, T* d) SKRNN_INLINE_LAMBDA {
            double sum = 0;
            for (index_t k = 0; k < size; ++k)
                sum +=
                    static_cast<double>(mean[k]) - static_cast<double>(target[k]) * static_cast<double>(prediction[k]);
            if (d != nullptr)
                for (index_t k = 0; k < size; ++k) d[k] = w * (mean[k] - target[k]);
            return sum;
        });
}

/// log(1 + x), x >= 0, precise also where x is small.
SKRNN_INLINE double log_1_plus(double x) {
    const double sum = 1 + x;
    return sum == 1 ? x : __builtin_log(sum) * (x / (sum - 1));
}

/// The prediction is a logit z. With u = exp(-|z|), which never overflows, the loss is
/// (1 - y) z + log(1 + u) for positive z, and -y z + log(1 + u) for others; nothing cancels at either end.
template <class T>
double binary_cross_entropy(const LossArgs<T>& args) {
    return sum_of_pieces<T>(
        args, [](const auto& v) SKRNN_INLINE_LAMBDA { return exp(-absolute(v)); },
        [](const T* prediction, const T* target, const T* power, index_t size, T w, T* d) SKRNN_INLINE_LAMBDA {
            // One logarithm for the piece: that of the product of its 1 + u, kept less 1; at most 2^64.
            double product = 0, sum = 0;
            for (index_t k = 0; k < size; ++k) {
                const double u = static_cast<double>(power[k]), y = static_cast<double>(target[k]);
                const double z = static_cast<double>(prediction[k]);
                product += u + product * u;
                sum += (z > 0 ? 1 - y : -y) * z;
            }
            if (d != nullptr)
                for (index_t k = 0; k < size; ++k) {
                    const T less_likely = power[k] / (T(1) + power[k]);  // sigmoid(-|z|)
                    const T slope = prediction[k] > T(0) ? (T(1) - target[k]) - less_likely : less_likely - target[k];
                    d[k] = w * slope;
                }
            return sum + log_1_plus(product);
        });
}

}  // namespace
}  // namespace skrnn

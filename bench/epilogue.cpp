// The epilogues of the cells, alone: one vector of hidden units forward and backward, each a function whose
// instructions `python bench/roofline.py --count` counts. Never run.
#include "../cpp/kernels/cell_gru.h"
#include "../cpp/kernels/cell_lstm.h"
#include "../cpp/kernels/cell_rnn.h"

namespace skrnn {
namespace {

using V = vecs<float, 1>;

struct Registers {
    V s[max_slots], prev[2], next[2], d[2], d_prev[2];
};

template <class Cell>
SKRNN_INLINE void forward(Registers& r) {
    Cell::template forward<TanhActivation, 0, V>(r.s, r.prev, r.next);
}

template <class Cell>
SKRNN_INLINE void backward(Registers& r) {
    Cell::template backward<TanhActivation, 0, V>(r.s, r.prev, r.next, r.d, r.d_prev);
}

}  // namespace
}  // namespace skrnn

#define EPILOGUE(cell, Cell)                                                                \
    extern "C" void cell##_forward(skrnn::Registers& r) { skrnn::forward<skrnn::Cell>(r); } \
    extern "C" void cell##_backward(skrnn::Registers& r) { skrnn::backward<skrnn::Cell>(r); }
EPILOGUE(rnn, Rnn)
EPILOGUE(gru, Gru)
EPILOGUE(lstm, Lstm)

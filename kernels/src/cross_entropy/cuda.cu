// Cross entropy, from the largest logit and the sum of exponentials of each row (softmax/cuda.cu).

namespace graven {

/// logits, labels -> the loss of one row
template <class Input, class Labels, class Largest, class Total>
DEVICE float cross_entropy(Axis axis, Index row, Input logits, Labels labels, Largest largest, Total total) {
    return largest(row) + logf(total(row)) - logits(axis.element(row, labels(row)));
}

/// logits, labels, grad_output -> the gradient of one logit
template <class Input, class Labels, class Grad, class Largest, class Total>
DEVICE float cross_entropy_grad(
    Axis axis, Index at, Input logits, Labels labels, Grad grad_output, Largest largest, Total total) {
    const Index row = axis.row(at);
    const float share = expf(logits(at) - largest(row)) / total(row);
    return (share - (at == axis.element(row, labels(row)) ? 1.0f : 0.0f)) * grad_output(row);
}

}

// Softmax along one axis, from the largest element and the sum of exponentials of each row.

namespace graven {

/// Element (o, a, i) of a tensor stands at (o * size + a) * inner + i; its row is (o, i).
struct Axis {
    Index outer, size, inner;

    DEVICE constexpr Index row(Index at) const { return at / (size * inner) * inner + at % inner; }
    DEVICE constexpr Index element(Index row, Index a) const { return (row / inner * size + a) * inner + row % inner; }
};

/// The largest element of a row: the term of one element
template <class Input>
DEVICE float softmax_max(Axis axis, Index row, Index r, Input input) {
    return input(axis.element(row, r));
}

/// The sum of the exponentials of a row: the term of one element
template <class Input, class Largest>
DEVICE float softmax_sum(Axis axis, Index row, Index r, Input input, Largest largest) {
    return expf(input(axis.element(row, r)) - largest(row));
}

template <class Input, class Largest, class Total>
DEVICE float softmax(Axis axis, Index at, Input input, Largest largest, Total total) {
    const Index row = axis.row(at);
    return expf(input(at) - largest(row)) / total(row);
}

template <class Input, class Largest, class Total>
DEVICE float log_softmax(Axis axis, Index at, Input input, Largest largest, Total total) {
    const Index row = axis.row(at);
    return input(at) - largest(row) - logf(total(row));
}

}

// The position of the first largest element along an axis (softmax/cuda.cu), and how many integers are equal.

namespace graven {

template <class Input>
DEVICE long long argmax(Axis axis, Index row, Input input) {
    Index best = 0;
    float largest = input(axis.element(row, 0));
    for (Index a = 1; a < axis.size; ++a) {
        const float value = input(axis.element(row, a));
        if (value > largest) {
            best = a;
            largest = value;
        }
    }
    return best;
}

/// The term of one pair.
template <class Left, class Right>
DEVICE long long count_equal(Index, Index r, Left lhs, Right rhs) {
    return lhs(r) == rhs(r) ? 1 : 0;
}

}

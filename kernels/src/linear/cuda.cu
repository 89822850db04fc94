// Products of the vectors on the last axis with a matrix.

namespace graven {

struct Linear {
    Index in_features, out_features;
    /// The weight is [in_features, out_features] instead of [out_features, in_features].
    bool transposed;
};

struct OuterSum {
    Index rows, columns;
};

/// input [.., in_features], weight -> [.., out_features]: the term of one input feature
template <class Input, class Weight>
DEVICE float linear_forward(Linear sizes, Index at, Index r, Input input, Weight weight) {
    const Index vector = at / sizes.out_features, o = at % sizes.out_features;
    return input(vector * sizes.in_features + r)
        * weight(sizes.transposed ? r * sizes.out_features + o : o * sizes.in_features + r);
}

/// lhs [.., rows], rhs [.., columns] -> [rows, columns]: the term of one vector
template <class Left, class Right>
DEVICE float outer_sum(OuterSum sizes, Index at, Index r, Left lhs, Right rhs) {
    return lhs(r * sizes.rows + at / sizes.columns) * rhs(r * sizes.columns + at % sizes.columns);
}

}

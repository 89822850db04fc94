// Products of matrices.

namespace graven {

struct Matmul {
    Index m, k, n;
    /// lhs is stored as [k, m], rhs as [n, k].
    bool transpose_lhs, transpose_rhs;
    /// Whether an operand has a matrix for each product, or one for all.
    bool lhs_batched, rhs_batched;
};

/// lhs [.., m, k], rhs [.., k, n] -> [.., m, n]: the term of one inner position
template <class Left, class Right>
DEVICE float matmul(Matmul sizes, Index at, Index r, Left lhs, Right rhs) {
    const Index column = at % sizes.n, row = at / sizes.n % sizes.m, batch = at / (sizes.n * sizes.m);
    const Index left = sizes.lhs_batched ? batch * sizes.m * sizes.k : 0;
    const Index right = sizes.rhs_batched ? batch * sizes.k * sizes.n : 0;
    return lhs(left + (sizes.transpose_lhs ? r * sizes.m + row : row * sizes.k + r))
        * rhs(right + (sizes.transpose_rhs ? column * sizes.k + r : r * sizes.n + column));
}

}

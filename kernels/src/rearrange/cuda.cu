// Copies that move elements and change none.

namespace graven {

template <int RANK> struct Gather {
    Index dims[RANK], strides[RANK];
    Index offset;
};

template <int PARTS> struct Cat {
    Index sizes[PARTS];
    Index inner;
};

struct Pad {
    Index total, start, length, inner;
};

/// Where element `at` of a row-major tensor stands in another one.
template <int RANK>
DEVICE Index gathered(Gather<RANK> sizes, Index at) {
    Index position = sizes.offset;
#pragma unroll
    for (int axis = RANK - 1; axis >= 0; --axis) {
        position += at % sizes.dims[axis] * sizes.strides[axis];
        at /= sizes.dims[axis];
    }
    return position;
}

/// Output element (i0, i1, ..) comes from input element offset + i0 * strides[0] + i1 * strides[1] + ..
template <int RANK, class Input>
DEVICE auto gather(Gather<RANK> sizes, Index at, Input input) {
    return input(gathered(sizes, at));
}

/// Several inputs side by side along an axis: the first one if the position lies in it, else the others.
template <class Input>
DEVICE float cat_from(const Index *sizes, Index inner, Index outer, Index a, Index i, Input input) {
    return input((outer * sizes[0] + a) * inner + i);
}

template <class First, class... Rest>
DEVICE float cat_from(const Index *sizes, Index inner, Index outer, Index a, Index i, First first, Rest... rest) {
    if (a < sizes[0]) return first((outer * sizes[0] + a) * inner + i);
    return cat_from(sizes + 1, inner, outer, a - sizes[0], i, rest...);
}

template <int PARTS, class... Inputs>
DEVICE float cat(Cat<PARTS> sizes, Index at, Inputs... inputs) {
    Index total = 0;
#pragma unroll
    for (int part = 0; part < PARTS; ++part) total += sizes.sizes[part];
    return cat_from(sizes.sizes, sizes.inner, at / (total * sizes.inner), at / sizes.inner % total, at % sizes.inner, inputs...);
}

/// Zeros around a part of an axis.
template <class Input>
DEVICE float pad(Pad sizes, Index at, Input input) {
    const Index outer = at / (sizes.total * sizes.inner), i = at % sizes.inner;
    const Index a = at / sizes.inner % sizes.total - sizes.start;
    if (a < 0 || a >= sizes.length) return 0.0f;
    return input((outer * sizes.length + a) * sizes.inner + i);
}

}

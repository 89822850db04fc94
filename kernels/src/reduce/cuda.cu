// Sums over some axes of a row-major tensor.

namespace graven {

template <int RANK> struct Axes {
    Index dims[RANK];
    /// Which axes are summed; the others keep their order in the result.
    bool summed[RANK];
};

/// The term of one position in the summed axes
template <int RANK, class Input>
DEVICE float sum_axes(Axes<RANK> axes, Index at, Index r, Input input) {
    Index position = 0, stride = 1;
#pragma unroll
    for (int axis = RANK - 1; axis >= 0; --axis) {
        Index &rest = axes.summed[axis] ? r : at;
        position += rest % axes.dims[axis] * stride;
        rest /= axes.dims[axis];
        stride *= axes.dims[axis];
    }
    return input(position);
}

}

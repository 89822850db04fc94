//! Walking over strided tensors: the check at the door and the step from one row to the next.

/// Panics unless every element (i0, i1, ..) of `dims`, at `offset + i0 * strides[0] + ..`, lies in a slice of `len` elements.
#[track_caller]
pub(crate) fn check(what: &str, dims: &[usize], strides: &[usize], offset: usize, len: usize) {
    if dims.contains(&0) {
        return;
    }
    let last = dims
        .iter()
        .zip(strides)
        .try_fold(offset, |sum, (&dim, &stride)| sum.checked_add((dim - 1).checked_mul(stride)?));
    assert!(
        last.is_some_and(|last| last < len),
        "{what}: dims {dims:?} with strides {strides:?} from {offset} on leave a slice of {len} elements"
    );
}

/// The number of elements of `dims`; panics if it is no usize.
#[track_caller]
pub(crate) fn product(dims: &[usize]) -> usize {
    dims.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim)).expect("the tensor is too large")
}

/// Panics unless every size fits into 31 bits, so that no sum and no product of two of them overflows.
#[track_caller]
pub(crate) fn bounded(sizes: &[usize]) {
    assert!(sizes.iter().all(|&size| size < 1 << 31), "a size of {sizes:?} is too large");
}

/// Moves `index` on to the next position over `dims`, the last axis fastest, and `offsets` with it: offset j moves by
/// `strides(j, axis)` with each step along an axis. Behind the last position everything is back at the start.
#[inline(always)]
pub(crate) fn advance<const K: usize>(
    index: &mut [usize],
    dims: &[usize],
    strides: impl Fn(usize, usize) -> usize,
    offsets: &mut [usize; K],
) {
    for axis in (0..dims.len()).rev() {
        index[axis] += 1;
        for (j, offset) in offsets.iter_mut().enumerate() {
            *offset += strides(j, axis);
        }
        if index[axis] < dims[axis] {
            return;
        }
        index[axis] = 0;
        for (j, offset) in offsets.iter_mut().enumerate() {
            *offset -= strides(j, axis) * dims[axis];
        }
    }
}

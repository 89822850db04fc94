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

/// The same number or pointer, of which the compiler does not see how it came about.
macro_rules! unrelated {
    ($value:expr) => {{
        let mut value = $value;
        // SAFETY: there is no instruction.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            std::arch::asm!("/* {} */", inout(reg) value, options(pure, readonly, nostack, preserves_flags));
        }
        value
    }};
}

/// The way to eight vectors that are a step apart without an addition for each, since an address of the processor has room for one,
/// two, four or eight times a register. Left alone, the compiler computes each address from the one before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps {
    /// 1, 3, 5 and 7 steps in bytes.
    odd: [usize; 4],
}

impl Steps {
    /// Steps of so many floats.
    #[inline(always)]
    pub(crate) fn of(step: usize) -> Steps {
        let step = step.wrapping_mul(size_of::<f32>());
        Steps { odd: [unrelated!(step), unrelated!(3 * step), unrelated!(5 * step), unrelated!(7 * step)] }
    }

    /// What gives `pointer` and i steps for i in 0..8.
    #[inline(always)]
    pub(crate) fn along(self, pointer: *const f32) -> impl Fn(usize) -> *const f32 {
        let pointer = unrelated!(pointer);
        #[inline(always)]
        move |i| pointer.wrapping_byte_add(self.bytes(i))
    }

    /// As [`Steps::along`].
    #[inline(always)]
    pub(crate) fn along_mut(self, pointer: *mut f32) -> impl Fn(usize) -> *mut f32 {
        let pointer = unrelated!(pointer);
        #[inline(always)]
        move |i| pointer.wrapping_byte_add(self.bytes(i))
    }

    #[inline(always)]
    fn bytes(self, i: usize) -> usize {
        let twos = i.trailing_zeros();
        if i == 0 { 0 } else { self.odd[(i >> twos) / 2] << twos }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_lead_to_eight_vectors() {
        let mut floats = [0.0_f32; 8 * 48];
        for step in [0, 1, 16, 48] {
            let (at, at_mut) = (Steps::of(step).along(floats.as_ptr()), Steps::of(step).along_mut(floats.as_mut_ptr()));
            for i in 0..8 {
                assert_eq!(at(i), floats.as_ptr().wrapping_add(i * step), "{i} steps of {step}");
                assert_eq!(at_mut(i).cast_const(), at(i));
            }
        }
    }
}

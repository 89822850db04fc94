//! CPU kernels of softmax and log-softmax.

use super::Axis;
use crate::LANES;
use crate::cpu::lanes::Lanes;
use crate::cpu::math;
use crate::cpu::{Context, instantiate, walk};

/// e^x / Σ e^x along the axis. input, output [outer, size, inner].
///
/// Panics if a slice does not have its size.
pub fn softmax(cx: &Context, axis: &Axis, input: &[f32], output: &mut [f32]) {
    check(axis, "softmax", input.len(), output.len());
    // SAFETY: the lengths are checked.
    unsafe { softmax_on(cx.isa, axis, input.as_ptr(), output.as_mut_ptr()) };
}

/// x − log Σ e^x along the axis. input, output [outer, size, inner].
///
/// Panics if a slice does not have its size.
pub fn log_softmax(cx: &Context, axis: &Axis, input: &[f32], output: &mut [f32]) {
    check(axis, "log_softmax", input.len(), output.len());
    // SAFETY: the lengths are checked.
    unsafe { log_softmax_on(cx.isa, axis, input.as_ptr(), output.as_mut_ptr()) };
}

#[track_caller]
fn check(axis: &Axis, kernel: &str, input: usize, output: usize) {
    let elements = walk::product(&[axis.outer, axis.size, axis.inner]);
    assert_eq!(input, elements, "softmax::{kernel}: the input does not fit {axis:?}");
    assert_eq!(output, elements, "softmax::{kernel}: the output does not fit {axis:?}");
}

/// Up to 16 columns that stand side by side: element a of them is a vector at `a * inner`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    pub(crate) size: usize,
    pub(crate) inner: usize,
    /// How many columns there are, 1..=16.
    pub(crate) n: usize,
}

impl Columns {
    /// # Safety
    /// Element `a` of the columns from `from` on is readable; the set of `L` is enabled.
    #[inline(always)]
    pub(crate) unsafe fn load<L: Lanes>(self, from: *const f32, a: usize) -> L {
        // SAFETY: the contract of this function.
        unsafe {
            let from = from.add(a * self.inner);
            if self.n == LANES { L::load(from) } else { L::load_first(from, self.n, 0.0) }
        }
    }

    /// # Safety
    /// Element `a` of the columns from `to` on is writable; the set of `L` is enabled.
    #[inline(always)]
    pub(crate) unsafe fn store<L: Lanes>(self, vector: L, to: *mut f32, a: usize) {
        // SAFETY: the contract of this function.
        unsafe {
            let to = to.add(a * self.inner);
            if self.n == LANES { vector.store(to) } else { vector.store_first(to, self.n) }
        }
    }

    /// (maximum, Σ e^(x − maximum)) of every column.
    ///
    /// # Safety
    /// The columns from `from` on are readable; the set of `L` is enabled.
    #[inline(always)]
    pub(crate) unsafe fn statistics<L: Lanes>(self, from: *const f32) -> (L, L) {
        // SAFETY: the contract of this function.
        unsafe {
            // Subtracting the maximum keeps exp from overflowing.
            let mut largest = L::splat(f32::NEG_INFINITY);
            for a in 0..self.size {
                largest = largest.max(self.load(from, a));
            }
            let mut sum = L::splat(0.0);
            for a in 0..self.size {
                sum = sum.add(self.load::<L>(from, a).sub(largest).exp());
            }
            (largest, sum)
        }
    }
}

/// Calls `f` with every block of at most 16 columns, and the offset of its first element.
#[inline(always)]
pub(crate) fn each_columns(axis: &Axis, mut f: impl FnMut(Columns, usize)) {
    let Axis { outer, size, inner } = *axis;
    for o in 0..outer {
        for i in (0..inner).step_by(LANES) {
            let offset = o * size * inner + i;
            // Two calls, so that the one for full vectors is compiled without masks.
            if inner - i >= LANES {
                f(Columns { size, inner, n: LANES }, offset);
            } else {
                f(Columns { size, inner, n: inner - i }, offset);
            }
        }
    }
}

/// A row of floats side by side, in vectors of 16 along the axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) size: usize,
}

impl Row {
    /// Calls `f` with the position of every vector, how many floats of it belong to the row, and the vector itself; lanes
    /// behind the row hold −∞, whose exponential is zero.
    ///
    /// # Safety
    /// The row at `from` is readable; the set of `L` is enabled.
    #[inline(always)]
    pub(crate) unsafe fn each<L: Lanes>(self, from: *const f32, mut f: impl FnMut(usize, usize, L)) {
        let mut a = 0;
        // SAFETY: the contract of this function.
        unsafe {
            while a + LANES <= self.size {
                f(a, LANES, L::load(from.add(a)));
                a += LANES;
            }
            if a < self.size {
                f(a, self.size - a, L::load_first(from.add(a), self.size - a, f32::NEG_INFINITY));
            }
        }
    }

    /// (maximum, Σ e^(x − maximum)).
    ///
    /// # Safety
    /// The row at `from` is readable; the set of `L` is enabled.
    #[inline(always)]
    pub(crate) unsafe fn statistics<L: Lanes>(self, from: *const f32) -> (f32, f32) {
        // SAFETY: the contract of this function.
        unsafe {
            let mut largest = L::splat(f32::NEG_INFINITY);
            self.each(
                from,
                #[inline(always)]
                |_, _, x: L| largest = largest.max(x),
            );
            let largest = largest.to_array().into_iter().fold(f32::NEG_INFINITY, math::max);
            let mut sum = L::splat(0.0);
            self.each(
                from,
                #[inline(always)]
                |_, _, x: L| sum = sum.add(x.sub(L::splat(largest)).exp()),
            );
            (largest, sum.sum())
        }
    }
}

/// # Safety
/// The pointers are valid for the elements of `axis`; the set of `L` is enabled.
#[inline(always)]
unsafe fn softmax_in<L: Lanes>(axis: &Axis, input: *const f32, output: *mut f32) {
    if axis.inner == 1 {
        for o in 0..axis.outer {
            let row = Row { size: axis.size };
            // SAFETY: row o lies in both tensors.
            unsafe {
                let (from, to) = (input.add(o * axis.size), output.add(o * axis.size));
                let (largest, sum) = row.statistics::<L>(from);
                row.each(
                    from,
                    #[inline(always)]
                    |a, n, x: L| {
                        x.sub(L::splat(largest)).exp().div(L::splat(sum)).store_first(to.add(a), n);
                    },
                );
            }
        }
        return;
    }
    each_columns(
        axis,
        #[inline(always)]
        |columns, offset| {
            // SAFETY: the columns lie in both tensors.
            unsafe {
                let (from, to) = (input.add(offset), output.add(offset));
                // pass 1: the maximum; pass 2: the exponentials and their sum; pass 3: divide.
                let mut largest = L::splat(f32::NEG_INFINITY);
                for a in 0..columns.size {
                    largest = largest.max(columns.load(from, a));
                }
                let mut sum = L::splat(0.0);
                for a in 0..columns.size {
                    let power = columns.load::<L>(from, a).sub(largest).exp();
                    columns.store(power, to, a);
                    sum = sum.add(power);
                }
                for a in 0..columns.size {
                    columns.store(columns.load::<L>(to, a).div(sum), to, a);
                }
            }
        },
    );
}

/// # Safety
/// As for [`softmax_in`].
#[inline(always)]
unsafe fn log_softmax_in<L: Lanes>(axis: &Axis, input: *const f32, output: *mut f32) {
    if axis.inner == 1 {
        for o in 0..axis.outer {
            let row = Row { size: axis.size };
            // SAFETY: row o lies in both tensors.
            unsafe {
                let (from, to) = (input.add(o * axis.size), output.add(o * axis.size));
                let (largest, sum) = row.statistics::<L>(from);
                let (largest, log) = (L::splat(largest), L::splat(math::log(sum)));
                row.each(
                    from,
                    #[inline(always)]
                    |a, n, x: L| x.sub(largest).sub(log).store_first(to.add(a), n),
                );
            }
        }
        return;
    }
    each_columns(
        axis,
        #[inline(always)]
        |columns, offset| {
            // SAFETY: the columns lie in both tensors.
            unsafe {
                let (from, to) = (input.add(offset), output.add(offset));
                let (largest, sum) = columns.statistics::<L>(from);
                let log = sum.log();
                for a in 0..columns.size {
                    columns.store(columns.load::<L>(from, a).sub(largest).sub(log), to, a);
                }
            }
        },
    );
}

instantiate!(unsafe fn softmax_on = softmax_in(axis: &Axis, input: *const f32, output: *mut f32));
instantiate!(unsafe fn log_softmax_on = log_softmax_in(axis: &Axis, input: *const f32, output: *mut f32));

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

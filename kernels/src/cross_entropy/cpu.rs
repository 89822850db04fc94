//! CPU kernels of the cross-entropy.

use crate::LANES;
use crate::cpu::lanes::Lanes;
use crate::cpu::math;
use crate::cpu::{Context, instantiate, walk};
use crate::softmax::{Axis, Columns, Row, each_columns};

/// log Σ e^x − x\[label\] along the axis.
///
/// logits [outer, size, inner], labels [outer, inner] -> output [outer, inner]. A label outside of 0..size gives NaN.
///
/// Panics if a slice does not have its size.
pub fn forward(cx: &Context, axis: &Axis, logits: &[f32], labels: &[i64], output: &mut [f32]) {
    check(axis, "forward", logits.len(), labels.len(), output.len());
    // SAFETY: the lengths are checked.
    unsafe { forward_on(cx.isa, axis, logits.as_ptr(), labels.as_ptr(), output.as_mut_ptr()) };
}

/// (softmax(x) − one-hot(label)) · grad_output: the gradient of [`forward`] with respect to the logits, which is overwritten.
///
/// logits [outer, size, inner], labels and grad_output [outer, inner] -> grad_logits [outer, size, inner]. A label outside of
/// 0..size gives NaN.
///
/// Panics if a slice does not have its size.
pub fn grad(cx: &Context, axis: &Axis, logits: &[f32], labels: &[i64], grad_output: &[f32], grad_logits: &mut [f32]) {
    check(axis, "grad", logits.len(), labels.len(), grad_output.len());
    assert_eq!(grad_logits.len(), logits.len(), "cross_entropy::grad: grad_logits does not fit {axis:?}");
    let (logits, labels, grad_output) = (logits.as_ptr(), labels.as_ptr(), grad_output.as_ptr());
    // SAFETY: the lengths are checked.
    unsafe { grad_on(cx.isa, axis, logits, labels, grad_output, grad_logits.as_mut_ptr()) };
}

#[track_caller]
fn check(axis: &Axis, kernel: &str, logits: usize, labels: usize, rows: usize) {
    assert_eq!(
        logits,
        walk::product(&[axis.outer, axis.size, axis.inner]),
        "cross_entropy::{kernel}: the logits do not fit {axis:?}"
    );
    assert_eq!(
        labels,
        walk::product(&[axis.outer, axis.inner]),
        "cross_entropy::{kernel}: the labels do not fit {axis:?}"
    );
    assert_eq!(
        rows,
        walk::product(&[axis.outer, axis.inner]),
        "cross_entropy::{kernel}: the losses' side does not fit {axis:?}"
    );
}

/// The label as an index, if it is one.
#[inline(always)]
fn class(label: i64, size: usize) -> Option<usize> {
    usize::try_from(label).ok().filter(|&label| label < size)
}

/// # Safety
/// The pointers are valid for the elements of `axis`; the set of `L` is enabled.
#[inline(always)]
unsafe fn forward_in<L: Lanes>(axis: &Axis, logits: *const f32, labels: *const i64, output: *mut f32) {
    if axis.inner == 1 {
        for o in 0..axis.outer {
            // SAFETY: row o lies in the tensors, and `class` is below the row's size.
            unsafe {
                let logits = logits.add(o * axis.size);
                let (largest, sum) = Row { size: axis.size }.statistics::<L>(logits);
                let logit = class(*labels.add(o), axis.size).map_or(f32::NAN, |class| *logits.add(class));
                *output.add(o) = math::log(sum) - (logit - largest);
            }
        }
        return;
    }
    each_columns(
        axis,
        #[inline(always)]
        |columns, offset| {
            // SAFETY: the columns lie in the tensors, and `class` is below their size.
            unsafe {
                let (logits, row) = (logits.add(offset), row_of(axis, offset));
                let (largest, sum) = columns.statistics::<L>(logits);
                let mut picked = [0.0; LANES];
                for (i, picked) in picked.iter_mut().enumerate().take(columns.n) {
                    let class = class(*labels.add(row + i), axis.size);
                    *picked = class.map_or(f32::NAN, |class| *logits.add(class * axis.inner + i));
                }
                let losses = sum.log().sub(L::load(picked.as_ptr()).sub(largest));
                Columns { size: 1, ..columns }.store(losses, output.add(row), 0);
            }
        },
    );
}

/// # Safety
/// As for [`forward_in`].
#[inline(always)]
unsafe fn grad_in<L: Lanes>(
    axis: &Axis,
    logits: *const f32,
    labels: *const i64,
    grad_output: *const f32,
    grad_logits: *mut f32,
) {
    if axis.inner == 1 {
        for o in 0..axis.outer {
            // SAFETY: row o lies in the tensors, and `class` is below the row's size.
            unsafe {
                let (logits, grad_logits) = (logits.add(o * axis.size), grad_logits.add(o * axis.size));
                let (row, class) = (Row { size: axis.size }, class(*labels.add(o), axis.size));
                let (largest, sum) = row.statistics::<L>(logits);
                let grad = if class.is_some() { *grad_output.add(o) } else { f32::NAN };
                let (largest, sum, factor) = (L::splat(largest), L::splat(sum), L::splat(grad));
                row.each(
                    logits,
                    #[inline(always)]
                    |a, n, x: L| {
                        x.sub(largest).exp().div(sum).mul(factor).store_first(grad_logits.add(a), n);
                    },
                );
                if let Some(class) = class {
                    *grad_logits.add(class) -= grad;
                }
            }
        }
        return;
    }
    each_columns(
        axis,
        #[inline(always)]
        |columns, offset| {
            // SAFETY: the columns lie in the tensors, and `class` is below their size.
            unsafe {
                let (logits, grad_logits, row) = (logits.add(offset), grad_logits.add(offset), row_of(axis, offset));
                let (largest, sum) = columns.statistics::<L>(logits);
                let (mut classes, mut grads) = ([None; LANES], [f32::NAN; LANES]);
                for i in 0..columns.n {
                    classes[i] = class(*labels.add(row + i), axis.size);
                    if classes[i].is_some() {
                        grads[i] = *grad_output.add(row + i);
                    }
                }
                let factor = L::load(grads.as_ptr());
                for a in 0..axis.size {
                    let power = columns.load::<L>(logits, a).sub(largest).exp();
                    columns.store(power.div(sum).mul(factor), grad_logits, a);
                }
                for (i, class) in classes.into_iter().enumerate() {
                    if let Some(class) = class {
                        *grad_logits.add(class * axis.inner + i) -= grads[i];
                    }
                }
            }
        },
    );
}

/// Index in [outer, inner] of the columns that start at `offset` in [outer, size, inner].
#[inline(always)]
fn row_of(axis: &Axis, offset: usize) -> usize {
    offset / (axis.size * axis.inner) * axis.inner + offset % axis.inner
}

instantiate!(unsafe fn forward_on = forward_in(axis: &Axis, logits: *const f32, labels: *const i64, output: *mut f32));
instantiate!(unsafe fn grad_on = grad_in(
    axis: &Axis, logits: *const f32, labels: *const i64, grad_output: *const f32, grad_logits: *mut f32,
));

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

//! CPU kernels of products with a matrix of weights. All of them are register tiles of [`gemm`](crate::cpu::gemm).

use super::{GradSizes, Sizes};
use crate::cpu::gemm;
use crate::cpu::{Context, walk};

/// The product of plain rows, a tile in the `rows` layout or a complete tensor: of its first `cx.count * vectors` vectors. What
/// the output holds behind them stays.
///
/// input [.., in_features], weight [out_features, in_features] (or its transpose) -> output [.., out_features].
///
/// Panics if the weight does not have its size, or another slice has less.
pub fn forward(cx: &Context, sizes: &Sizes, input: &[f32], weight: &[f32], output: &mut [f32]) {
    let Sizes { vectors, in_features, out_features, transposed } = *sizes;
    let n = walk::product(&[cx.count, vectors]);
    check(sizes, n, input, weight, output);
    let sizes = [n, in_features, out_features];
    // SAFETY: the lengths are checked above.
    unsafe {
        let (input, weight, output) = (input.as_ptr(), weight.as_ptr(), output.as_mut_ptr());
        if transposed {
            gemm::row_major(cx.isa, sizes, [in_features, 1], false, input, weight, output);
        } else {
            gemm::row_dots(cx.isa, sizes, input, weight, output);
        }
    }
}

/// [`forward`] of a weight [out_features, in_features] that many calls share: `kept` has [`Sizes::packed`] floats for it, transposed,
/// which are made unless `cx.prepared`.
///
/// Panics as [`forward`] does, or if [`Sizes::packed`] is None.
pub fn forward_packed(
    cx: &Context,
    sizes: &Sizes,
    input: &[f32],
    weight: &[f32],
    output: &mut [f32],
    kept: &mut [f32],
) {
    let Sizes { vectors, in_features, out_features, .. } = *sizes;
    let n = walk::product(&[cx.count, vectors]);
    check(sizes, n, input, weight, output);
    let packed = sizes.packed().unwrap_or_else(|| panic!("linear::forward_packed: {sizes:?} is not packed"));
    assert!(kept.len() >= packed, "linear::forward_packed: what is kept is too short");
    // SAFETY: the lengths are checked above.
    unsafe {
        if !cx.prepared {
            gemm::pack(cx.isa, [in_features, out_features], weight.as_ptr(), kept.as_mut_ptr());
        }
        let sizes = [n, in_features, out_features];
        gemm::packed(cx.isa, sizes, input.as_ptr(), kept.as_ptr(), output.as_mut_ptr());
    }
}

/// Panics unless there are n vectors on both sides, and the weight has its size.
#[track_caller]
fn check(sizes: &Sizes, n: usize, input: &[f32], weight: &[f32], output: &[f32]) {
    let Sizes { in_features, out_features, .. } = *sizes;
    assert!(input.len() >= walk::product(&[n, in_features]), "linear::forward: the input does not fit {sizes:?}");
    let elements = walk::product(&[in_features, out_features]);
    assert_eq!(weight.len(), elements, "linear::forward: the weight does not fit {sizes:?}");
    assert!(output.len() >= walk::product(&[n, out_features]), "linear::forward: the output does not fit {sizes:?}");
}

/// The gradient with respect to the weight, added to `grad` if `cx.adds`: the sum of outer products over the first
/// `cx.count * vectors` vectors.
///
/// lhs [16 · vectors, rows], rhs [16 · vectors, columns] -> grad [rows, columns]. With the gradient of the output on the left
/// and the input on the right, it is that of a weight [out_features, in_features].
///
/// Panics if a slice is too short for the vectors that are read, or if `grad` does not have its size.
pub fn grad_weight(cx: &Context, sizes: &GradSizes, lhs: &[f32], rhs: &[f32], grad: &mut [f32]) {
    let GradSizes { vectors, rows, columns } = *sizes;
    let n = walk::product(&[cx.count, vectors]);
    assert!(
        lhs.len() >= walk::product(&[n, rows]),
        "linear::grad_weight: lhs has {} elements, {n} vectors of {rows} are read",
        lhs.len()
    );
    assert!(
        rhs.len() >= walk::product(&[n, columns]),
        "linear::grad_weight: rhs has {} elements, {n} vectors of {columns} are read",
        rhs.len()
    );
    assert_eq!(grad.len(), walk::product(&[rows, columns]), "linear::grad_weight: grad is not [{rows}, {columns}]");
    // SAFETY: the lengths are checked above. The left matrix of this product is the transpose of `lhs`.
    unsafe {
        gemm::row_major(cx.isa, [rows, n, columns], [1, rows], cx.adds, lhs.as_ptr(), rhs.as_ptr(), grad.as_mut_ptr());
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

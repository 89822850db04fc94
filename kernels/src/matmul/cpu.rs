//! CPU kernel of matrix products. All of them are register tiles of [`gemm`](crate::cpu::gemm).

use super::Sizes;
use crate::LANES;
use crate::cpu::gemm::{self, Product};
use crate::cpu::{Context, walk};

/// `batch` products: lhs [batch, m, k, inner] · rhs [batch, k, n, inner] -> output [batch, m, n, inner], with the transposes
/// and missing batch axes that `sizes` names; `inner` is 1 or 16.
///
/// Panics if a slice does not have its size, or if `inner` is another number.
pub fn matmul(cx: &Context, sizes: &Sizes, lhs: &[f32], rhs: &[f32], output: &mut [f32]) {
    let Sizes { batch, m, k, n, inner, transpose_lhs, transpose_rhs, lhs_batched, rhs_batched } = *sizes;
    assert!(inner == 1 || inner == LANES, "matmul: `inner` is 1 or {LANES}, not {inner}");
    let batches = |batched: bool| if batched { batch } else { 1 };
    assert_eq!(lhs.len(), walk::product(&[batches(lhs_batched), m, k, inner]), "matmul: lhs does not fit {sizes:?}");
    assert_eq!(rhs.len(), walk::product(&[batches(rhs_batched), k, n, inner]), "matmul: rhs does not fit {sizes:?}");
    assert_eq!(output.len(), walk::product(&[batch, m, n, inner]), "matmul: output does not fit {sizes:?}");
    let lhs_steps = if transpose_lhs { [inner, m * inner] } else { [k * inner, inner] };
    for i in 0..batch {
        let lhs = if lhs_batched { &lhs[i * m * k * inner..][..m * k * inner] } else { lhs };
        let rhs = if rhs_batched { &rhs[i * k * n * inner..][..k * n * inner] } else { rhs };
        let output = &mut output[i * m * n * inner..][..m * n * inner];
        let (lhs, rhs, output) = (lhs.as_ptr(), rhs.as_ptr(), output.as_mut_ptr());
        // SAFETY: the lengths are checked above, and the slices are those of one product.
        unsafe {
            if inner == LANES {
                let rhs_steps = if transpose_rhs { [k * inner, inner] } else { [inner, n * inner] };
                let product = Product {
                    rows: m,
                    columns: n,
                    depth: k,
                    lhs: lhs_steps,
                    rhs: rhs_steps,
                    output: [n * inner, inner],
                    accumulate: false,
                    complete: 0,
                };
                gemm::vectors(cx.isa, &product, lhs, rhs, output);
            } else {
                match (transpose_lhs, transpose_rhs) {
                    (_, false) => gemm::row_major(cx.isa, [m, k, n], lhs_steps, false, lhs, rhs, output),
                    (false, true) => gemm::row_dots(cx.isa, [m, k, n], lhs, rhs, output),
                    (true, true) => both_transposed([m, k, n], lhs, rhs, output),
                }
            }
        }
    }
}

/// lhs [k, m], rhs [n, k] -> output [m, n]. No layer asks for this, so it is the plain loop.
///
/// # Safety
/// The pointers are valid for the sizes.
unsafe fn both_transposed([m, k, n]: [usize; 3], lhs: *const f32, rhs: *const f32, output: *mut f32) {
    for row in 0..m {
        for column in 0..n {
            // SAFETY: all indices lie in the matrices, which the caller vouches for.
            unsafe {
                *output.add(row * n + column) = (0..k).map(|i| *lhs.add(i * m + row) * *rhs.add(column * k + i)).sum();
            }
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

//! Tests of matrix products against the loops that define them.

use super::*;
use crate::cpu::testing::{assert_close, each_context, random};

#[test]
fn products_are_right_for_every_transpose_and_batch() {
    for inner in [1, LANES] {
        for [m, k, n] in [[1, 1, 1], [3, 5, 7], [6, 17, 33], [5, 16, 16], [13, 4, 3]] {
            for flags in 0..16 {
                let [transpose_lhs, transpose_rhs, lhs_batched, rhs_batched] = [1, 2, 4, 8].map(|bit| flags & bit != 0);
                let batch = if lhs_batched || rhs_batched { 3 } else { 1 };
                let sizes = Sizes { batch, m, k, n, inner, transpose_lhs, transpose_rhs, lhs_batched, rhs_batched };
                let lhs = random(1, if lhs_batched { batch } else { 1 } * m * k * inner);
                let rhs = random(2, if rhs_batched { batch } else { 1 } * k * n * inner);
                let mut wanted = vec![0.0; batch * m * n * inner];
                for (index, wanted) in wanted.iter_mut().enumerate() {
                    let (b, row, column, lane) =
                        (index / (m * n * inner), index / (n * inner) % m, index / inner % n, index % inner);
                    for i in 0..k {
                        let left = if transpose_lhs { i * m + row } else { row * k + i };
                        let right = if transpose_rhs { column * k + i } else { i * n + column };
                        let left = (if lhs_batched { b * m * k } else { 0 } + left) * inner + lane;
                        let right = (if rhs_batched { b * k * n } else { 0 } + right) * inner + lane;
                        *wanted += f64::from(lhs[left]) * f64::from(rhs[right]);
                    }
                }
                each_context(|cx| {
                    let mut output = vec![f32::NAN; wanted.len()];
                    matmul(&cx, &sizes, &lhs, &rhs, &mut output);
                    assert_close(&format!("{cx:?} {sizes:?}"), &output, &wanted, 1e-5);
                });
            }
        }
    }
}

//! CPU kernels of argmax and the count of equal integers.

use super::Count;
use crate::LANES;
use crate::cpu::{Context, walk};
use crate::softmax::Axis;

/// Position of the largest element along the axis, the first one of several; the first NaN if there is one.
///
/// input [outer, size, inner] -> output [outer, inner].
///
/// Panics if a slice does not have its size, or if `size` is 0.
pub fn argmax(cx: &Context, axis: &Axis, input: &[f32], output: &mut [i64]) {
    let Axis { outer, size, inner } = *axis;
    assert!(size > 0, "argmax: an axis without elements has no largest one");
    assert_eq!(input.len(), walk::product(&[outer, size, inner]), "argmax: the input does not fit {axis:?}");
    assert_eq!(output.len(), walk::product(&[outer, inner]), "argmax: the output does not fit {axis:?}");
    if inner == 1 {
        // Element by element; but the processor works at several rows, since none waits for another.
        input.chunks_exact(size).zip(output).for_each(|(row, position)| *position = first_largest(row));
        return;
    }
    cx.isa.run(
        #[inline(always)]
        || {
            for (input, output) in input.chunks_exact((size * inner).max(1)).zip(output.chunks_exact_mut(inner.max(1)))
            {
                for (block, positions) in output.chunks_mut(LANES).enumerate() {
                    let mut largest = [f32::NEG_INFINITY; LANES];
                    positions.fill(0);
                    for a in 0..size {
                        let elements = &input[a * inner + block * LANES..][..positions.len()];
                        for ((&element, largest), position) in elements.iter().zip(&mut largest).zip(&mut *positions) {
                            // Written as selections, which are vectorised.
                            let wins = element > *largest || (element.is_nan() && !largest.is_nan());
                            *largest = if wins { element } else { *largest };
                            *position = if wins { a as i64 } else { *position };
                        }
                    }
                }
            }
        },
    );
}

/// Position of the largest element of a row, the first one of several; the first NaN if there is one.
fn first_largest(row: &[f32]) -> i64 {
    let (mut largest, mut position) = (f32::NEG_INFINITY, 0);
    for (a, &element) in row.iter().enumerate() {
        let wins = element > largest || (element.is_nan() && !largest.is_nan());
        largest = if wins { element } else { largest };
        position = if wins { a as i64 } else { position };
    }
    position
}

/// Adds to `total[0]`, or puts there unless `cx.adds`, how many elements of `lhs` and `rhs` are equal; in a tile, among the first
/// `cx.count` samples.
///
/// lhs, rhs [features, samples] or [samples, features].
///
/// Panics if a slice does not have its size.
pub fn count_equal(cx: &Context, count: &Count, lhs: &[i64], rhs: &[i64], total: &mut [i64]) {
    let Count { samples, features, samples_last, tile } = *count;
    assert_eq!(lhs.len(), walk::product(&[samples, features]), "count_equal: lhs does not fit {count:?}");
    assert_eq!(rhs.len(), walk::product(&[samples, features]), "count_equal: rhs does not fit {count:?}");
    assert_eq!(total.len(), 1, "count_equal: the total is one number");
    let valid = if tile { cx.count.min(samples) } else { samples };
    let equal = |lhs: &[i64], rhs: &[i64]| lhs.iter().zip(rhs).filter(|(lhs, rhs)| lhs == rhs).count() as i64;
    let n: i64 = if samples_last {
        let rows = lhs.chunks_exact(samples.max(1)).zip(rhs.chunks_exact(samples.max(1)));
        rows.map(|(lhs, rhs)| equal(&lhs[..valid], &rhs[..valid])).sum()
    } else {
        equal(&lhs[..valid * features], &rhs[..valid * features])
    };
    total[0] = if cx.adds { total[0] + n } else { n };
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

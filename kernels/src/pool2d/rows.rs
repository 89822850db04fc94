//! Pooling of a single sample, [C, H, W]: first down the columns, whose elements stand side by side, into one row for each
//! row of the output, then along these rows.

use super::Sizes;
use super::cpu::{check, window};
use crate::cpu::{Context, math};

/// Largest element of every window; NaN if there is one in it.
///
/// input [C, H, W] -> output [C, H_out, W_out]; `scratch` has [`Sizes::rows_scratch`] floats.
///
/// Panics if a slice does not have its size.
pub fn max_rows(cx: &Context, sizes: &Sizes, input: &[f32], output: &mut [f32], scratch: &mut [f32]) {
    check(sizes, "max_rows", 1, input.len(), output.len());
    cx.isa.run(
        #[inline(always)]
        || {
            pool(
                sizes,
                input,
                output,
                scratch,
                #[inline(always)]
                |largest, x| math::max(largest, x),
            );
        },
    );
}

/// Mean of every window; padding counts as zeros.
///
/// input [C, H, W] -> output [C, H_out, W_out]; `scratch` has [`Sizes::rows_scratch`] floats.
///
/// Panics if a slice does not have its size.
pub fn avg_rows(cx: &Context, sizes: &Sizes, input: &[f32], output: &mut [f32], scratch: &mut [f32]) {
    check(sizes, "avg_rows", 1, input.len(), output.len());
    let area = (sizes.kernel_size[0] * sizes.kernel_size[1]) as f32;
    cx.isa.run(
        #[inline(always)]
        || {
            pool(
                sizes,
                input,
                output,
                scratch,
                #[inline(always)]
                |sum, x| sum + x,
            );
            output.iter_mut().for_each(|sum| *sum /= area);
        },
    );
}

/// Both passes, with `merge` for what a window does with its elements.
#[inline(always)]
fn pool(
    sizes: &Sizes,
    input: &[f32],
    output: &mut [f32],
    scratch: &mut [f32],
    merge: impl Fn(f32, f32) -> f32 + Copy,
) {
    let (width, out_width) = (sizes.width, sizes.out_width());
    let rows = &mut scratch[..sizes.rows_scratch()];
    let images = input.chunks_exact(sizes.height * width);
    for (image, rows) in images.zip(rows.chunks_exact_mut(sizes.out_height() * width)) {
        for (y, row) in rows.chunks_exact_mut(width).enumerate() {
            merge_rows(image, window(sizes, 0, y), row, merge);
        }
    }
    let regular = sizes.padding[1] == 0 && width == out_width * sizes.stride[1];
    match (sizes.kernel_size[1], sizes.stride[1]) {
        // Windows that tile the rows: all rows are one.
        (2, 2) if regular => merge_columns::<2>(rows, output, merge),
        (3, 3) if regular => merge_columns::<3>(rows, output, merge),
        _ => {
            for (row, output) in rows.chunks_exact(width).zip(output.chunks_exact_mut(out_width)) {
                for (x, element) in output.iter_mut().enumerate() {
                    let columns = &row[window(sizes, 1, x)];
                    *element = columns[1..].iter().fold(columns[0], |merged, x| merge(merged, *x));
                }
            }
        }
    }
}

/// The rows of an image, merged into one.
#[inline(always)]
fn merge_rows(
    image: &[f32],
    rows: std::ops::Range<usize>,
    merged: &mut [f32],
    merge: impl Fn(f32, f32) -> f32 + Copy,
) {
    let width = merged.len();
    let row = |y: usize| &image[y * width..][..width];
    // The first two at once: most windows have no more.
    let rest = if rows.len() > 1 {
        let elements = row(rows.start).iter().zip(row(rows.start + 1));
        merged.iter_mut().zip(elements).for_each(|(to, (a, b))| *to = merge(*a, *b));
        rows.start + 2..rows.end
    } else {
        merged.copy_from_slice(row(rows.start));
        rows.start + 1..rows.end
    };
    for y in rest {
        merged.iter_mut().zip(row(y)).for_each(|(to, x)| *to = merge(*to, *x));
    }
}

/// K neighbours become one.
#[inline(always)]
fn merge_columns<const K: usize>(rows: &[f32], output: &mut [f32], merge: impl Fn(f32, f32) -> f32 + Copy) {
    let rows = &rows[..output.len() * K];
    for (i, element) in output.iter_mut().enumerate() {
        let mut merged = rows[i * K];
        for k in 1..K {
            merged = merge(merged, rows[i * K + k]);
        }
        *element = merged;
    }
}

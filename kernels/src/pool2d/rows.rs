//! Pooling of a single sample, [C, H, W]: first down the columns, whose elements stand side by side, into one row for each
//! row of the output, then along these rows.

use std::ops::Range;

use super::Sizes;
use super::cpu::{check, window};
use crate::LANES;
use crate::cpu::lanes::Lanes;
use crate::cpu::{Context, instantiate};

/// Largest element of every window; NaN if there is one in it.
///
/// input [C, H, W] -> output [C, H_out, W_out]; `scratch` has [`Sizes::rows_scratch`] floats.
///
/// Panics if a slice does not have its size.
pub fn max_rows(cx: &Context, sizes: &Sizes, input: &[f32], output: &mut [f32], scratch: &mut [f32]) {
    check(sizes, "max_rows", 1, input.len(), output.len());
    assert!(scratch.len() >= sizes.rows_scratch(), "pool2d::max_rows: scratch is too short");
    // SAFETY: the lengths are checked, and windows are cut to the image.
    unsafe { max_on(cx.isa, sizes, input.as_ptr(), output.as_mut_ptr(), scratch.as_mut_ptr()) };
}

/// Mean of every window; padding counts as zeros.
///
/// input [C, H, W] -> output [C, H_out, W_out]; `scratch` has [`Sizes::rows_scratch`] floats.
///
/// Panics if a slice does not have its size.
pub fn avg_rows(cx: &Context, sizes: &Sizes, input: &[f32], output: &mut [f32], scratch: &mut [f32]) {
    check(sizes, "avg_rows", 1, input.len(), output.len());
    assert!(scratch.len() >= sizes.rows_scratch(), "pool2d::avg_rows: scratch is too short");
    // SAFETY: the lengths are checked, and windows are cut to the image.
    unsafe { avg_on(cx.isa, sizes, input.as_ptr(), output.as_mut_ptr(), scratch.as_mut_ptr()) };
}

/// # Safety
/// The pointers are valid for the sizes, which have passed [`check`]; the set of `L` is enabled.
#[inline(always)]
unsafe fn max_in<L: Lanes>(sizes: &Sizes, input: *const f32, output: *mut f32, scratch: *mut f32) {
    // SAFETY: the contract of this function.
    unsafe {
        pool(
            sizes,
            input,
            output,
            scratch,
            #[inline(always)]
            |largest: L, x| largest.max(x),
        );
    }
}

/// # Safety
/// As for [`max_in`].
#[inline(always)]
unsafe fn avg_in<L: Lanes>(sizes: &Sizes, input: *const f32, output: *mut f32, scratch: *mut f32) {
    let outputs = sizes.channels * sizes.out_height() * sizes.out_width();
    // SAFETY: the contract of this function.
    unsafe {
        pool(
            sizes,
            input,
            output,
            scratch,
            #[inline(always)]
            |sum: L, x| sum.add(x),
        );
        let area = L::splat((sizes.kernel_size[0] * sizes.kernel_size[1]) as f32);
        for i in (0..outputs).step_by(LANES) {
            let to = output.add(i);
            L::load_up_to(to, outputs - i).div(area).store_up_to(to, outputs - i);
        }
    }
}

/// Both passes; `merge` is what a window does with its elements.
///
/// # Safety
/// As for [`max_in`].
#[inline(always)]
unsafe fn pool<L: Lanes>(
    sizes: &Sizes,
    input: *const f32,
    output: *mut f32,
    scratch: *mut f32,
    merge: impl Fn(L, L) -> L,
) {
    // SAFETY: the contract of this function.
    unsafe {
        pool_columns(sizes, input, scratch, &merge);
        pool_rows(sizes, scratch, output, &merge);
    }
}

/// input [C, H, W] -> rows [C, H_out, W]. Rows are written in whole vectors, one after the other: what one writes beyond its
/// end, the next one overwrites.
///
/// # Safety
/// As for [`max_in`].
#[inline(always)]
unsafe fn pool_columns<L: Lanes>(sizes: &Sizes, input: *const f32, rows: *mut f32, merge: &impl Fn(L, L) -> L) {
    let (width, out_height) = (sizes.width, sizes.out_height());
    for c in 0..sizes.channels {
        for y in 0..out_height {
            let window = window(sizes, 0, y);
            for x in (0..width).step_by(LANES) {
                // SAFETY: the rows of the window lie in the image of the channel, and the scratch has a vector behind its rows.
                unsafe {
                    let column = input.add(c * sizes.height * width + x);
                    let mut merged = L::load_up_to(column.add(window.start * width), width - x);
                    for row in window.start + 1..window.end {
                        merged = merge(merged, L::load_up_to(column.add(row * width), width - x));
                    }
                    merged.store(rows.add((c * out_height + y) * width + x));
                }
            }
        }
    }
}

/// rows [C, H_out, W] -> output [C, H_out, W_out].
///
/// # Safety
/// As for [`max_in`].
#[inline(always)]
unsafe fn pool_rows<L: Lanes>(sizes: &Sizes, rows: *const f32, output: *mut f32, merge: &impl Fn(L, L) -> L) {
    let (n_rows, out_width) = (sizes.channels * sizes.out_height(), sizes.out_width());
    // Pairs that tile the rows: all rows are one.
    if sizes.kernel_size[1] == 2 && sizes.stride[1] == 2 && sizes.padding[1] == 0 && sizes.width == 2 * out_width {
        let outputs = n_rows * out_width;
        for i in (0..outputs).step_by(LANES) {
            // SAFETY: elements 2 i.. are in the rows or in the vectors behind them.
            unsafe {
                let from = rows.add(2 * i);
                let [evens, odds] = L::evens_and_odds(L::load(from), L::load(from.add(LANES)));
                merge(evens, odds).store_up_to(output.add(i), outputs - i);
            }
        }
        return;
    }
    for r in 0..n_rows {
        for x in 0..out_width {
            let Range { start, end } = window(sizes, 1, x);
            // SAFETY: the window lies in the row. What the other lanes hold goes nowhere.
            unsafe {
                let row = rows.add(r * sizes.width);
                let mut merged = L::splat(*row.add(start));
                for column in start + 1..end {
                    merged = merge(merged, L::splat(*row.add(column)));
                }
                merged.store_first(output.add(r * out_width + x), 1);
            }
        }
    }
}

instantiate!(unsafe fn max_on = max_in(sizes: &Sizes, input: *const f32, output: *mut f32, scratch: *mut f32));
instantiate!(unsafe fn avg_on = avg_in(sizes: &Sizes, input: *const f32, output: *mut f32, scratch: *mut f32));

//! CPU kernels of pooling in the `samples` layout.

use std::ops::Range;

use super::Sizes;
use crate::LANES;
use crate::cpu::lanes::Lanes;
use crate::cpu::{Context, instantiate, walk};

/// Largest element of every window; NaN if there is one in it.
///
/// input [C, H, W, 16] -> output [C, H_out, W_out, 16].
///
/// Panics if a slice does not have its size.
pub fn max_forward(cx: &Context, sizes: &Sizes, input: &[f32], output: &mut [f32]) {
    check(sizes, "max_forward", LANES, input.len(), output.len());
    // SAFETY: the lengths are checked, and windows are cut to the image.
    unsafe { max_forward_on(cx.isa, sizes, input.as_ptr(), output.as_mut_ptr()) };
}

/// The gradient of [`max_forward`] with respect to its input; `grad_input` is overwritten.
///
/// input [C, H, W, 16], output and grad_output [C, H_out, W_out, 16] -> grad_input [C, H, W, 16]. The first of equal maxima
/// gets the gradient of its window, and an element gets the sum over the windows that it wins. In a window with NaN the
/// gradient goes to the first element.
///
/// Panics if a slice does not have its size.
pub fn max_grad(
    cx: &Context,
    sizes: &Sizes,
    input: &[f32],
    output: &[f32],
    grad_output: &[f32],
    grad_input: &mut [f32],
) {
    check(sizes, "max_grad", LANES, input.len(), output.len());
    check(sizes, "max_grad", LANES, grad_input.len(), grad_output.len());
    clear_unless_covered(sizes, grad_input);
    let (input, output) = (input.as_ptr(), output.as_ptr());
    // SAFETY: the lengths are checked, and windows are cut to the image.
    unsafe { max_grad_on(cx.isa, sizes, input, output, grad_output.as_ptr(), grad_input.as_mut_ptr()) };
}

/// Mean of every window; padding counts as zeros.
///
/// input [C, H, W, 16] -> output [C, H_out, W_out, 16].
///
/// Panics if a slice does not have its size.
pub fn avg_forward(cx: &Context, sizes: &Sizes, input: &[f32], output: &mut [f32]) {
    check(sizes, "avg_forward", LANES, input.len(), output.len());
    // SAFETY: the lengths are checked, and windows are cut to the image.
    unsafe { avg_forward_on(cx.isa, sizes, input.as_ptr(), output.as_mut_ptr()) };
}

/// The gradient of [`avg_forward`] with respect to its input; `grad_input` is overwritten.
///
/// grad_output [C, H_out, W_out, 16] -> grad_input [C, H, W, 16].
///
/// Panics if a slice does not have its size.
pub fn avg_grad(cx: &Context, sizes: &Sizes, grad_output: &[f32], grad_input: &mut [f32]) {
    check(sizes, "avg_grad", LANES, grad_input.len(), grad_output.len());
    clear_unless_covered(sizes, grad_input);
    // SAFETY: the lengths are checked, and windows are cut to the image.
    unsafe { avg_grad_on(cx.isa, sizes, grad_output.as_ptr(), grad_input.as_mut_ptr()) };
}

#[track_caller]
pub(super) fn check(sizes: &Sizes, kernel: &str, lanes: usize, input: usize, output: usize) {
    let Sizes { channels, height, width, kernel_size, stride, padding } = *sizes;
    walk::bounded(&[channels, height, width]);
    [kernel_size, stride, padding].iter().for_each(|pair| walk::bounded(pair));
    let fits = |axis: usize, size: usize| {
        // With at most half a window of padding, every window meets the image.
        stride[axis] > 0
            && 2 * padding[axis] <= kernel_size[axis]
            && (1..=size + 2 * padding[axis]).contains(&kernel_size[axis])
    };
    assert!(fits(0, height) && fits(1, width), "pool2d::{kernel}: {sizes:?} has windows without elements");
    assert_eq!(
        input,
        walk::product(&[channels, height, width, lanes]),
        "pool2d::{kernel}: the input's side does not fit {sizes:?}"
    );
    let outputs = walk::product(&[channels, sizes.out_height(), sizes.out_width(), lanes]);
    assert_eq!(output, outputs, "pool2d::{kernel}: the output's side does not fit {sizes:?}");
}

/// Whether no element lies in two windows, so that gradients need not be added up.
fn is_disjoint(sizes: &Sizes) -> bool {
    sizes.kernel_size[0] <= sizes.stride[0] && sizes.kernel_size[1] <= sizes.stride[1]
}

/// Zeros, unless every element will be written because it lies in exactly one window.
fn clear_unless_covered(sizes: &Sizes, grad_input: &mut [f32]) {
    let covered = sizes.kernel_size == sizes.stride
        && sizes.padding == [0, 0]
        && sizes.height.is_multiple_of(sizes.stride[0])
        && sizes.width.is_multiple_of(sizes.stride[1]);
    if !covered {
        grad_input.fill(0.0);
    }
}

/// The part of window `i` along `axis` that lies in the image.
#[inline(always)]
pub(super) fn window(sizes: &Sizes, axis: usize, i: usize) -> Range<usize> {
    let size = if axis == 0 { sizes.height } else { sizes.width };
    let (start, padding) = (i * sizes.stride[axis], sizes.padding[axis]);
    start.saturating_sub(padding)..(start + sizes.kernel_size[axis] - padding).min(size)
}

/// Windows side by side that are walked together, where none of them is cut by the border.
const WINDOWS: usize = 4;

/// Windows side by side: `stride` columns lie from one to the next, and all of them cover as many.
struct Windows {
    /// The offset of the first one's output; the others follow.
    output: usize,
    /// The offset of their channel in the input.
    channel: usize,
    /// The rows of the image that they cover, and the columns that the first one covers.
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Windows {
    /// Calls `f` with the offset in the input of every element of the first window.
    #[inline(always)]
    fn each(&self, sizes: &Sizes, mut f: impl FnMut(usize)) {
        for row in self.rows.clone() {
            for column in self.columns.clone() {
                f(self.channel + (row * sizes.width + column) * LANES);
            }
        }
    }
}

/// Calls `some` for [`WINDOWS`] windows at a time where there are as many that no border cuts, and `one` for each of the others.
#[inline(always)]
fn each_windows(sizes: &Sizes, mut some: impl FnMut(&Windows), mut one: impl FnMut(&Windows)) {
    let (out_height, out_width) = (sizes.out_height(), sizes.out_width());
    let [kernel, stride, padding] = [sizes.kernel_size[1], sizes.stride[1], sizes.padding[1]];
    // The windows that lie in the image with all their columns.
    let whole =
        padding.div_ceil(stride)..out_width.min((sizes.width + padding + stride).saturating_sub(kernel) / stride);
    for c in 0..sizes.channels {
        for y in 0..out_height {
            let mut x = 0;
            while x < out_width {
                let windows = Windows {
                    output: ((c * out_height + y) * out_width + x) * LANES,
                    channel: c * sizes.height * sizes.width * LANES,
                    rows: window(sizes, 0, y),
                    columns: window(sizes, 1, x),
                };
                if x >= whole.start && x + WINDOWS <= whole.end {
                    some(&windows);
                    x += WINDOWS;
                } else {
                    one(&windows);
                    x += 1;
                }
            }
        }
    }
}

/// Calls `f` for every window.
#[inline(always)]
fn each_window(sizes: &Sizes, mut f: impl FnMut(&Windows)) {
    let (out_height, out_width) = (sizes.out_height(), sizes.out_width());
    let mut output = 0;
    for c in 0..sizes.channels {
        let channel = c * sizes.height * sizes.width * LANES;
        for y in 0..out_height {
            let rows = window(sizes, 0, y);
            for x in 0..out_width {
                f(&Windows { output, channel, rows: rows.clone(), columns: window(sizes, 1, x) });
                output += LANES;
            }
        }
    }
}

/// # Safety
/// The pointers are valid for the sizes, which have passed [`check`]; the set of `L` is enabled.
#[inline(always)]
unsafe fn max_forward_in<L: Lanes>(sizes: &Sizes, input: *const f32, output: *mut f32) {
    each_windows(
        sizes,
        #[inline(always)]
        // SAFETY: passed on to the caller.
        |windows| unsafe { max_forward_of::<L, WINDOWS>(sizes, windows, input, output) },
        #[inline(always)]
        // SAFETY: as above.
        |windows| unsafe { max_forward_of::<L, 1>(sizes, windows, input, output) },
    );
}

/// # Safety
/// As for [`max_forward_in`]; the windows, X of them, are windows of the image.
#[inline(always)]
unsafe fn max_forward_of<L: Lanes, const X: usize>(
    sizes: &Sizes,
    windows: &Windows,
    input: *const f32,
    output: *mut f32,
) {
    let step = sizes.stride[1] * LANES;
    // SAFETY: the windows lie in the image of the channel.
    unsafe {
        let mut largest = [L::splat(f32::NEG_INFINITY); X];
        windows.each(
            sizes,
            #[inline(always)]
            |at| {
                for (x, largest) in largest.iter_mut().enumerate() {
                    *largest = largest.max(L::load(input.add(at + x * step)));
                }
            },
        );
        for (x, largest) in largest.into_iter().enumerate() {
            largest.store(output.add(windows.output + x * LANES));
        }
    }
}

/// # Safety
/// As for [`max_forward_in`].
#[inline(always)]
unsafe fn max_grad_in<L: Lanes>(
    sizes: &Sizes,
    input: *const f32,
    output: *const f32,
    grad_output: *const f32,
    grad_input: *mut f32,
) {
    let disjoint = is_disjoint(sizes);
    each_window(
        sizes,
        #[inline(always)]
        |window| {
            // SAFETY: the window lies in the image of the channel.
            unsafe {
                let zero = L::splat(0.0);
                let largest = L::load(output.add(window.output));
                // What is left of the gradient: zero once the first maximum has taken it.
                let mut rest = L::load(grad_output.add(window.output));
                window.each(
                    sizes,
                    #[inline(always)]
                    |at| {
                        let element = L::load(input.add(at));
                        let taken = L::select_eq(element, largest, rest, zero);
                        rest = L::select_eq(element, largest, zero, rest);
                        let to = grad_input.add(at);
                        if disjoint { taken.store(to) } else { L::load(to).add(taken).store(to) }
                    },
                );
            }
        },
    );
}

/// # Safety
/// As for [`max_forward_in`].
#[inline(always)]
unsafe fn avg_forward_in<L: Lanes>(sizes: &Sizes, input: *const f32, output: *mut f32) {
    each_windows(
        sizes,
        #[inline(always)]
        // SAFETY: passed on to the caller.
        |windows| unsafe { avg_forward_of::<L, WINDOWS>(sizes, windows, input, output) },
        #[inline(always)]
        // SAFETY: as above.
        |windows| unsafe { avg_forward_of::<L, 1>(sizes, windows, input, output) },
    );
}

/// # Safety
/// As for [`max_forward_of`].
#[inline(always)]
unsafe fn avg_forward_of<L: Lanes, const X: usize>(
    sizes: &Sizes,
    windows: &Windows,
    input: *const f32,
    output: *mut f32,
) {
    let step = sizes.stride[1] * LANES;
    // SAFETY: the windows lie in the image of the channel.
    unsafe {
        let area = L::splat((sizes.kernel_size[0] * sizes.kernel_size[1]) as f32);
        let mut sums = [L::splat(0.0); X];
        windows.each(
            sizes,
            #[inline(always)]
            |at| {
                for (x, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.add(L::load(input.add(at + x * step)));
                }
            },
        );
        for (x, sum) in sums.into_iter().enumerate() {
            sum.div(area).store(output.add(windows.output + x * LANES));
        }
    }
}

/// # Safety
/// As for [`max_forward_in`].
#[inline(always)]
unsafe fn avg_grad_in<L: Lanes>(sizes: &Sizes, grad_output: *const f32, grad_input: *mut f32) {
    // SAFETY: the set is enabled, by the contract.
    let area = unsafe { L::splat((sizes.kernel_size[0] * sizes.kernel_size[1]) as f32) };
    let disjoint = is_disjoint(sizes);
    each_window(
        sizes,
        #[inline(always)]
        |window| {
            // SAFETY: the window lies in the image of the channel.
            unsafe {
                let share = L::load(grad_output.add(window.output)).div(area);
                window.each(
                    sizes,
                    #[inline(always)]
                    |at| {
                        let to = grad_input.add(at);
                        if disjoint { share.store(to) } else { L::load(to).add(share).store(to) }
                    },
                );
            }
        },
    );
}

instantiate!(unsafe fn max_forward_on = max_forward_in(sizes: &Sizes, input: *const f32, output: *mut f32));
instantiate!(unsafe fn max_grad_on = max_grad_in(
    sizes: &Sizes, input: *const f32, output: *const f32, grad_output: *const f32, grad_input: *mut f32,
));
instantiate!(unsafe fn avg_forward_on = avg_forward_in(sizes: &Sizes, input: *const f32, output: *mut f32));
instantiate!(unsafe fn avg_grad_on = avg_grad_in(sizes: &Sizes, grad_output: *const f32, grad_input: *mut f32));

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

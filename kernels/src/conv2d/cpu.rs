//! CPU kernels of the convolution in the `samples` layout: by fewer products ([`winograd`]) where that pays, or by all of them
//! ([`direct`]).

use super::tiling::Way;
use super::winograd::columns;
use super::{Sizes, direct, winograd};
use crate::LANES;
use crate::cpu::{Context, walk};

/// The convolution of a tile.
///
/// input [C_in, H, W, 16], weight [C_out, C_in / groups, K_h, K_w] -> output [C_out, H_out, W_out, 16];
/// `scratch` has [`Sizes::scratch`] floats, `kept` [`Sizes::kept`]: the weights in another form, made unless `cx.prepared`.
///
/// Panics if a slice does not have its size.
pub fn forward(
    cx: &Context,
    sizes: &Sizes,
    input: &[f32],
    weight: &[f32],
    output: &mut [f32],
    scratch: &mut [f32],
    kept: &mut [f32],
) {
    match sizes.forward_way(columns::fits(cx.isa)) {
        Way::Both(_) => winograd::forward(cx, sizes, input, weight, output, scratch, kept),
        Way::Columns(_) => columns::forward(cx, sizes, input, weight, output, scratch, kept),
        Way::Direct => direct::forward(cx, sizes, input, weight, output, kept),
    }
}

/// The gradient with respect to the input of a tile; `grad_input` is overwritten.
///
/// grad_output [C_out, H_out, W_out, 16], weight [C_out, C_in / groups, K_h, K_w] -> grad_input [C_in, H, W, 16];
/// `scratch` has [`Sizes::scratch`] floats, `kept` [`Sizes::kept`]: the weights in another form, made unless `cx.prepared`.
///
/// Panics if a slice does not have its size.
pub fn grad_input(
    cx: &Context,
    sizes: &Sizes,
    grad_output: &[f32],
    weight: &[f32],
    grad_input: &mut [f32],
    scratch: &mut [f32],
    kept: &mut [f32],
) {
    match sizes.grad_input_way() {
        Way::Both(_) => winograd::grad_input(cx, sizes, grad_output, weight, grad_input, scratch, kept),
        _ => direct::grad_input(cx, sizes, grad_output, weight, grad_input, kept),
    }
}

/// The gradient with respect to the weight, added to `grad_weight` if `cx.adds`; only the first `cx.count` samples enter.
///
/// grad_output [C_out, H_out, W_out, 16], input [C_in, H, W, 16] -> grad_weight [C_out, C_in / groups, K_h, K_w];
/// `scratch` has [`Sizes::grad_weight_scratch`] floats.
///
/// Panics if a slice does not have its size.
pub fn grad_weight(
    cx: &Context,
    sizes: &Sizes,
    grad_output: &[f32],
    input: &[f32],
    grad_weight: &mut [f32],
    scratch: &mut [f32],
) {
    match sizes.grad_weight_way(columns::fits(cx.isa)) {
        // The values of samples that do not count would have to be taken out.
        Way::Both(_) if cx.count >= LANES => {
            winograd::grad_weight(cx, sizes, grad_output, input, grad_weight, scratch);
        }
        Way::Columns(_) => columns::grad_weight(cx, sizes, grad_output, input, grad_weight, scratch),
        _ => direct::grad_weight(cx, sizes, grad_output, input, grad_weight, scratch),
    }
}

/// Panics unless the kernel fits its images, and the lengths are those of input, weight and output (or their gradients).
#[track_caller]
pub(super) fn check(sizes: &Sizes, kernel: &str, lanes: usize, input: usize, weight: usize, output: usize) {
    let Sizes { in_channels, out_channels, height, width, kernel_size, stride, padding, dilation, groups } = *sizes;
    walk::bounded(&[in_channels, out_channels, height, width, groups]);
    [kernel_size, stride, padding, dilation].iter().for_each(|pair| walk::bounded(pair));
    let fits = |axis: usize, size: usize| {
        stride[axis] > 0
            && dilation[axis] > 0
            && size > 0
            && kernel_size[axis] > 0
            && dilation[axis] * (kernel_size[axis] - 1) < size + 2 * padding[axis]
    };
    assert!(fits(0, height) && fits(1, width), "conv2d::{kernel}: {sizes:?} has no output");
    assert!(
        groups > 0 && in_channels.is_multiple_of(groups) && out_channels.is_multiple_of(groups),
        "conv2d::{kernel}: {groups} groups do not divide {in_channels} and {out_channels} channels"
    );
    assert_eq!(
        input,
        walk::product(&[in_channels, height, width, lanes]),
        "conv2d::{kernel}: the input's side does not fit {sizes:?}"
    );
    assert_eq!(
        weight,
        walk::product(&[out_channels, in_channels / groups, kernel_size[0], kernel_size[1]]),
        "conv2d::{kernel}: the weight's side does not fit {sizes:?}"
    );
    assert_eq!(
        output,
        walk::product(&[out_channels, sizes.out_height(), sizes.out_width(), lanes]),
        "conv2d::{kernel}: the output's side does not fit {sizes:?}"
    );
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

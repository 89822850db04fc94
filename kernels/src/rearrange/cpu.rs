//! CPU kernels of copies.

use super::{Cat, Gather, Pad};
use crate::LANES;
use crate::cpu::{Context, walk};

/// The largest number of axes.
const MAX_RANK: usize = 8;

/// Reads a strided view of `input` into the row-major `output`.
///
/// Panics if the output does not have the elements of `gather.dims`, if a stride leaves the input, or with more than 8 axes.
pub fn gather<const RANK: usize>(_cx: &Context, gather: &Gather<RANK>, input: &[f32], output: &mut [f32]) {
    copy(&gather.dims, &gather.strides, gather.offset, input, output);
}

/// [`gather`] of integers.
pub fn gather_i64<const RANK: usize>(_cx: &Context, gather: &Gather<RANK>, input: &[i64], output: &mut [i64]) {
    copy(&gather.dims, &gather.strides, gather.offset, input, output);
}

/// Puts `inputs` side by side along one axis: `[outer, sizes[j], inner]` each -> output `[outer, Σ sizes, inner]`.
///
/// Panics if a slice does not have its size.
pub fn cat<const PARTS: usize>(_cx: &Context, cat: &Cat<PARTS>, inputs: [&[f32]; PARTS], output: &mut [f32]) {
    let Cat { outer, sizes, inner } = *cat;
    for (input, size) in inputs.iter().zip(sizes) {
        assert_eq!(input.len(), outer * size * inner, "cat: an input does not fit {cat:?}");
    }
    let row = sizes.iter().sum::<usize>() * inner;
    assert_eq!(output.len(), outer * row, "cat: the output does not fit {cat:?}");
    for o in 0..outer {
        let mut rest = &mut output[o * row..][..row];
        for (input, size) in inputs.iter().zip(sizes) {
            let (part, behind) = rest.split_at_mut(size * inner);
            part.copy_from_slice(&input[o * size * inner..][..size * inner]);
            rest = behind;
        }
    }
}

/// Puts `input` [outer, length, inner] at `start` along an axis of zeros: output [outer, total, inner].
///
/// Panics if a slice does not have its size, or the part leaves the axis.
pub fn pad(_cx: &Context, pad: &Pad, input: &[f32], output: &mut [f32]) {
    let Pad { outer, total, start, length, inner } = *pad;
    assert!(start + length <= total, "pad: {pad:?} leaves its axis");
    assert_eq!(input.len(), outer * length * inner, "pad: the input does not fit {pad:?}");
    assert_eq!(output.len(), outer * total * inner, "pad: the output does not fit {pad:?}");
    output.fill(0.0);
    for o in 0..outer {
        let row = &mut output[(o * total + start) * inner..][..length * inner];
        row.copy_from_slice(&input[o * length * inner..][..length * inner]);
    }
}

fn copy<T: Copy>(dims: &[usize], strides: &[usize], offset: usize, input: &[T], output: &mut [T]) {
    assert!(dims.len() <= MAX_RANK, "gather: {} axes, at most {MAX_RANK} are possible", dims.len());
    assert_eq!(output.len(), walk::product(dims), "gather: the output does not have the elements of {dims:?}");
    walk::check("gather", dims, strides, offset, input.len());
    let Some(last) = dims.len().checked_sub(1) else {
        output[0] = input[offset];
        return;
    };
    let (width, step) = (dims[last], strides[last]);
    if output.is_empty() {
        return;
    }
    let (mut index, mut offsets) = ([0; MAX_RANK], [offset]);
    for row in output.chunks_exact_mut(width) {
        match (step, width) {
            // A vector of lanes: a copy of constant size needs no call.
            (1, LANES) => row.copy_from_slice(&input[offsets[0]..][..LANES]),
            (1, _) => row.copy_from_slice(&input[offsets[0]..][..width]),
            (0, _) => row.fill(input[offsets[0]]),
            _ => {
                let view = input[offsets[0]..].iter().step_by(step);
                for (element, value) in row.iter_mut().zip(view) {
                    *element = *value;
                }
            }
        }
        walk::advance(&mut index[..last], &dims[..last], |_, axis| strides[axis], &mut offsets);
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

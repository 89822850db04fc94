//! Copies that move elements and change none: permute, slice, cat.

#[cfg(feature = "cpu")]
mod cpu;
#[cfg(feature = "definitions")]
mod op;
#[cfg(feature = "cpu")]
pub use cpu::*;
#[cfg(feature = "definitions")]
pub use op::*;

/// The device functions, see [`cuda`](crate::cuda).
pub const CUDA: &str = include_str!("cuda.cu");

/// A strided read: output element (i0, i1, ..) comes from input element `offset + i0 * strides[0] + i1 * strides[1] + ..`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gather<const RANK: usize> {
    /// Sizes of the output, which is row-major.
    pub dims: [usize; RANK],
    /// Strides into the input, in elements.
    pub strides: [usize; RANK],
    /// Where the first element stands.
    pub offset: usize,
}

/// Several inputs side by side along one axis. Input `j` is `[outer, sizes[j], inner]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cat<const PARTS: usize> {
    /// Product of the sizes before the axis.
    pub outer: usize,
    /// Size of the axis in each input.
    pub sizes: [usize; PARTS],
    /// Product of the sizes behind the axis.
    pub inner: usize,
}

/// Zeros around a part of an axis: input [outer, length, inner] stands at `start` of output [outer, total, inner].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pad {
    /// Product of the sizes before the axis.
    pub outer: usize,
    /// Size of the axis in the output.
    pub total: usize,
    /// Where the input starts.
    pub start: usize,
    /// Size of the axis in the input.
    pub length: usize,
    /// Product of the sizes behind the axis.
    pub inner: usize,
}

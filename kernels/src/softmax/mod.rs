//! Softmax and log-softmax along one axis, as `torch.softmax` and `torch.log_softmax`.

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

/// One axis of a row-major tensor, with what lies outside and inside of it: element (o, a, i) stands at
/// `(o * size + a) * inner + i`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis {
    /// Product of the sizes before the axis.
    pub outer: usize,
    /// Size of the axis.
    pub size: usize,
    /// Product of the sizes behind the axis.
    pub inner: usize,
}

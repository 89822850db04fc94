//! The position of the largest element along an axis, as `torch.argmax`, and how often two lists of integers agree.

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

/// The sizes of one count of equal integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Samples of the operands.
    pub samples: usize,
    /// Elements of one sample.
    pub features: usize,
    /// True: [features, samples] (`samples` layout). False: [samples, features].
    pub samples_last: bool,
    /// True: only the first `cx.count` samples are real (a tile). False: all of them.
    pub tile: bool,
}

//! Sums over axes, as `torch.sum`.

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

/// A sum over some axes of a row-major tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum<const RANK: usize> {
    /// Sizes of the input. Neighbouring axes of one kind are already merged.
    pub dims: [usize; RANK],
    /// Which axes are summed; the others keep their order in the output.
    pub summed: [bool; RANK],
    /// The axis that counts samples, if there is one and it is summed: only its first `cx.count` elements are read.
    pub samples: Option<usize>,
}

//! Products of two batches of matrices, as `torch.matmul`.

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

/// `batch` products of an [m, k] and a [k, n] matrix; every element is a run of `inner` floats that do not meet
/// (`inner` is 16 in the `samples` layout, else 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// How many products.
    pub batch: usize,
    /// Rows of the left matrix and of the result.
    pub m: usize,
    /// Columns of the left matrix, rows of the right one.
    pub k: usize,
    /// Columns of the right matrix and of the result.
    pub n: usize,
    /// Floats of one element.
    pub inner: usize,
    /// The left matrix is stored as [k, m].
    pub transpose_lhs: bool,
    /// The right matrix is stored as [n, k].
    pub transpose_rhs: bool,
    /// Floats of `lhs` all batches share have a batch stride of 0: whether `lhs` has a batch axis.
    pub lhs_batched: bool,
    /// Whether `rhs` has a batch axis.
    pub rhs_batched: bool,
}

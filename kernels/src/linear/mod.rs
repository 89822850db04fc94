//! Products with a matrix of weights, as `torch.nn.functional.linear` without its bias.

#[cfg(feature = "cpu")]
mod cpu;
#[cfg(feature = "definitions")]
mod op;
#[cfg(feature = "cpu")]
pub use cpu::*;
#[cfg(feature = "definitions")]
pub use op::*;

use crate::LANES;

/// The device functions, see [`cuda`](crate::cuda).
pub const CUDA: &str = include_str!("cuda.cu");

/// The sizes of one product: `vectors` inputs of `in_features` become as many outputs of `out_features`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// How many vectors one sample holds; the kernel multiplies `cx.count * vectors` of them.
    pub vectors: usize,
    /// Elements of one input vector.
    pub in_features: usize,
    /// Elements of one output vector.
    pub out_features: usize,
    /// False: the weight is [out_features, in_features]. True: it is [in_features, out_features].
    pub transposed: bool,
}

/// Floats of a weight that stays in the second cache beside all else, so that turning it costs less than its tiles gain.
const CACHED: usize = 64 * 1024;

impl Sizes {
    /// Floats of the weight as `forward_packed` reads it: whole vectors of outputs. None if there is no such vector, the weight lies
    /// that way already, or it is large.
    #[must_use]
    pub const fn packed(&self) -> Option<usize> {
        if self.transposed || self.out_features < LANES {
            return None;
        }
        let Some(outputs) = self.out_features.checked_next_multiple_of(LANES) else { return None };
        match self.in_features.checked_mul(outputs) {
            Some(floats) if floats <= CACHED => Some(floats),
            _ => None,
        }
    }
}

/// The sizes of the weight gradient: the sum over vectors of the outer product of two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GradSizes {
    /// How many vectors one sample holds; the kernel reads `cx.count * vectors` of them.
    pub vectors: usize,
    /// Elements of a vector of the left operand: rows of the result.
    pub rows: usize,
    /// Elements of a vector of the right operand: columns of the result.
    pub columns: usize,
}

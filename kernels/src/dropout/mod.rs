//! Dropout, as `torch.nn.functional.dropout` in training: an element is kept with probability 1 − p and divided by it.
//!
//! Whether an element is kept depends on the seed of the step, the layer, the sample's index in the batch and the element's
//! index in the sample, and on nothing else: no tile, no thread, no layout.

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

/// One dropout of a tile. Applying it to the gradient with the same `stream` gives the gradient of the input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sizes {
    /// Probability of an element to be dropped, 0..=1.
    pub p: f32,
    /// Which dropout of the function this is, so that two layers draw different masks.
    pub stream: u64,
    /// How many samples the tensor holds.
    pub samples: usize,
    /// Elements of one sample.
    pub features: usize,
    /// True: [features, samples] (`samples` layout). False: [samples, features].
    pub samples_last: bool,
}

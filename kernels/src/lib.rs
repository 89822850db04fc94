//! The operations of graven. Everything about one operation stands in one folder: its documentation and the sizes that its
//! kernels take (`mod.rs`), its shape rule and gradient rule (`op.rs`), and its CPU kernel (`cpu.rs`).
//!
//! The feature `definitions` is what the compiler links, the feature `cpu` (the kernels) what programs do: neither compiles the
//! other's part.

/// Samples that stand side by side in the `samples` layout, and the number of samples in a tile.
///
/// 16 f32 fill one AVX-512 register, or two of AVX2.
pub const LANES: usize = 16;

/// Samples of a tile where the parameters of a loop outgrow the second cache: each tile reads all of them from further away, and
/// its gradients as well.
pub const WIDE: usize = 64;

/// Up to so many samples, evaluation runs them one by one, each in the layout `rows`, instead of in a tile that they do not
/// fill. A tile of the tutorial network takes as long as ten single samples; where parameters outgrow the cache it takes as long
/// as three, and the compiler chooses less.
pub const FEW: usize = 4;

pub mod dim;
#[cfg(feature = "definitions")]
pub mod op;

pub mod cuda;
#[cfg(feature = "definitions")]
pub mod pointwise;

pub mod argmax;
pub mod conv2d;
pub mod cross_entropy;
pub mod dropout;
pub mod linear;
pub mod matmul;
pub mod pool2d;
pub mod rearrange;
pub mod reduce;
pub mod softmax;

pub mod rng;

#[cfg(feature = "definitions")]
pub mod arguments;
#[cfg(feature = "definitions")]
pub mod functions;
#[cfg(feature = "definitions")]
pub mod layers;

#[cfg(feature = "cpu")]
pub mod cpu;

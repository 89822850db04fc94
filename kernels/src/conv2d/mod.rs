//! Two-dimensional cross-correlation, as `torch.nn.functional.conv2d` without its bias.

#[cfg(feature = "cpu")]
mod cpu;
#[cfg(feature = "cpu")]
mod direct;
#[cfg(feature = "definitions")]
mod op;
#[cfg(feature = "cpu")]
mod pooled;
#[cfg(feature = "cpu")]
mod rows;
mod scratch;
mod tiling;
#[cfg(feature = "cpu")]
mod windows;
#[cfg(feature = "cpu")]
mod winograd;
#[cfg(feature = "cpu")]
pub use cpu::*;
#[cfg(feature = "definitions")]
pub use op::*;
#[cfg(feature = "cpu")]
pub use pooled::*;
#[cfg(feature = "cpu")]
pub use rows::*;

/// The device functions, see [`cuda`](crate::cuda).
pub const CUDA: &str = include_str!("cuda.cu");

/// The sizes of one convolution of a tile; all kernels take the same.
///
/// H_out = (height + 2·padding − dilation·(kernel_size − 1) − 1) / stride + 1, the width alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// C_in, the channels of the input.
    pub in_channels: usize,
    /// C_out, the channels of the output.
    pub out_channels: usize,
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Rows and columns of the kernel.
    pub kernel_size: [usize; 2],
    /// Step between two outputs, rows and columns.
    pub stride: [usize; 2],
    /// Zeros around the input, rows and columns.
    pub padding: [usize; 2],
    /// Step between two kernel elements, rows and columns.
    pub dilation: [usize; 2],
    /// Independent groups of channels: each output channel sees C_in / groups input channels.
    pub groups: usize,
}

impl Sizes {
    /// Rows of the output.
    #[must_use]
    pub const fn out_height(&self) -> usize {
        (self.height + 2 * self.padding[0] - self.dilation[0] * (self.kernel_size[0] - 1) - 1) / self.stride[0] + 1
    }

    /// Columns of the output.
    #[must_use]
    pub const fn out_width(&self) -> usize {
        (self.width + 2 * self.padding[1] - self.dilation[1] * (self.kernel_size[1] - 1) - 1) / self.stride[1] + 1
    }
}

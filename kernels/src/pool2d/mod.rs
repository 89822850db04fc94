//! Max and average pooling over the last two axes, as `torch.nn.functional.max_pool2d` and `avg_pool2d`.

#[cfg(feature = "cpu")]
mod cpu;
#[cfg(feature = "definitions")]
mod op;
#[cfg(feature = "cpu")]
mod rows;
#[cfg(feature = "cpu")]
pub use cpu::*;
#[cfg(feature = "definitions")]
pub use op::*;
#[cfg(feature = "cpu")]
pub use rows::*;

/// The device functions, see [`cuda`](crate::cuda).
pub const CUDA: &str = include_str!("cuda.cu");

/// The sizes of one pooling of a tile.
///
/// H_out = (height + 2·padding − kernel_size) / stride + 1, the width alike. Padding never wins a maximum; in an average
/// it counts as zeros (PyTorch's `count_include_pad=True`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Channels of input and output.
    pub channels: usize,
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Rows and columns of the window.
    pub kernel_size: [usize; 2],
    /// Step between two windows, rows and columns.
    pub stride: [usize; 2],
    /// Padding around the input, rows and columns; at most half the window.
    pub padding: [usize; 2],
}

impl Sizes {
    /// Windows of 2 x 2 side by side.
    pub(crate) const fn of_pairs(channels: usize, height: usize, width: usize) -> Sizes {
        Sizes { channels, height, width, kernel_size: [2, 2], stride: [2, 2], padding: [0, 0] }
    }

    /// Rows of the output.
    #[must_use]
    pub const fn out_height(&self) -> usize {
        (self.height + 2 * self.padding[0] - self.kernel_size[0]) / self.stride[0] + 1
    }

    /// Columns of the output.
    #[must_use]
    pub const fn out_width(&self) -> usize {
        (self.width + 2 * self.padding[1] - self.kernel_size[1]) / self.stride[1] + 1
    }

    /// Whether what says where the maxima stand is smaller than the input: windows may overlap.
    #[must_use]
    pub const fn can_save(&self) -> bool {
        // Wide and bounded, because the sizes are anybody's.
        let window = self.kernel_size[0] as u128 * self.kernel_size[1] as u128;
        let bits = (self.out_height() as u128 * self.out_width() as u128).saturating_mul(window);
        bits < (self.height as u128 * self.width as u128).saturating_mul(u32::BITS as u128)
    }

    /// Floats that hold a bit for each element of each window in each sample of a tile: whether the largest comes behind it.
    #[must_use]
    pub const fn saved(&self) -> usize {
        let window = self.kernel_size[0] * self.kernel_size[1];
        (self.channels * self.out_height() * self.out_width() * window).div_ceil(size_of::<f32>() / size_of::<u16>())
    }

    /// Floats of scratch that the kernels for a single sample need: its columns, pooled, and two vectors behind them.
    #[must_use]
    pub const fn rows_scratch(&self) -> usize {
        self.channels * self.out_height() * self.width + 2 * crate::LANES
    }
}

//! Scratch sizes of the convolution kernels.

use super::Sizes;
use crate::LANES;

impl Sizes {
    /// Floats of scratch that `forward` needs: the weights in the order of the register tiles, and the padded input.
    #[must_use]
    pub const fn forward_scratch(&self) -> usize {
        self.packed_weights() + self.padded_input()
    }

    /// Floats of scratch that `grad_input` needs: the weights in the order of the register tiles, and the padded gradient.
    #[must_use]
    pub const fn grad_input_scratch(&self) -> usize {
        let [top, rows] = self.gradient_frame(0);
        let [left, columns] = self.gradient_frame(1);
        let framed = top > 0 || left > 0 || rows > self.out_height() || columns > self.out_width();
        self.packed_weights() + if framed { self.out_channels * rows * columns * LANES } else { 0 }
    }

    /// Floats of scratch that `grad_weight` needs: the padded input.
    #[must_use]
    pub const fn grad_weight_scratch(&self) -> usize {
        self.padded_input()
    }

    /// Floats of the weights, rounded up so that what follows is aligned as the scratch itself is.
    pub(crate) const fn packed_weights(&self) -> usize {
        let weights = self.out_channels * (self.in_channels / self.groups) * self.kernel_size[0] * self.kernel_size[1];
        weights.next_multiple_of(LANES)
    }

    /// Floats of the padded input; none without padding.
    const fn padded_input(&self) -> usize {
        if self.padding[0] == 0 && self.padding[1] == 0 {
            return 0;
        }
        let rows = self.height + 2 * self.padding[0];
        let columns = self.width + 2 * self.padding[1];
        self.in_channels * rows * columns * LANES
    }

    /// Along an axis (0 rows, 1 columns), [zeros in front, size with all zeros] that the gradient of the output needs so
    /// that every element of the input finds all outputs it could have entered.
    ///
    /// Input i entered, by kernel element k, the output (i + padding − k · dilation) / stride, if that is whole.
    pub(crate) const fn gradient_frame(&self, axis: usize) -> [usize; 2] {
        let [input, output] = if axis == 0 { [self.height, self.out_height()] } else { [self.width, self.out_width()] };
        let reach = self.dilation[axis] * (self.kernel_size[axis] - 1);
        let front = reach.saturating_sub(self.padding[axis]).div_ceil(self.stride[axis]);
        let last = (input - 1 + self.padding[axis]) / self.stride[axis];
        let size = if last + 1 > output { last + 1 } else { output };
        [front, front + size]
    }
}

/// How the input is spread out for a single sample: [kernel column, phase, C_in, row of the phase, W_out].
///
/// Kernel row k meets for output row y the padded input row y · stride + k · dilation: its phase is that number modulo the
/// stride, and within the phase rows follow each other as output rows do.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "cpu"), expect(dead_code, reason = "the kernels read all of it, the sizes of scratch a part"))]
pub(crate) struct Spread {
    /// Floats from one kernel column, one phase and one channel to the next.
    pub(crate) column: usize,
    pub(crate) phase: usize,
    pub(crate) channel: usize,
    /// Rows of a phase.
    pub(crate) phase_rows: usize,
    /// It is the input as it lies, and nothing needs to be copied.
    pub(crate) is_input: bool,
}

impl Sizes {
    pub(crate) const fn spread(&self) -> Spread {
        let phase_rows = self.out_height() + (self.kernel_size[0] - 1) * self.dilation[0] / self.stride[0];
        let channel = phase_rows * self.out_width();
        let phase = self.in_channels * channel;
        let column = self.stride[0] * phase;
        let is_input = self.kernel_size[1] == 1
            && self.stride[0] == 1
            && self.stride[1] == 1
            && self.padding[0] == 0
            && self.padding[1] == 0
            && (self.out_height() * self.out_width()).is_multiple_of(LANES);
        Spread { column, phase, channel, phase_rows, is_input }
    }

    /// Floats of scratch that `forward_rows` needs: the input as it is spread out, and a vector behind it.
    #[must_use]
    pub const fn forward_rows_scratch(&self) -> usize {
        let spread = self.spread();
        if spread.is_input { 0 } else { self.kernel_size[1] * spread.column + LANES }
    }
}

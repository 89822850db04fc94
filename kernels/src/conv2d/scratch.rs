//! Scratch sizes of the convolution kernels.

use super::Sizes;
use super::tiling::Way;
use crate::{LANES, pool2d};

const fn larger(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

impl Sizes {
    /// Floats of scratch that `forward` and `grad_input` need.
    #[must_use]
    pub const fn scratch(&self) -> usize {
        larger(self.scratch_of(self.forward_way(true)), self.scratch_of(self.grad_input_way()))
    }

    /// Floats that `forward` and `grad_input` keep from tile to tile, each its own: the weights, as they read them.
    #[must_use]
    pub const fn kept(&self) -> usize {
        larger(self.kept_of(self.forward_way(true)), self.kept_of(self.grad_input_way()))
    }

    /// Floats of scratch that `grad_weight` needs.
    #[must_use]
    pub const fn grad_weight_scratch(&self) -> usize {
        // A tile that is not complete, and a set without the registers, take all products.
        let direct = self.padded_input();
        match self.grad_weight_way(true) {
            Way::Direct => direct,
            Way::Columns(tiling) => larger(tiling.grad_weight_scratch(self), direct),
            Way::Both(tiling) => larger(tiling.grad_weight_scratch(self.group_channels()), direct),
        }
    }

    /// Whether `forward_pooled` takes the convolution with max pooling behind it: 2 x 2 outputs are in registers at once.
    #[must_use]
    pub const fn is_pooled(&self) -> bool {
        self.falls_into_pairs() && matches!(self.forward_way(true), Way::Columns(_))
    }

    /// Whether `grad_weight_pooled` takes the gradient of the weight from that behind max pooling: windows of 2 x 2 cover the outputs, and
    /// their products are fewer.
    #[must_use]
    pub const fn is_gradient_pooled(&self) -> bool {
        self.takes_windows() && self.windows_pay()
    }

    /// Whether windows of 2 x 2 cover the outputs.
    pub(crate) const fn falls_into_pairs(&self) -> bool {
        self.out_height().is_multiple_of(2) && self.out_width().is_multiple_of(2)
    }

    /// Floats of scratch that `forward_pooled` needs: a set without the registers makes all outputs.
    #[must_use]
    pub const fn pooled_scratch(&self) -> usize {
        self.outputs() + self.scratch()
    }

    /// Floats of scratch that `grad_weight_pooled` needs: a set without such masks makes the gradients of all outputs.
    #[must_use]
    pub const fn grad_weight_pooled_scratch(&self) -> usize {
        self.outputs() + self.grad_weight_scratch()
    }

    /// Floats of the outputs.
    pub(crate) const fn outputs(&self) -> usize {
        self.out_channels * self.out_height() * self.out_width() * LANES
    }

    /// The max pooling of the outputs that it is about.
    pub(crate) const fn pooling(&self) -> pool2d::Sizes {
        pool2d::Sizes::of_pairs(self.out_channels, self.out_height(), self.out_width())
    }

    const fn scratch_of(&self, way: Way) -> usize {
        match way {
            Way::Direct => 0,
            Way::Columns(tiling) => tiling.scratch(self),
            Way::Both(tiling) => tiling.scratch(self.group_channels()),
        }
    }

    const fn kept_of(&self, way: Way) -> usize {
        self.groups
            * match way {
                Way::Direct => self.packed_weights(),
                Way::Columns(tiling) => tiling.weights(self),
                Way::Both(tiling) => tiling.weights(self.group_channels()),
            }
    }

    /// Input and output channels of one group.
    pub(crate) const fn group_channels(&self) -> [usize; 2] {
        [self.in_channels / self.groups, self.out_channels / self.groups]
    }

    /// Floats of the weights of a group in the order of the register tiles.
    pub(crate) const fn packed_weights(&self) -> usize {
        let [inputs, outputs] = self.group_channels();
        inputs * outputs * self.kernel_size[0] * self.kernel_size[1]
    }

    /// Floats of the padded input; none without padding.
    pub(crate) const fn padded_input(&self) -> usize {
        if self.padding[0] == 0 && self.padding[1] == 0 {
            return 0;
        }
        let rows = self.height + 2 * self.padding[0];
        let columns = self.width + 2 * self.padding[1];
        self.in_channels * rows * columns * LANES
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

//! When a convolution takes fewer products, and how much scratch that needs, see `winograd`.

use super::Sizes;
use crate::LANES;

/// How the outputs are cut into tiles that take fewer products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tiling {
    /// Values that determine the outputs of a tile along one axis.
    pub(crate) values: usize,
    /// Outputs of a tile along one axis.
    pub(crate) step: usize,
    /// Rows and columns of tiles.
    pub(crate) tiles: [usize; 2],
    /// Rows and columns of tiles in a block.
    pub(crate) block: [usize; 2],
}

/// Tiles in a block: the columns of a register tile.
const BLOCK: usize = 4;

/// Multiply-adds that one value of one channel costs beside its products: two transforms and the memory they go through.
const OVERHEAD: u128 = 12;

/// Multiply-adds that one value of the weights costs for 16 samples, where all of them fit into the second cache, and where not.
const WEIGHT: [u128; 2] = [2, 5];

/// Floats of that cache.
const CACHE: u128 = 256 * 1024;

impl Tiling {
    /// None if the kernel is not one of 3 x 3 or 5 x 5, or takes steps.
    pub(crate) const fn of(sizes: &Sizes) -> Option<Tiling> {
        let [stride, dilation] = [sizes.stride, sizes.dilation];
        if stride[0] != 1 || stride[1] != 1 || dilation[0] != 1 || dilation[1] != 1 {
            return None;
        }
        let values = match sizes.kernel_size {
            [3, 3] => 6,
            [5, 5] => 8,
            _ => return None,
        };
        let step = values + 1 - sizes.kernel_size[0];
        let tiles = [sizes.out_height().div_ceil(step), sizes.out_width().div_ceil(step)];
        let columns = if tiles[1] < BLOCK { tiles[1] } else { BLOCK };
        let rows = if tiles[0] < BLOCK / columns { tiles[0] } else { BLOCK / columns };
        Some(Tiling { values, step, tiles, block: [rows, columns] })
    }

    /// Whether it takes less time than all products one by one.
    const fn pays(&self, sizes: &Sizes) -> bool {
        // Wide, because the sizes are anybody's.
        let [inputs, outputs] = sizes.group_channels();
        let [inputs, outputs] = [inputs as u128, outputs as u128];
        let values = (self.values * self.values) as u128;
        let weight = WEIGHT[(values * inputs * outputs > CACHE) as usize];
        let tiles = self.tiles[0] as u128 * self.tiles[1] as u128;
        let products = (tiles + weight) * inputs * outputs;
        let plain = sizes.out_height() as u128 * sizes.out_width() as u128 * inputs * outputs;
        let elements = (sizes.kernel_size[0] * sizes.kernel_size[1]) as u128;
        values * (products + OVERHEAD * tiles * (inputs + outputs)) < plain * elements
    }

    /// Whether the gradient of the weight takes it, too. Its terms cancel over positions and samples, so that the rounding of more
    /// values would show; behind an optimizer that divides gradients by their size, in the weights.
    pub(crate) const fn takes_weight_gradient(&self) -> bool {
        self.values <= 6
    }

    /// Floats of so many vectors: an odd number, so that neither planes nor rows of them share few sets of a cache.
    pub(crate) const fn plane(vectors: usize) -> usize {
        (vectors | 1) * LANES
    }

    /// Floats of the values of the weights, in whole vectors, for input and output channels.
    pub(crate) const fn weights(&self, channels: [usize; 2]) -> usize {
        (self.values * self.values * channels[0] * channels[1]).next_multiple_of(LANES)
    }

    /// Floats of scratch for input and output channels: values of the weights, rows of a block on both sides, and their values.
    pub(crate) const fn scratch(&self, [inputs, outputs]: [usize; 2]) -> usize {
        let [rows, columns] = self.block;
        // Windows of the input overlap, outputs do not.
        let overlap = self.values - self.step;
        let rows_of_values = Tiling::plane(inputs * rows * (columns * self.step + overlap))
            + Tiling::plane(outputs * rows * columns * self.step);
        let values = Tiling::plane(inputs * rows * columns) + Tiling::plane(outputs * rows * columns);
        self.weights([inputs, outputs]) + self.values * (rows_of_values + values)
    }
}

impl Sizes {
    /// The tiling of all three kernels, if one pays.
    pub(crate) const fn tiling(&self) -> Option<Tiling> {
        match Tiling::of(self) {
            Some(tiling) if tiling.pays(self) => Some(tiling),
            _ => None,
        }
    }
}

//! Which way a convolution goes, and how much scratch that needs, see `winograd`. Its sizes decide, and the registers of the set.

use super::Sizes;
use crate::LANES;

/// How the outputs are cut into tiles that take fewer products along both axes.
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

    /// Multiply-adds that the outputs or the inputs take, or as much time.
    const fn cost(&self, sizes: &Sizes) -> u128 {
        // Wide, because the sizes are anybody's.
        let [inputs, outputs] = sizes.group_channels();
        let [inputs, outputs] = [inputs as u128, outputs as u128];
        let values = (self.values * self.values) as u128;
        let weight = WEIGHT[(values * inputs * outputs > CACHE) as usize];
        let tiles = self.tiles[0] as u128 * self.tiles[1] as u128;
        values * ((tiles + weight) * inputs * outputs + OVERHEAD * tiles * (inputs + outputs))
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

    /// Floats of scratch for input and output channels: rows of a block, which become those of the other side, and values of both.
    pub(crate) const fn scratch(&self, channels: [usize; 2]) -> usize {
        let [inputs, outputs] = self.rows(channels);
        self.values * (if inputs > outputs { inputs } else { outputs }) + self.block_values(channels)
    }

    /// As [`scratch`](Self::scratch), for the weight gradient: rows of both sides at once, and values of the weights.
    pub(crate) const fn grad_weight_scratch(&self, channels: [usize; 2]) -> usize {
        let [inputs, outputs] = self.rows(channels);
        self.weights(channels) + self.values * (inputs + outputs) + self.block_values(channels)
    }

    /// Floats of one value along the columns of a block: of the inputs, whose windows overlap, and of the outputs.
    const fn rows(&self, [inputs, outputs]: [usize; 2]) -> [usize; 2] {
        let [rows, columns] = self.block;
        let overlap = self.values - self.step;
        [
            Tiling::plane(inputs * rows * (columns * self.step + overlap)),
            Tiling::plane(outputs * rows * columns * self.step),
        ]
    }

    /// Floats of all values along the rows of a block that belong to one along its columns, on both sides.
    const fn block_values(&self, [inputs, outputs]: [usize; 2]) -> usize {
        let tiles = self.block[0] * self.block[1];
        self.values * (Tiling::plane(inputs * tiles) + Tiling::plane(outputs * tiles))
    }
}

/// How the rows of the outputs are cut into tiles that take fewer products along the columns alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ColumnTiling {
    /// Values that determine a column of the outputs of a tile.
    pub(crate) values: usize,
    /// Outputs of such a column.
    pub(crate) step: usize,
    /// Rows of tiles.
    pub(crate) tiles: usize,
    /// Of these, how many a weight gradient takes at a time.
    pub(crate) rows: usize,
}

/// Floats of input values that stay in the first cache while all outputs come by.
pub(crate) const NEAR: usize = 6 * 1024;

/// Multiply-adds, out of three, that one product costs: they wait for what they read.
const PRODUCT: u128 = 4;

/// Multiply-adds that the values of one column cost per value: of an input, whose values go through memory, and of an output.
const COLUMN: [u128; 2] = [9, 3];

/// Multiply-adds that the values of the weights of one pair of channels cost.
const PAIR: u128 = 120;

/// Multiply-adds that the two halves of one row of tiles cost a weight gradient beside their products, and one pair of channels.
const WEIGHT_ROW: u128 = 320;
const WEIGHT_PAIR: u128 = 340;

impl ColumnTiling {
    /// None if the kernel is not one of 3 x 3 or 5 x 5, or takes steps.
    pub(crate) const fn of(sizes: &Sizes) -> Option<ColumnTiling> {
        let Some(Tiling { values, step, tiles: [tiles, _], .. }) = Tiling::of(sizes) else { return None };
        let near = NEAR / (values * (sizes.width + 2 * sizes.padding[1]) * LANES);
        let rows = if near < tiles { near } else { tiles };
        Some(ColumnTiling { values, step, tiles, rows: if rows > 1 { rows } else { 1 } })
    }

    /// Multiply-adds that the outputs take, or as much time.
    const fn cost(&self, sizes: &Sizes) -> u128 {
        let [inputs, outputs] = sizes.group_channels();
        let [inputs, outputs] = [inputs as u128, outputs as u128];
        let columns = self.values as u128 * self.tiles as u128;
        let products = columns * sizes.out_width() as u128 * sizes.kernel_size[1] as u128 * inputs * outputs;
        let values = COLUMN[0] * sizes.width as u128 * inputs + COLUMN[1] * sizes.out_width() as u128 * outputs;
        products * PRODUCT / 3 + columns * values + PAIR * inputs * outputs
    }

    /// Whether the gradient of the weight takes it, too: of a 5 x 5 kernel, if its rows are long enough. Half of the values go into
    /// registers at a time, and those of the gradient are made for both; of a 3 x 3 kernel that would take as much as it saves.
    const fn weight_gradient_pays(&self, sizes: &Sizes) -> bool {
        let [width, tiles] = [sizes.out_width() as u128, self.tiles as u128];
        let plain = sizes.out_height() as u128 * width * 25;
        self.values == 8 && tiles * (width * 64 + WEIGHT_ROW) + WEIGHT_PAIR < plain
    }

    /// Floats of the values of the weights of a group, in whole vectors.
    pub(crate) const fn weights(&self, sizes: &Sizes) -> usize {
        let [inputs, outputs] = sizes.group_channels();
        (self.values * inputs * outputs * sizes.kernel_size[1]).next_multiple_of(LANES)
    }

    /// Floats of scratch of the weight gradient beside the values: samples of one input channel that are not yet added.
    pub(crate) const fn sums(&self, sizes: &Sizes) -> usize {
        self.values * sizes.group_channels()[1] * sizes.kernel_size[1] * LANES
    }

    /// Floats of the values of a row of tiles of one input channel.
    const fn row(&self, sizes: &Sizes) -> usize {
        self.values * (sizes.width + 2 * sizes.padding[1]) * LANES
    }

    /// Floats of scratch of `forward`: values of a row of tiles.
    pub(crate) const fn scratch(&self, sizes: &Sizes) -> usize {
        sizes.group_channels()[0] * self.row(sizes)
    }

    /// Floats of scratch of the weight gradient: values of the weights, sums, and values of some rows of tiles of one channel.
    pub(crate) const fn grad_weight_scratch(&self, sizes: &Sizes) -> usize {
        self.weights(sizes) + self.sums(sizes) + self.rows * self.row(sizes)
    }
}

/// Multiply-adds, or as much time, that a product of a window costs with the selections before it: two on a Zen 4, which selects twice
/// while it multiplies once, three on a processor that does both in the same places.
const SELECTED: u128 = 3;

/// What a kernel does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// All products one by one.
    Direct,
    /// Fewer along the columns; only where the set has the registers.
    Columns(ColumnTiling),
    /// Fewer along both axes.
    Both(Tiling),
}

impl Sizes {
    /// The way of `forward`, on a set that can take the columns or one that cannot.
    pub(crate) const fn forward_way(&self, takes_columns: bool) -> Way {
        let way = self.grad_input_way();
        let (Some(columns), true) = (ColumnTiling::of(self), takes_columns) else { return way };
        let cost = match way {
            Way::Both(tiling) => tiling.cost(self),
            _ => self.products(),
        };
        if columns.cost(self) < cost { Way::Columns(columns) } else { way }
    }

    /// The way of `grad_input`.
    pub(crate) const fn grad_input_way(&self) -> Way {
        match Tiling::of(self) {
            Some(tiling) if tiling.cost(self) < self.products() => Way::Both(tiling),
            _ => Way::Direct,
        }
    }

    /// The way of `grad_weight`, for a complete tile.
    pub(crate) const fn grad_weight_way(&self, takes_columns: bool) -> Way {
        if let Way::Both(tiling) = self.grad_input_way()
            && tiling.takes_weight_gradient()
        {
            return Way::Both(tiling);
        }
        match ColumnTiling::of(self) {
            Some(columns) if takes_columns && columns.weight_gradient_pays(self) => Way::Columns(columns),
            _ => Way::Direct,
        }
    }

    /// Whether the products of a weight gradient behind max pooling can be those of windows, see `windows`.
    pub(crate) const fn takes_windows(&self) -> bool {
        self.falls_into_pairs() && Tiling::of(self).is_some()
    }

    /// Whether they should be: a window has a quarter of the products.
    pub(crate) const fn windows_pay(&self) -> bool {
        match self.grad_weight_way(true) {
            Way::Both(tiling) => self.products() / 4 * SELECTED < tiling.cost(self),
            Way::Columns(_) | Way::Direct => true,
        }
    }

    /// Multiply-adds of a group, one by one.
    const fn products(&self) -> u128 {
        let [inputs, outputs] = self.group_channels();
        let elements = self.kernel_size[0] as u128 * self.kernel_size[1] as u128;
        self.out_height() as u128 * self.out_width() as u128 * inputs as u128 * outputs as u128 * elements
    }
}

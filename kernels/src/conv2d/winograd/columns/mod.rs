//! Fewer products along the columns alone: for each of N values, a plain convolution by one row of the kernel.
//!
//! That takes 40 % of the products for a kernel 5 high, and half for one 3 high. Where channels are few, there is no more to win:
//! transforms along both axes would cost what their products save. The values of an output never leave the registers, since all N, or
//! half of them, are summed at once and then transformed; neither do those of a gradient, which are made where they are multiplied.
//! Only AVX-512 has the registers for that.

mod outputs;
mod weight;

pub(in crate::conv2d) use self::outputs::{forward, forward_pooled};
pub(in crate::conv2d) use self::weight::grad_weight;
use super::strip::Strip;
use super::{Side, sides};
use crate::LANES;
use crate::conv2d::Sizes;
use crate::conv2d::tiling::ColumnTiling;
use crate::cpu::lanes::Lanes;
use crate::cpu::{Isa, Kind};

/// Whether the set has the registers.
pub(in crate::conv2d) fn fits(isa: Isa) -> bool {
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => true,
        _ => false,
    }
}

/// Accumulators of a register tile.
pub(in crate::conv2d) const fn accumulators<L: Lanes>() -> usize {
    L::TILE[0] * L::TILE[1]
}

/// Both sides of a group.
#[derive(Clone, Copy)]
struct Walk {
    tiling: ColumnTiling,
    /// R.
    kernel: usize,
    inputs: Side,
    outputs: Side,
}

impl Walk {
    fn of(sizes: &Sizes) -> Walk {
        let tiling = ColumnTiling::of(sizes).unwrap_or_else(|| panic!("conv2d: {sizes:?} takes all products"));
        let [inputs, outputs] = sides(sizes);
        Walk { tiling, kernel: sizes.kernel_size[0], inputs, outputs }
    }

    /// Some rows of tiles of the inputs, with zeros on both sides of the image: [channels, N, rows of tiles, columns].
    fn strip(&self, side: Side, tiles: (usize, usize)) -> Strip {
        let row = self.row();
        Strip {
            side,
            values: self.tiling.values,
            step: self.tiling.step,
            tiles,
            column: -(side.corner[1] as isize),
            span: row / LANES,
            floats: [tiles.1 * row, self.tiling.values * tiles.1 * row, row],
        }
    }

    /// Floats of a row of values.
    #[inline(always)]
    fn row(&self) -> usize {
        (self.inputs.size[1] + 2 * self.inputs.corner[1]) * LANES
    }

    /// Values of the weights of a pair of channels.
    #[inline(always)]
    fn weights(&self) -> usize {
        self.tiling.values * self.kernel
    }
}

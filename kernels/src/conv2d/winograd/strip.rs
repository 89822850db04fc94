//! Along the columns of an image: from rows of tiles to their values and back.

use std::ops::Range;

use super::Side;
use super::transform::{Coefficients, Eight, Six, Transform, Values, Window, WindowBack, apply};
use crate::LANES;
use crate::cpu::instantiate;
use crate::cpu::lanes::Lanes;
use crate::cpu::walk::Steps;

/// What the rows of tiles of an image are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// Inputs of the convolution: windows of N, each M behind the one before.
    Inputs,
    /// Its outputs: M side by side.
    Outputs,
}

/// Some rows of tiles, some columns wide, and where their values lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strip {
    pub(super) side: Side,
    /// Values of a row of tiles.
    pub(super) values: usize,
    /// Rows of the image from one row of tiles to the next.
    pub(super) step: usize,
    /// (first, number) of the rows of tiles.
    pub(super) tiles: (usize, usize),
    /// The image's column where it begins, maybe outside, and its columns.
    pub(super) column: isize,
    pub(super) span: usize,
    /// Floats from one value, one channel and one row of tiles to the next.
    pub(super) floats: [usize; 3],
}

/// One row of tiles in one channel.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// The row of the image where it begins, maybe outside.
    row: isize,
    /// Floats from the images, and from the values, to its first column.
    image: isize,
    values: usize,
    /// Whether all its rows lie in the image.
    is_inside: bool,
    /// Whether no row of tiles lies above.
    is_first: bool,
}

impl Strip {
    /// All lines, channel by channel, of tiles that are `size` high.
    #[inline(always)]
    fn lines(&self, size: usize) -> impl Iterator<Item = Line> {
        let Strip { side, step, tiles: (first, rows), column, floats: [_, channel_values, row_values], .. } = *self;
        (0..side.channels).flat_map(move |c| {
            (0..rows).map(move |r| {
                let row = ((first + r) * step) as isize - side.corner[0] as isize;
                let image =
                    (c * side.size[0] * side.row()) as isize + row * side.row() as isize + column * LANES as isize;
                let is_inside = row >= 0 && row as usize + size <= side.size[0];
                let values = c * channel_values + r * row_values;
                Line { row, image, values, is_inside, is_first: first + r == 0 }
            })
        })
    }

    /// The columns of the strip that lie in the image.
    #[inline(always)]
    fn columns(&self) -> Range<usize> {
        let span = self.span as isize;
        let start = (-self.column).clamp(0, span);
        let end = (self.side.size[1] as isize - self.column).clamp(start, span);
        start as usize..end as usize
    }
}

/// Images -> values; around the images are zeros.
///
/// # Safety
/// The images are valid for the side, `to` for the values of the strip; the set of `L` is enabled.
#[inline(always)]
unsafe fn rows_in_by<L: Lanes>(strip: &Strip, images: *const f32, to: *mut f32) {
    // SAFETY: passed on.
    unsafe {
        match (strip.side.rows, strip.values) {
            (Rows::Inputs, 6) => lines_in::<L, Window<Six>, 6, 6>(strip, images, to),
            (Rows::Inputs, _) => lines_in::<L, Window<Eight>, 8, 8>(strip, images, to),
            (Rows::Outputs, 6) => lines_in::<L, Values<Six>, 4, 6>(strip, images, to),
            (Rows::Outputs, _) => lines_in::<L, Values<Eight>, 4, 8>(strip, images, to),
        }
    }
}

/// A rows of every tile.
///
/// # Safety
/// As for [`rows_in_by`].
#[inline(always)]
unsafe fn lines_in<L: Lanes, T: Transform<A, N>, const A: usize, const N: usize>(
    strip: &Strip,
    images: *const f32,
    to: *mut f32,
) {
    let columns = strip.columns();
    for line in strip.lines(A) {
        // SAFETY: the caller vouches for image and strip. The columns lie in the image, and so do all rows, or `line_in` compares
        // them.
        unsafe {
            let (image, to) = (images.wrapping_offset(line.image), to.add(line.values));
            for x in (0..columns.start).chain(columns.end..strip.span) {
                for i in 0..N {
                    L::splat(0.0).store(to.add(i * strip.floats[0] + x * LANES));
                }
            }
            if line.is_inside {
                line_in::<L, T, A, N, false>(strip, line.row, columns.clone(), image, to);
            } else {
                line_in::<L, T, A, N, true>(strip, line.row, columns.clone(), image, to);
            }
        }
    }
}

/// One row of tiles of one channel. With `EDGE`, rows outside of the image are zeros.
///
/// # Safety
/// As for [`rows_in_by`], for the columns from the pointers on, which lie in the image; without `EDGE`, all A rows do.
#[inline(always)]
unsafe fn line_in<L: Lanes, T: Transform<A, N>, const A: usize, const N: usize, const EDGE: bool>(
    strip: &Strip,
    row: isize,
    columns: Range<usize>,
    image: *const f32,
    to: *mut f32,
) {
    let (rows, values) = (Steps::of(strip.side.row()), Steps::of(strip.floats[0]));
    let (mut image, mut to) = (image.wrapping_add(columns.start * LANES), to.wrapping_add(columns.start * LANES));
    for _ in columns {
        // SAFETY: the contract.
        unsafe {
            let (row_of, value_of) = (rows.along(image), values.along_mut(to));
            let mut taken = [L::splat(0.0); A];
            for (a, taken) in taken.iter_mut().enumerate() {
                if !EDGE || ((row + a as isize) as usize) < strip.side.size[0] {
                    *taken = L::load(row_of(a));
                }
            }
            for (i, value) in apply::<T, L, _, _>(taken).into_iter().enumerate() {
                value.store(value_of(i));
            }
            (image, to) = (image.wrapping_add(LANES), to.wrapping_add(LANES));
        }
    }
}

/// Values -> images, added where tiles overlap. Strips of an image come in their order, so that the first to reach an element
/// overwrites it.
///
/// # Safety
/// The images are valid for the side, `from` for the values of the strip; the set of `L` is enabled.
#[inline(always)]
unsafe fn rows_out_by<L: Lanes>(strip: &Strip, from: *const f32, images: *mut f32) {
    // SAFETY: passed on.
    unsafe {
        match (strip.side.rows, strip.values) {
            (Rows::Inputs, 6) => lines_out::<L, WindowBack<Six>, 6, 6, 2>(strip, from, images),
            (Rows::Inputs, _) => lines_out::<L, WindowBack<Eight>, 8, 8, 4>(strip, from, images),
            (Rows::Outputs, 6) => lines_out::<L, Coefficients<Six>, 6, 4, 0>(strip, from, images),
            (Rows::Outputs, _) => lines_out::<L, Coefficients<Eight>, 8, 4, 0>(strip, from, images),
        }
    }
}

/// B rows of every tile, of which it shares SHARED with the one above, and as many columns with the one on the left.
///
/// # Safety
/// As for [`rows_out_by`].
#[inline(always)]
unsafe fn lines_out<L: Lanes, T: Transform<N, B>, const N: usize, const B: usize, const SHARED: usize>(
    strip: &Strip,
    from: *const f32,
    images: *mut f32,
) {
    let columns = strip.columns();
    // Columns that the strip on the left has written.
    let left =
        if strip.column + strip.side.corner[1] as isize > 0 { SHARED } else { 0 }.clamp(columns.start, columns.end);
    for line in strip.lines(B) {
        let (image, from) = (images.wrapping_offset(line.image), from.wrapping_add(line.values));
        let (old, new) = (columns.start..left, left..columns.end);
        // SAFETY: as in `lines_in`.
        unsafe {
            match (line.is_inside, line.is_first) {
                (true, true) => line_out::<L, T, N, B, 0, false>(strip, &line, 0, new, from, image),
                (true, false) => line_out::<L, T, N, B, SHARED, false>(strip, &line, SHARED, new, from, image),
                (false, true) => line_out::<L, T, N, B, B, true>(strip, &line, 0, new, from, image),
                (false, false) => line_out::<L, T, N, B, B, true>(strip, &line, SHARED, new, from, image),
            }
            if SHARED > 0 {
                line_out::<L, T, N, B, B, true>(strip, &line, B, old, from, image);
            }
        }
    }
}

/// One row of tiles of one channel, whose first OLD rows (with `EDGE`: `old` rows) are added to what is there. With `EDGE`, rows outside
/// of the image are left out.
///
/// # Safety
/// As for [`rows_out_by`], for the columns from the pointers on, which lie in the image; without `EDGE`, all B rows do.
#[inline(always)]
unsafe fn line_out<L, T, const N: usize, const B: usize, const OLD: usize, const EDGE: bool>(
    strip: &Strip,
    line: &Line,
    old: usize,
    columns: Range<usize>,
    from: *const f32,
    image: *mut f32,
) where
    L: Lanes,
    T: Transform<N, B>,
{
    let (rows, values) = (Steps::of(strip.side.row()), Steps::of(strip.floats[0]));
    let (mut image, mut from) = (image.wrapping_add(columns.start * LANES), from.wrapping_add(columns.start * LANES));
    for _ in columns {
        // SAFETY: the contract.
        unsafe {
            let (row_of, value_of) = (rows.along_mut(image), values.along(from));
            let mut taken = [L::splat(0.0); N];
            for (i, taken) in taken.iter_mut().enumerate() {
                *taken = L::load(value_of(i));
            }
            for (b, value) in apply::<T, L, _, _>(taken).into_iter().enumerate() {
                if !EDGE || ((line.row + b as isize) as usize) < strip.side.size[0] {
                    let to = row_of(b);
                    let is_old = if EDGE { b < old } else { b < OLD };
                    let value = if is_old { L::load(to).add(value) } else { value };
                    value.store(to);
                }
            }
            (image, from) = (image.wrapping_add(LANES), from.wrapping_add(LANES));
        }
    }
}

instantiate!(pub(super) unsafe fn rows_in = rows_in_by(strip: &Strip, images: *const f32, to: *mut f32));
instantiate!(pub(super) unsafe fn rows_out = rows_out_by(strip: &Strip, from: *const f32, images: *mut f32));

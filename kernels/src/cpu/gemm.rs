//! Products: the register tile that linear layers and matrix products share.
//!
//! Every product here is out(r, c) = Σ_k lhs(r, k) · rhs(c, k), where an element of `rhs` is a vector of 16 floats, and one of
//! `lhs` is a float that meets all 16 ([`splats_in`]), a vector ([`vectors`]), or both are vectors along k whose lanes are added
//! in the end ([`dots`]). What r, c and k are is a matter of steps.

// A tile is indexed by row and column, which reads better than zips of zips.
#![allow(clippy::needless_range_loop)]

use std::mem::MaybeUninit;

use super::lanes::{Lanes, prefetch};
use super::tile::{parts, strips, with_tile};
use super::{Isa, instantiate};
use crate::LANES;

/// The sizes and steps (in floats) of one product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Product {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) depth: usize,
    /// From one row of `lhs` to the next, and from one k to the next.
    pub(crate) lhs: [usize; 2],
    /// From one column of `rhs` to the next, and from one k to the next.
    pub(crate) rhs: [usize; 2],
    /// From one row of the output to the next, and from one column to the next.
    pub(crate) output: [usize; 2],
    /// Whether the product is added to what the output holds.
    pub(crate) accumulate: bool,
    /// With `accumulate`, to so many floats at the beginning of each row (0..16) nothing is added: they have their sums already.
    pub(crate) complete: usize,
}

/// The tiles that [`each_strip`] asks for are within these.
const fn limits<L: Lanes>(largest: [usize; 2]) -> [[usize; 2]; 2] {
    [largest, [L::VECTOR_TILE, 1]]
}

/// Calls `f` with strips of tiles, below each other and of the same size, which cover the product: (first row, rows of a tile,
/// tiles, first column, columns of a tile). No tile is larger than `largest` unless there is one column. The columns are outside:
/// those of `rhs` stay in the cache while the rows go by.
#[inline(always)]
fn each_strip<L: Lanes>(
    rows: usize,
    columns: usize,
    largest: [usize; 2],
    mut f: impl FnMut(usize, usize, usize, usize, usize),
) {
    let largest = if columns == 1 { [L::VECTOR_TILE, 1] } else { largest };
    let strips = strips(rows, largest[0]);
    for (c, columns) in parts(columns, largest[1]) {
        for (r, size, n) in strips.clone() {
            f(r, size, n, c, columns);
        }
    }
}

/// `lhs` in single floats, `rhs` and output in vectors of 16, of which the first `n` floats are read and written. The vectors of a row
/// lie side by side (`product.rhs[0]` and `product.output[1]` are taken as 16).
///
/// # Safety
/// All elements that `product` names lie in memory that is valid for them; the set of `L` is enabled.
#[inline(always)]
unsafe fn splats_in<L: Lanes>(product: &Product, n: usize, lhs: *const f32, rhs: *const f32, output: *mut f32) {
    each_strip::<L>(
        product.rows,
        product.columns,
        L::TILE,
        #[inline(always)]
        |r, rows, n_tiles, c, columns| {
            // SAFETY: the strip lies in the product, whose elements the caller vouches for.
            unsafe {
                let complete = if c == 0 { product.complete } else { 0 };
                let product = &Product { complete, ..*product };
                let lhs = lhs.add(r * product.lhs[0]);
                let rhs = rhs.add(c * LANES);
                let output = output.add(r * product.output[0] + c * LANES);
                if n == LANES {
                    with_tile!(
                        L,
                        [rows, columns],
                        limits::<L>(L::TILE),
                        splat_strip,
                        (product, n_tiles, lhs, rhs, output)
                    );
                } else {
                    for column in 0..columns {
                        let (rhs, output) = (rhs.add(column * LANES), output.add(column * LANES));
                        with_tile!(
                            L,
                            [rows, 1],
                            limits::<L>(L::TILE),
                            partial_strip,
                            (product, n_tiles, n, lhs, rhs, output)
                        );
                    }
                }
            }
        },
    );
}

/// `lhs`, `rhs` and output in vectors of 16. Tiles as large as those of [`dots`] read half a vector for a multiply-add, which is enough.
///
/// # Safety
/// As for [`splats_in`].
#[inline(always)]
unsafe fn vectors_in<L: Lanes>(product: &Product, lhs: *const f32, rhs: *const f32, output: *mut f32) {
    each_strip::<L>(
        product.rows,
        product.columns,
        sums_tile::<L>(),
        #[inline(always)]
        |r, rows, n_tiles, c, columns| {
            // SAFETY: the strip lies in the product, whose elements the caller vouches for.
            unsafe {
                let lhs = lhs.add(r * product.lhs[0]);
                let rhs = rhs.add(c * product.rhs[0]);
                let output = output.add(r * product.output[0] + c * product.output[1]);
                with_tile!(
                    L,
                    [rows, columns],
                    limits::<L>(sums_tile::<L>()),
                    vector_strip,
                    (product, n_tiles, lhs, rhs, output)
                );
            }
        },
    );
}

/// Rows and columns of a tile whose lanes are added: as many sums as [`totals`] adds up at once, if there are registers for them.
pub(crate) const fn sums_tile<L: Lanes>() -> [usize; 2] {
    let [rows, columns] = L::TILE;
    [rows, if rows * columns > LANES { LANES / rows } else { columns }]
}

/// `lhs`, `rhs` and output in single floats, those of `lhs` and `rhs` side by side along k, those of the output along its rows
/// (`product.lhs[1]`, `product.rhs[1]` and `product.output[1]` are taken as 1).
///
/// # Safety
/// As for [`splats_in`].
#[inline(always)]
unsafe fn dots_in<L: Lanes>(product: &Product, lhs: *const f32, rhs: *const f32, output: *mut f32) {
    each_strip::<L>(
        product.rows,
        product.columns,
        sums_tile::<L>(),
        #[inline(always)]
        |r, rows, n_tiles, c, columns| {
            // SAFETY: the strip lies in the product, whose elements the caller vouches for.
            unsafe {
                let lhs = lhs.add(r * product.lhs[0]);
                let rhs = rhs.add(c * product.rhs[0]);
                let output = output.add(r * product.output[0] + c);
                with_tile!(
                    L,
                    [rows, columns],
                    limits::<L>(sums_tile::<L>()),
                    dot_strip,
                    (product, n_tiles, lhs, rhs, output)
                );
            }
        },
    );
}

/// output [n] = matrix [n, k] · vector [k]: 16 rows of the matrix at a time, whose lanes are added all at once: with one
/// vector, there is nothing else to spread the additions of [`dots`] over.
///
/// # Safety
/// The pointers are valid for these elements; the set of `L` is enabled.
#[inline(always)]
unsafe fn matrix_vector_in<L: Lanes>(n: usize, k: usize, matrix: *const f32, vector: *const f32, output: *mut f32) {
    for block in (0..n).step_by(LANES) {
        let rows = (n - block).min(LANES);
        // SAFETY: rows block..block + rows lie in the matrix and in the output.
        unsafe {
            let mut sums = [L::splat(0.0); LANES];
            for (r, n) in parts(rows, L::VECTOR_TILE) {
                let matrix = matrix.add((block + r) * k);
                with_tile!(L, [n, 1], limits::<L>(L::TILE), row_sums, (&k, matrix, vector, sums.as_mut_ptr().add(r)));
            }
            let sums = L::sums(sums);
            if rows == LANES { sums.store(output.add(block)) } else { sums.store_first(output.add(block), rows) }
        }
    }
}

/// R rows of a matrix [.., k] times a vector, lane by lane.
///
/// # Safety
/// As for [`matrix_vector_in`]; `sums` is valid for R vectors.
#[inline(always)]
unsafe fn row_sums<L: Lanes, const R: usize, const C: usize>(
    k: &usize,
    matrix: *const f32,
    vector: *const f32,
    sums: *mut L,
) {
    let k = *k;
    // SAFETY: R rows of k floats are what the caller vouches for; the last step reads only the floats that are left.
    unsafe {
        let mut own = [L::splat(0.0); R];
        let whole = k / LANES * LANES;
        for i in (0..whole).step_by(LANES) {
            let factor = L::load(vector.add(i));
            for r in 0..R {
                own[r] = factor.fma(L::load(matrix.add(r * k + i)), own[r]);
            }
        }
        if whole < k {
            let factor = L::load_first(vector.add(whole), k - whole, 0.0);
            for r in 0..R {
                own[r] = factor.fma(L::load_first(matrix.add(r * k + whole), k - whole, 0.0), own[r]);
            }
        }
        for r in 0..R {
            sums.add(r).write(own[r]);
        }
    }
}

/// Strips: `n_tiles` tiles below each other, so that the size of a tile is chosen once for all of them.
macro_rules! strips {
    ($($strip:ident = $tile:ident($($name:ident: $type:ty)?);)*) => {$(
        /// # Safety
        /// As for [`splats_in`], for the tiles of R x C elements from the pointers on.
        #[inline(always)]
        unsafe fn $strip<L: Lanes, const R: usize, const C: usize>(
            product: &Product,
            n_tiles: usize,
            $($name: $type,)?
            lhs: *const f32,
            rhs: *const f32,
            output: *mut f32,
        ) {
            for tile in 0..n_tiles {
                // SAFETY: passed on to the caller.
                unsafe {
                    let (lhs, output) = (lhs.add(tile * R * product.lhs[0]), output.add(tile * R * product.output[0]));
                    $tile::<L, R, C>(product, $($name,)? lhs, rhs, output);
                }
            }
        }
    )*};
}

strips! {
    splat_strip = splat_tile();
    partial_strip = partial_tile(n: usize);
    vector_strip = vector_tile();
    dot_strip = dot_tile();
}

/// Floats of an output from which on a tile asks for its part before it begins: the whole does not stay in the second cache. What is added
/// to is asked for in any case, since the tile will wait for it.
const FETCHED: usize = 128 * 1024;

/// # Safety
/// As for [`splats_in`], for the R x C elements from the pointers on.
#[inline(always)]
unsafe fn splat_tile<L: Lanes, const R: usize, const C: usize>(
    product: &Product,
    mut lhs: *const f32,
    mut rhs: *const f32,
    output: *mut f32,
) {
    // SAFETY: R rows, C columns and `depth` steps are what the caller vouches for. The pointers are moved with
    // `wrapping_add` because they stand behind the last element in the end.
    unsafe {
        if product.rows * product.output[0] >= FETCHED || product.accumulate {
            for r in 0..R {
                for c in 0..C {
                    prefetch(output.wrapping_add(r * product.output[0] + c * LANES));
                }
            }
        }
        let mut sums = [[L::splat(0.0); C]; R];
        for _ in 0..product.depth {
            let mut factors = [L::splat(0.0); R];
            for r in 0..R {
                factors[r] = L::splat(*lhs.add(r * product.lhs[0]));
            }
            for c in 0..C {
                let vector = L::load(rhs.add(c * LANES));
                for r in 0..R {
                    sums[r][c] = factors[r].fma(vector, sums[r][c]);
                }
            }
            lhs = lhs.wrapping_add(product.lhs[1]);
            rhs = rhs.wrapping_add(product.rhs[1]);
        }
        store_tile(product, sums, output);
    }
}

/// # Safety
/// As for [`splats_in`], for the R elements from the pointers on.
#[inline(always)]
unsafe fn partial_tile<L: Lanes, const R: usize, const C: usize>(
    product: &Product,
    n: usize,
    mut lhs: *const f32,
    mut rhs: *const f32,
    output: *mut f32,
) {
    // SAFETY: as in `splat_tile`; only the first n lanes are touched.
    unsafe {
        let mut sums = [L::splat(0.0); R];
        for _ in 0..product.depth {
            let vector = L::load_first(rhs, n, 0.0);
            for r in 0..R {
                sums[r] = L::splat(*lhs.add(r * product.lhs[0])).fma(vector, sums[r]);
            }
            lhs = lhs.wrapping_add(product.lhs[1]);
            rhs = rhs.wrapping_add(product.rhs[1]);
        }
        for r in 0..R {
            let to = output.add(r * product.output[0]);
            let sum = if product.accumulate { L::load_first(to, n, 0.0).add(sums[r]) } else { sums[r] };
            sum.store_first(to, n);
        }
    }
}

/// # Safety
/// As for [`splats_in`], for the R x C elements from the pointers on.
#[inline(always)]
unsafe fn vector_tile<L: Lanes, const R: usize, const C: usize>(
    product: &Product,
    mut lhs: *const f32,
    mut rhs: *const f32,
    output: *mut f32,
) {
    // SAFETY: as in `splat_tile`.
    unsafe {
        let mut sums = [[L::splat(0.0); C]; R];
        for _ in 0..product.depth {
            let mut factors = [L::splat(0.0); R];
            for r in 0..R {
                factors[r] = L::load(lhs.add(r * product.lhs[0]));
            }
            for c in 0..C {
                let vector = L::load(rhs.add(c * product.rhs[0]));
                for r in 0..R {
                    sums[r][c] = factors[r].fma(vector, sums[r][c]);
                }
            }
            lhs = lhs.wrapping_add(product.lhs[1]);
            rhs = rhs.wrapping_add(product.rhs[1]);
        }
        store_tile(product, sums, output);
    }
}

/// # Safety
/// As for [`dots_in`], for the R x C elements from the pointers on.
#[inline(always)]
unsafe fn dot_tile<L: Lanes, const R: usize, const C: usize>(
    product: &Product,
    lhs: *const f32,
    rhs: *const f32,
    output: *mut f32,
) {
    // SAFETY: as in `splat_tile`; the last step along k reads only the floats that are left.
    unsafe {
        let mut sums = [[L::splat(0.0); C]; R];
        let whole = product.depth / LANES * LANES;
        for k in (0..whole).step_by(LANES) {
            let mut factors = [L::splat(0.0); R];
            for r in 0..R {
                factors[r] = L::load(lhs.add(r * product.lhs[0] + k));
            }
            for c in 0..C {
                let vector = L::load(rhs.add(c * product.rhs[0] + k));
                for r in 0..R {
                    sums[r][c] = factors[r].fma(vector, sums[r][c]);
                }
            }
        }
        if whole < product.depth {
            let n = product.depth - whole;
            let mut factors = [L::splat(0.0); R];
            for r in 0..R {
                factors[r] = L::load_first(lhs.add(r * product.lhs[0] + whole), n, 0.0);
            }
            for c in 0..C {
                let vector = L::load_first(rhs.add(c * product.rhs[0] + whole), n, 0.0);
                for r in 0..R {
                    sums[r][c] = factors[r].fma(vector, sums[r][c]);
                }
            }
        }
        add_totals(sums, LANES, product.accumulate, output, product.output[0]);
    }
}

/// The sums of the lanes of each vector.
///
/// # Safety
/// The set of `L` is enabled.
#[inline(always)]
pub(crate) unsafe fn totals<L: Lanes, const R: usize, const C: usize>(vectors: [[L; C]; R]) -> [[f32; C]; R] {
    let mut totals = [[0.0; C]; R];
    // SAFETY: the contract.
    unsafe {
        for first in (0..R * C).step_by(LANES) {
            let n = (R * C - first).min(LANES);
            if n > FEW_SUMS {
                let mut all = [L::splat(0.0); LANES];
                for i in 0..n {
                    all[i] = vectors[(first + i) / C][(first + i) % C];
                }
                let all = L::sums(all).to_array();
                for i in 0..n {
                    totals[(first + i) / C][(first + i) % C] = all[i];
                }
            } else {
                for i in first..first + n {
                    totals[i / C][i % C] = vectors[i / C][i % C].sum();
                }
            }
        }
    }
    totals
}

/// The sums of the first `count` lanes of each vector, added to the floats of rows that are `step` apart if `adds`.
///
/// # Safety
/// `to` is valid for R rows of C floats; the set of `L` is enabled.
#[inline(always)]
pub(crate) unsafe fn add_totals<L: Lanes, const R: usize, const C: usize>(
    mut vectors: [[L; C]; R],
    count: usize,
    adds: bool,
    to: *mut f32,
    step: usize,
) {
    // SAFETY: the contract.
    unsafe {
        if count < LANES {
            for vector in vectors.as_flattened_mut() {
                *vector = vector.first(count);
            }
        }
        let totals = totals(vectors);
        for r in 0..R {
            for c in 0..C {
                let to = to.add(r * step + c);
                to.write(if adds { to.read() + totals[r][c] } else { totals[r][c] });
            }
        }
    }
}

/// Up to so many vectors, adding the lanes of each is cheaper than adding those of 16 at once.
const FEW_SUMS: usize = 6;

/// # Safety
/// The R x C vectors of the output from the pointer on are valid; the set of `L` is enabled.
#[inline(always)]
unsafe fn store_tile<L: Lanes, const R: usize, const C: usize>(product: &Product, sums: [[L; C]; R], output: *mut f32) {
    for r in 0..R {
        for c in 0..C {
            let sum = sums[r][c];
            // SAFETY: the caller vouches for the vector (r, c).
            unsafe {
                let to = output.add(r * product.output[0] + c * product.output[1]);
                let new = if c == 0 && product.complete > 0 { sum.only(u16::MAX << product.complete) } else { sum };
                let sum = if product.accumulate { L::load(to).add(new) } else { sum };
                sum.store(to);
            }
        }
    }
}

/// output [m, n] = lhs · rhs [k, n], with the element (row, k) of `lhs` at `row * steps[0] + k * steps[1]`; added to the
/// output if `accumulate`.
///
/// # Safety
/// The pointers are valid for the sizes [m, k, n]; the set of `L` is enabled.
#[inline(always)]
unsafe fn row_major_in<L: Lanes>(
    [m, k, n]: [usize; 3],
    steps: [usize; 2],
    accumulate: bool,
    lhs: *const f32,
    rhs: *const f32,
    output: *mut f32,
) {
    let product = Product {
        rows: m,
        columns: 1,
        depth: k,
        lhs: steps,
        rhs: [LANES, n],
        output: [n, LANES],
        accumulate,
        complete: 0,
    };
    // SAFETY: the parts of n lie in the columns that the caller vouches for.
    unsafe {
        if n < LANES {
            return splats_in::<L>(&product, n, lhs, rhs, output);
        }
        let copied = m >= PANEL_ROWS && k >= PANEL_DEPTH / 4;
        let mut done = 0;
        for (first, columns) in panels_of(n, if copied { PANEL_COLUMNS } else { L::TILE[1] }) {
            let complete = if accumulate { done - first } else { 0 };
            let own = Product { columns, complete, ..product };
            let (rhs, output) = (rhs.add(first), output.add(first));
            if copied {
                panel::<L>(&own, lhs, rhs, output);
            } else {
                splats_in::<L>(&own, LANES, lhs, rhs, output);
            }
            done = first + columns * LANES;
        }
    }
}

/// [`splats_in`] for many rows and at most [`PANEL_COLUMNS`] columns: `rhs` in the order in which it is read. It stays in L1 for all
/// rows; where it stands, columns of a matrix whose rows are a power of two long would share a few sets of it.
///
/// # Safety
/// As for [`splats_in`] with 16 floats of each vector.
#[inline(always)]
unsafe fn panel<L: Lanes>(product: &Product, lhs: *const f32, rhs: *const f32, output: *mut f32) {
    let columns = product.columns;
    let mut panel = [const { MaybeUninit::<Line>::uninit() }; PANEL_DEPTH * PANEL_COLUMNS];
    for (k, depth) in parts(product.depth, PANEL_DEPTH) {
        // SAFETY: steps k..k + depth lie in the product, whose elements the caller vouches for; the panel has room for them.
        unsafe {
            for (step, lines) in (k..k + depth).zip(panel.chunks_exact_mut(columns)) {
                for (column, line) in lines.iter_mut().enumerate() {
                    let vector = rhs.add(column * product.rhs[0] + step * product.rhs[1]);
                    line.write(vector.cast::<Line>().read_unaligned());
                }
            }
            let rhs = [LANES, columns * LANES];
            let own = Product { depth, rhs, accumulate: product.accumulate || k > 0, ..*product };
            splats_in::<L>(&own, LANES, lhs.add(k * product.lhs[1]), panel.as_ptr().cast(), output);
        }
    }
}

/// A vector of a panel.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LANES]);

/// The vectors of a panel: the columns of the widest tile, and so many steps that L1 holds it.
const PANEL_COLUMNS: usize = 6;
const PANEL_DEPTH: usize = 128;

/// From so many rows on, copying what all of them read costs next to nothing.
const PANEL_ROWS: usize = 64;

/// output [m, n] = lhs [m, k] · rhs [n, k] transposed.
///
/// # Safety
/// The pointers are valid for the sizes [m, k, n].
pub(crate) unsafe fn row_dots(isa: Isa, [m, k, n]: [usize; 3], lhs: *const f32, rhs: *const f32, output: *mut f32) {
    let product = Product {
        rows: m,
        columns: n,
        depth: k,
        lhs: [k, 1],
        rhs: [k, 1],
        output: [n, 1],
        accumulate: false,
        complete: 0,
    };
    // SAFETY: these are the steps, and the rows, of the matrices that the caller vouches for.
    unsafe {
        if m > FEW_ROWS {
            return dots(isa, &product, lhs, rhs, output);
        }
        for row in 0..m {
            matrix_vector(isa, n, k, rhs, lhs.add(row * k), output.add(row * n));
        }
    }
}

/// Up to so many rows, reading the other matrix again for each is cheaper than adding lanes one by one.
const FEW_ROWS: usize = 2;

/// n >= 16 columns as (first, vectors) of panels of at most `largest` vectors. The last one is moved back so that it is complete; it
/// gives some columns a second time.
#[inline(always)]
fn panels_of(n: usize, largest: usize) -> impl Iterator<Item = (usize, usize)> {
    let largest = largest.min(n / LANES);
    parts(n.div_ceil(LANES), largest).map(move |(c, columns)| ((c * LANES).min(n - columns * LANES), columns))
}

/// rhs [n, k], n >= 16, into the panels of [`packed`].
///
/// # Safety
/// `rhs` is valid for its size, `panels` for k vectors for each 16 columns; the set of `L` is enabled.
#[inline(always)]
unsafe fn pack_in<L: Lanes>([k, n]: [usize; 2], rhs: *const f32, mut panels: *mut f32) {
    for (first, columns) in panels_of(n, L::TILE[1]) {
        for column in 0..columns {
            for step in (0..k).step_by(LANES) {
                let steps = LANES.min(k - step);
                // SAFETY: rows first + column * 16 .. + 16 lie in the matrix, and steps step..step + steps in each of them.
                unsafe {
                    let mut block = [L::splat(0.0); LANES];
                    for (i, row) in block.iter_mut().enumerate() {
                        *row = L::load_up_to(rhs.add((first + column * LANES + i) * k + step), steps);
                    }
                    for (i, vector) in L::transpose(block).into_iter().take(steps).enumerate() {
                        vector.store(panels.add(((step + i) * columns + column) * LANES));
                    }
                }
            }
        }
        panels = panels.wrapping_add(k * columns * LANES);
    }
}

/// As [`row_dots`], with `rhs` as [`pack`] left it: whole columns of the output stand in the lanes, so none are added up.
///
/// # Safety
/// The pointers are valid for the sizes [m, k, n], n >= 16; the set of `L` is enabled.
#[inline(always)]
unsafe fn packed_in<L: Lanes>([m, k, n]: [usize; 3], lhs: *const f32, mut panels: *const f32, output: *mut f32) {
    for (first, columns) in panels_of(n, L::TILE[1]) {
        let (rhs, output_steps) = ([LANES, columns * LANES], [n, LANES]);
        let product = Product {
            rows: m,
            columns,
            depth: k,
            lhs: [k, 1],
            rhs,
            output: output_steps,
            accumulate: false,
            complete: 0,
        };
        // SAFETY: the panel holds k steps of `columns` vectors, whose results lie in the rows of the output.
        unsafe { splats_in::<L>(&product, LANES, lhs, panels, output.add(first)) };
        panels = panels.wrapping_add(k * columns * LANES);
    }
}

instantiate!(pub(crate) unsafe fn pack = pack_in(sizes: [usize; 2], rhs: *const f32, panels: *mut f32));
instantiate!(pub(crate) unsafe fn packed = packed_in(
    sizes: [usize; 3], lhs: *const f32, panels: *const f32, output: *mut f32,
));

instantiate!(pub(crate) unsafe fn row_major = row_major_in(
    sizes: [usize; 3], steps: [usize; 2], accumulate: bool, lhs: *const f32, rhs: *const f32, output: *mut f32,
));
instantiate!(pub(crate) unsafe fn vectors = vectors_in(product: &Product, lhs: *const f32, rhs: *const f32, output: *mut f32));
instantiate!(unsafe fn matrix_vector = matrix_vector_in(n: usize, k: usize, matrix: *const f32, vector: *const f32, output: *mut f32));
instantiate!(unsafe fn dots = dots_in(product: &Product, lhs: *const f32, rhs: *const f32, output: *mut f32));

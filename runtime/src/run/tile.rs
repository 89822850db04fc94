//! What emitted code works on: a tile of samples, or complete tensors.

use std::ops::Range;

use graven_kernels::cpu::{Context, layout};

use crate::floats::Shared;

/// A tile: up to 16 samples of a loop, a single one, or more than 16, see [`LoopPlan`](crate::plan::LoopPlan).
///
/// In the layout *samples*, a value of a tile is `[features, 16 samples]`, in the layout *rows* it is `[samples,
/// features]`. Behind the last sample of a batch, loads repeat it, and stores leave out what was computed for it. A tile of
/// a single sample is `[1, features]`; it reads its part of complete tensors in place, by [`sample`].
pub struct Tile<'a> {
    /// Which samples these are, for kernels.
    pub cx: Context,
    /// The arena of the tile.
    pub floats: &'a mut [f32],
    /// Its integers.
    pub ints: &'a mut [i64],
    /// All parameters, laid out as in the module's plan.
    pub parameters: &'a [f32],
    /// The complete tensors that [`LoopPlan::reads`](crate::plan::LoopPlan::reads) lists.
    pub reads: &'a [&'a [f32]],
    /// The complete tensors that [`LoopPlan::int_reads`](crate::plan::LoopPlan::int_reads) lists.
    pub int_reads: &'a [&'a [i64]],
    /// The accumulators of the tile's chunk.
    pub sums: &'a mut [f32],
    /// Its integers.
    pub int_sums: &'a mut [i64],
    /// The sizes that the arguments bound.
    pub symbols: &'a [usize],
    // Private, and not the numbers in `cx`: stores rest on them.
    pub(super) samples: Range<usize>,
    pub(super) n_samples: usize,
    pub(super) writes: &'a [Shared<'a, f32>],
    pub(super) int_writes: &'a [Shared<'a, i64>],
}

impl Tile<'_> {
    /// A kernel begins.
    #[cfg(feature = "profile")]
    pub fn step(&self, step: crate::profile::Step) {
        crate::profile::begin(step, self.samples.len());
    }

    /// Loads the tile's samples of `reads[read]`, `[n_samples, features]`, into `floats[slot]` in the layout *samples*.
    pub fn load_samples(&mut self, read: usize, slot: Range<usize>, features: usize) {
        layout::load_samples(&self.cx, features, self.reads[read], &mut self.floats[slot]);
    }

    /// As [`load_samples`](Self::load_samples), in the layout *rows*.
    pub fn load_rows(&mut self, read: usize, slot: Range<usize>, features: usize) {
        layout::load_rows(&self.cx, features, self.reads[read], &mut self.floats[slot]);
    }

    /// As [`load_samples`](Self::load_samples), from `int_reads` to `ints`.
    pub fn load_int_samples(&mut self, read: usize, slot: Range<usize>, features: usize) {
        layout::load_samples_i64(&self.cx, features, self.int_reads[read], &mut self.ints[slot]);
    }

    /// As [`load_rows`](Self::load_rows), from `int_reads` to `ints`.
    pub fn load_int_rows(&mut self, read: usize, slot: Range<usize>, features: usize) {
        layout::load_rows_i64(&self.cx, features, self.int_reads[read], &mut self.ints[slot]);
    }

    /// Stores `floats[slot]`, in the layout *samples*, as the tile's samples of the tensor that the loop writes as number
    /// `write`, `[n_samples, features]`.
    pub fn store_samples(&mut self, slot: Range<usize>, write: usize, features: usize) {
        let output = own(&self.writes[write], &self.samples, self.n_samples, features);
        layout::store_samples(&self.cx, features, &self.floats[slot], output);
    }

    /// As [`store_samples`](Self::store_samples), from the layout *rows*.
    pub fn store_rows(&mut self, slot: Range<usize>, write: usize, features: usize) {
        let output = own(&self.writes[write], &self.samples, self.n_samples, features);
        layout::store_rows(&self.cx, features, &self.floats[slot], output);
    }

    /// As [`store_samples`](Self::store_samples), for integers.
    pub fn store_int_samples(&mut self, slot: Range<usize>, write: usize, features: usize) {
        let output = own(&self.int_writes[write], &self.samples, self.n_samples, features);
        layout::store_samples_i64(&self.cx, features, &self.ints[slot], output);
    }

    /// As [`store_rows`](Self::store_rows), for integers.
    pub fn store_int_rows(&mut self, slot: Range<usize>, write: usize, features: usize) {
        let output = own(&self.int_writes[write], &self.samples, self.n_samples, features);
        layout::store_rows_i64(&self.cx, features, &self.ints[slot], output);
    }
}

/// The first sample of a tile, in a complete tensor `[n_samples, features]`.
///
/// # Panics
///
/// It passes the end: a bug of the compiler.
#[must_use]
#[inline]
pub fn sample<'a, T>(tensor: &'a [T], cx: &Context, features: usize) -> &'a [T] {
    &tensor[cx.first * features..][..features]
}

/// A tile's own samples of a tensor that its loop writes.
// The result borrows nothing of the tile, so each caller uses it for one store and lets it go.
fn own<'a, T>(write: &Shared<'a, T>, samples: &Range<usize>, n_samples: usize, features: usize) -> &'a mut [T] {
    assert_eq!(write.len(), n_samples * features, "compiler bug: a loop stores another size than its plan says");
    // SAFETY: every tile of the loop cuts this tensor into `n_samples` parts of the same length (just checked) and takes
    // the parts of its own samples, which no other tile has (`run::loops` makes each tile once). What a loop writes, it
    // does not read (`loops::check`). Within the tile, the previous store has ended.
    unsafe { write.part_mut(samples.start * features..samples.end * features) }
}

/// Complete tensors, see [`Stage::whole`](crate::plan::Stage::whole).
pub struct Whole<'a> {
    /// For kernels: one "sample", which is everything.
    pub cx: Context,
    /// The values of the call: those of f32.
    pub floats: &'a mut [f32],
    /// Those of i64.
    pub ints: &'a mut [i64],
    /// Where each value of the plan lies, in `floats` or in `ints`.
    pub slots: &'a [Range<usize>],
    /// All parameters, laid out as in the module's plan.
    pub parameters: &'a [f32],
    /// The arguments; empty where an argument is of i64.
    pub inputs: &'a [&'a [f32]],
    /// The arguments; empty where an argument is of f32.
    pub int_inputs: &'a [&'a [i64]],
    /// The sizes that the arguments bound.
    pub symbols: &'a [usize],
}

#[cfg(feature = "profile")]
impl Whole<'_> {
    /// A kernel begins.
    pub fn step(&self, step: crate::profile::Step) {
        crate::profile::begin(step, 0);
    }
}

/// Disjoint parts of an arena.
///
/// # Panics
///
/// They overlap, or pass the end: a bug of the compiler.
#[must_use]
#[inline]
pub fn disjoint<T, const K: usize>(arena: &mut [T], ranges: [Range<usize>; K]) -> [&mut [T]; K] {
    match arena.get_disjoint_mut(ranges) {
        Ok(parts) => parts,
        Err(error) => panic!("compiler bug: the memory plan of a function is wrong: {error}"),
    }
}

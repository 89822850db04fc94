//! Loops over the samples of a batch: tiles, chunks, and the sums of chunks.

use std::ops::Range;

use graven_kernels::cpu::{Context, Isa};

use super::tile::Tile;
use crate::floats::{Floats, LINE, Shared};
use crate::plan::{LoopPlan, Place, SumTarget, TilePlan, ValuePlan};
use crate::pool;
use crate::tensor::Dtype;
use crate::workspace::{Part, TileArena, Workspace};

/// The most chunks of a loop that sums: each has accumulators of its own.
pub const MAX_CHUNKS: usize = 16;

/// The most chunks of a loop that does not sum.
const MAX_CHUNKS_WITHOUT_SUMS: usize = 256;

/// Floats of a row of accumulators that one task adds up: 16 KB of each row, so that two rows stay in L1.
const SUM_BLOCK: usize = 4096;

/// What a loop needs to know of its call.
pub(super) struct Call<'a> {
    pub(super) values: &'static [ValuePlan],
    pub(super) isa: Isa,
    pub(super) threads: usize,
    pub(super) seed: u64,
    pub(super) parameters: &'a [f32],
    pub(super) inputs: &'a [&'a [f32]],
    pub(super) int_inputs: &'a [&'a [i64]],
    pub(super) outputs: &'a [Part<'a>],
}

/// How the samples of a loop are cut. It follows from the plan and the batch alone, never from the number of threads:
/// sums come out with the same bits on any machine with the same instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    n_samples: usize,
    /// Samples of a tile.
    tile: usize,
    n_tiles: usize,
    n_chunks: usize,
}

impl Cut {
    fn new(plan: &LoopPlan, symbols: &[usize]) -> Self {
        let n_samples = plan.extent.value(symbols);
        if plan.one.is_some() && n_samples <= plan.few {
            // One chunk: it runs on the thread of the caller, which has its answer before another thread would be awake.
            return Self { n_samples, tile: 1, n_tiles: n_samples, n_chunks: 1 };
        }
        let tile = plan.tile.samples;
        let n_tiles = n_samples.div_ceil(tile);
        let max_chunks = if plan.sums + plan.int_sums > 0 { MAX_CHUNKS } else { MAX_CHUNKS_WITHOUT_SUMS };
        let tiles_per_chunk = plan.tiles_per_chunk.max(n_tiles.div_ceil(max_chunks)).max(1);
        Self { n_samples, tile, n_tiles, n_chunks: n_tiles.div_ceil(tiles_per_chunk) }
    }

    /// The tiles of a chunk: chunks differ by one tile at most, so that threads finish together.
    fn tiles(&self, chunk: usize) -> Range<usize> {
        let first = |chunk: usize| chunk * self.n_tiles / self.n_chunks;
        first(chunk)..first(chunk + 1)
    }

    /// The samples of a tile.
    fn samples(&self, tile: usize) -> Range<usize> {
        tile * self.tile..self.n_samples.min((tile + 1) * self.tile)
    }

    /// What runs on each tile.
    fn plan<'a>(&self, plan: &'a LoopPlan) -> &'a TilePlan {
        plan.one.as_ref().filter(|_| self.tile == 1).unwrap_or(&plan.tile)
    }
}

/// Runs a loop and brings its sums to their places.
pub(super) fn run(plan: &LoopPlan, call: &Call<'_>, workspace: &mut Workspace, gradients: Option<&mut [f32]>) {
    let cut = Cut::new(plan, &workspace.symbols);
    // Rows of accumulators start at lines of the cache, so that no two chunks write to the same one.
    let (row, int_row) = (plan.sums.next_multiple_of(LINE), plan.int_sums.next_multiple_of(LINE));
    workspace.sums.grow(cut.n_chunks * row);
    if workspace.int_sums.len() < cut.n_chunks * int_row {
        workspace.int_sums.resize(cut.n_chunks * int_row, 0);
    }
    grow_arenas(cut.plan(plan), &mut workspace.tiles, call.threads.min(cut.n_chunks));
    run_chunks(plan, call, &cut, workspace);
    add_chunks(&mut workspace.sums, row, cut.n_chunks, call.threads);
    add_int_chunks(&mut workspace.int_sums, int_row, cut.n_chunks);
    deliver(plan, workspace, gradients);
}

fn grow_arenas(plan: &TilePlan, arenas: &mut Vec<TileArena>, n: usize) {
    if arenas.len() < n {
        arenas.resize_with(n, TileArena::default);
    }
    for arena in arenas {
        arena.floats.grow(plan.floats);
        if arena.ints.len() < plan.ints {
            arena.ints.resize(plan.ints, 0);
        }
    }
}

fn run_chunks(plan: &LoopPlan, call: &Call<'_>, cut: &Cut, workspace: &mut Workspace) {
    check(plan, call.values);
    let Workspace { symbols, slots, floats, ints, tiles, sums, int_sums, lists, .. } = workspace;
    let (values, int_values) = (Shared::new(floats), Shared::new(ints));
    let mut borrowed = std::mem::take(lists);
    for place in plan.reads {
        borrowed.reads.push(match *place {
            Place::Input(input) => call.inputs[input],
            // SAFETY: what the loop writes is elsewhere: values lie apart from each other, and `check` found that no
            // place is both read and written.
            Place::Value(value) => unsafe { values.part(slots[value].clone()) },
            // SAFETY: as above.
            Place::Output(output) => unsafe { complete(&f32_part(call.outputs, output)) },
        });
    }
    for place in plan.int_reads {
        borrowed.int_reads.push(match *place {
            Place::Input(input) => call.int_inputs[input],
            // SAFETY: as for `reads`.
            Place::Value(value) => unsafe { int_values.part(slots[value].clone()) },
            // SAFETY: as for `reads`.
            Place::Output(output) => unsafe { complete(&i64_part(call.outputs, output)) },
        });
    }
    for place in plan.writes {
        borrowed.writes.push(match *place {
            Place::Input(_) => unreachable!("`check` found no input among the writes"),
            // SAFETY: nobody else reads or writes this value during the loop, see `reads`; `check` found it listed once.
            Place::Value(value) => Shared::new(unsafe { values.part_mut(slots[value].clone()) }),
            Place::Output(output) => f32_part(call.outputs, output),
        });
    }
    for place in plan.int_writes {
        borrowed.int_writes.push(match *place {
            Place::Input(_) => unreachable!("`check` found no input among the writes"),
            // SAFETY: as for `writes`.
            Place::Value(value) => Shared::new(unsafe { int_values.part_mut(slots[value].clone()) }),
            Place::Output(output) => i64_part(call.outputs, output),
        });
    }

    let tile_plan = cut.plan(plan);
    let (row, int_row) = (plan.sums.next_multiple_of(LINE), plan.int_sums.next_multiple_of(LINE));
    let (arenas, sums, int_sums) = (Shared::new(tiles), Shared::new(sums), Shared::new(int_sums));
    let chunk = |worker: usize, chunk: usize| {
        // SAFETY: the pool lets a worker into one task at a time.
        let arena = unsafe { &mut arenas.part_mut(worker..worker + 1)[0] };
        // SAFETY: the row belongs to this chunk, and the pool runs each chunk once.
        let sums = unsafe { sums.part_mut(chunk * row..chunk * row + plan.sums) };
        // SAFETY: as for `sums`.
        let int_sums = unsafe { int_sums.part_mut(chunk * int_row..chunk * int_row + plan.int_sums) };
        sums.fill(0.0);
        int_sums.fill(0);
        if cfg!(debug_assertions) {
            // So that code that reads what nobody wrote is noticed.
            arena.floats[..tile_plan.floats].fill(f32::NAN);
            arena.ints[..tile_plan.ints].fill(i64::MIN);
        }
        for tile in cut.tiles(chunk) {
            let samples = cut.samples(tile);
            let cx = Context { isa: call.isa, count: samples.len(), first: samples.start, seed: call.seed };
            let mut tile = Tile {
                cx,
                floats: &mut arena.floats[..tile_plan.floats],
                ints: &mut arena.ints[..tile_plan.ints],
                parameters: call.parameters,
                reads: &borrowed.reads,
                int_reads: &borrowed.int_reads,
                sums,
                int_sums,
                symbols,
                samples,
                n_samples: cut.n_samples,
                writes: &borrowed.writes,
                int_writes: &borrowed.int_writes,
            };
            tile_plan.steps.iter().for_each(|step| step(&mut tile));
        }
    };
    pool::run(call.threads, cut.n_chunks, &chunk);
    *lists = borrowed.recycle();
}

/// Checks what the borrows of a loop rest on: it writes no input, nothing twice, and nothing that it reads; values lie in
/// the arena of their own type.
fn check(plan: &LoopPlan, values: &[ValuePlan]) {
    let [floats, ints] = [(plan.reads, plan.writes, Dtype::F32), (plan.int_reads, plan.int_writes, Dtype::I64)];
    for (reads, writes, dtype) in [floats, ints] {
        for place in reads.iter().chain(writes) {
            let Place::Value(value) = *place else { continue };
            assert_eq!(values[value].dtype, dtype, "compiler bug: a loop takes the value {value} for another type");
        }
        for (index, place) in writes.iter().enumerate() {
            let alone = !matches!(place, Place::Input(_)) && !reads.contains(place) && !writes[..index].contains(place);
            assert!(alone, "compiler bug: a loop writes {place:?} and uses it otherwise as well");
        }
    }
}

fn f32_part<'a>(outputs: &[Part<'a>], output: usize) -> Shared<'a, f32> {
    match outputs[output] {
        Part::F32(part) => part,
        Part::I64(_) => panic!("compiler bug: a loop takes the result {output} for f32"),
    }
}

fn i64_part<'a>(outputs: &[Part<'a>], output: usize) -> Shared<'a, i64> {
    match outputs[output] {
        Part::I64(part) => part,
        Part::F32(_) => panic!("compiler bug: a loop takes the result {output} for i64"),
    }
}

/// All of a shared slice, to be read.
///
/// # Safety
///
/// As for [`Shared::part`].
unsafe fn complete<'a, T>(part: &Shared<'a, T>) -> &'a [T] {
    // SAFETY: passed on to the caller.
    unsafe { part.part(0..part.len()) }
}

/// Adds the rows of all chunks to the first one, pairwise: 0 + 1, 2 + 3, then (0 + 1) + (2 + 3), and so on.
///
/// The tree depends on the number of rows only, so threads may share the columns.
fn add_chunks(sums: &mut Floats, row: usize, n_chunks: usize, threads: usize) {
    if n_chunks < 2 || row == 0 {
        return;
    }
    let rows = Shared::new(&mut sums[..n_chunks * row]);
    pool::run(threads, row.div_ceil(SUM_BLOCK), &|_, block| {
        let columns = block * SUM_BLOCK..row.min((block + 1) * SUM_BLOCK);
        let part = |chunk: usize| chunk * row + columns.start..chunk * row + columns.end;
        for (into, from) in pairs(n_chunks) {
            // SAFETY: these columns belong to this task alone, `into` and `from` differ, and both borrows end here.
            let (into, from) = unsafe { (rows.part_mut(part(into)), rows.part(part(from))) };
            into.iter_mut().zip(from).for_each(|(into, from)| *into += from);
        }
    });
}

/// Integers add up exactly in any order.
fn add_int_chunks(sums: &mut [i64], row: usize, n_chunks: usize) {
    for index in row..n_chunks * row {
        sums[index % row] += sums[index];
    }
}

/// The additions of a pairwise tree over n rows, as (into, from).
fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    let distances =
        std::iter::successors(Some(1), |distance| Some(2 * distance)).take_while(move |&distance| distance < n);
    distances.flat_map(move |distance| (0..n - distance).step_by(2 * distance).map(move |into| (into, into + distance)))
}

/// Copies the sums to the values and to the gradients that the plan names.
fn deliver(plan: &LoopPlan, workspace: &mut Workspace, mut gradients: Option<&mut [f32]>) {
    for result in plan.results {
        let sums = &workspace.sums[result.from.clone()];
        match result.to {
            SumTarget::Value(value) => workspace.floats[workspace.slots[value].clone()].copy_from_slice(sums),
            SumTarget::Gradient(offset) => {
                super::write(gradients.as_deref_mut(), offset, sums);
            }
        }
    }
    for result in plan.int_results {
        let SumTarget::Value(value) = result.to else { panic!("compiler bug: gradients are not integers") };
        let slot = workspace.slots[value].clone();
        workspace.ints[slot].copy_from_slice(&workspace.int_sums[result.from.clone()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Size;

    const EMPTY: LoopPlan = LoopPlan {
        extent: Size { factor: 1, symbols: &[0] },
        tiles_per_chunk: 1,
        reads: &[],
        int_reads: &[],
        writes: &[],
        int_writes: &[],
        sums: 0,
        int_sums: 0,
        results: &[],
        int_results: &[],
        tile: TilePlan { samples: 16, floats: 0, ints: 0, steps: &[] },
        one: None,
        few: 0,
    };

    fn cut(n_samples: usize, tiles_per_chunk: usize, sums: usize) -> Cut {
        Cut::new(&LoopPlan { tiles_per_chunk, sums, ..EMPTY }, &[n_samples])
    }

    #[test]
    fn every_sample_is_in_one_tile_and_every_tile_in_one_chunk() {
        for n_samples in [1, 15, 16, 17, 100, 1000, 10_000] {
            for tiles_per_chunk in [1, 3] {
                for sums in [0, 5] {
                    let cut = cut(n_samples, tiles_per_chunk, sums);
                    assert!(cut.n_chunks <= if sums > 0 { MAX_CHUNKS } else { MAX_CHUNKS_WITHOUT_SUMS });
                    let tiles: Vec<usize> = (0..cut.n_chunks).flat_map(|chunk| cut.tiles(chunk)).collect();
                    assert!(tiles.iter().copied().eq(0..cut.n_tiles));
                    assert!(tiles.into_iter().flat_map(|tile| cut.samples(tile)).eq(0..n_samples));
                }
            }
        }
    }

    #[test]
    fn few_samples_are_tiles_of_their_own() {
        for n_samples in 1..=6 {
            let one = Some(TilePlan { samples: 1, floats: 0, ints: 0, steps: &[] });
            let cut = Cut::new(&LoopPlan { one, few: 4, ..EMPTY }, &[n_samples]);
            let tiles: Vec<_> = (0..cut.n_tiles).map(|tile| cut.samples(tile).len()).collect();
            assert_eq!(tiles, if n_samples <= 4 { vec![1; n_samples] } else { vec![n_samples] });
            assert_eq!(cut.n_chunks, 1);
        }
    }

    #[test]
    fn rows_are_added_pairwise() {
        assert_eq!(pairs(1).count(), 0);
        assert_eq!(pairs(5).collect::<Vec<_>>(), [(0, 1), (2, 3), (0, 2), (0, 4)]);
        for n in 1..20 {
            let mut rows: Vec<u32> = (0..n).collect();
            pairs(rows.len()).for_each(|(into, from)| rows[into] += rows[from]);
            assert_eq!(rows[0], n * (n - 1) / 2);
        }
    }

    const VALUES: [ValuePlan; 2] = [
        ValuePlan { dtype: Dtype::I64, size: Size { factor: 1, symbols: &[] } },
        ValuePlan { dtype: Dtype::F32, size: Size { factor: 1, symbols: &[] } },
    ];

    #[test]
    #[should_panic(expected = "compiler bug: a loop writes Value(1)")]
    fn a_loop_cannot_read_what_it_writes() {
        check(&LoopPlan { reads: &[Place::Value(1)], writes: &[Place::Value(1)], ..EMPTY }, &VALUES);
    }

    #[test]
    #[should_panic(expected = "compiler bug: a loop takes the value 0 for another type")]
    fn a_loop_cannot_take_integers_for_floats() {
        check(&LoopPlan { reads: &[Place::Value(0)], ..EMPTY }, &VALUES);
    }
}

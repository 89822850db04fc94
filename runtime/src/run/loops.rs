//! Loops over the samples of a batch: tiles, chunks, and the sums of chunks.

use std::ops::Range;

use graven_kernels::LANES;
use graven_kernels::cpu::sums::add_rows;
use graven_kernels::cpu::{Context, Isa};

use super::tile::Tile;
use crate::floats::{LINE, Shared};
use crate::optim::{PIECE, Source};
use crate::plan::{LoopPlan, Place, SumPlan, SumTarget, TilePlan, ValuePlan};
use crate::pool;
use crate::profile;
use crate::tensor::Dtype;
use crate::workspace::{Part, TileArena, Workspace};

/// The most chunks of a loop that sums: each has accumulators of its own.
pub const MAX_CHUNKS: usize = 16;

/// The most chunks of a loop that does not sum.
const MAX_CHUNKS_WITHOUT_SUMS: usize = 256;

/// Floats of a row of accumulators that one task adds up.
const SUM_BLOCK: usize = 1024;

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

/// Floats from the accumulators of one chunk to the next: they start at lines of the cache, so that no two chunks write to the same
/// one.
fn row_of(plan: &LoopPlan) -> usize {
    plan.sums.next_multiple_of(LINE)
}

/// Runs a loop and brings its sums to their places; those of gradients stay where they are if it `is_open`, see [`Sums`].
pub(super) fn run(
    plan: &LoopPlan,
    call: &Call<'_>,
    workspace: &mut Workspace,
    gradients: Option<&mut [f32]>,
    is_open: bool,
) {
    let cut = Cut::new(plan, &workspace.symbols);
    let (row, int_row) = (row_of(plan), plan.int_sums.next_multiple_of(LINE));
    workspace.sums.grow(cut.n_chunks * row);
    if workspace.int_sums.len() < cut.n_chunks * int_row {
        workspace.int_sums.resize(cut.n_chunks * int_row, 0);
    }
    grow_arenas(cut.plan(plan), &mut workspace.tiles, call.threads.min(cut.n_chunks));
    run_chunks(plan, call, &cut, workspace);
    if !plan.results.is_empty() || !plan.int_results.is_empty() {
        profile::measure("sums of chunks", || {
            add_chunks(plan, cut.n_chunks, call, workspace, gradients, is_open);
            add_int_chunks(plan, int_row, cut.n_chunks, workspace);
        });
    }
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
    // Parameters may have changed since the last loop, and other loops use the same arenas.
    tiles.iter_mut().for_each(|arena| arena.prepared = false);
    let (row, int_row) = (row_of(plan), plan.int_sums.next_multiple_of(LINE));
    let (arenas, sums, int_sums) = (Shared::new(tiles), Shared::new(sums), Shared::new(int_sums));
    let chunk = |worker: usize, chunk: usize| {
        // SAFETY: the pool lets a worker into one task at a time.
        let arena = unsafe { &mut arenas.part_mut(worker..worker + 1)[0] };
        // SAFETY: the row belongs to this chunk, and the pool runs each chunk once.
        let sums = unsafe { sums.part_mut(chunk * row..chunk * row + plan.sums) };
        // SAFETY: as for `sums`.
        let int_sums = unsafe { int_sums.part_mut(chunk * int_row..chunk * int_row + plan.int_sums) };
        if cfg!(debug_assertions) {
            // So that code that reads what nobody wrote is noticed.
            sums.fill(f32::NAN);
            int_sums.fill(i64::MIN);
            arena.floats[..tile_plan.floats].fill(f32::NAN);
            arena.ints[..tile_plan.ints].fill(i64::MIN);
            arena.prepared = false;
        }
        let tiles = cut.tiles(chunk);
        for tile in tiles.clone() {
            let samples = cut.samples(tile);
            let cx = Context {
                isa: call.isa,
                count: samples.len(),
                first: samples.start,
                seed: call.seed,
                // The first tile writes the accumulators, which hold what an earlier call left.
                adds: tile > tiles.start,
                prepared: std::mem::replace(&mut arena.prepared, true),
            };
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
            profile::end();
        }
    };
    pool::run(call.threads, cut.n_chunks, &chunk);
    *lists = borrowed.recycle();
}

/// Checks what the borrows of a loop rest on: it writes no input, nothing twice, and nothing that it reads; values lie in
/// the arena of their own type; its sums go to different places.
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
    // The results stand in the order of their places.
    let mut free = [0, 0];
    for result in plan.results {
        let (free, place, len) = match result.to {
            SumTarget::Value(value) => {
                assert_eq!(values[value].dtype, Dtype::F32, "compiler bug: a sum of floats goes to the value {value}");
                (&mut free[0], value, 1)
            }
            SumTarget::Gradient(offset) => (&mut free[1], offset, result.from.len()),
        };
        assert!(*free <= place, "compiler bug: two sums go to {:?}", result.to);
        *free = place + len;
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

/// Adds up the rows of all chunks, and writes each sum to the values and gradients that the plan names. Threads may share the
/// columns, since the order of additions depends on the number of rows only.
fn add_chunks(
    plan: &LoopPlan,
    n_chunks: usize,
    Call { isa, threads, .. }: &Call<'_>,
    workspace: &mut Workspace,
    gradients: Option<&mut [f32]>,
    is_open: bool,
) {
    let Workspace { sums, floats, slots, .. } = workspace;
    let row = row_of(plan);
    let (sums, values) = (&sums[..n_chunks * row], Shared::new(floats));
    let gradients = gradients.map(Shared::new);
    pool::run(*threads, row.div_ceil(SUM_BLOCK), &|_, block| {
        for result in plan.results {
            let SumPlan { from, to } = result;
            let own = from.start.max(block * SUM_BLOCK)..from.end.min((block + 1) * SUM_BLOCK);
            if own.is_empty() || (is_open && matches!(to, SumTarget::Gradient(_))) {
                continue;
            }
            let (target, start) = match *to {
                SumTarget::Value(value) => {
                    assert_eq!(slots[value].len(), from.len(), "compiler bug: a sum does not fit its value");
                    (values, slots[value].start)
                }
                SumTarget::Gradient(offset) => {
                    (gradients.expect("compiler bug: a function without gradients computes some"), offset)
                }
            };
            let start = start + own.start - from.start;
            // SAFETY: these columns belong to this task alone, and `check` found that no two results share a place. The borrow
            // ends before the next one begins.
            let target = unsafe { target.part_mut(start..start + own.len()) };
            add_rows(*isa, &sums[own.start..], row, n_chunks, target);
        }
    });
}

/// The gradients of a step: those of its last loop are still rows of accumulators.
pub(super) struct Sums<'a> {
    isa: Isa,
    results: &'static [SumPlan],
    rows: &'a [f32],
    row: usize,
    n_chunks: usize,
    /// All others, in the layout of the parameters; empty if there are only gaps between parameters.
    others: &'a [f32],
}

impl<'a> Sums<'a> {
    /// Whether the sums of a loop are the gradients of all that is trained: each parameter gets one, and takes whole vectors of the
    /// layout.
    pub(super) fn are_all(plan: &LoopPlan, trained: &[Range<usize>]) -> bool {
        let gradients = plan.results.iter().filter(|result| matches!(result.to, SumTarget::Gradient(_)));
        let places: usize = gradients.map(|result| result.from.len().next_multiple_of(LANES)).sum();
        let wanted: usize = trained.iter().map(Range::len).sum();
        places == wanted
    }

    /// Those of a loop that has just [run](run) as an open one.
    pub(super) fn of(plan: &LoopPlan, workspace: &'a Workspace, others: &'a [f32]) -> Self {
        let n_chunks = Cut::new(plan, &workspace.symbols).n_chunks;
        Self { isa: Isa::detect(), results: plan.results, rows: &workspace.sums, row: row_of(plan), n_chunks, others }
    }
}

impl Source for Sums<'_> {
    fn piece<'a>(&'a self, range: Range<usize>, room: &'a mut [f32; PIECE]) -> &'a [f32] {
        let room = &mut room[..range.len()];
        let other = |own: Range<usize>, into: &mut [f32]| match self.others {
            [] => into.fill(0.0),
            others => into.copy_from_slice(&others[own]),
        };
        // The results stand in the order of their places.
        let mut done = range.start;
        for SumPlan { from, to } in self.results {
            let SumTarget::Gradient(offset) = *to else { continue };
            let own = range.start.max(offset)..range.end.min(offset + from.len());
            if own.is_empty() {
                continue;
            }
            other(done..own.start, &mut room[done - range.start..own.start - range.start]);
            let sums = &mut room[own.start - range.start..own.end - range.start];
            let rows = &self.rows[from.start + own.start - offset..];
            add_rows(self.isa, rows, self.row, self.n_chunks, sums);
            done = own.end;
        }
        other(done..range.end, &mut room[done - range.start..]);
        room
    }
}

/// Integers add up exactly in any order.
fn add_int_chunks(plan: &LoopPlan, row: usize, n_chunks: usize, workspace: &mut Workspace) {
    let Workspace { int_sums, ints, slots, .. } = workspace;
    for result in plan.int_results {
        let SumTarget::Value(value) = result.to else { panic!("compiler bug: gradients are not integers") };
        for (to, column) in ints[slots[value].clone()].iter_mut().zip(result.from.clone()) {
            *to = (0..n_chunks).map(|chunk| int_sums[chunk * row + column]).sum();
        }
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
    fn a_piece_of_the_gradients_mixes_sums_with_others() {
        // Gradients of the parameters 2..5 and 8..700 come from the columns 0..3 and 16..708 of three chunks.
        const RESULTS: [SumPlan; 3] = [
            SumPlan { from: 4..5, to: SumTarget::Value(0) },
            SumPlan { from: 0..3, to: SumTarget::Gradient(2) },
            SumPlan { from: 16..708, to: SumTarget::Gradient(8) },
        ];
        let row = 720;
        let rows: Vec<f32> = (0..3 * row).map(|i| i as f32).collect();
        let others: Vec<f32> = (0..710).map(|i| -(i as f32)).collect();
        let sums = Sums { isa: Isa::detect(), results: &RESULTS, rows: &rows, row, n_chunks: 3, others: &others };
        let column = |column: usize| (3 * column + 3 * row) as f32;
        let expected = |parameter: usize| match parameter {
            2..5 => column(parameter - 2),
            8..700 => column(parameter + 8),
            _ => -(parameter as f32),
        };
        for range in [0..512, 3..4, 4..9, 5..8, 150..662, 512..710, 700..710, 6..6] {
            let expected: Vec<f32> = range.clone().map(expected).collect();
            assert_eq!(sums.piece(range.clone(), &mut [f32::NAN; PIECE]), expected, "{range:?}");
        }
        let alone = Sums { others: &[], ..sums };
        assert_eq!(alone.piece(1..9, &mut [f32::NAN; PIECE])[..4], [0.0, column(0), column(1), column(2)]);
        assert_eq!(alone.piece(699..702, &mut [f32::NAN; PIECE]), [column(707), 0.0, 0.0]);
        let plan = LoopPlan { results: &RESULTS, ..EMPTY };
        assert!(Sums::are_all(&plan, &[0..16, 16..720]) && !Sums::are_all(&plan, &[0..16, 16..736]));
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
    #[should_panic(expected = "compiler bug: two sums go to Gradient(5)")]
    fn sums_cannot_share_a_gradient() {
        const RESULTS: [SumPlan; 2] =
            [SumPlan { from: 0..4, to: SumTarget::Gradient(2) }, SumPlan { from: 16..18, to: SumTarget::Gradient(5) }];
        check(&LoopPlan { results: &RESULTS, ..EMPTY }, &VALUES);
    }

    #[test]
    #[should_panic(expected = "compiler bug: a loop takes the value 0 for another type")]
    fn a_loop_cannot_take_integers_for_floats() {
        check(&LoopPlan { reads: &[Place::Value(0)], ..EMPTY }, &VALUES);
    }
}

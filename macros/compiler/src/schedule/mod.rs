//! Schedule: simplifies the graph, then cuts it into stages. A stage runs *whole* operations on complete tensors, then
//! *loops* over the samples of a batch, in which a tile of 16 samples passes through all its operations while everything
//! sits in the cache. A sum over samples ends a stage for those who read it. In a loop every value gets a layout, and
//! conversions stand where two operations want different ones.

mod combine;
pub mod cuda;
mod place;
mod print;
mod simplify;
mod verify;

use std::collections::HashSet;
use std::fmt;

use graven_kernels::dim::{Dim, Type};
use graven_kernels::op::{Call, Kernel, Layout, Layouts, Operand, Value};
use graven_kernels::{FEW, LANES, WIDE};

use crate::graph::{Graph, Kind, Target};
use place::Scheduled;
pub use place::{Home, Place};
pub use simplify::simplify;
pub(crate) use simplify::{reorder, reordered};
pub use verify::verify;

/// A function, ready for planning its memory.
#[derive(Debug)]
pub struct Schedule {
    /// The graph, simplified.
    pub graph: Graph,
    /// Where each value lives.
    pub homes: Vec<Home>,
    /// Tensors kept complete, with their types.
    pub values: Vec<(Value, Type)>,
    /// The stages, in order.
    pub stages: Vec<Stage>,
    /// For each result, the complete tensor it is copied from; None if a loop writes it.
    pub outputs: Vec<Option<usize>>,
    /// Gradients that are complete tensors: (target, index in `values`).
    pub gradients: Vec<(Target, usize)>,
}

/// One stage.
#[derive(Debug, Default)]
pub struct Stage {
    /// Operations on complete tensors.
    pub whole: Vec<Value>,
    /// Loops over samples.
    pub loops: Vec<Loop>,
}

/// A pass over the samples of a batch.
#[derive(Debug)]
pub struct Loop {
    /// How many samples there are.
    pub extent: Dim,
    /// Samples of a tile: 16; 1 in the way for few samples, and [`WIDE`] where the parameters outgrow the cache.
    pub tile: usize,
    /// The way for few samples: the same, with a single sample for a tile and every value in rows. Only in evaluation, and
    /// where nothing is added up over samples: who waits for an answer neither trains nor asks for a mean.
    pub one: Option<Box<Loop>>,
    /// How many samples are few.
    pub few: usize,
    /// What happens to a tile.
    pub steps: Vec<Step>,
    /// The buffers of a tile.
    pub buffers: Vec<Buffer>,
    /// What is added up over samples.
    pub sums: Vec<Sum>,
    /// Tiles that a chunk takes at least.
    pub tiles_per_chunk: usize,
    /// The buffers of each value.
    buffers_of: Vec<Vec<usize>>,
}

/// A value in a tile, in one layout.
#[derive(Debug, Clone)]
pub struct Buffer {
    /// The value (a view stands for what it views).
    pub value: Value,
    /// How it lies.
    pub layout: Layout,
    /// Samples of the tile.
    pub tile: usize,
    /// Elements of one sample.
    pub features: usize,
    /// Memory of the value's kernel instead of the value itself: what for, and how many floats.
    pub memory: Option<(Memory, usize)>,
}

/// What a kernel has memory of its own for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Nothing that lasts.
    Scratch,
    /// What it finds again for the next tile.
    Kept,
    /// What it saves for its gradient.
    Saved,
}

impl Buffer {
    /// How many elements it takes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.memory.map_or(self.features * self.tile, |(_, floats)| floats)
    }

    /// Whether it takes none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Memory::Scratch => "scratch",
            Memory::Kept => "kept",
            Memory::Saved => "saved",
        })
    }
}

/// What a loop adds up.
#[derive(Debug, Clone)]
pub struct Sum {
    /// The value.
    pub value: Value,
    /// How many elements it has.
    pub len: usize,
    /// The gradient that it is, if nobody else reads it.
    pub gradient: Option<Target>,
    /// The complete tensor that it becomes.
    pub kept: Option<usize>,
}

/// Where an operand of a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In a buffer of the tile.
    Buffer(usize),
    /// In a complete tensor that all samples share.
    Full(Place),
    /// In a complete tensor, the part of the tile's only sample, which is read where it lies.
    Sample {
        /// The tensor.
        from: Place,
        /// Elements of one sample.
        features: usize,
    },
    /// Nowhere: the kernel reads what was saved instead.
    Unread,
}

/// Where a step writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// To a buffer of the tile.
    Buffer(usize),
    /// To a sum of the loop.
    Sum(usize),
}

/// One step of a tile.
#[derive(Debug, Clone)]
pub enum Step {
    /// Reads the samples of the tile from a complete tensor.
    Load {
        /// The tensor.
        from: Place,
        /// The buffer.
        to: usize,
    },
    /// Changes the layout.
    Convert {
        /// The buffer that is read.
        from: usize,
        /// The buffer that is written.
        to: usize,
    },
    /// Runs an operation.
    Run {
        /// The node.
        value: Value,
        /// The layout of its batched operands.
        layout: Layout,
        /// Its operands.
        inputs: Vec<Source>,
        /// Its result.
        output: Destination,
        /// A buffer of scratch memory.
        scratch: Option<usize>,
        /// A buffer that the kernel finds again for the next tile.
        kept: Option<usize>,
        /// A buffer for what it saves for its gradient.
        saved: Option<usize>,
        /// What its kernel runs before it, in this order, see [`Op::kernel_behind`](graven_kernels::op::Op::kernel_behind).
        before: Vec<Before>,
        /// The kernel that it calls.
        kernel: Box<Kernel>,
    },
    /// Writes the samples of the tile to a complete tensor.
    Store {
        /// The buffer.
        from: usize,
        /// The tensor.
        to: Place,
    },
}

/// An operation that a step runs before its own, in one kernel with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// The node.
    pub value: Value,
    /// Which input of the operation behind it it makes.
    pub position: usize,
}

/// The operands of a step: those of the first operation, and then of each one behind it those that the one before does not make.
#[must_use]
pub fn inputs_of(graph: &Graph, value: Value, before: &[Before]) -> Vec<Value> {
    let values = before.iter().map(|before| before.value).chain([value]);
    let made = std::iter::once(None).chain(before.iter().map(|before| Some(before.position)));
    let others = |(value, made): (Value, Option<usize>)| {
        let inputs = graph.node(value).inputs.iter().enumerate();
        inputs.filter(move |(position, _)| Some(*position) != made).map(|(_, input)| *input)
    };
    values.zip(made).flat_map(others).collect()
}

/// Schedules a function.
#[must_use]
pub fn schedule(graph: &Graph) -> Schedule {
    let graph = simplify(graph);
    let Scheduled { homes, values, stages, outputs, gradients } = place::Placement::new(&graph).schedule();
    Schedule { graph, homes, values, stages, outputs, gradients }
}

/// The call of an operation whose operands are batched as given.
#[must_use]
pub fn call(graph: &Graph, value: Value, layout: Layout, tile: usize, batched: &[bool], output_batched: bool) -> Call {
    let node = graph.node(value);
    let operand = |(input, batched): (&Value, &bool)| Operand { ty: graph.node(*input).ty.clone(), batched: *batched };
    Call {
        layout,
        tile,
        inputs: node.inputs.iter().zip(batched).map(operand).collect(),
        output: Operand { ty: node.ty.clone(), batched: output_batched },
        saved: false,
    }
}

/// Multiply-adds of one sample.
#[must_use]
pub fn cost(graph: &Graph, value: Value, before: &[Before]) -> u64 {
    let of =
        |value: Value| graph.op(value).map_or(0, |op| op.cost(&graph.types_of_inputs(value), &graph.node(value).ty));
    before.iter().map(|before| of(before.value)).fold(of(value), u64::saturating_add)
}

/// Multiply-adds that cost as much as one float of accumulators: writing and adding them up goes at memory speed.
/// A chunk is made large enough that they cost about a twentieth of its work.
const MULTIPLY_ADDS_PER_SUM: u64 = 200;

/// Floats of parameters that stay in the second cache from one sample to the next: 1 MB.
const CACHED_PARAMETERS: usize = 256 * 1024;

impl Loop {
    fn new(extent: Dim, adds_up: bool, wide: bool, graph: &Graph) -> Loop {
        let few = !graph.differentiated && !adds_up && extent.factor() <= FEW;
        let one = few.then(|| Box::new(Loop::of_tiles(extent.clone(), 1)));
        Loop { one, ..Loop::of_tiles(extent, if wide { WIDE } else { LANES }) }
    }

    fn of_tiles(extent: Dim, tile: usize) -> Loop {
        Loop {
            extent,
            tile,
            one: None,
            few: 0,
            steps: Vec::new(),
            buffers: Vec::new(),
            sums: Vec::new(),
            tiles_per_chunk: 1,
            buffers_of: Vec::new(),
        }
    }

    /// The loop, and its way for few samples if it has one.
    pub fn ways(&self) -> impl Iterator<Item = &Loop> {
        std::iter::once(self).chain(self.one.as_deref())
    }

    /// Multiply-adds of one tile.
    #[must_use]
    pub fn cost(&self, graph: &Graph) -> u64 {
        let cost = |step: &Step| match step {
            Step::Run { value, before, .. } => cost(graph, *value, before),
            Step::Load { to, .. } | Step::Convert { to, .. } => self.buffers[*to].features as u64,
            Step::Store { from, .. } => self.buffers[*from].features as u64,
        };
        self.steps.iter().map(cost).fold(0, u64::saturating_add).saturating_mul(self.tile as u64)
    }

    /// The cost model: a chunk has as many tiles as its accumulators are worth.
    fn choose_chunks(&mut self, graph: &Graph) {
        let sums = self.sums.iter().map(|sum| sum.len as u64).fold(0, u64::saturating_add);
        let cost = self.cost(graph).max(1);
        let tiles = sums.saturating_mul(MULTIPLY_ADDS_PER_SUM).saturating_add(cost / 2) / cost;
        self.tiles_per_chunk = usize::try_from(tiles.clamp(1, 1024)).unwrap_or(1024);
    }

    /// The cost model for few samples: each reads all parameters again, which one tile reads once.
    fn choose_few(&mut self, graph: &Graph) {
        let steps = self.one.iter().flat_map(|one| &one.steps);
        let sources = steps.flat_map(|step| if let Step::Run { inputs, .. } = step { &inputs[..] } else { &[] });
        let parameters: HashSet<Value> = sources
            .filter_map(|source| match source {
                Source::Full(Place::Parameter(value)) => Some(*value),
                _ => None,
            })
            .collect();
        let floats = |value: &Value| graph.node(*value).ty.elements().map_or(0, |elements| elements.factor());
        let floats = parameters.iter().map(floats).fold(0, usize::saturating_add);
        self.few = match self.one {
            None => 0,
            Some(_) if floats > CACHED_PARAMETERS => 1,
            Some(_) => FEW,
        };
    }

    /// The buffer of a value in a layout, made if it is new.
    fn buffer(&mut self, value: Value, layout: Layout, features: usize) -> usize {
        if self.buffers_of.len() <= value.0 {
            self.buffers_of.resize(value.0 + 1, Vec::new());
        }
        let own = &mut self.buffers_of[value.0];
        if let Some(found) = own.iter().find(|index| self.buffers[**index].layout == layout) {
            return *found;
        }
        own.push(self.buffers.len());
        self.buffers.push(Buffer { value, layout, tile: self.tile, features, memory: None });
        self.buffers.len() - 1
    }

    /// Memory of a value's kernel.
    fn memory(&mut self, value: Value, layout: Layout, memory: Memory, floats: usize) -> usize {
        self.buffers.push(Buffer { value, layout, tile: self.tile, features: 0, memory: Some((memory, floats)) });
        self.buffers.len() - 1
    }

    /// The layouts in which a value is in the tile already.
    fn layouts_of(&self, value: Value) -> impl Iterator<Item = Layout> + '_ {
        self.buffers_of.get(value.0).into_iter().flatten().map(|index| self.buffers[*index].layout)
    }
}

/// The layout in which an operation runs: its only or its best one, or that of its first operand that is in the tile. In
/// `Samples` there are 16, no more and no less.
fn choose_layout(layouts: Layouts, own: &Loop, operands: &[Value]) -> Layout {
    match layouts {
        _ if own.tile != LANES => Layout::Rows,
        Layouts::Only(layout) | Layouts::Best(layout) => layout,
        Layouts::Any => operands.iter().find_map(|operand| own.layouts_of(*operand).next()).unwrap_or(Layout::Samples),
    }
}

/// Whether a node computes anything: views and numbers do not.
fn computes(graph: &Graph, value: Value) -> bool {
    matches!(&graph.node(value).kind, Kind::Op(op) if !op.is_view())
}

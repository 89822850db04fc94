//! What the compiler leaves behind for one function: constants and function pointers, read by [`run`](crate::run).
//!
//! A function is a list of stages. A stage first runs its *whole* operations, once each over complete tensors, and then
//! its *loops*: a loop walks over the samples of a batch, 16 at a time (a *tile*), and runs its operations depth first on
//! each tile, in an arena whose size does not depend on the batch. What a loop adds up over samples (losses, weight
//! gradients) goes to accumulators of its chunk; the chunks are added in a fixed tree when the loop ends.

use crate::run::{Tile, Whole};
use crate::tensor::Dtype;

/// A number of elements: `factor` times the product of the named symbols (indices into [`Plan::symbols`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// The part known at compile time.
    pub factor: usize,
    /// The symbols that the run binds; a symbol may stand more than once.
    pub symbols: &'static [usize],
}

/// A part of an arena: of the parameters, of the buffers of a tile, of the sums of a loop.
pub type Range = std::ops::Range<usize>;

/// One tensor argument of a function.
#[derive(Debug)]
pub struct InputPlan {
    /// The argument's name in the user's code.
    pub name: &'static str,
    /// Its element type.
    pub dtype: Dtype,
    /// Its declared shape.
    pub dims: &'static [Size],
    /// For labels: every element must lie in 0..classes, else the run is an error that names the sample.
    pub classes: Option<usize>,
}

/// One tensor that a function returns.
#[derive(Debug)]
pub struct OutputPlan {
    /// Its element type.
    pub dtype: Dtype,
    /// Its shape.
    pub dims: &'static [Size],
    /// Where it is copied from when all stages have run; `None` if a loop writes it itself ([`Place::Output`]).
    pub copied_from: Option<usize>,
}

/// A tensor kept complete between stages.
#[derive(Debug)]
pub struct ValuePlan {
    /// Its element type.
    pub dtype: Dtype,
    /// How many elements it has.
    pub size: Size,
}

/// A complete tensor that a loop reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The argument with this index.
    Input(usize),
    /// The value with this index, see [`Plan::values`].
    Value(usize),
    /// The result with this index.
    Output(usize),
}

/// Where a sum over samples goes when its loop has ended.
#[derive(Debug, Clone)]
pub struct SumPlan {
    /// Its place among the accumulators of the loop.
    pub from: Range,
    /// Where it goes.
    pub to: SumTarget,
}

/// See [`SumPlan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SumTarget {
    /// To the value with this index, which has as many elements.
    Value(usize),
    /// To the gradients, from this offset of the parameter layout on. Each trained parameter gets one.
    Gradient(usize),
}

/// One pass over the samples of a batch.
#[derive(Debug)]
pub struct LoopPlan {
    /// How many samples there are.
    pub extent: Size,
    /// Tiles that one chunk takes; a cost model set it at compile time. (The run takes a multiple of it where the number
    /// of chunks would pass [`run::MAX_CHUNKS`](crate::run::MAX_CHUNKS).)
    pub tiles_per_chunk: usize,
    /// Complete f32 tensors that the tiles read; the loads and `Tile::reads` name them by their index here.
    pub reads: &'static [Place],
    /// The same for i64.
    pub int_reads: &'static [Place],
    /// Complete f32 tensors that the tiles write; the stores name them by their index here.
    pub writes: &'static [Place],
    /// The same for i64.
    pub int_writes: &'static [Place],
    /// Accumulators of a chunk: floats.
    pub sums: usize,
    /// Accumulators of a chunk: integers.
    pub int_sums: usize,
    /// Where the float sums go.
    pub results: &'static [SumPlan],
    /// Where the integer sums go.
    pub int_results: &'static [SumPlan],
    /// A tile of 16 samples, or of more where the parameters outgrow the cache.
    pub tile: TilePlan,
    /// A tile of a single sample, which runs instead where there are few.
    pub one: Option<TilePlan>,
    /// How many samples are few; a cost model set it at compile time.
    pub few: usize,
}

/// What runs on a tile.
#[derive(Debug)]
pub struct TilePlan {
    /// Samples of a tile.
    pub samples: usize,
    /// Floats of its arena.
    pub floats: usize,
    /// Integers of its arena.
    pub ints: usize,
    /// Its code, in order; cut into several functions so that no single one grows too long.
    pub steps: &'static [fn(&mut Tile<'_>)],
}

/// One stage of a function.
#[derive(Debug)]
pub struct Stage {
    /// Operations on complete tensors, in order.
    pub whole: &'static [fn(&mut Whole<'_>)],
    /// Loops over samples; they do not depend on each other.
    pub loops: &'static [LoopPlan],
}

/// Everything about one emitted function.
#[derive(Debug)]
pub struct Plan {
    /// The function's name for messages: `Network::loss_step`.
    pub function: &'static str,
    /// The names of the sizes that the arguments bind: `["N"]`.
    pub symbols: &'static [&'static str],
    /// The tensor arguments.
    pub inputs: &'static [InputPlan],
    /// The results.
    pub outputs: &'static [OutputPlan],
    /// Tensors kept between stages.
    pub values: &'static [ValuePlan],
    /// The stages, in order.
    pub stages: &'static [Stage],
    /// Values copied into the gradients at the end: (value, offset in the parameter layout).
    pub gradients: &'static [(usize, usize)],
    /// Floats of the parameter layout, which is also the layout of the gradients; 0 for a function without a module.
    pub parameters: usize,
    /// Ranges of the parameter layout that are trained; the gradients of the others are zero and no optimizer moves them.
    pub trained: &'static [Range],
    /// The same function for a CUDA device; `None` if the macros were built without the feature `cuda`.
    pub cuda: Option<&'static CudaPlan>,
}

/// A function on a CUDA device: kernels as text, and in which order they are launched. Nothing in it depends on the device.
#[derive(Debug)]
pub struct CudaPlan {
    /// The kernels, each a complete text of its own.
    pub kernels: &'static [CudaKernel],
    /// The parts of the workspace: so many elements of that type each.
    pub groups: &'static [(Dtype, Size)],
    /// Tensors in the workspace.
    pub values: &'static [CudaValue],
    /// The launches of one call, in order: each may read what an earlier one wrote.
    pub launches: &'static [CudaLaunch],
    /// The largest numbers of elements that the kernels count: beyond 32 bits they are compiled for wider integers.
    pub extents: &'static [Size],
}

impl CudaPlan {
    /// Whether a call of these sizes counts more elements than 32 bits can.
    #[must_use]
    pub fn is_wide(&self, symbols: &[usize]) -> bool {
        self.extents.iter().any(|extent| extent.value(symbols) > graven_kernels::cuda::MOST_ELEMENTS)
    }
}

/// A kernel in CUDA C++, without includes.
#[derive(Debug)]
pub struct CudaKernel {
    /// Its name, `extern "C"`: it tells the user's layers.
    pub name: &'static str,
    /// Its text, in parts that several kernels share.
    pub source: &'static [&'static str],
}

/// All kernels of some functions as one text: parts that several kernels share stand once, before the first that needs them.
#[must_use]
pub fn cuda_source(plans: &[&'static Plan]) -> String {
    let kernels = plans.iter().filter_map(|plan| plan.cuda).flat_map(|cuda| cuda.kernels);
    let mut parts: Vec<&str> = Vec::new();
    for part in kernels.flat_map(|kernel| kernel.source) {
        if !parts.contains(part) {
            parts.push(part);
        }
    }
    parts.concat()
}

/// A tensor in the workspace. Several may lie in the same place, one after the other in time.
#[derive(Debug)]
pub struct CudaValue {
    /// The part of the workspace.
    pub group: usize,
    /// Where it starts in this part: so many times the product of the part's symbols.
    pub offset: usize,
}

/// One launch: `ceil(work / per_block)` by `chunks` blocks.
#[derive(Debug)]
pub struct CudaLaunch {
    /// The kernel, an index into [`CudaPlan::kernels`].
    pub kernel: usize,
    /// How much there is to do.
    pub work: Size,
    /// How much of it one block does.
    pub per_block: usize,
    /// The blocks in the second axis of the grid.
    pub chunks: usize,
    /// The threads of a block.
    pub threads: usize,
    /// The kernel's arguments, in order.
    pub arguments: &'static [CudaArgument],
}

/// An argument of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CudaArgument {
    /// `const float*`: parameters from this offset of the layout on.
    Parameter(usize),
    /// `float*`: gradients from this offset of the layout on. They are zero when the first kernel runs.
    Gradient(usize),
    /// `const float*` or `const long long*`: the argument of the function with this index.
    Input(usize),
    /// `float*` or `long long*`: the result with this index.
    Output(usize),
    /// `float*` or `long long*`: the tensor of the workspace with this index.
    Value(usize),
    /// `const unsigned long long*`: the seed of the step.
    Seed,
    /// `Index` (`int`, or `long long` if the call [is wide](CudaPlan::is_wide)): the size with this index, see
    /// [`Plan::symbols`].
    Symbol(usize),
}

/// How one parameter of a module is laid out and initialised.
#[derive(Debug)]
pub struct ParameterPlan {
    /// Its key: `conv1.weight`, `blocks.0.conv1.weight`.
    pub name: &'static str,
    /// Its shape.
    pub dims: &'static [usize],
    /// Its first float in the parameter layout; a multiple of 16.
    pub offset: usize,
    /// How it starts: uniform in −bound..bound, PyTorch's kaiming_uniform(a = √5) and its bound for biases.
    pub bound: f32,
    /// Whether it is trained.
    pub trained: bool,
}

/// One layer of a module.
#[derive(Debug)]
pub struct LayerPlan {
    /// Its path: `conv1`, `blocks.0.conv1`.
    pub name: &'static str,
    /// How PyTorch prints it: `Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))`.
    pub description: &'static str,
    /// How many of the following entries of [`ModulePlan::parameters`] are its own.
    pub parameters: usize,
}

/// One call of a layer or a function, as [`Summary`](crate::Summary) shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SummaryRow {
    /// The path of the layer: `conv1`, `blocks.0.conv1`. Empty for a function such as `relu`.
    pub layer: &'static str,
    /// The type of the layer, or the name of the function: `Conv2d`, `max_pool2d`, `+`.
    pub kind: &'static str,
    /// The shape of what it is given first: `[N, 1, 28, 28]`.
    pub input: &'static str,
    /// The shape of what it gives.
    pub output: &'static str,
    /// How many numbers the layer owns; a layer that is called twice has them in both rows.
    pub parameters: usize,
    /// An earlier row calls the same layer.
    pub shared: bool,
    /// Its work on one sample, as the compiler's cost model counts it: a multiplication with the addition behind it is one,
    /// and so is an addition, a comparison or a move alone; softmax takes 8 for an element. Views take none.
    pub multiply_adds: u64,
    /// Bytes of one sample that it computes in the forward pass of a training step and that the backward pass reads.
    /// Arguments of the function and parameters, which are there anyway, do not count.
    pub kept_bytes: u64,
}

/// What is known of a network as a whole, see [`Summary`](crate::Summary).
#[derive(Debug)]
pub struct SummaryPlan {
    /// The function whose calls these are: `Network::forward`.
    pub function: &'static str,
    /// Its arguments with their shapes.
    pub inputs: &'static [(&'static str, &'static str)],
    /// Its calls.
    pub rows: &'static [SummaryRow],
    /// Sentences that stand below the table.
    pub notes: &'static [&'static str],
    /// How many numbers the module owns.
    pub parameters: usize,
    /// The sum over the rows.
    pub multiply_adds: u64,
}

impl SummaryPlan {
    /// That of a network without functions.
    pub const EMPTY: Self = Self { function: "", inputs: &[], rows: &[], notes: &[], parameters: 0, multiply_adds: 0 };
}

/// The layout of a module's parameters.
#[derive(Debug)]
pub struct ModulePlan {
    /// The name of the struct.
    pub name: &'static str,
    /// Its layers, in the order of its fields, nested modules in place.
    pub layers: &'static [LayerPlan],
    /// The modules nested in it, by path, with the names of their types: `("blocks.0", "BasicBlock<16, 16>")`.
    pub modules: &'static [(&'static str, &'static str)],
    /// Its parameters, in the same order.
    pub parameters: &'static [ParameterPlan],
    /// Floats of the layout, gaps for alignment included.
    pub length: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_32_bits_cannot_count_is_wide() {
        let extent = |factor, symbols| Size { factor, symbols };
        static SYMBOLS: [usize; 1] = [0];
        let extents: &'static [Size] =
            Box::leak(Box::new([extent(10, &SYMBOLS), extent(3456, &SYMBOLS), extent(7, &[])]));
        let plan = CudaPlan { kernels: &[], groups: &[], values: &[], launches: &[], extents };
        assert!(!plan.is_wide(&[10_000]));
        assert!(!plan.is_wide(&[(i32::MAX as usize - 65536) / 3456]));
        assert!(plan.is_wide(&[(i32::MAX as usize - 65536) / 3456 + 1]));
    }

    #[test]
    fn a_part_that_kernels_share_stands_once() {
        const fn plan(cuda: &'static CudaPlan) -> Plan {
            Plan {
                function: "f",
                symbols: &[],
                inputs: &[],
                outputs: &[],
                values: &[],
                stages: &[],
                gradients: &[],
                parameters: 0,
                trained: &[],
                cuda: Some(cuda),
            }
        }
        static CUDA: CudaPlan = CudaPlan {
            kernels: &[
                CudaKernel { name: "a", source: &["prelude\n", "a\n"] },
                CudaKernel { name: "b", source: &["prelude\n", "shared\n", "b\n"] },
            ],
            groups: &[],
            values: &[],
            launches: &[],
            extents: &[],
        };
        static ONE: Plan = plan(&CUDA);
        assert!(!CUDA.is_wide(&[]));
        assert_eq!(cuda_source(&[&ONE, &ONE]), "prelude\na\nshared\nb\n");
        assert_eq!(cuda_source(&[]), "");
    }
}

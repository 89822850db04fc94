//! What an operation is.
//!
//! # How to add one
//!
//! A pointwise operation is one row in [`pointwise`](crate::pointwise). A structured one is a folder with `mod.rs` (the
//! sizes that its kernels take), `op.rs` (a type that implements [`Op`]), `cpu.rs` (its kernels), `cuda.cu` (its device functions)
//! and one line in `lib.rs`; what users call is one row in [`functions`](crate::functions). Nothing in the compiler changes: its passes ask the operation.
//!
//! # The kernel contract
//!
//! A kernel acts on one tile of 16 samples (in rows: of any number), on a single sample, or on complete tensors. It gets slices
//! and sizes; it knows neither the batch nor threads, allocates nothing, and overwrites its output. One that
//! [sums over samples](Batching::SumsSamples) adds to its output where `cx.adds` says so. What it makes of operands that all samples
//! share, such as the values of a convolution's weights, it may keep: the first tile of each thread fills that memory, the others
//! read it (`cx.prepared`). What its gradient needs to know, it may save ([`Op::reads_saved`]). Samples of a tile beyond `cx.count` are
//! copies of a real one, or whatever the memory held: they may be NaN, are read by nobody, and never part of a sum.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::cuda::Part;
use crate::dim::{Dim, Type};
use crate::pointwise::Formula;

/// A value of a graph under construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub usize);

/// Values that a mistake offers for an argument at most: each is tried on the whole network.
pub const MOST_FITS: usize = 16;

/// What is wrong with an operation's inputs or arguments, in words for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// What was given and what was expected. `{layer}` stands for the name of the layer or function.
    pub message: String,
    /// The argument to edit, if the mistake lies in one.
    pub argument: Option<&'static str>,
    /// One thing to do.
    pub help: Option<String>,
    /// The input (by position) whose history explains the mistake; `None` stands for all of them.
    pub trace: Option<usize>,
    /// The size is bound only by the run, so the same call may be right in another place.
    pub needs_known_size: bool,
    /// What `argument` could be instead, best first. The first that everything behind the call allows stands before the help.
    pub fits: Vec<String>,
    /// The input (by position) that was declared as something else, and what it should be.
    pub declared: Option<Box<(usize, Type)>>,
}

impl Mistake {
    /// A mistake without further parts.
    pub fn new(message: impl Into<String>) -> Mistake {
        Mistake {
            message: message.into(),
            argument: None,
            help: None,
            trace: Some(0),
            needs_known_size: false,
            fits: Vec::new(),
            declared: None,
        }
    }

    /// Names the argument to edit.
    #[must_use]
    pub fn at(mut self, argument: &'static str) -> Mistake {
        self.argument = Some(argument);
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Mistake {
        self.help = Some(help.into());
        self
    }

    /// Says what the argument could be instead, best first.
    #[must_use]
    pub fn fits<T: fmt::Display>(mut self, fits: impl IntoIterator<Item = T>) -> Mistake {
        self.fits = fits.into_iter().map(|fit| fit.to_string()).collect();
        self
    }

    /// Says which type an input should have been declared with.
    #[must_use]
    pub fn declare(mut self, input: usize, ty: Type) -> Mistake {
        self.declared = Some(Box::new((input, ty)));
        self
    }

    /// Says that the history of every input explains the mistake.
    #[must_use]
    pub fn of_all_inputs(mut self) -> Mistake {
        self.trace = None;
        self
    }

    /// A size that must be known at compile time is a symbol.
    pub fn unknown_size(what: &str, dim: &Dim) -> Mistake {
        let mut mistake =
            Mistake::new(format!("{{layer}} needs {what} at compile time, but `{dim}` is known only at run time"))
                .help(format!("write a number instead of `{dim}` in the signature"));
        mistake.needs_known_size = true;
        mistake
    }
}

/// Records operations: the compiler's graph implements it, and so can anything that executes them.
pub trait Builder {
    /// Applies an operation, after checking it with its shape rule.
    ///
    /// # Errors
    /// What the shape rule says.
    fn apply(&mut self, op: Arc<dyn Op>, inputs: &[Value]) -> Result<Value, Mistake>;

    /// A number as a value of rank 0.
    fn scalar(&mut self, scalar: Scalar) -> Value;

    /// The type of a value.
    fn ty(&self, value: Value) -> Type;
}

/// A number that may depend on sizes: `factor * times / over`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// The part known at compile time.
    pub factor: f64,
    /// A size that multiplies it.
    pub times: Dim,
    /// A size that divides it.
    pub over: Dim,
}

impl Scalar {
    /// A plain number.
    #[must_use]
    pub const fn number(factor: f64) -> Scalar {
        Scalar { factor, times: Dim::known(1), over: Dim::known(1) }
    }

    /// One over a size, as a mean needs it.
    #[must_use]
    pub fn one_over(dim: &Dim) -> Scalar {
        Scalar { factor: 1.0, times: Dim::known(1), over: dim.clone() }.folded()
    }

    /// A size as a number.
    #[must_use]
    pub fn size(dim: &Dim) -> Scalar {
        Scalar { factor: 1.0, times: dim.clone(), over: Dim::known(1) }.folded()
    }

    /// The number, if no symbol stands in it.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        (self.times.symbols().is_empty() && self.over.symbols().is_empty()).then_some(self.factor)
    }

    /// The product of two.
    #[must_use]
    pub fn mul(&self, other: &Scalar) -> Option<Scalar> {
        let times = self.times.times(&other.times)?;
        let over = self.over.times(&other.over)?;
        Some(Scalar { factor: self.factor * other.factor, times, over }.folded())
    }

    /// One over it.
    #[must_use]
    pub fn recip(&self) -> Scalar {
        Scalar { factor: 1.0 / self.factor, times: self.over.clone(), over: self.times.clone() }
    }

    /// Moves known sizes into the factor.
    fn folded(mut self) -> Scalar {
        let split = |dim: &Dim| {
            let factor = dim.factor();
            (factor as f64, dim.over(&Dim::known(factor)).unwrap_or(Dim::known(1)))
        };
        let (times, times_symbols) = split(&self.times);
        let (over, over_symbols) = split(&self.over);
        self.factor *= times / over;
        self.times = times_symbols;
        self.over = over_symbols;
        self
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.factor)?;
        if self.times.as_known() != Some(1) {
            write!(f, " * {}", self.times)?;
        }
        if self.over.as_known() != Some(1) { write!(f, " / {}", self.over) } else { Ok(()) }
    }
}

/// How an operation meets the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batching {
    /// Each sample of the output comes from the same sample of the inputs.
    PerSample,
    /// The output is a sum over samples.
    SumsSamples,
    /// The operation must see complete tensors.
    Whole,
}

/// How the values of a tile lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layout {
    /// Per-sample shape first, the 16 samples of the tile innermost: [C, H, W, 16].
    Samples,
    /// One sample after the other: [16, C, H, W], or [1, C, H, W] where a tile is a single sample.
    Rows,
    /// No tile: the complete tensor, row-major.
    Whole,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layout::Samples => "samples",
            Layout::Rows => "rows",
            Layout::Whole => "whole",
        })
    }
}

/// Which layouts of a tile the kernels of an operation take (operands and result alike).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layouts {
    /// Every layout.
    Any,
    /// Every layout, and this one is the fastest.
    Best(Layout),
    /// Only this one.
    Only(Layout),
}

impl Layouts {
    /// Whether the kernels take rows, of any number of samples.
    #[must_use]
    pub fn takes_rows(self) -> bool {
        self != Layouts::Only(Layout::Samples)
    }
}

/// One operand of a kernel call.
#[derive(Debug, Clone)]
pub struct Operand {
    /// Its logical type.
    pub ty: Type,
    /// Whether its first axis is the samples of the tile. Others are complete tensors that all samples share.
    pub batched: bool,
}

/// The situation in which an operation is asked for its kernel.
#[derive(Debug, Clone)]
pub struct Call {
    /// The layout of batched operands.
    pub layout: Layout,
    /// Samples of a tile: 16; 1 in the way for few samples and [`WIDE`](crate::WIDE) where parameters outgrow the cache, and then the
    /// layout is `Rows`.
    pub tile: usize,
    /// The inputs.
    pub inputs: Vec<Operand>,
    /// The output.
    pub output: Operand,
    /// What an operation saves for its gradient is wanted: it writes [`Kernel::saved`], which its gradient reads
    /// ([`Op::reads_saved`]).
    pub saved: bool,
}

impl Call {
    /// The sizes of an operand as it lies in memory, with an axis for the samples where the layout has one.
    #[must_use]
    pub fn physical(&self, operand: &Operand) -> Vec<Dim> {
        let dims = &operand.ty.dims;
        let samples = || Dim::known(self.tile);
        match (self.layout, operand.batched) {
            (Layout::Whole, _) | (Layout::Rows, false) => dims.to_vec(),
            (Layout::Rows, true) => std::iter::once(samples()).chain(dims[1..].iter().cloned()).collect(),
            (Layout::Samples, true) => dims[1..].iter().cloned().chain([samples()]).collect(),
            (Layout::Samples, false) => {
                let rank =
                    self.inputs.iter().map(|input| input.ty.rank()).max().unwrap_or(0).max(self.output.ty.rank());
                let own = if dims.len() == rank && rank > 0 { &dims[1..] } else { &dims[..] };
                own.iter().cloned().chain([Dim::known(1)]).collect()
            }
        }
    }

    /// Where the logical axis of a batched operand of that rank stands in memory.
    #[must_use]
    pub fn axis(&self, axis: usize, rank: usize) -> usize {
        match self.layout {
            Layout::Samples if axis == 0 => rank - 1,
            Layout::Samples => axis - 1,
            _ => axis,
        }
    }

    /// Whether this call adds up over the samples of a tile.
    #[must_use]
    pub fn sums_samples(&self) -> bool {
        self.layout != Layout::Whole && !self.output.batched
    }
}

/// The kernel that an operation wants to have called.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Its path below the kernels crate: `conv2d::forward`.
    pub function: String,
    /// The type and the value of its sizes, as Rust: (`conv2d::Sizes`, `conv2d::Sizes { .. }`). Symbols stand by name.
    pub spec: (String, String),
    /// Inputs go as one array instead of one by one.
    pub array: bool,
    /// For elementwise loops: what happens to each element, passed as a closure.
    pub formula: Option<Formula>,
    /// Floats of scratch memory, passed behind the output; None if the kernel takes none.
    pub scratch: Option<usize>,
    /// Floats that the kernel finds again for the next tile where the context says so, passed behind the scratch memory: what it
    /// makes of parameters.
    pub kept: Option<usize>,
    /// Floats that the operation saves for its gradient, passed behind the kept memory; only where the call asks for them.
    pub saved: Option<usize>,
    /// The kernel adds to its output where the context says so.
    pub accumulates: bool,
    /// The function that overwrites the operand of this number instead, if that is as large as the output and nobody reads it
    /// later; the operand is passed as an empty slice.
    pub in_place: Option<fn(usize) -> String>,
    /// The function that is called instead where a bias of each channel, its last input, is added to the result, and relu taken of that.
    pub relu: Option<&'static str>,
}

impl Kernel {
    /// A kernel with plain arguments; `fields` is the body of the struct literal.
    #[must_use]
    pub fn new(function: &str, spec: &str, fields: &str) -> Kernel {
        let literal = spec.split('<').next().unwrap_or(spec);
        Kernel::of(function, (spec.to_owned(), format!("{literal} {{ {fields} }}")))
    }

    /// A kernel whose sizes are a value that prints as its own literal.
    #[must_use]
    pub fn with_sizes(function: &str, module: &str, sizes: &dyn fmt::Debug) -> Kernel {
        let literal = format!("{module}::{sizes:?}");
        let spec = literal.split(' ').next().unwrap_or("").to_owned();
        Kernel::of(function, (spec, literal))
    }

    fn of(function: &str, spec: (String, String)) -> Kernel {
        Kernel {
            function: function.to_owned(),
            spec,
            array: false,
            formula: None,
            scratch: None,
            kept: None,
            saved: None,
            accumulates: false,
            in_place: None,
            relu: None,
        }
    }

    /// Asks for scratch memory.
    #[must_use]
    pub fn scratch(mut self, floats: usize) -> Kernel {
        self.scratch = Some(floats);
        self
    }

    /// Asks for memory that is kept from tile to tile.
    #[must_use]
    pub fn kept(mut self, floats: usize) -> Kernel {
        self.kept = Some(floats);
        self
    }

    /// Says that the kernel saves so many floats for the gradient.
    #[must_use]
    pub fn saves(mut self, floats: usize) -> Kernel {
        self.saved = Some(floats);
        self
    }

    /// Names the function that also adds a bias and takes relu.
    #[must_use]
    pub fn with_relu(mut self, function: &'static str) -> Kernel {
        self.relu = Some(function);
        self
    }

    /// Says that the kernel adds to its output where the context says so.
    #[must_use]
    pub fn accumulates(mut self) -> Kernel {
        self.accumulates = true;
        self
    }
}

/// What a gradient reads where its operation has saved it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// The input that is the operation's result: the kernel is given what the operation saved in its place.
    pub of: usize,
    /// The input that the kernel is not given then.
    pub instead_of: usize,
}

/// What a gradient rule is given.
#[derive(Debug)]
pub struct Differentiated<'a> {
    /// The inputs of the operation.
    pub inputs: &'a [Value],
    /// Its output.
    pub output: Value,
    /// The gradient with respect to the output.
    pub grad_output: Value,
    /// For which inputs a gradient is wanted; the rule may leave out the others.
    pub wanted: &'a [bool],
}

/// An operation whose result another one reads.
#[derive(Debug, Clone, Copy)]
pub struct First<'a> {
    /// The operation.
    pub op: &'a dyn Op,
    /// Its kernel, which may be one for itself and others before it.
    pub kernel: &'a Kernel,
    /// Which input of the other one it makes.
    pub position: usize,
    /// The inputs of the other one.
    pub inputs: &'a [Type],
    /// The layout of both.
    pub layout: Layout,
    /// Whether its kernel reads what was saved for it, see [`Op::reads_saved`].
    pub reads_saved: bool,
    /// Whether nobody else reads its result, so that it need not run besides.
    pub is_alone: bool,
}

impl First<'_> {
    /// The operation, if it is of that type.
    #[must_use]
    pub fn as_op<T: Op>(&self) -> Option<&T> {
        (self.op as &dyn Any).downcast_ref()
    }
}

/// An operation with its attributes.
pub trait Op: Any + fmt::Debug + Send + Sync {
    /// Its name in dumps and messages.
    fn name(&self) -> String;

    /// The shape rule.
    ///
    /// # Errors
    /// What is wrong with the inputs, in words for the user.
    fn infer(&self, inputs: &[Type]) -> Result<Type, Mistake>;

    /// The gradient rule: for each input the gradient with respect to it, made of further operations.
    ///
    /// # Errors
    /// What the shape rules of these operations say; an error here is a fault of the rule.
    fn gradient(&self, builder: &mut dyn Builder, node: &Differentiated<'_>) -> Result<Vec<Option<Value>>, Mistake>;

    /// How it meets the batch, when the inputs with `batched` carry samples on their first axis.
    fn batching(&self, inputs: &[Operand], output: &Type) -> Batching;

    /// Whether the operation has kernels for tiles only, so that even a batch of constant size is walked in tiles.
    fn needs_samples(&self) -> bool {
        false
    }

    /// Whether the output may be a batch although no input is one: a broadcast over samples.
    fn makes_samples(&self) -> bool {
        false
    }

    /// Which layouts of a tile it takes.
    fn layouts(&self) -> Layouts {
        Layouts::Any
    }

    /// Whether it has a kernel for a single sample in the layout `Rows`; a batch of few samples is then walked sample by
    /// sample. Asked of what evaluation needs, so gradients may say no.
    fn takes_one_sample(&self) -> bool {
        true
    }

    /// For a gradient: what its kernel can read instead of what its operation read and gave. Where both run in one loop, that
    /// memory lives from one to the other, and the values that it replaces need not.
    fn reads_saved(&self) -> Option<Saved> {
        None
    }

    /// Whether the output is the input's memory under another shape, so that nothing runs.
    fn is_view(&self) -> bool {
        false
    }

    /// The kernel for a call.
    fn kernel(&self, call: &Call) -> Kernel;

    /// The kernel that runs another operation and then this one, if there is one: the first makes an input of this one, which need not
    /// come into being for it. It is given the inputs of the first, and then the others of this one, which saves something for its
    /// gradient if `saves`.
    fn kernel_behind(&self, first: &First<'_>, saves: bool) -> Option<Kernel> {
        let _ = (first, saves);
        None
    }

    /// The parts that compute it on a CUDA device; the last one gives the result. Not asked of views, nor of pointwise
    /// operations, which are their formula.
    fn cuda(&self, inputs: &[Type], output: &Type) -> Vec<Part>;

    /// Multiply-adds for one sample (batched) or for the complete tensors.
    fn cost(&self, inputs: &[Type], output: &Type) -> u64;

    /// Rows and columns at the end of the input's last two axes that the operation never reads, because its last window ends
    /// before them.
    fn unread(&self) -> [usize; 2] {
        [0, 0]
    }

    /// The axis, if each element of the result is the largest of some elements of the input that differ only on this axis and
    /// those behind it. What keeps the order of numbers may then happen behind the operation instead of before.
    fn largest_from(&self) -> Option<usize> {
        None
    }

    /// For pointwise operations, what happens to an element.
    fn formula(&self) -> Option<&Formula> {
        None
    }

    /// The same operation with another formula; only asked where [`formula`](Op::formula) answers.
    fn with_formula(&self, formula: Formula, output: &Type) -> Option<Arc<dyn Op>> {
        let _ = (formula, output);
        None
    }

    /// The naive version: loops over f64, the arbiter of tests. `output` is the concrete shape of the result, integers are
    /// floats, `seed` is the seed of the step.
    fn reference(&self, inputs: &[&Array], output: &[usize], seed: u64) -> Array;
}

/// A tensor of f64 for the naive versions.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// The sizes, outermost first.
    pub dims: Vec<usize>,
    /// The elements, row-major.
    pub data: Vec<f64>,
}

impl Array {
    /// A tensor whose elements are computed from their position.
    pub fn from_fn(dims: &[usize], mut f: impl FnMut(&[usize]) -> f64) -> Array {
        let mut index = vec![0; dims.len()];
        let n: usize = dims.iter().product();
        let mut data = Vec::with_capacity(n);
        for _ in 0..n {
            data.push(f(&index));
            for axis in (0..dims.len()).rev() {
                index[axis] += 1;
                if index[axis] < dims[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Array { dims: dims.to_vec(), data }
    }

    /// A tensor of zeros.
    #[must_use]
    pub fn zeros(dims: &[usize]) -> Array {
        Array { dims: dims.to_vec(), data: vec![0.0; dims.iter().product()] }
    }

    fn position(&self, index: &[usize]) -> usize {
        index.iter().zip(&self.dims).fold(0, |position, (i, dim)| position * dim + i)
    }

    /// The element at an index.
    #[must_use]
    pub fn at(&self, index: &[usize]) -> f64 {
        self.data[self.position(index)]
    }

    /// The element at an index, to be changed.
    pub fn at_mut(&mut self, index: &[usize]) -> &mut f64 {
        let position = self.position(index);
        &mut self.data[position]
    }

    /// The element that broadcasting puts at an index of a larger shape.
    #[must_use]
    pub fn broadcast_at(&self, index: &[usize]) -> f64 {
        let own = &index[index.len() - self.dims.len()..];
        let own: Vec<usize> = own.iter().zip(&self.dims).map(|(i, dim)| if *dim == 1 { 0 } else { *i }).collect();
        self.at(&own)
    }
}

/// The known sizes of the axes from `from` on, or the mistake that names what is not known.
///
/// # Errors
/// A size is a symbol.
pub fn known(ty: &Type, from: usize, what: &str) -> Result<Vec<usize>, Mistake> {
    let dims = ty.dims.get(from..).unwrap_or(&[]);
    dims.iter().map(|dim| dim.as_known().ok_or_else(|| Mistake::unknown_size(what, dim))).collect()
}

/// The broadcast shape of two, as PyTorch does it: aligned at the last axis, sizes of 1 stretch.
///
/// # Errors
/// Two sizes differ and neither is 1.
pub fn broadcast(lhs: &[Dim], rhs: &[Dim]) -> Result<Vec<Dim>, Mistake> {
    let rank = lhs.len().max(rhs.len());
    let size = |dims: &[Dim], axis: usize| {
        (axis + dims.len()).checked_sub(rank).map_or(Dim::known(1), |own| dims[own].clone())
    };
    (0..rank)
        .map(|axis| match (size(lhs, axis), size(rhs, axis)) {
            (left, right) if left == right || right == Dim::known(1) => Ok(left),
            (left, right) if left == Dim::known(1) => Ok(right),
            (left, right) => Err(Mistake::new(format!(
                "{{layer}} cannot combine {} with {}: {left} and {right} do not fit on axis {axis}",
                crate::dim::list(lhs),
                crate::dim::list(rhs)
            ))
            .of_all_inputs()
            .help("the sizes must be equal, or one of them 1")),
        })
        .collect()
}

//! The plan of one function: constants, the code of its tiles and of its whole operations, and the static that ties them
//! together. Decides nothing: every line follows from the schedule and the memory plan.
//!
//! The code is written as text, which rustc turns into tokens all at once: macros are built without optimisation, and
//! token by token the same code takes five times as long.

mod whole;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use graven_kernels::LANES;
use graven_kernels::dim::{Dim, Dtype, list};
use graven_kernels::op::{Kernel, Layout, Value};
use graven_kernels::pointwise::Formula;

use super::formula::{RUST, operands, printed};
use super::layout::ParameterLayout;
use super::names::Names;
use super::text::Text;
use crate::graph::{Graph, Kind, Target};
use crate::memory::{self, Arena};
use crate::schedule::{Destination, Loop, Memory, Place, Schedule, Source, Step, cost, inputs_of};

/// Whether plans hold programs for CUDA devices.
pub(super) const CUDA: bool = cfg!(feature = "cuda");

/// Whether emitted code says when each kernel begins.
const PROFILE: bool = cfg!(feature = "profile");

/// Steps of a tile in one emitted function: one long function is slow to compile.
const STEPS_PER_FUNCTION: usize = 64;

/// What is known of a function beside its schedule.
#[derive(Debug)]
pub(super) struct Context {
    /// `Network::loss_grad`.
    pub(super) name: String,
    /// The layout of the parameters.
    pub(super) layout: Arc<ParameterLayout>,
}

/// Everything of the body that gives the plan but its CUDA program.
pub(super) fn code(schedule: &Schedule, context: &Context) -> String {
    let symbols = schedule.graph.symbols();
    let mut emitter = Emitter {
        schedule,
        context,
        read: vec![false; symbols.len()],
        symbols,
        // A buffer for each node and each gradient, a range for each parameter, sizes.
        names: Names::with_capacity(3 * schedule.graph.nodes.len()),
        constants: Text::default(),
        shared: HashMap::new(),
        parameters: vec![None; schedule.graph.nodes.len()],
        functions: Text::default(),
        kept: schedule.values.iter().enumerate().rev().map(|(index, (value, _))| (*value, index)).collect(),
        closures: Vec::new(),
        shapes: printed(schedule.graph.nodes.iter().map(|node| &node.ty)),
    };
    let stages: Vec<String> = (0..schedule.stages.len()).map(|stage| emitter.stage(stage)).collect();
    let statics = emitter.statics(&stages);
    let Emitter { constants, functions, .. } = emitter;
    format!("{constants}{functions}{statics}")
}

/// A size as data of the plan.
pub(super) fn size_data(dim: &Dim, symbols: &[String]) -> String {
    let position = |symbol: &String| symbols.iter().position(|own| own == symbol).unwrap_or(0);
    let symbols: Vec<usize> = dim.symbols().iter().map(position).collect();
    format!("graven::Size {{ factor: {}, symbols: &{symbols:?} }}", dim.factor())
}

struct Emitter<'a> {
    schedule: &'a Schedule,
    context: &'a Context,
    symbols: Vec<String>,
    names: Names,
    /// Ranges and sizes.
    constants: Text,
    /// The constants of parameter ranges.
    parameters: Vec<Option<Arc<str>>>,
    /// The names of constant sizes, by their text: both ways of a loop share them.
    shared: HashMap<String, String>,
    /// The code of tiles and whole operations.
    functions: Text,
    /// Where the values stand that are kept.
    kept: HashMap<Value, usize>,
    /// Which symbols the function that is being written reads.
    read: Vec<bool>,
    /// The closures that were written: a network has a few formulas, each many times.
    closures: Vec<(usize, Formula, Arc<str>)>,
    /// The type of every node, printed.
    shapes: Vec<Arc<str>>,
}

/// A call of a kernel: its arguments as text, in the order in which they are passed.
#[derive(Clone, Copy)]
struct KernelCall<'a> {
    kernel: &'a Kernel,
    /// The kernel's function, or the one that overwrites an operand.
    function: &'a str,
    /// What its constants are named after.
    label: &'a str,
    cx: &'a str,
    inputs: &'a [String],
    output: &'a str,
    /// Scratch, kept and saved memory, as far as there is some.
    memory: [Option<&'a str>; 3],
}

/// The names of the buffers of a loop.
struct Buffers {
    variables: Vec<String>,
    constants: Vec<String>,
    /// See [`Arena::overwrites`].
    overwrites: Vec<Option<usize>>,
}

impl Emitter<'_> {
    fn graph(&self) -> &Graph {
        &self.schedule.graph
    }

    fn size_data(&self, dim: &Dim) -> String {
        size_data(dim, &self.symbols)
    }

    fn sizes_data(&self, dims: &[Dim]) -> String {
        let dims: Vec<String> = dims.iter().map(|dim| self.size_data(dim)).collect();
        format!("&[{}]", dims.join(", "))
    }

    fn range(&mut self, name: &str, doc: &str, start: usize, len: usize) -> String {
        let name = name.to_ascii_uppercase();
        let end = start + len;
        writeln!(self.constants, "#[doc = {doc:?}] const {name}: graven::Range = {start}..{end};");
        name
    }

    /// The constant that holds the range of a parameter.
    fn parameter(&mut self, value: Value) -> Arc<str> {
        if let Some(name) = &self.parameters[value.0] {
            return Arc::clone(name);
        }
        let node = self.schedule.graph.node(value);
        let Kind::Parameter { layer, weight } = node.kind else {
            unreachable!("a place names a parameter by its node")
        };
        let name = self.names.give(&node.label);
        let offset = self.context.layout.offset(layer, weight);
        let len = node.ty.elements().map_or(0, |elements| elements.factor());
        let name = self.range(&name, &format!(" Parameter `{}`, {}.", node.label, self.shapes[value.0]), offset, len);
        let name: Arc<str> = name.into();
        self.parameters[value.0] = Some(Arc::clone(&name));
        name
    }

    fn stage(&mut self, index: usize) -> String {
        let stage = &self.schedule.stages[index];
        let whole = if stage.whole.is_empty() { Vec::new() } else { self.whole(index, &stage.whole) };
        let loops: Vec<String> = stage.loops.iter().map(|own| self.tile_loop(own)).collect();
        format!("graven::Stage {{ whole: &[{}], loops: &[{}] }}", whole.join(", "), loops.join(", "))
    }

    /// `let N = whole.symbols[0];` for each symbol that the code since the last bindings reads.
    fn bind_symbols(&mut self, from: &str) -> String {
        let read = std::mem::replace(&mut self.read, vec![false; self.symbols.len()]);
        let read = self.symbols.iter().enumerate().zip(read).filter(|(_, read)| *read);
        read.map(|((index, symbol), _)| format!("let {symbol} = {from}.symbols[{index}];")).collect()
    }

    /// Notes the symbols in a text; whether there are any.
    fn note_symbols(&mut self, text: &str) -> bool {
        let mut any = false;
        for (symbol, read) in self.symbols.iter().zip(&mut self.read) {
            // A word is searched only where its letters are.
            if text.contains(symbol.as_str())
                && text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == symbol)
            {
                (*read, any) = (true, true);
            }
        }
        any
    }

    /// The closure of a pointwise kernel. Equal ones are one, in a function that returns it: each closure is a type of its
    /// own, for which rustc compiles the kernel anew.
    fn closure(&mut self, kernel: &Kernel, label: &str, n_inputs: usize) -> Option<Arc<str>> {
        let rule = kernel.formula.as_ref()?;
        let same = |(n, own, _): &&(usize, Formula, Arc<str>)| *n == n_inputs && own.is(rule);
        if let Some((.., written)) = self.closures.iter().find(same) {
            let written = Arc::clone(written);
            self.note_symbols(&written);
            return Some(written);
        }
        let names = operands(n_inputs);
        let body = RUST.formula(rule, &names);
        // A closure that stays out of line would lose the instruction set of the kernel.
        let closure = format!("#[inline(always)] |[{}]: [f32; {n_inputs}]| {body}", names.join(", "));
        let written: Arc<str> = if self.note_symbols(&closure) {
            closure.into()
        } else {
            let name = self.names.give(&format!("{label}_formula"));
            writeln!(
                self.functions,
                "fn {name}() -> impl Fn([f32; {n_inputs}]) -> f32 + Copy {{ std::convert::identity({closure}) }}"
            );
            format!("{name}()").into()
        };
        self.closures.push((n_inputs, rule.clone(), Arc::clone(&written)));
        Some(written)
    }

    /// Adds the call of a kernel; the constants that it needs are added to those of the plan.
    fn kernel_call(&mut self, call: &KernelCall<'_>, code: &mut Text) {
        let KernelCall { kernel, function, label, cx, inputs, output, memory } = *call;
        let (ty, literal) = &kernel.spec;
        let sizes = if self.note_symbols(literal) {
            format!("kernels::{literal}")
        } else if let Some(name) = self.shared.get(literal) {
            name.clone()
        } else {
            let name = self.names.give(&format!("{label}_sizes")).to_ascii_uppercase();
            writeln!(self.constants, "const {name}: kernels::{ty} = kernels::{literal};");
            self.shared.insert(literal.clone(), name.clone());
            name
        };
        let [open, close] = if kernel.array { ["[", "]"] } else { ["", ""] };
        write!(code, "kernels::{function}({cx}, &{sizes}, {open}{}{close}, {output}", inputs.join(", "));
        for (floats, memory) in [kernel.scratch, kernel.kept, kernel.saved].into_iter().zip(memory) {
            if floats.is_some() {
                write!(code, ", {}", memory.unwrap_or("&mut []"));
            }
        }
        if let Some(closure) = self.closure(kernel, label, if kernel.array { inputs.len() } else { 0 }) {
            write!(code, ", {closure}");
        }
        write!(code, ");");
    }

    // Loops.

    fn tile_loop(&mut self, own: &Loop) -> String {
        let mut places = Places::default();
        let sums = self.sums(own);
        let tile = self.tile(own, &sums, &mut places);
        let one = own.one.as_ref().map(|one| self.tile(one, &sums, &mut places));
        let one = one.map_or("None".to_owned(), |one| format!("Some({one})"));
        let extent = self.size_data(&own.extent);
        let mut data = Text::default();
        write!(data, "graven::LoopPlan {{ extent: {extent}, tiles_per_chunk: {}", own.tiles_per_chunk);
        for (field, places) in [
            ("reads", &places.reads),
            ("int_reads", &places.int_reads),
            ("writes", &places.writes),
            ("int_writes", &places.int_writes),
        ] {
            let places: Vec<String> = places.iter().map(place_data).collect();
            write!(data, ", {field}: &[{}]", places.join(", "));
        }
        write!(data, ", sums: {}, int_sums: {}", sums.floats, sums.ints);
        for (field, list) in [("results", &sums.results), ("int_results", &sums.int_results)] {
            let results: Vec<&str> = list.iter().map(|(_, _, result)| &**result).collect();
            write!(data, ", {field}: &[{}]", results.join(", "));
        }
        write!(data, ", tile: {tile}, one: {one}, few: {} }}", own.few);
        data.into_string()
    }

    /// The code of a tile, and the plan that names it.
    fn tile(&mut self, own: &Loop, sums: &Sums, places: &mut Places) -> String {
        let arena = memory::plan(self.graph(), own);
        let buffers = self.buffers(own, &arena);
        let mut steps = Vec::new();
        for part in own.steps.chunks(STEPS_PER_FUNCTION) {
            let mut code = Text::default();
            part.iter().for_each(|step| self.step(own, &buffers, sums, places, step, &mut code));
            let bindings = self.bind_symbols("tile");
            let (label, doc) = if own.tile == 1 {
                (
                    "one_sample",
                    " One sample passes through every operation of the loop, when there are only a few.".to_owned(),
                )
            } else {
                let extent = &own.extent;
                let doc = format!(
                    " One tile: {} samples pass through every operation of the loop over {extent} samples.",
                    own.tile
                );
                ("tile_of_samples", doc)
            };
            let name = self.names.give(label);
            writeln!(
                self.functions,
                "#[doc = {doc:?}] #[inline(never)] fn {name}(tile: &mut graven::Tile<'_>) {{ {bindings} {code} }}"
            );
            steps.push(name);
        }
        format!(
            "graven::TilePlan {{ samples: {}, floats: {}, ints: {}, steps: &[{}] }}",
            own.tile,
            arena.floats,
            arena.ints,
            steps.join(", ")
        )
    }

    fn buffers(&mut self, own: &Loop, arena: &Arena) -> Buffers {
        let overwrites = arena.overwrites.clone();
        let mut buffers = Buffers { variables: Vec::new(), constants: Vec::new(), overwrites };
        // The shape that was printed last: neighbours often have the same.
        let mut printed: Option<(&Arc<[Dim]>, Layout, String)> = None;
        for (index, buffer) in own.buffers.iter().enumerate() {
            let node = self.schedule.graph.node(buffer.value);
            let (label, doc) = match buffer.memory {
                Some((memory, _)) => {
                    let label = &node.label;
                    let doc = match memory {
                        Memory::Scratch => format!(" Scratch memory of `{label}`."),
                        Memory::Kept => format!(" What `{label}` keeps from tile to tile."),
                        Memory::Saved => format!(" What `{label}` saves for its gradient."),
                    };
                    (format!("{label}_{memory}"), doc)
                }
                None => {
                    let suffix = match buffer.layout {
                        Layout::Rows if buffer.tile == 1 => "_one",
                        Layout::Rows => "_rows",
                        _ => "",
                    };
                    let (dims, layout) = (&node.ty.dims, buffer.layout);
                    let (_, _, shape) = match printed.take() {
                        Some(same) if same.0 == dims && same.1 == layout => printed.insert(same),
                        _ => {
                            let (tile, rest) = (&[Dim::known(buffer.tile)][..], dims.get(1..).unwrap_or(&[]));
                            let dims_of_tile = if layout == Layout::Rows { [tile, rest] } else { [rest, tile] };
                            printed.insert((dims, layout, list(&dims_of_tile.concat())))
                        }
                    };
                    (format!("{}{suffix}", node.label), format!(" `{}`, {shape}.", node.label))
                }
            };
            let name = self.names.give(&label);
            buffers.constants.push(self.range(&name, &doc, arena.offsets[index], buffer.len()));
            buffers.variables.push(name);
        }
        buffers
    }

    fn sums(&mut self, own: &Loop) -> Sums {
        let mut sums = Sums { constants: Vec::new(), floats: 0, ints: 0, results: Vec::new(), int_results: Vec::new() };
        for sum in &own.sums {
            let node = self.schedule.graph.node(sum.value);
            let total = if node.ty.dtype == Dtype::F32 { &mut sums.floats } else { &mut sums.ints };
            let start = *total;
            *total += sum.len.next_multiple_of(LANES);
            let name = self.names.give(&format!("{}_sum", node.label));
            let name = self.range(
                &name,
                &format!(" The sum of `{}` over samples, {}.", node.label, self.shapes[sum.value.0]),
                start,
                sum.len,
            );
            let kept = sum.kept.map(|index| ("Value", index));
            let gradient = sum.gradient.and_then(|target| match target {
                Target::Parameter(layer, weight) => Some(("Gradient", self.context.layout.offset(layer, weight))),
                Target::Input(_) => None,
            });
            for (kind, to) in kept.into_iter().chain(gradient) {
                let result = format!("graven::SumPlan {{ from: {name}, to: graven::SumTarget::{kind}({to}) }}");
                if node.ty.dtype == Dtype::F32 { &mut sums.results } else { &mut sums.int_results }
                    .push((kind, to, result));
            }
            sums.constants.push(name);
        }
        // In the order of their places, which the run checks.
        sums.results.sort_unstable();
        sums.int_results.sort_unstable();
        sums
    }

    /// Adds the code of a step.
    fn step(&mut self, own: &Loop, buffers: &Buffers, sums: &Sums, places: &mut Places, step: &Step, code: &mut Text) {
        let dtype = |index: usize| memory::dtype(&self.schedule.graph, own, index);
        if PROFILE {
            let (output, kernel, cost) = match step {
                Step::Load { to, .. } => (&buffers.variables[*to], "load", 0),
                Step::Store { from, .. } => (&buffers.variables[*from], "store", 0),
                Step::Convert { to, .. } => (&buffers.variables[*to], "convert", 0),
                Step::Run { value, before, output, kernel, .. } => {
                    let output = match output {
                        Destination::Buffer(to) => &buffers.variables[*to],
                        Destination::Sum(sum) => &sums.constants[*sum],
                    };
                    (output, &*kernel.function, cost(self.graph(), *value, before))
                }
            };
            self.mark("tile", &output.to_lowercase(), kernel, cost, code);
        }
        match step {
            Step::Load { from, to } => {
                let (buffer, slot, dtype) = (&own.buffers[*to], &buffers.constants[*to], dtype(*to));
                let (read, features) = (places.read(dtype, *from), buffer.features);
                write!(code, "tile.load_{}{}({read}, {slot}, {features});", int(dtype), layout_name(buffer.layout));
            }
            Step::Store { from, to } => {
                let (buffer, slot, dtype) = (&own.buffers[*from], &buffers.constants[*from], dtype(*from));
                let (write, features) = (places.write(dtype, *to), buffer.features);
                write!(code, "tile.store_{}{}({slot}, {write}, {features});", int(dtype), layout_name(buffer.layout));
            }
            Step::Convert { from, to } => {
                let function = match own.buffers[*to].layout {
                    Layout::Rows => "rows_from_samples",
                    _ => "samples_from_rows",
                };
                let (source, target) = (&buffers.variables[*from], &buffers.variables[*to]);
                let (source_range, target_range) = (&buffers.constants[*from], &buffers.constants[*to]);
                let features = own.buffers[*to].features;
                let (arena, suffix) = if dtype(*to) == Dtype::F32 { ("floats", "") } else { ("ints", "_i64") };
                write!(
                    code,
                    "let [{source}, {target}] = graven::disjoint(tile.{arena}, [{source_range}, {target_range}]);\
                     kernels::cpu::layout::{function}{suffix}(&tile.cx, {features}, {source}, {target});"
                );
            }
            Step::Run { value, inputs, output, scratch, kept, saved, before, kernel, .. } => {
                let node = self.schedule.graph.node(*value);
                // The buffers of the call, each once, by element type.
                let mut used: Vec<usize> = inputs
                    .iter()
                    .filter_map(|input| if let Source::Buffer(index) = input { Some(*index) } else { None })
                    .collect();
                // The operand that stands where the output does is no buffer of its own, but a number in the kernel's name.
                let (mut overwritten, mut function) = (None, kernel.function.clone());
                if let Destination::Buffer(index) = output {
                    overwritten = buffers.overwrites[*index].map(Source::Buffer);
                    let operand = inputs.iter().position(|input| Some(*input) == overwritten);
                    if let (Some(operand), Some(in_place)) = (operand, kernel.in_place) {
                        function = in_place(operand);
                        used.retain(|used| Some(Source::Buffer(*used)) != overwritten);
                    }
                    used.push(*index);
                }
                used.extend(scratch.iter().chain(kept).chain(saved));
                used.sort_unstable();
                used.dedup();
                for before in before {
                    self.describe(before.value, &self.graph().node(before.value).label, code);
                }
                self.describe(*value, &node.label, code);
                for (wanted, arena) in [(Dtype::F32, "floats"), (Dtype::I64, "ints")] {
                    let of = used.iter().copied().filter(|index| dtype(*index) == wanted);
                    borrow(of, buffers, arena, code);
                }
                let mut arguments = Vec::new();
                for (input, source) in inputs_of(self.graph(), *value, before).iter().zip(inputs) {
                    arguments.push(match source {
                        Source::Unread => continue,
                        source if Some(*source) == overwritten => "&[]".to_owned(),
                        Source::Buffer(index) => buffers.variables[*index].clone(),
                        Source::Full(Place::Parameter(parameter)) => {
                            format!("&tile.parameters[{}]", self.parameter(*parameter))
                        }
                        Source::Full(place) => {
                            let dtype = self.graph().node(*input).ty.dtype;
                            format!("tile.{}reads[{}]", int(dtype), places.read(dtype, *place))
                        }
                        Source::Sample { from, features } => {
                            let dtype = self.graph().node(*input).ty.dtype;
                            let read = places.read(dtype, *from);
                            format!("graven::sample(tile.{}reads[{read}], &tile.cx, {features})", int(dtype))
                        }
                    });
                }
                let output = match output {
                    Destination::Buffer(index) => buffers.variables[*index].clone(),
                    Destination::Sum(index) => {
                        format!("&mut tile.{}sums[{}]", int(node.ty.dtype), sums.constants[*index])
                    }
                };
                let call = KernelCall {
                    kernel,
                    function: &function,
                    // Their sizes are those of the first of several operations.
                    label: &self.schedule.graph.node(before.first().map_or(*value, |before| before.value)).label,
                    cx: "&tile.cx",
                    inputs: &arguments,
                    output: &output,
                    memory: [scratch, kept, saved].map(|own| own.map(|index| buffers.variables[index].as_str())),
                };
                self.kernel_call(&call, code);
            }
        }
    }

    /// Says that a kernel begins, with its multiply-adds of one sample.
    fn mark(&self, place: &str, output: &str, kernel: &str, cost: u64, code: &mut Text) {
        let function = &self.context.name;
        write!(
            code,
            "{place}.step(graven::Step {{ function: {function:?}, output: {output:?}, kernel: {kernel:?}, \
             multiply_adds: {cost} }});"
        );
    }

    /// The name of the operation.
    fn operation(&self, value: Value) -> String {
        if let Kind::Op(op) = &self.graph().node(value).kind { op.name() } else { "copy".to_owned() }
    }

    /// Adds a line of docs: `conv1: conv2d, [N, 1, 28, 28] -> [N, 6, 24, 24], 86400 multiply-adds a sample`.
    fn describe(&self, value: Value, label: &str, code: &mut Text) {
        let node = self.graph().node(value);
        let (op, cost) = (self.operation(value), cost(self.graph(), value, &[]));
        let inputs: Vec<&str> = node.inputs.iter().map(|input| &*self.shapes[input.0]).collect();
        let (inputs, output) = (inputs.join(" and "), &self.shapes[value.0]);
        write!(code, "#[doc = \" `{label}`: {op}, {inputs} -> {output}, {cost} multiply-adds a sample.\"] ");
    }

    // The static.

    fn statics(&self, stages: &[String]) -> String {
        let graph = &self.schedule.graph;
        let inputs: Vec<String> = graph
            .inputs
            .iter()
            .map(|input| {
                let ty = &graph.node(input.value).ty;
                format!(
                    "graven::InputPlan {{ name: {:?}, dtype: {}, dims: {}, classes: {:?} }}",
                    input.name,
                    dtype_data(ty.dtype),
                    self.sizes_data(&ty.dims),
                    input.classes
                )
            })
            .collect();
        let outputs: Vec<String> = graph
            .outputs
            .iter()
            .zip(&self.schedule.outputs)
            .map(|(value, copied)| {
                let ty = &graph.node(*value).ty;
                let (dtype, dims) = (dtype_data(ty.dtype), self.sizes_data(&ty.dims));
                format!("graven::OutputPlan {{ dtype: {dtype}, dims: {dims}, copied_from: {copied:?} }}")
            })
            .collect();
        let values: Vec<String> = self
            .schedule
            .values
            .iter()
            .map(|(_, ty)| {
                let size = self.size_data(&ty.elements().unwrap_or(Dim::known(0)));
                format!("graven::ValuePlan {{ dtype: {}, size: {size} }}", dtype_data(ty.dtype))
            })
            .collect();
        let gradients: Vec<String> = self
            .schedule
            .gradients
            .iter()
            .filter_map(|(target, value)| match target {
                Target::Parameter(layer, weight) => {
                    Some(format!("({value}, {})", self.context.layout.offset(*layer, *weight)))
                }
                Target::Input(_) => None,
            })
            .collect();
        // Parameters without a gradient here are moved by no optimizer, as in PyTorch.
        let gradients_of: HashSet<Target> = graph.gradients.iter().map(|(target, _)| *target).collect();
        let trained =
            self.context.layout.ranges(|layer, weight| gradients_of.contains(&Target::Parameter(layer, weight)));
        format!(
            "static PLAN: graven::Plan = graven::Plan {{ function: {:?}, symbols: &{:?}, inputs: &[{}], outputs: &[{}], \
             values: &[{}], stages: &[{}], gradients: &[{}], parameters: {}, trained: &{trained:?}, cuda: {} }};",
            self.context.name,
            self.symbols,
            inputs.join(", "),
            outputs.join(", "),
            values.join(", "),
            stages.join(", "),
            gradients.join(", "),
            self.context.layout.length,
            if CUDA { "Some(&CUDA)" } else { "None" },
        )
    }
}

/// The accumulators of a loop.
struct Sums {
    constants: Vec<String>,
    floats: usize,
    ints: usize,
    /// Kind and number of the place, and the plan of the sum.
    results: Vec<(&'static str, usize, String)>,
    int_results: Vec<(&'static str, usize, String)>,
}

/// The complete tensors that a loop touches.
#[derive(Default)]
struct Places {
    reads: Vec<Place>,
    int_reads: Vec<Place>,
    writes: Vec<Place>,
    int_writes: Vec<Place>,
}

impl Places {
    fn read(&mut self, dtype: Dtype, place: Place) -> usize {
        find(if dtype == Dtype::F32 { &mut self.reads } else { &mut self.int_reads }, place)
    }

    fn write(&mut self, dtype: Dtype, place: Place) -> usize {
        find(if dtype == Dtype::F32 { &mut self.writes } else { &mut self.int_writes }, place)
    }
}

fn find(places: &mut Vec<Place>, place: Place) -> usize {
    places.iter().position(|own| *own == place).unwrap_or_else(|| {
        places.push(place);
        places.len() - 1
    })
}

/// Adds the line that borrows some buffers of a tile, if there are any.
fn borrow(of: impl Iterator<Item = usize>, buffers: &Buffers, arena: &str, code: &mut Text) {
    let (mut variables, mut ranges) = (String::new(), String::new());
    for index in of {
        if !ranges.is_empty() {
            variables.push_str(", ");
            ranges.push_str(", ");
        }
        variables.push_str(&buffers.variables[index]);
        ranges.push_str(&buffers.constants[index]);
    }
    if !ranges.is_empty() {
        write!(code, "let [{variables}] = graven::disjoint(tile.{arena}, [{ranges}]);");
    }
}

fn place_data(place: &Place) -> String {
    match place {
        Place::Parameter(_) => unreachable!("parameters are read by their range"),
        place => format!("graven::Place::{place:?}"),
    }
}

fn dtype_data(dtype: Dtype) -> String {
    format!("graven::Dtype::{dtype:?}")
}

fn int(dtype: Dtype) -> &'static str {
    if dtype == Dtype::F32 { "" } else { "int_" }
}

fn layout_name(layout: Layout) -> &'static str {
    if layout == Layout::Rows { "rows" } else { "samples" }
}

//! The kernels of a function as CUDA C++, and the data that says how they are launched. Decides nothing: every line follows
//! from the plan (`schedule/cuda.rs`).
//!
//! In a kernel every tensor is a lambda from a position to an element: it reads memory, or computes. So a kernel reads like
//! the chain of operations that it fuses.

use std::fmt;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use graven_kernels::cuda::{Combine, MODULES, PRELUDE};
use graven_kernels::dim::{Dim, Dtype};
use graven_kernels::pointwise::{Formula, broadcast_position};

use super::formula::{CUDA, operands, printed};
use super::layout::ParameterLayout;
use super::names::Names;
use super::plan::size_data;
use super::text::Text;
use crate::schedule::Schedule;
use crate::schedule::cuda::{How, Launch, Plan, Slot, Store, THREADS, Team, Tensor, cuda};

/// Names that a tensor cannot bear in a kernel: words of C++, and those that the text uses itself.
const RESERVED: &str = "alignas alignof and asm auto bool break case catch char class concept const constexpr continue \
    decltype default delete do double else enum explicit export extern false float for friend goto graven i if inline int \
    long math mutable namespace new not nullptr operator or private protected public r register requires return short \
    signed sizeof static struct switch template this throw true try typedef typeid typename union unsigned using value \
    virtual void volatile while xor";

/// The kernels of a function, and how they are launched.
#[derive(Debug)]
pub struct Program {
    /// The launches, each of a kernel of its own.
    pub launches: Vec<Launched>,
    /// The parts of the workspace: so many elements of that type each.
    pub groups: Vec<(Dtype, Dim)>,
    /// The tensors in the workspace.
    pub values: Vec<Slot>,
    /// The largest numbers of elements that the kernels count.
    pub extents: Vec<Dim>,
}

/// One launch.
#[derive(Debug)]
pub struct Launched {
    /// The name of the kernel.
    pub name: String,
    /// The modules of `graven_kernels` whose device functions it calls, in the order in which their texts must stand.
    pub modules: Vec<&'static str>,
    /// Its own text.
    pub text: String,
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// How much there is to do: elements, or samples.
    pub work: Dim,
    /// How much of it one block does.
    pub per_block: usize,
    /// The second axis of the grid.
    pub chunks: usize,
    /// Who does it, in words.
    pub team: &'static str,
}

/// An argument of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// The argument of the function with this index.
    Input(usize),
    /// The parameter of a layer: layer, weight.
    Parameter(usize, usize),
    /// What a kernel writes, and later ones read.
    Stored(Store),
    /// The seed of the step.
    Seed,
    /// The size with this index.
    Symbol(usize),
}

/// Writes the kernels of a function.
#[must_use]
pub(crate) fn program(schedule: &Schedule) -> Program {
    let kernels = Kernels::of(schedule);
    let launches = kernels.write(0..kernels.plan.launches.len());
    let extents = kernels.plan.extents();
    Program { launches, groups: kernels.plan.groups, values: kernels.plan.values, extents }
}

/// Names in CUDA C++.
fn names(n_names: usize) -> Names {
    // Beside the words that are reserved, letters and symbols are given; some names are numbered, and then both are kept.
    let mut names = Names::with_capacity(200 + 2 * n_names);
    RESERVED.split_whitespace().for_each(|word| drop(names.give(word)));
    names
}

/// The kernels of a function, planned and named. They are written in parts, by whoever has time.
#[derive(Debug)]
pub(super) struct Kernels {
    plan: Plan,
    symbols: Vec<String>,
    /// The name of each tensor.
    names: Vec<String>,
    /// The type of each tensor, printed.
    types: Vec<Arc<str>>,
    /// The name of each kernel.
    kernel_names: Vec<String>,
}

/// Some kernels and their launches, as data.
pub(super) struct Part {
    kernels: String,
    launches: String,
}

impl Kernels {
    pub(super) fn of(schedule: &Schedule) -> Kernels {
        let (plan, symbols) = (cuda(schedule), schedule.graph.symbols());
        let mut own = names(plan.tensors.len());
        operands(26).iter().for_each(|letter| drop(own.give(letter)));
        symbols.iter().for_each(|symbol| drop(own.give(symbol)));
        let tensor_names = plan.tensors.iter().map(|tensor| own.give(&tensor.label)).collect();
        let types = printed(plan.tensors.iter().map(|tensor| &tensor.ty));
        let mut kernels = Kernels { plan, symbols, names: tensor_names, types, kernel_names: Vec::new() };
        let mut own = names(kernels.plan.launches.len());
        kernels.kernel_names =
            kernels.plan.launches.iter().map(|launch| own.give(&kernels.kernel_name(launch))).collect();
        kernels
    }

    /// Writes some of them.
    fn write(&self, launches: Range<usize>) -> Vec<Launched> {
        let mut written = Written { lambdas: vec![usize::MAX; self.plan.tensors.len()], formulas: Vec::new() };
        launches.map(|index| self.kernel(index, &mut written)).collect()
    }

    /// Part `part` of `parts`; `layout` knows where parameters lie.
    pub(super) fn part(&self, part: usize, parts: usize, layout: &ParameterLayout) -> Part {
        let n = self.plan.launches.len();
        let range = n * part / parts..n * (part + 1) / parts;
        let (mut kernels, mut launches) = (Text::default(), Text::default());
        for (index, launch) in range.clone().zip(self.write(range)) {
            let Launched { name, modules, text, work, per_block, chunks, .. } = launch;
            let modules: String = modules.iter().map(|module| format!("kernels::{module}::CUDA, ")).collect();
            write!(
                kernels,
                "graven::CudaKernel {{ name: {name:?}, source: &[kernels::cuda::PRELUDE, {modules}r#\"{text}\"#] }}, "
            );
            let arguments: Vec<String> = launch.arguments.iter().map(|argument| argument.data(layout)).collect();
            write!(
                launches,
                "graven::CudaLaunch {{ kernel: {index}, work: {}, per_block: {per_block}, chunks: {chunks}, \
                 threads: {THREADS}, arguments: &[{}] }}, ",
                self.size(&work),
                arguments.join(", ")
            );
        }
        Part { kernels: kernels.into_string(), launches: launches.into_string() }
    }

    /// The static of the program, as Rust, of all parts.
    pub(super) fn statics(&self, parts: &[Part]) -> String {
        let kernels: String = parts.iter().map(|part| part.kernels.as_str()).collect();
        let launches: String = parts.iter().map(|part| part.launches.as_str()).collect();
        let group = |(dtype, total): &(Dtype, Dim)| format!("(graven::Dtype::{dtype:?}, {}), ", self.size(total));
        let groups: String = self.plan.groups.iter().map(group).collect();
        let extents: Vec<String> = self.plan.extents().iter().map(|extent| self.size(extent)).collect();
        let value = |slot: &Slot| format!("graven::CudaValue {{ group: {}, offset: {} }}, ", slot.group, slot.offset);
        let values: String = self.plan.values.iter().map(value).collect();
        format!(
            "static CUDA: graven::CudaPlan = graven::CudaPlan {{ kernels: &[{kernels}], groups: &[{groups}], \
             values: &[{values}], launches: &[{launches}], extents: &[{}] }};",
            extents.join(", ")
        )
    }

    fn size(&self, dim: &Dim) -> String {
        size_data(dim, &self.symbols)
    }
}

impl Launched {
    /// The complete text of the kernel.
    #[must_use]
    pub fn source(&self) -> String {
        let text = |module: &&str| MODULES.iter().find(|(name, _)| name == module).map_or("", |(_, text)| text);
        let modules: String = self.modules.iter().map(text).collect();
        format!("{PRELUDE}{modules}{}", self.text)
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Launched { modules, text, work, per_block, chunks, team, .. } in &self.launches {
            let chunks = if *chunks > 1 { format!(" by {chunks}") } else { String::new() };
            let modules = if modules.is_empty() { String::new() } else { format!("; calls {}", modules.join(", ")) };
            writeln!(f, "// {team}: {work} / {per_block}{chunks} blocks{modules}{text}")?;
        }
        let groups: Vec<String> = self.groups.iter().map(|(dtype, size)| format!("{size} of {dtype:?}")).collect();
        writeln!(f, "// workspace: {}", if groups.is_empty() { "nothing".to_owned() } else { groups.join(", ") })
    }
}

fn elements(dims: &[Dim]) -> Dim {
    Dim::product(dims).unwrap_or(Dim::known(0))
}

impl Argument {
    fn data(self, layout: &ParameterLayout) -> String {
        let own = match self {
            Argument::Input(input) => format!("Input({input})"),
            Argument::Parameter(layer, weight) => format!("Parameter({})", layout.offset(layer, weight)),
            Argument::Stored(Store::Value(value)) => format!("Value({value})"),
            Argument::Stored(Store::Output(output)) => format!("Output({output})"),
            Argument::Stored(Store::Gradient(layer, weight)) => format!("Gradient({})", layout.offset(layer, weight)),
            Argument::Stored(Store::Shared) => unreachable!("shared memory is no argument"),
            Argument::Seed => "Seed".to_owned(),
            Argument::Symbol(symbol) => format!("Symbol({symbol})"),
        };
        format!("graven::CudaArgument::{own}")
    }
}

/// The parameters of a kernel, while it is written.
#[derive(Default)]
struct Kernel {
    arguments: Vec<Argument>,
    /// As they stand in the kernel's signature, one in a line.
    parameters: Text,
    modules: Vec<&'static str>,
}

impl Kernel {
    fn take(&mut self, argument: Argument, parameter: fmt::Arguments<'_>) {
        if !self.arguments.contains(&argument) {
            let before = if self.arguments.is_empty() { "" } else { ",\n    " };
            write!(self.parameters, "{before}{parameter}");
            self.arguments.push(argument);
        }
    }
}

/// What kernels of one part share while they are written.
struct Written<'a> {
    /// For each tensor the root whose kernel got its lambda last.
    lambdas: Vec<usize>,
    /// The formulas that were printed: a network has a few, each many times.
    formulas: Vec<(&'a Formula, Rc<str>)>,
}

/// What is known while one kernel is written.
struct Writing<'a, 'k> {
    root: usize,
    team: Team,
    /// The tensors in shared memory.
    shared: &'a [usize],
    kernel: Kernel,
    /// The lambdas.
    body: Text,
    written: &'a mut Written<'k>,
    /// What begins a line in a lambda.
    line: &'static str,
}

impl Kernels {
    /// A kernel is named after the user's names for what it computes.
    fn kernel_name(&self, launch: &Launch) -> String {
        let mut labels: Vec<&str> = Vec::new();
        for (root, _) in &launch.roots {
            let mut chain = vec![self.plan.tensors[*root].label.as_str()];
            let mut pending: Vec<usize> = self.plan.tensors[*root].inputs.clone();
            while let Some(next) = pending.pop() {
                let next = self.plan.behind(next);
                if self.is_computed_in(next, *root) {
                    chain.push(&self.plan.tensors[next].label);
                    pending.extend(&self.plan.tensors[next].inputs);
                }
            }
            chain.reverse();
            labels.extend(chain);
        }
        labels.dedup();
        let name = labels.join("_");
        if name.len() <= 60 { name } else { format!("{}_and_{}_more", labels[0], labels.len() - 1) }
    }

    /// Whether a tensor is computed by the kernel of a root, rather than read from memory.
    fn is_computed_in(&self, tensor: usize, root: usize) -> bool {
        !matches!(self.plan.tensors[tensor].how, How::Input(_) | How::Parameter(..))
            && (self.plan.stores[tensor].is_empty() || self.plan.root[tensor] == root)
    }

    fn kernel<'k>(&'k self, index: usize, written: &mut Written<'k>) -> Launched {
        let (launch, name) = (&self.plan.launches[index], self.kernel_names[index].clone());
        let mut kernel = Kernel::default();
        let mut walks = Text::default();
        // Where one kernel computes several tensors, each has a block of its own.
        let alone = launch.samples.is_none() && launch.roots.len() == 1;
        let line = if alone { "\n        " } else { "\n            " };
        let shared: Vec<usize> = self.shared(launch);
        let index = match (&launch.samples, launch.roots[0].1) {
            (Some(_), _) => "const Index n = blockIdx.x;".to_owned(),
            (None, Team::Thread) => format!("Index i = (Index) blockIdx.x * {THREADS} + threadIdx.x;"),
            (None, Team::Warp) => format!("Index i = (Index) blockIdx.x * {} + threadIdx.x / 32;", THREADS / 32),
            (None, Team::Block) => "Index i = blockIdx.x;".to_owned(),
        };
        for tensor in &shared {
            let Tensor { ty, .. } = &self.plan.tensors[*tensor];
            let features = ty.features().unwrap_or(0);
            writeln!(walks, "    SHARED({}, {}_of_n, {features});", scalar_type(ty.dtype), self.names[*tensor]);
        }
        for (position, (root, team)) in launch.roots.iter().enumerate() {
            let (body, written) = (Text::default(), &mut *written);
            let mut writing = Writing { root: *root, team: *team, shared: &shared, kernel, body, written, line };
            let own = self.lambda(*root, &mut writing);
            let Writing { kernel: rest, body, .. } = writing;
            kernel = rest;
            let work = elements(&self.plan.elements(*root));
            let last = position + 1 == launch.roots.len();
            match (&launch.samples, launch.roots.len()) {
                (Some(_), _) => {
                    let features = self.plan.tensors[*root].features().unwrap_or(0);
                    let (first, step) = match team {
                        Team::Thread => ("threadIdx.x".to_owned(), THREADS),
                        _ => ("threadIdx.x / 32".to_owned(), THREADS / 32),
                    };
                    writeln!(
                        walks,
                        "    {{\n{body}        for (int i = {first}; i < {features}; i += {step}) {own}(n * {features} + i);\n    }}"
                    );
                    if !last {
                        writeln!(walks, "    __syncthreads();");
                    }
                }
                (None, 1) if *team == Team::Block => {
                    writeln!(walks, "{body}    {own}(i);");
                }
                (None, 1) => {
                    writeln!(walks, "{body}    if (i < {work}) {own}(i);");
                }
                (None, _) => {
                    writeln!(walks, "    if (i < {work}) {{\n{body}        {own}(i);\n        return;\n    }}");
                    if !last {
                        writeln!(walks, "    i -= {work};");
                    }
                }
            }
        }
        self.note_symbols(&mut kernel, &walks);
        let docs: String = launch.roots.iter().map(|(root, _)| self.describe(*root)).collect();
        let text = format!(
            "\n{docs}extern \"C\" __global__ void __launch_bounds__({THREADS}) {name}(\n    {}) {{\n    \
             {index}\n{walks}}}\n",
            kernel.parameters
        );
        let works = launch.roots.iter().map(|(root, _)| elements(&self.plan.elements(*root)));
        let (team, work, per_block) = match (&launch.samples, launch.roots[0].1) {
            (Some(samples), _) => ("a block for a sample", samples.clone(), 1),
            (None, own) => {
                let team = match own {
                    Team::Thread => "a thread for an element",
                    Team::Warp => "a warp for an element",
                    Team::Block => "a block for an element",
                };
                // Several roots have sizes that are known.
                let several = |sum: Dim, work: Dim| Dim::known(sum.factor() + work.factor());
                (team, works.reduce(several).unwrap_or(Dim::known(0)), own.per_block())
            }
        };
        let Kernel { arguments, modules, .. } = kernel;
        Launched { name, modules, text, arguments, work, per_block, chunks: launch.chunks, team }
    }

    /// The tensors that a launch keeps in shared memory.
    fn shared(&self, launch: &Launch) -> Vec<usize> {
        let members = launch.roots.iter().flat_map(|(root, _)| self.plan.members(*root)).copied();
        members.filter(|tensor| self.plan.stores[*tensor].contains(&Store::Shared)).collect()
    }

    /// `// max_pool2d: [N, 6, 12, 12]`
    fn describe(&self, root: usize) -> String {
        let mut text = format!("/// {} = {}", self.names[root], self.types[root]);
        for (position, read) in self.plan.reads(root).iter().enumerate() {
            let before = if position == 0 { " from " } else { ", " };
            text += &format!("{before}{} {}", self.names[*read], self.types[*read]);
        }
        text + "\n"
    }

    fn note_symbols(&self, kernel: &mut Kernel, text: &str) {
        for (index, symbol) in self.symbols.iter().enumerate() {
            let in_word = |c: char| c.is_alphanumeric() || c == '_';
            let is_word = |(start, _): (usize, &str)| {
                text[start..].strip_prefix(symbol.as_str()).is_some_and(|rest| !rest.starts_with(in_word))
                    && !text[..start].ends_with(in_word)
            };
            // Its first character alone is found much faster.
            if symbol.chars().next().is_some_and(|first| text.match_indices(first).any(is_word)) {
                kernel.take(Argument::Symbol(index), format_args!("Index {symbol}"));
            }
        }
    }

    fn pointer(&self, tensor: usize, place: usize) -> String {
        let suffix = if place == 0 { String::new() } else { format!("_{}", place + 1) };
        format!("{}_at{suffix}", self.names[tensor])
    }

    /// The name of the lambda that gives a tensor's elements; writes it, and those that it calls, unless they are there.
    fn lambda<'k>(&'k self, tensor: usize, writing: &mut Writing<'_, 'k>) -> &'k str {
        let tensor = self.plan.behind(tensor);
        let name = &self.names[tensor];
        if std::mem::replace(&mut writing.written.lambdas[tensor], writing.root) == writing.root {
            return name;
        }
        let line = writing.line;
        let indent = &line["\n".len()..line.len() - "    ".len()];
        if tensor == writing.root || self.is_computed_in(tensor, writing.root) {
            let element = self.element(tensor, writing);
            let body = self.stored(tensor, element, writing);
            writeln!(writing.body, "{indent}const auto {name} = [=](Index i) {{{line}{body}\n{indent}}};");
        } else if writing.shared.contains(&tensor) {
            let features = self.plan.tensors[tensor].features().unwrap_or(0);
            writeln!(writing.body, "{indent}const auto {name} = graven::sample({name}_of_n, n * {features});");
        } else {
            let argument = match self.plan.tensors[tensor].how {
                How::Input(input) => Argument::Input(input),
                How::Parameter(layer, weight) => Argument::Parameter(layer, weight),
                _ => Argument::Stored(self.plan.stores[tensor][0]),
            };
            let pointer = self.pointer(tensor, 0);
            let ty = scalar_type(self.plan.tensors[tensor].ty.dtype);
            writing.kernel.take(argument, format_args!("const {ty} *__restrict__ {pointer}"));
            writeln!(writing.body, "{indent}const auto {name} = graven::memory({pointer});");
        }
        name
    }

    /// Statements that end with `return` of an element, or `const auto value = ` that is stored first.
    fn stored(&self, tensor: usize, element: Element, writing: &mut Writing<'_, '_>) -> String {
        let stores = self.plan.stores[tensor].len();
        if stores == 0 {
            return format!("{}return {};", element.before, element.value);
        }
        let position = match self.plan.tensors[tensor].how {
            How::Chunks(..) => format!("blockIdx.y * (Index) {} + i", elements(&self.plan.elements(tensor))),
            _ => "i".to_owned(),
        };
        let line = writing.line;
        let mut text = format!("{}const auto value = {};{line}", element.before, element.value);
        let condition = match writing.team {
            Team::Thread => "",
            Team::Warp => "if (threadIdx.x % 32 == 0) ",
            Team::Block => "if (threadIdx.x == 0) ",
        };
        for (place, store) in self.plan.stores[tensor].iter().enumerate() {
            if *store == Store::Shared {
                let (name, features) = (&self.names[tensor], self.plan.tensors[tensor].features().unwrap_or(0));
                text += &format!("{condition}{name}_of_n[i - n * {features}] = value;{line}");
                continue;
            }
            let pointer = self.pointer(tensor, place);
            let ty = scalar_type(self.plan.tensors[tensor].ty.dtype);
            writing.kernel.take(Argument::Stored(*store), format_args!("{ty} *__restrict__ {pointer}"));
            text += &format!("{condition}{pointer}[{position}] = value;{line}");
        }
        text + "return value;"
    }

    fn formula<'k>(formula: &'k Formula, letters: &[String], formulas: &mut Vec<(&'k Formula, Rc<str>)>) -> Rc<str> {
        if let Some((_, text)) = formulas.iter().find(|(own, _)| own.is(formula)) {
            return Rc::clone(text);
        }
        let text: Rc<str> = CUDA.formula(formula, letters).into();
        formulas.push((formula, Rc::clone(&text)));
        text
    }

    fn element<'k>(&'k self, tensor: usize, writing: &mut Writing<'_, 'k>) -> Element {
        let (own, line) = (&self.plan.tensors[tensor], writing.line);
        let inputs: Vec<&str> = own.inputs.iter().map(|input| self.lambda(*input, writing)).collect();
        match &own.how {
            How::Scalar(scalar) => Element::of(CUDA.scalar(scalar)),
            How::Formula(formula) => {
                let letters = operands(inputs.len());
                let reads = letters.iter().zip(&inputs).zip(&own.inputs).map(|((letter, input), index)| {
                    let position = broadcast_position(&self.plan.tensors[*index].ty, &own.ty);
                    format!("const auto {letter} = {input}({position});{line}")
                });
                let before = reads.collect();
                Element { before, value: Self::formula(formula, &letters, &mut writing.written.formulas).to_string() }
            }
            How::Part(part) | How::Chunks(part, _) => {
                part.modules.iter().for_each(|module| {
                    if !writing.kernel.modules.contains(module) {
                        writing.kernel.modules.push(module);
                    }
                });
                let mut arguments: Vec<String> = Vec::new();
                arguments.extend((!part.sizes.is_empty()).then(|| format!("graven::{}", part.sizes)));
                arguments.push("i".to_owned());
                arguments.extend(part.terms.is_some().then(|| "r".to_owned()));
                if part.seed {
                    writing.kernel.take(Argument::Seed, format_args!("const Word *__restrict__ seed_at"));
                    arguments.push("*seed_at".to_owned());
                }
                arguments.extend(inputs.iter().map(|input| (*input).to_owned()));
                let call = format!("graven::{}({})", part.function, arguments.join(", "));
                let Some(terms) = &part.terms else { return Element::of(call) };
                let combine = match terms.combine {
                    Combine::Sum => "graven::Sum",
                    Combine::Max => "graven::Max",
                };
                let count = &terms.count;
                let (first, last) = match &own.how {
                    How::Chunks(_, chunks) => {
                        let at = |chunk: &str| format!("graven::chunk_start({count}, {chunk}, {chunks})");
                        (at("blockIdx.y"), at("blockIdx.y + 1"))
                    }
                    _ => ("0".to_owned(), count.to_string()),
                };
                let term = format!("[=](Index r) {{{line}    return {call};{line}}}");
                Element::of(match self.plan.own_team(tensor) {
                    Team::Thread => format!("graven::combine_alone<{combine}>({first}, {last}, 1, {term})"),
                    Team::Warp => format!("graven::combine_warp<{combine}>({first}, {last}, {term})"),
                    Team::Block => format!("graven::combine_block<{combine}>({first}, {last}, {term})"),
                })
            }
            How::Total(chunks) => {
                let count = elements(&own.ty.dims);
                Element::of(format!(
                    "graven::combine_alone<graven::Sum>(0, {chunks}, 1, [=](Index r) {{ return {}(r * {count} + i); }})",
                    inputs[0]
                ))
            }
            How::Input(_) | How::Parameter(..) | How::View => unreachable!("it is read from memory"),
        }
    }
}

/// An element as an expression, with statements before it.
struct Element {
    before: String,
    value: String,
}

impl Element {
    fn of(value: String) -> Element {
        Element { before: String::new(), value }
    }
}

fn scalar_type(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "float",
        Dtype::I64 => "long long",
    }
}

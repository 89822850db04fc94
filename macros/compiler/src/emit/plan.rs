//! The plan of one function: constants, the code of its tiles and of its whole operations, and the static that ties them
//! together. Decides nothing: every line follows from the schedule and the memory plan.

use std::collections::HashMap;

use graven_kernels::LANES;
use graven_kernels::dim::{Dim, Dtype, Type, list};
use graven_kernels::op::{Kernel, Layout, Value};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::formula::{formula, operands};
use super::layout::ParameterLayout;
use super::names::{Names, constant, variable};
use crate::graph::{Graph, Kind, Target};
use crate::memory::{self, Arena};
use crate::schedule::{Destination, Loop, Place, Schedule, Source, Step, call};

/// Steps of a tile in one emitted function: one long function is slow to compile.
const STEPS_PER_FUNCTION: usize = 64;

/// What is known of a function beside its schedule.
pub(super) struct Context<'a> {
    /// `Network::loss_grad`.
    pub(super) name: String,
    /// The layout of the parameters.
    pub(super) layout: &'a ParameterLayout,
}

/// The body of the function that gives the plan.
pub(super) fn plan(schedule: &Schedule, context: &Context<'_>) -> TokenStream {
    let mut emitter = Emitter {
        schedule,
        context,
        symbols: schedule.graph.symbols(),
        names: Names::default(),
        constants: Vec::new(),
        parameters: HashMap::new(),
        functions: Vec::new(),
    };
    let stages: Vec<TokenStream> = (0..schedule.stages.len()).map(|stage| emitter.stage(stage)).collect();
    let statics = emitter.statics(&stages);
    let Emitter { constants, functions, .. } = emitter;
    quote!(#(#constants)* #(#functions)* #statics &PLAN)
}

struct Emitter<'a> {
    schedule: &'a Schedule,
    context: &'a Context<'a>,
    symbols: Vec<String>,
    names: Names,
    /// Ranges and sizes.
    constants: Vec<TokenStream>,
    /// The constants of parameter ranges.
    parameters: HashMap<Value, Ident>,
    /// The code of tiles and whole operations.
    functions: Vec<TokenStream>,
}

/// The names of the buffers of a loop.
struct Buffers {
    variables: Vec<Ident>,
    constants: Vec<Ident>,
}

impl Emitter<'_> {
    fn graph(&self) -> &Graph {
        &self.schedule.graph
    }

    /// A size as data of the plan.
    fn size_data(&self, dim: &Dim) -> TokenStream {
        let factor = Literal::usize_unsuffixed(dim.factor());
        let symbols = dim.symbols().iter().map(|symbol| self.symbols.iter().position(|own| own == symbol).unwrap_or(0));
        let symbols = symbols.map(Literal::usize_unsuffixed);
        quote!(graven::Size { factor: #factor, symbols: &[#(#symbols),*] })
    }

    fn sizes_data(&self, dims: &[Dim]) -> TokenStream {
        let dims = dims.iter().map(|dim| self.size_data(dim));
        quote!(&[#(#dims),*])
    }

    fn range(&mut self, name: &str, doc: &str, start: usize, len: usize) -> Ident {
        let name = constant(name);
        let (start, end) = (Literal::usize_unsuffixed(start), Literal::usize_unsuffixed(start + len));
        self.constants.push(quote!(#[doc = #doc] const #name: std::ops::Range<usize> = #start..#end;));
        name
    }

    /// The constant that holds the range of a parameter.
    fn parameter(&mut self, value: Value) -> Ident {
        if let Some(name) = self.parameters.get(&value) {
            return name.clone();
        }
        let node = self.graph().node(value).clone();
        let Kind::Parameter { layer, weight } = node.kind else {
            unreachable!("a place names a parameter by its node")
        };
        let name = self.names.give(&node.label);
        let offset = self.context.layout.offset(layer, weight);
        let len = node.ty.elements().map_or(0, |elements| elements.factor());
        let name = self.range(&name, &format!(" Parameter `{}`, {}.", node.label, node.ty), offset, len);
        self.parameters.insert(value, name.clone());
        name
    }

    fn stage(&mut self, index: usize) -> TokenStream {
        let stage = &self.schedule.stages[index];
        let whole = if stage.whole.is_empty() { Vec::new() } else { self.whole(index, &stage.whole) };
        let loops: Vec<TokenStream> = stage.loops.iter().map(|own| self.tile_loop(own)).collect();
        quote!(graven::Stage { whole: &[#(#whole),*], loops: &[#(#loops),*] })
    }

    /// `let N = whole.symbols[0];` for each symbol that the code reads.
    fn bind_symbols(&self, from: &Ident, code: &TokenStream) -> TokenStream {
        let words: Vec<String> =
            code.to_string().split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect();
        let used = self.symbols.iter().enumerate().filter(|(_, symbol)| words.contains(symbol));
        let bindings = used.map(|(index, symbol)| {
            let symbol = variable(symbol);
            let index = Literal::usize_unsuffixed(index);
            quote!(let #symbol = #from.symbols[#index];)
        });
        quote!(#(#bindings)*)
    }

    /// The closure of a pointwise kernel.
    fn closure(&self, kernel: &Kernel, n_inputs: usize) -> Option<TokenStream> {
        let rule = kernel.formula.as_ref()?;
        let names = operands(n_inputs);
        let body = formula(rule, &names, &|symbol| {
            let symbol = variable(symbol);
            quote!(#symbol)
        });
        let n = Literal::usize_unsuffixed(n_inputs);
        // A closure that stays out of line would lose the instruction set of the kernel.
        Some(quote!(#[inline(always)] |[#(#names),*]: [f32; #n]| #body))
    }

    /// The call of a kernel: (constants it needs or statements before it, the call).
    fn kernel_call(
        &mut self,
        kernel: &Kernel,
        label: &str,
        cx: &TokenStream,
        inputs: &[TokenStream],
        output: &TokenStream,
        scratch: Option<&TokenStream>,
    ) -> TokenStream {
        let path: TokenStream = format!("kernels::{}", kernel.function).parse().unwrap_or_default();
        let literal: TokenStream = format!("kernels::{}", kernel.spec.1).parse().unwrap_or_default();
        let words: Vec<&str> = kernel.spec.1.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let symbolic = self.symbols.iter().any(|symbol| words.contains(&symbol.as_str()));
        let sizes = if symbolic {
            quote!(&#literal)
        } else {
            let ty: TokenStream = format!("kernels::{}", kernel.spec.0).parse().unwrap_or_default();
            let name = constant(&self.names.give(&format!("{label}_sizes")));
            self.constants.push(quote!(const #name: #ty = #literal;));
            quote!(&#name)
        };
        let inputs = if kernel.array { quote!([#(#inputs),*]) } else { quote!(#(#inputs),*) };
        let scratch = match (kernel.scratch, scratch) {
            (None, _) => None,
            (Some(_), Some(scratch)) => Some(quote!(, #scratch)),
            (Some(_), None) => Some(quote!(, &mut [])),
        };
        let closure = self
            .closure(kernel, if kernel.array { spec_operands(kernel) } else { 0 })
            .map(|closure| quote!(, #closure));
        quote!(#path(#cx, #sizes, #inputs, #output #scratch #closure);)
    }

    // Loops.

    fn tile_loop(&mut self, own: &Loop) -> TokenStream {
        let arena = memory::plan(self.graph(), own);
        debug_assert_eq!(memory::verify(self.graph(), own, &arena), Ok(()), "{}", self.schedule);
        let buffers = self.buffers(own, &arena);
        let mut places = Places::default();
        let sums = self.sums(own);
        let steps: Vec<TokenStream> =
            own.steps.iter().map(|step| self.step(own, &buffers, &sums, &mut places, step)).collect();
        let mut tiles = Vec::new();
        for steps in steps.chunks(STEPS_PER_FUNCTION) {
            let name = variable(&self.names.give("tile_of_samples"));
            let code = quote!(#(#steps)*);
            let bindings = self.bind_symbols(&variable("tile"), &code);
            let doc = format!(
                " One tile: {LANES} samples pass through every operation of the loop over {} samples.",
                own.extent
            );
            self.functions.push(quote! {
                #[doc = #doc]
                #[inline(never)]
                fn #name(tile: &mut graven::Tile<'_>) { #bindings #code }
            });
            tiles.push(name);
        }
        let extent = self.size_data(&own.extent);
        let number = Literal::usize_unsuffixed;
        let (chunk, floats, ints) = (number(own.tiles_per_chunk), number(arena.floats), number(arena.ints));
        let reads = places.reads.iter().map(place_data);
        let int_reads = places.int_reads.iter().map(place_data);
        let writes = places.writes.iter().map(place_data);
        let int_writes = places.int_writes.iter().map(place_data);
        let (n_sums, n_int_sums) = (number(sums.floats), number(sums.ints));
        let (results, int_results) = (&sums.results, &sums.int_results);
        quote! {
            graven::LoopPlan {
                extent: #extent,
                tiles_per_chunk: #chunk,
                floats: #floats,
                ints: #ints,
                reads: &[#(#reads),*],
                int_reads: &[#(#int_reads),*],
                writes: &[#(#writes),*],
                int_writes: &[#(#int_writes),*],
                sums: #n_sums,
                int_sums: #n_int_sums,
                results: &[#(#results),*],
                int_results: &[#(#int_results),*],
                tile: &[#(#tiles),*],
            }
        }
    }

    fn buffers(&mut self, own: &Loop, arena: &Arena) -> Buffers {
        let mut buffers = Buffers { variables: Vec::new(), constants: Vec::new() };
        for (index, buffer) in own.buffers.iter().enumerate() {
            let node = self.graph().node(buffer.value);
            let (label, doc) = match buffer.scratch {
                Some(_) => (format!("{}_scratch", node.label), format!(" Scratch memory of `{}`.", node.label)),
                None => {
                    let suffix = if buffer.layout == Layout::Rows { "_rows" } else { "" };
                    let rest = node.ty.dims.get(1..).unwrap_or(&[]);
                    let shape = match buffer.layout {
                        Layout::Rows => list(&[&[Dim::known(LANES)], rest].concat()),
                        _ => list(&[rest, &[Dim::known(LANES)]].concat()),
                    };
                    (format!("{}{suffix}", node.label), format!(" `{}`, {shape}.", node.label))
                }
            };
            let name = self.names.give(&label);
            buffers.constants.push(self.range(&name, &doc, arena.offsets[index], buffer.len()));
            buffers.variables.push(variable(&name));
        }
        buffers
    }

    fn sums(&mut self, own: &Loop) -> Sums {
        let mut sums = Sums { constants: Vec::new(), floats: 0, ints: 0, results: Vec::new(), int_results: Vec::new() };
        for sum in &own.sums {
            let node = self.graph().node(sum.value).clone();
            let total = if node.ty.dtype == Dtype::F32 { &mut sums.floats } else { &mut sums.ints };
            let start = *total;
            *total += sum.len.next_multiple_of(LANES);
            let name = self.names.give(&format!("{}_sum", node.label));
            let name =
                self.range(&name, &format!(" The sum of `{}` over samples, {}.", node.label, node.ty), start, sum.len);
            let kept = sum.kept.map(|index| {
                let index = Literal::usize_unsuffixed(index);
                quote!(graven::SumTarget::Value(#index))
            });
            let gradient = sum.gradient.and_then(|target| match target {
                Target::Parameter(layer, weight) => {
                    let offset = Literal::usize_unsuffixed(self.context.layout.offset(layer, weight));
                    Some(quote!(graven::SumTarget::Gradient(#offset)))
                }
                Target::Input(_) => None,
            });
            for to in kept.into_iter().chain(gradient) {
                let result = quote!(graven::SumPlan { from: #name, to: #to });
                if node.ty.dtype == Dtype::F32 { &mut sums.results } else { &mut sums.int_results }.push(result);
            }
            sums.constants.push(name);
        }
        sums
    }

    fn step(&mut self, own: &Loop, buffers: &Buffers, sums: &Sums, places: &mut Places, step: &Step) -> TokenStream {
        let dtype = |index: usize| memory::dtype(&self.schedule.graph, own, index);
        match step {
            Step::Load { from, to } => {
                let (buffer, slot) = (&own.buffers[*to], &buffers.constants[*to]);
                let dtype = dtype(*to);
                let read = Literal::usize_unsuffixed(places.read(dtype, *from));
                let features = Literal::usize_unsuffixed(buffer.features);
                let function = variable(&format!("load_{}{}", int(dtype), layout_name(buffer.layout)));
                quote!(tile.#function(#read, #slot, #features);)
            }
            Step::Store { from, to } => {
                let (buffer, slot) = (&own.buffers[*from], &buffers.constants[*from]);
                let dtype = dtype(*from);
                let write = Literal::usize_unsuffixed(places.write(dtype, *to));
                let features = Literal::usize_unsuffixed(buffer.features);
                let function = variable(&format!("store_{}{}", int(dtype), layout_name(buffer.layout)));
                quote!(tile.#function(#slot, #write, #features);)
            }
            Step::Convert { from, to } => {
                let function = variable(match own.buffers[*to].layout {
                    Layout::Rows => "rows_from_samples",
                    _ => "samples_from_rows",
                });
                let (source, target) = (&buffers.variables[*from], &buffers.variables[*to]);
                let (source_range, target_range) = (&buffers.constants[*from], &buffers.constants[*to]);
                let features = Literal::usize_unsuffixed(own.buffers[*to].features);
                quote! {
                    let [#source, #target] = graven::disjoint(tile.floats, [#source_range, #target_range]);
                    kernels::cpu::layout::#function(&tile.cx, #features, #source, #target);
                }
            }
            Step::Run { value, layout, inputs, output, scratch } => {
                let batched: Vec<bool> = inputs.iter().map(|input| matches!(input, Source::Buffer(_))).collect();
                let sums_samples = matches!(output, Destination::Sum(_));
                let node = self.graph().node(*value).clone();
                let Kind::Op(op) = &node.kind else { unreachable!("only operations run") };
                let kernel = op.kernel(&call(self.graph(), *value, *layout, &batched, !sums_samples));
                // The buffers of the call, each once, by element type.
                let mut used: Vec<usize> = inputs
                    .iter()
                    .filter_map(|input| if let Source::Buffer(index) = input { Some(*index) } else { None })
                    .collect();
                if let Destination::Buffer(index) = output {
                    used.push(*index);
                }
                used.extend(*scratch);
                used.sort_unstable();
                used.dedup();
                let borrow = |wanted: Dtype, arena: &str| {
                    let of: Vec<usize> = used.iter().copied().filter(|index| dtype(*index) == wanted).collect();
                    let arena = variable(arena);
                    let (variables, ranges): (Vec<_>, Vec<_>) =
                        of.iter().map(|index| (&buffers.variables[*index], &buffers.constants[*index])).unzip();
                    (!of.is_empty())
                        .then(|| quote!(let [#(#variables),*] = graven::disjoint(tile.#arena, [#(#ranges),*]);))
                };
                let (floats, ints) = (borrow(Dtype::F32, "floats"), borrow(Dtype::I64, "ints"));
                let mut arguments = Vec::new();
                for (input, source) in node.inputs.iter().zip(inputs) {
                    arguments.push(match source {
                        Source::Buffer(index) => {
                            let name = &buffers.variables[*index];
                            quote!(#name)
                        }
                        Source::Full(Place::Parameter(parameter)) => {
                            let range = self.parameter(*parameter);
                            quote!(&tile.parameters[#range])
                        }
                        Source::Full(place) => {
                            let dtype = self.graph().node(*input).ty.dtype;
                            let index = Literal::usize_unsuffixed(places.read(dtype, *place));
                            if dtype == Dtype::F32 {
                                quote!(tile.reads[#index])
                            } else {
                                quote!(tile.int_reads[#index])
                            }
                        }
                    });
                }
                let output = match output {
                    Destination::Buffer(index) => {
                        let name = &buffers.variables[*index];
                        quote!(#name)
                    }
                    Destination::Sum(index) => {
                        let range = &sums.constants[*index];
                        if node.ty.dtype == Dtype::F32 {
                            quote!(&mut tile.sums[#range])
                        } else {
                            quote!(&mut tile.int_sums[#range])
                        }
                    }
                };
                let scratch = scratch.map(|index| {
                    let name = &buffers.variables[index];
                    quote!(#name)
                });
                let doc = self.describe(*value, &node.label);
                let call =
                    self.kernel_call(&kernel, &node.label, &quote!(&tile.cx), &arguments, &output, scratch.as_ref());
                quote!(#[doc = #doc] #floats #ints #call)
            }
        }
    }

    /// `conv1: conv2d, [N, 1, 28, 28] -> [N, 6, 24, 24], 86400 multiply-adds a sample`.
    fn describe(&self, value: Value, label: &str) -> String {
        let node = self.graph().node(value);
        let types: Vec<Type> = node.inputs.iter().map(|input| self.graph().node(*input).ty.clone()).collect();
        let (op, cost) = match &node.kind {
            Kind::Op(op) => (op.name(), op.cost(&types, &node.ty)),
            _ => ("copy".to_owned(), 0),
        };
        let inputs: Vec<String> = types.iter().map(ToString::to_string).collect();
        format!(" `{label}`: {op}, {} -> {}, {cost} multiply-adds a sample.", inputs.join(" and "), node.ty)
    }

    // Whole operations.

    fn whole(&mut self, stage: usize, values: &[Value]) -> Vec<Ident> {
        let mut functions = Vec::new();
        for values in values.chunks(STEPS_PER_FUNCTION) {
            let calls: Vec<TokenStream> = values.iter().map(|value| self.whole_call(*value)).collect();
            let code = quote!(#(#calls)*);
            let bindings = self.bind_symbols(&variable("whole"), &code);
            let name = variable(&self.names.give("whole_tensors"));
            let doc = format!(" Operations of stage {stage} on complete tensors.");
            self.functions.push(quote! {
                #[doc = #doc]
                #[inline(never)]
                fn #name(whole: &mut graven::Whole<'_>) { #bindings #code }
            });
            functions.push(name);
        }
        functions
    }

    fn kept(&self, value: Value) -> usize {
        let root = root(self.graph(), value);
        let own = |wanted: Value| self.schedule.values.iter().position(|(own, _)| *own == wanted);
        own(value)
            .or_else(|| own(root))
            .unwrap_or_else(|| unreachable!("%{} is kept: the verifier checked it", value.0))
    }

    fn whole_call(&mut self, value: Value) -> TokenStream {
        let node = self.graph().node(value).clone();
        let output_index =
            self.schedule.values.iter().position(|(own, _)| *own == value).unwrap_or_else(|| self.kept(value));
        let sources: Vec<Value> = match &node.kind {
            Kind::Op(op) if !op.is_view() => node.inputs.clone(),
            _ => vec![root(self.graph(), value)],
        };
        // Kept tensors that the call touches, each once, by element type; the output comes first.
        let mut kept: Vec<usize> = vec![output_index];
        let mut arguments = Vec::new();
        for source in &sources {
            let origin = root(self.graph(), *source);
            let origin_node = self.graph().node(origin).clone();
            arguments.push(match &origin_node.kind {
                Kind::Input(index) => {
                    let index = Literal::usize_unsuffixed(*index);
                    if origin_node.ty.dtype == Dtype::F32 {
                        quote!(whole.inputs[#index])
                    } else {
                        quote!(whole.int_inputs[#index])
                    }
                }
                Kind::Parameter { .. } => {
                    let range = self.parameter(origin);
                    quote!(&whole.parameters[#range])
                }
                _ => {
                    let index = self.kept(*source);
                    if !kept.contains(&index) {
                        kept.push(index);
                    }
                    let name = variable(&format!("value_{index}"));
                    quote!(#name)
                }
            });
        }
        let borrow = |wanted: Dtype, arena: &str| {
            let of: Vec<usize> =
                kept.iter().copied().filter(|index| self.schedule.values[*index].1.dtype == wanted).collect();
            let arena = variable(arena);
            let names = of.iter().map(|index| variable(&format!("value_{index}")));
            let slots = of.iter().map(|index| {
                let index = Literal::usize_unsuffixed(*index);
                quote!(whole.slots[#index].clone())
            });
            (!of.is_empty()).then(|| quote!(let [#(#names),*] = graven::disjoint(whole.#arena, [#(#slots),*]);))
        };
        let (floats, ints) = (borrow(Dtype::F32, "floats"), borrow(Dtype::I64, "ints"));
        let output = variable(&format!("value_{output_index}"));
        let call = match &node.kind {
            Kind::Op(op) if !op.is_view() => {
                let batched = vec![false; node.inputs.len()];
                let kernel = op.kernel(&call(self.graph(), value, Layout::Whole, &batched, false));
                let clear = kernel.accumulates.then(|| {
                    let zero = if node.ty.dtype == Dtype::F32 { quote!(0.0) } else { quote!(0) };
                    quote!(#output.fill(#zero);)
                });
                let call =
                    self.kernel_call(&kernel, &node.label, &quote!(&whole.cx), &arguments, &quote!(#output), None);
                quote!(#clear #call)
            }
            _ => {
                let source = &arguments[0];
                quote!(#output.copy_from_slice(#source);)
            }
        };
        let doc = self.describe(value, &node.label);
        quote!(#[doc = #doc] #floats #ints #call)
    }

    // The static.

    fn statics(&mut self, stages: &[TokenStream]) -> TokenStream {
        let name = &self.context.name;
        let graph = &self.schedule.graph;
        let symbols = &self.symbols;
        let inputs = graph.inputs.iter().map(|input| {
            let ty = &graph.node(input.value).ty;
            let (name, dtype, dims) = (&input.name, dtype_data(ty.dtype), self.sizes_data(&ty.dims));
            let classes = match input.classes {
                Some(classes) => {
                    let classes = Literal::usize_unsuffixed(classes);
                    quote!(Some(#classes))
                }
                None => quote!(None),
            };
            quote!(graven::InputPlan { name: #name, dtype: #dtype, dims: #dims, classes: #classes })
        });
        let inputs: Vec<TokenStream> = inputs.collect();
        let outputs = graph.outputs.iter().zip(&self.schedule.outputs).map(|(value, copied)| {
            let ty = &graph.node(*value).ty;
            let (dtype, dims) = (dtype_data(ty.dtype), self.sizes_data(&ty.dims));
            let copied = match copied {
                Some(index) => {
                    let index = Literal::usize_unsuffixed(*index);
                    quote!(Some(#index))
                }
                None => quote!(None),
            };
            quote!(graven::OutputPlan { dtype: #dtype, dims: #dims, copied_from: #copied })
        });
        let outputs: Vec<TokenStream> = outputs.collect();
        let values = self.schedule.values.iter().map(|(_, ty)| {
            let dtype = dtype_data(ty.dtype);
            let size = self.size_data(&ty.elements().unwrap_or(Dim::known(0)));
            quote!(graven::ValuePlan { dtype: #dtype, size: #size })
        });
        let values: Vec<TokenStream> = values.collect();
        let gradients = self.schedule.gradients.iter().filter_map(|(target, value)| match target {
            Target::Parameter(layer, weight) => {
                let (value, offset) = (
                    Literal::usize_unsuffixed(*value),
                    Literal::usize_unsuffixed(self.context.layout.offset(*layer, *weight)),
                );
                Some(quote!((#value, #offset)))
            }
            Target::Input(_) => None,
        });
        let gradients: Vec<TokenStream> = gradients.collect();
        let length = Literal::usize_unsuffixed(self.context.layout.length);
        // Parameters without a gradient here are moved by no optimizer, as in PyTorch.
        let has_gradient =
            |layer, weight| graph.gradients.iter().any(|(target, _)| *target == Target::Parameter(layer, weight));
        let trained = self.context.layout.ranges(has_gradient);
        let trained = trained.iter().map(|range| {
            let (start, end) = (Literal::usize_unsuffixed(range.start), Literal::usize_unsuffixed(range.end));
            quote!(#start..#end)
        });
        quote! {
            static PLAN: graven::Plan = graven::Plan {
                function: #name,
                symbols: &[#(#symbols),*],
                inputs: &[#(#inputs),*],
                outputs: &[#(#outputs),*],
                values: &[#(#values),*],
                stages: &[#(#stages),*],
                gradients: &[#(#gradients),*],
                parameters: #length,
                trained: &[#(#trained),*],
            };
        }
    }
}

/// The accumulators of a loop.
struct Sums {
    constants: Vec<Ident>,
    floats: usize,
    ints: usize,
    results: Vec<TokenStream>,
    int_results: Vec<TokenStream>,
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

/// How many operands the closure of a pointwise kernel takes: the first number of `Map<2, 3>`.
fn spec_operands(kernel: &Kernel) -> usize {
    let numbers = kernel.spec.0.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
    numbers.filter_map(|word| word.parse().ok()).next().unwrap_or(0)
}

/// The value whose memory a view shows.
fn root(graph: &Graph, value: Value) -> Value {
    match &graph.node(value).kind {
        Kind::Op(op) if op.is_view() => root(graph, graph.node(value).inputs[0]),
        _ => value,
    }
}

fn place_data(place: &Place) -> TokenStream {
    let (variant, index) = match place {
        Place::Input(index) => ("Input", index),
        Place::Value(index) => ("Value", index),
        Place::Output(index) => ("Output", index),
        Place::Parameter(_) => unreachable!("parameters are read by their range"),
    };
    let (variant, index) = (variable(variant), Literal::usize_unsuffixed(*index));
    quote!(graven::Place::#variant(#index))
}

fn dtype_data(dtype: Dtype) -> TokenStream {
    match dtype {
        Dtype::F32 => quote!(graven::Dtype::F32),
        Dtype::I64 => quote!(graven::Dtype::I64),
    }
}

fn int(dtype: Dtype) -> &'static str {
    if dtype == Dtype::F32 { "" } else { "int_" }
}

fn layout_name(layout: Layout) -> &'static str {
    if layout == Layout::Rows { "rows" } else { "samples" }
}

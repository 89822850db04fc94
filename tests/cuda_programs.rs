//! The kernels that the compiler writes for CUDA, without a GPU: run on the CPU against the naive version of the same graph
//! in f64, with the threads of a block in several orders and all memory poisoned; and compiled by the real NVRTC.
//!
//! The cases are those of the CPU's kernels (`ops/cases.rs`) and whole training steps of networks (`stages/`, `cuda/networks.rs`).

#[path = "ops/cases.rs"]
#[expect(dead_code, reason = "the text of the cases is compiled here, not what the macro makes of it")]
mod cases;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaSlice, CudaStream, DevicePtr as _, LaunchConfig, PushKernelArg as _};
use cudarc::nvrtc::{Ptx, result as nvrtc, sys as nvrtc_sys};
use graven_compiler::cuda::{Argument, Program, Store, THREADS, program};
use graven_compiler::graph::{Graph, Kind, Target};
use graven_compiler::{Inspected, inspect, interpret};
use graven_kernels::cuda::{PRELUDE, WIDE_INDEX};
use graven_kernels::dim::{Dim, Dtype, Type};
use graven_kernels::op::Array;
use graven_kernels::rng::uniform;
use graven_tests::cuda::{compile_real, emulated_in_all_orders, real_nvrtc};
use quote::ToTokens as _;

/// What stands for the symbols.
const SYMBOLS: [(&str, usize); 2] = [("N", 7), ("M", 5)];

/// The seed of the step.
const SEED: u64 = 11;

fn symbols() -> HashMap<String, usize> {
    SYMBOLS.into_iter().map(|(name, size)| (name.to_owned(), size)).collect()
}

fn size(dim: &Dim) -> usize {
    dim.factor() * dim.symbols().iter().map(|symbol| symbols()[symbol]).product::<usize>()
}

/// Numbers in 0.2..1.4, some of them negative unless `positive`; integers are labels in 0..3.
fn draw(ty: &Type, stream: u64, scale: f64, positive: bool) -> Array {
    let dims: Vec<usize> = ty.dims.iter().map(size).collect();
    let mut index = 0;
    Array::from_fn(&dims, |_| {
        index += 1;
        let [number, sign] = [0, 1].map(|kind| f64::from(uniform(5, 2 * stream + kind, index)));
        let number = match ty.dtype {
            Dtype::I64 => return (number * 3.0).floor(),
            Dtype::F32 if positive || sign < 0.5 => 0.2 + 1.2 * number,
            Dtype::F32 => -0.2 - 1.2 * number,
        };
        f64::from((scale * number) as f32)
    })
}

/// A graph with what it is given.
struct Case {
    name: String,
    graph: Graph,
    inputs: Vec<Array>,
    parameters: HashMap<String, Array>,
}

impl Case {
    fn new(name: String, graph: Graph, positive: bool) -> Case {
        let input = |(stream, input): (usize, &graven_compiler::graph::GraphInput)| {
            draw(&graph.node(input.value).ty, stream as u64, 1.0, positive)
        };
        let inputs = graph.inputs.iter().enumerate().map(input).collect();
        let parameters = graph.nodes.iter().enumerate().filter(|(_, node)| matches!(node.kind, Kind::Parameter { .. }));
        // Small enough that activations neither die nor blow up.
        let parameter = |(stream, node): (usize, &graven_compiler::graph::Node)| {
            let fan_in: usize = node.ty.dims.iter().skip(1).map(size).product();
            (node.label.to_string(), draw(&node.ty, 100 + stream as u64, 1.0 / (fan_in as f64).sqrt(), false))
        };
        let parameters = parameters.map(parameter).collect();
        Case { name, graph, inputs, parameters }
    }

    /// All results in f64: those of the function, then the gradients.
    fn expected(&self) -> Vec<Array> {
        interpret(&self.graph, &self.inputs, &self.parameters, &symbols(), SEED)
    }
}

/// Every case of the operations, differentiated, and every function of the networks.
fn all_cases() -> Vec<Case> {
    let mut all = Vec::new();
    let operations = inspect(Default::default(), cases::SOURCE.parse().unwrap()).unwrap();
    for (name, positive, _) in cases::CASES {
        let case = operations.iter().find(|case| case.name == *name).unwrap();
        all.push(Case::new((*name).to_owned(), case.training.clone().unwrap(), *positive));
    }
    let networks = ["stages/tutorial.rs", "stages/normalised.rs", "stages/functions.rs", "cuda/networks.rs"];
    for file in networks {
        for (network, function) in functions(file) {
            let name = format!("{network}::{}", function.name);
            all.extend(function.training.map(|graph| Case::new(format!("{name}_grad"), graph, false)));
            all.push(Case::new(name, function.evaluation, false));
        }
    }
    all
}

/// The functions of the networks in a file, with the name of the network.
fn functions(file: &str) -> Vec<(String, Inspected)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let parsed: syn::File = syn::parse_str(&text).unwrap();
    let structures: Vec<&syn::ItemStruct> = parsed
        .items
        .iter()
        .filter_map(|item| if let syn::Item::Struct(item) = item { Some(item) } else { None })
        .collect();
    let mut functions = Vec::new();
    for item in &parsed.items {
        let syn::Item::Macro(block) = item else { continue };
        let text = block.mac.tokens.to_string();
        let structure = structures.iter().find(|item| text.contains(&format!("impl {} ", item.ident)));
        let name = structure.map_or_else(|| file.to_owned(), |item| item.ident.to_string());
        let structure = structure.map(|item| item.to_token_stream()).unwrap_or_default();
        let inspected =
            inspect(structure, block.mac.tokens.clone()).unwrap_or_else(|error| panic!("{file}: {error:?}"));
        functions.extend(inspected.into_iter().map(|function| (name.clone(), function)));
    }
    functions
}

/// All kernels of a program in one text, with positions of 64 bits or 32.
fn text(program: &Program, wide: bool) -> String {
    let mut modules = Vec::new();
    let mut text = if wide { WIDE_INDEX } else { "" }.to_owned() + PRELUDE;
    for module in program.launches.iter().flat_map(|launch| &launch.modules) {
        if !modules.contains(module) {
            modules.push(module);
            text += graven_kernels::cuda::MODULES.iter().find(|(name, _)| name == module).unwrap().1;
        }
    }
    program.launches.iter().for_each(|launch| text += &launch.text);
    text
}

fn compile(text: &str) -> Vec<u8> {
    let text = std::ffi::CString::new(text).unwrap();
    let handle = nvrtc::create_program(&text, Some(c"kernels.cu")).unwrap();
    // SAFETY: the handle is one that NVRTC gave, and is destroyed last; the CUBIN gets as many bytes as it asks for.
    unsafe {
        if nvrtc::compile_program(handle, &["--std=c++20", "--gpu-architecture=sm_90a"]).is_err() {
            let log = nvrtc::get_program_log(handle).unwrap();
            panic!("{}", std::ffi::CStr::from_ptr(log.as_ptr()).to_string_lossy());
        }
        let mut size = 0;
        assert_eq!(nvrtc_sys::nvrtcGetCUBINSize(handle, &mut size), nvrtc_sys::nvrtcResult::NVRTC_SUCCESS);
        let mut cubin = vec![0u8; size];
        nvrtc_sys::nvrtcGetCUBIN(handle, cubin.as_mut_ptr().cast());
        nvrtc::destroy_program(handle).unwrap();
        cubin
    }
}

/// A tensor in the memory of the device.
enum Buffer {
    F32(CudaSlice<f32>),
    I64(CudaSlice<i64>),
}

impl Buffer {
    /// Memory that holds whatever it held.
    fn new(stream: &Arc<CudaStream>, dtype: Dtype, elements: usize) -> Buffer {
        // SAFETY: any bytes are numbers. That a kernel reads what nobody wrote is what the test would like to see.
        unsafe {
            match dtype {
                Dtype::F32 => Buffer::F32(stream.alloc(elements.max(1)).unwrap()),
                Dtype::I64 => Buffer::I64(stream.alloc(elements.max(1)).unwrap()),
            }
        }
    }

    fn of(stream: &Arc<CudaStream>, dtype: Dtype, array: &Array) -> Buffer {
        match dtype {
            Dtype::F32 => {
                Buffer::F32(stream.clone_htod(&array.data.iter().map(|x| *x as f32).collect::<Vec<_>>()).unwrap())
            }
            Dtype::I64 => {
                Buffer::I64(stream.clone_htod(&array.data.iter().map(|x| *x as i64).collect::<Vec<_>>()).unwrap())
            }
        }
    }

    /// The address of an element.
    fn address(&self, stream: &Arc<CudaStream>, element: usize) -> u64 {
        match self {
            Buffer::F32(slice) => slice.device_ptr(stream).0 + 4 * element as u64,
            Buffer::I64(slice) => slice.device_ptr(stream).0 + 8 * element as u64,
        }
    }

    fn read(&self, stream: &Arc<CudaStream>, elements: usize) -> Vec<f64> {
        let mut numbers: Vec<f64> = match self {
            Buffer::F32(slice) => stream.clone_dtoh(slice).unwrap().into_iter().map(f64::from).collect(),
            Buffer::I64(slice) => stream.clone_dtoh(slice).unwrap().into_iter().map(|x| x as f64).collect(),
        };
        numbers.truncate(elements);
        numbers
    }
}

/// Runs a case on the device: the results of the function, then the gradients of parameters.
fn run(case: &Case, wide: bool, context: &Arc<CudaContext>, stream: &Arc<CudaStream>) -> Vec<Vec<f64>> {
    let graph = &case.graph;
    let program = program(graph);
    let module = context.load_module(Ptx::from_binary(compile(&text(&program, wide)))).unwrap();
    let inputs: Vec<Buffer> = graph
        .inputs
        .iter()
        .zip(&case.inputs)
        .map(|(input, array)| Buffer::of(stream, graph.node(input.value).ty.dtype, array))
        .collect();
    let parameters: HashMap<(usize, usize), Buffer> = graph
        .nodes
        .iter()
        .filter_map(|node| match node.kind {
            Kind::Parameter { layer, weight } => {
                Some(((layer, weight), Buffer::of(stream, Dtype::F32, &case.parameters[&*node.label])))
            }
            _ => None,
        })
        .collect();
    let elements = |ty: &Type| ty.dims.iter().map(size).product::<usize>();
    let outputs: Vec<Buffer> = graph
        .outputs
        .iter()
        .map(|value| Buffer::new(stream, graph.node(*value).ty.dtype, elements(&graph.node(*value).ty)))
        .collect();
    let gradients: HashMap<(usize, usize), Buffer> = graph
        .gradients
        .iter()
        .filter_map(|(target, value)| match target {
            Target::Parameter(layer, weight) => {
                Some(((*layer, *weight), Buffer::new(stream, Dtype::F32, elements(&graph.node(*value).ty))))
            }
            Target::Input(_) => None,
        })
        .collect();
    let groups: Vec<(Buffer, usize)> = program
        .groups
        .iter()
        .map(|(dtype, total)| {
            let symbols: usize = total.symbols().iter().map(|symbol| symbols()[symbol]).product();
            (Buffer::new(stream, *dtype, size(total)), symbols)
        })
        .collect();
    let seed = stream.clone_htod(&[SEED]).unwrap();
    for launch in &program.launches {
        let function = module.load_function(&launch.name).unwrap();
        let arguments: Vec<u64> = launch
            .arguments
            .iter()
            .map(|argument| match *argument {
                Argument::Input(input) => inputs[input].address(stream, 0),
                Argument::Parameter(layer, weight) => parameters[&(layer, weight)].address(stream, 0),
                Argument::Stored(Store::Value(value)) => {
                    let slot = program.values[value];
                    let (group, symbols) = &groups[slot.group];
                    group.address(stream, slot.offset * symbols)
                }
                Argument::Stored(Store::Output(output)) => outputs[output].address(stream, 0),
                Argument::Stored(Store::Gradient(layer, weight)) => gradients[&(layer, weight)].address(stream, 0),
                Argument::Stored(Store::Shared) => unreachable!("shared memory is no argument"),
                Argument::Seed => seed.device_ptr(stream).0,
                Argument::Symbol(symbol) => symbols()[&graph.symbols()[symbol]] as u64,
            })
            .collect();
        let mut builder = stream.launch_builder(&function);
        arguments.iter().for_each(|argument| _ = builder.arg(argument));
        let blocks = size(&launch.work).div_ceil(launch.per_block).max(1) as u32;
        let grid = LaunchConfig {
            grid_dim: (blocks, launch.chunks as u32, 1),
            block_dim: (THREADS as u32, 1, 1),
            shared_mem_bytes: 0,
        };
        // SAFETY: the arguments are those that the program lists for this kernel.
        unsafe { builder.launch(grid) }.unwrap_or_else(|error| panic!("{}: {}: {error}", case.name, launch.name));
    }
    let outputs = outputs.iter().zip(&graph.outputs).map(|(buffer, value)| (buffer, elements(&graph.node(*value).ty)));
    let gradients = graph.gradients.iter().filter_map(|(target, value)| match target {
        Target::Parameter(layer, weight) => Some((&gradients[&(*layer, *weight)], elements(&graph.node(*value).ty))),
        Target::Input(_) => None,
    });
    outputs.chain(gradients).map(|(buffer, elements)| buffer.read(stream, elements)).collect()
}

/// The norm of the difference over the norm.
fn distance(given: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(given.len(), expected.len());
    let difference: f64 = given.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum();
    let norm: f64 = expected.iter().map(|b| b * b).sum();
    if norm == 0.0 { difference.sqrt() } else { (difference / norm).sqrt() }
}

#[test]
fn kernels_agree_with_the_reference() {
    emulated_in_all_orders(|| {
        let context = CudaContext::new(0).unwrap();
        let stream = context.new_stream().unwrap();
        let mut wrong = String::new();
        for (number, case) in all_cases().iter().enumerate() {
            let expected = case.expected();
            // Positions of 64 bits too, for some.
            for wide in [false, true].into_iter().take(if number % 8 == 0 { 2 } else { 1 }) {
                for (position, (given, expected)) in
                    run(case, wide, &context, &stream).iter().zip(&expected).enumerate()
                {
                    let distance = distance(given, &expected.data);
                    // A few dozen roundings of f32 (6e-8 each); numbers whose terms cancel are measured against one.
                    let close = given.iter().zip(&expected.data).all(|(a, b)| (a - b).abs() < 1e-6);
                    if !(distance < 1e-5 || close) {
                        let _ = writeln!(wrong, "{} ({wide}): result {position} is {distance:e} away", case.name);
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    });
}

/// Whether 32 bits can count is decided by what the program says it counts.
#[test]
fn nothing_is_larger_than_the_extents() {
    for case in all_cases() {
        let Program { launches, extents, .. } = program(&case.graph);
        let largest = extents.iter().map(size).max().unwrap();
        for launch in &launches {
            assert!(
                size(&launch.work) <= largest || launch.work.as_known().is_some(),
                "{}: {}",
                case.name,
                launch.name
            );
        }
        let tensors = case.graph.nodes.iter().map(|node| node.ty.dims.iter().map(size).product());
        assert!(tensors.max().unwrap_or(0) <= largest, "{}", case.name);
    }
}

#[test]
fn kernels_compile_for_every_architecture() {
    let Some(nvrtc) = real_nvrtc() else { return };
    for case in all_cases() {
        let program = program(&case.graph);
        let tutorial = case.name.starts_with("Network::");
        for launch in &program.launches {
            let (name, source) = (&launch.name, launch.source());
            // The network of the tutorial with positions of 64 bits too.
            let wide = tutorial.then(|| WIDE_INDEX.to_owned() + &source);
            for (source, architecture) in
                [Some(source), wide].iter().flatten().flat_map(|source| [(source, "sm_80"), (source, "sm_90a")])
            {
                let report = compile_real(nvrtc, source, name, architecture);
                let report = report.unwrap_or_else(|log| panic!("{}: {name} for {architecture}: {log}", case.name));
                if tutorial {
                    assert_eq!((report.spills, report.stack), (0, 0), "{}: {name} for {architecture}", case.name);
                }
            }
        }
    }
}

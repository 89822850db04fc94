//! Every function that users can call, in one list of cases: the emitted code against the naive version of the same graph
//! in f64, and every gradient of the naive version against finite differences.
//!
//! A case weights its output element by element with its last argument, so that the gradient with respect to that argument
//! is the output itself, and each element of the output has a gradient of its own.

#[path = "ops/cases.rs"]
mod cases;
mod layers {
    use graven::prelude::*;
    include!("ops/layers.rs");
}

use std::collections::HashMap;
use std::process::Command;

use graven::prelude::*;
use graven_compiler::graph::{Kind, Target};
use graven_compiler::{Inspected, inspect, interpret};
use graven_kernels::FEW;
use graven_kernels::cpu::Isa;
use graven_kernels::dim::{Dim, Dtype as ElementType};
use graven_kernels::op::Array;
use graven_kernels::rng::uniform;
use proc_macro2::TokenStream;
use quote::ToTokens as _;

/// What stands for the symbols of the cases.
type Symbols = HashMap<String, usize>;

fn symbols(n: usize, m: usize) -> Symbols {
    [("N", n), ("M", m)].map(|(name, size)| (name.to_owned(), size)).into()
}

/// N is no multiple of a tile and needs two of them.
fn tiles() -> Symbols {
    symbols(21, 5)
}

fn size(dim: &Dim, symbols: &Symbols) -> usize {
    dim.factor() * dim.symbols().iter().map(|symbol| symbols[symbol]).product::<usize>()
}

/// Numbers in 0.2..1.4, of either sign unless `positive`: away from zero, where relu and abs have their kinks. Integers are
/// labels in 0..3.
fn draw(case: &Inspected, positive: bool, symbols: &Symbols) -> Vec<Array> {
    let graph = &case.evaluation;
    let inputs = graph.inputs.iter().enumerate().map(|(stream, input)| {
        let ty = &graph.node(input.value).ty;
        let dims: Vec<usize> = ty.dims.iter().map(|dim| size(dim, symbols)).collect();
        let mut index = 0;
        let integers = ty.dtype == ElementType::I64;
        Array::from_fn(&dims, |_| {
            index += 1;
            let [number, sign] =
                [0, 1].map(|kind| f64::from(uniform(case.name.len() as u64, 2 * stream as u64 + kind, index)));
            let number = match (integers, positive || sign < 0.5) {
                (true, _) => (number * 3.0).floor(),
                (false, true) => 0.2 + 1.2 * number,
                (false, false) => -0.2 - 1.2 * number,
            };
            // What f32 cannot hold would count as an error of the kernels.
            f64::from(number as f32)
        })
    });
    inputs.collect()
}

fn tensors(inputs: &[Array]) -> Vec<Tensor> {
    inputs
        .iter()
        .map(|input| Tensor::new(input.data.iter().map(|x| *x as f32).collect::<Vec<_>>(), &input.dims[..]).unwrap())
        .collect()
}

/// The norm of the difference over the norm.
fn distance(given: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(given.len(), expected.len());
    let difference: f64 = given.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
    let norm: f64 = expected.iter().map(|b| b * b).sum();
    if norm == 0.0 { difference.sqrt() } else { (difference / norm).sqrt() }
}

/// The results of `run`, those expected, and what the first of them is measured against: it is a sum whose terms cancel, so
/// that is the sum of their absolute values.
fn results(
    case: &Inspected,
    positive: bool,
    symbols: &Symbols,
    run: impl Fn(&[Tensor]) -> graven::Result<Vec<Tensor>>,
) -> (Vec<Tensor>, Vec<Array>, f64) {
    let inputs = draw(case, positive, symbols);
    let training = case.training.as_ref().unwrap_or_else(|| panic!("{} can be differentiated", case.name));
    let expected = interpret(training, &inputs, &HashMap::new(), symbols, 0);
    let given = run(&tensors(&inputs)).unwrap_or_else(|error| panic!("{}: {error}", case.name));
    let terms = |(g, x): (&f64, &f64)| (g * x).abs();
    let gradient = expected.last().map_or(&[][..], |gradient| &gradient.data);
    let sum = gradient.iter().zip(&inputs[inputs.len() - 1].data).map(terms).sum::<f64>();
    let scale = expected[0].data[0].abs() + sum;
    (given, expected, scale)
}

fn check_value(case: &Inspected, given: &Tensor, expected: &Array, scale: f64) {
    let value = expected.data[0];
    let difference = (f64::from(given.item().unwrap()) - value).abs();
    assert!(difference <= 3e-6 * scale, "{}: {given} instead of {value}", case.name);
}

fn check_against_reference(case: &Inspected, positive: bool, run: &cases::Run) {
    let (given, expected, scale) = results(case, positive, &tiles(), run.grad);
    assert_eq!(given.len(), expected.len(), "{}", case.name);
    check_value(case, &given[0], &expected[0], scale);
    for (position, (given, expected)) in given.iter().zip(&expected).enumerate().skip(1) {
        let distance = distance(given.as_slice(), &expected.data);
        // A few dozen roundings of f32 (6e-8 each) in the longest chains.
        assert!(distance < 3e-6, "{}: result {position} is {distance:e} away from the reference", case.name);
    }
    // In evaluation, a few samples have a way of their own.
    for symbols in [tiles(), symbols(FEW, 1), symbols(1, FEW + 1)] {
        let (given, expected, scale) = results(case, positive, &symbols, run.value);
        check_value(case, &given[0], &expected[0], scale);
    }
}

fn check_against_differences(case: &Inspected, positive: bool) {
    let (symbols, inputs) = (tiles(), draw(case, positive, &tiles()));
    let training = case.training.as_ref().unwrap_or_else(|| panic!("{} can be differentiated", case.name));
    let results = interpret(training, &inputs, &HashMap::new(), &symbols, 0);
    let n_outputs = case.evaluation.outputs.len();
    let value = |inputs: &[Array]| interpret(&case.evaluation, inputs, &HashMap::new(), &symbols, 0)[0].data[0];
    let floats: Vec<usize> = (0..inputs.len())
        .filter(|index| case.evaluation.node(case.evaluation.inputs[*index].value).ty.dtype == ElementType::F32)
        .collect();
    for (gradient, input) in results[n_outputs..].iter().zip(floats) {
        for probe in 0..3 {
            let direction: Vec<f64> = (0..inputs[input].data.len())
                .map(|i| f64::from(uniform(99 + probe, input as u64, i as u64)) - 0.5)
                .collect();
            let moved = |by: f64| {
                let mut inputs = inputs.clone();
                inputs[input].data.iter_mut().zip(&direction).for_each(|(x, d)| *x += by * d);
                value(&inputs)
            };
            let step = 1e-5;
            let numeric = (moved(step) - moved(-step)) / (2.0 * step);
            let analytic: f64 = gradient.data.iter().zip(&direction).map(|(g, d)| g * d).sum();
            let scale = gradient.data.iter().map(|g| g.abs()).fold(1.0, f64::max);
            assert!(
                (analytic - numeric).abs() < 1e-6 * scale * (1.0 + numeric.abs()),
                "{}, input {input}: {analytic} {numeric}",
                case.name
            );
        }
    }
}

#[test]
fn emitted_code_agrees_with_the_reference() {
    let inspected = inspect(Default::default(), cases::SOURCE.parse().unwrap()).unwrap();
    for (name, positive, run) in cases::CASES {
        let case = inspected.iter().find(|case| case.name == *name).unwrap_or_else(|| panic!("{name} is a case"));
        check_against_reference(case, *positive, run);
    }
}

/// The same on each other instruction set.
#[test]
fn every_instruction_set_agrees_with_the_reference() {
    for isa in Isa::available().filter(|isa| *isa != Isa::detect()) {
        let tests = ["emitted_code_agrees_with_the_reference", "layers_agree_with_the_reference"];
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output = command.arg("--exact").args(tests).env("GRAVEN_ISA", isa.name()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("2 passed"), "with {}:\n{text}", isa.name());
    }
}

/// A struct and its block, read from the file that is compiled as well.
fn description() -> (TokenStream, TokenStream) {
    let file: syn::File = syn::parse_str(include_str!("ops/layers.rs")).unwrap();
    let (mut structure, mut block) = (TokenStream::new(), TokenStream::new());
    for item in file.items {
        match item {
            syn::Item::Struct(item) => structure = item.to_token_stream(),
            syn::Item::Macro(item) => block = item.mac.tokens,
            _ => {}
        }
    }
    (structure, block)
}

/// Convolutions, pooling and linear layers of odd sizes, element by element: a single sample, the most that go one by one, the
/// fewest that make a tile, and more than one tile.
#[test]
fn layers_agree_with_the_reference() {
    let (structure, block) = description();
    let inspected = inspect(structure, block).unwrap();
    let network = layers::Layers::init(Seed(1), &Device::cpu()).unwrap();
    let parameters: HashMap<String, Array> = network
        .named_parameters()
        .into_iter()
        .map(|(name, parameter)| {
            let data = parameter.to_vec().unwrap().into_iter().map(f64::from).collect();
            (name.to_owned(), Array { dims: parameter.shape().to_vec(), data })
        })
        .collect();
    type Method = fn(&layers::Layers, &Tensor) -> graven::Result<Tensor>;
    let methods: [(&str, Method); 6] = [
        ("strided", |network, x| network.strided(x)),
        ("padded", |network, x| network.padded(x)),
        ("grouped", |network, x| network.grouped(x)),
        ("alone", |network, x| network.alone(x)),
        ("pooled", |network, x| network.pooled(x)),
        ("vectors", |network, x| network.vectors(x)),
    ];
    assert_eq!(inspected.len(), methods.len());
    for (name, method) in methods {
        let case = inspected.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("{name} is a method"));
        for n in [1, FEW, FEW + 1, 21] {
            let symbols = symbols(n, 1);
            let inputs = draw(case, false, &symbols);
            let expected = interpret(&case.evaluation, &inputs, &parameters, &symbols, 0).remove(0);
            let given = method(&network, &tensors(&inputs)[0]).unwrap();
            assert_eq!(given.shape()[..], expected.dims);
            let distance = distance(given.as_slice(), &expected.data);
            assert!(distance < 2e-6, "{name}, {n} samples: {distance:e} away from the reference");
        }
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    let inspected = inspect(Default::default(), cases::SOURCE.parse().unwrap()).unwrap();
    for (name, positive, _) in cases::CASES {
        let case = inspected.iter().find(|case| case.name == *name).unwrap_or_else(|| panic!("{name} is a case"));
        check_against_differences(case, *positive);
    }
}

/// Layers with every argument, and a layer that is used twice.
const LAYERS: (&str, &str) = (
    "struct Network {
        #[layer(2, 4, kernel_size = (3, 2), stride = (2, 1), padding = (1, 2), groups = 2)]
        strided: Conv2d,
        #[layer(out_channels = 3, kernel_size = 2, dilation = (1, 2), bias = false)]
        dilated: Conv2d,
        #[layer(out_features = 12)]
        first: Linear,
        #[layer(12, 12)]
        shared: Linear,
        #[layer(12, 3, bias = false)]
        head: Linear,
        dropped: Dropout,
    }",
    "impl Network {
        fn loss(&self, images: Tensor<[N, 2, 5, 3]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
            let t = tanh(self.dilated(sigmoid(self.strided(images))));
            let t = self.shared(self.first(t.flatten(1)));
            let t = self.dropped(self.shared(silu(t)));
            cross_entropy(self.head(t), labels)
        }
    }",
);

#[test]
fn gradients_of_layers_agree_with_finite_differences() {
    let inspected = inspect(LAYERS.0.parse().unwrap(), LAYERS.1.parse().unwrap()).unwrap();
    let case = &inspected[0];
    let graph = case.training.as_ref().unwrap();
    let (symbols, inputs) = (tiles(), draw(case, false, &tiles()));
    let mut parameters: HashMap<String, Array> = HashMap::new();
    for (position, node) in
        graph.nodes.iter().enumerate().filter(|(_, node)| matches!(node.kind, Kind::Parameter { .. }))
    {
        let dims: Vec<usize> = node.ty.dims.iter().map(|dim| size(dim, &symbols)).collect();
        let mut index = 0;
        let array = Array::from_fn(&dims, |_| {
            index += 1;
            f64::from(uniform(5, position as u64, index)) - 0.5
        });
        parameters.insert(node.label.to_string(), array);
    }
    assert_eq!(parameters.len(), 8);
    let seed = 3;
    let results = interpret(graph, &inputs, &parameters, &symbols, seed);
    for ((target, _), gradient) in graph.gradients.iter().zip(&results[1..]) {
        let own = graph.nodes.iter().find(|node| matches!((&node.kind, target), (Kind::Parameter { layer, weight }, Target::Parameter(l, w)) if layer == l && weight == w));
        let name = &own.unwrap().label;
        let direction: Vec<f64> = (0..gradient.data.len()).map(|i| f64::from(uniform(9, 1, i as u64)) - 0.5).collect();
        let moved = |by: f64| {
            let mut parameters = parameters.clone();
            parameters.get_mut(&**name).unwrap().data.iter_mut().zip(&direction).for_each(|(x, d)| *x += by * d);
            interpret(graph, &inputs, &parameters, &symbols, seed)[0].data[0]
        };
        let numeric = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        let analytic: f64 = gradient.data.iter().zip(&direction).map(|(g, d)| g * d).sum();
        assert!(
            analytic != 0.0 && (analytic - numeric).abs() < 1e-7 * (1.0 + numeric.abs()),
            "{name}: {analytic} {numeric}"
        );
    }
    assert_eq!(graph.gradients.len(), 8);
}

#[test]
fn every_function_has_a_case() {
    for function in graven_kernels::functions::FUNCTIONS {
        let called = [format!("{} (", function.name), format!("{}(", function.name)]
            .iter()
            .any(|call| cases::SOURCE.contains(call));
        // Operators stand for the four arithmetic functions, and integers have no gradient: they are tested below.
        let elsewhere = ["add", "sub", "mul", "div", "neg", "argmax", "correct"].contains(&function.name);
        assert!(called || elsewhere, "no case calls `{}`", function.name);
    }
}

network! {
    fn most_likely(logits: Tensor<[N, 3]>, labels: Tensor<[N], i64>) -> (Tensor<[N], i64>, Tensor<[], i64>) {
        (argmax(logits, dim = 1), correct(logits, labels))
    }
    fn brightest(images: Tensor<[N, 4, 3]>) -> Tensor<[N, 3], i64> {
        argmax(images, dim = 1)
    }
    fn winner(x: Tensor<[6]>) -> Tensor<[], i64> {
        argmax(x, dim = 0)
    }
}

#[test]
fn positions_and_counts_are_exact() {
    let logits = Tensor::new(vec![0.1, 0.9, 0.3, 2.0, -1.0, 2.0, -3.0, -2.0, -1.0], [3, 3]).unwrap();
    let labels = Tensor::new(vec![1_i64, 0, 1], [3]).unwrap();
    let (positions, right) = most_likely(&logits, &labels).unwrap();
    // Of equal elements the first wins, as in PyTorch.
    assert_eq!(positions.as_slice(), [1, 0, 2]);
    assert_eq!(right.item().unwrap(), 2);

    let images =
        Tensor::from_fn([37, 4, 3], |index| ((index / 12 * 7 + index / 3 % 4 * 5 + index % 3 * 3) % 11) as f32)
            .unwrap();
    let positions = brightest(&images).unwrap();
    for n in 0..37 {
        for w in 0..3 {
            let at = |c: usize| (n * 7 + c * 5 + w * 3) % 11;
            let best = (0..4).rev().max_by_key(|c| at(*c)).unwrap();
            assert_eq!(positions.get(&[n, w]), Some(best as i64));
        }
    }
    let x = Tensor::new(vec![1.0, 5.0, -2.0, 5.0, 0.0, 4.9], [6]).unwrap();
    assert_eq!(winner(&x).unwrap().item().unwrap(), 1);
}

//! A formula that keeps the order of numbers runs behind the pooling that reads it; others stay, and results and gradients are
//! those of the order that was written.

use std::collections::HashMap;

use graven_compiler::graph::{Graph, Kind};
use graven_compiler::{inspect, interpret, schedule};
use graven_kernels::op::Array;
use proc_macro2::TokenStream;

const N: usize = 2;

/// (evaluation, in training) of a function of `x` [N, 3, 4, 4], `bias` [3, 1, 1], `row` [4] and `like` [N, 3, 4, 4].
fn graphs(body: &str) -> [Graph; 2] {
    let block = format!(
        "fn f(x: Tensor<[N, 3, 4, 4]>, bias: Tensor<[3, 1, 1]>, row: Tensor<[4]>, like: Tensor<[N, 3, 4, 4]>) -> Tensor<[]> {{
            let used = sum(bias) + sum(row) + sum(like);
            let own = {body};
            own + used
        }}
        fn energy(t: Tensor<[N, C, H, W]>) -> Tensor<[]> {{ sum(t * t) }}"
    );
    let block: TokenStream = block.parse().unwrap();
    let function = inspect(TokenStream::new(), block).unwrap_or_else(|messages| panic!("{messages:?}")).remove(0);
    [function.evaluation, function.training.unwrap()]
}

/// The shapes that the pointwise operations of a graph give, once it is simplified; numbers and sums aside.
fn pointwise_shapes(graph: &Graph) -> Vec<String> {
    let graph = schedule::simplify(graph);
    let formulas = graph.nodes.iter().filter(|node| matches!(&node.kind, Kind::Op(op) if op.formula().is_some()));
    formulas.map(|node| node.ty.to_string()).filter(|shape| shape.starts_with("[N, 3,")).collect()
}

#[test]
fn what_rises_moves_behind_the_pooling() {
    for body in [
        "sum(max_pool2d(relu(x), 2))",
        "sum(max_pool2d(x + bias, 2))",
        "sum(max_pool2d(tanh(sigmoid(x + bias) + 0.5), 2))",
        "sum(max_pool2d(max_pool2d(relu(x), 2), 2))",
        "sum(max_pool2d(relu(max_pool2d(relu(x), 2)), kernel_size = 2))",
    ] {
        let [evaluation, _] = graphs(body);
        let shapes = pointwise_shapes(&evaluation);
        assert!(!shapes.iter().any(|shape| shape == "[N, 3, 4, 4]"), "{body}: {shapes:?}");
    }
}

#[test]
fn what_does_not_rise_or_is_read_elsewhere_stays() {
    for body in [
        "sum(max_pool2d(-x, 2))",
        "sum(max_pool2d(abs(x), 2))",
        "sum(max_pool2d(x * bias, 2))",
        "sum(max_pool2d(x + row, 2))",
        "sum(max_pool2d(x + like, 2))",
        "sum(avg_pool2d(relu(x), 2))",
        "{ let t = relu(x); sum(max_pool2d(t, 2)) + energy(t) }",
    ] {
        let [evaluation, _] = graphs(body);
        let shapes = pointwise_shapes(&evaluation);
        assert!(shapes.iter().any(|shape| shape == "[N, 3, 4, 4]"), "{body}: {shapes:?}");
    }
}

#[test]
fn results_and_gradients_are_those_of_the_order_that_was_written() {
    let symbols = HashMap::from([("N".to_owned(), N)]);
    // No two numbers are equal, and no sum of them is zero, so that a small step changes no maximum and no sign.
    let value = |i: usize| (i * 37 % 101) as f64 / 50.0 - 0.9971;
    let inputs = [vec![N, 3, 4, 4], vec![3, 1, 1], vec![4], vec![N, 3, 4, 4]];
    let inputs = inputs.map(|dims| {
        let data = (0..dims.iter().product()).map(value).collect();
        Array { dims, data }
    });
    for body in [
        "energy(max_pool2d(relu(x), 2))",
        "energy(max_pool2d(tanh(x + bias), kernel_size = 3, stride = 1, padding = 1))",
        "energy(max_pool2d(relu(max_pool2d(sigmoid(x + bias), 2)), 2))",
        "energy(max_pool2d(x + row, 2))",
        "{ let t = relu(x + bias); energy(max_pool2d(t, 2)) + energy(t) }",
    ] {
        let [evaluation, training] = graphs(body);
        let loss = |inputs: &[Array]| interpret(&evaluation, inputs, &HashMap::new(), &symbols, 0)[0].data[0];
        let results = interpret(&training, &inputs, &HashMap::new(), &symbols, 0);
        assert!((results[0].data[0] - loss(&inputs)).abs() < 1e-12, "{body}");
        for (which, gradient) in results[1..].iter().enumerate() {
            assert_eq!(gradient.dims, inputs[which].dims, "{body}");
            for element in 0..gradient.data.len() {
                let at = |step: f64| {
                    let mut moved = inputs.clone();
                    moved[which].data[element] += step;
                    loss(&moved)
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                let error = (slope - gradient.data[element]).abs();
                assert!(
                    error < 1e-6,
                    "{body}: argument {which}, element {element}: {slope} {}",
                    gradient.data[element]
                );
            }
        }
    }
}

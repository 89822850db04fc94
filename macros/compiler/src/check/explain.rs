//! Where a number comes from: the chain of calls that led to a value, and the product behind a flattened size.

use graven_kernels::dim::{Dim, list};
use graven_kernels::op::Value;

use crate::graph::Graph;

/// A call, as messages tell it.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// The layer or function.
    pub(crate) label: String,
    /// What it was given.
    pub(crate) input: Value,
    /// What it gave.
    pub(crate) output: Value,
    /// Whether it is a layer with parameters, where a chain starts.
    pub(crate) layer: bool,
}

/// The chain of calls that led to a value, from the last layer (or the argument) on; calls that keep the shape are left out.
fn chain<'a>(records: &'a [Record], graph: &Graph, value: Value) -> Vec<&'a Record> {
    let mut chain = Vec::new();
    let mut value = value;
    while let Some(record) = records.iter().rev().find(|record| record.output == value) {
        if record.layer || graph.node(record.input).ty.dims != graph.node(record.output).ty.dims {
            chain.push(record);
        }
        if record.layer || chain.len() > 6 {
            break;
        }
        value = record.input;
    }
    chain.reverse();
    chain
}

/// `192 = 12 channels * 4 * 4: conv2 [N, 12, 8, 8] -> max_pool2d [N, 12, 4, 4] -> reshape [N, 192]`.
pub(crate) fn note(records: &[Record], graph: &Graph, value: Value) -> Option<String> {
    let chain = chain(records, graph, value);
    let first = chain.first()?;
    let shape = |value: Value| list(&graph.node(value).ty.dims);
    let start =
        if first.layer { None } else { Some(format!("{} {}", graph.node(first.input).label, shape(first.input))) };
    let steps = chain.iter().map(|record| format!("{} {}", record.label, shape(record.output)));
    let steps: Vec<String> = start.into_iter().chain(steps).collect();
    let product = flattened(records, graph, value).map_or(String::new(), |(total, factors)| {
        let words: Vec<String> =
            factors
                .iter()
                .enumerate()
                .map(|(position, factor)| {
                    if position == 0 && factors.len() == 3 { format!("{factor} channels") } else { factor.to_string() }
                })
                .collect();
        format!("{total} = {}: ", words.join(" * "))
    });
    Some(format!("{product}{}", steps.join(" -> ")))
}

/// If the last size of a value was made by flattening, that size and the sizes it was made of.
pub(crate) fn flattened(records: &[Record], graph: &Graph, value: Value) -> Option<(Dim, Vec<Dim>)> {
    let last = graph.node(value).ty.dims.last()?.clone();
    let mut value = value;
    loop {
        let record = records.iter().rev().find(|record| record.output == value)?;
        let (input, output) = (&graph.node(record.input).ty.dims, &graph.node(record.output).ty.dims);
        if output.last() != Some(&last) || record.layer {
            return None;
        }
        if input.last() != Some(&last) && input.len() > 2 && Dim::product(&input[1..]).as_ref() == Some(&last) {
            return Some((last, input[1..].to_vec()));
        }
        value = record.input;
    }
}

/// `12 * 4 * 4`, or `192` if it was not made by flattening.
pub(crate) fn last_size(records: &[Record], graph: &Graph, value: Value) -> String {
    match flattened(records, graph, value) {
        Some((_, factors)) => product(&factors),
        None => graph.node(value).ty.dims.last().map_or_else(|| "1".to_owned(), ToString::to_string),
    }
}

/// `12 * 4 * 4` for [N, 12, 4, 4].
pub(crate) fn sample_sizes(graph: &Graph, value: Value) -> String {
    product(graph.node(value).ty.dims.get(1..).unwrap_or(&[]))
}

fn product(factors: &[Dim]) -> String {
    let factors: Vec<String> = factors.iter().map(ToString::to_string).collect();
    factors.join(" * ")
}

//! Where a number comes from: the chain of calls that led to a value, and the product behind a flattened size.

use graven_kernels::dim::{Dim, list};
use graven_kernels::op::Value;
use proc_macro2::TokenStream;
use quote::ToTokens as _;
use syn::Expr;

use super::instance::LayerInstance;
use crate::diagnostics::Fix;
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
    pub(crate) moves: Moves,
}

/// The arguments of a call that decide about height and width.
#[derive(Debug, Clone)]
pub(crate) enum Moves {
    /// Those of a layer.
    Layer(usize),
    /// Those of a function, as they are written.
    Written(Vec<(&'static str, TokenStream)>),
}

/// The arguments that decide about height and width, the likeliest mistake first, and the largest value to try.
const MOVES: [(&str, usize); 3] = [("padding", 3), ("stride", 3), ("kernel_size", 7)];

impl Moves {
    /// The arguments that a function was given.
    pub(crate) fn of(written: &[(&'static str, &Expr)]) -> Moves {
        let decides = |name: &str| MOVES.iter().any(|(own, _)| *own == name);
        let moves = written.iter().filter(|(name, _)| decides(name));
        Moves::Written(moves.map(|(name, expression)| (*name, expression.to_token_stream())).collect())
    }

    /// The argument of that name.
    fn get(&self, name: &str, layers: &[LayerInstance]) -> Option<TokenStream> {
        match self {
            Moves::Layer(layer) => layers[*layer].tokens(name),
            Moves::Written(written) => written.iter().find(|(own, _)| *own == name).map(|(_, tokens)| tokens.clone()),
        }
    }
}

/// Edits of earlier calls that change the height and width of a value: one argument each, paddings before strides before
/// kernel sizes, the last call first.
pub(crate) fn edits(records: &[Record], layers: &[LayerInstance], value: Value) -> Vec<Fix> {
    let mut edits = Vec::new();
    let mut value = value;
    while let Some(record) = maker(records, value) {
        for (likely, (name, most)) in MOVES.iter().enumerate() {
            let Some(tokens) = record.moves.get(name, layers) else { continue };
            let Ok(written) = tokens.to_string().parse::<usize>() else { continue };
            let mut others: Vec<usize> =
                (usize::from(*name != "padding")..=*most).filter(|other| *other != written).collect();
            others.sort_by_key(|other| (other.abs_diff(written), *other));
            let place = if record.layer { "on" } else { "in" };
            edits.extend(others.into_iter().map(|other| {
                let words = format!("`{name} = {other}` {place} `{}`", record.label);
                (likely, Fix { at: tokens.clone(), write: other.to_string(), words })
            }));
        }
        // A call that gives what it takes (dropout when evaluated) ends the walk.
        if record.input >= value {
            break;
        }
        value = record.input;
    }
    // A padding is the likeliest slip, wherever it stands.
    edits.sort_by_key(|(likely, _)| *likely);
    edits.into_iter().map(|(_, fix)| fix).collect()
}

/// The last call that made a value. Calls that gave back what they were given (a flatten of what is flat) are none: the chain
/// would never end.
fn maker(records: &[Record], value: Value) -> Option<&Record> {
    records.iter().rev().find(|record| record.output == value && record.input < value)
}

/// The chain of calls that led to a value, from the last layer (or the argument) on; calls that keep the shape are left out.
fn chain<'a>(records: &'a [Record], graph: &Graph, value: Value) -> Vec<&'a Record> {
    let mut chain = Vec::new();
    let mut value = value;
    while let Some(record) = maker(records, value) {
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
        let record = maker(records, value)?;
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

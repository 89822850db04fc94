//! The calls of a function, one row each: what `summary()` prints, and what an editor shows at a method and at a layer.

use graven_kernels::dim::{Dtype, list};
use graven_kernels::op::Value;
use graven_kernels::pointwise::apply;
use graven_kernels::reduce::sum_axes;
use proc_macro2::{Ident, TokenStream, TokenTree};

use super::instance::LayerInstance;
use crate::grad::differentiate;
use crate::graph::{Graph, Kind, Target};

/// One call of a layer or of a function of graven, recorded where it was made. Calls of the user's own functions and of
/// modules are inlined, so they have no call of their own.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The path of the layer, or the name of the function.
    pub(crate) label: String,
    /// The index of the layer, if it is one.
    pub(crate) layer: Option<usize>,
    /// The user's function that makes the call: `forward`, `blocks.0.forward`.
    pub(crate) place: String,
    /// The user's name of a layer, where the function that is compiled calls it itself.
    pub(crate) site: Option<Ident>,
    pub(crate) input: Option<Value>,
    pub(crate) output: Value,
    /// The nodes of the call end here; they begin where those of the call before it end.
    pub(crate) end: usize,
}

/// What is known of a call.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// The index of the layer, if it is one.
    pub(crate) layer: Option<usize>,
    /// `Conv2d`, `max_pool2d`, `+`.
    pub(crate) kind: String,
    /// The shapes of the first input and of the output: `[N, 6, 24, 24]`.
    pub(crate) input: String,
    pub(crate) output: String,
    /// What the layer owns, at every call of it.
    pub(crate) parameters: usize,
    /// An earlier row calls the same layer.
    pub(crate) again: bool,
    /// Of one sample, as the cost model counts them.
    pub(crate) multiply_adds: u64,
    /// Bytes of one sample that a training step keeps from here until its backward pass has read them.
    pub(crate) kept: u64,
    /// "max_pool2d in `forward` leaves 1 row of [N, 6, 25, 25] unread".
    pub(crate) note: Option<String>,
    /// As in [`Call`].
    pub(crate) site: Option<Ident>,
}

/// The user's name of a layer, if the call is marked by it alone.
pub(crate) fn site(tokens: TokenStream) -> Option<Ident> {
    let mut tokens = tokens.into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Ident(name)), None) => Some(name),
        _ => None,
    }
}

/// The rows of a function; nothing is known yet of what is kept.
pub(crate) fn rows(graph: &Graph, calls: &[Call], layers: &[LayerInstance]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::with_capacity(calls.len());
    let mut seen = vec![false; layers.len()];
    let mut start = 0;
    // What no result needs is never run.
    let needed = needed(graph, graph.outputs.iter().copied());
    for call in calls {
        let layer = call.layer;
        let again = layer.is_some_and(|layer| std::mem::replace(&mut seen[layer], true));
        // Most calls are given what the one before gave, or give what they are given.
        let last = rows.last().zip(calls[..rows.len()].last());
        let known = last.map(|(row, call): (&Row, &Call)| (&graph.node(call.output).ty.dims, &row.output));
        let shape = |value: Value| match known {
            Some((dims, text)) if *dims == graph.node(value).ty.dims => text.clone(),
            _ => list(&graph.node(value).ty.dims),
        };
        rows.push(Row {
            layer,
            kind: layer.map_or_else(|| call.label.clone(), |layer| layers[layer].layer.name.to_owned()),
            input: call.input.map_or_else(|| "[]".to_owned(), shape),
            output: shape(call.output),
            parameters: layer.map_or(0, |layer| parameters(&layers[layer])),
            again,
            multiply_adds: (start..call.end)
                .filter(|node| needed[*node])
                .map(|node| multiply_adds(graph, Value(node)))
                .fold(0, u64::saturating_add),
            kept: 0,
            note: (start..call.end).find_map(|node| unread(graph, Value(node), call)),
            site: call.site.clone(),
        });
        start = call.end;
    }
    rows
}

/// How many numbers a layer owns.
pub(crate) fn parameters(layer: &LayerInstance) -> usize {
    layer.weights().iter().map(|weight| weight.dims.iter().product::<usize>()).sum()
}

fn multiply_adds(graph: &Graph, value: Value) -> u64 {
    let types = graph.types_of_inputs(value);
    graph.op(value).filter(|op| !op.is_view()).map_or(0, |op| op.cost(&types, &graph.node(value).ty))
}

/// Says which part of its input an operation never reads.
fn unread(graph: &Graph, value: Value, call: &Call) -> Option<String> {
    let unread = graph.op(value)?.unread();
    let count = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        count => Some(format!("{count} {word}s")),
    };
    let parts: Vec<String> = count(unread[0], "row").into_iter().chain(count(unread[1], "column")).collect();
    let input = list(&graph.node(*graph.node(value).inputs.first()?).ty.dims);
    (!parts.is_empty())
        .then(|| format!("{} in `{}` leaves {} of {input} unread", call.label, call.place, parts.join(" and ")))
}

/// Bytes of one sample that each call keeps for the backward pass: what it computed and a gradient reads, each value once.
/// Arguments of the function and parameters are there anyway and do not count.
///
/// `graph` is the function in training, reordered; `origins` tells where its nodes stood before, when `calls` were noted. It
/// need not return a loss: the gradient of the sum of its results reads the same values as that of any loss of them. None if
/// nothing in it can be trained.
pub(crate) fn kept(
    mut graph: Graph,
    origins: &[usize],
    calls: &[Call],
    targets: &[(Target, Value)],
) -> Option<Vec<u64>> {
    let n_forward = graph.nodes.len();
    let mut total = None;
    for output in graph.outputs.clone() {
        let ty = &graph.node(output).ty;
        if ty.dtype != Dtype::F32 {
            continue;
        }
        let axes: Vec<usize> = (0..ty.rank()).collect();
        let sum = sum_axes(&mut graph, output, &axes, false).ok()?;
        total = Some(match total {
            None => sum,
            Some(total) => apply(&mut graph, "add", &[total, sum]).ok()?,
        });
    }
    graph.outputs = vec![total?];
    differentiate(&mut graph, targets).ok()?;
    let needed = needed(&graph, graph.gradients.iter().map(|(_, value)| *value));
    let mut kept = vec![false; n_forward];
    for position in (n_forward..graph.nodes.len()).filter(|position| needed[*position]) {
        let saved = graph.op(Value(position)).and_then(|op| op.reads_saved());
        for (index, input) in graph.nodes[position].inputs.iter().enumerate() {
            // What is saved takes as much as the result, in whose place it is read.
            if saved.is_some_and(|saved| saved.instead_of == index) {
                continue;
            }
            let root = graph.root(*input);
            if root.0 < n_forward && matches!(graph.node(root).kind, Kind::Op(_)) {
                kept[root.0] = true;
            }
        }
    }
    let mut bytes = vec![0; origins.last().map_or(0, |last| last + 1)];
    for (position, origin) in origins.iter().enumerate().filter(|(position, _)| kept[*position]) {
        bytes[*origin] += bytes_of(&graph, Value(position));
    }
    let starts = std::iter::once(0).chain(calls.iter().map(|call| call.end));
    Some(starts.zip(calls).map(|(start, call)| bytes[start..call.end].iter().sum()).collect())
}

/// Which nodes some values are computed from, themselves included.
fn needed(graph: &Graph, values: impl Iterator<Item = Value>) -> Vec<bool> {
    let mut needed = vec![false; graph.nodes.len()];
    values.for_each(|value| needed[value.0] = true);
    for position in (0..graph.nodes.len()).rev() {
        if needed[position] {
            graph.nodes[position].inputs.iter().for_each(|input| needed[input.0] = true);
        }
    }
    needed
}

fn bytes_of(graph: &Graph, value: Value) -> u64 {
    let ty = &graph.node(value).ty;
    let size = if ty.dtype == Dtype::F32 { 4 } else { 8 };
    ty.elements().map_or(0, |elements| size * elements.factor() as u64)
}

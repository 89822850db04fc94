//! Simplify and fuse: equal nodes become one, chains of pointwise operations become one formula, numbers move into formulas,
//! and what no result needs is dropped. Before that, and before a graph is differentiated, operations change their order.

use std::sync::Arc;

use graven_kernels::dim::Type;
use graven_kernels::op::{Op, Value};
use graven_kernels::pointwise::{Formula, Pointwise};

use crate::graph::{Graph, Kind, Node};

/// Fused formulas stay below this many rows and operands, so that a loop's operands fit into registers.
const MAX_ROWS: usize = 24;
const MAX_OPERANDS: usize = 6;

/// Applies all of them.
#[must_use]
pub fn simplify(graph: &Graph) -> Graph {
    drop_unused(fuse(drop_unused(merge_equal(reorder(graph.clone()).0))))
}

/// A graph with its operations in a better order, what is left over dropped.
#[must_use]
pub(crate) fn reordered(graph: Graph) -> Graph {
    drop_unused(reorder(graph).0)
}

/// A formula that keeps the order of numbers moves behind the operation that picks the largest of them: it is applied to fewer
/// elements, with the same results, and so is its gradient. What it was before stays, although nobody reads it.
///
/// Also for each node the position of the old node that it was made for.
#[must_use]
pub(crate) fn reorder(graph: Graph) -> (Graph, Vec<usize>) {
    let n_reads = n_reads(&graph);
    let mut reads: Vec<usize> = Vec::with_capacity(graph.nodes.len());
    let mut origins: Vec<usize> = Vec::with_capacity(graph.nodes.len());
    let graph = rebuild(graph, |new, position, node| {
        let value = pick_first(new, &reads, node);
        reads.resize(new.nodes.len(), 0);
        reads[value.0] = n_reads[position];
        origins.resize(new.nodes.len(), position);
        value
    });
    (graph, origins)
}

/// Adds a node; if it picks the largest of some results of a formula, it picks among its operands, and the formula follows.
fn pick_first(new: &mut Graph, reads: &[usize], node: Node) -> Value {
    let moved = node.inputs.first().and_then(|input| {
        let (Kind::Op(op), formula) = (&node.kind, new.node(*input)) else { return None };
        let axis = op.largest_from().filter(|_| reads[input.0] == 1)?;
        let own = new.op(*input).filter(|own| own.formula().is_some_and(Formula::rises))?;
        // One operand is picked from. Where the pick goes, the others are constant.
        let is_constant = |operand: &Value| {
            let dims = &new.node(*operand).ty.dims;
            let varying = (formula.ty.rank() - axis).min(dims.len());
            dims[dims.len() - varying..].iter().all(|dim| dim.as_known() == Some(1))
        };
        let mut varying = (0..formula.inputs.len()).filter(|operand| !is_constant(&formula.inputs[*operand]));
        let (picked, None) = (varying.next()?, varying.next()) else { return None };
        let mut types: Vec<Type> = formula.inputs.iter().map(|operand| new.node(*operand).ty.clone()).collect();
        let same = types[picked].dims == formula.ty.dims;
        types[picked] = node.ty.clone();
        (same && own.infer(&types).is_ok_and(|ty| ty == node.ty)).then(|| (picked, formula.clone()))
    });
    let Some((picked, mut formula)) = moved else { return keep(new, node) };
    let ty = node.ty.clone();
    let inputs = vec![formula.inputs[picked]];
    formula.inputs[picked] = pick_first(new, reads, Node { inputs, ..node });
    keep(new, Node { ty, ..formula })
}

/// How often each node is read, by nodes and as a result.
fn n_reads(graph: &Graph) -> Vec<usize> {
    let mut n_reads = vec![0; graph.nodes.len()];
    graph.nodes.iter().flat_map(|node| &node.inputs).for_each(|input| n_reads[input.0] += 1);
    graph.results().for_each(|value| n_reads[value.0] += 1);
    n_reads
}

/// Rebuilds a graph node by node; `rewrite` gets the new graph, the old position and the node with its new inputs, and gives
/// the new value.
fn rebuild(graph: Graph, mut rewrite: impl FnMut(&mut Graph, usize, Node) -> Value) -> Graph {
    let Graph { nodes, inputs, mut outputs, mut gradients, differentiated, .. } = graph;
    let mut new = Graph { nodes: Vec::with_capacity(nodes.len()), inputs, ..Graph::default() };
    let mut map: Vec<Value> = Vec::with_capacity(nodes.len());
    for (position, mut node) in nodes.into_iter().enumerate() {
        node.inputs.iter_mut().for_each(|input| *input = map[input.0]);
        let value = rewrite(&mut new, position, node);
        map.push(value);
    }
    new.inputs.iter_mut().for_each(|input| input.value = map[input.value.0]);
    outputs.iter_mut().for_each(|value| *value = map[value.0]);
    gradients.iter_mut().for_each(|(_, value)| *value = map[value.0]);
    Graph { outputs, gradients, differentiated, ..new }
}

/// Adds a node as it is.
fn keep(new: &mut Graph, node: Node) -> Value {
    new.nodes.push(node);
    Value(new.nodes.len() - 1)
}

/// Nodes that apply the same operation to the same values become one.
fn merge_equal(graph: Graph) -> Graph {
    // By the first operand (none: the end), what reads it first. Text is compared only where all else is equal: printing every
    // operation took a twentieth of the time of a macro.
    let mut readers: Vec<Vec<Value>> = vec![Vec::new(); graph.nodes.len() + 1];
    let end = graph.nodes.len();
    rebuild(graph, |new, _, node| {
        let readers = &mut readers[node.inputs.first().map_or(end, |input| input.0)];
        if let Some(own) = readers.iter().find(|own| same(new.node(**own), &node)) {
            return *own;
        }
        let value = keep(new, node);
        readers.push(value);
        value
    })
}

/// Whether two nodes have the same value. The text form of an operation holds all its attributes.
fn same(left: &Node, right: &Node) -> bool {
    left.inputs == right.inputs
        && match (&left.kind, &right.kind) {
            (Kind::Scalar(left), Kind::Scalar(right)) => left == right,
            (Kind::Op(one), Kind::Op(other)) => left.ty == right.ty && format!("{one:?}") == format!("{other:?}"),
            // An argument or a parameter has one node.
            _ => false,
        }
}

/// Drops what no result needs. Arguments stay.
fn drop_unused(graph: Graph) -> Graph {
    let mut needed = vec![false; graph.nodes.len()];
    graph.results().for_each(|value| needed[value.0] = true);
    graph.inputs.iter().for_each(|input| needed[input.value.0] = true);
    for position in (0..graph.nodes.len()).rev() {
        if needed[position] {
            graph.nodes[position].inputs.iter().for_each(|input| needed[input.0] = true);
        }
    }
    // Nobody asks for the value of a node that is dropped.
    rebuild(graph, |new, position, node| if needed[position] { keep(new, node) } else { Value(usize::MAX) })
}

/// Pointwise operations take in the pointwise operations that only they read, and numbers.
fn fuse(graph: Graph) -> Graph {
    let n_reads = n_reads(&graph);
    // By new value: how often the old one is read.
    let mut reads: Vec<usize> = Vec::with_capacity(graph.nodes.len());
    rebuild(graph, |new, position, mut node| {
        // A formula of its own, or a constant under another shape, which is a constant of that shape.
        let constant = match &node.kind {
            Kind::Op(op) if op.is_view() => constant(new, node.inputs[0], &node.ty),
            _ => None,
        };
        let value = match (&node.kind, constant) {
            (_, Some(constant)) => {
                node.inputs.clear();
                keep(new, Node { kind: Kind::Op(constant), ..node })
            }
            (Kind::Op(op), None) if op.formula().is_some() => fused(new, &reads, &Arc::clone(op), node),
            _ => keep(new, node),
        };
        reads.resize(value.0 + 1, 0);
        reads[value.0] = n_reads[position];
        value
    })
}

/// If a value is a formula of numbers alone, the operation that gives it with the shape of `ty`.
fn constant(graph: &Graph, value: Value, ty: &Type) -> Option<Arc<dyn Op>> {
    match &graph.node(value).kind {
        Kind::Scalar(scalar) => Some(Arc::new(Pointwise::constant(scalar.clone(), ty.dims.clone()))),
        Kind::Op(op) if graph.node(value).inputs.is_empty() => op.with_formula(op.formula()?.clone(), ty),
        _ => None,
    }
}

fn fused(new: &mut Graph, reads: &[usize], op: &Arc<dyn Op>, node: Node) -> Value {
    let formula = op.formula().expect("asked by the caller");
    let mut operands: Vec<Value> = Vec::new();
    let mut n_rows = formula.size();
    let mut parts: Vec<Formula> = Vec::new();
    for (position, input) in node.inputs.iter().enumerate() {
        let source = new.node(*input);
        let part = match &source.kind {
            Kind::Scalar(scalar) => Some((Formula::Scalar(scalar.clone()), &[][..])),
            Kind::Op(producer) => producer.formula().and_then(|producer| {
                let (uses, size) = (formula.uses(position), producer.size());
                let grown = n_rows + uses * size;
                let alone = reads[input.0] == 1 && (uses <= 1 || size <= 2);
                let fits = operands.len() + source.inputs.len() + (node.inputs.len() - position) <= MAX_OPERANDS + 1;
                (grown <= MAX_ROWS && (alone && fits || source.inputs.is_empty())).then(|| {
                    n_rows = grown;
                    (producer.clone(), source.inputs.as_slice())
                })
            }),
            _ => None,
        };
        let (part, sources) = part.unwrap_or((Formula::Operand(0), std::slice::from_ref(input)));
        let positions: Vec<usize> = sources
            .iter()
            .map(|source| {
                operands.iter().position(|own| own == source).unwrap_or_else(|| {
                    operands.push(*source);
                    operands.len() - 1
                })
            })
            .collect();
        parts.push(part.substitute(&|operand| Formula::Operand(positions[operand])));
    }
    let formula = formula.substitute(&|operand| parts[operand].clone());
    let op = op.with_formula(formula, &node.ty).unwrap_or_else(|| Arc::clone(op));
    keep(new, Node { kind: Kind::Op(op), inputs: operands, ..node })
}

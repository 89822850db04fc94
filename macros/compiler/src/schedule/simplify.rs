//! Simplify and fuse: equal nodes become one, chains of pointwise operations become one formula, numbers move into formulas,
//! and what no result needs is dropped.

use std::collections::HashMap;
use std::rc::Rc;

use graven_kernels::dim::Type;
use graven_kernels::op::{Op, Value};
use graven_kernels::pointwise::{Formula, Pointwise};

use crate::graph::{Graph, Kind};

/// Fused formulas stay below this many rows and operands, so that a loop's operands fit into registers.
const MAX_ROWS: usize = 24;
const MAX_OPERANDS: usize = 6;

/// Applies all of them.
#[must_use]
pub fn simplify(graph: &Graph) -> Graph {
    drop_unused(&fuse(&drop_unused(&merge_equal(graph))))
}

/// Rebuilds a graph node by node; `rewrite` gets the new graph, the old position and the new inputs, and gives the new value.
fn rebuild(graph: &Graph, mut rewrite: impl FnMut(&mut Graph, usize, Vec<Value>) -> Value) -> Graph {
    let mut new = Graph { inputs: graph.inputs.clone(), ..Graph::default() };
    let mut map: Vec<Value> = Vec::with_capacity(graph.nodes.len());
    for (position, node) in graph.nodes.iter().enumerate() {
        let inputs = node.inputs.iter().map(|input| map[input.0]).collect();
        let value = rewrite(&mut new, position, inputs);
        map.push(value);
    }
    for input in &mut new.inputs {
        input.value = map[input.value.0];
    }
    new.outputs = graph.outputs.iter().map(|value| map[value.0]).collect();
    new.gradients = graph.gradients.iter().map(|(target, value)| (*target, map[value.0])).collect();
    new
}

/// Nodes that apply the same operation to the same values become one.
fn merge_equal(graph: &Graph) -> Graph {
    let mut seen: HashMap<(String, Vec<Value>), Value> = HashMap::new();
    rebuild(graph, |new, position, inputs| {
        let node = &graph.nodes[position];
        // The text form of an operation holds all its attributes.
        let key = (format!("{:?}", node.kind), inputs.clone());
        *seen.entry(key).or_insert_with(|| new.push(node.kind.clone(), inputs, node.ty.clone(), node.label.clone()))
    })
}

/// Drops what no result needs. Arguments stay.
fn drop_unused(graph: &Graph) -> Graph {
    let mut needed = vec![false; graph.nodes.len()];
    graph.results().for_each(|value| needed[value.0] = true);
    graph.inputs.iter().for_each(|input| needed[input.value.0] = true);
    for position in (0..graph.nodes.len()).rev() {
        if needed[position] {
            graph.nodes[position].inputs.iter().for_each(|input| needed[input.0] = true);
        }
    }
    rebuild(graph, |new, position, inputs| {
        if !needed[position] {
            // Nobody asks for this value again.
            return Value(usize::MAX);
        }
        let node = &graph.nodes[position];
        new.push(node.kind.clone(), inputs, node.ty.clone(), node.label.clone())
    })
}

/// Pointwise operations take in the pointwise operations that only they read, and numbers.
fn fuse(graph: &Graph) -> Graph {
    let mut n_reads = vec![0; graph.nodes.len()];
    graph.nodes.iter().flat_map(|node| &node.inputs).for_each(|input| n_reads[input.0] += 1);
    graph.results().for_each(|value| n_reads[value.0] += 1);
    // By new value: how often the old one is read.
    let mut reads: HashMap<Value, usize> = HashMap::new();
    rebuild(graph, |new, position, inputs| {
        let node = &graph.nodes[position];
        let value = match &node.kind {
            Kind::Op(op) if op.formula().is_some() => fused(new, &reads, op, node, inputs),
            // A constant under another shape is a constant of that shape.
            Kind::Op(op)
                if op.is_view()
                    && let Some(constant) = constant(new, inputs[0], &node.ty) =>
            {
                new.push(Kind::Op(constant), Vec::new(), node.ty.clone(), node.label.clone())
            }
            kind => new.push(kind.clone(), inputs, node.ty.clone(), node.label.clone()),
        };
        reads.insert(value, n_reads[position]);
        value
    })
}

/// If a value is a formula of numbers alone, the operation that gives it with the shape of `ty`.
fn constant(graph: &Graph, value: Value, ty: &Type) -> Option<Rc<dyn Op>> {
    match &graph.node(value).kind {
        Kind::Scalar(scalar) => Some(Rc::new(Pointwise::constant(scalar.clone(), ty.dims.clone()))),
        Kind::Op(op) if graph.node(value).inputs.is_empty() => op.with_formula(op.formula()?.clone(), ty),
        _ => None,
    }
}

fn fused(
    new: &mut Graph,
    reads: &HashMap<Value, usize>,
    op: &Rc<dyn Op>,
    node: &crate::graph::Node,
    inputs: Vec<Value>,
) -> Value {
    let formula = op.formula().expect("asked by the caller");
    let mut operands: Vec<Value> = Vec::new();
    let mut n_rows = formula.size();
    let mut parts: Vec<Formula> = Vec::new();
    for (position, input) in inputs.iter().enumerate() {
        let source = new.node(*input).clone();
        let uses = formula.uses(position);
        let part = match &source.kind {
            Kind::Scalar(scalar) => Some((Formula::Scalar(scalar.clone()), Vec::new())),
            Kind::Op(producer) => producer.formula().and_then(|producer| {
                let grown = n_rows + uses * producer.size();
                let alone = reads.get(input) == Some(&1) && (uses <= 1 || producer.size() <= 2);
                let fits = grown <= MAX_ROWS
                    && operands.len() + source.inputs.len() + (inputs.len() - position) <= MAX_OPERANDS + 1;
                ((alone && fits) || source.inputs.is_empty()).then(|| {
                    n_rows = grown;
                    (producer.clone(), source.inputs.clone())
                })
            }),
            _ => None,
        };
        let (part, sources) = part.unwrap_or((Formula::Operand(0), vec![*input]));
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
    let op = op.with_formula(formula, &node.ty).unwrap_or_else(|| Rc::clone(op));
    new.push(Kind::Op(op), operands, node.ty.clone(), node.label.clone())
}

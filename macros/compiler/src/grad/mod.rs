//! Differentiate: a walk over the graph from the loss backwards, which asks each operation for its gradient.

use graven_kernels::op::{Builder as _, Differentiated, Mistake, Scalar, Value};
use graven_kernels::pointwise::{Pointwise, apply};

use crate::graph::{Graph, Kind, Target};

/// Adds the gradients of the first output, a scalar, with respect to the targets. A parameter that the loss does not depend
/// on gets none, an argument zeros. Nothing is computed that no target needs.
///
/// # Errors
/// An operation on the way cannot be differentiated; the message names it.
pub fn differentiate(graph: &mut Graph, targets: &[(Target, Value)]) -> Result<(), Mistake> {
    let loss = graph.outputs[0];
    let n_forward = graph.nodes.len();

    // A gradient is wanted for what depends on a target.
    let mut wanted = vec![false; n_forward];
    targets.iter().for_each(|(_, value)| wanted[value.0] = true);
    for position in 0..n_forward {
        if matches!(graph.nodes[position].kind, Kind::Op(_)) {
            wanted[position] = graph.nodes[position].inputs.iter().any(|input| wanted[input.0]);
        }
    }

    let mut gradients: Vec<Option<Value>> = vec![None; n_forward];
    graph.label = "loss_grad".into();
    gradients[loss.0] = Some(graph.scalar(Scalar::number(1.0)));
    for position in (0..n_forward).rev() {
        let (Some(grad_output), true) = (gradients[position], wanted[position]) else { continue };
        let node = graph.nodes[position].clone();
        let Kind::Op(op) = &node.kind else { continue };
        graph.label = format!("{}_grad", node.label).into();
        let wanted: Vec<bool> = node.inputs.iter().map(|input| wanted[input.0]).collect();
        let differentiated =
            Differentiated { inputs: &node.inputs, output: Value(position), grad_output, wanted: &wanted };
        let contributions = op.gradient(graph, &differentiated)?;
        for (input, contribution) in node.inputs.iter().zip(contributions) {
            let Some(contribution) = contribution.filter(|_| wanted_of(&wanted, &node.inputs, *input)) else {
                continue;
            };
            gradients[input.0] = Some(match gradients[input.0] {
                Some(sum) => apply(graph, "add", &[sum, contribution])?,
                None => contribution,
            });
        }
    }

    for (target, value) in targets {
        let gradient = match gradients[value.0] {
            Some(gradient) if !matches!(graph.node(gradient).kind, Kind::Scalar(_)) => gradient,
            Some(number) => expanded(graph, number, *value)?,
            // As in PyTorch: no gradient, so that no optimizer moves the parameter, not even by weight decay.
            None if matches!(target, Target::Parameter(..)) => continue,
            None => {
                let zero = graph.scalar(Scalar::number(0.0));
                expanded(graph, zero, *value)?
            }
        };
        graph.gradients.push((*target, gradient));
    }
    graph.label = "".into();
    graph.differentiated = true;
    Ok(())
}

fn wanted_of(wanted: &[bool], inputs: &[Value], input: Value) -> bool {
    inputs.iter().position(|own| *own == input).is_some_and(|position| wanted[position])
}

/// A number with the shape of another value.
fn expanded(graph: &mut Graph, number: Value, like: Value) -> Result<Value, Mistake> {
    let dims = graph.ty(like).dims;
    graph.apply(std::sync::Arc::new(Pointwise::expand(dims)), &[number])
}

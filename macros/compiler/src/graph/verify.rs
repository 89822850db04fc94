//! What holds of every graph, checked between the stages in tests and debug builds.

use graven_kernels::op::Value;

use super::{Graph, Kind};

/// Checks that nodes read earlier nodes only, and numbers in formulas only, that every type is what the shape rule says, and that all results exist.
///
/// # Errors
/// The first node that breaks a rule, in words.
pub fn verify(graph: &Graph) -> Result<(), String> {
    for (position, node) in graph.nodes.iter().enumerate() {
        if let Some(late) = node.inputs.iter().find(|input| input.0 >= position) {
            return Err(format!("%{position} reads %{}, which comes later", late.0));
        }
        let Kind::Op(op) = &node.kind else { continue };
        let number = |input: &&Value| matches!(graph.node(**input).kind, Kind::Scalar(_));
        if let Some(number) = node.inputs.iter().find(number).filter(|_| op.formula().is_none()) {
            return Err(format!("%{position} = {} reads the number %{}, which lies nowhere", op.name(), number.0));
        }
        match op.infer(&graph.types_of_inputs(Value(position))) {
            Ok(ty) if ty == node.ty => {}
            Ok(ty) => {
                return Err(format!("%{position} = {} has type {}, but its shape rule says {ty}", op.name(), node.ty));
            }
            Err(mistake) => return Err(format!("%{position} = {}: {}", op.name(), mistake.message)),
        }
    }
    match graph.results().find(|value| value.0 >= graph.nodes.len()) {
        Some(value) => Err(format!("the result %{} does not exist", value.0)),
        None => Ok(()),
    }
}

//! The text form: one line a node.

use std::fmt;

use super::{Graph, Kind, Target};

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, node) in self.nodes.iter().enumerate() {
            let what = match &node.kind {
                Kind::Input(index) => {
                    format!("input {}", self.inputs.get(*index).map_or("?", |input| input.name.as_str()))
                }
                Kind::Parameter { .. } => format!("parameter {}", node.label),
                Kind::Scalar(scalar) => format!("scalar {scalar}"),
                Kind::Op(op) => op.name(),
            };
            let inputs: Vec<String> = node.inputs.iter().map(|input| format!("%{}", input.0)).collect();
            let label = if matches!(node.kind, Kind::Op(_)) { format!("  // {}", node.label) } else { String::new() };
            writeln!(f, "%{position}: {} = {what}({}){label}", node.ty, inputs.join(", "))?;
        }
        for output in &self.outputs {
            writeln!(f, "output %{}", output.0)?;
        }
        for (target, value) in &self.gradients {
            match target {
                Target::Parameter(layer, weight) => {
                    writeln!(f, "gradient of layer {layer} weight {weight}: %{}", value.0)?
                }
                Target::Input(index) => writeln!(f, "gradient of input {index}: %{}", value.0)?,
            }
        }
        Ok(())
    }
}

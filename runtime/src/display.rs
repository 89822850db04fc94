//! How a module prints: as in PyTorch, with the number of parameters behind each layer.

use std::fmt;

use graven_kernels::dim::thousands;

use crate::home::elements;
use crate::plan::{LayerPlan, ModulePlan};

/// Writes a module, e.g.
///
/// ```text
/// Network(
///   (conv1): Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))  156 parameters
///   (out): Linear(in_features=60, out_features=10, bias=True)  610 parameters
/// )  766 parameters
/// ```
pub fn display(plan: &'static ModulePlan, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "{}(", plan.name)?;
    // The open groups: `blocks`, then `0` within it.
    let mut open: Vec<&str> = Vec::new();
    let mut first_parameter = 0;
    for layer in plan.layers {
        let mut path: Vec<&str> = layer.name.split('.').collect();
        let name = path.pop().unwrap_or_default();
        let common = open.iter().zip(&path).take_while(|(open, part)| open == part).count();
        close(f, &mut open, common)?;
        for part in &path[common..] {
            let indent = 2 * open.len() + 2;
            open.push(part);
            writeln!(f, "{:indent$}({part}): {}(", "", type_name(plan, &open.join(".")))?;
        }
        let n_parameters = count(plan, layer, &mut first_parameter);
        write!(f, "{:indent$}({name}): {}", "", layer.description, indent = 2 * open.len() + 2)?;
        match n_parameters {
            0 => writeln!(f)?,
            n => writeln!(f, "  {} parameters", thousands(n as u64))?,
        }
    }
    close(f, &mut open, 0)?;
    write!(f, ")  {} parameters", thousands(plan.parameters.iter().map(elements).sum::<usize>() as u64))
}

/// Closes groups until this many are open.
fn close(f: &mut fmt::Formatter<'_>, open: &mut Vec<&str>, remaining: usize) -> fmt::Result {
    while open.len() > remaining {
        writeln!(f, "{:indent$})", "", indent = 2 * open.len())?;
        open.pop();
    }
    Ok(())
}

/// The name of a nested module's type.
fn type_name(plan: &ModulePlan, path: &str) -> &'static str {
    plan.modules.iter().find(|(own, _)| *own == path).map_or("", |(_, name)| name)
}

fn count(plan: &ModulePlan, layer: &LayerPlan, first_parameter: &mut usize) -> usize {
    let own = plan.parameters.iter().skip(*first_parameter).take(layer.parameters);
    *first_parameter += layer.parameters;
    own.map(elements).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ParameterPlan;

    const fn parameter(name: &'static str, dims: &'static [usize], offset: usize) -> ParameterPlan {
        ParameterPlan { name, dims, offset, bound: 1.0, trained: true }
    }

    static PLAN: ModulePlan = ModulePlan {
        name: "Network",
        modules: &[("blocks", "[Block; 2]"), ("blocks.0", "Block"), ("blocks.1", "Block")],
        layers: &[
            LayerPlan {
                name: "stem",
                description: "Linear(in_features=100, out_features=50, bias=False)",
                parameters: 1,
            },
            LayerPlan {
                name: "blocks.0.fc",
                description: "Linear(in_features=1, out_features=2, bias=True)",
                parameters: 2,
            },
            LayerPlan {
                name: "blocks.1.fc",
                description: "Linear(in_features=2, out_features=1, bias=False)",
                parameters: 1,
            },
            LayerPlan { name: "drop", description: "Dropout(p=0.5)", parameters: 0 },
        ],
        parameters: &[
            parameter("stem.weight", &[50, 100], 0),
            parameter("blocks.0.fc.weight", &[2, 1], 5008),
            parameter("blocks.0.fc.bias", &[2], 5024),
            parameter("blocks.1.fc.weight", &[1, 2], 5040),
        ],
        length: 5056,
    };

    struct Network;

    impl fmt::Display for Network {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            display(&PLAN, f)
        }
    }

    #[test]
    fn nested_modules_are_indented() {
        let expected = "\
Network(
  (stem): Linear(in_features=100, out_features=50, bias=False)  5,000 parameters
  (blocks): [Block; 2](
    (0): Block(
      (fc): Linear(in_features=1, out_features=2, bias=True)  4 parameters
    )
    (1): Block(
      (fc): Linear(in_features=2, out_features=1, bias=False)  2 parameters
    )
  )
  (drop): Dropout(p=0.5)
)  5,006 parameters";
        assert_eq!(Network.to_string(), expected);
    }
}

//! Check: resolves names, runs the shape rules, and keeps the reason of every size. A function becomes a [`Graph`]; what is
//! wrong is reported, all mistakes at once, and checking goes on with what is known.

pub(crate) mod arguments;
mod body;
mod explain;
pub(crate) mod instance;
pub(crate) mod number;
mod signature;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use graven_kernels::op::Value;
use quote::ToTokens;

use crate::diagnostics::Errors;
use crate::grad::differentiate;
use crate::graph::{Graph, Kind, Target};
use crate::syntax::{Function, Module};
use instance::{Instance, LayerInstance, instantiate};

/// A `network!` block that was checked.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The module, with the modules nested in it.
    pub(crate) instance: Rc<Instance>,
    /// The layers of the module, in the order of its fields.
    pub(crate) layers: Vec<LayerInstance>,
    pub(crate) functions: Vec<CheckedFunction>,
}

/// A function that was checked.
#[derive(Debug)]
pub(crate) struct CheckedFunction {
    pub(crate) function: Function,
    /// As it runs when called directly.
    pub(crate) evaluation: Graph,
    /// In training, with the gradients; None if the first result is no scalar.
    pub(crate) training: Option<Graph>,
}

/// The text of tokens as a person would write it, for messages.
pub(crate) fn text(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (from, to) in
        [(" :: ", "::"), (" (", "("), (" ,", ","), (" . ", "."), ("( ", "("), (" )", ")"), ("- ", "-"), ("& ", "&")]
    {
        text = text.replace(from, to);
    }
    text
}

/// Checks the functions of a module without sizes, or functions that belong to no module.
pub(crate) fn check(module: &Rc<Module>, errors: &mut Errors) -> Checked {
    let mut layers = Vec::new();
    module.mistakes.iter().for_each(|mistake| errors.push(mistake.clone()));
    let instance = Rc::new(instantiate(module, &[], String::new(), false, &mut layers, errors));
    let mut functions = Vec::new();
    // A size that one function implies, another may need, so every function is checked before any is differentiated.
    for function in &module.functions {
        if let Some(evaluation) = check_function(function, &instance, &layers, false, errors) {
            functions.push(CheckedFunction { function: function.clone(), evaluation, training: None });
        }
    }
    if errors.is_empty() {
        for layer in &layers {
            if let Some(missing) = layer.missing() {
                let message = format!(
                    "`{}` needs `{missing}`: no function uses it, so nothing implies it\nhelp: write `{missing} = ..`",
                    layer.path
                );
                errors.at(&layer.field, message);
            }
        }
    }
    if errors.is_empty() {
        for checked in &mut functions {
            checked.training = training(checked, &instance, &layers, errors);
        }
    }
    Checked { instance, layers, functions }
}

/// The graph of a function, or None if a mistake was found or the function is a template for its callers.
fn check_function(
    function: &Function,
    instance: &Rc<Instance>,
    layers: &[LayerInstance],
    training: bool,
    errors: &mut Errors,
) -> Option<Graph> {
    let n_errors = errors.len();
    let mut body = body::Body::new(instance, layers, training, errors);
    let arguments = body.root_arguments(function);
    let results = body.call(function, instance, arguments, &function.name);
    let template = body.is_template(function);
    let mut graph = body.finish();
    if errors.len() > n_errors || template {
        return None;
    }
    graph.outputs = results?;
    Some(graph)
}

/// The graph in training, with the gradients behind the results.
fn training(
    checked: &CheckedFunction,
    instance: &Rc<Instance>,
    layers: &[LayerInstance],
    errors: &mut Errors,
) -> Option<Graph> {
    let function = &checked.function;
    let first = checked.evaluation.node(*checked.evaluation.outputs.first()?);
    if first.ty.rank() != 0 || first.ty.dtype != graven_kernels::dim::Dtype::F32 {
        return None;
    }
    let mut graph = check_function(function, instance, layers, true, errors)?;
    let targets: Vec<(Target, Value)> = if function.method { parameters(&graph, layers) } else { inputs(&graph) };
    if targets.is_empty() {
        return None;
    }
    if let Err(mistake) = differentiate(&mut graph, &targets) {
        errors.at(
            &function.name,
            format!(
                "`{}` cannot be differentiated: {}",
                function.name,
                mistake.message.replace("{layer}", "an operation")
            ),
        );
        return None;
    }
    if !function.method {
        // The gradients of a plain function are results like any other.
        let gradients = std::mem::take(&mut graph.gradients);
        graph.outputs.extend(gradients.into_iter().map(|(_, value)| value));
    }
    Some(graph)
}

/// The parameters that are trained and that the function uses.
fn parameters(graph: &Graph, layers: &[LayerInstance]) -> Vec<(Target, Value)> {
    let trained = |(position, node): (usize, &crate::graph::Node)| match node.kind {
        Kind::Parameter { layer, weight } if !layers[layer].frozen => {
            Some((Target::Parameter(layer, weight), Value(position)))
        }
        _ => None,
    };
    let mut targets: Vec<_> = graph.nodes.iter().enumerate().filter_map(trained).collect();
    targets.sort_by_key(|(target, _)| match target {
        Target::Parameter(layer, weight) => (*layer, *weight),
        Target::Input(index) => (*index, 0),
    });
    targets
}

/// The float arguments.
fn inputs(graph: &Graph) -> Vec<(Target, Value)> {
    let floats = |value: Value| graph.node(value).ty.dtype == graven_kernels::dim::Dtype::F32;
    let inputs = graph.inputs.iter().enumerate().filter(|(_, input)| floats(input.value));
    inputs.map(|(index, input)| (Target::Input(index), input.value)).collect()
}

//! Check: resolves names, runs the shape rules, and keeps the reason of every size. A function becomes a [`Graph`]; what is
//! wrong is reported, all mistakes at once, and checking goes on with what is known.

pub(crate) mod arguments;
mod body;
mod explain;
mod header;
pub(crate) mod instance;
pub(crate) mod number;
mod signature;
pub(crate) mod summary;
#[cfg(test)]
mod tests;
mod weights;

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use graven_kernels::LANES;
use graven_kernels::dim::list;
use graven_kernels::op::Value;
use proc_macro2::TokenStream;
use quote::ToTokens;

use crate::diagnostics::Errors;
use crate::grad::differentiate;
use crate::graph::{Graph, Kind, MAX_ELEMENTS, Node, Target};
use crate::schedule::{reorder, reordered};
use crate::syntax::{Function, Module, parse_description};
use body::Walked;
use instance::{Instance, LayerInstance, instantiate};
use summary::{Call, Row};

/// A `network!` block that was checked.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The module, with the modules nested in it.
    pub(crate) instance: Rc<Instance>,
    /// The layers of the module, in the order of its fields.
    pub(crate) layers: Vec<LayerInstance>,
    pub(crate) functions: Vec<CheckedFunction>,
    /// Files of weights that fit, which the code depends on.
    pub(crate) weights: Vec<PathBuf>,
}

/// A function that was checked.
#[derive(Debug)]
pub(crate) struct CheckedFunction {
    pub(crate) function: Function,
    /// As it runs when called directly.
    pub(crate) evaluation: Arc<Graph>,
    /// In training, with the gradients; None if the first result is no scalar.
    pub(crate) training: Option<Arc<Graph>>,
    /// If it runs in training as it does when called directly, its calls.
    same_in_training: Option<Vec<Call>>,
    /// Its calls, for docs and the summary.
    pub(crate) rows: Vec<Row>,
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

/// How many mistakes a description has.
pub(crate) fn count_mistakes(description: TokenStream) -> usize {
    let Ok((module, _)) = parse_description(description) else { return usize::MAX };
    let mut errors = Errors::default();
    evaluate(&Rc::new(module), &mut errors, &|_| {});
    // What rustc reports counts as one.
    errors.len().max(usize::from(!errors.is_empty()))
}

/// Checks the functions of a module without sizes, or functions that belong to no module. `begin` hears of each graph as soon
/// as it is known; a mistake may still be found elsewhere.
pub(crate) fn check(module: &Rc<Module>, errors: &mut Errors, begin: &dyn Fn(&Arc<Graph>)) -> Checked {
    let (instance, layers, mut functions) = evaluate(module, errors, begin);
    if errors.is_empty() {
        for checked in &mut functions {
            checked.training = training(checked, &instance, &layers, errors).map(Arc::new);
            checked.training.iter().for_each(begin);
        }
    }
    if errors.is_empty()
        && let Some(summarised) = summarised(&functions)
    {
        note_kept(&mut functions[summarised], &instance, &layers, errors);
    }
    let weights = if errors.is_empty() { weights::check(module, &layers, errors) } else { Vec::new() };
    Checked { instance, layers, functions, weights }
}

/// The layers of a module, and its functions as they run when called directly.
fn evaluate(
    module: &Rc<Module>,
    errors: &mut Errors,
    begin: &dyn Fn(&Arc<Graph>),
) -> (Rc<Instance>, Vec<LayerInstance>, Vec<CheckedFunction>) {
    let mut layers = Vec::new();
    module.mistakes.iter().for_each(|mistake| errors.push(mistake.clone()));
    let instance = Rc::new(instantiate(module, &[], String::new(), false, &mut layers, &mut 0, errors));
    let mut functions = Vec::new();
    // A size that one function implies, another may need, so every function is checked before any is differentiated.
    for function in &module.functions {
        if let Some(Walked { graph, calls, asked_mode }) = check_function(function, &instance, &layers, false, errors) {
            let rows = summary::rows(&graph, &calls, &layers);
            let same_in_training = (!asked_mode).then_some(calls);
            let (function, evaluation, training) = (function.clone(), Arc::new(graph), None);
            if errors.is_empty() {
                begin(&evaluation);
            }
            functions.push(CheckedFunction { function, evaluation, training, same_in_training, rows });
        }
    }
    if errors.is_empty() {
        for layer in &layers {
            if let Some(missing) = layer.missing() {
                let message = format!(
                    "`{}` needs `{missing}`: no function uses it, so nothing implies it\nhelp: add `{missing} = ..`, or remove the field",
                    layer.path
                );
                errors.at(&layer.field, message);
            }
        }
    }
    if errors.is_empty() {
        check_parameters(&layers, errors);
    }
    (instance, layers, functions)
}

/// Whether a machine can hold the parameters, so that no offset among them overflows.
fn check_parameters(layers: &[LayerInstance], errors: &mut Errors) {
    let mut total = 0_usize;
    for layer in layers {
        for weight in layer.weights() {
            let elements = weight.dims.iter().try_fold(1_usize, |product, dim| product.checked_mul(*dim));
            total = total.saturating_add(elements.unwrap_or(usize::MAX));
            if total > MAX_ELEMENTS {
                let message = format!(
                    "`{}` has a {} {}: with it the network has more parameters than a machine can address",
                    layer.path,
                    weight.name,
                    list(&weight.dims)
                );
                errors.at(&layer.field, message);
                return;
            }
        }
    }
}

/// Whether a machine can hold the values of a tile, even if none shares its memory with another.
fn check_tile(function: &Function, graph: &Graph, errors: &mut Errors) {
    let features = |node: &Node| match node.kind {
        Kind::Op(_) => node.ty.features().unwrap_or(0),
        _ => 0,
    };
    let total = graph.nodes.iter().map(features).fold(0, usize::saturating_add);
    if let Some(largest) = graph.nodes.iter().max_by_key(|node| features(node)).filter(|_| total > MAX_ELEMENTS / LANES)
    {
        let message = format!(
            "`{}` keeps {total} numbers of each sample, {LANES} samples at a time, which is more than a machine can address\n             note: the largest is `{}` {}",
            function.name, largest.label, largest.ty
        );
        errors.at(&function.name, message);
    }
}

/// The graph of a function, or None if a mistake was found or the function is a template for its callers.
fn check_function(
    function: &Function,
    instance: &Rc<Instance>,
    layers: &[LayerInstance],
    training: bool,
    errors: &mut Errors,
) -> Option<Walked> {
    let n_errors = errors.reported();
    let mut body = body::Body::new(instance, layers, training, errors);
    let arguments = body.root_arguments(function);
    let results = body.call(function, instance, arguments, &function.name);
    let template = body.is_template(function);
    let mut walked = body.finish();
    if errors.reported() > n_errors || template {
        return None;
    }
    walked.graph.outputs = results?;
    check_tile(function, &walked.graph, errors);
    (errors.reported() == n_errors).then_some(walked)
}

/// The graph in training, without gradients, and its calls.
fn in_training(
    checked: &CheckedFunction,
    instance: &Rc<Instance>,
    layers: &[LayerInstance],
    errors: &mut Errors,
) -> Option<(Graph, Vec<Call>)> {
    if let Some(calls) = &checked.same_in_training {
        return Some((Graph::clone(&checked.evaluation), calls.clone()));
    }
    check_function(&checked.function, instance, layers, true, errors).map(|walked| (walked.graph, walked.calls))
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
    let (graph, _) = in_training(checked, instance, layers, errors)?;
    let mut graph = reordered(graph);
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
    check_tile(function, &graph, errors);
    if !function.method {
        // The gradients of a plain function are results like any other.
        let gradients = std::mem::take(&mut graph.gradients);
        graph.outputs.extend(gradients.into_iter().map(|(_, value)| value));
    }
    Some(graph)
}

/// The function that `summary()` is about: `forward` if there is one, else the first method.
pub(crate) fn summarised(functions: &[CheckedFunction]) -> Option<usize> {
    let forward = functions.iter().position(|own| own.function.method && own.function.name == "forward");
    forward.or_else(|| functions.iter().position(|own| own.function.method))
}

/// Notes in the rows of a method what a training step keeps for its backward pass.
fn note_kept(checked: &mut CheckedFunction, instance: &Rc<Instance>, layers: &[LayerInstance], errors: &mut Errors) {
    let Some((graph, calls)) = in_training(checked, instance, layers, errors) else { return };
    let (graph, origins) = reorder(graph);
    let targets = parameters(&graph, layers);
    for (row, kept) in checked.rows.iter_mut().zip(summary::kept(graph, &origins, &calls, &targets).unwrap_or_default())
    {
        row.kept = kept;
    }
}

/// The parameters that are trained and that the function uses.
fn parameters(graph: &Graph, layers: &[LayerInstance]) -> Vec<(Target, Value)> {
    let trained = |(position, node): (usize, &Node)| match node.kind {
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

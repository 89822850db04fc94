//! The compiler without its macros: graphs and schedules of a block, for tests, dumps and fuzzing.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use graven_kernels::op::{Array, Scalar};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use crate::check;
use crate::diagnostics::Errors;
use crate::graph::{Graph, Kind};
use crate::memory;
use crate::schedule::{Loop, Schedule};
use crate::syntax::{check_depth, parse_description};

/// The graphs of one function.
#[derive(Debug)]
pub struct Inspected {
    /// Its name.
    pub name: String,
    /// As it runs when called directly.
    pub evaluation: Graph,
    /// In training; the gradients of a plain function stand behind its results.
    pub training: Option<Graph>,
}

/// The graphs of a block; `structure` is the struct it describes, empty for a block of plain functions.
///
/// # Errors
/// The messages that a user would see.
///
/// ```
/// use graven_compiler::inspect;
/// use quote::quote;
///
/// let block = quote! { fn square(x: Tensor<[3]>) -> Tensor<[]> { sum(x * x) } };
/// let inspected = inspect(quote!(), block).unwrap();
/// assert_eq!(inspected[0].name, "square");
/// assert!(inspected[0].training.is_some());
///
/// let wrong = quote! { fn sum_of(x: Tensor<[3]>, y: Tensor<[4]>) -> Tensor<[3]> { x + y } };
/// assert!(inspect(quote!(), wrong).unwrap_err()[0].contains("3 and 4 do not fit"));
/// ```
pub fn inspect(structure: TokenStream, block: TokenStream) -> Result<Vec<Inspected>, Vec<String>> {
    for tokens in [&structure, &block] {
        check_depth(tokens).map_err(|mistake| vec![mistake.to_string()])?;
    }
    let plain = structure.is_empty();
    let structure = if plain {
        quote!(
            struct _Functions;
        )
    } else {
        structure
    };
    let description = quote!({ #structure } { #block } {});
    let (mut module, _) = parse_description(description.clone()).map_err(|error| vec![error.to_string()])?;
    if plain {
        module.name = Ident::new("_Functions", Span::call_site());
    }
    let mut errors = Errors::default();
    let checked = check::check(&Rc::new(module), &mut errors, &|_| {});
    errors.settle(&description, &check::count_mistakes);
    if !errors.is_empty() {
        return Err(errors.messages());
    }
    let inspected = checked.functions.into_iter().map(|checked| Inspected {
        name: checked.function.name.to_string(),
        evaluation: Arc::unwrap_or_clone(checked.evaluation),
        training: checked.training.map(Arc::unwrap_or_clone),
    });
    Ok(inspected.collect())
}

/// What the macros write for a struct and its block, where graven is called `krate`: errors if there are mistakes.
///
/// ```
/// use graven_compiler::expand;
/// use quote::quote;
///
/// let structure = quote! { struct Net { #[layer(out_features = 2)] fc: Linear } };
/// let block = quote! { impl Net { fn forward(&self, t: Tensor<[N, 3]>) -> Tensor<[N, 2]> { self.fc(t) } } };
/// let code = expand(&quote!(::graven), &structure, &block).to_string();
/// assert!(code.contains("fn forward_into"));
/// ```
#[must_use]
pub fn expand(krate: &TokenStream, structure: &TokenStream, block: &TokenStream) -> TokenStream {
    let read = [structure, block].into_iter().try_for_each(check_depth);
    let (module, assertions) = match read.and_then(|()| parse_description(quote!({ #structure } { #block } {}))) {
        Ok(parsed) => parsed,
        Err(error) => return error.to_compile_error(),
    };
    let mut errors = Errors::default();
    let code = crate::expand::compile(krate, &module, true, &assertions, &mut errors);
    let errors = errors.into_compile_errors();
    quote!(#errors #code)
}

/// Checks what holds of a graph, of its schedule, and of the memory plans of the schedule's loops. Tests do; while building,
/// `GRAVEN_VERIFY=1` does, since it takes as long as a stage.
///
/// # Errors
/// The first broken rule, in words.
pub fn verify(graph: &Graph, schedule: &Schedule) -> Result<(), String> {
    crate::graph::verify(graph)?;
    crate::graph::verify(&schedule.graph).map_err(|broken| format!("{broken}\n{}", schedule.graph))?;
    crate::schedule::verify(schedule).map_err(|broken| format!("{broken}\n{}{schedule}", schedule.graph))?;
    for own in schedule.stages.iter().flat_map(|stage| &stage.loops).flat_map(Loop::ways) {
        let arena = memory::plan(&schedule.graph, own);
        memory::verify(&schedule.graph, own, &arena).map_err(|broken| format!("{broken}\n{schedule}"))?;
    }
    Ok(())
}

/// Runs a graph with the naive version of every operation, in f64: the arbiter of tests.
///
/// `inputs` stand in the order of the arguments, `parameters` by their keys; `symbols` give the sizes that the run binds.
/// Results come in order, then gradients.
#[must_use]
pub fn interpret(
    graph: &Graph,
    inputs: &[Array],
    parameters: &HashMap<String, Array>,
    symbols: &HashMap<String, usize>,
    seed: u64,
) -> Vec<Array> {
    let size = |dim: &graven_kernels::dim::Dim| {
        dim.factor() * dim.symbols().iter().map(|symbol| symbols[symbol]).product::<usize>()
    };
    let number = |scalar: &Scalar| scalar.factor * size(&scalar.times) as f64 / size(&scalar.over) as f64;
    let mut values: Vec<Array> = Vec::new();
    for node in &graph.nodes {
        let dims: Vec<usize> = node.ty.dims.iter().map(size).collect();
        values.push(match &node.kind {
            Kind::Input(index) => inputs[*index].clone(),
            Kind::Parameter { .. } => parameters[&*node.label].clone(),
            Kind::Scalar(scalar) => Array { dims: Vec::new(), data: vec![number(scalar)] },
            Kind::Op(op) => {
                let operands: Vec<&Array> = node.inputs.iter().map(|input| &values[input.0]).collect();
                match op.formula() {
                    // Formulas after fusion hold numbers that depend on sizes, which only the caller knows.
                    Some(formula) => Array::from_fn(&dims, |index| {
                        let operands: Vec<f64> = operands.iter().map(|operand| operand.broadcast_at(index)).collect();
                        formula.evaluate(&operands, &number)
                    }),
                    None => op.reference(&operands, &dims, seed),
                }
            }
        });
    }
    graph.results().map(|value| values[value.0].clone()).collect()
}

//! The methods on the struct, and plain functions: signatures that read as if written by hand, around the plans.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::Attribute;

use crate::graph::Graph;
use crate::syntax::{Function, Output, TensorType};

/// A function with what its signatures are made of.
pub(super) struct Signatures<'a> {
    pub(super) krate: &'a TokenStream,
    pub(super) function: &'a Function,
    /// Whether there are `_grad` and `_step`.
    pub(super) training: bool,
    /// Sentences for the docs: shapes, work.
    pub(super) facts: Vec<String>,
    /// The calls of layers, as a table for the docs.
    pub(super) table: TokenStream,
}

/// What the methods do: call their plans, or nothing because a mistake was reported.
pub(super) enum Bodies {
    Plans {
        /// The function that gives the plan of the evaluation.
        evaluation: Ident,
        /// The same of the training.
        training: Option<Ident>,
        /// For a plain function: the items that its two plans are, put into the functions that run them.
        items: [TokenStream; 2],
    },
    Stubs,
}

impl Signatures<'_> {
    fn arguments(&self) -> TokenStream {
        let krate = self.krate;
        let arguments = self.function.arguments.iter().map(|argument| {
            let name = &argument.name;
            let element = match &argument.ty {
                TensorType { unread: true, .. } => quote!(<impl #krate::Element>),
                TensorType { integers: true, .. } => quote!(<i64>),
                _ => quote!(),
            };
            quote!(#name: &#krate::Tensor #element)
        });
        quote!(#(#arguments,)*)
    }

    fn names(&self) -> Vec<&Ident> {
        self.function.arguments.iter().map(|argument| &argument.name).collect()
    }

    /// The element types of the results.
    fn results(&self) -> Vec<TokenStream> {
        let krate = self.krate;
        let element = |integers: bool| if integers { quote!(#krate::Tensor<i64>) } else { quote!(#krate::Tensor) };
        self.function.output.types().iter().map(|ty| element(ty.integers)).collect()
    }

    /// Names for `n` results, none of them a name of an argument.
    fn result_names(&self, prefix: &str, n: usize) -> Vec<Ident> {
        let taken = |name: &str| self.function.arguments.iter().any(|argument| argument.name == name);
        let name = |index: usize| {
            let mut name = if n == 1 { prefix.to_owned() } else { format!("{prefix}_{index}") };
            while taken(&name) {
                name.push('_');
            }
            Ident::new(&name, Span::mixed_site())
        };
        (0..n).map(name).collect()
    }

    fn result_type(&self, extra: &[TokenStream]) -> TokenStream {
        let results = [self.results(), extra.to_vec()].concat();
        match (&self.function.output, results.as_slice()) {
            (Output::One(_), [one]) => one.clone(),
            (_, results) => quote!((#(#results),*)),
        }
    }

    fn result_value(&self, names: &[Ident], extra: &[TokenStream]) -> TokenStream {
        let all: Vec<TokenStream> = names.iter().map(|name| quote!(#name)).chain(extra.iter().cloned()).collect();
        match (&self.function.output, all.as_slice()) {
            (Output::One(_), [one]) => one.clone(),
            (_, all) => quote!((#(#all),*)),
        }
    }

    fn docs(&self, summary: &str) -> TokenStream {
        let own: Vec<&Attribute> =
            self.function.attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).collect();
        let own = if own.is_empty() { quote!() } else { quote!(#(#own)* #[doc = ""]) };
        let facts = self.facts.iter().map(|fact| format!(" {fact}"));
        let summary = format!(" {summary}");
        quote!(#own #[doc = #summary] #[doc = ""] #(#[doc = #facts])*)
    }

    fn other_attributes(&self) -> TokenStream {
        let own = self.function.attributes.iter().filter(|attribute| !attribute.path().is_ident("doc"));
        quote!(#(#own)*)
    }

    /// All items of a method.
    pub(super) fn methods(&self, bodies: &Bodies) -> TokenStream {
        let mut items = self.evaluation(bodies);
        if self.training {
            items.extend(self.training(bodies));
        }
        items
    }

    fn evaluation(&self, bodies: &Bodies) -> TokenStream {
        let krate = self.krate;
        let Function { name, visibility, method, .. } = self.function;
        let (arguments, inputs) = (self.arguments(), self.names());
        let receiver = method.then(|| quote!(&self,));
        let results = self.results();
        let outputs = self.result_names("output", results.len());
        let result_type = self.result_type(&[]);
        let result_value = self.result_value(&outputs, &[]);
        let into = format_ident!("{name}_into");
        let call = if *method { quote!(self.#into) } else { quote!(#into) };
        let allow = (!method).then(super::allowances);
        let (body, into_body) = match bodies {
            Bodies::Plans { evaluation, items: [items, _], .. } => (
                quote! {
                    #(let mut #outputs = #krate::Tensor::empty();)*
                    #call(#(#inputs,)* #(&mut #outputs),*)?;
                    Ok(#result_value)
                },
                {
                    let bound = self.bound(evaluation);
                    quote!(#items graven::run(#evaluation(), #bound, &[#(#inputs.into()),*], &mut [#(#outputs.into()),*]))
                },
            ),
            Bodies::Stubs => (stub(&inputs), stub(&inputs)),
        };
        let attributes = self.other_attributes();
        let mode = if *method { " In evaluation: nothing is dropped, no gradient is kept." } else { "" };
        let docs = self.docs(&format!("Computes the function on a batch.{mode}"));
        // Not for `_grad` and the others as well: five copies would make a long network slow to compile.
        let table = &self.table;
        let into_docs = self.docs(&format!("As `{name}`, into tensors that are there: allocates nothing after the first call with a batch of that size."));
        quote! {
            #docs
            #table
            #attributes
            #visibility fn #name(#receiver #arguments) -> #krate::Result<#result_type> { #body }
            #into_docs
            #allow
            #visibility fn #into(#receiver #arguments #(#outputs: &mut #results),*) -> #krate::Result<()> { #into_body }
        }
    }

    fn bound(&self, plan: &Ident) -> TokenStream {
        if self.function.method {
            quote!(graven::bind(self, &MODULE, #plan())?)
        } else {
            quote!(graven::Bound::function(&WORKSPACES))
        }
    }

    fn training(&self, bodies: &Bodies) -> TokenStream {
        if self.function.method { self.training_method(bodies) } else { self.training_function(bodies) }
    }

    /// `_grad`, `_grad_into` and `_step` of a method: gradients with respect to the parameters.
    fn training_method(&self, bodies: &Bodies) -> TokenStream {
        let krate = self.krate;
        let Function { name, visibility, .. } = self.function;
        let (arguments, inputs) = (self.arguments(), self.names());
        let n_results = self.function.output.types().len();
        let outputs = self.result_names("output", n_results);
        let [gradients, optimizer] = ["gradients", "optimizer"].map(|prefix| self.result_names(prefix, 1).remove(0));
        let result_type = self.result_type(&[]);
        let with_gradients = self.result_type(&[quote!(#krate::Gradients)]);
        let result_value = self.result_value(&outputs, &[]);
        let all_value = self.result_value(&outputs, &[quote!(#gradients)]);
        let [grad, grad_into, step] = ["grad", "grad_into", "step"].map(|suffix| format_ident!("{name}_{suffix}"));
        let result_pattern = result_value.clone();
        let (grad_body, into_body, step_body) = match bodies {
            Bodies::Plans { training: Some(training), .. } => (
                quote! {
                    let mut #gradients = graven::gradients(self, &MODULE, #training())?;
                    let #result_pattern = self.#grad_into(#(#inputs,)* &mut #gradients)?;
                    Ok(#all_value)
                },
                quote! {
                    #(let mut #outputs = #krate::Tensor::empty();)*
                    let bound = graven::bind(self, &MODULE, #training())?;
                    graven::run_grad(#training(), bound, &[#(#inputs.into()),*], &mut [#((&mut #outputs).into()),*], #gradients)?;
                    Ok(#result_value)
                },
                quote! {
                    #(let mut #outputs = #krate::Tensor::empty();)*
                    let bound = graven::bind_mut(self, &MODULE, #training())?;
                    graven::run_step(#training(), bound, &[#(#inputs.into()),*], &mut [#((&mut #outputs).into()),*], #optimizer)?;
                    Ok(#result_value)
                },
            ),
            _ => (stub(&inputs), stub(&inputs), stub(&inputs)),
        };
        let grad_docs = self.docs("In training: the results, and the gradient of the first one with respect to every parameter that is trained.");
        let into_docs = self.docs(&format!("As `{grad}`, into gradients that are there: allocates nothing after the first call with a batch of that size."));
        let step_docs = self.docs("One training step: forward, backward, and the optimizer's update of the parameters. Allocates nothing after the first call with a batch of that size.");
        quote! {
            #grad_docs
            #visibility fn #grad(&self, #arguments) -> #krate::Result<#with_gradients> { #grad_body }
            #into_docs
            #visibility fn #grad_into(&self, #arguments #gradients: &mut #krate::Gradients) -> #krate::Result<#result_type> { #into_body }
            #step_docs
            #visibility fn #step(&mut self, #arguments #optimizer: &mut impl #krate::Optimizer) -> #krate::Result<#result_type> { #step_body }
        }
    }

    /// `_grad` and `_grad_into` of a plain function: gradients with respect to its float arguments.
    fn training_function(&self, bodies: &Bodies) -> TokenStream {
        let krate = self.krate;
        let Function { name, visibility, .. } = self.function;
        let (arguments, inputs) = (self.arguments(), self.names());
        let mut results = self.results();
        let floats: Vec<String> = self
            .function
            .arguments
            .iter()
            .filter(|argument| !argument.ty.integers)
            .map(|argument| argument.name.to_string())
            .collect();
        let mut outputs = self.result_names("output", results.len());
        for float in &floats {
            results.push(quote!(#krate::Tensor));
            outputs.push(Ident::new(&format!("grad_{float}"), Span::mixed_site()));
        }
        let [grad, into] = ["grad", "grad_into"].map(|suffix| format_ident!("{name}_{suffix}"));
        let allow = super::allowances();
        let (body, into_body) = match bodies {
            Bodies::Plans { training: Some(training), items: [_, items], .. } => (
                quote! {
                    #(let mut #outputs = #krate::Tensor::empty();)*
                    #into(#(#inputs,)* #(&mut #outputs),*)?;
                    Ok((#(#outputs),*))
                },
                {
                    let bound = self.bound(training);
                    quote!(#items graven::run(#training(), #bound, &[#(#inputs.into()),*], &mut [#(#outputs.into()),*]))
                },
            ),
            _ => (stub(&inputs), stub(&inputs)),
        };
        let docs = self.docs(&format!(
            "The results, then the gradient of the first one with respect to {}.",
            floats.iter().map(|float| format!("`{float}`")).collect::<Vec<_>>().join(", ")
        ));
        let into_docs = self.docs(&format!("As `{grad}`, into tensors that are there: allocates nothing after the first call with arguments of that size."));
        quote! {
            #docs
            #visibility fn #grad(#arguments) -> #krate::Result<(#(#results),*)> { #body }
            #into_docs
            #allow
            #visibility fn #into(#arguments #(#outputs: &mut #results),*) -> #krate::Result<()> { #into_body }
        }
    }
}

/// A body that is never run; it names the arguments, so that no lint does.
fn stub(arguments: &[&Ident]) -> TokenStream {
    quote! {
        let _ = (#(#arguments),*);
        unreachable!("a mistake in this network was reported while compiling")
    }
}

/// Sentences about a function for its docs.
pub(super) fn facts(function: &Function, graph: &Graph, parameters: usize) -> Vec<String> {
    let shape = |value: graven_kernels::op::Value| format!("`{}`", graph.node(value).ty);
    let inputs: Vec<String> =
        graph.inputs.iter().map(|input| format!("`{}`: {}", input.name, shape(input.value))).collect();
    let outputs: Vec<String> =
        graph.outputs.iter().take(function.output.types().len()).map(|value| shape(*value)).collect();
    let arguments = if inputs.is_empty() { "Takes nothing".to_owned() } else { inputs.join(", ") };
    let mut facts = vec![format!("{arguments} -> {}.", outputs.join(", "))];
    if parameters > 0 {
        facts.push(format!("The module has {parameters} parameters."));
    }
    facts
}

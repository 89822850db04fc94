//! Emit: Rust from the schedule and the memory plan. Nothing is decided here.

mod cuda;
pub(crate) use cuda::program;
pub use cuda::{Argument, Launched, Program};
mod formula;
mod layout;
mod methods;
mod names;
mod plan;
mod summary;
mod text;
mod work;

use std::path::Path;
use std::sync::Arc;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};

use crate::check::{Checked, CheckedFunction};
use crate::syntax::{Assertion, Function, Module};
use layout::ParameterLayout;
use methods::{Bodies, Signatures, facts};
use text::Text;
use work::Job;
pub(crate) use work::Planner;

/// Lints that emitted code should not be held to: it is not written by the user, and its form follows the compiler.
fn allowances() -> TokenStream {
    quote! {
        #[allow(
            clippy::all,
            clippy::pedantic,
            clippy::nursery,
            dead_code,
            non_local_definitions,
            non_snake_case,
            non_upper_case_globals,
            unused_doc_comments,
            unused_imports,
            unused_qualifications,
            unused_variables
        )]
    }
}

/// The items of a block without mistakes.
pub(crate) fn emit(
    krate: &TokenStream,
    module: &Module,
    has_struct: bool,
    checked: Option<&Checked>,
    assertions: &[Assertion],
    planner: &Planner,
) -> TokenStream {
    let allow = allowances();
    let mut items = TokenStream::new();
    let constants = constants(module);
    let assertions = assertions.iter().map(|assertion| self::assertion(module, assertion));
    let mut plans = TokenStream::new();
    let mut methods = TokenStream::new();
    let mut functions = TokenStream::new();
    if let Some(checked) = checked {
        let layout = Arc::new(ParameterLayout::new(&checked.layers));
        // A plain function has no parameters, even in the block of a struct.
        let none = Arc::default();
        let of = |function: &Function| if function.method { &layout } else { &none };
        let owner = if has_struct { format!("{}::", module.name) } else { String::new() };
        let jobs: Vec<Job> = checked.functions.iter().flat_map(|own| jobs_of(own, &owner, of(&own.function))).collect();
        let names: Vec<String> = jobs.iter().map(|job| job.context.name.clone()).collect();
        let writing = planner.write(jobs);
        // Meanwhile what only this thread can do.
        let mut of_module = TokenStream::new();
        if has_struct {
            of_module.extend(module_plan(module, checked, &layout));
            of_module.extend(checked.weights.iter().map(|path| depend_on(path)));
            of_module.extend(summary::lookups(module, checked));
            let methods = checked.functions.iter().filter(|checked| checked.function.method);
            let names: Vec<Ident> = methods.flat_map(plan_names).collect();
            items.extend(model(krate, module, &summary::plan(module, checked), &names));
        }
        let tables: Vec<TokenStream> =
            checked.functions.iter().map(|function| summary::docs(checked, function)).collect();
        let mut planned = names.iter().zip(writing.read());
        for (function, table) in checked.functions.iter().zip(tables) {
            let layout = of(&function.function);
            let names = plan_names(function);
            let plans_of = names.iter().zip(planned.by_ref()).map(|(name, (of, body))| {
                let doc = format!(" What `{of}` does, as the compiler planned it.");
                quote! {
                    #[doc = #doc]
                    fn #name() -> &'static graven::Plan { #body }
                }
            });
            let plans_of: Vec<TokenStream> = plans_of.collect();
            let (own, body) = self::function(krate, function, layout, table, &names, plans_of);
            if function.function.method {
                plans.extend(own);
                methods.extend(body);
            } else {
                functions.extend(body);
            }
        }
        plans.extend(of_module);
    }
    if has_struct {
        items.extend(structure(krate, module, true));
    }
    let name = &module.name;
    let inherent = (!methods.is_empty()).then(|| quote!(impl #name { #methods }));
    let block = quote! {
        #allow
        const _: () = {
            use #krate::__private as graven;
            use graven::kernels;
            use graven::kernels::cpu::math;
            #constants
            #(#assertions)*
            #plans
            #inherent
            #items
        };
    };
    quote!(#block #functions)
}

/// The functions that give the plans of one function: to evaluate it, and to differentiate it.
fn plan_names(checked: &CheckedFunction) -> Vec<Ident> {
    let name = |suffix: &str| format_ident!("{}{suffix}", checked.function.name, span = Span::mixed_site());
    suffixes(checked).map(|suffix| name(&format!("{suffix}_plan"))).collect()
}

/// The plans of one function, by what stands behind its name.
fn suffixes(checked: &CheckedFunction) -> impl Iterator<Item = &'static str> {
    std::iter::once("").chain(checked.training.as_ref().map(|_| "_grad"))
}

/// What has to be planned for one function.
fn jobs_of<'a>(
    checked: &'a CheckedFunction,
    owner: &str,
    layout: &'a Arc<ParameterLayout>,
) -> impl Iterator<Item = Job> {
    let graphs = std::iter::once(&checked.evaluation).chain(&checked.training);
    graphs.zip(suffixes(checked)).map(move |(graph, suffix)| {
        let name = format!("{owner}{}{suffix}", checked.function.name);
        crate::dump::print(&name, graph);
        Job { graph: Arc::clone(graph), context: plan::Context { name, layout: Arc::clone(layout) } }
    })
}

/// (the functions that give the plans, the methods) of one function.
fn function(
    krate: &TokenStream,
    checked: &CheckedFunction,
    layout: &ParameterLayout,
    table: TokenStream,
    names: &[Ident],
    plans: Vec<TokenStream>,
) -> (TokenStream, TokenStream) {
    let function = &checked.function;
    let mut names = names.iter().cloned();
    let (evaluation, training) = (names.next().expect("every function has a plan"), names.next());
    let signatures = Signatures {
        krate,
        function,
        training: training.is_some(),
        facts: facts(function, &checked.evaluation, layout.parameters()),
        table,
    };
    if function.method {
        let bodies = Bodies::Plans { evaluation, training, items: Default::default() };
        return (quote!(#(#plans)*), signatures.methods(&bodies));
    }
    // A plain function stands beside the block, so its plans stand inside of it.
    let mut plans = plans.into_iter();
    let mut items = || {
        let plan = plans.next();
        quote! {
            use #krate::__private as graven;
            use graven::kernels;
            use graven::kernels::cpu::math;
            static WORKSPACES: graven::Workspaces = graven::Workspaces::new();
            #plan
        }
    };
    let items = [items(), items()];
    (TokenStream::new(), signatures.methods(&Bodies::Plans { evaluation, training, items }))
}

/// Lets cargo build the network again when a file changes. The bytes reach no program: rustc only reads them, which costs
/// about 7 ms and 3 MB of memory for each MB, measured at 400 MB.
fn depend_on(path: &Path) -> TokenStream {
    let path = path.to_string_lossy();
    quote!(
        const _: &[u8] = std::include_bytes!(#path);
    )
}

fn constants(module: &Module) -> TokenStream {
    let constants = module.constants.iter().map(|constant| {
        let (name, value) = (&constant.name, &constant.value);
        quote!(const #name: usize = #value;)
    });
    quote!(#(#constants)*)
}

/// `assert!(A == B)` as a constant that rustc evaluates, with a message that says what to do.
fn assertion(module: &Module, assertion: &Assertion) -> TokenStream {
    let (tokens, condition) = (&assertion.tokens, &assertion.condition);
    if tokens.to_string() != quote!(#condition).to_string() {
        return quote!(
            const _: () = assert!(#tokens);
        );
    }
    let text = crate::check::text(condition);
    let named = module
        .constants
        .iter()
        .find(|constant| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| constant.name == word));
    let help = named.map_or(String::new(), |constant| {
        format!(
            "\nnote: `{}` is {} in this block\nhelp: change `const {}` to the other value",
            constant.name,
            crate::check::text(&constant.value),
            constant.name
        )
    });
    let message = format!("`{text}` does not hold{help}");
    let call = shown_as(condition, quote!(hold(#condition, #message)));
    quote! {
        const _: () = {
            #[track_caller]
            const fn hold(condition: bool, message: &str) {
                assert!(condition, "{}", message);
            }
            #call
        };
    }
}

/// Code that rustc shows as some other tokens: its first token stands where they begin, its last one where they end.
fn shown_as(tokens: &impl ToTokens, code: TokenStream) -> TokenStream {
    let spans: Vec<Span> = tokens.to_token_stream().into_iter().map(|token| token.span()).collect();
    let mut code: Vec<TokenTree> = code.into_iter().collect();
    if let ([first, ..], [.., last]) = (code.as_mut_slice(), spans.as_slice()) {
        first.set_span(spans[0]);
        if let Some(end) = code.last_mut() {
            end.set_span(*last);
        }
    }
    code.into_iter().collect()
}

/// `impl Structure` and `impl Module`: how the module is built and walked.
fn structure(krate: &TokenStream, module: &Module, real: bool) -> TokenStream {
    let name = &module.name;
    let (parameters, arguments, _) = module.generics.split_for_impl();
    let fields: Vec<&Ident> = module.fields.iter().map(|field| &field.name).collect();
    let build = if real {
        quote!(Self { #(#fields: graven::Structure::build(builder)),* })
    } else {
        quote!(unreachable!("a mistake in this network was reported while compiling"))
    };
    let (visit, visit_mut) = if real {
        (
            quote!(#(graven::Structure::visit(&self.#fields, visitor);)*),
            quote!(#(graven::Structure::visit_mut(&mut self.#fields, visitor);)*),
        )
    } else {
        (quote!(), quote!())
    };
    let structure = quote! {
        impl #parameters graven::Structure for #name #arguments {
            fn build(builder: &mut graven::Builder<'_>) -> Self { #build }
            fn visit<'a>(&'a self, visitor: &mut dyn graven::Visitor<'a>) { #visit }
            fn visit_mut<'a>(&'a mut self, visitor: &mut dyn graven::VisitorMut<'a>) { #visit_mut }
        }
    };
    let module = quote!(impl #parameters #krate::Module for #name #arguments {});
    // Where two blocks describe one struct, rustc shows their names.
    [structure, module].map(|item| shown_as(name, item)).into_iter().collect()
}

/// `impl Model` and `impl Display`, for modules whose sizes are known.
fn model(krate: &TokenStream, module: &Module, summary: &TokenStream, plans: &[Ident]) -> TokenStream {
    let name = &module.name;
    let model = quote! {
        impl #krate::Model for #name {
            const SUMMARY: &'static graven::SummaryPlan = #summary;
            fn plan() -> &'static graven::ModulePlan { &MODULE }
            fn functions() -> Vec<&'static graven::Plan> { vec![#(#plans()),*] }
        }
    };
    let display = quote! {
        impl std::fmt::Display for #name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { graven::display(&MODULE, f) }
        }
    };
    [model, display].map(|item| shown_as(name, item)).into_iter().collect()
}

fn module_plan(module: &Module, checked: &Checked, layout: &ParameterLayout) -> TokenStream {
    let (mut layers, mut parameters) = (Text::default(), Text::default());
    for layer in &checked.layers {
        let (path, description) = (&layer.path, (layer.layer.describe)(&layer.arguments.borrow()));
        let n = layer.weights().len();
        write!(layers, "graven::LayerPlan {{ name: {path:?}, description: {description:?}, parameters: {n} }},");
    }
    for entry in &layout.entries {
        let (name, offset, trained) = (&entry.name, entry.offset, entry.trained);
        let (dims, bound) = (&entry.description.dims, entry.description.bound as f32);
        write!(
            parameters,
            "graven::ParameterPlan {{ name: {name:?}, dims: &{dims:?}, offset: {offset}, bound: {bound:?}f32, trained: {trained} }},"
        );
    }
    text::tokens(&format!(
        "/// The layers and the layout of the parameters.
        static MODULE: graven::ModulePlan = graven::ModulePlan {{
            name: {:?}, layers: &[{layers}], modules: &{:?}, parameters: &[{parameters}], length: {} }};",
        module.name.to_string(),
        checked.instance.nested(),
        layout.length
    ))
}

/// What stands in for a module with a mistake: the same signatures, so that the rest of the program still type-checks.
pub(crate) fn stubs(krate: &TokenStream, module: &Module, has_struct: bool) -> TokenStream {
    let allow = allowances();
    let generic = !module.generics.params.is_empty();
    let signatures = |function: &Function| {
        let training = function.output.types().first().is_some_and(|ty| ty.dims.is_empty() && !ty.integers);
        Signatures { krate, function, training, facts: Vec::new(), table: TokenStream::new() }.methods(&Bodies::Stubs)
    };
    let methods: TokenStream =
        module.functions.iter().filter(|function| function.method && !generic).map(signatures).collect();
    let functions: TokenStream = module.functions.iter().filter(|function| !function.method).map(signatures).collect();
    if !has_struct {
        return quote!(#functions);
    }
    let name = &module.name;
    let structure = structure(krate, module, false);
    let model = (!generic).then(|| {
        let text = module.name.to_string();
        let model = model(krate, module, &quote!(&graven::SummaryPlan::EMPTY), &[]);
        quote! {
            static MODULE: graven::ModulePlan = graven::ModulePlan { name: #text, layers: &[], modules: &[], parameters: &[], length: 0 };
            #model
        }
    });
    let inherent = (!methods.is_empty()).then(|| quote!(impl #name { #methods }));
    quote! {
        #allow
        const _: () = {
            use #krate::__private as graven;
            #inherent
            #structure
            #model
        };
        #functions
    }
}

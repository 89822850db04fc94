//! How the macros reach what they need. `#[derive(Module)]` hides a struct's tokens in a `macro_rules!` for the `network!`
//! behind it; `network!` asks that macro for the struct, then each module that the fields name for its description (a
//! macro under the module's own name), and compiles when it has them all. Each answer comes back as a call of the next
//! function here, with what was collected so far in front of it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::rc::Rc;
use std::time::Instant;

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, format_ident, quote};

use crate::check;
use crate::diagnostics::{Errors, at_site};
use crate::dump;
use crate::emit;
use crate::syntax::{Assertion, Envelope, Module, check_depth, parse_description, parse_input, parse_struct, path_key};

/// What all doors share: `GRAVEN_TIME=1` prints how long the answer took.
fn door(name: &str, input: TokenStream, answer: fn(TokenStream) -> syn::Result<TokenStream>) -> TokenStream {
    let start = std::env::var_os("GRAVEN_TIME").map(|_| Instant::now());
    let output = answer(input).unwrap_or_else(|mistake| mistake.to_compile_error());
    if let Some(start) = start {
        eprintln!("graven: {name} took {:.3} ms", 1000.0 * start.elapsed().as_secs_f64());
    }
    output
}

/// `#[derive(Module)]`: hides the tokens of the struct for the `network!` that follows in the same module.
#[must_use]
pub fn derive_module(item: TokenStream) -> TokenStream {
    door("derive_module", item, hide)
}

fn hide(item: TokenStream) -> syn::Result<TokenStream> {
    check_depth(&item)?;
    let module = parse_struct(item.clone())?;
    let name = struct_macro(&module.name);
    let hidden = format_ident!("__graven_struct_{}", module.name, span = Span::call_site());
    let modules = nested_modules(&module);
    // A struct with a mistake is shown as well: its block emits stubs, without a word.
    let mistakes = module.mistakes.iter().map(syn::Error::to_compile_error);
    Ok(quote! {
        #(#mistakes)*
        #[doc(hidden)]
        #[allow(unused_macros)]
        macro_rules! #hidden {
            ({ $($callback:tt)* } $($state:tt)*) => { $($callback)* ! { { #item } [#({ #modules })*] $($state)* } };
        }
        // By this import the block may stand above its struct as well as below.
        #[doc(hidden)]
        #[allow(unused_imports)]
        use #hidden as #name;
    })
}

/// The modules that the fields name, each once.
fn nested_modules(module: &Module) -> Vec<TokenStream> {
    let mut seen = Vec::new();
    let mut modules = Vec::new();
    for field in &module.fields {
        let key = path_key(&field.path);
        if graven_kernels::layers::layer(&key).is_none() && !seen.contains(&key) {
            seen.push(key);
            modules.push(field.path.to_token_stream());
        }
    }
    modules
}

/// The macro that holds a struct's tokens; it bears the span of the name as the user wrote it. Its name is read by people
/// where it is missing: "cannot find macro `Network_with_derive_Module_in_this_module` in this scope".
fn struct_macro(name: &Ident) -> Ident {
    format_ident!("{name}_with_derive_Module_in_this_module", span = name.span())
}

/// What travels from call to call.
struct State {
    /// `$crate` of graven, as the user names it.
    krate: TokenStream,
    structure: TokenStream,
    block: TokenStream,
    /// Paths of modules whose descriptions are not here yet.
    pending: Vec<TokenStream>,
    /// `path { description }` of those that are.
    collected: TokenStream,
}

impl State {
    fn tokens(&self) -> TokenStream {
        let State { krate, structure, block, pending, collected } = self;
        quote!((#krate) { #structure } { #block } [#({ #pending })*] { #collected })
    }

    /// Asks the next module for its description, or compiles.
    fn next(self) -> TokenStream {
        let (krate, tokens) = (&self.krate, self.tokens());
        match self.pending.first() {
            Some(path) => quote!(#path ! { { #krate::__private::macros::network_module } #tokens }),
            None => finish(&self),
        }
    }
}

/// `network!`: finds out which struct the block describes, and asks for it.
///
/// Takes `(crate) block`.
#[must_use]
pub fn network(input: TokenStream) -> TokenStream {
    door("network", input, start)
}

fn start(input: TokenStream) -> syn::Result<TokenStream> {
    let mut input = Envelope::new(input);
    let (krate, block) = (input.group(Delimiter::Parenthesis)?, input.rest());
    check_depth(&block)?;
    // Nearly every block is one `impl`; only others are read to the end here, where nothing but their names is asked for.
    let (name, others) = match lone_impl(&block) {
        Some(name) => (Some(name), Vec::new()),
        None => parse_input(block.clone()).map(|parsed| (parsed.name, parsed.others))?,
    };
    let Some(name) = name else {
        let (structure, pending, collected) = (TokenStream::new(), Vec::new(), TokenStream::new());
        return Ok(finish(&State { krate, structure, block, pending, collected }));
    };
    let holder = struct_macro(&name);
    let others = others.iter().map(|other| quote!(#krate::network! { #other }));
    Ok(quote!(#holder ! { { #krate::__private::macros::network_struct } (#krate) { #block } } #(#others)*))
}

/// The name in `impl Name { .. }`, if the block is nothing else.
fn lone_impl(block: &TokenStream) -> Option<Ident> {
    let mut tokens = block.clone().into_iter();
    match (tokens.next()?, tokens.next()?, tokens.next()?, tokens.next()) {
        (TokenTree::Ident(keyword), TokenTree::Ident(name), TokenTree::Group(body), None)
            if keyword == "impl"
                && body.delimiter() == Delimiter::Brace
                && syn::parse2::<Ident>(name.to_token_stream()).is_ok() =>
        {
            Some(name)
        }
        _ => None,
    }
}

/// The answer of the struct: `{ struct } [{ module }..] (crate) { block }`.
#[must_use]
pub fn network_struct(input: TokenStream) -> TokenStream {
    door("network_struct", input, with_struct)
}

fn with_struct(input: TokenStream) -> syn::Result<TokenStream> {
    let mut input = Envelope::new(input);
    let structure = input.group(Delimiter::Brace)?;
    let pending = Envelope::new(input.group(Delimiter::Bracket)?).groups().map(|group| group.stream()).collect();
    let krate = input.group(Delimiter::Parenthesis)?;
    let block = input.group(Delimiter::Brace)?;
    let mut state = State { krate, structure, block, pending, collected: TokenStream::new() };
    if let Some(site) = state.block.clone().into_iter().next().map(|token| token.span()) {
        // With the hygiene of the block, so that rustc shows the field alone if there is no such module.
        state.pending = state.pending.into_iter().map(|path| at_site(path, site)).collect();
    }
    Ok(state.next())
}

/// The answer of a module: `{ description } (crate) { struct } { block } [{ path }..] { collected }`; the first path is
/// the one that answers.
#[must_use]
pub fn network_module(input: TokenStream) -> TokenStream {
    door("network_module", input, with_module)
}

fn with_module(input: TokenStream) -> syn::Result<TokenStream> {
    let mut input = Envelope::new(input);
    let description = input.group(Delimiter::Brace)?;
    // Each description is read in its own module; here they stand in each other.
    check_depth(&description)?;
    let krate = input.group(Delimiter::Parenthesis)?;
    let (structure, block) = (input.group(Delimiter::Brace)?, input.group(Delimiter::Brace)?);
    let pending = Envelope::new(input.group(Delimiter::Bracket)?);
    let collected = input.group(Delimiter::Brace)?;
    let mut pending = pending.groups().map(|group| group.stream());
    let Some(path) = pending.next() else {
        return Err(syn::Error::new(Span::call_site(), "nobody asked for a module"));
    };
    let collected = quote!(#collected #path { #description });
    let state = State { krate, structure, block, pending: pending.collect(), collected };
    Ok(state.next())
}

/// Everything is here: compiles the block, and publishes the description of its module.
fn finish(state: &State) -> TokenStream {
    let State { krate, structure, block, collected, .. } = state;
    let without_struct = structure.is_empty();
    let structure = if without_struct {
        quote!(
            struct _Functions;
        )
    } else {
        structure.clone()
    };
    let description = quote!({ #structure } { #block } { #collected });
    let (mut module, assertions) = match parse_description(description.clone()) {
        Ok(parsed) => parsed,
        Err(error) => return error.to_compile_error(),
    };
    if without_struct {
        module.name = Ident::new("_Functions", Span::call_site());
    }
    // What is wrong with the struct, its derive has reported.
    if module.struct_mistakes > 0 {
        module.wrong = true;
        module.mistakes.drain(..module.struct_mistakes);
    }
    let mut errors = Errors::of_block(block);
    let compiled = compile(krate, &module, !without_struct, &assertions, &mut errors);
    errors.settle(&description, &check::count_mistakes);
    dump::print_module(&module, &compiled);
    // A module that is wrong says so once: whoever uses it emits stubs without a word.
    let wrong = !errors.is_empty() || module.wrong || module.nested.iter().any(|(_, nested)| nested.wrong);
    let wrong = wrong.then(|| quote!(wrong));
    let published = (!without_struct).then(|| publish(&module, &quote!(#description #wrong)));
    let errors = errors.into_compile_errors();
    quote!(#errors #compiled #published)
}

pub(crate) fn compile(
    krate: &TokenStream,
    module: &Module,
    has_struct: bool,
    assertions: &[Assertion],
    errors: &mut Errors,
) -> TokenStream {
    let stubs = || emit::stubs(krate, module, has_struct);
    module.mistakes.iter().for_each(|mistake| errors.push(mistake.clone()));
    if module.wrong || !module.mistakes.is_empty() || module.nested.iter().any(|(_, nested)| nested.wrong) {
        return stubs();
    }
    if !has_struct && let Some(method) = module.functions.iter().find(|function| function.method) {
        errors.at(
            &method.name,
            format!(
                "`{}` takes `&self`, but belongs to no struct\nhelp: put it into `impl Name {{ .. }}`",
                method.name
            ),
        );
        return TokenStream::new();
    }
    if let Some(path) = module.weights.first().filter(|_| !has_struct || !module.sizes.is_empty()) {
        let message = if has_struct {
            let name = &module.name;
            format!(
                "`{name}` has sizes, so no file can hold its weights\nhelp: name the file in the network that uses it"
            )
        } else {
            "functions own no weights\nhelp: put this into the block of a struct".to_owned()
        };
        errors.at(path, message);
        return stubs();
    }
    let planner = emit::Planner::default();
    if !module.sizes.is_empty() {
        // Checked where it is used, with its sizes put in.
        return emit::emit(krate, module, has_struct, None, assertions, &planner);
    }
    let checked = check::check(&Rc::new(module.clone()), errors, &|graph| planner.begin(graph));
    if errors.is_empty() {
        emit::emit(krate, module, has_struct, Some(&checked), assertions, &planner)
    } else {
        stubs()
    }
}

/// A macro under the module's own name that gives its description to whoever asks.
fn publish(module: &Module, description: &TokenStream) -> TokenStream {
    let (name, visibility) = (&module.name, &module.visibility);
    let hidden = format_ident!("__graven_{name}_{:016x}", hash(description), span = Span::mixed_site());
    let hidden = Ident::new(&hidden.to_string(), Span::call_site());
    // Where two blocks describe one struct, rustc shows their names.
    let imported = Ident::new(&hidden.to_string(), name.span());
    quote! {
        #[doc(hidden)]
        #[allow(non_local_definitions, unused_macros)]
        #[macro_export]
        macro_rules! #hidden {
            ({ $($callback:tt)* } $($state:tt)*) => { $($callback)* ! { { #description } $($state)* } };
        }
        #[doc(hidden)]
        #[allow(clippy::all, clippy::pedantic, clippy::nursery, unused_imports, unreachable_pub)]
        #visibility use #imported as #name;
    }
}

/// Exported macros share one namespace in a crate, so two modules of one name need two names: tokens, position and the
/// debug text of the call site tell them apart.
fn hash(description: &TokenStream) -> u64 {
    let mut hasher = DefaultHasher::new();
    description.to_string().hash(&mut hasher);
    format!("{:?}", Span::call_site()).hash(&mut hasher);
    if let Some(TokenTree::Group(first)) = description.clone().into_iter().next() {
        format!("{:?}", first.span()).hash(&mut hasher);
        first.stream().into_iter().for_each(|token| format!("{:?}", token.span()).hash(&mut hasher));
    }
    hasher.finish()
}

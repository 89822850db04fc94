//! The grammar. Bodies and sizes are ordinary Rust expressions, parsed by `syn`; only the tensor types in signatures are a
//! grammar of our own.

use std::rc::Rc;

use proc_macro2::{Delimiter, Group, Ident, Spacing, TokenStream, TokenTree};
use quote::{ToTokens as _, quote};
use syn::buffer::Cursor;
use syn::ext::IdentExt as _;
use syn::parse::discouraged::Speculative as _;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Block, Data, DataStruct, DeriveInput, Expr, LitStr, Path, Token, Type, Visibility, braced, bracketed,
    parenthesized, token,
};

use graven_kernels::layers::layer;

use super::envelope::Envelope;
use super::{Argument, Assertion, Constant, Field, Function, Module, Output, TensorType};

/// The content of a `network!` block.
#[derive(Debug, Clone, Default)]
pub(crate) struct Input {
    /// The struct that the block describes, if it describes one.
    pub(crate) name: Option<Ident>,
    pub(crate) constants: Vec<Constant>,
    pub(crate) assertions: Vec<Assertion>,
    pub(crate) functions: Vec<Function>,
    /// Files of weights that the network must fit.
    pub(crate) weights: Vec<LitStr>,
    /// Further `impl`s, which belong into blocks of their own.
    pub(crate) others: Vec<TokenStream>,
    /// What could not be read. Reading goes on behind it, so that stubs can stand in for the rest.
    pub(crate) mistakes: Vec<syn::Error>,
}

/// Parses the content of a `network!` block.
pub(crate) fn parse_input(tokens: TokenStream) -> syn::Result<Input> {
    syn::parse2(tokens)
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut result = Input::default();
        while !input.is_empty() {
            if input.peek(Token![impl]) { result.implementation(input)? } else { result.item(input)? }
        }
        Ok(result)
    }
}

impl Input {
    fn implementation(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let keyword: Token![impl] = input.parse()?;
        let name: Ident = input.parse()?;
        if !input.peek(token::Brace) {
            let message = if input.peek(Token![<]) {
                format!("the sizes of `{name}` stand on its struct\nhelp: remove them: `impl {name} {{ .. }}`")
            } else {
                "a `network!` block describes one struct\nhelp: name it: `impl Name { .. }`".to_owned()
            };
            self.mistakes.push(input.error(message));
            while !input.is_empty() && !input.peek(token::Brace) {
                input.parse::<TokenTree>()?;
            }
        }
        let content;
        braced!(content in input);
        if let Some(first) = &self.name {
            let message = format!(
                "this `network!` block describes `{first}` already\nhelp: write one `network!` block for each struct"
            );
            self.mistakes.push(syn::Error::new(name.span(), message));
            let body: TokenStream = content.parse()?;
            self.others.push(quote!(#keyword #name { #body }));
            return Ok(());
        }
        self.name = Some(name);
        while !content.is_empty() {
            self.item(&content)?;
        }
        Ok(())
    }

    /// Reads one item; one that cannot be read is noted and skipped.
    fn item(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let attempt = input.fork();
        match item(&attempt, &mut self.mistakes) {
            Ok(item) => {
                input.advance_to(&attempt);
                match item {
                    Item::Assertion(assertion) => self.assertions.push(assertion),
                    Item::Constant(constant) => self.constants.push(constant),
                    Item::Function(function) => self.functions.push(*function),
                    Item::Weights(path) => self.weights.push(path),
                }
                Ok(())
            }
            Err(mistake) => {
                self.mistakes.push(mistake);
                while !input.is_empty() {
                    let last = input.peek(Token![;]) || input.peek(token::Brace);
                    input.parse::<TokenTree>()?;
                    if last {
                        break;
                    }
                }
                Ok(())
            }
        }
    }
}

enum Item {
    Assertion(Assertion),
    Constant(Constant),
    Function(Box<Function>),
    Weights(LitStr),
}

fn item(input: ParseStream<'_>, mistakes: &mut Vec<syn::Error>) -> syn::Result<Item> {
    let attributes = input.call(Attribute::parse_outer)?;
    if input.peek(syn::Ident) && input.peek2(Token![!]) {
        let weights = input.fork().parse::<Ident>().is_ok_and(|name| name == "weights");
        return if weights { self::weights(input).map(Item::Weights) } else { assertion(input).map(Item::Assertion) };
    }
    let visibility: Visibility = input.parse()?;
    if input.peek(Token![const]) {
        return constant(input).map(Item::Constant);
    }
    if !input.peek(Token![fn]) {
        return Err(input.error("a `network!` block holds functions, `const NAME: usize = ..;` and `assert!(..);`"));
    }
    function(attributes, visibility, input, mistakes).map(|function| Item::Function(Box::new(function)))
}

fn assertion(input: ParseStream<'_>) -> syn::Result<Assertion> {
    let name: Ident = input.parse()?;
    if name != "assert" {
        return Err(syn::Error::new(
            name.span(),
            format!("`{name}!` cannot stand here\nhelp: a `network!` block takes `assert!(SIZE == other::SIZE);`"),
        ));
    }
    input.parse::<Token![!]>()?;
    let content;
    parenthesized!(content in input);
    let tokens: TokenStream = content.fork().parse()?;
    let condition = content.parse()?;
    content.parse::<TokenStream>()?;
    input.parse::<Option<Token![;]>>()?;
    Ok(Assertion { tokens, condition })
}

/// `weights!("network.safetensors");`
fn weights(input: ParseStream<'_>) -> syn::Result<LitStr> {
    let name: Ident = input.parse()?;
    input.parse::<Token![!]>()?;
    let content;
    parenthesized!(content in input);
    let path = content.parse::<LitStr>();
    let rest: TokenStream = content.parse()?;
    input.parse::<Option<Token![;]>>()?;
    path.ok().filter(|_| rest.is_empty()).ok_or_else(|| {
        let help = "help: write `weights!(\"network.safetensors\");`";
        syn::Error::new(name.span(), format!("`weights!` takes the path of one file\n{help}"))
    })
}

fn constant(input: ParseStream<'_>) -> syn::Result<Constant> {
    input.parse::<Token![const]>()?;
    let name = input.parse()?;
    if input.peek(Token![:]) {
        input.parse::<Token![:]>()?;
        let ty: Type = input.parse()?;
        if !matches!(&ty, Type::Path(path) if path.path.is_ident("usize")) {
            return Err(syn::Error::new_spanned(
                ty,
                format!("the constant `{name}` must be a `usize`: constants of a network are sizes"),
            ));
        }
    }
    input.parse::<Token![=]>()?;
    let value = input.parse()?;
    input.parse::<Token![;]>()?;
    Ok(Constant { name, value })
}

fn function(
    attributes: Vec<Attribute>,
    visibility: Visibility,
    input: ParseStream<'_>,
    mistakes: &mut Vec<syn::Error>,
) -> syn::Result<Function> {
    input.parse::<Token![fn]>()?;
    let name: Ident = input.parse()?;
    if input.peek(Token![<]) {
        return Err(input.error(format!("`{name}` takes no generics\nhelp: a size that is not declared, as `N` in `Tensor<[N, 10]>`, is bound by the arguments")));
    }
    let content;
    let parentheses = parenthesized!(content in input);
    let mut method = false;
    let mut arguments: Vec<Argument> = Vec::new();
    while !content.is_empty() {
        if content.peek(Token![&]) || content.peek(Token![self]) {
            content.parse::<Option<Token![&]>>()?;
            content.parse::<Option<Token![mut]>>()?;
            content.parse::<Token![self]>()?;
            method = true;
        } else {
            // Every variable may be assigned anew.
            content.parse::<Option<Token![mut]>>()?;
            let name: Ident = content.parse()?;
            content.parse::<Token![:]>()?;
            if arguments.iter().any(|argument| argument.name == name) {
                return Err(syn::Error::new(name.span(), format!("`{name}` is the name of two arguments")));
            }
            arguments.push(Argument { name, ty: tensor_type(&content, mistakes)? });
        }
        if content.is_empty() {
            break;
        }
        content.parse::<Token![,]>()?;
    }
    let output = if input.peek(Token![->]) {
        input.parse::<Token![->]>()?;
        output(input, mistakes)?
    } else {
        let help = "help: add `-> Tensor<[N, 10]>`, or `-> Tensor<[]>` for a single number";
        mistakes.push(syn::Error::new(name.span(), format!("`{name}` must say what it returns\n{help}")));
        Output::One(TensorType { dims: Vec::new(), integers: false, unread: false, span: parentheses.span.close() })
    };
    let content;
    let brace_token = braced!(content in input);
    let body: TokenStream = content.parse()?;
    let stmts = Block::parse_within.parse2(body.clone()).unwrap_or_else(|mistake| {
        mistakes.push(explained(mistake, &body));
        Vec::new()
    });
    Ok(Function { attributes, visibility, name, method, arguments, output, body: Block { brace_token, stmts } })
}

fn output(input: ParseStream<'_>, mistakes: &mut Vec<syn::Error>) -> syn::Result<Output> {
    if !input.peek(token::Paren) {
        return tensor_type(input, mistakes).map(Output::One);
    }
    let content;
    parenthesized!(content in input);
    let mut types = Vec::new();
    while !content.is_empty() {
        types.push(tensor_type(&content, mistakes)?);
        if content.is_empty() {
            break;
        }
        content.parse::<Token![,]>()?;
    }
    Ok(Output::Tuple(types))
}

/// Element types of other frameworks and of Rust that stand for labels.
const INTEGERS: &[&str] = &["i64", "u64", "i32", "u32", "u8", "usize", "int", "int64", "long", "longtensor"];

/// Reads a type; one that cannot be read is noted, and a number stands in for it.
fn tensor_type(input: ParseStream<'_>, mistakes: &mut Vec<syn::Error>) -> syn::Result<TensorType> {
    let attempt = input.fork();
    match attempt.parse() {
        Ok(ty) => {
            input.advance_to(&attempt);
            Ok(ty)
        }
        Err(mistake) => {
            mistakes.push(mistake);
            let span = input.span();
            let (mut depth, mut integers, mut unread) = (0, false, false);
            while !input.is_empty() && !input.peek(token::Brace) && (depth > 0 || !input.peek(Token![,])) {
                depth += i32::from(input.peek(Token![<])) - i32::from(input.peek(Token![>]));
                // So that the stub takes the labels that are meant, or whatever is given where that cannot be known.
                let token = input.parse::<TokenTree>()?.to_string();
                integers |= INTEGERS.contains(&token.to_ascii_lowercase().as_str());
                unread |= token == "f64";
            }
            Ok(TensorType { dims: Vec::new(), integers, unread, span })
        }
    }
}

/// A size of a shape.
fn dim(input: ParseStream<'_>) -> syn::Result<Expr> {
    if input.peek(Token![?]) {
        return Err(input.error("`?` is no size\nhelp: write `N`: a name stands for a size that the run brings"));
    }
    input.parse()
}

impl Parse for TensorType {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        // A reference means nothing here, but people write it.
        input.parse::<Option<Token![&]>>()?;
        let name: Ident = input.call(Ident::parse_any)?;
        if name != "Tensor" {
            return Err(syn::Error::new(
                name.span(),
                format!(
                    "`{name}` cannot stand here\nhelp: arguments and results are `Tensor<[N, 1, 28, 28]>`, or `Tensor<[N], i64>` for integers"
                ),
            ));
        }
        if !input.peek(Token![<]) {
            return Err(syn::Error::new(
                name.span(),
                "a `Tensor` in a `network!` block names its shape\nhelp: add it, as in `Tensor<[N, 1, 28, 28]>`",
            ));
        }
        input.parse::<Token![<]>()?;
        if input.peek(token::Paren) {
            let group: Group = input.parse()?;
            let message =
                format!("a shape stands in square brackets\nhelp: write `[{}]`", crate::check::text(&group.stream()));
            return Err(syn::Error::new(group.span(), message));
        }
        let content;
        let bracket = bracketed!(content in input);
        let dims = content.parse_terminated(dim, Token![,])?.into_iter().collect();
        let mut integers = false;
        if input.peek(Token![,]) {
            input.parse::<Token![,]>()?;
            let element: Ident = input.parse()?;
            integers = match element.to_string().as_str() {
                "i64" => true,
                "f32" => false,
                other => {
                    let message =
                        format!("tensors hold `f32` or `i64`, not `{other}`\nhelp: write `f32`, or `i64` for labels");
                    return Err(syn::Error::new(element.span(), message));
                }
            };
        }
        input.parse::<Token![>]>()?;
        Ok(TensorType { dims, integers, unread: false, span: bracket.span.join() })
    }
}

/// Parses the struct that `#[derive(Module)]` saw; fields that cannot be read are noted and left out.
pub(crate) fn parse_struct(tokens: TokenStream) -> syn::Result<Module> {
    let item: DeriveInput = syn::parse2(tokens)?;
    let name = item.ident;
    let (mut sizes, mut fields, mut mistakes) = (Vec::new(), Vec::new(), Vec::new());
    for parameter in &item.generics.params {
        match parameter {
            syn::GenericParam::Const(parameter) => {
                sizes.push(parameter.ident.clone());
                if let Some((_, default)) = &parameter.default {
                    let message = format!(
                        "the size `{}` cannot have a default\nhelp: write it where `{name}` is used",
                        parameter.ident
                    );
                    mistakes.push(syn::Error::new_spanned(default, message));
                }
            }
            other => mistakes.push(syn::Error::new_spanned(
                other,
                format!("`{name}` can have sizes only\nhelp: write `const NAME: usize`"),
            )),
        }
    }
    match item.data {
        Data::Struct(DataStruct { fields: syn::Fields::Named(named), .. }) => {
            for own in named.named {
                match field(own) {
                    Ok(field) if field.path.is_ident(&name) => {
                        let message = format!(
                            "`{}` puts a `{name}` into `{name}`: a network is unrolled while compiling, so modules must end\nhelp: repeat a block with an array of another module, `[Block; 3]`",
                            field.name
                        );
                        mistakes.push(syn::Error::new_spanned(&field.path, message));
                    }
                    Ok(field) => fields.push(field),
                    Err(mistake) => mistakes.push(mistake),
                }
            }
        }
        Data::Struct(DataStruct { fields: syn::Fields::Unit, .. }) => {}
        Data::Struct(DataStruct { fields, .. }) => {
            let message = format!("`{name}` must name its layers\nhelp: declare `struct {name} {{ fc1: Linear, .. }}`");
            mistakes.push(syn::Error::new_spanned(fields, message));
        }
        Data::Enum(_) | Data::Union(_) => {
            let message = format!(
                "`{name}` is no struct, so it cannot be a module\nhelp: declare `struct {name} {{ fc1: Linear, .. }}`"
            );
            mistakes.push(syn::Error::new_spanned(&name, message));
        }
    }
    Ok(Module {
        name,
        visibility: item.vis,
        sizes,
        generics: item.generics,
        fields,
        constants: Vec::new(),
        functions: Vec::new(),
        weights: Vec::new(),
        nested: Vec::new(),
        mistakes,
        struct_mistakes: 0,
        wrong: false,
    })
}

/// Where layers stand in PyTorch.
const NAMESPACES: &[&str] = &["nn", "torch"];

/// Types that people put into a struct and that are no modules.
const NO_MODULES: &[&str] = &[
    "usize",
    "isize",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "f32",
    "f64",
    "bool",
    "char",
    "str",
    "String",
    "Vec",
    "Option",
    "Box",
    "Rc",
    "Arc",
    "PhantomData",
    "HashMap",
    "Tensor",
    "Parameter",
];

fn field(field: syn::Field) -> syn::Result<Field> {
    let name = field.ident.clone().ok_or_else(|| syn::Error::new_spanned(&field, "a layer has a name"))?;
    let no_module = || {
        let help = "a field is a layer, a struct with `#[derive(Module)]`, or an array of one of them; keep other data outside";
        syn::Error::new_spanned(&field.ty, format!("`{name}` is neither a layer nor a module\nhelp: {help}"))
    };
    let (element, length) = match &field.ty {
        Type::Array(array) => ((*array.elem).clone(), Some(array.len.clone())),
        other => (other.clone(), None),
    };
    let Type::Path(path) = element else { return Err(no_module()) };
    let last = path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
    if NO_MODULES.contains(&last.as_str()) {
        return Err(no_module());
    }
    let first = path.path.segments.first().filter(|_| path.path.segments.len() > 1);
    if first.is_some_and(|first| NAMESPACES.iter().any(|own| first.ident == own)) && layer(&last).is_some() {
        let message = format!("layers stand in no namespace\nhelp: write `{last}`");
        return Err(syn::Error::new_spanned(&path, message));
    }
    let mut path: Path = path.path;
    let sizes = match path.segments.last_mut().map(|segment| std::mem::take(&mut segment.arguments)) {
        Some(syn::PathArguments::AngleBracketed(arguments)) => {
            arguments.args.into_iter().map(size).collect::<syn::Result<_>>()?
        }
        _ => Vec::new(),
    };
    let mut arguments = Vec::new();
    let mut frozen = false;
    for attribute in &field.attrs {
        if !attribute.path().is_ident("layer") {
            continue;
        }
        let parsed = attribute.parse_args_with(|input: ParseStream<'_>| input.parse_terminated(argument, Token![,]));
        let parsed = parsed.map_err(|mistake| explained(mistake, &attribute.meta.to_token_stream()))?;
        for argument in parsed {
            match &argument {
                Expr::Path(path) if path.path.is_ident("frozen") => frozen = true,
                _ => arguments.push(argument),
            }
        }
    }
    Ok(Field { name, path, sizes, length, arguments, frozen })
}

/// An argument of a layer. Nearly all are a name and a number, which need no parser of expressions: macros are built without
/// optimisation, and the fields of a network are parsed twice, by its derive and by its block.
fn argument(input: ParseStream<'_>) -> syn::Result<Expr> {
    let assigned = |cursor: Cursor<'_>| {
        let (_, rest) = cursor.ident()?;
        let (equals, rest) = rest.punct().filter(|(punct, _)| punct.as_char() == '=')?;
        let (literal, rest) = rest.literal()?;
        let ends = rest.eof() || rest.punct().is_some_and(|(punct, _)| punct.as_char() == ',');
        (ends && equals.spacing() == Spacing::Alone).then_some(literal)
    };
    let Some(literal) = assigned(input.cursor()).filter(|_| input.peek(syn::Ident)) else { return input.parse() };
    let (name, eq_token, lit) = (input.parse::<Ident>()?, input.parse()?, syn::Lit::new(literal));
    input.step(|cursor| {
        cursor.literal().map(|(_, rest)| ((), rest)).ok_or_else(|| cursor.error("expected a literal"))
    })?;
    let attrs = Vec::new;
    let left = Expr::Path(syn::ExprPath { attrs: attrs(), qself: None, path: name.into() });
    let right = Expr::Lit(syn::ExprLit { attrs: attrs(), lit });
    Ok(Expr::Assign(syn::ExprAssign { attrs: attrs(), left: left.into(), eq_token, right: right.into() }))
}

/// A mistake of the parser in the words of who comes from another language.
fn explained(mistake: syn::Error, tokens: &TokenStream) -> syn::Error {
    let place = format!("{:?}", mistake.span());
    match token_at(tokens, &place) {
        Some(TokenTree::Punct(punct)) if punct.as_char() == ':' => {
            syn::Error::new(punct.span(), "an argument is named with `=`\nhelp: write `=`")
        }
        Some(TokenTree::Punct(punct)) if punct.as_char() == '@' => {
            syn::Error::new(punct.span(), "`@` is no operator here\nhelp: call `matmul(a, b)`")
        }
        _ => typed_variable(tokens).unwrap_or(mistake),
    }
}

/// The token that stands there.
fn token_at(tokens: &TokenStream, place: &str) -> Option<TokenTree> {
    tokens.clone().into_iter().find_map(|token| match &token {
        _ if format!("{:?}", token.span()) == place => Some(token),
        TokenTree::Group(group) => token_at(&group.stream(), place),
        _ => None,
    })
}

/// `let t: Tensor<[N, 192]> = ..`, which Rust cannot read.
fn typed_variable(tokens: &TokenStream) -> Option<syn::Error> {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let text = |token: &TokenTree| token.to_string();
    let start = tokens.windows(4).position(|four| {
        let [name, colon, ty, open] = four else { return false };
        matches!(name, TokenTree::Ident(_)) && text(colon) == ":" && text(ty) == "Tensor" && text(open) == "<"
    })?;
    let length = tokens[start..].iter().position(|token| text(token) == ">")?;
    let name = text(&tokens[start]);
    let message = format!("the shape of `{name}` follows from its value\nhelp: write `{name}`");
    Some(syn::Error::new_spanned(TokenStream::from_iter(tokens[start..=start + length].iter().cloned()), message))
}

fn size(argument: syn::GenericArgument) -> syn::Result<Expr> {
    match argument {
        syn::GenericArgument::Const(expression) => Ok(expression),
        // `<IN>` parses as a type.
        syn::GenericArgument::Type(Type::Path(path)) => {
            Ok(Expr::Path(syn::ExprPath { attrs: Vec::new(), qself: None, path: path.path }))
        }
        other => Err(syn::Error::new(other.span(), "the sizes of a module are numbers")),
    }
}

/// Parses a published description: the struct, the block, and the descriptions nested in it, each in braces; the word `wrong`
/// behind them if a mistake was reported.
pub(crate) fn parse_description(tokens: TokenStream) -> syn::Result<(Module, Vec<Assertion>)> {
    let mut envelope = Envelope::new(tokens);
    let mut module = parse_struct(envelope.group(Delimiter::Brace)?)?;
    module.struct_mistakes = module.mistakes.len();
    let block = parse_input(envelope.group(Delimiter::Brace)?)?;
    module.constants = block.constants;
    module.functions = block.functions;
    module.weights = block.weights;
    // Errors about the block as a whole stand where it names its struct.
    module.name = block.name.unwrap_or(module.name);
    module.mistakes.extend(block.mistakes);
    let mut nested = Envelope::new(envelope.group(Delimiter::Brace)?);
    while !nested.is_empty() {
        let path: Path = syn::parse2(nested.until(Delimiter::Brace))?;
        let description = nested.group(Delimiter::Brace)?;
        module.nested.push((super::path_key(&path), Rc::new(parse_description(description)?.0)));
    }
    module.wrong = !envelope.is_empty();
    Ok((module, block.assertions))
}

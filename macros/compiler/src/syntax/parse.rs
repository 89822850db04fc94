//! The grammar. Bodies and sizes are ordinary Rust expressions, parsed by `syn`; only the tensor types in signatures are a
//! grammar of our own.

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{Attribute, Block, Expr, ItemStruct, Path, Token, Type, Visibility, braced, bracketed, parenthesized};

use super::{Argument, Assertion, Constant, Field, Function, Module, Output, TensorType};

/// The content of a `network!` block.
#[derive(Debug, Clone, Default)]
pub(crate) struct Input {
    /// The struct that the block describes, if it describes one.
    pub(crate) name: Option<Ident>,
    pub(crate) constants: Vec<Constant>,
    pub(crate) assertions: Vec<Assertion>,
    pub(crate) functions: Vec<Function>,
}

/// Parses the content of a `network!` block.
pub(crate) fn parse_input(tokens: TokenStream) -> syn::Result<Input> {
    syn::parse2(tokens)
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut result = Input::default();
        while !input.is_empty() {
            if input.peek(Token![impl]) {
                input.parse::<Token![impl]>()?;
                let name: Ident = input.parse()?;
                if input.peek(Token![<]) {
                    return Err(input.error(format!("the sizes of `{name}` stand on its struct\nhelp: write `impl {name} {{ .. }}`")));
                }
                if let Some(first) = result.name.replace(name) {
                    let message = format!("this `network!` block describes `{first}` already\nhelp: write one `network!` block for each struct");
                    return Err(syn::Error::new(result.name.as_ref().map_or_else(|| first.span(), Ident::span), message));
                }
                let content;
                braced!(content in input);
                result.items(&content)?;
            } else {
                result.item(input)?;
            }
        }
        Ok(result)
    }
}

impl Input {
    fn items(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        while !input.is_empty() {
            self.item(input)?;
        }
        Ok(())
    }

    fn item(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let attributes = input.call(Attribute::parse_outer)?;
        if input.peek(syn::Ident) && input.peek2(Token![!]) {
            self.assertions.push(assertion(input)?);
            return Ok(());
        }
        let visibility: Visibility = input.parse()?;
        if input.peek(Token![const]) {
            self.constants.push(constant(input)?);
            return Ok(());
        }
        if !input.peek(Token![fn]) {
            return Err(input.error("a `network!` block holds functions, `const NAME: usize = ..;` and `assert!(..);`"));
        }
        self.functions.push(function(attributes, visibility, input)?);
        Ok(())
    }
}

fn assertion(input: ParseStream<'_>) -> syn::Result<Assertion> {
    let name: Ident = input.parse()?;
    if name != "assert" {
        return Err(syn::Error::new(name.span(), format!("`{name}!` cannot stand here\nhelp: a `network!` block takes `assert!(SIZE == other::SIZE);`")));
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

fn constant(input: ParseStream<'_>) -> syn::Result<Constant> {
    input.parse::<Token![const]>()?;
    let name = input.parse()?;
    if input.peek(Token![:]) {
        input.parse::<Token![:]>()?;
        let ty: Type = input.parse()?;
        if !matches!(&ty, Type::Path(path) if path.path.is_ident("usize")) {
            return Err(syn::Error::new_spanned(ty, format!("the constant `{name}` must be a `usize`: constants of a network are sizes")));
        }
    }
    input.parse::<Token![=]>()?;
    let value = input.parse()?;
    input.parse::<Token![;]>()?;
    Ok(Constant { name, value })
}

fn function(attributes: Vec<Attribute>, visibility: Visibility, input: ParseStream<'_>) -> syn::Result<Function> {
    input.parse::<Token![fn]>()?;
    let name: Ident = input.parse()?;
    if input.peek(Token![<]) {
        return Err(input.error(format!("`{name}` takes no generics\nhelp: a size that is not declared, as `N` in `Tensor<[N, 10]>`, is bound by the arguments")));
    }
    let content;
    parenthesized!(content in input);
    let mut method = false;
    let mut arguments: Vec<Argument> = Vec::new();
    while !content.is_empty() {
        if content.peek(Token![&]) {
            content.parse::<Token![&]>()?;
            content.parse::<Option<Token![mut]>>()?;
            content.parse::<Token![self]>()?;
            method = true;
        } else {
            let name: Ident = content.parse()?;
            content.parse::<Token![:]>()?;
            if let Some(first) = arguments.iter().find(|argument| argument.name == name) {
                return Err(syn::Error::new(name.span(), format!("`{}` is the name of two arguments", first.name)));
            }
            arguments.push(Argument { name, ty: content.parse()? });
        }
        if content.is_empty() {
            break;
        }
        content.parse::<Token![,]>()?;
    }
    if !input.peek(Token![->]) {
        return Err(input.error(format!("`{name}` must say what it returns\nhelp: write `-> Tensor<[N, 10]>`, or `-> Tensor<[]>` for a single number")));
    }
    input.parse::<Token![->]>()?;
    let output = if input.peek(syn::token::Paren) {
        let content;
        parenthesized!(content in input);
        Output::Tuple(Punctuated::<TensorType, Token![,]>::parse_terminated(&content)?.into_iter().collect())
    } else {
        Output::One(input.parse()?)
    };
    let body: Block = input.parse()?;
    Ok(Function { attributes, visibility, name, method, arguments, output, body })
}

impl Parse for TensorType {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        // A reference means nothing here, but people write it.
        input.parse::<Option<Token![&]>>()?;
        let name: Ident = input.call(Ident::parse_any)?;
        if name != "Tensor" {
            return Err(syn::Error::new(name.span(), format!("`{name}` cannot stand here\nhelp: write `Tensor<[N, 1, 28, 28]>`, or `Tensor<[N], i64>` for integers")));
        }
        if !input.peek(Token![<]) {
            return Err(syn::Error::new(name.span(), "a `Tensor` in a `network!` block names its shape\nhelp: write `Tensor<[N, 1, 28, 28]>`"));
        }
        input.parse::<Token![<]>()?;
        let content;
        let bracket = bracketed!(content in input);
        let dims = Punctuated::<Expr, Token![,]>::parse_terminated(&content)?.into_iter().collect();
        let mut integers = false;
        if input.peek(Token![,]) {
            input.parse::<Token![,]>()?;
            let element: Ident = input.parse()?;
            integers = match element.to_string().as_str() {
                "i64" => true,
                "f32" => false,
                other => {
                    let message = format!("tensors hold `f32` or `i64`, not `{other}`\nhelp: write `Tensor<[..], i64>` for labels, `Tensor<[..]>` for the rest");
                    return Err(syn::Error::new(element.span(), message));
                }
            };
        }
        input.parse::<Token![>]>()?;
        Ok(TensorType { dims, integers, span: bracket.span.join() })
    }
}

/// Parses the struct that `#[derive(Module)]` saw.
pub(crate) fn parse_struct(tokens: TokenStream) -> syn::Result<Module> {
    let item: ItemStruct = syn::parse2(tokens)?;
    let mut sizes = Vec::new();
    for parameter in &item.generics.params {
        match parameter {
            syn::GenericParam::Const(parameter) => sizes.push(parameter.ident.clone()),
            other => return Err(syn::Error::new_spanned(other, format!("`{}` can have sizes only\nhelp: write `const NAME: usize`", item.ident))),
        }
    }
    let fields = match item.fields {
        syn::Fields::Named(fields) => fields.named.into_iter().map(field).collect::<syn::Result<_>>()?,
        syn::Fields::Unit => Vec::new(),
        fields => {
            return Err(syn::Error::new_spanned(fields, format!("`{}` must name its layers\nhelp: write `struct {} {{ fc1: Linear, .. }}`", item.ident, item.ident)));
        }
    };
    Ok(Module {
        name: item.ident,
        visibility: item.vis,
        sizes,
        fields,
        constants: Vec::new(),
        functions: Vec::new(),
        nested: Vec::new(),
        wrong: false,
    })
}

fn field(field: syn::Field) -> syn::Result<Field> {
    let name = field.ident.clone().ok_or_else(|| syn::Error::new_spanned(&field, "a layer has a name"))?;
    let (element, length) = match &field.ty {
        Type::Array(array) => ((*array.elem).clone(), Some(array.len.clone())),
        other => (other.clone(), None),
    };
    let Type::Path(path) = element else {
        return Err(syn::Error::new_spanned(&field.ty, format!("`{name}` is neither a layer nor a module\nhelp: a field is `Conv2d`, `Linear`, `Dropout`, a struct with `#[derive(Module)]`, or an array of one")));
    };
    let mut path: Path = path.path;
    let sizes = match path.segments.last_mut().map(|segment| std::mem::take(&mut segment.arguments)) {
        Some(syn::PathArguments::AngleBracketed(arguments)) => arguments.args.into_iter().map(size).collect::<syn::Result<_>>()?,
        _ => Vec::new(),
    };
    let mut arguments = Vec::new();
    let mut frozen = false;
    for attribute in &field.attrs {
        if !attribute.path().is_ident("layer") {
            continue;
        }
        let parsed = attribute.parse_args_with(Punctuated::<Expr, Token![,]>::parse_terminated)?;
        for argument in parsed {
            match &argument {
                Expr::Path(path) if path.path.is_ident("frozen") => frozen = true,
                _ => arguments.push(argument),
            }
        }
    }
    Ok(Field { name, path, sizes, length, arguments, frozen })
}

fn size(argument: syn::GenericArgument) -> syn::Result<Expr> {
    match argument {
        syn::GenericArgument::Const(expression) => Ok(expression),
        // `<IN>` parses as a type.
        syn::GenericArgument::Type(Type::Path(path)) => Ok(Expr::Path(syn::ExprPath { attrs: Vec::new(), qself: None, path: path.path })),
        other => Err(syn::Error::new(other.span(), "the sizes of a module are numbers")),
    }
}

/// Parses a published description: the struct, the block, and the descriptions nested in it, each in braces.
pub(crate) fn parse_description(tokens: TokenStream) -> syn::Result<(Module, Vec<Assertion>)> {
    struct Description(Module, Vec<Assertion>);
    impl Parse for Description {
        fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
            let braces = |input: ParseStream<'_>| -> syn::Result<TokenStream> {
                let content;
                braced!(content in input);
                content.parse()
            };
            let mut module = parse_struct(braces(input)?)?;
            let block = parse_input(braces(input)?)?;
            module.constants = block.constants;
            module.functions = block.functions;
            let nested;
            braced!(nested in input);
            while !nested.is_empty() {
                let path: Path = nested.parse()?;
                let description = braces(&nested)?;
                module.nested.push((super::path_key(&path), parse_description(description)?.0));
            }
            if !input.is_empty() {
                input.parse::<Ident>()?;
                module.wrong = true;
            }
            Ok(Description(module, block.assertions))
        }
    }
    let Description(module, assertions) = syn::parse2(tokens)?;
    Ok((module, assertions))
}

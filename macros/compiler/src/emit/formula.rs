//! Formulas as Rust: the rows' texts, put into each other.

use graven_kernels::op::Scalar;
use graven_kernels::pointwise::Formula;
use proc_macro2::{Delimiter, Group, Ident, Literal, Span, TokenStream, TokenTree};
use quote::quote;

/// A formula as a Rust expression over the named operands. Functions are called in `math`; `size` names a symbol.
pub(super) fn formula(formula: &Formula, operands: &[Ident], size: &dyn Fn(&str) -> TokenStream) -> TokenStream {
    match formula {
        Formula::Operand(index) => {
            let operand = &operands[*index];
            quote!(#operand)
        }
        Formula::Scalar(number) => scalar(number, size),
        Formula::Apply(row, arguments) => {
            let arguments: Vec<TokenStream> =
                arguments.iter().map(|argument| self::formula(argument, operands, size)).collect();
            let text: TokenStream = row.text.parse().unwrap_or_default();
            substitute(text, &|name| {
                row.parameters.iter().position(|own| *own == name).map(|position| arguments[position].clone())
            })
        }
    }
}

/// A number as f32.
pub(super) fn scalar(scalar: &Scalar, size: &dyn Fn(&str) -> TokenStream) -> TokenStream {
    let factor = scalar.factor as f32;
    let factor = match factor {
        factor if factor.is_nan() => quote!(f32::NAN),
        f32::INFINITY => quote!(f32::INFINITY),
        f32::NEG_INFINITY => quote!(f32::NEG_INFINITY),
        factor if factor.is_sign_negative() => {
            let literal = Literal::f32_unsuffixed(-factor);
            quote!((-#literal))
        }
        factor => {
            let literal = Literal::f32_unsuffixed(factor);
            quote!(#literal)
        }
    };
    let (times, over) = (scalar.times.symbols(), scalar.over.symbols());
    let times: Vec<TokenStream> = times.iter().map(|symbol| size(symbol)).collect();
    let over: Vec<TokenStream> = over.iter().map(|symbol| size(symbol)).collect();
    if times.is_empty() && over.is_empty() { factor } else { quote!((#factor #(* #times as f32)* #(/ #over as f32)*)) }
}

/// Replaces identifiers in a formula's text, adding parentheses where they are needed, and finds functions in `math`.
fn substitute(text: TokenStream, replace: &dyn Fn(&str) -> Option<TokenStream>) -> TokenStream {
    let tokens: Vec<TokenTree> = text.into_iter().collect();
    let mut result = TokenStream::new();
    let is_comma = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == ',');
    for (position, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => {
                result.extend([TokenTree::Group(Group::new(group.delimiter(), substitute(group.stream(), replace)))]);
            }
            TokenTree::Ident(name) => {
                let next = tokens.get(position + 1);
                if matches!(next, Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis) {
                    result.extend(quote!(math::#name));
                    continue;
                }
                let Some(replacement) = replace(&name.to_string()) else {
                    result.extend([token.clone()]);
                    continue;
                };
                let before = position.checked_sub(1).and_then(|before| tokens.get(before));
                let alone = (before.is_none() || is_comma(before)) && (next.is_none() || is_comma(next));
                result.extend(if alone || is_simple(&replacement) { replacement } else { quote!((#replacement)) });
            }
            other => result.extend([other.clone()]),
        }
    }
    result
}

/// Whether an expression needs no parentheses as an operand: a name, a number, a call, something in parentheses.
fn is_simple(expression: &TokenStream) -> bool {
    let mut operators = expression.clone().into_iter().filter(|token| match token {
        TokenTree::Punct(punct) => punct.as_char() != ':',
        _ => false,
    });
    operators.next().is_none()
}

/// `a, b, ..` as a pattern of the closure.
pub(super) fn operands(n: usize) -> Vec<Ident> {
    (0..n).map(|index| Ident::new(&((b'a' + index as u8) as char).to_string(), Span::mixed_site())).collect()
}

//! Errors: collected, so that independent mistakes are reported together, and worded in four parts.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// The errors of one compilation.
#[derive(Debug, Default)]
pub struct Errors {
    errors: Vec<syn::Error>,
    /// Texts that were reported, so that a module used twice is not reported twice.
    seen: std::collections::HashSet<String>,
}

impl Errors {
    /// Adds an error on some tokens.
    pub fn at(&mut self, tokens: impl ToTokens, message: impl Into<String>) {
        let message = message.into();
        if self.seen.insert(message.clone()) {
            self.errors.push(syn::Error::new_spanned(tokens, message));
        }
    }

    /// Adds an error on a span.
    pub fn at_span(&mut self, span: Span, message: impl Into<String>) {
        let message = message.into();
        if self.seen.insert(message.clone()) {
            self.errors.push(syn::Error::new(span, message));
        }
    }

    /// Adds an error of the parser.
    pub fn push(&mut self, error: syn::Error) {
        self.errors.push(error);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.errors.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// The texts, in order.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        self.errors.iter().map(ToString::to_string).collect()
    }

    /// One `compile_error!` for each.
    #[must_use]
    pub fn into_compile_errors(self) -> TokenStream {
        self.errors.iter().map(syn::Error::to_compile_error).collect()
    }
}

/// The name nearest to a misspelt one: "; did you mean `conv2`?", or nothing if none is near.
#[must_use]
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map_or(String::new(), |candidate| format!("; did you mean `{candidate}`?"))
}

/// The candidate nearest to a misspelt name.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

//! Errors: collected, so that independent mistakes are reported together, and worded in four parts.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;

/// The errors of one compilation.
#[derive(Debug, Default)]
pub struct Errors {
    errors: Vec<syn::Error>,
    /// Places and texts that were reported, so that a module used twice is not reported twice.
    seen: std::collections::HashSet<String>,
    /// A span of the user's block.
    site: Option<Span>,
    /// Something is wrong that rustc reports.
    left_to_rustc: bool,
}

impl Errors {
    /// Errors of a block whose tokens are at hand. A struct comes to its block through a macro, and an error on its tokens
    /// would show the whole block as the place of that macro; with the hygiene of the block it shows the token alone.
    #[must_use]
    pub fn of_block(block: &TokenStream) -> Errors {
        Errors { site: block.clone().into_iter().next().map(|token| token.span()), ..Errors::default() }
    }

    /// Adds an error on some tokens.
    pub fn at(&mut self, tokens: impl ToTokens, message: impl Into<String>) {
        let message = message.into();
        self.once(tokens, message.clone(), message);
    }

    /// Adds an error on some tokens, unless there was one with the same `key` there: a module that is used in two places
    /// makes the same mistake under two names.
    pub fn once(&mut self, tokens: impl ToTokens, key: impl Into<String>, message: impl Into<String>) {
        let tokens = self.shown(tokens.into_token_stream());
        let place = tokens.clone().into_iter().next().map_or_else(Span::call_site, |token| token.span());
        if self.seen.insert(format!("{place:?} {}", key.into())) {
            self.errors.push(syn::Error::new_spanned(tokens, message.into()));
        }
    }

    /// Adds an error on a span.
    pub fn at_span(&mut self, span: Span, message: impl Into<String>) {
        self.at(Ident::new("place", span), message);
    }

    /// Adds an error of the parser.
    pub fn push(&mut self, error: syn::Error) {
        self.errors.push(error);
    }

    /// Notes that something is wrong which rustc reports itself, in better words.
    pub fn leave_to_rustc(&mut self) {
        self.left_to_rustc = true;
    }

    /// The tokens with the hygiene of the block.
    fn shown(&self, tokens: TokenStream) -> TokenStream {
        let Some(site) = self.site else { return tokens };
        at_site(tokens, site)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.errors.len()
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty() && !self.left_to_rustc
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

/// Tokens where they stand, with the hygiene of `site`.
#[must_use]
pub fn at_site(tokens: TokenStream, site: Span) -> TokenStream {
    let moved = |mut token: TokenTree| {
        if let TokenTree::Group(group) = &token {
            let mut moved = Group::new(group.delimiter(), at_site(group.stream(), site));
            moved.set_span(group.span());
            token = TokenTree::Group(moved);
        }
        token.set_span(token.span().resolved_at(site));
        token
    };
    tokens.into_iter().map(moved).collect()
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

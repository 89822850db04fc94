//! Groups in a row, as the macros hand them to each other. Whoever opens one reads its tokens; a parser would copy all that is
//! inside of them to read the brackets alone.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};

/// What is left to be opened.
pub(crate) struct Envelope {
    tokens: std::iter::Peekable<proc_macro2::token_stream::IntoIter>,
}

impl Envelope {
    pub(crate) fn new(tokens: TokenStream) -> Envelope {
        Envelope { tokens: tokens.into_iter().peekable() }
    }

    pub(crate) fn is_empty(&mut self) -> bool {
        self.tokens.peek().is_none()
    }

    /// The content of the next group.
    ///
    /// # Errors
    /// Something else stands there.
    pub(crate) fn group(&mut self, delimiter: Delimiter) -> syn::Result<TokenStream> {
        match self.tokens.next() {
            Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Ok(group.stream()),
            // A macro that hands on what it was given may put it between brackets that nobody sees.
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::None => {
                let rest: TokenStream = std::mem::replace(self, Envelope::new(TokenStream::new())).tokens.collect();
                let tokens = [group.stream(), rest];
                *self = Envelope::new(tokens.into_iter().collect());
                self.group(delimiter)
            }
            other => {
                let span = other.map_or_else(Span::call_site, |token| token.span());
                Err(syn::Error::new(span, "the macros of graven are called by each other only"))
            }
        }
    }

    /// What stands before the next group.
    pub(crate) fn until(&mut self, delimiter: Delimiter) -> TokenStream {
        let ends = |token: &TokenTree| matches!(token, TokenTree::Group(group) if group.delimiter() == delimiter);
        std::iter::from_fn(|| self.tokens.next_if(|token| !ends(token))).collect()
    }

    /// The groups that are left.
    pub(crate) fn groups(self) -> impl Iterator<Item = Group> {
        self.tokens.filter_map(|token| if let TokenTree::Group(group) = token { Some(group) } else { None })
    }

    /// Whatever is left.
    pub(crate) fn rest(self) -> TokenStream {
        self.tokens.collect()
    }
}

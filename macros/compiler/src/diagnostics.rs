//! Errors: collected, so that independent mistakes are reported together, and worded in four parts.
//!
//! A help that says "write `X`" is meant literally: X takes the place of the marked tokens. Where several X come into question
//! ([`Fix`]), each is tried on the whole network ([`Errors::settle`]), and the first that leaves fewer mistakes is what the user
//! reads.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;

/// One way to mend a mistake.
#[derive(Debug, Clone)]
pub struct Fix {
    /// The tokens to replace.
    pub at: TokenStream,
    /// What to write instead.
    pub write: String,
    /// The same in words, where the tokens are not those that the error marks: "`padding = 0` on `conv2`".
    pub words: String,
}

/// An error of which several ways out must be tried.
#[derive(Debug, Clone)]
struct Open {
    /// The tokens that it marks, as they stand in the source.
    at: TokenStream,
    /// What is wrong, with its notes.
    message: String,
    /// What the marked tokens could be instead, best first.
    fits: Vec<String>,
    /// What to do, or what to add to a fit.
    help: Option<String>,
    /// Edits in other places, best first.
    elsewhere: Vec<Fix>,
}

impl Open {
    /// Which edits of these leave fewer mistakes: one of the marked tokens, one elsewhere.
    fn choose(
        &self,
        source: &TokenStream,
        attempt: &mut dyn FnMut(&Place, &str) -> bool,
    ) -> (Option<&String>, Option<&Fix>) {
        let own = if self.fits.is_empty() { None } else { Place::of(&self.at, source) };
        let own = own.and_then(|place| self.fits.iter().find(|fit| attempt(&place, fit)));
        let elsewhere = self
            .elsewhere
            .iter()
            .find(|fix| Place::of(&fix.at, source).is_some_and(|place| attempt(&place, &fix.write)));
        (own, elsewhere)
    }

    /// The tokens to mark, and the message.
    fn words(&self, own: Option<&String>, elsewhere: Option<&Fix>) -> (TokenStream, String) {
        let mut help = match (own, &self.help) {
            (Some(fit), None) => format!("write `{fit}`"),
            (Some(fit), Some(help)) if help.starts_with("add `") => format!("write `{fit}`, or with another value"),
            (Some(fit), Some(help)) if !help.starts_with("write `") => format!("write `{fit}`: {help}"),
            (_, help) => help.clone().unwrap_or_default(),
        };
        let mut at = &self.at;
        match (own, elsewhere) {
            (Some(_), Some(fix)) => help = format!("{help}; or {}", fix.words),
            (None, Some(fix)) => {
                at = &fix.at;
                help = format!("write `{}`: {} makes all that follows fit", fix.write, fix.words);
            }
            (_, None) => {}
        }
        let help = if help.is_empty() { help } else { format!("\nhelp: {help}") };
        (at.clone(), format!("{}{help}", self.message))
    }
}

#[derive(Debug, Clone)]
enum Reported {
    Worded(syn::Error),
    Open(Open),
}

/// The errors of one compilation.
#[derive(Debug, Default)]
pub struct Errors {
    errors: Vec<Reported>,
    /// Places and texts that were reported, so that a module used twice is not reported twice.
    seen: std::collections::HashSet<String>,
    /// A span of the user's block.
    site: Option<Span>,
    /// Something is wrong that rustc reports.
    left_to_rustc: bool,
    /// Expressions that were walked.
    work: usize,
    /// Mistakes that had been reported before.
    n_repeated: usize,
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
        let tokens = tokens.into_token_stream();
        if self.is_new(&tokens, &key.into()) {
            let error = syn::Error::new_spanned(self.shown(tokens), message.into());
            self.errors.push(Reported::Worded(error));
        }
    }

    /// Adds an error, as [`Errors::once`] does, whose help is chosen by [`Errors::settle`]: the first of `fits` in place of the
    /// marked tokens, or the first edit `elsewhere`, that leaves fewer mistakes.
    pub fn open(
        &mut self,
        tokens: impl ToTokens,
        key: impl Into<String>,
        message: impl Into<String>,
        fits: Vec<String>,
        help: Option<String>,
        elsewhere: Vec<Fix>,
    ) {
        let at = tokens.into_token_stream();
        if self.is_new(&at, &key.into()) {
            let message = message.into();
            self.errors.push(Reported::Open(Open { at, message, fits, help, elsewhere }));
        }
    }

    fn is_new(&mut self, tokens: &TokenStream, key: &str) -> bool {
        let place = tokens.clone().into_iter().next().map_or_else(Span::call_site, |token| token.span());
        let new = self.seen.insert(format!("{place:?} {key}"));
        self.n_repeated += usize::from(!new);
        new
    }

    /// Chooses the help of every error that was left open. `source` is what was checked, and `count` says how many mistakes a
    /// changed source has.
    pub fn settle(&mut self, source: &TokenStream, count: &dyn Fn(TokenStream) -> usize) {
        if !self.errors.iter().any(|error| matches!(error, Reported::Open(_))) {
            return;
        }
        let mut budget = MOST_ATTEMPTS.min(MOST_WORK / (self.work + tokens_in(source)).max(1));
        if budget == 0 {
            return;
        }
        let now = count(source.clone());
        let mut attempt = |place: &Place, write: &str| {
            if budget == 0 {
                return false;
            }
            budget -= 1;
            write.parse().is_ok_and(|written| count(place.replaced(source, &written)) < now)
        };
        let errors = std::mem::take(&mut self.errors);
        self.errors = errors
            .into_iter()
            .map(|error| match error {
                Reported::Open(open) => {
                    let (own, elsewhere) = open.choose(source, &mut attempt);
                    let (at, message) = open.words(own, elsewhere);
                    Reported::Worded(syn::Error::new_spanned(self.shown(at), message))
                }
                worded => worded,
            })
            .collect();
    }

    /// The errors; those that were not settled with the first help that they have.
    fn worded(&self) -> impl Iterator<Item = syn::Error> + '_ {
        self.errors.iter().map(|error| match error {
            Reported::Worded(error) => error.clone(),
            Reported::Open(open) => {
                let (at, message) = open.words(open.fits.first(), None);
                syn::Error::new_spanned(self.shown(at), message)
            }
        })
    }

    /// Adds an error on a span.
    pub fn at_span(&mut self, span: Span, message: impl Into<String>) {
        self.at(Ident::new("place", span), message);
    }

    /// Adds an error of the parser.
    pub fn push(&mut self, error: syn::Error) {
        self.errors.push(Reported::Worded(error));
    }

    /// Notes that something is wrong which rustc reports itself, in better words.
    pub fn leave_to_rustc(&mut self) {
        self.left_to_rustc = true;
    }

    /// Notes how many expressions were walked, so that what is tried for a help stays in proportion.
    pub fn add_work(&mut self, expressions: usize) {
        self.work += expressions;
    }

    /// The tokens with the hygiene of the block.
    fn shown(&self, tokens: TokenStream) -> TokenStream {
        let Some(site) = self.site else { return tokens };
        at_site(tokens, site)
    }

    /// How often a mistake was reported, the same one again included: what grows while a part is checked is wrong.
    #[must_use]
    pub fn reported(&self) -> usize {
        self.errors.len() + self.n_repeated
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
        self.worded().map(|error| error.to_string()).collect()
    }

    /// One `compile_error!` for each.
    #[must_use]
    pub fn into_compile_errors(self) -> TokenStream {
        self.worded().map(|error| error.to_compile_error()).collect()
    }
}

/// Edits that are tried for the errors of one block, and what they may cost in tokens read and expressions walked: some tenths
/// of a second of an unoptimised compiler, spent only where there is a mistake.
const MOST_ATTEMPTS: usize = 48;
const MOST_WORK: usize = 100_000;

fn tokens_in(tokens: &TokenStream) -> usize {
    let size = |token: TokenTree| match token {
        TokenTree::Group(group) => 1 + tokens_in(&group.stream()),
        _ => 1,
    };
    tokens.clone().into_iter().map(size).sum()
}

/// Where some tokens stand in a source: the groups around them, and their positions in the innermost.
struct Place {
    groups: Vec<usize>,
    tokens: std::ops::RangeInclusive<usize>,
}

impl Place {
    fn of(tokens: &TokenStream, source: &TokenStream) -> Option<Place> {
        let text = |token: &TokenTree| format!("{:?}", token.span());
        let marked: Vec<TokenTree> = tokens.clone().into_iter().collect();
        let (first, last) = (text(marked.first()?), text(marked.last()?));
        let mut place = Place { groups: Vec::new(), tokens: 0..=0 };
        place.find(source, &|token| text(token) == first, &|token| text(token) == last).then_some(place)
    }

    fn find(
        &mut self,
        source: &TokenStream,
        first: &dyn Fn(&TokenTree) -> bool,
        last: &dyn Fn(&TokenTree) -> bool,
    ) -> bool {
        let tokens: Vec<TokenTree> = source.clone().into_iter().collect();
        for (position, token) in tokens.iter().enumerate() {
            if first(token)
                && let Some(length) = tokens[position..].iter().position(last)
            {
                self.tokens = position..=position + length;
                return true;
            }
            let TokenTree::Group(group) = token else { continue };
            self.groups.push(position);
            if self.find(&group.stream(), first, last) {
                return true;
            }
            self.groups.pop();
        }
        false
    }

    /// The source with other tokens there.
    fn replaced(&self, source: &TokenStream, written: &TokenStream) -> TokenStream {
        fn within(groups: &[usize], place: &Place, source: TokenStream, written: &TokenStream) -> TokenStream {
            let mut tokens: Vec<TokenTree> = source.into_iter().collect();
            match groups {
                [] => {
                    tokens.splice(place.tokens.clone(), written.clone());
                }
                [position, inner @ ..] => {
                    if let TokenTree::Group(group) = &tokens[*position] {
                        let mut changed = Group::new(group.delimiter(), within(inner, place, group.stream(), written));
                        changed.set_span(group.span());
                        tokens[*position] = changed.into();
                    }
                }
            }
            tokens.into_iter().collect()
        }
        within(&self.groups, self, source.clone(), written)
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

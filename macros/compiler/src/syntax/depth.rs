//! How deep tokens nest. The parser and every walk over a syntax tree recurse, so that a few hundred brackets around one
//! another would exhaust the stack of the compiler, which no macro can catch. They are counted first, in a walk that needs
//! next to no stack.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// The stack that nesting may take, in units of 4.5 KB, measured on an unoptimised build, as cargo builds macros. 800 units
/// are 3.6 of the 8 MB that rustc and rust-analyzer give to a macro.
const MAX_UNITS: usize = 800;

/// What brackets, prefixes and keywords take at most: `fn() -> fn()` needs 42 KB a level, `(((x)))` 14.
const NESTING: usize = 10;

/// What angle brackets take: `Vec<Vec<..>>` needs 57 KB a level.
const ANGLE: usize = 20;

/// What an operator behind its operand takes.
const OPERATOR: usize = 2;

/// Keywords that an expression, a type or a pattern may follow, sorted.
const KEYWORDS: &[&str] = &[
    "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else", "enum", "extern", "fn",
    "for", "gen", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "static",
    "struct", "trait", "try", "type", "union", "unsafe", "use", "where", "while", "yield",
];

/// Checks that no token stands deeper than the stack allows.
///
/// # Errors
/// A mistake on the first token that does.
pub(crate) fn check_depth(tokens: &TokenStream) -> syn::Result<()> {
    let mut open = vec![Level::new(tokens.clone(), 0)];
    while let Some(level) = open.last_mut() {
        let Some(token) = level.tokens.next() else {
            open.pop();
            continue;
        };
        let units = level.read(&token);
        if units > MAX_UNITS {
            let message = format!(
                "this is nested too deeply: a macro can read {} brackets around one another, or {} operators in a row\n\
                 help: give parts of it names: `let t = ..;`",
                MAX_UNITS / NESTING,
                MAX_UNITS / OPERATOR
            );
            return Err(syn::Error::new(token.span(), message));
        }
        if let TokenTree::Group(group) = token {
            open.push(Level::new(group.stream(), units));
        }
    }
    Ok(())
}

/// The tokens between two brackets.
struct Level {
    tokens: std::iter::Peekable<proc_macro2::token_stream::IntoIter>,
    /// Units of the brackets around.
    around: usize,
    /// Units of what was read since the last `,`.
    item: usize,
    /// Units that a `,` does not end: open angle brackets, and closures.
    lasting: usize,
    before: Before,
}

/// What stands before a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// A name, a number, brackets: an operator that follows has it as its operand.
    Operand,
    /// The beginning, a keyword or an operator.
    Other,
    /// A punctuation mark to which the next may belong.
    Joint,
}

impl Level {
    fn new(tokens: TokenStream, around: usize) -> Level {
        Level { tokens: tokens.into_iter().peekable(), around, item: 0, lasting: 0, before: Before::Other }
    }

    /// The units at a token.
    fn read(&mut self, token: &TokenTree) -> usize {
        let before = self.before;
        self.before = Before::Operand;
        match token {
            TokenTree::Literal(_) => {}
            TokenTree::Ident(name) => {
                // Every keyword may start an expression or a type that ends with another one.
                if KEYWORDS.binary_search(&name.to_string().as_str()).is_ok() {
                    self.item += NESTING;
                    self.before = Before::Other;
                }
            }
            TokenTree::Punct(punct) => {
                self.before = if punct.spacing() == Spacing::Joint { Before::Joint } else { Before::Other };
                match (punct.as_char(), before) {
                    (';', _) => (self.item, self.lasting) = (0, 0),
                    (',', _) => self.item = 0,
                    // The second part of `->`, `=>`, `==`, `..` and the like.
                    ('=' | '>' | '.', Before::Joint) | (':' | '#' | '\'' | '?' | '$', _) => {}
                    ('<', _) => self.lasting += ANGLE,
                    ('>', _) => self.lasting = self.lasting.saturating_sub(ANGLE),
                    ('|', Before::Joint | Before::Other) => self.lasting += NESTING,
                    // Assignments nest to the right.
                    ('=', _) => self.item += NESTING,
                    (_, Before::Operand) => self.item += OPERATOR,
                    (_, Before::Joint | Before::Other) => self.item += NESTING,
                }
            }
            TokenTree::Group(group) => {
                let units = self.units() + NESTING;
                let goes_on = match self.tokens.peek() {
                    Some(TokenTree::Punct(next)) => next.as_char() != '#',
                    Some(TokenTree::Ident(next)) => *next == "else",
                    _ => false,
                };
                // A statement or an item that ends with braces needs no `;`.
                if group.delimiter() == Delimiter::Brace && !goes_on {
                    (self.item, self.lasting, self.before) = (0, 0, Before::Other);
                }
                return units;
            }
        }
        self.units()
    }

    fn units(&self) -> usize {
        self.around + self.item + self.lasting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(text: &str) -> bool {
        check_depth(&text.parse().unwrap()).is_ok()
    }

    #[test]
    fn what_nests_is_counted() {
        assert!(KEYWORDS.is_sorted());
        for (open, inner, close) in [
            ("(", "x", ")"),
            ("-", "x", ""),
            ("x + ", "x", ""),
            ("x = ", "x", ""),
            ("", "x", ".relu()"),
            ("", "x", " as u8"),
            ("|a, b| ", "x", ""),
            ("return ", "x", ""),
            ("if a { x } else ", "{ x }", ""),
            ("Vec<u8, ", "u8", ">"),
            ("fn(u8, u8) -> ", "u8", ""),
            ("if ", "x", "{}"),
            ("&", "x", ""),
        ] {
            let nested = |n: usize| format!("{}{inner}{}", open.repeat(n), close.repeat(n));
            assert!(fits(&nested(30)), "{open}{close}");
            assert!(!fits(&nested(401)), "{open}{close}");
        }
    }

    #[test]
    fn what_stands_side_by_side_is_not() {
        for text in [
            "let t = relu(self.conv1(-t));",
            "pub fn forward(&self, t: Tensor<[N, 3]>) -> Tensor<[N, 3]> { t }",
            "#[layer(in_channels = 1, out_channels = 6)] pub conv1: Conv2d,",
            "/// Words.\nfn square(x: Tensor<[3]>) -> (Tensor<[]>, Tensor<[], i64>) { sum(x * x) }",
            "(a + b, -c, &d),",
        ] {
            assert!(fits(&text.repeat(2000)), "{text}");
        }
    }
}

//! Names of emitted items, made from the user's names, each used once.

use std::collections::HashSet;

use proc_macro2::{Ident, Span};

/// Words that cannot be variables.
const KEYWORDS: &[&str] = &[
    "as", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern", "false", "fn", "for", "if", "impl",
    "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self", "static", "struct", "super",
    "trait", "true", "type", "unsafe", "use", "where", "while", "async", "await", "abstract", "become", "box", "do",
    "final", "gen", "macro", "override", "priv", "try", "typeof", "unsized", "virtual", "yield", "tile", "whole",
    "kernels", "math",
];

/// Gives out names.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// A name for a label: `blocks.0.conv1` becomes `blocks_0_conv1`, and `blocks_0_conv1_2` the second time.
    pub(super) fn give(&mut self, label: &str) -> String {
        let mut name: String =
            label.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
        while name.contains("__") {
            name = name.replace("__", "_");
        }
        let mut name = name.trim_matches('_').to_owned();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || KEYWORDS.contains(&name.as_str()) {
            name = format!("t_{name}");
        }
        let mut unique = name.clone();
        let mut count = 1;
        while !self.0.insert(unique.clone()) {
            count += 1;
            unique = format!("{name}_{count}");
        }
        unique
    }
}

/// A name as a variable.
pub(super) fn variable(name: &str) -> Ident {
    Ident::new(name, Span::call_site())
}

/// A name as a constant.
pub(super) fn constant(name: &str) -> Ident {
    Ident::new(&name.to_ascii_uppercase(), Span::call_site())
}

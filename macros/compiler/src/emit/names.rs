//! Names of emitted items, made from the user's names, each used once.

use std::collections::HashMap;

/// Words that cannot be variables, sorted.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "kernels", "let", "loop", "macro",
    "match", "math", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct",
    "super", "tile", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while",
    "whole", "yield",
];

/// Gives out names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// How often a name was asked for.
    counts: HashMap<String, usize>,
}

impl Names {
    /// A name for a label: `blocks.0.conv1` becomes `blocks_0_conv1`, and `blocks_0_conv1_2` the second time.
    pub(super) fn give(&mut self, label: &str) -> String {
        let mut name = word(label);
        if !name.as_bytes().first().is_some_and(u8::is_ascii_lowercase) || KEYWORDS.binary_search(&name.as_str()).is_ok() {
            name = format!("t_{name}");
        }
        loop {
            let Some(count) = self.counts.get_mut(&name) else {
                self.counts.insert(name.clone(), 1);
                return name;
            };
            *count += 1;
            // Unless a label is called so by itself, this is free.
            let numbered = format!("{name}_{count}");
            if !self.counts.contains_key(&numbered) {
                self.counts.insert(numbered.clone(), 1);
                return numbered;
            }
        }
    }
}

/// A label in lower case, with one `_` for whatever is no letter and no digit between two that are.
fn word(label: &str) -> String {
    let mut name = label.to_ascii_lowercase();
    if is_word(name.as_bytes()) {
        return name;
    }
    name.retain(|c| c.is_ascii());
    let parts: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect();
    parts.join("_")
}

/// Whether a label is one already, as nearly all are. A plain loop: macros run unoptimised, and this is called for every name.
fn is_word(label: &[u8]) -> bool {
    let (mut position, mut after_letter) = (0, false);
    while position < label.len() {
        let letter = matches!(label[position], b'a'..=b'z' | b'0'..=b'9');
        if !letter && (label[position] != b'_' || !after_letter) {
            return false;
        }
        after_letter = letter;
        position += 1;
    }
    after_letter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_and_stand_once() {
        let mut names = Names::default();
        let given = ["relu", "relu", "relu_2", "relu", "blocks.0.conv1", "match", "+", "2", "A__b"]
            .map(|label| names.give(label));
        assert_eq!(given, ["relu", "relu_2", "relu_2_2", "relu_3", "blocks_0_conv1", "t_match", "t_", "t_2", "a_b"]);
        assert!(KEYWORDS.is_sorted());
    }
}

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
        let mut name = String::with_capacity(label.len());
        for byte in label.bytes() {
            match byte.to_ascii_lowercase() {
                letter @ (b'a'..=b'z' | b'0'..=b'9') => name.push(char::from(letter)),
                _ if name.is_empty() || name.ends_with('_') => {}
                _ => name.push('_'),
            }
        }
        if name.ends_with('_') {
            name.pop();
        }
        let letter = name.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
        if !letter || KEYWORDS.binary_search(&name.as_str()).is_ok() {
            name = format!("t_{name}");
        }
        loop {
            let count = self.counts.entry(name.clone()).or_default();
            *count += 1;
            if *count == 1 {
                return name;
            }
            // Unless a label is called so by itself, this is free.
            let numbered = format!("{name}_{count}");
            if !self.counts.contains_key(&numbered) {
                self.counts.insert(numbered.clone(), 1);
                return numbered;
            }
        }
    }
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

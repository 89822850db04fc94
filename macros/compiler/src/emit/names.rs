//! Names of emitted items, made from the user's names, each used once.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Words that cannot be variables.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "kernels", "let", "loop", "macro",
    "match", "math", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct",
    "super", "tile", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while",
    "whole", "yield",
];

/// Gives out names.
#[derive(Debug)]
pub(super) struct Names {
    /// How often a name was asked for.
    counts: HashMap<String, usize, BuildHasherDefault<Fnv>>,
}

/// The count of a keyword.
const NEVER: usize = usize::MAX;

impl Names {
    /// For about so many names: a table that grows hashes all of them again.
    pub(super) fn with_capacity(n_names: usize) -> Names {
        let mut counts = HashMap::with_capacity_and_hasher(KEYWORDS.len() + n_names, BuildHasherDefault::default());
        counts.extend(KEYWORDS.iter().map(|word| ((*word).to_owned(), NEVER)));
        Names { counts }
    }

    /// A name for a label: `blocks.0.conv1` becomes `blocks_0_conv1`, and `blocks_0_conv1_2` the second time.
    pub(super) fn give(&mut self, label: &str) -> String {
        let mut name = word(label);
        if !name.as_bytes().first().is_some_and(u8::is_ascii_lowercase) {
            name = format!("t_{name}");
        }
        loop {
            let Some(count) = self.counts.get_mut(&name) else {
                self.counts.insert(name.clone(), 1);
                return name;
            };
            if *count == NEVER {
                name = format!("t_{name}");
                continue;
            }
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

/// A label in lower case, with one `_` for whatever is no letter and no digit between two that are. A plain loop: macros run
/// unoptimised, and this is called for every name.
fn word(label: &str) -> String {
    let mut word = label.to_ascii_lowercase().into_bytes();
    let (bytes, mut read, mut written, mut gap) = (word.as_mut_slice(), 0, 0, false);
    while read < bytes.len() {
        let byte = bytes[read];
        read += 1;
        if matches!(byte, b'a'..=b'z' | b'0'..=b'9') {
            // What is read lies ahead of what is written by the gap at least.
            if gap && written > 0 {
                bytes[written] = b'_';
                written += 1;
            }
            bytes[written] = byte;
            (written, gap) = (written + 1, false);
        } else {
            gap = true;
        }
    }
    word.truncate(written);
    String::from_utf8(word).unwrap_or_default()
}

/// FNV-1a. The hash of the standard library is made for optimised builds and for keys of strangers.
#[derive(Debug, Clone, Copy)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        let (mut hash, mut position) = (self.0, 0);
        while position < bytes.len() {
            hash = (hash ^ bytes[position] as u64).wrapping_mul(0x0100_0000_01b3);
            position += 1;
        }
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_and_stand_once() {
        let mut names = Names::with_capacity(10);
        let given = ["relu", "relu", "relu_2", "relu", "blocks.0.conv1", "match", "+", "2", "A__b", "_größe.0_"]
            .map(|label| names.give(label));
        assert_eq!(
            given,
            ["relu", "relu_2", "relu_2_2", "relu_3", "blocks_0_conv1", "t_match", "t_", "t_2", "a_b", "gr_e_0"]
        );
    }
}

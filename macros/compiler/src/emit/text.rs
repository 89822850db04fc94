//! Code that was written as text.

use std::fmt;
use std::ops::Deref;

use proc_macro2::TokenStream;
use quote::quote;

/// A text that grows by `write!`.
///
/// Each piece is formatted as a whole and then added: the code that formats into a `String` of its own is part of the
/// standard library and optimised, while `write!` to a `String` would be compiled with this crate, which is not. It takes
/// half the time.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// What `write!` and `writeln!` call.
    pub(super) fn write_fmt(&mut self, piece: fmt::Arguments<'_>) {
        self.0 += &fmt::format(piece);
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The tokens of a text that this compiler wrote.
///
/// In a macro, rustc reads it: `proc_macro2` would read it a second time itself, without optimisation, to answer texts that
/// are no Rust with an error.
pub(super) fn tokens(text: &str) -> TokenStream {
    if proc_macro::is_available() {
        return text.parse::<proc_macro::TokenStream>().map_or_else(|_| fault(), TokenStream::from);
    }
    text.parse().unwrap_or_else(|_| fault())
}

/// What stands for code that is missing.
pub(super) fn fault() -> TokenStream {
    quote!(compile_error!("graven wrote code that is no Rust: a fault of graven, please report it"))
}

//! Code that was written as text.

use proc_macro2::TokenStream;
use quote::quote;

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

/// What stands for a text that is no Rust.
fn fault() -> TokenStream {
    quote!(compile_error!("graven wrote code that is no Rust: a fault of graven, please report it"))
}

//! The macros of [`graven`](https://docs.rs/graven): the doors to the compiler, without logic. Programs use them through
//! `graven`, whose documentation describes them.

use proc_macro::TokenStream;

/// Says that a struct is a module: its fields are layers, other modules, and arrays of modules.
///
/// What it does stands in the [`network!`](https://docs.rs/graven/latest/graven/macro.network.html) block behind it, which
/// also writes all impls. The derive itself only shows the struct to that block.
///
/// A layer takes its arguments in `#[layer(..)]`, by position or by name, in PyTorch's words:
///
/// ```ignore
/// #[derive(Module)]
/// struct Network {
///     #[layer(in_channels = 1, out_channels = 6, kernel_size = 5)]
///     conv1: Conv2d,
///     #[layer(frozen, out_features = 10)] // not trained; in_features follows from the input
///     out: Linear,
/// }
/// ```
#[proc_macro_derive(Module, attributes(layer))]
pub fn derive_module(item: TokenStream) -> TokenStream {
    graven_compiler::derive_module(item.into()).into()
}

#[doc(hidden)]
#[proc_macro]
pub fn network(input: TokenStream) -> TokenStream {
    graven_compiler::network(input.into()).into()
}

#[doc(hidden)]
#[proc_macro]
pub fn network_struct(input: TokenStream) -> TokenStream {
    graven_compiler::network_struct(input.into()).into()
}

#[doc(hidden)]
#[proc_macro]
pub fn network_module(input: TokenStream) -> TokenStream {
    graven_compiler::network_module(input.into()).into()
}

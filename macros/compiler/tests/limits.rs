//! What is too large, too long or too deep is a mistake with the name of the layer or function in it, found in bounded time.

use std::time::{Duration, Instant};

use graven_compiler::{inspect, network};
use proc_macro2::TokenStream;
use quote::quote;

/// Each takes a second on an idle machine; what has no bound would take hours.
const LIMIT: Duration = Duration::from_secs(30);

/// The messages about a block, and about the struct that it describes.
fn messages(structure: &str, block: &str) -> Vec<String> {
    let tokens = |text: &str| text.parse::<TokenStream>().unwrap();
    let start = Instant::now();
    let messages = inspect(tokens(structure), tokens(block)).err().unwrap_or_default();
    assert!(start.elapsed() < LIMIT, "{structure} {block} took {:?}", start.elapsed());
    messages
}

/// The one message.
fn message(structure: &str, block: &str) -> String {
    let messages = messages(structure, block);
    assert_eq!(messages.len(), 1, "{structure} {block}: {messages:?}");
    messages[0].clone()
}

/// The one message about a function of `x` with that body.
fn function(body: &str) -> String {
    message("", &format!("fn f(x: Tensor<[N, 4]>) -> Tensor<[N, 4]> {{ {body} }}"))
}

/// The one message about a layer `a` that is applied to [N, 3, 8, 8], and about its function.
fn layer(field: &str) -> String {
    let block = "impl Net { fn f(&self, x: Tensor<[N, 3, 8, 8]>) -> Tensor<[]> { sum(self.a(x)) } }";
    message(&format!("struct Net {{ {field} }}"), block)
}

#[test]
fn sizes_that_overflow_name_their_layer() {
    for field in [
        "#[layer(out_channels = 1, kernel_size = 4000000000)] a: Conv2d",
        "#[layer(out_channels = 4611686018427387904, kernel_size = 1)] a: Conv2d",
        "#[layer(out_channels = 2147483647, kernel_size = 1)] a: Conv2d",
        "#[layer(out_channels = 2147483647, kernel_size = 2147483647, padding = 1073741824)] a: Conv2d",
        "#[layer(out_channels = 1, kernel_size = 1, padding = 2147483647)] a: Conv2d",
        "#[layer(out_channels = 1, kernel_size = 1, padding = 2147483647, stride = 2147483647)] a: Conv2d",
        "#[layer(out_channels = 1, kernel_size = 2, padding = 1073741824, dilation = 2147483647)] a: Conv2d",
        "#[layer(out_features = 4611686018427387904)] a: Linear",
        "#[layer(out_features = 18446744073709551615)] a: Linear",
    ] {
        let message = layer(field);
        assert!(message.contains("`a`"), "{field}: {message}");
    }
    assert!(function("max_pool2d(x, kernel_size = 4000000000)").contains("`max_pool2d`"));
    let batch = "fn f(x: Tensor<[9223372036854775807, 4]>) -> Tensor<[]> { sum(x) }";
    assert!(message("", batch).contains("more elements than a machine can address"));
    let symbols = "for i in 0..20 { n = n * n; } x * n";
    assert!(function(&format!("let mut n = N; {symbols}")).contains("overflows"));
}

#[test]
fn parameters_and_tiles_must_fit_into_a_machine() {
    let field = |i: usize| format!("#[layer(1048576, 1048576, bias = false)] a{i}: Linear, ");
    let parameters = format!("struct Net {{ {} }}", (0..2).map(field).collect::<String>());
    let block = "impl Net { fn f(&self, x: Tensor<[N, 1048576]>) -> Tensor<[N, 1048576]> { self.a1(self.a0(x)) } }";
    assert!(message(&parameters, block).contains("`a1` has a weight [1048576, 1048576]"));
    let tile = "fn f(x: Tensor<[N, 68719476736]>) -> Tensor<[N, 68719476736]> { softmax(relu(x), dim = 1) }";
    let message = message("", tile);
    assert!(message.contains("`f` keeps 137438953472 numbers of each sample"), "{message}");
    assert!(message.contains("note: the largest is"), "{message}");
}

#[test]
fn work_without_end_is_a_mistake() {
    assert!(function("for i in 0..4096 { for j in 0..4096 { for k in 0..4096 { } } } x").contains("`f` is too long"));
    assert!(
        function("let mut x = x; for i in 0..4096 { for j in 0..64 { x = relu(x); } } x").contains("`f` is too long")
    );
    let doubled: String = (1..40)
        .map(|i| format!("fn f{i}(x: Tensor<[N, 4]>) -> Tensor<[N, 4]> {{ f{}(f{}(x)) }} ", i - 1, i - 1))
        .collect();
    let doubled = format!("fn f0(x: Tensor<[N, 4]>) -> Tensor<[N, 4]> {{ relu(x) }} {doubled}");
    let messages = messages("", &doubled);
    assert!(messages.iter().all(|message| message.contains("is too long")) && !messages.is_empty(), "{messages:?}");
    let looped =
        "fn f(x: Tensor<[N, 4]>) -> Tensor<[N, 4]> { g(x) } fn g(x: Tensor<[N, 4]>) -> Tensor<[N, 4]> { f(x) }";
    let messages = self::messages("", looped);
    assert!(messages.iter().all(|message| message.contains("calls itself")) && !messages.is_empty(), "{messages:?}");
}

#[test]
fn arrays_of_arrays_of_modules_are_bounded() {
    let inner = "{ struct Inner { a: [Empty; 4096] } } { } { Empty { { struct Empty; } { } { } } }";
    let description = format!("{{ struct Middle {{ a: [Inner; 4096] }} }} {{ }} {{ Inner {{ {inner} }} }}");
    let state = "(::graven) { struct Net { a: [Middle; 4096] } } { impl Net { } } [{ Middle }] { }";
    let start = Instant::now();
    let code = graven_compiler::network_module(format!("{{ {description} }} {state}").parse().unwrap()).to_string();
    assert!(code.contains("may have 16384 layers and modules"), "{code}");
    assert!(start.elapsed() < LIMIT);
}

#[test]
fn deep_nesting_is_a_mistake_and_no_crash() {
    // The stack that rustc gives to a macro.
    let deep = || {
        for (open, inner, close) in [
            ("(", "x", ")"),
            ("{", "x", "}"),
            ("[", "x", "]"),
            ("-", "x", ""),
            ("relu(", "x", ")"),
            ("x + ", "x", ""),
            ("", "x", ".relu()"),
            ("|x| ", "x", ""),
            ("x = ", "x", ""),
            ("if x { x } else ", "x", ""),
            ("match x { _ => ", "x", "}"),
            ("let a: Vec<", "u8", ">"),
            ("for i in 0..2 {", "", "}"),
            ("fn f() {", "", "}"),
        ] {
            for n in [10, 30, 60, 100, 300, 1000, 10_000] {
                let body = format!("{}{inner}{}", open.repeat(n), close.repeat(n));
                let block: TokenStream =
                    format!("fn f(x: Tensor<[N, 3]>) -> Tensor<[N, 3]> {{ {body} }}").parse().unwrap();
                let code = network(quote!((::graven) #block)).to_string();
                assert!(n < 1000 || code.contains("this is nested too deeply"), "{n} times {open}{close}");
                // What proc_macro2 does in tests recurses as well.
                std::mem::forget(block);
            }
        }
    };
    std::thread::Builder::new().stack_size(8 << 20).spawn(deep).unwrap().join().unwrap();
}

#[test]
fn what_was_reported_before_is_still_a_mistake() {
    // The second function meets the mistake of the first one again, in silence.
    let block = "
        fn f(x: Tensor<[N, 4]>) -> Tensor<[N, 4]> { relu() }
        fn g(x: Tensor<[N, 4]>) -> Tensor<[N, 4]> { f(x) }";
    assert!(message("", block).contains("`relu` misses `input`"));
}

#[test]
fn the_chain_behind_a_value_ends() {
    // Each flatten gives back what it was given.
    let message = function("let t = relu(x).flatten(1).flatten(1); cat([t, t], dim = 0)");
    assert!(message.contains("`cat`"), "{message}");
}

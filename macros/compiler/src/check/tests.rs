//! What is wrong is said, never panicked about. The words as the user sees them stand in `tests/errors`.

use std::str::FromStr as _;

use proc_macro2::TokenStream;

use crate::inspect;

/// The messages about a block, and about the struct that it describes.
fn messages(structure: &str, block: &str) -> Vec<String> {
    let tokens = |text: &str| TokenStream::from_str(text).unwrap();
    inspect::inspect(tokens(structure), tokens(block)).err().unwrap_or_default()
}

/// The one message about a function of `x` [N, 3, 8, 8] and `y` [N, 4].
fn message(body: &str) -> String {
    let block = format!("fn f(x: Tensor<[N, 3, 8, 8]>, y: Tensor<[N, 4]>) -> Tensor<[N, 4]> {{ {body} }}");
    let messages = messages("", &block);
    assert_eq!(messages.len(), 1, "{body}: {messages:?}");
    messages[0].clone()
}

/// The one message about a layer applied to [N, 3, 8, 8].
fn layer(field: &str) -> String {
    let block = "impl A { fn f(&self, x: Tensor<[N, 3, 8, 8]>) -> Tensor<[N, 3, 8, 8]> { self.a(x) } }";
    let messages = messages(&format!("struct A {{ {field} }}"), block);
    assert_eq!(messages.len(), 1, "{field}: {messages:?}");
    messages[0].clone()
}

#[test]
fn extreme_numbers_are_mistakes_like_others() {
    for arguments in [
        "out_channels = 2147483647, kernel_size = 2147483647",
        "out_channels = 8, kernel_size = 3, padding = 9223372036854775807",
        "out_channels = 8, kernel_size = 3, dilation = 2147483647",
        "out_channels = 8, kernel_size = 3, stride = 99999999999999999999",
        "out_channels = 2147483647, kernel_size = (2147483647, 8), padding = (2147483647, 0)",
        "in_channels = 2147483647, out_channels = 2147483647, kernel_size = 1, groups = 2147483647",
    ] {
        layer(&format!("#[layer({arguments})] a: Conv2d"));
    }
    layer("#[layer(in_features = 9999999999, out_features = 9)] a: Linear");
    layer("#[layer(1e400)] a: Dropout");
    message("max_pool2d(x, kernel_size = 2, padding = 9223372036854775807)");
    message("x.reshape([4294967296, 4294967296, -1])");
    message("x.reshape([0, -1])");
    message("x.reshape([])");
    message("y + 170141183460469231731687303715884105727");
    message("softmax(y, dim = 9223372036854775807)");
    message("softmax(y, dim = -9223372036854775808)");
    message("permute(y, [0, 0])");
    message("permute(y, [])");
    message("mean(y, dim = [1, 1])");
    message("cat([], dim = 0)");
    message("cat([y, y], dim = 0)");
    message("cat([y, sum(y, dim = 0)], dim = 0)");
    message("flatten(x, start_dim = 2, end_dim = 1)");
    message("adaptive_avg_pool2d(x, output_size = 9)");
    message("for i in 0..9999999999 { let z = i; } y");
}

#[test]
fn what_is_no_tensor_is_named() {
    assert!(message("relu(self)").contains("is `self`, but must be a tensor"));
    assert!(message("y(x)").contains("`y` is no layer and no function"));
    assert!(message("relu(relu)").contains("no variable is called `relu` here"));
    assert!(message("let (a, b) = y; a").contains("2 names for one value"));
    assert!(message("y[0]").contains("arrays of modules"));
    assert!(message("y += x; y").contains("tensors do not change"));
    assert!(message("-\"a\"").contains("no number"));
    assert!(message("cross_entropy(y)").contains("misses `target`"));
    assert!(message("matmul(y, sum(y))").contains("takes matrices"));
}

#[test]
fn a_mistake_in_a_call_is_reported_once_for_all_callers() {
    let block = "
        fn inner(x: Tensor<[N, 4]>) -> Tensor<[N, 4]> { relu(x.reshape([-1, 5])) }
        fn outer(x: Tensor<[N, 4]>) -> Tensor<[N, 4]> { inner(x) + inner(x) }";
    assert_eq!(messages("", block).len(), 1);
}

#[test]
fn parsing_goes_on_behind_a_mistake() {
    let block = "
        const SIZE: u8 = 4;
        fn a(x: Tensor<[N, 4], f16>) -> Tensor<[N, 4]> { x }
        struct B;
        fn c(x: Tensor) { let = 1; }
        fn d<T>(x: T) -> Tensor<[]> { x }";
    let messages = messages("", block);
    let said = [
        "`SIZE` must be a `usize`",
        "not `f16`",
        "a `network!` block holds",
        "names its shape",
        "must say what it returns",
        "`d` takes no generics",
    ];
    for part in said {
        assert_eq!(messages.iter().filter(|message| message.contains(part)).count(), 1, "{part}: {messages:?}");
    }
}

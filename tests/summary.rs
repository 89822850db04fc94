//! What is known of a network before it runs: its table, its totals as constants, what an editor shows, and whether a file of
//! weights fits.

#![allow(missing_docs, dead_code, reason = "the networks of tests")]

use std::fs;

use graven::prelude::*;
use graven_compiler::expand;
use proc_macro2::{TokenStream, TokenTree};
use quote::quote;

#[path = "promises/networks.rs"]
mod networks;

use networks::{Residual, Tutorial};

// In training relu runs behind max_pool2d: the pooling keeps where its maxima were, and the result of relu.
#[test]
fn the_table_of_the_tutorial_network() {
    let expected = "\
Tutorial::forward: t [N, 1, 28, 28]
-------------------------------------------------------------------------------------
layer  type        output          parameters  multiply-adds  bytes kept for backward
-------------------------------------------------------------------------------------
conv1  Conv2d      [N, 6, 24, 24]         156         89,856                        -
       relu        [N, 6, 24, 24]           -          3,456                        -
       max_pool2d  [N, 6, 12, 12]           -          3,456                    6,912
conv2  Conv2d      [N, 12, 8, 8]        1,812        115,968                        -
       relu        [N, 12, 8, 8]            -            768                        -
       max_pool2d  [N, 12, 4, 4]            -            768                    1,536
       reshape     [N, 192]                 -              -                        -
fc1    Linear      [N, 120]            23,160         23,160                        -
       relu        [N, 120]                 -            120                      480
fc2    Linear      [N, 60]              7,260          7,260                        -
       relu        [N, 60]                  -             60                      240
out    Linear      [N, 10]                610            610                        -
-------------------------------------------------------------------------------------
total                                  32,998        245,482                    9,168
32,998 parameters in 131,992 bytes, all of them trained; multiply-adds and bytes kept are those of one sample";
    assert_eq!(Tutorial::summary().to_string(), expected);
}

#[test]
fn the_table_of_a_nested_network_takes_its_modules_apart() {
    let expected = "\
Residual::forward: images [N, 3, 16, 16]
----------------------------------------------------------------------------------------
layer           type    output        parameters  multiply-adds  bytes kept for backward
----------------------------------------------------------------------------------------
stem            Conv2d  [N, 6, 8, 8]         168         10,752                        -
                relu    [N, 6, 8, 8]           -            384                    1,536
blocks.0.conv1  Conv2d  [N, 6, 8, 8]         330         21,120                        -
                relu    [N, 6, 8, 8]           -            384                    1,536
blocks.0.conv2  Conv2d  [N, 6, 8, 8]         330         21,120                        -
                +       [N, 6, 8, 8]           -            384                        -
                relu    [N, 6, 8, 8]           -            384                    1,536
blocks.1.conv1  Conv2d  [N, 6, 8, 8]         330         21,120                        -
                relu    [N, 6, 8, 8]           -            384                    1,536
blocks.1.conv2  Conv2d  [N, 6, 8, 8]         330         21,120                        -
                +       [N, 6, 8, 8]           -            384                        -
                relu    [N, 6, 8, 8]           -            384                    1,536
                mean    [N, 6]                 -            390                       24
head            Linear  [N, 4]                28             28                        -
----------------------------------------------------------------------------------------
total                                      1,516         98,338                    7,704
1,516 parameters in 6,064 bytes, all of them trained; multiply-adds and bytes kept are those of one sample";
    assert_eq!(Residual::summary().to_string(), expected);
}

/// One window that does not fit, one layer used twice, one frozen, one that `forward` leaves to another function.
#[derive(Module)]
struct Odd {
    #[layer(frozen, out_channels = 2, kernel_size = 3)]
    stem: Conv2d,
    #[layer(in_features = 8, out_features = 8)]
    fc: Linear,
    #[layer(p = 0.5)]
    dropout: Dropout,
    #[layer(in_features = 8, out_features = 1_000)]
    other: Linear,
}

network! {
    impl Odd {
        fn head(&self, t: Tensor<[N, 8]>) -> Tensor<[N, 1_000]> {
            self.other(t)
        }

        fn forward(&self, t: Tensor<[N, 1, 7, 9]>) -> Tensor<[N, 8]> {
            let t = max_pool2d(self.stem(t), kernel_size = 2).reshape([-1, 12]);
            let t = avg_pool2d(t.reshape([-1, 2, 2, 3]), kernel_size = 2, stride = 1);
            let t = cat([t.flatten(1), t.flatten(1)], dim = 1);
            self.fc(self.dropout(gelu(self.fc(t))))
        }
    }
}

#[test]
fn what_is_worth_a_look_stands_below_the_table() {
    let summary = Odd::summary();
    let notes: Vec<&str> = summary.notes().collect();
    assert_eq!(
        notes,
        [
            "max_pool2d in `forward` leaves 1 row and 1 column of [N, 2, 5, 7] unread",
            "`forward` does not use `other` and its 9,000 parameters"
        ]
    );
    let text = summary.to_string();
    assert!(text.ends_with(&notes.join("\n")), "{text}");
    assert!(text.contains("\n9,092 parameters in 36,368 bytes, 9,072 of them trained; "), "{text}");
    assert_eq!((summary.parameters(), summary.trained_parameters()), (9_092, 9_072));
}

#[test]
fn a_layer_that_is_called_twice_counts_once() {
    let rows = Odd::summary().rows();
    let fc: Vec<_> = rows.iter().filter(|row| row.layer == "fc").collect();
    assert_eq!(fc.iter().map(|row| (row.parameters, row.shared)).collect::<Vec<_>>(), [(72, false), (72, true)]);
    assert!(Odd::summary().to_string().contains("shared"));
}

/// What is below a frozen layer keeps nothing; what a gradient reads is counted where it was computed.
#[test]
fn bytes_are_kept_for_what_the_backward_pass_reads() {
    let kept = |kind: &str| Odd::summary().rows().iter().filter(|row| row.kind == kind).map(|row| row.kept_bytes).sum();
    let expected: [(&str, u64); 6] =
        [("Conv2d", 0), ("max_pool2d", 0), ("avg_pool2d", 0), ("cat", 4 * 8), ("Linear", 4 * 8), ("Dropout", 4 * 8)];
    assert_eq!(expected.map(|(kind, _)| (kind, kept(kind))), expected, "{}", Odd::summary());
}

mod totals {
    use super::{Model as _, Residual, Tutorial};

    const _: () = assert!(Tutorial::PARAMETERS < 50_000 && Tutorial::BYTES == 131_992);
    const _: () = assert!(Tutorial::MULTIPLY_ADDS < 250_000);
    const _: () = assert!(Residual::PARAMETERS == 1_516);
}

#[test]
fn totals_are_those_of_a_network_that_was_made() {
    let network = Residual::init(Seed(0), &Device::cpu()).unwrap();
    assert_eq!(network.num_parameters(), Residual::PARAMETERS);
    assert_eq!(Residual::summary().rows().iter().map(|row| row.multiply_adds).sum::<u64>(), Residual::MULTIPLY_ADDS);
}

/// A block that bounds its own network, and ties its input to a data set.
#[derive(Module)]
struct Bounded {
    #[layer(out_features = CLASSES)]
    out: Linear,
}

network! {
    const CLASSES: usize = 10;
    const HEIGHT: usize = 28;
    const WIDTH: usize = 28;
    assert!(CLASSES == FashionMnist::CLASSES);
    assert!(HEIGHT == FashionMnist::HEIGHT && WIDTH == FashionMnist::WIDTH);
    assert!(Bounded::PARAMETERS < 10_000);

    impl Bounded {
        fn forward(&self, t: Tensor<[N, 1, HEIGHT, WIDTH]>) -> Tensor<[N, CLASSES]> {
            self.out(t.flatten(1))
        }
    }
}

// What editors show.

/// The code for a struct and a block that are written as text, so that tokens have places.
fn code(structure: &str, block: &str) -> TokenStream {
    expand(&quote!(::graven), &structure.parse().unwrap(), &block.parse().unwrap())
}

const STRUCT: &str = "struct Net { #[layer(out_features = 2)] fc: Linear, #[layer(out_features = 3)] out: Linear }";
const BLOCK: &str =
    "impl Net {\n pub fn forward(&self, t: Tensor<[N, 4]>) -> Tensor<[N, 3]> {\n self.out(relu(self.fc(t)))\n }\n }";

#[test]
fn the_docs_of_a_method_hold_the_table() {
    let file: syn::File = syn::parse2(code(STRUCT, BLOCK)).unwrap();
    let text = prettyplease::unparse(&file);
    let table = "
        ///
        /// | layer | input | output | parameters | bytes | multiply-adds |
        /// | - | - | - | -: | -: | -: |
        /// | `fc` | `[N, 4]` | `[N, 2]` | 10 | 40 | 10 |
        /// | `relu` | `[N, 2]` | `[N, 2]` |  |  | 2 |
        /// | `out` | `[N, 2]` | `[N, 3]` | 9 | 36 | 9 |
        /// | total | | | 19 | 76 | 21 |
";
    assert!(text.contains(table), "{text}");
}

/// All names in some code, with line and column.
fn names(tokens: TokenStream, found: &mut Vec<(String, (usize, usize))>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => names(group.stream(), found),
            TokenTree::Ident(name) => {
                found.push((name.to_string(), (name.span().start().line, name.span().start().column)))
            }
            _ => {}
        }
    }
}

/// An editor asks which names of the code stand at the place of the pointer: one must read the field, and one name an item
/// with the shapes in its docs.
#[test]
fn the_place_of_a_call_leads_to_the_field_and_to_docs_with_the_shapes() {
    let code = code(STRUCT, BLOCK);
    let text = code.to_string();
    assert!(text.contains("& network . fc , fc"), "{text}");
    assert!(text.contains("`[N, 4]` -> `[N, 2]`, 10 parameters in 40 bytes, 10 multiply-adds a sample."), "{text}");
    let mut found = Vec::new();
    names(code, &mut found);
    let column = BLOCK.lines().nth(2).unwrap().find("fc(").unwrap();
    let at_call = found.iter().filter(|(name, place)| name == "fc" && *place == (3, column)).count();
    assert_eq!(at_call, 2, "{found:?}");
    let field = STRUCT.find("fc:").unwrap();
    assert!(found.iter().any(|(name, place)| name == "fc" && *place == (1, field)), "{found:?}");
}

// Files of weights.

/// Compiles only if the file fits; cargo builds this test again when the file changes.
#[derive(Module)]
struct Saved {
    #[layer(out_features = 3)]
    fc: Linear,
}

network! {
    impl Saved {
        weights!("weights/network.safetensors");

        fn forward(&self, t: Tensor<[N, 4]>) -> Tensor<[N, 3]> {
            self.fc(t)
        }
    }
}

#[test]
fn a_file_that_was_checked_while_compiling_loads() {
    let mut network = Saved::init(Seed(0), &Device::cpu()).unwrap();
    network.load(concat!(env!("CARGO_MANIFEST_DIR"), "/weights/network.safetensors")).unwrap();
    assert_eq!(network.fc.bias.as_ref().unwrap().to_vec().unwrap(), [0.5, -0.5, 0.25]);
}

/// What the compiler says about a file for [`STRUCT`], which a test has written.
fn said(file: &std::path::Path) -> String {
    let block = BLOCK.replace("impl Net {", &format!("impl Net {{ weights!({:?});", file.to_str().unwrap()));
    let name = format!("`{}` ", file.display());
    code(STRUCT, &block).to_string().replace("\\n", "\n").replace(&name, "")
}

#[test]
fn a_file_that_a_network_saved_fits_it() {
    #[derive(Module)]
    struct Net {
        #[layer(out_features = 2)]
        fc: Linear,
        #[layer(out_features = 3)]
        out: Linear,
    }
    network! {
        impl Net {
            fn forward(&self, t: Tensor<[N, 4]>) -> Tensor<[N, 3]> { self.out(relu(self.fc(t))) }
            fn loss(&self, t: Tensor<[N, 4]>) -> Tensor<[]> { sum(self.forward(t)) }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a \"network\".safetensors");
    let mut network = Net::init(Seed(0), &Device::cpu()).unwrap();
    network.save(&file).unwrap();
    let code = said(&file);
    assert!(!code.contains("compile_error") && code.contains("std :: include_bytes ! (\""), "{code}");

    // A checkpoint holds the state of its optimizer as well.
    let mut adam = Adam::new(0.1);
    network.loss_step(&Tensor::zeros([1, 4]).unwrap(), &mut adam).unwrap();
    Checkpoint::save(&file, &network, &adam, &[]).unwrap();
    let code = said(&file);
    assert!(!code.contains("compile_error"), "{code}");

    let whole = fs::read(&file).unwrap();
    for (bytes, expected) in [
        (&whole[..7], "is no complete safetensors file: it ends in the length of its header"),
        (&whole[..100], "and the file has 100"),
        (&whole[..whole.len() - 1], "but its header describes"),
        (b"PK\x03\x04 and so on", "is a file of `torch.save`, expected safetensors"),
        (b"\x02\0\0\0\0\0\0\0[]", "its header lacks `{` at byte 0"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff{}", "its header would have 18446744073709551615 bytes"),
    ] {
        fs::write(&file, bytes).unwrap();
        let code = said(&file);
        assert!(code.contains(expected) && !code.contains("include_bytes"), "{expected}: {code}");
        assert_eq!(code.matches("compile_error").count(), 1, "{code}");
    }
}

#[test]
fn a_long_list_of_differences_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("many.safetensors");
    let bytes = [0; 16];
    let view = |dtype, shape: &[usize]| {
        let size = if dtype == safetensors::Dtype::F32 { 4 } else { 8 };
        let len = size * shape.iter().product::<usize>();
        safetensors::tensor::TensorView::new(dtype, shape.to_vec(), &bytes[..len]).unwrap()
    };
    let mut tensors: Vec<(String, _)> =
        (0..12).map(|n| (format!("x{n:02}"), view(safetensors::Dtype::F32, &[1]))).collect();
    tensors.push(("fc.bias".to_owned(), view(safetensors::Dtype::I64, &[2])));
    tensors.push(("out.bias".to_owned(), view(safetensors::Dtype::F32, &[1, 3])));
    fs::write(&file, safetensors::serialize(tensors, None).unwrap()).unwrap();
    let code = said(&file);
    for expected in [
        "missing: `fc.weight`, `out.weight`\n",
        "unexpected: `x00`, `x01`, `x02`, `x03`, `x04`, `x05`, `x06`, `x07`, and 4 more\n",
        "`fc.bias` holds numbers of the type I64, expected F32\n",
        "`out.bias` has the shape [1, 3], expected [3]\n",
        "help: save the weights of this network anew",
    ] {
        assert!(code.contains(expected), "{expected}: {code}");
    }
}

#[test]
fn weights_belong_to_a_network() {
    let functions = code("struct Net;", "weights!(3); impl Net { fn f(x: Tensor<[3]>) -> Tensor<[]> { sum(x) } }");
    assert!(functions.to_string().contains("takes the path of one file"), "{functions}");
    let sizes = code(
        "struct Net<const C: usize> { #[layer(C, C)] fc: Linear }",
        "impl Net { weights!(\"a\"); fn forward(&self, t: Tensor<[N, C]>) -> Tensor<[N, C]> { self.fc(t) } }",
    );
    assert!(sizes.to_string().contains("`Net` has sizes, so no file can hold its weights"), "{sizes}");
}

#[test]
fn a_file_that_does_not_fit_is_one_error_on_its_name() {
    trybuild::TestCases::new().compile_fail("weights/*.rs");
}

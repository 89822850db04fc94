//! Goldens: the text form of every stage for a few networks, and the code that the compiler writes for the tutorial network.
//!
//! `GRAVEN_BLESS=1 cargo test -p graven-tests --test stages` writes them anew; read the difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use graven::prelude::*;
use graven_compiler::{expand, inspect, text_forms};
use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};

/// The code of `examples/expanded/tutorial.rs`, compiled as it stands.
#[allow(unreachable_pub)] // It reads as a user's library would.
#[rustfmt::skip] // It is printed by prettyplease.
#[path = "../examples/expanded/tutorial.rs"]
mod expanded;

/// A struct and its block, read from a file of Rust.
fn network(file: &str) -> (TokenStream, TokenStream) {
    let text = fs::read_to_string(root().join("tests/stages").join(file)).unwrap();
    let parsed: syn::File = syn::parse_str(&text).unwrap();
    let (mut structure, mut block) = (TokenStream::new(), TokenStream::new());
    for item in parsed.items {
        match item {
            syn::Item::Struct(item) => structure = item.to_token_stream(),
            syn::Item::Macro(item) => block = item.mac.tokens,
            _ => {}
        }
    }
    (structure, block)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compares a text with a golden file, or writes the file.
fn check(path: &Path, text: &str) {
    if std::env::var_os("GRAVEN_BLESS").is_some() {
        fs::write(path, text).unwrap();
        return;
    }
    let golden = fs::read_to_string(path).unwrap_or_default();
    if golden != text {
        let line = golden
            .lines()
            .zip(text.lines())
            .position(|(old, new)| old != new)
            .unwrap_or(golden.lines().count().min(text.lines().count()));
        panic!(
            "{} differs from line {} on:\n  golden: {}\n  now:    {}\nGRAVEN_BLESS=1 writes it anew",
            path.display(),
            line + 1,
            golden.lines().nth(line).unwrap_or("(its end)"),
            text.lines().nth(line).unwrap_or("(its end)")
        );
    }
}

fn check_stages(name: &str) {
    let (structure, block) = network(&format!("{name}.rs"));
    let mut text = String::new();
    for function in inspect(structure, block).unwrap() {
        let graphs = [("", Some(function.evaluation)), ("_grad", function.training)];
        for (suffix, graph) in graphs.into_iter().filter_map(|(suffix, graph)| Some((suffix, graph?))) {
            for (stage, form) in text_forms(&graph) {
                text += &format!("== {}{suffix}: {stage} ==\n{form}\n", function.name);
            }
        }
    }
    check(&root().join("tests/stages").join(format!("{name}.txt")), &text);
}

#[test]
fn stages_of_the_tutorial_network() {
    check_stages("tutorial");
}

#[test]
fn stages_of_a_network_that_couples_its_samples() {
    check_stages("normalised");
}

#[test]
fn stages_of_plain_functions() {
    check_stages("functions");
}

#[test]
fn the_expanded_tutorial_network_is_what_the_compiler_writes() {
    let (structure, block) = network("tutorial.rs");
    let code = expand(&quote!(::graven), &structure, &block);
    let mut item: syn::ItemStruct = syn::parse2(structure).unwrap();
    item.attrs.retain(|attribute| !attribute.path().is_ident("derive"));
    if let syn::Fields::Named(fields) = &mut item.fields {
        fields.named.iter_mut().for_each(|field| field.attrs.retain(|attribute| !attribute.path().is_ident("layer")));
    }
    let file: syn::File = syn::parse2(quote!(use graven::prelude::*; #item #code)).unwrap();
    let header = "//! What the compiler writes for the network in `tests/stages/tutorial.rs`, as `cargo expand` would show it.\n//!\n\
                  //! Written and compared by `tests/stages.rs`, which also trains it.\n\n";
    check(&root().join("examples/expanded/tutorial.rs"), &(header.to_owned() + &prettyplease::unparse(&file)));
}

#[allow(unreachable_pub)] // As above.
mod tutorial {
    use graven::prelude::*;
    include!("stages/tutorial.rs");
}

#[test]
fn the_expanded_network_trains_as_the_macro_does() {
    let images = Tensor::from_fn([37, 1, 28, 28], |index| (index * 7919 % 997) as f32 / 997.0).unwrap();
    let labels = Tensor::new((0..37).map(|index| index % 10).collect::<Vec<i64>>(), [37]).unwrap();
    let mut written = expanded::Network::init(Seed(3), &Device::cpu()).unwrap();
    let mut expected = tutorial::Network::init(Seed(3), &Device::cpu()).unwrap();
    let (mut adam, mut other) = (Adam::new(0.01), Adam::new(0.01));
    for _ in 0..3 {
        let (loss, correct) = written.loss_step(&images, &labels, &mut adam).unwrap();
        assert_eq!((loss, correct), expected.loss_step(&images, &labels, &mut other).unwrap());
    }
    assert_eq!(written.forward(&images).unwrap(), expected.forward(&images).unwrap());
}

#[allow(unreachable_pub)] // As above.
mod pooled {
    use graven::prelude::*;
    include!("stages/pooled.rs");
}

#[test]
fn operations_share_a_kernel_where_nobody_reads_what_is_between() {
    let (structure, block) = network("pooled.rs");
    for function in inspect(structure, block).unwrap() {
        let forms = text_forms(&function.evaluation);
        let schedule = &forms.iter().find(|(stage, _)| *stage == "schedule").unwrap().1;
        // How many share the kernel of a tile, wherever the pooling runs.
        let (tile, _) = schedule.split_once("up to 4 samples").unwrap();
        let runs = tile.lines().filter(|line| line.contains(" max_pool2d"));
        let operations: Vec<usize> = runs.map(|run| run[..run.find(" (%").unwrap()].matches('%').count()).collect();
        let wanted = match function.name.as_str() {
            "activated" | "added" => 3,
            "both" => 1,
            _ => 2,
        };
        assert_eq!(operations, [wanted], "{}:\n{schedule}", function.name);
    }
    let images = Tensor::from_fn([20, 1, 28, 28], |index| (index * 7919 % 997) as f32 / 997.0).unwrap();
    let network = pooled::Pooled::init(Seed(1), &Device::cpu()).unwrap();
    let (_, behind) = network.both(&images).unwrap();
    assert_eq!(network.alone(&images).unwrap(), behind);
    let (pooled, relu) = network.pooled_and_activated(&images).unwrap();
    assert!(pooled.as_slice().iter().any(|x| *x < 0.0) && pooled.as_slice().iter().any(|x| *x > 0.0));
    assert_eq!(network.activated(&images).unwrap(), relu);
    let bias = Tensor::from_fn([6, 1, 1], |index| index as f32 * 0.1 - 0.3).unwrap();
    let (pooled, relu) = network.pooled_and_added(&images, &bias).unwrap();
    assert_eq!(pooled, behind);
    assert_eq!(network.added(&images, &bias).unwrap(), relu);
    let shifted = behind.as_slice().iter().map(|x| (x - 0.5).max(0.0)).collect::<Vec<_>>();
    assert_eq!(network.shifted(&images).unwrap().as_slice(), shifted);
}

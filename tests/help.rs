//! Every help is true: what it says to write takes the place of the marked tokens, and the result compiles. And the chapter
//! of the docs about messages shows those that the compiler prints.

use std::collections::BTreeSet;
use std::fs;
use std::str::FromStr as _;

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens as _, quote};

/// Mistakes whose help says in words what to do, because no text in place of the marked tokens would mend them: the mend is a
/// new layer, function or field, more than one edit, nothing at all in place of the tokens, or a number that only the user
/// knows; and those which rustc reports, before a macro runs. Each with its reason.
const IN_WORDS: &[(&str, &str)] = &[
    ("assert_does_not_hold", "rustc evaluates the condition; the number to change stands elsewhere"),
    ("calls_itself", "the recursion must become a loop over an array of modules"),
    ("cat_ranks_differ", "which axis an input lacks, only the user knows"),
    ("classes_of_the_dataset", "rustc evaluates the condition; the number to change stands elsewhere"),
    ("constant_in_a_function", "no number is meant by a division by zero"),
    ("enum_as_a_module", "a struct must be written in its place"),
    ("field_is_no_module", "the field must go, and nothing stands in its place"),
    ("field_that_does_not_exist", "rustc reports it: no macro can know the types in scope"),
    ("field_without_derive", "rustc reports it; the derive stands on another struct"),
    ("image_shape_of_the_dataset", "rustc evaluates the condition; the number to change stands elsewhere"),
    ("layer_never_used", "the layer must be used, or go"),
    ("loss_not_scalar", "rustc reports that a function without a loss has no gradient"),
    ("loss_on_an_output_without_classes", "the loss belongs on an earlier value"),
    ("missing_semicolon", "the token to add stands behind another than the parser marks"),
    ("module_that_contains_itself", "another module must be written"),
    ("module_with_layer_arguments", "the arguments must go, and nothing stands in their place"),
    ("modules_that_contain_each_other", "rustc reports it; another module must be written"),
    ("network_in_another_module", "rustc reports it; the block must move"),
    ("no_return_type", "what is returned is known only when the signature can be read"),
    ("nothing_to_differentiate", "rustc reports that a function without a gradient has no step"),
    ("number_of_results", "which second result is meant, only the user knows"),
    ("number_of_sizes", "rustc reports it"),
    ("print_in_a_body", "the line must go, and nothing stands in its place"),
    ("residual_broadcasts_channels", "a new layer is needed"),
    ("second_network_for_a_struct", "rustc reports it; one block must go"),
    ("self_in_a_function", "a struct around the function is needed"),
    ("size_overflow", "no size is near"),
    ("struct_with_two_fields_of_one_name", "rustc reports it"),
    ("struct_without_derive", "rustc reports it; the derive stands on the struct"),
    ("syntax_error_in_a_body", "the parser of Rust reports it"),
    ("tensor_without_a_shape", "the shape is what the user must tell"),
    ("too_many_elements", "no size is near"),
    ("two_impls_in_a_block", "a second block is needed"),
    ("undeclared_constant", "a declaration is needed, unless a name is near"),
    ("unknown_kind_of_layer", "rustc reports it: no macro can know the types in scope"),
    ("unknown_size", "the number is what the user must tell"),
];

/// A message: its text, and the place it marks.
#[derive(Debug)]
struct Message {
    text: String,
    line: usize,
    column: usize,
    length: usize,
}

/// (name, source, messages as printed) of every mistake.
fn cases() -> Vec<(String, String, String)> {
    let mut cases: Vec<_> = fs::read_dir("errors")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let printed = fs::read_to_string(path.with_extension("stderr")).unwrap();
            (name, fs::read_to_string(&path).unwrap(), printed)
        })
        .collect();
    cases.sort();
    cases
}

/// Takes what rustc prints apart.
fn messages(printed: &str) -> Vec<Message> {
    let mut messages = Vec::new();
    for part in printed.split("\n\n") {
        let Some((text, rest)) = part.split_once("--> errors/") else { continue };
        let mut place = rest.lines().next().unwrap().rsplit(':').map(|number| number.parse::<usize>().unwrap_or(0));
        let (column, line) = (place.next().unwrap(), place.next().unwrap());
        let marks = rest.lines().find(|line| line.contains('^')).unwrap_or_default();
        let length = marks.chars().filter(|c| *c == '^').count();
        messages.push(Message { text: text.to_owned(), line, column, length });
    }
    messages
}

/// What a message says to write in place of what it marks.
fn replacement(text: &str) -> Option<&str> {
    ["help: write `", "did you mean `"].iter().find_map(|lead| text.split_once(lead)?.1.split('`').next())
}

/// A source in which every message was obeyed; None if one says in words what to do.
fn obeyed(source: &str, messages: &[Message]) -> Option<String> {
    let mut lines: Vec<String> = source.lines().map(ToOwned::to_owned).collect();
    // From the end, so that the places of the others stay.
    let mut messages: Vec<&Message> = messages.iter().collect();
    messages.sort_by_key(|message| (message.line, message.column));
    for message in messages.into_iter().rev() {
        let start = message.column - 1;
        lines[message.line - 1].replace_range(start..start + message.length, replacement(&message.text)?);
    }
    Some(lines.join("\n"))
}

/// A struct with `#[derive(Module)]` or a `network!` block.
struct Part {
    name: String,
    tokens: TokenStream,
    /// The types of its fields.
    fields: Vec<syn::Path>,
}

/// (structs, blocks) of a source; a block without a struct has an empty name.
fn parts(source: &str) -> (Vec<Part>, Vec<Part>) {
    let (mut structs, mut blocks) = (Vec::new(), Vec::new());
    for item in syn::parse_file(source).unwrap().items {
        match item {
            syn::Item::Struct(item) if item.attrs.iter().any(|attribute| attribute.path().is_ident("derive")) => {
                let types = item.fields.iter().map(|field| match &field.ty {
                    syn::Type::Array(array) => (*array.elem).clone(),
                    other => other.clone(),
                });
                let fields = types.filter_map(|ty| match ty {
                    syn::Type::Path(mut path) => {
                        path.path.segments.last_mut().unwrap().arguments = syn::PathArguments::None;
                        Some(path.path)
                    }
                    _ => None,
                });
                let fields = fields.collect();
                // A derive does not see itself.
                let tokens = syn::ItemStruct { attrs: Vec::new(), ..item.clone() }.into_token_stream();
                structs.push(Part { name: item.ident.to_string(), tokens, fields });
            }
            syn::Item::Macro(item) if item.mac.path.is_ident("network") => {
                let mut tokens = item
                    .mac
                    .tokens
                    .clone()
                    .into_iter()
                    .skip_while(|token| !matches!(token, TokenTree::Ident(name) if name == "impl"));
                let name = tokens.nth(1).map_or(String::new(), |name| name.to_string());
                blocks.push(Part { name, tokens: item.mac.tokens, fields: Vec::new() });
            }
            _ => {}
        }
    }
    (structs, blocks)
}

/// The description that a module publishes.
fn description(name: &str, structs: &[Part], blocks: &[Part]) -> Option<TokenStream> {
    let structure = structs.iter().find(|part| part.name == name)?;
    let block = &blocks.iter().find(|part| part.name == name)?.tokens;
    let nested = nested(structure, structs, blocks);
    let structure = &structure.tokens;
    Some(quote!({ #structure } { #block } { #nested }))
}

fn nested(structure: &Part, structs: &[Part], blocks: &[Part]) -> TokenStream {
    let mut seen = BTreeSet::new();
    let mut nested = TokenStream::new();
    for path in &structure.fields {
        let name = path.segments.last().unwrap().ident.to_string();
        if seen.insert(name.clone())
            && let Some(description) = description(&name, structs, blocks)
        {
            nested.extend(quote!(#path { #description }));
        }
    }
    nested
}

/// What the macros write for every block of a source.
fn expanded(source: &str) -> String {
    let (structs, blocks) = parts(source);
    let derived = structs.iter().map(|part| graven_compiler::derive_module(part.tokens.clone()).to_string());
    let mut expanded: String = derived.collect();
    for block in &blocks {
        let tokens = &block.tokens;
        let output = match structs.iter().find(|part| part.name == block.name) {
            None => graven_compiler::network(quote!((graven) #tokens)),
            Some(part) => {
                let structure = &part.tokens;
                let nested = nested(part, &structs, &blocks);
                // The last module to answer brings what the others brought.
                let empty = quote!({ struct Last; } { impl Last {} } {});
                graven_compiler::network_module(
                    quote!({ #empty } (graven) { #structure } { #tokens } [{ Last }] { #nested }),
                )
            }
        };
        expanded += &output.to_string();
    }
    expanded
}

#[test]
fn the_help_replaces_the_marked_tokens_and_the_result_compiles() {
    let mut in_words = Vec::new();
    let mut wrong = Vec::new();
    for (name, source, printed) in cases() {
        let messages = messages(&printed);
        assert!(!messages.is_empty(), "{name} prints no message");
        let Some(obeyed) = obeyed(&source, &messages) else {
            in_words.push(name);
            continue;
        };
        if TokenStream::from_str(&obeyed).is_err() {
            wrong.push(format!("{name}: does not parse"));
            continue;
        }
        assert!(expanded(&source).contains("compile_error"), "{name} has no mistake");
        let output = expanded(&obeyed);
        if let Some(position) = output.find("compile_error") {
            let said: String = output[position..].chars().take(400).collect();
            wrong.push(format!("{name}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let listed: Vec<&str> = IN_WORDS.iter().map(|(name, _)| *name).collect();
    assert_eq!(in_words, listed, "mistakes whose help is in words");
}

/// Twelve lines hold the message, its place and the code; what rustc itself prints may be longer.
#[test]
fn messages_are_short() {
    for (name, _, printed) in cases() {
        let ours = printed.split("\n\n").filter(|part| part.starts_with("error: "));
        for part in ours.filter(|part| !part.contains("cannot find macro") && part.contains("--> ")) {
            assert!(part.lines().count() <= 12, "{name}:\n{part}");
        }
    }
}

/// `GRAVEN_BLESS=1` does not write the chapter: whoever changes a message reads what the chapter says about it.
#[test]
fn the_chapter_shows_the_messages_as_they_are() {
    let chapter = fs::read_to_string("../docs/when-it-does-not-compile.md").unwrap();
    let sections: Vec<(&str, &str)> =
        chapter.split("\n### ").skip(1).filter_map(|section| section.split_once('\n')).collect();
    for (name, _, printed) in cases() {
        let Some((_, section)) = sections.iter().find(|(title, _)| *title == name) else {
            panic!("the chapter says nothing about `{name}`");
        };
        let shown = section.split("```text\n").nth(1).and_then(|rest| rest.split("\n```").next());
        let shown = shown.unwrap_or_else(|| panic!("the chapter shows no message of `{name}`"));
        for message in shown.split("\n\n") {
            assert!(printed.contains(message), "`{name}` prints\n{printed}\nbut the chapter shows\n{message}");
        }
        let advice = section.rsplit("```").next().unwrap_or_default().split("\n## ").next().unwrap_or_default();
        assert!(!advice.trim().is_empty(), "the chapter does not say what to do about `{name}`");
    }
    let names: BTreeSet<String> = cases().into_iter().map(|(name, ..)| name).collect();
    for (title, _) in sections {
        assert!(names.contains(title), "`{title}` is no mistake of tests/errors");
    }
}

/// What the README and the opening of the chapter show, but for paths, lines and the code around, is printed by some case.
#[test]
fn messages_shown_elsewhere_are_as_they_are() {
    let printed: String = cases().into_iter().map(|(_, _, printed)| printed).collect();
    let mut n_messages = 0;
    for file in ["../README.md", "../docs/when-it-does-not-compile.md", "../runtime/src/lib.rs"] {
        let text = fs::read_to_string(file).unwrap().replace("//! ", "");
        for block in text.split("```text\nerror: ").skip(1) {
            let message: String = block
                .lines()
                .take_while(|line| !(line.is_empty() || line.contains("-->") || line.starts_with("```")))
                .collect::<Vec<_>>()
                .join("\n");
            assert!(printed.contains(message.trim_end()), "{file} shows what nobody prints:\n{message}");
            n_messages += 1;
        }
    }
    assert!(n_messages > 0);
}

/// No mistake: a block may stand above its struct.
mod above {
    use graven::prelude::*;

    network! {
        impl Network {
            pub(super) fn forward(&self, t: Tensor<[N, 4]>) -> Tensor<[N, 2]> {
                self.out(t)
            }
        }
    }

    #[derive(Module)]
    pub(super) struct Network {
        #[layer(out_features = 2)]
        out: Linear,
    }
}

#[test]
fn a_block_may_stand_above_its_struct() {
    use graven::prelude::*;
    let network = above::Network::init(Seed(0), &Device::cpu()).unwrap();
    assert_eq!(network.forward(&Tensor::zeros([3, 4]).unwrap()).unwrap().shape(), [3, 2]);
}

/// What PyTorch code writes on purpose is no mistake: the rules about silent broadcasts and reshapes leave it alone.
#[test]
fn code_that_is_meant_is_not_refused() {
    let network = |body: &str| {
        format!(
            "#[derive(Module)] struct A {{ #[layer(8, 6)] fc: Linear, #[layer(8, 1)] one: Linear }}
             network! {{ impl A {{ {body} }} }}"
        )
    };
    for body in [
        // Attention masks and biases.
        "fn f(&self, scores: Tensor<[N, 8, 5, 5]>, mask: Tensor<[N, 1, 5, 5]>) -> Tensor<[N, 8, 5, 5]> { scores + mask }",
        // A mean that is taken away or added again.
        "fn f(&self, x: Tensor<[N, 8]>) -> Tensor<[N, 8]> { x - mean(x, dim = 1, keepdim = true) }",
        "fn f(&self, x: Tensor<[N, 8]>) -> Tensor<[N, 6]> { let y = self.fc(x); y + sum(y, dim = 1, keepdim = true) }",
        // One gate for all features.
        "fn f(&self, x: Tensor<[N, 8]>) -> Tensor<[N, 8]> { x * sigmoid(self.one(x)) + self.one(x) }",
        // A loss over the steps of a sequence.
        "fn f(&self, x: Tensor<[N, 7, 8]>) -> Tensor<[N * 7, 8]> { x.reshape([-1, 8]) }",
        "fn f(&self, x: Tensor<[N, 7, 8]>) -> Tensor<[N * 14, 4]> { x.reshape([N * 14, 4]) }",
        // Heads of attention, axes of 1, back and forth.
        "fn f(&self, x: Tensor<[N, 7, 8]>) -> Tensor<[N, 2, 7, 4]> { x.reshape([-1, 7, 2, 4]).permute([0, 2, 1, 3]) }",
        "fn f(&self, x: Tensor<[N, 8]>) -> Tensor<[1, N, 8]> { x.reshape([1, -1, 8]) }",
        "fn f(&self, x: Tensor<[N, 8]>) -> Tensor<[N, 8]> { x.reshape([-1]).reshape([-1, 8]) }",
    ] {
        let output = expanded(&network(body));
        assert!(!output.contains("compile_error"), "{body}: {output}");
    }
}

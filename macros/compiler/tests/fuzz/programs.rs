//! Programs to compile: those of the repository, mutated, and random networks.

use std::fmt::Write as _;
use std::path::Path;

use proc_macro2::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// Structs by name, and blocks in order.
#[derive(Clone, Default)]
pub(crate) struct Program {
    pub(crate) structs: Vec<(String, TokenStream)>,
    pub(crate) blocks: Vec<TokenStream>,
}

/// The structs and blocks of a file.
fn program(text: &str) -> Program {
    let mut program = Program::default();
    collect(&text.parse::<TokenStream>().unwrap_or_default().into_iter().collect::<Vec<_>>(), &mut program);
    program
}

fn collect(tokens: &[TokenTree], program: &mut Program) {
    for (position, token) in tokens.iter().enumerate() {
        match (token, tokens.get(position + 1), tokens.get(position + 2)) {
            (TokenTree::Ident(keyword), Some(TokenTree::Ident(name)), _) if keyword == "struct" => {
                let end = tokens[position..].iter().position(|token| match token {
                    TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                    TokenTree::Punct(punct) => punct.as_char() == ';',
                    _ => false,
                });
                let end = end.map_or(tokens.len(), |end| position + end + 1);
                program.structs.push((name.to_string(), tokens[position..end].iter().cloned().collect()));
            }
            (TokenTree::Ident(name), Some(TokenTree::Punct(_)), Some(TokenTree::Group(group))) if name == "network" => {
                program.blocks.push(group.stream());
            }
            (TokenTree::Group(group), ..) => collect(&group.stream().into_iter().collect::<Vec<_>>(), program),
            _ => {}
        }
    }
}

/// Programs that are always there.
const SEEDS: &[&str] = &[
    "struct Network {
        #[layer(in_channels = 1, out_channels = 6, kernel_size = (5, 3), stride = 2, padding = (1, 0), dilation = 1, groups = 1)]
        conv1: Conv2d,
        dropped: Dropout,
        #[layer(p = 0.25)]
        again: Dropout,
        #[layer(frozen, out_features = 12 * 4)]
        fc1: Linear,
        #[layer(48, 10, bias = false)]
        out: Linear,
    }
    network! {
        impl Network {
            const CLASSES: usize = 2 * 5;
            assert!(CLASSES == 10);
            pub fn forward(&self, t: Tensor<[N, 1, 28, 28]>) -> Tensor<[N, CLASSES]> {
                let t = max_pool2d(relu(self.conv1(t)), kernel_size = 2, stride = 2);
                let t = self.again(self.dropped(t.flatten(1)));
                self.out(gelu(self.fc1(t)) + 1.5 / 3)
            }
            pub fn loss(&self, t: Tensor<[N, 1, 28, 28]>, labels: Tensor<[N], i64>) -> (Tensor<[]>, Tensor<[], i64>) {
                let logits = self.forward(t);
                (cross_entropy(logits, labels), correct(logits, labels))
            }
        }
    }",
    "struct Block<const IN: usize, const OUT: usize> {
        #[layer(IN, OUT, 3, padding = 1)]
        conv1: Conv2d,
        #[layer(OUT, OUT, 3, padding = 1)]
        conv2: Conv2d,
    }
    network! {
        impl Block {
            fn forward(&self, t: Tensor<[N, IN, H, W]>) -> Tensor<[N, OUT, H, W]> { relu(self.conv2(relu(self.conv1(t)))) }
        }
    }
    struct Stage { first: Block<8, 8>, rest: [Block<8, 8>; 3] }
    network! {
        impl Stage {
            fn forward(&self, t: Tensor<[N, 8, 6, 6]>) -> Tensor<[N, 8, 6, 6]> {
                let mut t = self.first(t);
                for block in &self.rest { t = block(t) + t; }
                t
            }
        }
    }
    struct Whole { #[layer(1, 8, 1)] stem: Conv2d, stages: [Stage; 2], one: Stage, #[layer(out_features = 3)] out: Linear }
    network! {
        impl Whole {
            fn loss(&self, t: Tensor<[N, 1, 6, 6]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
                let mut t = self.stem(t);
                for i in 0..2 { t = self.stages[i](t); }
                cross_entropy(self.out(self.one(t).flatten(1)), labels)
            }
        }
    }",
    "network! {
        fn square(x: Tensor<[N, 3]>) -> Tensor<[N, 3]> { x * x }
        fn coupled(x: Tensor<[N, 4]>, y: Tensor<[4, N]>) -> Tensor<[]> {
            let z = matmul(x, y);
            mean(softmax(z, dim = 0) - permute(z, [1, 0]), dim = [0, 1]) + sum(square(x.reshape([-1, 4])[..]))
        }
        fn parts(x: Tensor<[N, 2, 3]>, w: Tensor<[5, 6]>) -> (Tensor<[]>, Tensor<[N, 9]>) {
            let y = cat([x.flatten(1), mean(x, dim = 1)], dim = 1);
            (mse_loss(y, tanh(y)) + sum(w) / N, y)
        }
    }",
];

/// The programs of the repository, where it is there, and the seeds.
pub(crate) fn corpus() -> Vec<Program> {
    let mut programs: Vec<Program> = SEEDS.iter().map(|text| program(text)).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for folder in
        ["tests/stages", "tests/errors", "tests/ops", "examples", "tests/outside/blocks/src", "tests/promises"]
    {
        let Ok(files) = root.join(folder).read_dir() else { continue };
        let mut files: Vec<_> = files.flatten().map(|file| file.path()).collect();
        files.sort();
        for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
            let own = program(&std::fs::read_to_string(file).unwrap_or_default());
            if !own.blocks.is_empty() {
                programs.push(own);
            }
        }
    }
    programs
}

// Mutations.

const WORDS: &[&str] = &[
    "self",
    "t",
    "x",
    "N",
    "C",
    "fn",
    "let",
    "for",
    "in",
    "if",
    "mut",
    "pub",
    "const",
    "impl",
    "struct",
    "return",
    "as",
    "crate",
    "Tensor",
    "Conv2d",
    "Linear",
    "Dropout",
    "relu",
    "sum",
    "mean",
    "cat",
    "matmul",
    "softmax",
    "reshape",
    "flatten",
    "permute",
    "max_pool2d",
    "avg_pool2d",
    "adaptive_avg_pool2d",
    "cross_entropy",
    "correct",
    "argmax",
    "mse_loss",
    "pow",
    "dim",
    "kernel_size",
    "padding",
    "stride",
    "groups",
    "dilation",
    "in_features",
    "out_channels",
    "frozen",
    "bias",
    "i64",
    "f32",
    "usize",
    "forward",
    "loss",
    "r#type",
    "_",
    "Self",
    "a",
    "true",
    "weights",
    "union",
    "tile",
    "whole",
    "math",
];

const LITERALS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "7",
    "16",
    "17",
    "255",
    "4096",
    "4097",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4000000000",
    "1099511627776",
    "1099511627777",
    "4611686018427387904",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "0.0",
    "0.5",
    "1e400",
    "1e-400",
    "1e38",
    "1.5f64",
    "3u8",
    "0xff",
    "1_000",
    "\"mean\"",
    "\"none\"",
    "\"sum\"",
    "\"\"",
    "\"{layer}\"",
    "\"\\u{1F600}\"",
    "'c'",
    "b\"x\"",
    "c\"x\"",
    "b'x'",
    "r#\"{}\"#",
];

const PUNCTUATION: &[char] =
    &['+', '-', '*', '/', '%', '&', '|', '!', '=', '<', '>', '.', ',', ';', ':', '#', '?', '@', '^', '$', '~'];

fn random_token(random: &mut Random) -> TokenTree {
    match random.below(4) {
        0 => {
            let word = random.pick(WORDS);
            match word.strip_prefix("r#") {
                Some(raw) => Ident::new_raw(raw, Span::call_site()).into(),
                None => Ident::new(word, Span::call_site()).into(),
            }
        }
        1 => random_literal(random),
        2 => {
            let spacing = if random.below(2) == 0 { Spacing::Alone } else { Spacing::Joint };
            Punct::new(*random.pick(PUNCTUATION), spacing).into()
        }
        _ => {
            let inner = (0..random.below(3)).map(|_| random_token(random)).collect();
            Group::new(random_delimiter(random), inner).into()
        }
    }
}

fn random_literal(random: &mut Random) -> TokenTree {
    random.pick(LITERALS).parse::<Literal>().expect("a literal").into()
}

fn random_delimiter(random: &mut Random) -> Delimiter {
    *random.pick(&[Delimiter::Parenthesis, Delimiter::Bracket, Delimiter::Brace, Delimiter::None])
}

/// Changes one place of a stream, deeper ones with equal chance for every level. `donor` gives foreign tokens.
fn mutate(tokens: &TokenStream, donor: &[TokenTree], random: &mut Random) -> TokenStream {
    let mut tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let groups: Vec<usize> = (0..tokens.len()).filter(|index| matches!(tokens[*index], TokenTree::Group(_))).collect();
    if !groups.is_empty() && random.below(5) > 0 {
        let index = *random.pick(&groups);
        if let TokenTree::Group(group) = &tokens[index] {
            let mut new = Group::new(group.delimiter(), mutate(&group.stream(), donor, random));
            new.set_span(group.span());
            tokens[index] = new.into();
        }
        return tokens.into_iter().collect();
    }
    if tokens.is_empty() {
        return std::iter::once(random_token(random)).collect();
    }
    let index = random.below(tokens.len());
    let end = (index + 1 + random.below(4)).min(tokens.len());
    match random.below(12) {
        0 => drop(tokens.drain(index..end)),
        1 => {
            let part = tokens[index..end].to_vec();
            let to = random.below(tokens.len() + 1);
            tokens.splice(to..to, part);
        }
        2 => {
            let other = random.below(tokens.len());
            tokens.swap(index, other);
        }
        3 => tokens[index] = random_token(random),
        4 => tokens.insert(index, random_token(random)),
        5 | 6 => {
            // A literal somewhere in reach becomes another.
            let literals: Vec<usize> =
                (0..tokens.len()).filter(|index| matches!(tokens[*index], TokenTree::Literal(_))).collect();
            let index = if literals.is_empty() { index } else { *random.pick(&literals) };
            tokens[index] = random_literal(random);
        }
        7 => {
            let other = random.below(tokens.len());
            if let (TokenTree::Ident(_), TokenTree::Ident(name)) = (&tokens[index], tokens[other].clone()) {
                tokens[index] = name.into();
            }
        }
        8 => {
            // Brackets around a part, many of them at times.
            let n = if random.below(8) == 0 { 1 << random.below(11) } else { 1 };
            let delimiter = random_delimiter(random);
            let part: TokenStream = tokens[index..end].iter().cloned().collect();
            let nested = (0..n).fold(part, |inner, _| TokenTree::from(Group::new(delimiter, inner)).into());
            tokens.splice(index..end, nested);
        }
        9 => {
            // A run of operators, keywords or calls.
            let n = if random.below(4) == 0 { 1 << random.below(11) } else { 2 };
            let part: Vec<TokenTree> = (0..1 + random.below(3)).map(|_| random_token(random)).collect();
            let run: Vec<TokenTree> = (0..n).flat_map(|_| part.clone()).collect();
            tokens.splice(index..index, run);
        }
        10 if !donor.is_empty() => {
            let from = random.below(donor.len());
            let part = donor[from..(from + 1 + random.below(8)).min(donor.len())].to_vec();
            tokens.splice(index..index, part);
        }
        _ => {
            // A statement is repeated, so that one function does much work.
            let part = tokens[index..end].to_vec();
            let n = 1 << random.below(7);
            let run: Vec<TokenTree> = (0..n).flat_map(|_| part.clone()).collect();
            tokens.splice(index..index, run);
        }
    }
    tokens.into_iter().collect()
}

fn mutated(corpus: &[Program], random: &mut Random) -> Program {
    let mut program = random.pick(corpus).clone();
    let donor = random.pick(corpus);
    let donors: Vec<&TokenStream> = donor.structs.iter().map(|(_, tokens)| tokens).chain(&donor.blocks).collect();
    let mut foreign: Vec<TokenTree> =
        if donors.is_empty() { Vec::new() } else { (*random.pick(&donors)).clone().into_iter().collect() };
    while let Some(TokenTree::Group(group)) =
        foreign.iter().find(|token| matches!(token, TokenTree::Group(_))).filter(|_| random.below(3) > 0)
    {
        foreign = group.stream().into_iter().collect();
    }
    // Structs of another program are there to be named.
    if random.below(4) == 0 {
        program.structs.extend(donor.structs.clone());
        program.blocks.extend(donor.blocks.clone());
    }
    for _ in 0..1 + random.below(4) {
        let n = program.structs.len();
        let which = random.below(n + 2 * program.blocks.len());
        let target = if which < n { &mut program.structs[which].1 } else { &mut program.blocks[(which - n) / 2] };
        *target = mutate(target, &foreign, random);
    }
    program
}

// Random networks: mostly right, so that the stages behind the checks have work.

fn generated(random: &mut Random) -> Program {
    let sizes: [u64; 12] = [1, 1, 2, 3, 3, 4, 5, 7, 16, 100, 1 << 20, 2_147_483_647];
    let small = |random: &mut Random| {
        let n = if random.below(20) == 0 { sizes.len() } else { 7 };
        sizes[random.below(n)]
    };
    let (mut fields, mut body) = (String::new(), String::new());
    let mut image = random.below(4) > 0;
    for layer in 0..1 + random.below(12) {
        match random.below(if image { 12 } else { 8 }) {
            0 | 1 if image => {
                let kernel = small(random);
                let _ = write!(fields, "#[layer(out_channels = {}, kernel_size = {kernel}", small(random));
                for name in ["stride", "padding", "dilation", "groups"] {
                    if random.below(3) == 0 {
                        let value = if name == "padding" { kernel / 2 } else { small(random).min(2) };
                        let _ = write!(fields, ", {name} = {value}");
                    }
                }
                let _ = write!(fields, ")] a{layer}: Conv2d, ");
                let _ = write!(body, "let t = self.a{layer}(t); ");
            }
            0 | 1 => {
                let _ = write!(
                    fields,
                    "#[layer(out_features = {}, bias = {})] a{layer}: Linear, ",
                    small(random),
                    random.below(2) == 0
                );
                let _ = write!(body, "let t = self.a{layer}(t); ");
            }
            2 => {
                let _ = write!(fields, "#[layer(0.{})] a{layer}: Dropout, ", random.below(10));
                let _ = write!(body, "let t = self.a{layer}(t); ");
            }
            3 => {
                let function = random
                    .pick(&["relu", "gelu", "tanh", "sigmoid", "exp", "abs", "silu", "-", "2.0 * ", "1 - ", "N * "]);
                let _ = write!(body, "let t = {function}(t); ");
            }
            4 => {
                let other = random.pick(&[
                    "t",
                    "relu(t)",
                    "t * t",
                    "mean(t)",
                    "sum(t, dim = 0)",
                    "mean(t, dim = 1, keepdim = true)",
                    "softmax(t, dim = 1)",
                    "softmax(t, dim = 0)",
                ]);
                let operator = random.pick(&["+", "-", "*", "/"]);
                let _ = write!(body, "let t = t {operator} {other}; ");
            }
            5 => {
                let _ = write!(body, "let t = cat([t, relu(t)], dim = {}); ", random.below(2));
            }
            6 => {
                let call = random.pick(&[
                    "t.flatten(1)",
                    "matmul(t, permute(t, [1, 0]))",
                    "t.reshape([-1, 4])",
                    "t.reshape([-1, 1, 2, 2])",
                    "sum(t)",
                    "log_softmax(t, 1)",
                ]);
                let _ = write!(body, "let t = {call}; ");
                image = call.ends_with("2])");
            }
            7 => {
                let n = small(random).min(100);
                let _ = write!(body, "for i in 0..{n} {{ let u = t; t = relu(u * i + t); }} ");
            }
            _ => {
                let pool = random.pick(&["max_pool2d", "avg_pool2d"]);
                let _ = write!(
                    body,
                    "let t = {pool}(t, kernel_size = {}, stride = {}); ",
                    small(random).min(3),
                    small(random).min(3)
                );
            }
        }
    }
    let input = if image || body.contains("pool") || fields.contains("Conv2d") {
        format!("N, {}, {}, {}", small(random), 4 + small(random), 4 + small(random))
    } else {
        format!("N, {}", small(random))
    };
    let body = body.replacen("let t", "let mut t", 1);
    program(&format!(
        "struct Network {{ {fields} }}
        network! {{
            impl Network {{
                fn loss(&self, t: Tensor<[{input}]>) -> Tensor<[]> {{ {body} mean(t * t) }}
            }}
        }}"
    ))
}

/// A program by its number.
pub(crate) fn case(corpus: &[Program], seed: u64, number: u64) -> Program {
    let mut random = Random(seed ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d));
    if number.is_multiple_of(4) { generated(&mut random) } else { mutated(corpus, &mut random) }
}

/// As Rust.
pub(crate) fn print(program: &Program) -> String {
    let structs = program.structs.iter().map(|(_, tokens)| format!("#[derive(Module)] {tokens}\n"));
    structs.chain(program.blocks.iter().map(|block| format!("network! {{ {block} }}\n"))).collect()
}

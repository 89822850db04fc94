//! No input makes the compiler panic, run away or exhaust the stack: mutated programs and random networks go through every
//! door, and each answer is code that parses, the same on every run.
//!
//! A few thousand of them run in the ordinary test; `GRAVEN_FUZZ=1000000 cargo test --release -p graven-compiler --features
//! cuda --test fuzz` runs a million, `GRAVEN_FUZZ_SEED=7` others. A failure prints the input as Rust and its number; `GRAVEN_FUZZ_ONLY=123` repeats it.

use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use graven_compiler::{derive_module, expand, inspect, network, network_module, network_struct, schedule, verify};
use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::quote;

#[path = "fuzz/programs.rs"]
mod programs;

use programs::{Program, case, corpus, print};

/// Cases of the ordinary run.
const CASES: u64 = 2000;

/// Cases of one thread: the spans of all that it parses stay in memory until it ends.
const BATCH: u64 = 500;

/// The stack that rustc gives to a macro.
const STACK: usize = 8 << 20;

/// What a case may take: the machine may be busy, the compiler is optimised a little.
const LIMIT: Duration = Duration::from_secs(5);

fn check_code(code: &TokenStream) {
    if let Err(error) = syn::parse2::<syn::File>(code.clone()) {
        panic!("the answer is no Rust: {error}: {code}");
    }
}

/// `path ! { { callback } state }` at the beginning of an answer: (path, callback, state).
fn question(answer: &TokenStream) -> Option<(String, String, TokenStream)> {
    let tokens: Vec<TokenTree> = answer.clone().into_iter().collect();
    let bang = tokens.iter().position(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '!'))?;
    let Some(TokenTree::Group(content)) = tokens.get(bang + 1) else { return None };
    let mut inner = content.stream().into_iter();
    let Some(TokenTree::Group(callback)) = inner.next() else { return None };
    let callback = callback.stream().into_iter().last()?.to_string();
    let path = tokens[..bang].iter().map(ToString::to_string).collect();
    ["network_struct", "network_module"].contains(&callback.as_str()).then(|| (path, callback, inner.collect()))
}

/// The modules that a struct names, as its derive publishes them: the last brackets of its answer.
fn modules(answer: &TokenStream) -> TokenStream {
    let mut found = quote!([]);
    for token in answer.clone() {
        let TokenTree::Group(group) = token else { continue };
        let state = group.stream().to_string().contains("state");
        match group.delimiter() {
            Delimiter::Brace if state => return modules(&group.stream()),
            Delimiter::Bracket => found = TokenTree::Group(group).into(),
            _ => {}
        }
    }
    found
}

/// The description that a module publishes, with those nested in it.
fn description(program: &Program, path: &str, depth: usize) -> TokenStream {
    let name = path.rsplit(':').next().unwrap_or_default();
    let Some((_, structure)) = program.structs.iter().find(|(own, _)| own == name) else {
        return quote!({ struct Missing; } {} {} wrong);
    };
    let names_it = |block: &&TokenStream| {
        let mut tokens = (*block).clone().into_iter().skip(1);
        matches!(tokens.next(), Some(TokenTree::Ident(own)) if own == name)
    };
    let block = program.blocks.iter().find(names_it).cloned().unwrap_or_default();
    let mut nested = TokenStream::new();
    let text = structure.to_string();
    for (other, _) in &program.structs {
        // A module that contains itself is cut off by rustc's limit of recursion, here by this one.
        if depth < 4 && (text.contains(&format!(": {other}")) || text.contains(&format!("[{other}"))) {
            let (path, inner) = (Ident::new(other, Span::call_site()), description(program, other, depth + 1));
            nested.extend(quote!(#path { #inner }));
        }
    }
    quote!({ #structure } { #block } { #nested })
}

/// Sends a block through the doors as rustc would. The last answer is code.
fn compile(program: &Program, block: &TokenStream) -> TokenStream {
    let mut answer = network(quote!((::graven) #block));
    for _ in 0..64 {
        let Some((path, callback, state)) = question(&answer) else { return answer };
        answer = if callback == "network_struct" {
            let name = path.trim_end_matches("_with_derive_Module_in_this_module");
            let Some((_, structure)) = program.structs.iter().find(|(own, _)| own == name) else { return answer };
            let modules = modules(&derive_module(structure.clone()));
            network_struct(quote!({ #structure } #modules #state))
        } else {
            let description = description(program, &path, 0);
            network_module(quote!({ #description } #state))
        };
    }
    answer
}

/// Sends a program through everything, or through all that differs from program to program; how many of its functions have a
/// graph.
fn run(program: &Program, closely: bool) -> usize {
    for (_, structure) in &program.structs {
        check_code(&derive_module(structure.clone()));
    }
    let mut functions = 0;
    for block in &program.blocks {
        let code = compile(program, block);
        check_code(&code);
        let structure = program.structs.last().map(|(_, structure)| structure.clone()).unwrap_or_default();
        if closely {
            assert_eq!(code.to_string(), compile(program, block).to_string(), "two runs answer alike");
            check_code(&expand(&quote!(::graven), &structure, block));
        }
        for structure in [structure, TokenStream::new()] {
            for function in inspect(structure, block.clone()).unwrap_or_default() {
                functions += 1;
                for graph in std::iter::once(&function.evaluation).chain(&function.training) {
                    let scheduled = schedule::schedule(graph);
                    verify(graph, &scheduled).unwrap_or_else(|broken| panic!("{broken}"));
                }
            }
        }
    }
    functions
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// (programs with a function that compiles, programs in which every function has a mistake)
type Outcomes = [usize; 2];

/// Runs some cases; `running` holds the one that is tried.
fn batch(seed: u64, cases: std::ops::Range<u64>, running: &AtomicU64) -> Outcomes {
    let corpus = corpus();
    let mut outcomes = Outcomes::default();
    for number in cases {
        running.store(number, Ordering::Relaxed);
        let program = case(&corpus, seed, number);
        match catch_unwind(|| run(&program, number.is_multiple_of(8))) {
            Ok(functions) => outcomes[usize::from(functions == 0)] += 1,
            Err(_) => panic!("case {number} of seed {seed} panicked:\n{}", print(&program)),
        }
    }
    outcomes
}

/// Waits for a batch. A case that takes too long cannot be stopped, so the process ends with its text.
fn wait(batch: JoinHandle<Outcomes>, seed: u64, running: &AtomicU64) -> Outcomes {
    let mut last = (u64::MAX, Instant::now());
    while !batch.is_finished() {
        let number = running.load(Ordering::Relaxed);
        if number != last.0 {
            last = (number, Instant::now());
        } else if last.1.elapsed() > LIMIT {
            eprintln!("case {number} of seed {seed} takes too long:\n{}", print(&case(&corpus(), seed, number)));
            std::process::exit(1);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    batch.join().expect("no case panics")
}

#[test]
fn no_input_makes_the_compiler_panic_or_run_away() {
    let (n, seed) = (variable("GRAVEN_FUZZ").unwrap_or(CASES), variable("GRAVEN_FUZZ_SEED").unwrap_or(1));
    let cases = variable("GRAVEN_FUZZ_ONLY").map_or(0..n, |only| only..only + 1);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let mut total = Outcomes::default();
    let mut starts = cases.clone().step_by(BATCH as usize).peekable();
    while starts.peek().is_some() {
        let batches: Vec<_> = starts
            .by_ref()
            .take(threads)
            .map(|start| {
                let running = Arc::new(AtomicU64::new(start));
                let (own, cases) = (Arc::clone(&running), start..(start + BATCH).min(cases.end));
                let thread = std::thread::Builder::new().stack_size(STACK);
                (thread.spawn(move || batch(seed, cases, &own)).expect("a thread"), running)
            })
            .collect();
        for (batch, running) in batches {
            let outcomes = wait(batch, seed, &running);
            total.iter_mut().zip(outcomes).for_each(|(total, count)| *total += count);
        }
        if n > CASES {
            eprintln!("{} of {n} cases", total[0] + total[1]);
        }
    }
    let [compiled, mistakes] = total;
    println!("{compiled} programs compiled, {mistakes} had mistakes only");
    assert!(n < 100 || compiled > mistakes / 50, "the cases reach the stages behind the checks");
}

//! The text forms of the stages, on the standard error stream of the compiler: `GRAVEN_DUMP=graph,schedule cargo build`.
//!
//! The stages are `syntax`, `graph` (of a `_grad` function: differentiated), `simplified`, `schedule`, `memory`, `cuda` and `code`;
//! `GRAVEN_DUMP=all` prints every one; `GRAVEN_DUMP_FUNCTION=Network::loss_grad` only those of one function.

use std::fmt::Write as _;

use proc_macro2::TokenStream;

use crate::graph::Graph;
use crate::memory;
use crate::schedule::{Loop, Schedule, schedule};
use crate::syntax::Module;

/// The text form of every stage of a function, with the name of the stage.
#[must_use]
pub fn text_forms(graph: &Graph) -> Vec<(&'static str, String)> {
    let schedule = schedule(graph);
    debug_assert_eq!(crate::verify(graph, &schedule), Ok(()));
    vec![
        ("graph", graph.to_string()),
        ("simplified", schedule.graph.to_string()),
        ("schedule", schedule.to_string()),
        ("memory", memory_text(&schedule)),
        ("cuda", crate::emit::program(&schedule).to_string()),
    ]
}

/// Prints the stages of a function that the environment asks for.
pub(crate) fn print(function: &str, graph: &Graph) {
    let Ok(wanted) = std::env::var("GRAVEN_DUMP") else { return };
    if std::env::var("GRAVEN_DUMP_FUNCTION").is_ok_and(|only| only != function) {
        return;
    }
    for (stage, text) in text_forms(graph) {
        if asks(&wanted, stage) {
            eprintln!("== {function}: {stage} ==\n{text}");
        }
    }
}

/// Prints what was parsed, and what was written for it, if the environment asks for that.
pub(crate) fn print_module(module: &Module, code: &TokenStream) {
    let Ok(wanted) = std::env::var("GRAVEN_DUMP") else { return };
    for (stage, text) in [("syntax", module.to_string()), ("code", code.to_string())] {
        if asks(&wanted, stage) {
            eprintln!("== {}: {stage} ==\n{text}", module.name);
        }
    }
}

fn asks(wanted: &str, stage: &str) -> bool {
    wanted.split(',').any(|word| word.trim() == stage || word.trim() == "all")
}

/// Where every buffer of every loop stands.
fn memory_text(schedule: &Schedule) -> String {
    let mut text = String::new();
    for own in schedule.stages.iter().flat_map(|stage| &stage.loops).flat_map(Loop::ways) {
        let arena = memory::plan(&schedule.graph, own);
        let total: usize = own.buffers.iter().map(crate::schedule::Buffer::len).sum();
        let _ = writeln!(
            text,
            "loop over {}, tiles of {}: {} floats and {} integers a tile, {total} without sharing",
            own.extent, own.tile, arena.floats, arena.ints
        );
        for (index, buffer) in own.buffers.iter().enumerate() {
            let end = arena.offsets[index] + buffer.len();
            let what = match buffer.memory {
                Some((memory, _)) => memory.to_string(),
                None => buffer.layout.to_string(),
            };
            let over = arena.overwrites[index].map(|over| format!(", over %{}", own.buffers[over].value.0));
            let _ = writeln!(
                text,
                "  {:>8}..{end:<8} %{} {what} ({}){}",
                arena.offsets[index],
                buffer.value.0,
                schedule.graph.node(buffer.value).label,
                over.unwrap_or_default()
            );
        }
    }
    text
}

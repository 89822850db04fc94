//! The text forms of the stages, on the standard error stream of the compiler: `GRAVEN_DUMP=graph,schedule cargo build`.
//!
//! `GRAVEN_DUMP=all` prints every stage; `GRAVEN_DUMP_FUNCTION=Network::loss_grad` only those of one function.

use std::fmt::Write as _;

use crate::graph::Graph;
use crate::memory;
use crate::schedule::{Schedule, schedule};

/// The text form of every stage of a function, with the name of the stage.
#[must_use]
pub fn text_forms(graph: &Graph) -> Vec<(&'static str, String)> {
    let schedule = schedule(graph);
    vec![
        ("graph", graph.to_string()),
        ("simplified", schedule.graph.to_string()),
        ("schedule", schedule.to_string()),
        ("memory", memory_text(&schedule)),
    ]
}

/// Prints the stages that the environment asks for.
pub(crate) fn print(function: &str, graph: &Graph) {
    let Ok(wanted) = std::env::var("GRAVEN_DUMP") else { return };
    if std::env::var("GRAVEN_DUMP_FUNCTION").is_ok_and(|only| only != function) {
        return;
    }
    for (stage, text) in text_forms(graph) {
        if wanted.split(',').any(|word| word.trim() == stage || word.trim() == "all") {
            eprintln!("== {function}: {stage} ==\n{text}");
        }
    }
}

/// Where every buffer of every loop stands.
fn memory_text(schedule: &Schedule) -> String {
    let mut text = String::new();
    for own in schedule.stages.iter().flat_map(|stage| &stage.loops) {
        let arena = memory::plan(&schedule.graph, own);
        let total: usize = own.buffers.iter().map(crate::schedule::Buffer::len).sum();
        let _ = writeln!(
            text,
            "loop over {}: {} floats and {} integers a tile, {total} without sharing",
            own.extent, arena.floats, arena.ints
        );
        for (index, buffer) in own.buffers.iter().enumerate() {
            let end = arena.offsets[index] + buffer.len();
            let what = if buffer.scratch.is_some() { "scratch".to_owned() } else { buffer.layout.to_string() };
            let _ = writeln!(
                text,
                "  {:>8}..{end:<8} %{} {what} ({})",
                arena.offsets[index],
                buffer.value.0,
                schedule.graph.node(buffer.value).label
            );
        }
    }
    text
}

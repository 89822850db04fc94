//! The text forms of the stages, on the standard error stream of the compiler: `GRAVEN_DUMP=graph,schedule,memory cargo build`.
//!
//! `GRAVEN_DUMP=all` prints every stage; `GRAVEN_DUMP_FUNCTION=Network::loss_grad` only those of one function.

use std::fmt::Write as _;

use crate::graph::Graph;
use crate::memory;
use crate::schedule::Schedule;

/// Prints the stages that the environment asks for.
pub(crate) fn stages(function: &str, graph: &Graph, schedule: &Schedule) {
    let Ok(wanted) = std::env::var("GRAVEN_DUMP") else { return };
    if std::env::var("GRAVEN_DUMP_FUNCTION").is_ok_and(|only| only != function) {
        return;
    }
    let asks = |stage: &str| wanted.split(',').any(|word| word.trim() == stage || word.trim() == "all");
    let mut text = String::new();
    if asks("graph") {
        let _ = writeln!(text, "== {function}: graph ==\n{graph}");
    }
    if asks("simplified") {
        let _ = writeln!(text, "== {function}: simplified ==\n{}", schedule.graph);
    }
    if asks("schedule") {
        let _ = writeln!(text, "== {function}: schedule ==\n{schedule}");
    }
    if asks("memory") {
        let _ = writeln!(text, "== {function}: memory ==\n{}", memory(schedule));
    }
    if !text.is_empty() {
        eprint!("{text}");
    }
}

/// Where every buffer of every loop stands.
#[must_use]
pub(crate) fn memory(schedule: &Schedule) -> String {
    let mut text = String::new();
    for own in schedule.stages.iter().flat_map(|stage| &stage.loops) {
        let arena = memory::plan(&schedule.graph, own);
        let _ = writeln!(text, "loop over {}: {} floats and {} integers a tile", own.extent, arena.floats, arena.ints);
        for (index, buffer) in own.buffers.iter().enumerate() {
            let end = arena.offsets[index] + buffer.len();
            let what = if buffer.scratch.is_some() { "scratch".to_owned() } else { buffer.layout.to_string() };
            let _ = writeln!(text, "  {:>8}..{end:<8} %{} {what} ({})", arena.offsets[index], buffer.value.0, schedule.graph.node(buffer.value).label);
        }
    }
    text
}

//! The text form: stages, their whole operations, and the steps of their loops.

use std::fmt;

use graven_kernels::op::Value;

use super::{Buffer, Destination, Loop, Place, Schedule, Source, Step};
use crate::graph::Kind;

impl Schedule {
    fn name(&self, value: Value) -> String {
        let node = self.graph.node(value);
        let op = match &node.kind {
            Kind::Op(op) => op.name(),
            _ => "copy".to_owned(),
        };
        if *op == *node.label { format!("%{} {op}", value.0) } else { format!("%{} {op} ({})", value.0, node.label) }
    }

    fn place_name(&self, place: Place) -> String {
        match place {
            Place::Input(index) => format!("input {}", self.graph.inputs[index].name),
            Place::Parameter(value) => format!("parameter {}", self.graph.node(value).label),
            Place::Value(index) => format!("value {index} (%{})", self.values[index].0.0),
            Place::Output(index) => format!("output {index}"),
        }
    }

    fn buffer_name(buffer: &Buffer) -> String {
        match buffer.memory {
            Some((memory, floats)) => format!("{memory} {floats} (%{})", buffer.value.0),
            None => format!("%{}:{}", buffer.value.0, buffer.layout),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, stage) in self.stages.iter().enumerate() {
            writeln!(f, "stage {index}")?;
            for value in &stage.whole {
                writeln!(f, "  whole {} {}", self.name(*value), self.graph.node(*value).ty)?;
            }
            for own in &stage.loops {
                writeln!(
                    f,
                    "  loop over {} samples, {} a tile, {} a chunk at least, {} multiply-adds a tile",
                    own.extent,
                    own.tile,
                    if own.tiles_per_chunk == 1 {
                        "1 tile".to_owned()
                    } else {
                        format!("{} tiles", own.tiles_per_chunk)
                    },
                    own.cost(&self.graph)
                )?;
                self.write_steps(f, own)?;
                if let Some(one) = &own.one {
                    let few = if own.few == 1 { "1 sample".to_owned() } else { format!("{} samples", own.few) };
                    writeln!(f, "  up to {few}: one a tile, {} multiply-adds", one.cost(&self.graph))?;
                    self.write_steps(f, one)?;
                }
            }
        }
        Ok(())
    }
}

impl Schedule {
    fn write_steps(&self, f: &mut fmt::Formatter<'_>, own: &Loop) -> fmt::Result {
        let name = |index: &usize| Schedule::buffer_name(&own.buffers[*index]);
        for step in &own.steps {
            match step {
                Step::Load { from, to } => writeln!(f, "    load {} -> {}", self.place_name(*from), name(to))?,
                Step::Convert { from, to } => writeln!(f, "    convert {} -> {}", name(from), name(to))?,
                Step::Store { from, to } => writeln!(f, "    store {} -> {}", name(from), self.place_name(*to))?,
                Step::Run { value, inputs, output, scratch, kept, saved, before, .. } => {
                    let source = |source: &Source| match source {
                        Source::Buffer(index) => name(index),
                        Source::Full(place) => self.place_name(*place),
                        Source::Sample { from, .. } => format!("sample of {}", self.place_name(*from)),
                        Source::Unread => "unread".to_owned(),
                    };
                    let inputs: Vec<String> = inputs.iter().map(source).collect();
                    let output = match output {
                        Destination::Buffer(index) => name(index),
                        Destination::Sum(index) => format!("sum %{}", own.sums[*index].value.0),
                    };
                    let memory = scratch.iter().chain(kept).chain(saved).map(|index| format!(", {}", name(index)));
                    let memory: String = memory.collect();
                    let before: String = before.iter().map(|before| format!("{}, ", self.name(before.value))).collect();
                    writeln!(f, "    run {before}{} ({}) -> {output}{memory}", self.name(*value), inputs.join(", "))?;
                }
            }
        }
        Ok(())
    }
}

//! What holds of every schedule, checked in tests and debug builds.

use std::collections::HashMap;

use graven_kernels::op::Value;

use super::{Destination, Home, Loop, Place, Schedule, Source, Step};

/// Checks that every step reads what an earlier step or stage has written, and that every result is written.
///
/// # Errors
/// The first broken rule, in words.
pub fn verify(schedule: &Schedule) -> Result<(), String> {
    let kept: HashMap<Value, usize> =
        schedule.values.iter().enumerate().rev().map(|(index, (value, _))| (*value, index)).collect();
    let mut values_ready = vec![false; schedule.values.len()];
    let mut outputs_ready: Vec<bool> = schedule.outputs.iter().map(Option::is_some).collect();
    let ready = |values_ready: &[bool], place: Place| match place {
        Place::Value(index) => values_ready[index],
        Place::Input(_) | Place::Parameter(_) => true,
        Place::Output(_) => false,
    };
    for (n_stage, stage) in schedule.stages.iter().enumerate() {
        for value in &stage.whole {
            if let Some(index) = kept.get(value) {
                values_ready[*index] = true;
            } else {
                return Err(format!("stage {n_stage}: the whole operation %{} writes nothing that is kept", value.0));
            }
        }
        let mut later = values_ready.clone();
        for own in &stage.loops {
            let writes = |way: &Loop| verify_steps(n_stage, way, |place| ready(&values_ready, place));
            let written = writes(own)?;
            if let Some(one) = &own.one
                && writes(one)? != written
            {
                return Err(format!("stage {n_stage}: the way for few samples writes something else than tiles do"));
            }
            for write in written {
                match write {
                    Write::Place(Place::Value(index)) => later[index] = true,
                    Write::Place(Place::Output(index)) => outputs_ready[index] = true,
                    Write::Place(place) => return Err(format!("stage {n_stage}: a loop writes {place:?}")),
                    Write::Sum(_) => {}
                }
            }
            own.sums.iter().filter_map(|sum| sum.kept).for_each(|index| later[index] = true);
        }
        values_ready = later;
    }
    if let Some(index) = values_ready.iter().position(|ready| !ready) {
        return Err(format!(
            "the kept value {index} (%{}) is never written: {:?}",
            schedule.values[index].0.0, schedule.homes[schedule.values[index].0.0]
        ));
    }
    if let Some(index) = outputs_ready.iter().position(|ready| !ready) {
        return Err(format!("output {index} is never written"));
    }
    for (target, value) in &schedule.graph.gradients {
        let loops = schedule.stages.iter().flat_map(|stage| &stage.loops);
        let sums = loops.flat_map(|own| &own.sums).filter(|sum| sum.gradient == Some(*target)).count();
        let kept = schedule.gradients.iter().filter(|(own, _)| own == target).count();
        if sums + kept != 1 {
            return Err(format!("the gradient %{} is written {} times", value.0, sums + kept));
        }
    }
    let unscheduled = schedule.homes.iter().any(|home| matches!(home, Home::Tile(stage, _) | Home::Sum(stage, _) | Home::Whole(stage) if *stage >= schedule.stages.len()));
    if unscheduled { Err("a value lives in a stage that does not exist".to_owned()) } else { Ok(()) }
}

/// What the steps of a loop write for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Place(Place),
    /// The sum with this index.
    Sum(usize),
}

/// Checks that every step reads what is there, and lists what the steps write.
fn verify_steps(n_stage: usize, own: &Loop, ready: impl Fn(Place) -> bool) -> Result<Vec<Write>, String> {
    let mut writes = Vec::new();
    let mut written = vec![false; own.buffers.len()];
    for step in &own.steps {
        match step {
            Step::Load { from, to } => {
                if !ready(*from) {
                    return Err(format!("stage {n_stage}: {from:?} is loaded before it is complete"));
                }
                written[*to] = true;
            }
            Step::Convert { from, to } => {
                if !written[*from] {
                    return Err(format!("stage {n_stage}: buffer {from} is converted before it is written"));
                }
                written[*to] = true;
            }
            Step::Run { value, inputs, output, saved, kernel, .. } => {
                if kernel.accumulates != matches!(output, Destination::Sum(_)) {
                    let what = if kernel.accumulates { "adds to a value of one tile" } else { "overwrites a sum" };
                    return Err(format!("stage {n_stage}: %{} {what}", value.0));
                }
                for input in inputs {
                    let fine = match input {
                        Source::Buffer(index) => written[*index],
                        Source::Full(place) | Source::Sample { from: place, .. } => ready(*place),
                        Source::Unread => true,
                    };
                    if !fine {
                        return Err(format!("stage {n_stage}: %{} reads {input:?} before it is written", value.0));
                    }
                }
                if let Some(index) = saved {
                    written[*index] = true;
                }
                match output {
                    Destination::Buffer(index) => written[*index] = true,
                    Destination::Sum(index) => writes.push(Write::Sum(*index)),
                }
            }
            Step::Store { from, to } => {
                if !written[*from] {
                    return Err(format!("stage {n_stage}: buffer {from} is stored before it is written"));
                }
                writes.push(Write::Place(*to));
            }
        }
    }
    Ok(writes)
}

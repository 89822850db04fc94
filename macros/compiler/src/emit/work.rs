//! Plans of several functions, written by several threads: macros are built without optimisation, and this is most of their
//! time. Only the thread of the macro can turn text into tokens; it does so while the others still write.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::thread;

use proc_macro2::TokenStream;
use quote::quote;

use super::plan::{self, CUDA, Context};
use super::text::tokens;
use crate::graph::Graph;
use crate::schedule::{Schedule, schedule};

/// Threads beside the one that rustc runs the macro on, at most: there are seldom more tasks of size.
const HELPERS: usize = 3;

/// As much as the main thread of a program has: formulas are walked by recursion.
const STACK: usize = 8 << 20;

/// One function that has to be planned.
pub(super) struct Job<'a> {
    pub(super) graph: &'a Graph,
    pub(super) context: Context<'a>,
}

/// What can be written of a job by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Everything but the kernels for CUDA devices.
    Code,
    /// These.
    Cuda,
}

/// A part of a job.
type Task = (usize, Part);

/// For each job the body of the function that gives its plan.
pub(super) fn bodies(jobs: &[Job<'_>]) -> Vec<TokenStream> {
    let tasks = tasks(jobs);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let n_helpers = cores.min(tasks.len()).min(1 + HELPERS).saturating_sub(1);
    let schedules: Vec<OnceLock<Schedule>> = jobs.iter().map(|_| OnceLock::new()).collect();
    let (tasks, schedules) = (Mutex::new(tasks), &schedules);
    let write = |take: fn(&mut VecDeque<Task>) -> Option<Task>| {
        let (job, part) = take(&mut tasks.lock().unwrap_or_else(PoisonError::into_inner))?;
        let Job { graph, context } = &jobs[job];
        let schedule = schedules[job].get_or_init(|| scheduled(graph));
        let text = match part {
            Part::Code => plan::code(schedule, context),
            Part::Cuda => plan::cuda(schedule, context),
        };
        Some((job, part, text))
    };
    let mut bodies: Vec<[TokenStream; 2]> = jobs.iter().map(|_| Default::default()).collect();
    let mut read = |(job, part, text): (usize, Part, String)| bodies[job][part as usize] = tokens(&text);
    thread::scope(|scope| {
        let (sender, written) = mpsc::channel();
        for _ in 0..n_helpers {
            let (write, sender) = (&write, sender.clone());
            let help = move || std::iter::from_fn(|| write(VecDeque::pop_front)).try_for_each(|text| sender.send(text));
            // Where there is no other thread to be had, this one does it all.
            let _ = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, help);
        }
        drop(sender);
        // This thread takes the smallest, since it has the reading to do as well.
        loop {
            written.try_iter().for_each(&mut read);
            let Some(text) = write(VecDeque::pop_back) else { break };
            read(text);
        }
        written.iter().for_each(&mut read);
    });
    bodies.into_iter().map(|[code, cuda]| quote!(#code #cuda &PLAN)).collect()
}

/// What is to be written, the largest first, but not both parts of it side by side: one would wait for the schedule.
fn tasks(jobs: &[Job<'_>]) -> VecDeque<Task> {
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_key(|job| Reverse(jobs[*job].graph.nodes.len()));
    let of = |part: Part| order.iter().map(move |job| (*job, part));
    if CUDA { of(Part::Cuda).chain(of(Part::Code)).collect() } else { of(Part::Code).collect() }
}

fn scheduled(graph: &Graph) -> Schedule {
    let schedule = schedule(graph);
    if std::env::var_os("GRAVEN_VERIFY").is_some() {
        crate::verify(graph, &schedule).unwrap_or_else(|broken| panic!("a fault of graven: {broken}"));
    }
    schedule
}

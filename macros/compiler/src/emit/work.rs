//! Plans, made and written by several threads: this is most of the time of a macro. Planning begins when a graph is known,
//! while others are still checked; writing, when all are. Only the thread of the macro can turn text into tokens; it does so
//! while the others still write.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::sync::{Arc, OnceLock, mpsc};

use proc_macro2::TokenStream;
use quote::quote;

use super::Program;
use super::plan::{self, CUDA, Context};
use super::text::{fault, tokens};
use crate::graph::Graph;
use crate::helpers::Helpers;
use crate::schedule::{Schedule, schedule};

/// What is planned of a graph, by whoever needs it first.
#[derive(Debug)]
struct Planned {
    graph: Arc<Graph>,
    schedule: OnceLock<Schedule>,
    program: OnceLock<Program>,
}

impl Planned {
    fn schedule(&self) -> &Schedule {
        self.schedule.get_or_init(|| scheduled(&self.graph))
    }

    fn program(&self) -> &Program {
        self.program.get_or_init(|| super::program(self.schedule()))
    }
}

/// Plans graphs.
#[derive(Debug, Default)]
pub(crate) struct Planner {
    helpers: Helpers,
    begun: RefCell<Vec<Arc<Planned>>>,
}

/// One function that has to be written.
pub(super) struct Job {
    pub(super) graph: Arc<Graph>,
    pub(super) context: Context,
}

/// What can be written of a job by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Everything but the kernels for CUDA devices.
    Code,
    /// These.
    Cuda,
}

impl Planner {
    /// Begins with a graph.
    pub(crate) fn begin(&self, graph: &Arc<Graph>) {
        let planned = self.planned(graph);
        self.helpers.push(move || {
            planned.schedule();
            if CUDA {
                planned.program();
            }
        });
    }

    fn planned(&self, graph: &Arc<Graph>) -> Arc<Planned> {
        let mut begun = self.begun.borrow_mut();
        if let Some(planned) = begun.iter().find(|planned| Arc::ptr_eq(&planned.graph, graph)) {
            return Arc::clone(planned);
        }
        let (schedule, program) = (OnceLock::new(), OnceLock::new());
        begun.push(Arc::new(Planned { graph: Arc::clone(graph), schedule, program }));
        Arc::clone(&begun[begun.len() - 1])
    }

    /// For each job the body of the function that gives its plan.
    pub(super) fn bodies(&self, jobs: Vec<Job>) -> Vec<TokenStream> {
        // In place of what a helper could not write, there is an error.
        let parts = if CUDA { [fault(), fault()] } else { [fault(), TokenStream::new()] };
        let mut bodies = vec![parts; jobs.len()];
        let mut read = |(job, part, text): (usize, Part, String)| bodies[job][part as usize] = tokens(&text);
        let (sender, written) = mpsc::channel();
        let planned = jobs.into_iter().map(|job| (self.planned(&job.graph), Arc::new(job.context)));
        let mut order: Vec<_> = planned.enumerate().collect();
        order.sort_by_key(|(_, (planned, _)): &(usize, (Arc<Planned>, _))| Reverse(planned.graph.nodes.len()));
        // The largest first, but not both parts of it side by side: one would wait for the schedule.
        for part in if CUDA { &[Part::Cuda, Part::Code][..] } else { &[Part::Code] } {
            for (index, (planned, context)) in &order {
                let (index, part, planned, context) = (*index, *part, Arc::clone(planned), Arc::clone(context));
                let sender = sender.clone();
                self.helpers.push(move || {
                    let text = match part {
                        Part::Code => plan::code(planned.schedule(), &context),
                        Part::Cuda => plan::cuda(planned.schedule(), planned.program(), &context),
                    };
                    // Nobody waits for it any more if the thread of the macro has panicked.
                    let _ = sender.send((index, part, text));
                });
            }
        }
        drop(sender);
        // This thread takes the smallest, since it has the reading to do as well.
        loop {
            written.try_iter().for_each(&mut read);
            if !self.helpers.lend_a_hand() {
                break;
            }
        }
        written.iter().for_each(&mut read);
        bodies.into_iter().map(|[code, cuda]| quote!(#code #cuda &PLAN)).collect()
    }
}

fn scheduled(graph: &Graph) -> Schedule {
    let schedule = schedule(graph);
    if std::env::var_os("GRAVEN_VERIFY").is_some() {
        crate::verify(graph, &schedule).unwrap_or_else(|broken| panic!("a fault of graven: {broken}"));
    }
    schedule
}

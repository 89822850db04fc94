//! Plans, made and written by several threads: this is most of the time of a macro. Planning begins when a graph is known,
//! while others are still checked; writing, when all are. Only the thread of the macro can turn text into tokens; it does so
//! while the others still write.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::sync::{Arc, OnceLock, mpsc};

use proc_macro2::TokenStream;
use quote::quote;

use super::cuda::{self, Kernels};
use super::plan::{self, CUDA, Context};
use super::text::{fault, tokens};
use crate::graph::Graph;
use crate::helpers::Helpers;
use crate::schedule::{Schedule, schedule};

/// Nodes of a graph whose kernels are one task, about; and tasks at most.
const NODES_OF_A_TASK: usize = 128;
const MOST_TASKS: usize = 8;

/// What is planned of a graph, by whoever needs it first.
#[derive(Debug)]
struct Planned {
    graph: Arc<Graph>,
    schedule: OnceLock<Schedule>,
    kernels: OnceLock<Kernels>,
}

impl Planned {
    fn schedule(&self) -> &Schedule {
        self.schedule.get_or_init(|| scheduled(&self.graph))
    }

    fn kernels(&self) -> &Kernels {
        self.kernels.get_or_init(|| Kernels::of(self.schedule()))
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

/// A job with its plan.
struct Order {
    planned: Arc<Planned>,
    context: Context,
    /// Into how many parts its kernels are cut.
    parts: usize,
}

/// What is written at once.
#[derive(Debug, Clone, Copy)]
enum Task {
    /// Everything of a job but its kernels.
    Code,
    /// A part of its kernels.
    Kernels(usize),
}

/// What was written.
enum Written {
    Code(String),
    Kernels(usize, cuda::Part),
}

impl Order {
    fn write(&self, task: Task) -> Written {
        match task {
            Task::Code => Written::Code(plan::code(self.planned.schedule(), &self.context)),
            Task::Kernels(part) => {
                Written::Kernels(part, self.planned.kernels().part(part, self.parts, &self.context.layout))
            }
        }
    }
}

/// The body of a function while its parts come in.
struct Body {
    code: TokenStream,
    parts: Vec<Option<cuda::Part>>,
    kernels: TokenStream,
}

impl Body {
    fn take(&mut self, order: &Order, written: Written) {
        match written {
            Written::Code(text) => self.code = tokens(&text),
            Written::Kernels(part, text) => {
                self.parts[part] = Some(text);
                if self.parts.iter().all(Option::is_some) {
                    let parts: Vec<cuda::Part> = self.parts.drain(..).flatten().collect();
                    self.kernels = tokens(&order.planned.kernels().statics(&parts));
                }
            }
        }
    }
}

impl Planner {
    /// Begins with a graph.
    pub(crate) fn begin(&self, graph: &Arc<Graph>) {
        let planned = self.planned(graph);
        self.helpers.push(move || {
            planned.schedule();
            if CUDA {
                planned.kernels();
            }
        });
    }

    fn planned(&self, graph: &Arc<Graph>) -> Arc<Planned> {
        let mut begun = self.begun.borrow_mut();
        if let Some(planned) = begun.iter().find(|planned| Arc::ptr_eq(&planned.graph, graph)) {
            return Arc::clone(planned);
        }
        let (schedule, kernels) = (OnceLock::new(), OnceLock::new());
        begun.push(Arc::new(Planned { graph: Arc::clone(graph), schedule, kernels }));
        Arc::clone(&begun[begun.len() - 1])
    }

    /// Begins to write the bodies of the functions that give the plans.
    pub(super) fn write(&self, jobs: Vec<Job>) -> Writing<'_> {
        let orders = jobs.into_iter().map(|Job { graph, context }| {
            let parts = if CUDA { (graph.nodes.len() / NODES_OF_A_TASK).clamp(1, MOST_TASKS) } else { 0 };
            Arc::new(Order { planned: self.planned(&graph), context, parts })
        });
        let orders: Vec<Arc<Order>> = orders.collect();
        let (sender, written) = mpsc::channel();
        for (job, task) in tasks(&orders) {
            let (order, sender) = (Arc::clone(&orders[job]), sender.clone());
            // Nobody waits for it any more if the thread of the macro has panicked.
            self.helpers.push(move || drop(sender.send((job, order.write(task)))));
        }
        Writing { helpers: &self.helpers, orders, written }
    }
}

/// What is being written.
pub(super) struct Writing<'a> {
    helpers: &'a Helpers,
    orders: Vec<Arc<Order>>,
    written: mpsc::Receiver<(usize, Written)>,
}

impl Writing<'_> {
    /// For each job the body of the function that gives its plan.
    pub(super) fn read(self) -> Vec<TokenStream> {
        let Writing { helpers, orders, written } = self;
        // In place of what a helper could not write, there is an error.
        let body = |order: &Arc<Order>| {
            let parts = (0..order.parts).map(|_| None).collect();
            Body { code: fault(), parts, kernels: if CUDA { fault() } else { TokenStream::new() } }
        };
        let mut bodies: Vec<Body> = orders.iter().map(body).collect();
        let mut read = |(job, text): (usize, Written)| bodies[job].take(&orders[job], text);
        loop {
            written.try_iter().for_each(&mut read);
            if !helpers.lend_a_hand() {
                break;
            }
        }
        written.iter().for_each(&mut read);
        let finished = bodies.into_iter().map(|Body { code, kernels, .. }| quote!(#code #kernels &PLAN));
        finished.collect()
    }
}

/// What is to be written, by job. Helpers begin at the front and this thread at the back, each with something large; the
/// small tasks lie between, so that all are done at about the same time.
fn tasks(orders: &[Arc<Order>]) -> Vec<(usize, Task)> {
    let mut sizes: Vec<usize> = (0..orders.len()).collect();
    sizes.sort_by_key(|job| Reverse(orders[*job].planned.graph.nodes.len()));
    let code = sizes.iter().map(|job| (*job, Task::Code));
    let of = |job: &usize| (0..orders[*job].parts).map(move |part| (*job, Task::Kernels(part))).collect::<Vec<_>>();
    let kernels = sizes.iter().flat_map(of);
    code.clone().take(1).chain(kernels).chain(code.skip(1)).collect()
}

fn scheduled(graph: &Graph) -> Schedule {
    let schedule = schedule(graph);
    if std::env::var_os("GRAVEN_VERIFY").is_some() {
        crate::verify(graph, &schedule).unwrap_or_else(|broken| panic!("a fault of graven: {broken}"));
    }
    schedule
}

//! Threads beside the one that rustc runs a macro on, which has nothing else to do for them. Macros are built without
//! optimisation, so their work is worth a thread.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Helpers at most: there are seldom more tasks of size.
const MOST: usize = 3;

/// As much as the main thread of a program has: formulas are walked by recursion.
const STACK: usize = 8 << 20;

type Task = Box<dyn FnOnce() + Send>;

/// Takes tasks, the first one first. What nobody has begun when it is dropped is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Helpers {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something in the state has changed.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    threads: usize,
    closed: bool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let State { tasks, threads, closed } = &*self.lock();
        write!(f, "{} tasks for {threads} threads, closed: {closed}", tasks.len())
    }
}

impl Shared {
    /// No task runs while this is held, so none can leave it half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next task; waits for one until nobody can bring one any more.
    fn next(&self) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if let Some(task) = state.tasks.pop_front() {
                return Some(task);
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Helpers {
    /// Adds a task, and a thread for it while there are cores for more.
    pub(crate) fn push(&self, task: impl FnOnce() + Send + 'static) {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let mut state = self.shared.lock();
        state.tasks.push_back(Box::new(task));
        if state.threads < MOST.min(cores - 1) {
            let shared = Arc::clone(&self.shared);
            let help = move || std::iter::from_fn(|| shared.next()).for_each(|task| task());
            // Where there is no thread to be had, `lend_a_hand` does it all.
            state.threads += usize::from(thread::Builder::new().stack_size(STACK).spawn(help).is_ok());
        }
        self.shared.changed.notify_one();
    }

    /// Does the last task on this thread, if there is one that nobody has begun.
    pub(crate) fn lend_a_hand(&self) -> bool {
        let task = self.shared.lock().tasks.pop_back();
        task.map(|task| task()).is_some()
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.tasks.clear();
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn every_task_is_done_once() {
        let helpers = Helpers::default();
        let (sender, done) = mpsc::channel();
        for task in 0..100 {
            let sender = sender.clone();
            helpers.push(move || sender.send(task).unwrap());
        }
        drop(sender);
        while helpers.lend_a_hand() {}
        let mut done: Vec<i32> = done.iter().collect();
        done.sort_unstable();
        assert_eq!(done, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn what_nobody_has_begun_is_forgotten() {
        let helpers = Helpers::default();
        let (sender, done) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        for _ in 0..=MOST {
            let (sender, gate) = (sender.clone(), Arc::clone(&gate));
            helpers.push(move || {
                let _ = gate.lock().unwrap().recv();
                sender.send(()).unwrap();
            });
        }
        drop((helpers, open, sender));
        assert!(done.iter().count() <= MOST);
    }
}

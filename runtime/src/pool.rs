//! A fork-join pool: a fixed set of threads that run the numbered tasks of one call at a time, without allocating.
//!
//! (rayon 1.12 allocates when it is entered from outside its pool, so it cannot keep the promise that a step allocates
//! nothing.)

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What a task is: a function of the number of the worker (the caller is 0) and of the task.
type Task<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// How often an idle worker looks for a new job before it sleeps: some 20 µs, as long as waking it takes. Within a
/// training step the next loop comes sooner than that.
const SPINS: usize = 500;

static POOL: Pool = Pool {
    busy: AtomicBool::new(false),
    generation: AtomicU64::new(0),
    next: AtomicUsize::new(0),
    active: AtomicUsize::new(0),
    state: Mutex::new(State { job: None, spawned: 0, started: 0, panic: None }),
    wake: Condvar::new(),
    done: Condvar::new(),
};

struct Pool {
    /// Whether a caller owns the workers.
    busy: AtomicBool,
    /// Counts the jobs. Written under the lock of `state`, read by spinning workers.
    generation: AtomicU64,
    /// The next task of the job.
    next: AtomicUsize,
    /// Workers inside the job. Written under the lock of `state`, read by the spinning caller.
    active: AtomicUsize,
    state: Mutex<State>,
    wake: Condvar,
    done: Condvar,
}

struct State {
    job: Option<Job>,
    /// Workers that exist; they are numbered from 1.
    spawned: usize,
    /// Those of them that run.
    started: usize,
    /// The first panic of a worker in this job.
    panic: Option<Box<dyn Any + Send>>,
}

#[derive(Clone, Copy)]
struct Job {
    /// The task with its lifetime erased; [`Pool::fork_join`] outlives its use.
    task: Task<'static>,
    n_tasks: usize,
    /// Workers with this number or a higher one stay out.
    threads: usize,
}

/// Runs `task(worker, 0)` to `task(worker, n_tasks - 1)`, each once, in any order, on up to `threads` threads, and
/// returns when all have ended. No two tasks that run at the same time see the same worker; worker < `threads`.
///
/// A call from inside a task, or while another thread's call runs, runs its tasks on its own thread. A panic of a task
/// reaches the caller after all running tasks have ended.
pub(crate) fn run(threads: usize, n_tasks: usize, task: Task<'_>) {
    let alone = threads <= 1 || n_tasks <= 1;
    if alone || POOL.busy.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
        (0..n_tasks).for_each(|index| task(0, index));
        return;
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| POOL.fork_join(threads, n_tasks, task)));
    POOL.busy.store(false, Ordering::Release);
    if let Err(panic) = outcome.and_then(|outcome| outcome) {
        resume_unwind(panic);
    }
}

impl Pool {
    fn fork_join(&'static self, threads: usize, n_tasks: usize, task: Task<'_>) -> std::thread::Result<()> {
        // SAFETY: only the lifetime changes. Workers call the task between joining the job and leaving it; they join only
        // while `state.job` is set, and below this function clears it and waits until all have left before it returns.
        // Nothing between can unwind: tasks run under `catch_unwind`.
        let task = unsafe { std::mem::transmute::<Task<'_>, Task<'static>>(task) };
        let job = Job { task, n_tasks, threads: threads.min(n_tasks) };
        let mut state = self.lock();
        self.spawn(&mut state, job.threads - 1);
        // A thread allocates while it starts. That belongs to the first call, not to one of those that allocate nothing.
        while state.started < state.spawned {
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.job = Some(job);
        self.next.store(0, Ordering::Relaxed);
        self.generation.fetch_add(1, Ordering::Release);
        drop(state);
        self.wake.notify_all();

        let own = self.work(&job, 0);

        let mut state = self.lock();
        state.job = None;
        if self.active.load(Ordering::Acquire) > 0 {
            drop(state);
            spin_until(|| self.active.load(Ordering::Acquire) == 0);
            state = self.lock();
            while self.active.load(Ordering::Acquire) > 0 {
                state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        match state.panic.take() {
            Some(panic) => own.and(Err(panic)),
            None => own,
        }
    }

    /// Takes tasks until none is left. After a panic, the tasks that nobody has taken are dropped.
    fn work(&self, job: &Job, worker: usize) -> std::thread::Result<()> {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let index = self.next.fetch_add(1, Ordering::Relaxed);
                if index >= job.n_tasks {
                    return;
                }
                (job.task)(worker, index);
            }
        }));
        if outcome.is_err() {
            self.next.store(job.n_tasks, Ordering::Relaxed);
        }
        outcome
    }

    /// Makes sure that `workers` threads exist, as far as the system lets us have them.
    fn spawn(&'static self, state: &mut State, workers: usize) {
        while state.spawned < workers {
            let worker = state.spawned + 1;
            let builder = std::thread::Builder::new().name(format!("graven-{worker}"));
            if builder.spawn(move || self.serve(worker)).is_err() {
                return;
            }
            state.spawned = worker;
        }
    }

    /// The life of a worker.
    fn serve(&self, worker: usize) {
        let mut state = self.lock();
        state.started += 1;
        let mut seen = self.generation.load(Ordering::Acquire);
        drop(state);
        self.done.notify_one();
        loop {
            spin_until(|| self.generation.load(Ordering::Acquire) != seen);
            let mut state = self.lock();
            while self.generation.load(Ordering::Acquire) == seen {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            seen = self.generation.load(Ordering::Acquire);
            let Some(job) = state.job.filter(|job| worker < job.threads) else { continue };
            self.active.fetch_add(1, Ordering::AcqRel);
            drop(state);

            let outcome = self.work(&job, worker);

            let mut state = self.lock();
            if let Err(panic) = outcome {
                state.panic.get_or_insert(panic);
            }
            self.active.fetch_sub(1, Ordering::AcqRel);
            drop(state);
            self.done.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a condition for a short while only.
fn spin_until(condition: impl Fn() -> bool) {
    for _ in 0..SPINS {
        if condition() {
            return;
        }
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_for_any_number_of_threads() {
        for threads in [1, 2, 3, 5] {
            for n_tasks in [0, 1, 2, 7, 100] {
                let counts: Vec<AtomicUsize> = (0..n_tasks).map(|_| AtomicUsize::new(0)).collect();
                for round in 1..=50 {
                    run(threads, n_tasks, &|worker, task| {
                        assert!(worker < threads);
                        counts[task].fetch_add(1, Ordering::Relaxed);
                    });
                    assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == round));
                }
            }
        }
    }

    #[test]
    fn no_worker_is_in_two_tasks_at_once() {
        let inside: [AtomicUsize; 3] = Default::default();
        run(3, 300, &|worker, _| {
            assert_eq!(inside[worker].fetch_add(1, Ordering::SeqCst), 0);
            std::hint::black_box(0);
            inside[worker].fetch_sub(1, Ordering::SeqCst);
        });
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
        for bad in [0, 5, 9] {
            let panic = catch_unwind(|| run(2, 10, &|_, task| assert_ne!(task, bad, "task {bad}")));
            assert!(panic.unwrap_err().downcast_ref::<String>().unwrap().contains(&format!("task {bad}")));
        }
        let count = AtomicUsize::new(0);
        run(2, 10, &|_, _| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.into_inner(), 10);
    }

    #[test]
    fn calls_from_several_threads_and_from_inside_a_task_all_finish() {
        let count = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        run(3, 5, &|_, _| {
                            run(3, 2, &|_, _| {
                                count.fetch_add(1, Ordering::Relaxed);
                            });
                        });
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), 4 * 100 * 5 * 2);
    }
}

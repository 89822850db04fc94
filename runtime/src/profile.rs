//! Where the time of a function goes, kernel by kernel (feature `profile`).
//!
//! With this feature, the code that [`network!`](crate::network) writes notes the time in front of every kernel, so a program is a
//! little slower, and allocates; without it, nothing of that is there. Measured is what runs on the CPU: the kernels of a tile, of
//! all threads together, operations on complete tensors, the sums of chunks, and the optimizer.
//!
//! ```
//! use graven::prelude::*;
//!
//! #[derive(Module)]
//! struct Network {
//!     #[layer(784, 100)]
//!     fc: Linear,
//!     #[layer(out_features = 10)]
//!     out: Linear,
//! }
//!
//! network! {
//!     impl Network {
//!         fn loss(&self, t: Tensor<[N, 784]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
//!             cross_entropy(self.out(relu(self.fc(t))), labels)
//!         }
//!     }
//! }
//!
//! let mut network = Network::init(Seed(0), &Device::cpu())?;
//! let mut adam = Adam::new(0.001);
//! let (images, labels) = (Tensor::zeros([1000, 784])?, Tensor::new(vec![3_i64; 1000], [1000])?);
//! network.loss_step(&images, &labels, &mut adam)?;
//!
//! let _ = graven::profile::take(); // forgets the first step
//! network.loss_step(&images, &labels, &mut adam)?;
//! let profile = graven::profile::take();
//! println!("{profile}");
//!
//! let fc = profile.rows().iter().find(|row| row.kernel == "linear::forward").unwrap();
//! assert_eq!((fc.function, fc.output), ("Network::loss_grad", "fc_rows"));
//! assert_eq!((fc.calls, fc.multiply_adds), (63, 1000 * 784 * 100)); // 62 tiles of 16 samples, and one of 8
//! assert!(fc.least <= fc.median && fc.median <= fc.total && fc.total < profile.total());
//! let optimizer = profile.rows().last().unwrap();
//! assert_eq!((optimizer.output, optimizer.calls), ("optimizer", 1));
//! assert!(graven::profile::take().rows().is_empty());
//! # Ok::<(), graven::Error>(())
//! ```

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use graven_kernels::dim::thousands;

use crate::table;

/// One kernel of a function, as emitted code names it.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The function: `Network::loss_grad`.
    pub function: &'static str,
    /// What it computes, by the name that the emitted code gives it: `conv1`, or `fc_rows` where samples are rows.
    pub output: &'static str,
    /// The kernel: `conv2d::forward`.
    pub kernel: &'static str,
    /// Multiply-adds of one sample.
    pub multiply_adds: u64,
}

/// How long one kernel of a function took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The function: `Network::loss_grad`.
    pub function: &'static str,
    /// What the kernel computes, by the name that the emitted code gives it: `conv1`, or `fc_rows` where samples are rows.
    pub output: &'static str,
    /// The kernel: `conv2d::forward`; empty for the sums of chunks and the optimizer.
    pub kernel: &'static str,
    /// How often it was called: once a tile.
    pub calls: usize,
    /// Multiply-adds of all calls together, each product of a convolution counted.
    pub multiply_adds: u64,
    /// The shortest call: the one that other programs disturbed least. Calls for fewer samples than others, as for the last tile of
    /// a batch, are left out of it and of the median.
    pub least: Duration,
    /// Half of the calls took no longer. After 65,536 calls, those that follow are left out.
    pub median: Duration,
    /// All calls together, of all threads.
    pub total: Duration,
}

/// How long every kernel took; prints as a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    rows: Vec<Row>,
}

/// Calls whose times are kept for the median; those of another thread come on top.
const KEPT: usize = 1 << 16;

/// What one thread has measured of one kernel.
#[derive(Debug)]
struct Entry {
    step: Step,
    calls: usize,
    samples: u64,
    total: Duration,
    /// Samples of the largest call, and how long calls of that size took: the first [`KEPT`] of them.
    largest: usize,
    times: Vec<Duration>,
}

/// What one thread has measured.
#[derive(Debug, Default)]
struct Times {
    entries: Vec<Entry>,
    /// The entry of the kernel that runs, for how many samples, and when it began.
    open: Option<(usize, usize, Instant)>,
    /// The entry of the kernel before: the next one often stands behind it.
    last: usize,
}

/// Those of all threads.
static THREADS: Mutex<Vec<Arc<Mutex<Times>>>> = Mutex::new(Vec::new());

thread_local! {
    static OWN: Arc<Mutex<Times>> = {
        let own = Arc::default();
        lock(&THREADS).push(Arc::clone(&own));
        own
    };
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Entry {
    /// Keeps how long calls for so many samples took, unless others had more.
    fn add(&mut self, samples: usize, times: &[Duration]) {
        if samples > self.largest {
            self.largest = samples;
            self.times.clear();
        }
        if samples == self.largest && self.times.len() < KEPT {
            self.times.extend_from_slice(times);
        }
    }
}

impl Times {
    fn begin(&mut self, step: Step, samples: usize) {
        let next = self.last + 1;
        let found = if self.entries.get(next).is_some_and(|entry| entry.step == step) {
            Some(next)
        } else {
            self.entries.iter().position(|entry| entry.step == step)
        };
        let index = found.unwrap_or_else(|| {
            let times = Vec::new();
            self.entries.push(Entry { step, calls: 0, samples: 0, total: Duration::ZERO, largest: 0, times });
            self.entries.len() - 1
        });
        self.last = index;
        self.open = Some((index, samples, Instant::now()));
    }

    fn end(&mut self, now: Instant) {
        let Some((index, samples, start)) = self.open.take() else { return };
        let (entry, time) = (&mut self.entries[index], now - start);
        entry.calls += 1;
        entry.samples += samples as u64;
        entry.total += time;
        entry.add(samples, &[time]);
    }
}

/// A kernel begins, for so many samples; the one before ends.
pub(crate) fn begin(step: Step, samples: usize) {
    let now = Instant::now();
    OWN.with(|own| {
        let mut own = lock(own);
        own.end(now);
        own.begin(step, samples);
    });
}

/// The kernel ends, and none follows.
pub(crate) fn end() {
    let now = Instant::now();
    OWN.with(|own| lock(own).end(now));
}

/// Runs `f`, which belongs to the function whose kernel this thread has measured last.
pub(crate) fn measure<R>(output: &'static str, f: impl FnOnce() -> R) -> R {
    let function = OWN.with(|own| {
        let own = lock(own);
        own.entries.get(own.last).map_or("", |entry| entry.step.function)
    });
    begin(Step { function, output, kernel: "", multiply_adds: 0 }, 0);
    let result = f();
    end();
    result
}

/// What all threads have measured since the last call.
#[must_use = "what was measured is forgotten"]
pub fn take() -> Profile {
    let mut entries: Vec<Entry> = Vec::new();
    for times in lock(&THREADS).iter() {
        let mut times = lock(times);
        times.open = None;
        times.last = 0;
        for entry in times.entries.drain(..) {
            match entries.iter_mut().find(|other| other.step == entry.step) {
                None => entries.push(entry),
                Some(other) => {
                    other.calls += entry.calls;
                    other.samples += entry.samples;
                    other.total += entry.total;
                    other.add(entry.largest, &entry.times);
                }
            }
        }
    }
    // The functions one after the other, each in the order of its kernels.
    let mut functions: Vec<&str> = Vec::new();
    for entry in &entries {
        if !functions.contains(&entry.step.function) {
            functions.push(entry.step.function);
        }
    }
    entries.sort_by_key(|entry| functions.iter().position(|function| *function == entry.step.function));
    let row = |mut entry: Entry| {
        entry.times.sort_unstable();
        let Step { function, output, kernel, multiply_adds } = entry.step;
        Some(Row {
            function,
            output,
            kernel,
            calls: entry.calls,
            multiply_adds: multiply_adds.saturating_mul(entry.samples),
            least: *entry.times.first()?,
            median: entry.times[entry.times.len() / 2],
            total: entry.total,
        })
    };
    Profile { rows: entries.into_iter().filter_map(row).collect() }
}

impl Profile {
    /// The kernels, function by function, in the order in which they run.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// All calls together, of all threads.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.rows.iter().map(|row| row.total).sum()
    }
}

impl Row {
    /// All calls, if each had taken the median: what other programs disturbed counts no more than the rest.
    fn usual(&self) -> Duration {
        self.median.mul_f64(self.calls as f64)
    }
}

/// Operations (two a multiply-add) in a second, in thousand millions; `-` without any.
fn rate(multiply_adds: u64, time: Duration) -> String {
    if multiply_adds == 0 || time.is_zero() {
        return "-".to_owned();
    }
    format!("{:.1}", 2.0 * multiply_adds as f64 / time.as_secs_f64() * 1e-9)
}

/// Function by function; shares and rates are those of the medians.
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1e6);
        for (index, rows) in self.rows.chunk_by(|a, b| a.function == b.function).enumerate() {
            let all: Duration = rows.iter().map(Row::usual).sum();
            let work = rows.iter().map(|row| row.multiply_adds).fold(0, u64::saturating_add);
            let share = |time: Duration| 100.0 * time.as_secs_f64() / all.as_secs_f64().max(f64::MIN_POSITIVE);
            let cells = |row: &Row| {
                [
                    row.output.to_owned(),
                    row.kernel.to_owned(),
                    thousands(row.calls as u64),
                    micros(row.least),
                    micros(row.median),
                    format!("{:.1} %", share(row.usual())),
                    rate(row.multiply_adds, row.usual()),
                ]
            };
            let mut total = [const { String::new() }; 7];
            total[0] = format!("total, {:.3} ms", all.as_secs_f64() * 1e3);
            [total[5], total[6]] = ["100.0 %".to_owned(), rate(work, all)];
            let cells: Vec<_> = rows.iter().map(cells).chain([total]).collect();
            if index > 0 {
                writeln!(f)?;
            }
            writeln!(f, "{}", rows[0].function)?;
            let columns = ["output", "kernel", "calls", "least µs", "median µs", "share", "GFLOP/s"];
            table::write(f, columns, 2, &cells)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICROSECOND: Duration = Duration::from_micros(1);

    #[test]
    fn calls_for_fewer_samples_do_not_enter_the_median() {
        let step = Step { function: "f", output: "y", kernel: "k", multiply_adds: 3 };
        let mut entry = Entry { step, calls: 0, samples: 0, total: Duration::ZERO, largest: 0, times: Vec::new() };
        for (samples, time) in [(8, 1), (16, 5), (8, 2), (16, 7)] {
            entry.add(samples, &[time * MICROSECOND]);
        }
        assert_eq!(entry.times, [5 * MICROSECOND, 7 * MICROSECOND]);
    }

    #[test]
    fn a_profile_is_a_table() {
        let row = |function, output, kernel, multiply_adds, median: u32| Row {
            function,
            output,
            kernel,
            calls: 2000,
            multiply_adds,
            least: MICROSECOND,
            median: median * MICROSECOND,
            total: 5000 * MICROSECOND,
        };
        let rows = vec![row("f", "y", "linear::forward", 30_000_000, 3), row("f", "optimizer", "", 0, 1)];
        let expected = "\
f
------------------------------------------------------------------------------
output           kernel           calls  least µs  median µs    share  GFLOP/s
------------------------------------------------------------------------------
y                linear::forward  2,000      1.00       3.00   75.0 %     10.0
optimizer                         2,000      1.00       1.00   25.0 %        -
------------------------------------------------------------------------------
total, 8.000 ms                                               100.0 %      7.5
";
        assert_eq!(Profile { rows }.to_string(), expected);
    }
}

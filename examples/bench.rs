//! The work items of the benchmark, timed in graven. `tests/peers/bench.py` runs them beside other frameworks.
//!
//! Reads lines `WORK THREADS REPEATS` from the standard input and answers each with one line of JSON; `cargo run --release
//! --example bench -- step-100 1 200` times one item without the script. The work `pipeline` says how much of the cores is left. With
//! `--features profile` it also prints how long every kernel took.

use std::hint::black_box;
use std::io::BufRead as _;
use std::time::Instant;

use graven::prelude::*;

#[path = "bench/networks.rs"]
mod networks;

#[cfg(target_arch = "x86_64")]
#[path = "pipeline/loops.rs"]
mod loops;

use networks::{mlp, odd, residual, tutorial};

fn images(dims: &[usize]) -> Result<Tensor> {
    Tensor::from_fn(dims, |index| (index * 7919 % 997) as f32 / 997.0)
}

fn labels(n: usize) -> Result<Tensor<i64>> {
    Tensor::new((0..n).map(|index| (index % 10) as i64).collect::<Vec<_>>(), [n])
}

/// Milliseconds of each of `repeats` runs, after a quarter as many to warm up.
fn time(repeats: usize, mut run: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    for _ in 0..repeats.div_ceil(4) {
        run()?;
    }
    (0..repeats)
        .map(|_| {
            let start = Instant::now();
            run()?;
            Ok(start.elapsed().as_secs_f64() * 1e3)
        })
        .collect()
}

macro_rules! step {
    ($network:ty, $shape:expr, $repeats:expr) => {{
        let mut network = <$network>::init(Seed(0), &Device::cpu())?;
        let mut adam = Adam::new(0.001);
        let (images, labels) = (images(&$shape)?, labels($shape[0])?);
        time($repeats, || network.loss_step(&images, &labels, &mut adam).map(drop))
    }};
}

macro_rules! inference {
    ($network:ty, $shape:expr, $repeats:expr) => {{
        let network = <$network>::init(Seed(0), &Device::cpu())?;
        let (images, mut logits) = (images(&$shape)?, Tensor::empty());
        time($repeats, || network.forward_into(&images, &mut logits))
    }};
}

/// 60,000 images, shuffled and batched, one epoch a run.
fn epoch(batch: usize, repeats: usize) -> Result<Vec<f64>> {
    let (images, labels) = (images(&[60_000, 1, 28, 28])?, labels(60_000)?);
    let names: &'static [&'static str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let data = ImageDataset::new(images, labels, names)?;
    let mut network = tutorial::Network::init(Seed(0), &Device::cpu())?;
    let mut adam = Adam::new(0.001);
    let (mut images, mut labels) = (Tensor::empty(), Tensor::empty());
    let mut seed = 0;
    time(repeats, || {
        seed += 1;
        let mut batches = data.batches(batch).shuffled(Seed(seed));
        while batches.next_into(&mut images, &mut labels) {
            network.loss_step(&images, &labels, &mut adam)?;
        }
        Ok(())
    })
}

/// A loop of fused multiply-adds in registers: rounds of 12 vectors of 16, 384 FLOP each.
fn multiply_adds(rounds: usize, repeats: usize) -> Result<Vec<f64>> {
    let isa = graven::__private::kernels::cpu::Isa::detect();
    let mut sums = [1.0_f32; 192];
    time(repeats, || {
        let (factor, term) = black_box((0.999_f32, 0.001_f32));
        let start = black_box(sums);
        // One flat array, so that the whole of it becomes twelve registers.
        sums = isa.run(
            #[inline(always)]
            || {
                let mut own = start;
                for _ in 0..rounds {
                    for lane in &mut own {
                        *lane = lane.mul_add(factor, term);
                    }
                }
                own
            },
        );
        black_box(&mut sums);
        Ok(())
    })
}

/// How much of each core is left: nanoseconds of a multiply-add (alone, in a register tile) on the slowest of so many threads, by the
/// medians of `runs` short runs. None without AVX-512.
#[cfg(target_arch = "x86_64")]
fn pipeline(threads: usize, runs: usize) -> Option<[f64; 2]> {
    let median = |own: &loops::Loop| {
        let mut times: Vec<f64> = own.times(runs)?.collect();
        times.sort_by(f64::total_cmp);
        Some(times[times.len() / 2])
    };
    let one = || Some([median(&loops::ALONE)?, median(&loops::TILE)?]);
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(one)).collect();
        // The core of this thread is the one on which it will measure.
        let own = one();
        others.into_iter().map(|other| other.join().ok()?).try_fold(own?, |slowest, own| {
            let [alone, tile] = own?;
            Some([slowest[0].max(alone), slowest[1].max(tile)])
        })
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn pipeline(_: usize, _: usize) -> Option<[f64; 2]> {
    None
}

fn measure(work: &str, threads: usize, repeats: usize) -> Result<Option<Vec<f64>>> {
    graven::threads::set(threads);
    Ok(Some(match work {
        "step-100" => step!(tutorial::Network, [100, 1, 28, 28], repeats)?,
        "step-1000" => step!(tutorial::Network, [1000, 1, 28, 28], repeats)?,
        "epoch-100" => epoch(100, repeats)?,
        "epoch-1000" => epoch(1000, repeats)?,
        "infer-1" => inference!(tutorial::Network, [1, 1, 28, 28], repeats)?,
        "infer-1000" => inference!(tutorial::Network, [1000, 1, 28, 28], repeats)?,
        // Around the largest batch whose samples go one by one.
        "infer-4" => inference!(tutorial::Network, [4, 1, 28, 28], repeats)?,
        "infer-5" => inference!(tutorial::Network, [5, 1, 28, 28], repeats)?,
        "mlp-infer-1" => inference!(mlp::Mlp, [1, 784], repeats)?,
        "mlp-infer-4" => inference!(mlp::Mlp, [4, 784], repeats)?,
        "mlp-infer-5" => inference!(mlp::Mlp, [5, 784], repeats)?,
        "residual-infer-1" => inference!(residual::Residual, [1, 3, 32, 32], repeats)?,
        "residual-infer-5" => inference!(residual::Residual, [5, 3, 32, 32], repeats)?,
        "mlp-128" => step!(mlp::Mlp, [128, 784], repeats)?,
        "residual-64" => step!(residual::Residual, [64, 3, 32, 32], repeats)?,
        "odd-37" => step!(odd::Odd, [37, 1, 28, 28], repeats)?,
        "peak" => multiply_adds(20_000, repeats)?,
        // As long as an inference at batch 1, without memory: what the machine itself does to a call of 10 µs.
        "spin" => multiply_adds(4_000, repeats)?,
        _ => return Ok(None),
    }))
}

fn answer(line: &str) -> Result<()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |index: usize| words.get(index).and_then(|word| word.parse().ok());
    let (Some(work), Some(threads), Some(repeats)) = (words.first(), number(1), number(2)) else {
        println!("{{\"error\": \"a line is: WORK THREADS REPEATS\"}}");
        return Ok(());
    };
    if *work == "pipeline" {
        match pipeline(threads, repeats.max(1)) {
            Some([alone, tile]) => println!("{{\"alone_ns\": {alone:.4}, \"tile_ns\": {tile:.4}}}"),
            None => println!("{{\"error\": \"not done: the processor has no AVX-512\"}}"),
        }
        return Ok(());
    }
    match measure(work, threads, repeats.max(1))? {
        Some(mut times) => {
            times.sort_by(f64::total_cmp);
            let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
            println!(
                "{{\"peer\": \"graven\", \"work\": \"{work}\", \"threads\": {threads}, \"min_ms\": {:.5}, \"median_ms\": {:.5}, \"p99_ms\": {:.5}}}",
                at(0.0),
                at(0.5),
                at(0.99)
            );
        }
        None => println!("{{\"error\": \"no work is called {work}\"}}"),
    }
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        for line in std::io::stdin().lock().lines().map_while(std::result::Result::ok) {
            answer(&line)?;
        }
    } else {
        answer(&arguments.join(" "))?;
    }
    #[cfg(feature = "profile")]
    print!("{}", graven::profile::take());
    Ok(())
}

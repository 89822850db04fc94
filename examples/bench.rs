//! The work items of the benchmark, timed in graven. `tests/peers/bench.py` runs them beside other frameworks.
//!
//! Reads lines `WORK THREADS REPEATS` from the standard input and answers each with one line of JSON; `cargo run --release
//! --example bench -- step-100 1 200` times one item without the script.

use std::hint::black_box;
use std::io::BufRead as _;
use std::time::Instant;

use graven::prelude::*;

mod tutorial {
    #![allow(unreachable_pub)] // It reads as a user's library would.
    use graven::prelude::*;
    include!("../tests/stages/tutorial.rs");
}

/// 784-512-512-10: the weights outgrow the first caches.
mod mlp {
    use graven::prelude::*;

    #[derive(Module)]
    pub(crate) struct Mlp {
        #[layer(784, 512)]
        fc1: Linear,
        #[layer(512, 512)]
        fc2: Linear,
        #[layer(512, 10)]
        out: Linear,
    }

    network! {
        impl Mlp {
            pub(crate) fn forward(&self, t: Tensor<[N, 784]>) -> Tensor<[N, 10]> {
                self.out(relu(self.fc2(relu(self.fc1(t)))))
            }
            pub(crate) fn loss(&self, t: Tensor<[N, 784]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
                cross_entropy(self.forward(t), labels)
            }
        }
    }
}

/// Three stages of 16, 32 and 64 channels with a residual block each, on 3 x 32 x 32.
mod residual {
    use graven::prelude::*;

    #[derive(Module)]
    pub(crate) struct Block<const C: usize> {
        #[layer(C, C, kernel_size = 3, padding = 1)]
        conv1: Conv2d,
        #[layer(C, C, kernel_size = 3, padding = 1)]
        conv2: Conv2d,
    }

    network! {
        impl Block {
            fn forward(&self, t: Tensor<[N, C, H, W]>) -> Tensor<[N, C, H, W]> {
                relu(t + self.conv2(relu(self.conv1(t))))
            }
        }
    }

    #[derive(Module)]
    pub(crate) struct Residual {
        #[layer(3, 16, kernel_size = 3, padding = 1)]
        stem: Conv2d,
        block1: Block<16>,
        #[layer(16, 32, kernel_size = 3, stride = 2, padding = 1)]
        down2: Conv2d,
        block2: Block<32>,
        #[layer(32, 64, kernel_size = 3, stride = 2, padding = 1)]
        down3: Conv2d,
        block3: Block<64>,
        #[layer(64, 10)]
        out: Linear,
    }

    network! {
        impl Residual {
            pub(crate) fn forward(&self, t: Tensor<[N, 3, 32, 32]>) -> Tensor<[N, 10]> {
                let t = self.block1(relu(self.stem(t)));
                let t = self.block2(relu(self.down2(t)));
                let t = self.block3(relu(self.down3(t)));
                self.out(mean(t, dim = [2, 3]))
            }
            pub(crate) fn loss(&self, t: Tensor<[N, 3, 32, 32]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
                cross_entropy(self.forward(t), labels)
            }
        }
    }
}

/// Sizes that no kernel was written for: 7 and 13 channels, stride 3, batch 37.
mod odd {
    use graven::prelude::*;

    #[derive(Module)]
    pub(crate) struct Odd {
        #[layer(1, 7, kernel_size = 3, stride = 3)]
        conv1: Conv2d,
        #[layer(7, 13, kernel_size = 3, padding = 1)]
        conv2: Conv2d,
        #[layer(out_features = 10)]
        out: Linear,
    }

    network! {
        impl Odd {
            pub(crate) fn forward(&self, t: Tensor<[N, 1, 28, 28]>) -> Tensor<[N, 10]> {
                self.out(relu(self.conv2(relu(self.conv1(t)))).flatten(1))
            }
            pub(crate) fn loss(&self, t: Tensor<[N, 1, 28, 28]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
                cross_entropy(self.forward(t), labels)
            }
        }
    }
}

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

fn inference(batch: usize, repeats: usize) -> Result<Vec<f64>> {
    let network = tutorial::Network::init(Seed(0), &Device::cpu())?;
    let (images, mut logits) = (images(&[batch, 1, 28, 28])?, Tensor::empty());
    time(repeats, || network.forward_into(&images, &mut logits))
}

/// 60,000 images, shuffled and batched by 100, one epoch a run.
fn epoch(repeats: usize) -> Result<Vec<f64>> {
    let (images, labels) = (images(&[60_000, 1, 28, 28])?, labels(60_000)?);
    let names: &'static [&'static str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let data = ImageDataset::new(images, labels, names)?;
    let mut network = tutorial::Network::init(Seed(0), &Device::cpu())?;
    let mut adam = Adam::new(0.001);
    let (mut images, mut labels) = (Tensor::empty(), Tensor::empty());
    let mut seed = 0;
    time(repeats, || {
        seed += 1;
        let mut batches = data.batches(100).shuffled(Seed(seed));
        while batches.next_into(&mut images, &mut labels) {
            network.loss_step(&images, &labels, &mut adam)?;
        }
        Ok(())
    })
}

/// A loop of fused multiply-adds in registers: 20,000 rounds of 12 vectors of 16, 7.68 MFLOP a run.
fn peak(repeats: usize) -> Result<Vec<f64>> {
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
                for _ in 0..20_000 {
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

fn measure(work: &str, threads: usize, repeats: usize) -> Result<Option<Vec<f64>>> {
    graven::threads::set(threads);
    Ok(Some(match work {
        "step-100" => step!(tutorial::Network, [100, 1, 28, 28], repeats)?,
        "step-1000" => step!(tutorial::Network, [1000, 1, 28, 28], repeats)?,
        "epoch-60000" => epoch(repeats)?,
        "infer-1" => inference(1, repeats)?,
        "infer-1000" => inference(1000, repeats)?,
        "mlp-128" => step!(mlp::Mlp, [128, 784], repeats)?,
        "residual-64" => step!(residual::Residual, [64, 3, 32, 32], repeats)?,
        "odd-37" => step!(odd::Odd, [37, 1, 28, 28], repeats)?,
        "peak" => peak(repeats)?,
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
    match measure(work, threads, repeats.max(1))? {
        Some(mut times) => {
            times.sort_by(f64::total_cmp);
            let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
            println!(
                "{{\"peer\": \"graven\", \"work\": \"{work}\", \"threads\": {threads}, \"median_ms\": {:.5}, \"p99_ms\": {:.5}}}",
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
    if !arguments.is_empty() {
        return answer(&arguments.join(" "));
    }
    for line in std::io::stdin().lock().lines().map_while(std::result::Result::ok) {
        answer(&line)?;
    }
    Ok(())
}

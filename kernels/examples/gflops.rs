//! Speed of the convolution and linear kernels on one thread, for every instruction set of this machine:
//! `cargo run --release -p graven-kernels --example gflops`.

use std::ops::{Deref, DerefMut};
use std::time::Instant;

use graven_kernels::cpu::{Context, Isa};
use graven_kernels::{LANES, conv2d, linear, pool2d};

/// Seconds of the fastest of several runs: the one that the rest of the machine disturbed least.
fn seconds(mut f: impl FnMut()) -> f64 {
    f();
    let run = |_| {
        let start = Instant::now();
        f();
        start.elapsed().as_secs_f64()
    };
    (0..200).map(run).fold(f64::INFINITY, f64::min)
}

/// Floats from a line of the cache on, as the runtime lays them.
struct Aligned {
    floats: Vec<f32>,
    start: usize,
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.floats[self.start..]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        let start = self.start;
        &mut self.floats[start..]
    }
}

fn ramp(n: usize) -> Aligned {
    let mut floats = vec![0.0; n + LANES];
    let start = floats.as_ptr().align_offset(LANES * size_of::<f32>());
    floats.truncate(start + n);
    for (i, float) in floats[start..].iter_mut().enumerate() {
        *float = (i % 101) as f32 * 0.01 - 0.5;
    }
    Aligned { floats, start }
}

fn conv(isa: Isa, channels: [usize; 2], kernel_size: usize, padding: usize, size: usize) {
    let sizes = conv2d::Sizes {
        in_channels: channels[0],
        out_channels: channels[1],
        height: size,
        width: size,
        kernel_size: [kernel_size; 2],
        stride: [1; 2],
        padding: [padding; 2],
        dilation: [1; 2],
        groups: 1,
    };
    let cx = Context { count: LANES, ..Context::whole(isa, 0) };
    let outputs = channels[1] * sizes.out_height() * sizes.out_width() * LANES;
    let (mut input, mut weight) =
        (ramp(channels[0] * size * size * LANES), ramp(channels[0] * channels[1] * kernel_size * kernel_size));
    let mut output = ramp(outputs);
    let gflop = (2 * outputs * channels[0] * kernel_size * kernel_size) as f64 * 1e-9;
    let mut scratch = ramp(sizes.scratch().max(sizes.grad_weight_scratch()));
    let mut kept = ramp(sizes.kept());
    let forward = seconds(|| conv2d::forward(&cx, &sizes, &input, &weight, &mut output, &mut scratch, &mut kept));
    let grad_weight = seconds(|| conv2d::grad_weight(&cx, &sizes, &output, &input, &mut weight, &mut scratch));
    let grad_input = seconds(|| conv2d::grad_input(&cx, &sizes, &output, &weight, &mut input, &mut scratch, &mut kept));
    let pooled = pooled_rate(&cx, &sizes, &output, &input, &mut weight, gflop);
    println!(
        "{:>9} conv2d {:>2} -> {:>2} k{kernel_size} p{padding} {size}x{size}: forward {:6.1}, grad_input {:6.1}, grad_weight {:6.1}, behind pooling {pooled} GFLOP/s",
        isa.name(),
        channels[0],
        channels[1],
        gflop / forward,
        gflop / grad_input,
        gflop / grad_weight,
    );
}

/// The rate of the gradient of the weight from that of windows of 2 x 2, by the products of all outputs, where there is such a kernel.
fn pooled_rate(
    cx: &Context,
    sizes: &conv2d::Sizes,
    output: &[f32],
    input: &[f32],
    weight: &mut [f32],
    gflop: f64,
) -> String {
    if !sizes.is_gradient_pooled() {
        return "    no".to_owned();
    }
    let pooling = pool2d::Sizes {
        channels: sizes.out_channels,
        height: sizes.out_height(),
        width: sizes.out_width(),
        kernel_size: [2; 2],
        stride: [2; 2],
        padding: [0; 2],
    };
    let (mut saved, mut largest) = (ramp(pooling.saved()), ramp(output.len() / 4));
    pool2d::max_forward_saving(cx, &pooling, output, &mut largest, &mut saved);
    let mut scratch = ramp(sizes.grad_weight_pooled_scratch());
    let run = || conv2d::grad_weight_pooled(cx, sizes, &saved, &largest, input, weight, &mut scratch);
    format!("{:6.1}", gflop / seconds(run))
}

fn linear(isa: Isa, in_features: usize, out_features: usize) {
    let cx = Context { count: LANES, ..Context::whole(isa, 0) };
    let sizes = linear::Sizes { vectors: 1, in_features, out_features, transposed: false };
    let back = linear::Sizes { in_features: out_features, out_features: in_features, transposed: true, ..sizes };
    let grad = linear::GradSizes { vectors: 1, rows: out_features, columns: in_features };
    let (mut input, mut weight, mut output) =
        (ramp(in_features * LANES), ramp(in_features * out_features), ramp(out_features * LANES));
    let gflop = (2 * in_features * out_features * LANES) as f64 * 1e-9;
    let mut kept = ramp(sizes.packed().unwrap_or(0));
    let prepared = Context { prepared: true, ..cx };
    let rates = [
        seconds(|| linear::forward(&cx, &sizes, &input, &weight, &mut output)),
        seconds(|| linear::forward(&cx, &back, &output, &weight, &mut input)),
        seconds(|| linear::grad_weight(&cx, &grad, &output, &input, &mut weight)),
    ]
    .map(|seconds| gflop / seconds);
    let packed = sizes.packed().map_or("    no".to_owned(), |_| {
        let run = || linear::forward_packed(&prepared, &sizes, &input, &weight, &mut output, &mut kept);
        format!("{:6.1}", gflop / seconds(run))
    });
    println!(
        "{:>9} linear {in_features} -> {out_features}: forward {:6.1}, packed {packed}, grad_input {:6.1}, grad_weight {:6.1} GFLOP/s",
        isa.name(),
        rates[0],
        rates[1],
        rates[2],
    );
}

fn main() {
    for isa in Isa::available() {
        conv(isa, [1, 6], 5, 0, 28);
        conv(isa, [6, 12], 5, 0, 12);
        conv(isa, [3, 16], 3, 1, 32);
        conv(isa, [16, 16], 3, 1, 32);
        conv(isa, [32, 32], 3, 1, 16);
        conv(isa, [64, 64], 3, 1, 8);
        conv(isa, [32, 64], 5, 2, 16);
        conv(isa, [16, 32], 1, 0, 16);
        linear(isa, 192, 120);
        linear(isa, 120, 60);
        linear(isa, 784, 512);
    }
}

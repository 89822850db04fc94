//! What the compiler would emit for a small network, written by hand: a straight line through points.
//!
//! ```text
//! loss(x, targets, labels) = (Σ (fc(x) + noise − target)² / N, how many labels are 3)
//! ```
//!
//! The noise follows from the seed of the step, as a dropout mask does. One gradient goes to its place directly, the other
//! through a value and an operation on complete tensors, so that both ways are tested.

use graven::__private::kernels::rng;
use graven::__private::*;
use graven::{Dtype, Gradients, Linear, Model, Module, Optimizer, Result, Tensor};

pub struct Line {
    pub fc: Linear,
}

impl Structure for Line {
    fn build(builder: &mut Builder<'_>) -> Self {
        Self { fc: Structure::build(builder) }
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        self.fc.visit(visitor);
    }

    fn visit_mut<'a>(&'a mut self, visitor: &mut dyn VisitorMut<'a>) {
        self.fc.visit_mut(visitor);
    }
}

impl Module for Line {}

impl Model for Line {
    const SUMMARY: &'static SummaryPlan = &SummaryPlan::EMPTY;

    fn plan() -> &'static ModulePlan {
        &LINE
    }
}

const fn parameter(name: &'static str, dims: &'static [usize], offset: usize) -> ParameterPlan {
    ParameterPlan { name, dims, offset, bound: 1.0, trained: true }
}

const fn layer(name: &'static str) -> LayerPlan {
    LayerPlan { name, description: "Linear(in_features=1, out_features=1, bias=True)", parameters: 2 }
}

pub static LINE: ModulePlan = ModulePlan {
    name: "Line",
    modules: &[],
    layers: &[layer("fc")],
    parameters: &[parameter("fc.weight", &[1, 1], 0), parameter("fc.bias", &[1], 16)],
    length: 32,
};

const N: Size = Size { factor: 1, symbols: &[0] };
const ONE: Size = Size { factor: 1, symbols: &[] };

static FORWARD: Plan = Plan {
    function: "Line::forward",
    symbols: &["N"],
    inputs: &[InputPlan { name: "x", dtype: Dtype::F32, dims: &[N, ONE], classes: None }],
    outputs: &[OutputPlan { dtype: Dtype::F32, dims: &[N, ONE], copied_from: None }],
    values: &[],
    stages: &[Stage {
        whole: &[],
        loops: &[LoopPlan {
            extent: N,
            tiles_per_chunk: 1,
            reads: &[Place::Input(0)],
            int_reads: &[],
            writes: &[Place::Output(0)],
            int_writes: &[],
            sums: 0,
            int_sums: 0,
            results: &[],
            int_results: &[],
            tile: TilePlan { samples: 16, floats: 32, ints: 0, steps: &[forward_tile] },
            one: Some(TilePlan { samples: 1, floats: 16, ints: 0, steps: &[forward_one] }),
            few: 4,
        }],
    }],
    gradients: &[],
    parameters: 32,
    trained: &[],
    cuda: Some(&FORWARD_CUDA),
};

static FORWARD_CUDA: CudaPlan = CudaPlan {
    kernels: &[CudaKernel { name: "fc_forward", source: &[FC_FORWARD] }],
    groups: &[],
    values: &[],
    launches: &[CudaLaunch {
        kernel: 0,
        work: N,
        per_block: 32,
        chunks: 1,
        threads: 32,
        arguments: &[
            CudaArgument::Parameter(0),
            CudaArgument::Parameter(16),
            CudaArgument::Input(0),
            CudaArgument::Output(0),
            CudaArgument::Symbol(0),
        ],
    }],
    extents: &[],
};

const FC_FORWARD: &str = r#"
extern "C" __global__ void fc_forward(const float* weight, const float* bias, const float* x, float* y, long long N) {
    const long long n = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (n < N) y[n] = weight[0] * x[n] + bias[0];
}
"#;

fn forward_tile(tile: &mut Tile<'_>) {
    tile.load_samples(0, 0..16, 1);
    let [x, y] = disjoint(tile.floats, [0..16, 16..32]);
    y.iter_mut().zip(x).for_each(|(y, x)| *y = tile.parameters[0] * *x + tile.parameters[16]);
    tile.store_samples(16..32, 0, 1);
}

fn forward_one(tile: &mut Tile<'_>) {
    tile.floats[0] = tile.parameters[0] * sample(tile.reads[0], &tile.cx, 1)[0] + tile.parameters[16];
    tile.store_rows(0..1, 0, 1);
}

static LOSS: Plan = Plan {
    function: "Line::loss",
    symbols: &["N"],
    inputs: &[
        InputPlan { name: "x", dtype: Dtype::F32, dims: &[N, ONE], classes: None },
        InputPlan { name: "targets", dtype: Dtype::F32, dims: &[N, ONE], classes: None },
        InputPlan { name: "labels", dtype: Dtype::I64, dims: &[N], classes: Some(10) },
    ],
    outputs: &[
        OutputPlan { dtype: Dtype::F32, dims: &[], copied_from: Some(0) },
        OutputPlan { dtype: Dtype::I64, dims: &[], copied_from: Some(1) },
    ],
    values: &[
        ValuePlan { dtype: Dtype::F32, size: ONE },
        ValuePlan { dtype: Dtype::I64, size: ONE },
        ValuePlan { dtype: Dtype::F32, size: ONE },
        ValuePlan { dtype: Dtype::F32, size: ONE },
    ],
    stages: &[
        Stage {
            whole: &[],
            loops: &[LoopPlan {
                extent: N,
                tiles_per_chunk: 1,
                reads: &[Place::Input(0), Place::Input(1)],
                int_reads: &[Place::Input(2)],
                writes: &[],
                int_writes: &[],
                sums: 33,
                int_sums: 1,
                results: &[
                    SumPlan { from: 0..1, to: SumTarget::Value(0) },
                    SumPlan { from: 16..17, to: SumTarget::Gradient(0) },
                    SumPlan { from: 32..33, to: SumTarget::Value(2) },
                ],
                int_results: &[SumPlan { from: 0..1, to: SumTarget::Value(1) }],
                tile: TilePlan { samples: 16, floats: 48, ints: 16, steps: &[load_tile, loss_tile] },
                one: None,
                few: 0,
            }],
        },
        Stage { whole: &[copy_gradient], loops: &[] },
    ],
    gradients: &[(3, 16)],
    parameters: 32,
    trained: &[0..1, 16..17],
    cuda: Some(&LOSS_CUDA),
};

/// Each block adds up 32 samples, one block adds up the blocks.
static LOSS_CUDA: CudaPlan = CudaPlan {
    kernels: &[
        CudaKernel { name: "fc_loss", source: &[RANDOM, FC_LOSS] },
        CudaKernel { name: "fc_loss_sum", source: &[FC_LOSS_SUM] },
    ],
    groups: &[(Dtype::F32, Size { factor: 3, symbols: &[0] }), (Dtype::I64, N)],
    values: &[
        CudaValue { group: 0, offset: 0 },
        CudaValue { group: 0, offset: 1 },
        CudaValue { group: 0, offset: 2 },
        CudaValue { group: 1, offset: 0 },
    ],
    launches: &[
        CudaLaunch {
            kernel: 0,
            work: N,
            per_block: 32,
            chunks: 1,
            threads: 32,
            arguments: &[
                CudaArgument::Parameter(0),
                CudaArgument::Parameter(16),
                CudaArgument::Input(0),
                CudaArgument::Input(1),
                CudaArgument::Input(2),
                CudaArgument::Seed,
                CudaArgument::Value(0),
                CudaArgument::Value(1),
                CudaArgument::Value(2),
                CudaArgument::Value(3),
                CudaArgument::Symbol(0),
            ],
        },
        CudaLaunch {
            kernel: 1,
            work: ONE,
            per_block: 1,
            chunks: 1,
            threads: 32,
            arguments: &[
                CudaArgument::Value(0),
                CudaArgument::Value(1),
                CudaArgument::Value(2),
                CudaArgument::Value(3),
                CudaArgument::Output(0),
                CudaArgument::Gradient(0),
                CudaArgument::Gradient(16),
                CudaArgument::Output(1),
                CudaArgument::Symbol(0),
            ],
        },
    ],
    extents: &[],
};

const RANDOM: &str = r#"
__device__ __forceinline__ unsigned long long mix(unsigned long long word) {
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9ull;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBull;
    return word ^ (word >> 31);
}

// As `rng::uniform` with the stream 0.
__device__ __forceinline__ float uniform(unsigned long long seed, unsigned long long index) {
    const unsigned long long golden = 0x9E3779B97F4A7C15ull;
    return (float)(mix(mix(seed ^ mix(golden)) + index * golden) >> 40) * (1.0f / 16777216.0f);
}
"#;

const FC_LOSS: &str = r#"
extern "C" __global__ void fc_loss(
    const float* weight, const float* bias, const float* x, const float* targets, const long long* labels,
    const unsigned long long* seed, float* losses, float* weight_sums, float* bias_sums, long long* counts, long long N) {
    const long long n = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    float loss = 0.0f, weight_sum = 0.0f, bias_sum = 0.0f;
    int count = 0;
    if (n < N) {
        const float difference = weight[0] * x[n] + bias[0] + 0.1f * uniform(*seed, n) - targets[n];
        loss = difference * difference / N;
        weight_sum = 2.0f * difference * x[n] / N;
        bias_sum = 2.0f * difference / N;
        count = labels[n] == 3;
    }
    for (int lanes = 16; lanes > 0; lanes /= 2) {
        loss += __shfl_xor_sync(0xffffffffu, loss, lanes);
        weight_sum += __shfl_xor_sync(0xffffffffu, weight_sum, lanes);
        bias_sum += __shfl_xor_sync(0xffffffffu, bias_sum, lanes);
        count += __shfl_xor_sync(0xffffffffu, count, lanes);
    }
    if (threadIdx.x == 0) {
        losses[blockIdx.x] = loss;
        weight_sums[blockIdx.x] = weight_sum;
        bias_sums[blockIdx.x] = bias_sum;
        counts[blockIdx.x] = count;
    }
}
"#;

const FC_LOSS_SUM: &str = r#"
// Gradients are added, as several kernels may do it: they were zero.
extern "C" __global__ void fc_loss_sum(
    const float* losses, const float* weight_sums, const float* bias_sums, const long long* counts,
    float* loss, float* grad_weight, float* grad_bias, long long* count, long long N) {
    if (threadIdx.x != 0) return;
    *loss = 0.0f;
    *count = 0;
    for (long long block = 0; block < (N + 31) / 32; ++block) {
        *loss += losses[block];
        *grad_weight += weight_sums[block];
        *grad_bias += bias_sums[block];
        *count += counts[block];
    }
}
"#;

fn load_tile(tile: &mut Tile<'_>) {
    tile.load_samples(0, 0..16, 1);
    tile.load_rows(1, 16..32, 1);
    tile.load_int_samples(0, 0..16, 1);
}

fn loss_tile(tile: &mut Tile<'_>) {
    let n = tile.symbols[0] as f32;
    if !tile.cx.adds {
        tile.sums.fill(0.0);
        tile.int_sums.fill(0);
    }
    for lane in 0..tile.cx.count {
        let (x, target) = (tile.floats[lane], tile.floats[16 + lane]);
        let noise = 0.1 * rng::uniform(tile.cx.seed, 0, (tile.cx.first + lane) as u64);
        let difference = tile.parameters[0] * x + tile.parameters[16] + noise - target;
        tile.sums[0] += difference * difference / n;
        tile.sums[16] += 2.0 * difference * x / n;
        tile.sums[32] += 2.0 * difference / n;
        tile.int_sums[0] += i64::from(tile.ints[lane] == 3);
    }
}

fn copy_gradient(whole: &mut Whole<'_>) {
    let [from, to] = disjoint(whole.floats, [whole.slots[2].clone(), whole.slots[3].clone()]);
    to.copy_from_slice(from);
}

impl Line {
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut y = Tensor::empty();
        self.forward_into(x, &mut y)?;
        Ok(y)
    }

    pub fn forward_into(&self, x: &Tensor, y: &mut Tensor) -> Result<()> {
        run(&FORWARD, bind(self, &LINE, &FORWARD)?, &[Argument::from(x)], &mut [Slot::from(y)])
    }

    pub fn loss_grad_into(
        &self,
        x: &Tensor,
        targets: &Tensor,
        labels: &Tensor<i64>,
        gradients: &mut Gradients,
    ) -> Result<(Tensor, Tensor<i64>)> {
        let inputs = [Argument::from(x), Argument::from(targets), Argument::from(labels)];
        let mut outputs = (Tensor::empty(), Tensor::empty());
        let slots = &mut [Slot::from(&mut outputs.0), Slot::from(&mut outputs.1)];
        run_grad(&LOSS, bind(self, &LINE, &LOSS)?, &inputs, slots, gradients)?;
        Ok(outputs)
    }

    pub fn loss_step(
        &mut self,
        x: &Tensor,
        targets: &Tensor,
        labels: &Tensor<i64>,
        optimizer: &mut impl Optimizer,
    ) -> Result<(Tensor, Tensor<i64>)> {
        let inputs = [Argument::from(x), Argument::from(targets), Argument::from(labels)];
        let mut outputs = (Tensor::empty(), Tensor::empty());
        let slots = &mut [Slot::from(&mut outputs.0), Slot::from(&mut outputs.1)];
        run_step(&LOSS, bind_mut(self, &LINE, &LOSS)?, &inputs, slots, optimizer)?;
        Ok(outputs)
    }
}

/// A network of two lines.
pub struct Pair {
    pub lines: [Line; 2],
}

impl Structure for Pair {
    fn build(builder: &mut Builder<'_>) -> Self {
        Self { lines: Structure::build(builder) }
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        self.lines.visit(visitor);
    }

    fn visit_mut<'a>(&'a mut self, visitor: &mut dyn VisitorMut<'a>) {
        self.lines.visit_mut(visitor);
    }
}

impl Module for Pair {}

impl Model for Pair {
    const SUMMARY: &'static SummaryPlan = &SummaryPlan::EMPTY;

    fn plan() -> &'static ModulePlan {
        &PAIR
    }
}

static PAIR: ModulePlan = ModulePlan {
    name: "Pair",
    modules: &[],
    layers: &[layer("lines.0.fc"), layer("lines.1.fc")],
    parameters: &[
        parameter("lines.0.fc.weight", &[1, 1], 0),
        parameter("lines.0.fc.bias", &[1], 16),
        parameter("lines.1.fc.weight", &[1, 1], 32),
        parameter("lines.1.fc.bias", &[1], 48),
    ],
    length: 64,
};

/// A function without a module, y = 2·x, that a breadth-first loop computes through a value.
pub fn double(x: &Tensor) -> Result<Tensor> {
    static WORKSPACES: Workspaces = Workspaces::new();
    let mut y = Tensor::empty();
    run(&DOUBLE, Bound::function(&WORKSPACES), &[Argument::from(x)], &mut [Slot::from(&mut y)])?;
    Ok(y)
}

static DOUBLE: Plan = Plan {
    function: "double",
    symbols: &["N"],
    inputs: &[InputPlan { name: "x", dtype: Dtype::F32, dims: &[N], classes: None }],
    outputs: &[OutputPlan { dtype: Dtype::F32, dims: &[N], copied_from: Some(0) }],
    values: &[ValuePlan { dtype: Dtype::F32, size: N }],
    stages: &[Stage {
        whole: &[],
        loops: &[LoopPlan {
            extent: N,
            tiles_per_chunk: 1,
            reads: &[Place::Input(0)],
            int_reads: &[],
            writes: &[Place::Value(0)],
            int_writes: &[],
            sums: 0,
            int_sums: 0,
            results: &[],
            int_results: &[],
            tile: TilePlan { samples: 16, floats: 16, ints: 0, steps: &[double_tile] },
            one: None,
            few: 0,
        }],
    }],
    gradients: &[],
    parameters: 0,
    trained: &[],
    cuda: Some(&DOUBLE_CUDA),
};

static DOUBLE_CUDA: CudaPlan = CudaPlan {
    kernels: &[CudaKernel { name: "double_all", source: &[DOUBLE_ALL] }],
    groups: &[],
    values: &[],
    launches: &[CudaLaunch {
        kernel: 0,
        work: N,
        per_block: 64,
        chunks: 1,
        threads: 64,
        arguments: &[CudaArgument::Input(0), CudaArgument::Output(0), CudaArgument::Symbol(0)],
    }],
    extents: &[],
};

const DOUBLE_ALL: &str = r#"
extern "C" __global__ void double_all(const float* x, float* y, long long N) {
    const long long n = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (n < N) y[n] = 2.0f * x[n];
}
"#;

fn double_tile(tile: &mut Tile<'_>) {
    tile.load_rows(0, 0..16, 1);
    tile.floats.iter_mut().for_each(|x| *x *= 2.0);
    tile.store_rows(0..16, 0, 1);
}

/// A batch of n points near a line, with labels that are 3 for every fifth.
pub fn points(n: usize) -> (Tensor, Tensor, Tensor<i64>) {
    let number = |stream: u64| move |index: usize| rng::uniform(1, stream, index as u64);
    let x = Tensor::from_fn([n, 1], number(0)).unwrap();
    let targets = Tensor::from_fn([n, 1], |index| 3.0 * number(0)(index) + 1.0 + 0.1 * number(1)(index)).unwrap();
    let labels = Tensor::from_fn([n], |index| if index % 5 == 0 { 3 } else { 4 }).unwrap();
    (x, targets, labels)
}

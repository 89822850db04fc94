//! One call of a function on a device.
//!
//! A call copies its arguments into pinned memory and from there, on a stream of its own, to a place of the device that does
//! not depend on the tensors given. So every address in a call is fixed, and from the second call with the same sizes on, the
//! launches are replayed as one graph. There are two such places, taken in turns: while one call runs, the arguments of the
//! next are copied. What changes from call to call (the seed, the settings of the optimizer) is copied with the arguments.
//!
//! Results are written to a fixed place too, and copied from there to a block that the tensors share. All blocks are used
//! again, so after the first calls nothing is allocated.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use cudarc::driver::sys::{CUdeviceptr, CUgraphInstantiate_flags, CUstreamCaptureMode};
use cudarc::driver::{CudaEvent, CudaGraph, DriverError, result};

use super::driver::{ALIGN, Block, Function, Gpu, Grid, Pinned, Queue, lock};
use super::optimizer::Update;
use super::remote::Remote;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::optim::{NUMBERS, Rule};
use crate::plan::{CudaArgument, CudaKernel, CudaLaunch, CudaPlan, Plan, Size};
use crate::structure::Bound;
use crate::tensor::{Dtype, MAX_RANK, Shape};
use crate::values::Values;
use crate::workspace::{Argument, Slot};

/// Calls, told apart by function, optimizer and sizes, whose layouts and graphs are kept. A graph takes some KB.
const MOST_CALLS: usize = 64;

/// Where the settings of the optimizer lie behind the seed, in bytes.
const SETTINGS: usize = 64;

/// What a function works in on devices: one engine for each that it has run on.
pub(crate) struct Engines(Mutex<Vec<Engine>>);

impl Engines {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The bytes that the calls work in, on the devices.
    pub(crate) fn bytes(&self) -> usize {
        lock(&self.0).iter().map(Engine::bytes).sum()
    }

    fn with<T>(&self, gpu: &'static Gpu, call: impl FnOnce(&mut Engine) -> Result<T>) -> Result<T> {
        let mut engines = lock(&self.0);
        let index = engines.iter().position(|engine| engine.gpu == gpu).unwrap_or_else(|| {
            engines.push(Engine::new(gpu));
            engines.len() - 1
        });
        call(&mut engines[index])
    }
}

/// A function with checked arguments.
pub(crate) struct Task<'a> {
    pub(crate) plan: &'static Plan,
    pub(crate) bound: Bound<'a>,
    pub(crate) symbols: &'a [usize],
    pub(crate) inputs: &'a [Argument<'a>],
}

/// Runs a function in eval mode.
///
/// Errors: a kernel does not compile; the device has no room left; its driver fails.
pub(crate) fn evaluate(gpu: &'static Gpu, task: &Task<'_>, outputs: &mut [Slot<'_>]) -> Result<()> {
    task.bound.workspaces.engines.with(gpu, |engine| engine.run(task, Mode::Evaluate, outputs))
}

/// Runs a function in train mode; the gradients move to the device.
///
/// Errors: as for [`evaluate`].
pub(crate) fn differentiate(
    gpu: &'static Gpu,
    task: &Task<'_>,
    outputs: &mut [Slot<'_>],
    gradients: &mut Values,
) -> Result<()> {
    let to = gradients.on_mut(gpu, task.plan.parameters)?.pointer_mut()?;
    task.bound.workspaces.engines.with(gpu, |engine| engine.run(task, Mode::Differentiate(to), outputs))
}

/// Runs a function in train mode, and moves the parameters by their gradients. The optimizer was
/// [prepared](Rule::prepare); what it keeps moves to the device.
///
/// Errors: as for [`evaluate`].
pub(crate) fn step(gpu: &'static Gpu, task: &Task<'_>, outputs: &mut [Slot<'_>], rule: &mut dyn Rule) -> Result<()> {
    Update::with(gpu, rule, task.plan.parameters, |update| {
        task.bound.workspaces.engines.with(gpu, |engine| engine.run(task, Mode::Step(update), outputs))
    })
}

/// What a call is for.
#[derive(Clone, Copy)]
enum Mode<'a> {
    Evaluate,
    /// The gradients are copied to this place.
    Differentiate(CUdeviceptr),
    Step(&'a Update),
}

impl Mode<'_> {
    fn update(&self) -> Option<&Update> {
        if let Self::Step(update) = self { Some(update) } else { None }
    }

    fn trains(&self) -> bool {
        !matches!(self, Self::Evaluate)
    }
}

/// What one network, or one function without a network, works in on one device. All of it only grows.
struct Engine {
    gpu: &'static Gpu,
    workspace: Option<Arc<Block>>,
    gradients: Option<Arc<Block>>,
    results: Option<Arc<Block>>,
    /// Used in turns.
    staging: [Option<Staging>; 2],
    turn: usize,
    calls: Vec<Call>,
    /// Counts calls, to know which was used last.
    clock: u64,
}

/// Where the arguments of a call go.
struct Staging {
    device: Arc<Block>,
    host: Pinned,
    /// The copy from `host` has ended.
    copied: CudaEvent,
    /// The call has ended that reads `device`.
    consumed: CudaEvent,
}

/// A function with one optimizer or none, and sizes.
struct Call {
    plan: &'static Plan,
    /// Where the module starts in the network's parameters.
    base: usize,
    /// The kernel of the optimizer.
    update: Option<&'static str>,
    trains: bool,
    symbols: Vec<usize>,

    cuda: &'static CudaPlan,
    functions: Vec<Function>,
    update_function: Option<Function>,
    layout: Layout,
    /// One for each place of the arguments, with the addresses that are frozen in it.
    graphs: [Option<(Addresses, Graph)>; 2],
    runs: u64,
    last_used: u64,
}

/// Where everything lies, in bytes from the start of its buffer.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    /// In the staging buffer, behind the seed and the settings.
    inputs: Vec<Range<usize>>,
    staging: usize,
    outputs: Vec<Range<usize>>,
    results: usize,
    values: Vec<usize>,
    workspace: usize,
}

/// The buffers of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Addresses {
    parameters: CUdeviceptr,
    gradients: CUdeviceptr,
    workspace: CUdeviceptr,
    results: CUdeviceptr,
    staging: CUdeviceptr,
    /// What the optimizer keeps.
    state: [CUdeviceptr; 2],
}

struct Graph(CudaGraph);

// SAFETY: the driver lets every thread use a graph, one at a time; it is used with the lock of its engine held.
unsafe impl Send for Graph {}

impl Layout {
    fn new(plan: &Plan, cuda: &CudaPlan, symbols: &[usize]) -> Self {
        let mut staging = ALIGN;
        let inputs = plan.inputs.iter().map(|input| place(&mut staging, bytes(input.dtype, input.dims, symbols)));
        let inputs = inputs.collect();
        let mut results = 0;
        let outputs = plan.outputs.iter().map(|output| place(&mut results, bytes(output.dtype, output.dims, symbols)));
        let outputs = outputs.collect();
        let mut workspace = 0;
        let groups = cuda.groups.iter();
        let groups: Vec<Range<usize>> = groups
            .map(|(dtype, size)| place(&mut workspace, bytes(*dtype, std::slice::from_ref(size), symbols)))
            .collect();
        let value = |value: &crate::plan::CudaValue| {
            let (dtype, size) = &cuda.groups[value.group];
            let step: usize = size.symbols.iter().map(|&symbol| symbols[symbol]).product();
            groups[value.group].start + value.offset * step * width(*dtype)
        };
        let values = cuda.values.iter().map(value).collect();
        Self { inputs, staging, outputs, results, values, workspace }
    }
}

/// The next so many bytes of a buffer.
fn place(end: &mut usize, bytes: usize) -> Range<usize> {
    let start = *end;
    *end += bytes.next_multiple_of(ALIGN);
    start..start + bytes
}

fn bytes(dtype: Dtype, dims: &[Size], symbols: &[usize]) -> usize {
    dims.iter().map(|size| size.value(symbols)).product::<usize>() * width(dtype)
}

fn width(dtype: Dtype) -> usize {
    match dtype {
        Dtype::F32 => size_of::<f32>(),
        Dtype::I64 => size_of::<i64>(),
    }
}

impl Engine {
    fn new(gpu: &'static Gpu) -> Self {
        Self {
            gpu,
            workspace: None,
            gradients: None,
            results: None,
            staging: [None, None],
            turn: 0,
            calls: Vec::new(),
            clock: 0,
        }
    }

    fn bytes(&self) -> usize {
        let staging = self.staging.iter().flatten().map(|staging| staging.device.bytes());
        let others = [&self.workspace, &self.gradients, &self.results].into_iter().flatten().map(|block| block.bytes());
        staging.chain(others).sum()
    }

    fn run(&mut self, task: &Task<'_>, mode: Mode<'_>, outputs: &mut [Slot<'_>]) -> Result<()> {
        let (gpu, plan) = (self.gpu, task.plan);
        // Whatever may fail for want of memory or of a kernel comes first; nothing has changed until then.
        let index = self.find(task, mode)?;
        let turn = self.turn;
        let addresses = self.reserve(index, turn, task, mode)?;
        let layout = &self.calls[index].layout;
        let block = gpu.allocate(layout.results, || format!("the results of {}", plan.function))?;
        task.bound.send_parameters()?;

        let staging = self.staging[turn].as_mut().expect("the call reserved it");
        let seed = if mode.trains() { task.bound.home.map_or(0, |home| home.next_seed()) } else { 0 };
        staging.fill(gpu, layout, seed, mode.update(), task.inputs)?;
        let arena = task.bound.home.and_then(Home::on_device);
        if let (Mode::Step(_), Some(arena)) = (mode, arena) {
            // Said before it happens: until then the values are equal, so it is never wrong.
            arena.device_writes(&task.bound.range());
        }

        let queue = gpu.queue()?;
        staging.send(gpu, &queue, layout, task.inputs)?;
        self.calls[index].start(gpu, &queue, turn, &addresses, mode.update())?;
        let layout = &self.calls[index].layout;
        // SAFETY: both are as large as the layout says, and the block is new.
        unsafe { gpu.copy(&queue, addresses.results, block.pointer(), layout.results.max(1)) }?;
        if let Mode::Differentiate(to) = mode {
            // SAFETY: both are as long as the layout of the parameters.
            unsafe { gpu.copy(&queue, addresses.gradients, to, plan.parameters * size_of::<f32>()) }?;
        }
        let staging = self.staging[turn].as_ref().expect("the call reserved it");
        staging.consumed.record(&queue.stream).map_err(gpu.failed("record the end of a call"))?;
        drop(queue);
        self.turn = 1 - turn;
        set_outputs(plan, task.symbols, layout, &block, outputs);
        Ok(())
    }

    /// The call of this kind, made if it is new.
    fn find(&mut self, task: &Task<'_>, mode: Mode<'_>) -> Result<usize> {
        let update = mode.update().map(|update| update.kernel.name);
        let is_it = |call: &Call| {
            std::ptr::eq(call.plan, task.plan)
                && (call.base, call.update, call.trains) == (task.bound.base, update, mode.trains())
                && call.symbols == task.symbols
        };
        self.clock += 1;
        if let Some(index) = self.calls.iter().position(is_it) {
            self.calls[index].last_used = self.clock;
            return Ok(index);
        }
        let call = Call::new(self.gpu, task, mode, self.clock)?;
        if self.calls.len() < MOST_CALLS {
            self.calls.push(call);
            return Ok(self.calls.len() - 1);
        }
        // The graph that is dropped may still run.
        self.gpu.synchronize()?;
        let oldest = (0..self.calls.len()).min_by_key(|&index| self.calls[index].last_used).unwrap_or(0);
        self.calls[oldest] = call;
        Ok(oldest)
    }

    /// Makes the buffers large enough.
    fn reserve(&mut self, index: usize, turn: usize, task: &Task<'_>, mode: Mode<'_>) -> Result<Addresses> {
        let (gpu, plan, layout) = (self.gpu, task.plan, &self.calls[index].layout);
        let of = |what: &'static str| move || format!("the {what} of {}", plan.function);
        let workspace = grow(gpu, &mut self.workspace, layout.workspace, of("workspace"))?;
        let results = grow(gpu, &mut self.results, layout.results, of("results"))?;
        let gradients = match mode.trains() {
            true => grow(gpu, &mut self.gradients, plan.parameters * size_of::<f32>(), of("gradients"))?,
            false => 0,
        };
        if self.staging[turn].as_ref().is_none_or(|staging| staging.device.bytes() < layout.staging) {
            if let Some(old) = self.staging[turn].take() {
                gpu.synchronize()?;
                gpu.recycle(old.device);
            }
            self.staging[turn] = Some(Staging::new(gpu, layout.staging, of("arguments"))?);
        }
        let staging = self.staging[turn].as_ref().expect("it was just made").device.pointer();
        let parameters = task.bound.home.and_then(Home::on_device).map_or(0, |arena| arena.pointer(task.bound.base));
        let state = mode.update().map_or([0; 2], |update| update.state);
        Ok(Addresses { parameters, gradients, workspace, results, staging, state })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Graphs and pinned memory must not go while the device uses them. An error was reported to the call that it is of.
        let _ = self.gpu.synchronize();
    }
}

/// Makes a buffer large enough. What it holds is left open.
fn grow(
    gpu: &'static Gpu,
    buffer: &mut Option<Arc<Block>>,
    bytes: usize,
    what: impl FnOnce() -> String,
) -> Result<CUdeviceptr> {
    if let Some(block) = buffer.as_ref().filter(|block| block.bytes() >= bytes) {
        return Ok(block.pointer());
    }
    if let Some(old) = buffer.take() {
        // Back to the driver, since nothing else will want a block of this size.
        gpu.recycle(old);
        gpu.trim()?;
    }
    Ok(buffer.insert(gpu.allocate(bytes, what)?).pointer())
}

impl Staging {
    fn new(gpu: &'static Gpu, bytes: usize, what: impl FnOnce() -> String) -> Result<Self> {
        let context = gpu.context();
        let device = gpu.allocate(bytes, what)?;
        let host = Pinned::new(gpu, device.bytes())?;
        let event = || context.new_event(None).map_err(gpu.failed("make an event"));
        Ok(Self { device, host, copied: event()?, consumed: event()? })
    }

    /// Copies what comes from the host to pinned memory, when the device has read what was there.
    fn fill(
        &mut self,
        gpu: &'static Gpu,
        layout: &Layout,
        seed: u64,
        update: Option<&Update>,
        inputs: &[Argument<'_>],
    ) -> Result<()> {
        self.copied.synchronize().map_err(gpu.failed("copy the arguments of an earlier call"))?;
        let host = &mut self.host;
        host[..size_of::<u64>()].copy_from_slice(&seed.to_ne_bytes());
        let numbers = update.map_or([0.0; NUMBERS], |update| update.numbers);
        host[SETTINGS..][..size_of_val(&numbers)].copy_from_slice(as_bytes(&numbers));
        for (input, place) in inputs.iter().zip(&layout.inputs) {
            match input {
                Argument::F32(tensor) if tensor.remote().is_none() => {
                    host[place.clone()].copy_from_slice(as_bytes(tensor.as_slice()));
                }
                Argument::I64(tensor) if tensor.remote().is_none() => {
                    host[place.clone()].copy_from_slice(as_bytes(tensor.as_slice()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Submits the copies: from pinned memory beside the calls that run, from other tensors of the device in order.
    fn send(&self, gpu: &'static Gpu, queue: &Queue, layout: &Layout, inputs: &[Argument<'_>]) -> Result<()> {
        let failed = || gpu.failed("copy the arguments");
        queue.uploads.wait(&self.consumed).map_err(failed())?;
        let upload = |range: Range<usize>| {
            let (from, to) = (&self.host[range.clone()], self.device.pointer() + range.start as CUdeviceptr);
            // SAFETY: pinned and device memory are equally large; `fill` waits for `copied` before it writes there again,
            // and the engine waits for the device before it drops either.
            unsafe { result::memcpy_htod_async(to, from, queue.uploads.cu_stream()) }.map_err(failed())
        };
        // What comes from the host lies in runs, the seed at the start of the first.
        let mut start = 0;
        for (input, place) in inputs.iter().zip(&layout.inputs) {
            if input.device_pointer().is_some() {
                upload(start..place.start)?;
                start = place.end.next_multiple_of(ALIGN);
            }
        }
        if start < layout.staging {
            upload(start..layout.staging)?;
        }
        self.copied.record(&queue.uploads).map_err(failed())?;
        queue.stream.wait(&self.copied).map_err(failed())?;
        for (input, place) in inputs.iter().zip(&layout.inputs) {
            if let Some(from) = input.device_pointer() {
                let to = self.device.pointer() + place.start as CUdeviceptr;
                // SAFETY: the tensor has the shape that the layout is made for.
                unsafe { gpu.copy(queue, from, to, place.len()) }?;
            }
        }
        Ok(())
    }
}

impl Argument<'_> {
    /// Where it lies on a device; `None` for a tensor in host memory.
    fn device_pointer(&self) -> Option<CUdeviceptr> {
        match self {
            Self::F32(tensor) => tensor.remote().map(Remote::pointer),
            Self::I64(tensor) => tensor.remote().map(Remote::pointer),
        }
    }
}

impl Call {
    fn new(gpu: &'static Gpu, task: &Task<'_>, mode: Mode<'_>, clock: u64) -> Result<Self> {
        let plan = task.plan;
        let Some(cuda) = plan.cuda else {
            return Err(Error::NoDevice {
                device: gpu.device().to_string(),
                what: format!("`{}` was compiled for the CPU only", plan.function),
                help: "the macros were built without the feature `cuda` of graven".into(),
            });
        };
        let update = mode.update().map(|update| update.kernel);
        let kernels: Vec<&CudaKernel> = cuda.kernels.iter().chain(update).collect();
        let mut functions = gpu.load(plan.function, &kernels, cuda.is_wide(task.symbols))?;
        Ok(Self {
            plan,
            base: task.bound.base,
            update: update.map(|kernel| kernel.name),
            trains: mode.trains(),
            symbols: task.symbols.to_vec(),
            cuda,
            update_function: update.and_then(|_| functions.pop()),
            functions,
            layout: Layout::new(plan, cuda, task.symbols),
            graphs: [None, None],
            runs: 0,
            last_used: clock,
        })
    }

    /// Submits the work: launch by launch at first, which also makes the driver load every kernel; later as a graph.
    fn start(
        &mut self,
        gpu: &'static Gpu,
        queue: &Queue,
        turn: usize,
        addresses: &Addresses,
        update: Option<&Update>,
    ) -> Result<()> {
        self.runs += 1;
        if self.runs == 1 {
            return self.submit(gpu, queue, addresses, update);
        }
        let function = self.plan.function;
        if let Some((frozen, graph)) = &self.graphs[turn] {
            if frozen == addresses {
                return graph.0.launch().map_err(gpu.failed(format_args!("run {function}")));
            }
            // It may still run.
            queue.stream.synchronize().map_err(gpu.failed(format_args!("run {function}")))?;
            self.graphs[turn] = None;
        }
        let stream = &queue.stream;
        let failed = |error: DriverError| gpu.failed(format_args!("capture {function}"))(error);
        stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).map_err(failed)?;
        let submitted = self.submit(gpu, queue, addresses, update);
        // The capture is ended whatever happened in it: the stream would be of no use otherwise.
        let graph = stream.end_capture(CUgraphInstantiate_flags(0));
        submitted?;
        if let Some(graph) = graph.map_err(failed)? {
            graph.upload().and_then(|()| graph.launch()).map_err(gpu.failed(format_args!("run {function}")))?;
            self.graphs[turn] = Some((*addresses, Graph(graph)));
        }
        Ok(())
    }

    /// All launches, in order.
    fn submit(&self, gpu: &'static Gpu, queue: &Queue, addresses: &Addresses, update: Option<&Update>) -> Result<()> {
        if self.trains && self.plan.parameters > 0 {
            let bytes = self.plan.parameters * size_of::<f32>();
            // SAFETY: the gradients have so many bytes.
            unsafe { result::memset_d8_async(addresses.gradients, 0, bytes, queue.stream.cu_stream()) }
                .map_err(gpu.failed("clear the gradients"))?;
        }
        for launch in self.cuda.launches {
            let kernel = &self.cuda.kernels[launch.kernel];
            let failed = |error: DriverError| gpu.failed(format_args!("launch {}", kernel.name))(error);
            let grid = self.grid(launch)?;
            let mut arguments: Vec<u64> =
                launch.arguments.iter().map(|argument| self.argument(*argument, addresses)).collect();
            // SAFETY: the compiler wrote kernel, grid and arguments for buffers of this layout.
            unsafe { self.functions[launch.kernel].launch(queue, grid, &mut arguments) }.map_err(failed)?;
        }
        if let (Some(function), Some(update)) = (self.update_function, update) {
            let settings = addresses.staging + SETTINGS as CUdeviceptr;
            // SAFETY: parameters, gradients and state have the layout of the plan, whose ranges lie within it.
            unsafe {
                update.launch(
                    gpu,
                    queue,
                    function,
                    addresses.parameters,
                    addresses.gradients,
                    settings,
                    self.plan.trained,
                )
            }?;
        }
        Ok(())
    }

    fn grid(&self, launch: &CudaLaunch) -> Result<Grid> {
        let blocks = launch.work.value(&self.symbols).div_ceil(launch.per_block);
        // The driver takes up to 2³¹ − 1 blocks.
        let Some(blocks) = u32::try_from(blocks).ok().filter(|&blocks| blocks <= i32::MAX as u32) else {
            return Err(Error::TooLarge { dims: self.symbols.clone() });
        };
        Ok(Grid { blocks: (blocks, launch.chunks as u32), threads: launch.threads as u32 })
    }

    fn argument(&self, argument: CudaArgument, addresses: &Addresses) -> u64 {
        let float = size_of::<f32>();
        match argument {
            CudaArgument::Parameter(offset) => addresses.parameters + (float * offset) as u64,
            CudaArgument::Gradient(offset) => addresses.gradients + (float * offset) as u64,
            CudaArgument::Input(index) => addresses.staging + self.layout.inputs[index].start as u64,
            CudaArgument::Output(index) => addresses.results + self.layout.outputs[index].start as u64,
            CudaArgument::Value(index) => addresses.workspace + self.layout.values[index] as u64,
            CudaArgument::Seed => addresses.staging,
            CudaArgument::Symbol(index) => self.symbols[index] as u64,
        }
    }
}

/// Makes the results tensors of the device.
fn set_outputs(plan: &Plan, symbols: &[usize], layout: &Layout, block: &Arc<Block>, outputs: &mut [Slot<'_>]) {
    assert_eq!(outputs.len(), plan.outputs.len(), "compiler bug: `{}` has another number of results", plan.function);
    for ((output, place), slot) in plan.outputs.iter().zip(&layout.outputs).zip(outputs) {
        let mut dims = [0; MAX_RANK];
        dims.iter_mut().zip(output.dims).for_each(|(dim, size)| *dim = size.value(symbols));
        let shape = Shape::known(&dims[..output.dims.len()]);
        let block = Arc::clone(block);
        match slot {
            Slot::F32(tensor) => tensor.set_remote(shape, Remote::new(block, place.start, shape.elements())),
            Slot::I64(tensor) => tensor.set_remote(shape, Remote::new(block, place.start, shape.elements())),
        }
    }
}

/// Numbers as the bytes that they are in memory.
fn as_bytes<T: Copy>(numbers: &[T]) -> &[u8] {
    // SAFETY: f32 and i64 have no padding, and bytes may stand anywhere.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}

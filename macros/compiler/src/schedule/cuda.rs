//! What runs on a CUDA device, and in which order. On the CPU a tile of samples passes through all operations; here each
//! kernel goes over a whole batch, and what a kernel computes is fused by *inlining*: a tensor that is read once is computed
//! where it is read, in registers, and only the others are stored.
//!
//! - Every operation gives its elements by device functions ([`graven_kernels::cuda`]); one that needs helpers (the largest
//!   element of a row, for softmax) is several tensors.
//! - A tensor is *stored* if it is a result, if several read it, or if it would be computed again and again
//!   (`Plan::decide`).
//! - A stored tensor whose first reader reads each of its elements once is computed by the kernel of that reader, which stores
//!   both: a convolution with its activation, and the pooling behind it.
//! - A long sum (a weight gradient, a loss) is cut into chunks, whose partial sums are stored and then added in order. The
//!   number of chunks depends on shapes alone, so the bits of a result do not depend on the device.
//! - Operations on small samples that follow each other become one kernel, in which a block takes one sample through all of
//!   them, in shared memory.
//! - Kernels that nobody waits for (weight gradients) go to the end, where equal ones are launched as one.

use graven_kernels::cuda::{Along, Combine, Part, Source, Terms};
use graven_kernels::dim::{Dim, Dtype, Type};
use graven_kernels::op::{Scalar, Value};
use graven_kernels::pointwise::Formula;

use crate::graph::{Graph, Kind, Target};
use crate::memory::{Life, pack};
use crate::schedule::{Home, Schedule};

/// Threads of a block.
pub const THREADS: usize = 256;

/// The size that stands for every symbol where work is estimated.
const TYPICAL: f64 = 64.0;

/// So many threads, or so many blocks, keep a device busy.
const BUSY_THREADS: usize = 1 << 18;
const BUSY_BLOCKS: usize = 1 << 12;

/// A sum of known length is cut into chunks from so many terms on.
const LONG: usize = 1 << 16;

/// Chunks of a sum at most.
const MAX_CHUNKS: usize = 64;

/// Fewer terms than this are added by one thread.
const MANY_TERMS: usize = 32;

/// Reads of its inputs for one element, up to which a tensor is cheap enough to be computed more than once.
const CHEAP: usize = 2;

/// How often a cheap tensor may be computed.
const MOST_TIMES: f64 = 2.0;

/// Kernels that are launched as one, at most: a kernel has 4 KB of arguments, and one long text takes longer to compile than
/// several.
const MOST_TOGETHER: usize = 16;

/// Elements of a sample of a tensor that a block may take through several operations.
const SMALL_SAMPLE: usize = 1024;

/// Bytes of shared memory of a block: what every device has.
const SHARED_BYTES: usize = 40 << 10;

/// How the elements of a tensor come about.
#[derive(Debug, Clone)]
pub enum How {
    /// It is an argument.
    Input(usize),
    /// It is a parameter: layer, weight.
    Parameter(usize, usize),
    /// It is a number.
    Scalar(Scalar),
    /// It is its input under another shape.
    View,
    /// By a formula on the elements of its inputs, broadcast.
    Formula(Formula),
    /// By a device function.
    Part(Part),
    /// The chunks of the terms of a device function: [chunks, elements].
    Chunks(Part, usize),
    /// The sum over the first axis of its input, which holds so many chunks.
    Total(usize),
}

/// One tensor.
#[derive(Debug, Clone)]
pub struct Tensor {
    /// Its type.
    pub ty: Type,
    /// The user's name for it.
    pub label: String,
    /// How its elements come about.
    pub how: How,
    /// What it reads.
    pub inputs: Vec<usize>,
    /// The samples on its first axis, if each comes from the same sample of what it reads.
    pub samples: Option<Dim>,
}

impl Tensor {
    /// Elements of one sample.
    #[must_use]
    pub fn features(&self) -> Option<usize> {
        self.ty.features().filter(|_| self.samples.is_some() && self.ty.dims.first() == self.samples.as_ref())
    }
}

/// Who computes one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Team {
    /// A thread.
    Thread,
    /// The 32 threads of a warp.
    Warp,
    /// The threads of a block.
    Block,
}

impl Team {
    /// How many elements a block computes.
    #[must_use]
    pub fn per_block(self) -> usize {
        match self {
            Team::Thread => THREADS,
            Team::Warp => THREADS / 32,
            Team::Block => 1,
        }
    }
}

/// Where a stored tensor lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Store {
    /// In the workspace: index in [`Plan::values`].
    Value(usize),
    /// It is the result with this index.
    Output(usize),
    /// It is the gradient of a parameter: layer, weight.
    Gradient(usize, usize),
    /// In the shared memory of the block that takes its sample.
    Shared,
}

/// One launch.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The tensors whose elements it computes, and who computes one: one after the other for `samples`, else side by side.
    pub roots: Vec<(usize, Team)>,
    /// The second axis of the grid.
    pub chunks: usize,
    /// If a block takes a sample through all roots: how many samples there are.
    pub samples: Option<Dim>,
}

/// A tensor of the workspace.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// Its part of the workspace.
    pub group: usize,
    /// Its first element: so many times the symbols of the group.
    pub offset: usize,
}

/// Everything about one function.
#[derive(Debug)]
pub struct Plan {
    /// All tensors; each reads earlier ones.
    pub tensors: Vec<Tensor>,
    /// Where each stored tensor lies; nothing for one that is computed where it is read.
    pub stores: Vec<Vec<Store>>,
    /// For each stored tensor the one whose kernel computes it.
    pub root: Vec<usize>,
    /// For each root the stored tensors that its kernel computes, and what it reads beyond them.
    members: Vec<Vec<usize>>,
    reads: Vec<Vec<usize>>,
    /// Who computes an element of each tensor, with what is inlined into it.
    teams: Vec<Team>,
    /// The launches, in order.
    pub launches: Vec<Launch>,
    /// The workspace: (element type, symbols, so many times their product).
    pub groups: Vec<(Dtype, Dim)>,
    /// The tensors in the workspace.
    pub values: Vec<Slot>,
}

/// Plans a function.
#[must_use]
pub fn cuda(schedule: &Schedule) -> Plan {
    let graph = &schedule.graph;
    let (tensors, values) = Tensors::of(schedule);
    let n = tensors.len();
    let mut plan = Plan {
        tensors,
        stores: vec![Vec::new(); n],
        root: (0..n).collect(),
        members: Vec::new(),
        reads: Vec::new(),
        teams: Vec::new(),
        launches: Vec::new(),
        groups: Vec::new(),
        values: Vec::new(),
    };
    plan.store_results(graph, &values);
    let readers = plan.readers();
    let stored = plan.decide(&readers);
    plan.choose_roots(&readers, &stored);
    plan.note_kernels(&stored);
    plan.launch(&stored);
    plan.choose_stores(&stored);
    plan.place();
    plan
}

/// The tensors of a graph.
#[derive(Default)]
struct Tensors {
    list: Vec<Tensor>,
    /// The parts that read each tensor first, so that none is there twice. A long sum counts as its total.
    parts: Vec<Vec<usize>>,
}

impl Tensors {
    /// (the tensors, the tensor of each value of the graph)
    fn of(schedule: &Schedule) -> (Vec<Tensor>, Vec<usize>) {
        let graph = &schedule.graph;
        let mut tensors = Tensors::default();
        let mut values: Vec<usize> = Vec::with_capacity(graph.nodes.len());
        for (node, home) in graph.nodes.iter().zip(&schedule.homes) {
            let samples = if let Home::Tile(_, samples) = home { Some(samples.clone()) } else { None };
            let inputs: Vec<usize> = node.inputs.iter().map(|input| values[input.0]).collect();
            let how = match &node.kind {
                Kind::Input(index) => How::Input(*index),
                Kind::Parameter { layer, weight } => How::Parameter(*layer, *weight),
                Kind::Scalar(scalar) => How::Scalar(scalar.clone()),
                Kind::Op(op) if op.is_view() => How::View,
                Kind::Op(op) => match op.formula() {
                    Some(formula) => How::Formula(formula.clone()),
                    None => {
                        let types = graph.types_of_inputs(Value(values.len()));
                        values.push(tensors.parts(op.cuda(&types, &node.ty), &inputs, &node.label, samples));
                        continue;
                    }
                },
            };
            values.push(tensors.push(Tensor {
                ty: node.ty.clone(),
                label: node.label.to_string(),
                how,
                inputs,
                samples,
            }));
        }
        (tensors.list, values)
    }

    fn push(&mut self, tensor: Tensor) -> usize {
        self.list.push(tensor);
        self.parts.push(Vec::new());
        self.list.len() - 1
    }

    /// The tensors of an operation; the last one is its result.
    fn parts(&mut self, parts: Vec<Part>, inputs: &[usize], label: &str, samples: Option<Dim>) -> usize {
        let mut own: Vec<usize> = Vec::new();
        for part in parts {
            let source = |source: &Source| match source {
                Source::Input(index) => inputs[*index],
                Source::Part(index) => own[*index],
            };
            let inputs: Vec<usize> = part.inputs.iter().map(source).collect();
            let first = inputs.first().copied();
            let index = self.known(&part, &inputs).unwrap_or_else(|| {
                let index = self.part(part, inputs, label, samples.clone());
                first.into_iter().for_each(|first| self.parts[first].push(index));
                index
            });
            own.push(index);
        }
        own.last().copied().unwrap_or_default()
    }

    /// The tensor that is the same function of the same tensors.
    fn known(&self, part: &Part, inputs: &[usize]) -> Option<usize> {
        let is_same = |tensor: &&usize| {
            let tensor = &self.list[**tensor];
            let tensor = if let How::Total(_) = tensor.how { &self.list[tensor.inputs[0]] } else { tensor };
            match &tensor.how {
                How::Part(own) | How::Chunks(own, _) => {
                    tensor.inputs == inputs && own.function == part.function && own.sizes == part.sizes
                }
                _ => false,
            }
        };
        self.parts[*inputs.first()?].iter().find(is_same).copied()
    }

    /// A part; a long sum becomes its chunks and their total.
    fn part(&mut self, part: Part, inputs: Vec<usize>, label: &str, samples: Option<Dim>) -> usize {
        let ty = part.ty.clone();
        let label = label.to_owned();
        let chunks = chunks(&part);
        if chunks == 1 {
            return self.push(Tensor { ty, label, how: How::Part(part), inputs, samples });
        }
        let dims = std::iter::once(Dim::known(chunks)).chain(ty.dims.iter().cloned()).collect();
        let partial = Type { dtype: ty.dtype, dims };
        let partial = self.push(Tensor {
            ty: partial,
            label: format!("{label}_chunks"),
            how: How::Chunks(part, chunks),
            inputs,
            samples: None,
        });
        self.push(Tensor { ty, label, how: How::Total(chunks), inputs: vec![partial], samples: None })
    }
}

/// Into how many chunks the terms of a part are cut: so many that the device is busy.
fn chunks(part: &Part) -> usize {
    let Some(Terms { count, combine: Combine::Sum, along }) = &part.terms else { return 1 };
    let long = count.as_known().is_none_or(|count| count >= LONG);
    let Some(elements) = Dim::product(part.ty.dims.iter()).and_then(|elements| elements.as_known()).filter(|_| long)
    else {
        return 1;
    };
    let busy = match along {
        Along::Elements => BUSY_THREADS,
        Along::Terms => BUSY_BLOCKS,
    };
    // A power of two, so that sums of one size are launched together.
    (busy / elements.max(1)).clamp(1, MAX_CHUNKS).next_power_of_two().min(MAX_CHUNKS)
}

/// An estimate of a size.
fn estimate(dims: &[Dim]) -> f64 {
    dims.iter().map(|dim| dim.factor() as f64 * TYPICAL.powi(dim.symbols().len() as i32)).product()
}

impl Plan {
    /// Results are stored where they belong.
    fn store_results(&mut self, graph: &Graph, values: &[usize]) {
        let outputs = graph.outputs.iter().enumerate().map(|(index, value)| (*value, Store::Output(index)));
        let gradients = graph.gradients.iter().filter_map(|(target, value)| match target {
            Target::Parameter(layer, weight) => Some((*value, Store::Gradient(*layer, *weight))),
            Target::Input(_) => None,
        });
        let results: Vec<(Value, Store)> = outputs.chain(gradients).collect();
        for (value, store) in results {
            // What is no computed tensor is copied.
            let tensor = match self.tensors[values[value.0]].how {
                How::Formula(_) | How::Part(_) | How::Total(_) => values[value.0],
                _ => self.copy(values[value.0]),
            };
            self.stores[tensor].push(store);
        }
    }

    /// A tensor with the same elements.
    fn copy(&mut self, of: usize) -> usize {
        let copy = Tensor { how: How::Formula(Formula::Operand(0)), inputs: vec![of], ..self.tensors[of].clone() };
        self.tensors.push(copy);
        self.stores.push(Vec::new());
        self.root.push(self.tensors.len() - 1);
        self.tensors.len() - 1
    }

    /// The tensor behind views.
    #[must_use]
    pub fn behind(&self, mut tensor: usize) -> usize {
        while matches!(self.tensors[tensor].how, How::View) {
            tensor = self.tensors[tensor].inputs[0];
        }
        tensor
    }

    /// (who reads each tensor, as which of its inputs), views seen through.
    fn readers(&self) -> Vec<Vec<(usize, usize)>> {
        let mut readers = vec![Vec::new(); self.tensors.len()];
        for (reader, tensor) in self.tensors.iter().enumerate().filter(|(_, tensor)| !matches!(tensor.how, How::View)) {
            for (position, input) in tensor.inputs.iter().enumerate() {
                readers[self.behind(*input)].push((reader, position));
            }
        }
        readers
    }

    /// How often a reader reads an element of one of its inputs, about.
    fn times(&self, reader: usize, position: usize) -> f64 {
        let tensor = &self.tensors[reader];
        let reads = match &tensor.how {
            How::Part(part) | How::Chunks(part, _) => estimate(std::slice::from_ref(&part.reads[position])),
            How::Total(chunks) => *chunks as f64,
            _ => 1.0,
        };
        let elements = match &tensor.how {
            How::Chunks(part, _) => estimate(&part.ty.dims),
            _ => estimate(&tensor.ty.dims),
        };
        elements * reads / estimate(&self.tensors[tensor.inputs[position]].ty.dims).max(1.0)
    }

    /// Who computes an element of a tensor, leaving aside what is inlined.
    #[must_use]
    pub fn own_team(&self, tensor: usize) -> Team {
        let tensor = &self.tensors[tensor];
        match &tensor.how {
            How::Part(part) | How::Chunks(part, _) => match &part.terms {
                Some(Terms { count, along: Along::Terms, .. }) => match (count.as_known(), &tensor.how) {
                    (_, How::Chunks(..)) => Team::Block,
                    (Some(count), _) if count < MANY_TERMS => Team::Thread,
                    _ => Team::Warp,
                },
                _ => Team::Thread,
            },
            _ => Team::Thread,
        }
    }

    /// Whether all threads of a team evaluate this tensor at the same position, so that what it reads may be computed by the
    /// whole team.
    fn is_uniform(&self, tensor: usize) -> bool {
        self.own_team(tensor) == Team::Thread && !matches!(self.tensors[tensor].how, How::Chunks(..) | How::Total(_))
    }

    /// Which tensors are stored.
    fn decide(&mut self, readers: &[Vec<(usize, usize)>]) -> Vec<bool> {
        let mut stored = vec![false; self.tensors.len()];
        let mut teams: Vec<Team> = Vec::with_capacity(self.tensors.len());
        for (index, tensor) in self.tensors.iter().enumerate() {
            let readers = &readers[index];
            let behind = || tensor.inputs.iter().map(|input| self.behind(*input)).filter(|input| !stored[*input]);
            let team = behind().map(|input| teams[input]).fold(self.own_team(index), Team::max);
            teams.push(team);
            let times: f64 = readers.iter().map(|(reader, position)| self.times(*reader, *position)).sum();
            let cost: f64 = match &tensor.how {
                How::Input(_) | How::Parameter(..) | How::Scalar(_) | How::View => continue,
                How::Chunks(..) => f64::INFINITY,
                How::Total(chunks) => *chunks as f64,
                How::Part(part) => part.reads.iter().map(|reads| estimate(std::slice::from_ref(reads))).sum(),
                // A number.
                How::Formula(_) if tensor.inputs.is_empty() => continue,
                How::Formula(formula) => (formula.size() + tensor.inputs.len()) as f64,
            };
            let inlined_reads =
                behind().any(|input| matches!(self.tensors[input].how, How::Part(_) | How::Formula(_) | How::Total(_)));
            let alone = readers.len() == 1 && times <= 1.001;
            let cheap = cost <= CHEAP as f64 && times <= MOST_TIMES && !inlined_reads;
            // The whole team computes it, so it can be inlined only where the whole team asks.
            let together = team == Team::Thread || readers.iter().all(|(reader, _)| self.is_uniform(*reader));
            stored[index] = !self.stores[index].is_empty()
                || matches!(tensor.how, How::Chunks(..))
                || team == Team::Block
                || !((alone || cheap) && together);
        }
        self.teams = teams;
        stored
    }

    /// Lets the kernel of a reader compute a stored tensor along with its own.
    fn choose_roots(&mut self, readers: &[Vec<(usize, usize)>], stored: &[bool]) {
        for index in (0..self.tensors.len()).rev().filter(|index| stored[*index]) {
            let Some(&(first, position)) = readers[index].iter().min() else { continue };
            let tensor = &self.tensors[first];
            let once = match &tensor.how {
                How::Part(part) => part.once && position == 0,
                How::Formula(formula) => {
                    let reads = tensor.inputs.iter().filter(|input| self.behind(**input) == index).count();
                    reads == 1
                        && formula.uses(position) > 0
                        && Dim::product(tensor.ty.dims.iter()) == Dim::product(self.tensors[index].ty.dims.iter())
                }
                _ => false,
            };
            let root = self.root[first];
            let others_wait = readers[index].iter().all(|(reader, _)| *reader == first || *reader > root);
            if once
                && stored[first]
                && others_wait
                && self.teams[index] == Team::Thread
                && self.teams[first] == Team::Thread
                && !matches!(self.tensors[index].how, How::Chunks(..))
            {
                self.root[index] = root;
            }
        }
    }

    /// Notes what each kernel computes and reads.
    fn note_kernels(&mut self, stored: &[bool]) {
        let n = self.tensors.len();
        (self.members, self.reads) = (vec![Vec::new(); n], vec![Vec::new(); n]);
        // The root for which a tensor was seen last.
        let mut seen = vec![n; n];
        for index in (0..n).filter(|index| stored[*index]) {
            let root = self.root[index];
            self.members[root].push(index);
            if root != index {
                continue;
            }
            let mut pending: Vec<usize> = self.tensors[root].inputs.iter().rev().copied().collect();
            while let Some(next) = pending.pop() {
                let next = self.behind(next);
                if std::mem::replace(&mut seen[next], root) == root {
                    continue;
                }
                let elsewhere = stored[next] && self.root[next] != root;
                if elsewhere || matches!(self.tensors[next].how, How::Input(_) | How::Parameter(..)) {
                    self.reads[root].push(next);
                } else {
                    pending.extend(self.tensors[next].inputs.iter().rev());
                }
            }
        }
    }

    /// The stored tensors that the kernel of a root computes.
    #[must_use]
    pub fn members(&self, root: usize) -> &[usize] {
        &self.members[root]
    }

    /// What the kernel of a root reads, beyond what it computes.
    #[must_use]
    pub fn reads(&self, root: usize) -> &[usize] {
        &self.reads[root]
    }

    /// The launches: kernels in order, those that nobody waits for at the end, equal ones together.
    fn launch(&mut self, stored: &[bool]) {
        let roots: Vec<usize> =
            (0..self.tensors.len()).filter(|index| stored[*index] && self.root[*index] == *index).collect();
        let read_roots =
            |root: usize| self.reads[root].iter().filter(|read| stored[**read]).map(|read| self.root[*read]);
        // The end: long sums, and what waits for nothing else but them.
        let mut late = vec![false; self.tensors.len()];
        let mut needed = vec![false; self.tensors.len()];
        for root in roots.iter().rev() {
            let sum = matches!(self.tensors[*root].how, How::Chunks(..));
            let total = read_roots(*root).any(|read| matches!(self.tensors[read].how, How::Chunks(..)));
            late[*root] = !needed[*root] && (sum || total);
            if !late[*root] {
                read_roots(*root).for_each(|read| needed[read] = true);
            }
        }
        let mut depth = vec![0; self.tensors.len()];
        for root in roots.iter().filter(|root| late[**root]) {
            depth[*root] = read_roots(*root).filter(|read| late[*read]).map(|read| depth[read] + 1).max().unwrap_or(0);
        }
        let mut launches: Vec<Launch> = Vec::new();
        // The samples that a block could take through the last launch, and the bytes that this would take.
        let mut last: Option<(Dim, usize)> = None;
        for root in roots.iter().filter(|root| !late[**root]) {
            let own = self.by_sample(*root);
            let both = match (&last, &own) {
                (Some((samples, bytes)), Some((same, more))) if samples == same && bytes + more <= SHARED_BYTES => {
                    Some((samples.clone(), bytes + more))
                }
                _ => None,
            };
            match (both, launches.last_mut()) {
                (Some(both), Some(launch)) => {
                    launch.samples = Some(both.0.clone());
                    launch.roots.push((*root, self.teams[*root]));
                    last = Some(both);
                }
                _ => {
                    launches.push(self.alone(*root));
                    last = own;
                }
            }
        }
        let mut end: Vec<usize> = roots.into_iter().filter(|root| late[*root]).collect();
        end.sort_by_key(|root| (depth[*root], self.teams[*root], self.alone(*root).chunks, *root));
        let known = |root: usize| Dim::product(&self.elements(root)).is_some_and(|dim| dim.as_known().is_some());
        // What the roots of the last launch share, if others may join them.
        let mut last = None;
        for root in end {
            let own = self.alone(root);
            let key = known(root).then_some((depth[root], self.teams[root], own.chunks));
            match launches.last_mut() {
                Some(launch) if key.is_some() && key == last && launch.roots.len() < MOST_TOGETHER => {
                    launch.roots.extend(own.roots);
                }
                _ => launches.push(own),
            }
            last = key;
        }
        self.launches = launches;
    }

    /// The launch of a root alone.
    fn alone(&self, root: usize) -> Launch {
        let chunks = if let How::Chunks(_, chunks) = self.tensors[root].how { chunks } else { 1 };
        Launch { roots: vec![(root, self.teams[root])], chunks, samples: None }
    }

    /// If a block can take a sample through the kernel of a root: how many samples there are, and the bytes of shared memory
    /// that a sample takes.
    fn by_sample(&self, root: usize) -> Option<(Dim, usize)> {
        if self.teams[root] == Team::Block || matches!(self.tensors[root].how, How::Chunks(..)) {
            return None;
        }
        let samples = self.tensors[root].samples.clone()?;
        let mut bytes = 0;
        for member in &self.members[root] {
            let tensor = &self.tensors[*member];
            if tensor.samples.as_ref() != Some(&samples) {
                return None;
            }
            bytes += tensor.ty.dtype.bytes() * tensor.features().filter(|features| *features <= SMALL_SAMPLE)?;
        }
        Some((samples, bytes))
    }

    /// Chooses where each stored tensor lies: a tensor that its own launch reads in shared memory, one that others read in
    /// the workspace.
    fn choose_stores(&mut self, stored: &[bool]) {
        let mut launch_of = vec![0; self.tensors.len()];
        for (position, launch) in self.launches.iter().enumerate() {
            launch.roots.iter().for_each(|(root, _)| launch_of[*root] = position);
        }
        let mut shared = vec![false; self.tensors.len()];
        let mut global = vec![false; self.tensors.len()];
        for (position, launch) in self.launches.iter().enumerate() {
            for read in launch.roots.iter().flat_map(|(root, _)| &self.reads[*root]) {
                let own = stored[*read] && launch_of[self.root[*read]] == position;
                shared[*read] |= own;
                global[*read] |= stored[*read] && !own;
            }
        }
        for index in (0..self.tensors.len()).filter(|index| stored[*index]) {
            if self.stores[index].is_empty() && (global[index] || !shared[index]) {
                self.stores[index].push(Store::Value(self.values.len()));
                self.values.push(Slot { group: 0, offset: 0 });
            }
            if shared[index] {
                self.stores[index].push(Store::Shared);
            }
        }
    }

    /// The largest numbers of elements, and of terms, one for each product of symbols.
    #[must_use]
    pub fn extents(&self) -> Vec<Dim> {
        let mut extents: Vec<Dim> = Vec::new();
        let mut note = |dim: &Dim| match extents.iter_mut().find(|other| other.symbols() == dim.symbols()) {
            Some(other) if other.factor() >= dim.factor() => {}
            Some(other) => *other = dim.clone(),
            None => extents.push(dim.clone()),
        };
        for tensor in &self.tensors {
            Dim::product(tensor.ty.dims.iter()).iter().for_each(&mut note);
            if let How::Part(Part { terms: Some(terms), .. }) | How::Chunks(Part { terms: Some(terms), .. }, _) =
                &tensor.how
            {
                note(&terms.count);
            }
        }
        extents
    }

    /// The sizes of what a root walks over: without the axis of the chunks.
    #[must_use]
    pub fn elements(&self, root: usize) -> Vec<Dim> {
        let tensor = &self.tensors[root];
        if let How::Chunks(part, _) = &tensor.how { part.ty.dims.to_vec() } else { tensor.ty.dims.to_vec() }
    }

    /// Gives the tensors of the workspace their places.
    fn place(&mut self) {
        let mut launch_of = vec![0; self.tensors.len()];
        for (position, launch) in self.launches.iter().enumerate() {
            launch.roots.iter().for_each(|(root, _)| launch_of[*root] = position);
        }
        let in_workspace = |index: &usize| matches!(self.stores[*index].first(), Some(Store::Value(_)));
        let mut lives: Vec<Option<Life>> = vec![None; self.tensors.len()];
        for index in (0..self.tensors.len()).filter(in_workspace) {
            let len =
                Dim::product(self.tensors[index].ty.dims.iter()).map_or(0, |dim| dim.factor()).next_multiple_of(4);
            let first = launch_of[self.root[index]];
            lives[index] = Some(Life { len, first, last: first });
        }
        for (position, launch) in self.launches.iter().enumerate() {
            for read in launch.roots.iter().flat_map(|(root, _)| &self.reads[*root]) {
                if let Some(life) = &mut lives[*read] {
                    life.last = life.last.max(position);
                }
            }
        }
        // One part of the workspace for each element type and each product of symbols.
        let mut groups: Vec<(Dtype, Dim, Vec<usize>)> = Vec::new();
        for index in (0..self.tensors.len()).filter(|index| lives[*index].is_some()) {
            let ty = &self.tensors[index].ty;
            let dim = Dim::product(ty.dims.iter()).unwrap_or(Dim::known(0));
            let symbols = dim.over(&Dim::known(dim.factor().max(1))).unwrap_or(Dim::known(1));
            match groups.iter_mut().find(|(dtype, own, _)| (*dtype, own) == (ty.dtype, &symbols)) {
                Some((_, _, members)) => members.push(index),
                None => groups.push((ty.dtype, symbols, vec![index])),
            }
        }
        for (group, (dtype, symbols, members)) in groups.into_iter().enumerate() {
            let own: Vec<Life> = members.iter().filter_map(|index| lives[*index]).collect();
            let (offsets, total) = pack(&own);
            for (index, offset) in members.into_iter().zip(offsets) {
                if let Some(Store::Value(value)) = self.stores[index].first() {
                    self.values[*value] = Slot { group, offset };
                }
            }
            self.groups.push((dtype, symbols.times(&Dim::known(total)).unwrap_or(Dim::known(0))));
        }
    }
}

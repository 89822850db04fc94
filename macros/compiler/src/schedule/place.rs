//! Where each value lives, and the steps that follow from it.

use std::collections::{HashMap, HashSet};

use graven_kernels::dim::{Dim, Type};
use graven_kernels::op::{Batching, Call, Layout, Op, Operand, Value};

use super::combine::combine;
use super::{CACHED_PARAMETERS, Destination, Loop, Memory, Source, Stage, Step, Sum, call, choose_layout, computes};
use crate::graph::{Graph, Kind, Target};

/// Where a value lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// It is a number, and stands in the code.
    Scalar,
    /// It is an argument.
    Input(usize),
    /// It is a parameter.
    Parameter,
    /// It is computed at the start of a stage, as a complete tensor.
    Whole(usize),
    /// It is computed tile by tile in the loop of a stage.
    Tile(usize, Dim),
    /// It is added up by the loop of a stage.
    Sum(usize, Dim),
}

/// A complete tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// An argument.
    Input(usize),
    /// A parameter: the node that names it.
    Parameter(Value),
    /// A kept tensor, see [`Schedule::values`](super::Schedule::values).
    Value(usize),
    /// A result.
    Output(usize),
}

/// A [`Schedule`] but for its graph.
pub(super) struct Scheduled {
    pub(super) homes: Vec<Home>,
    pub(super) values: Vec<(Value, Type)>,
    pub(super) stages: Vec<Stage>,
    pub(super) outputs: Vec<Option<usize>>,
    pub(super) gradients: Vec<(Target, usize)>,
}

pub(super) struct Placement<'a> {
    graph: &'a Graph,
    homes: Vec<Home>,
    values: Vec<(Value, Type)>,
    /// Where a node stands in `values`.
    kept: Vec<Option<usize>>,
}

impl<'a> Placement<'a> {
    pub(super) fn new(graph: &'a Graph) -> Placement<'a> {
        let kept = vec![None; graph.nodes.len()];
        let mut placement = Placement { graph, homes: Vec::new(), values: Vec::new(), kept };
        for position in 0..graph.nodes.len() {
            let home = placement.home(Value(position));
            placement.homes.push(home);
        }
        placement
    }

    /// The value whose memory a view shows.
    fn root(&self, value: Value) -> Value {
        self.graph.root(value)
    }

    /// The samples that a value could be walked by, if it is a complete tensor or in a tile.
    fn extent(&self, value: Value, needs_samples: bool) -> Option<Dim> {
        let ty = &self.graph.node(value).ty;
        match &self.homes[value.0] {
            Home::Tile(_, extent) => Some(extent.clone()),
            Home::Input(_) | Home::Whole(_) => {
                let first = ty.dims.first()?;
                (ty.features().is_some() && (needs_samples || first.as_known().is_none())).then(|| first.clone())
            }
            // A sum over samples is complete in the next stage, and may be what an operation on tiles walks over.
            Home::Sum(..) if needs_samples && ty.features().is_some() => ty.dims.first().cloned(),
            Home::Scalar | Home::Parameter | Home::Sum(..) => None,
        }
    }

    /// Decides where a value lives, from where its inputs live.
    fn home(&self, value: Value) -> Home {
        let node = self.graph.node(value);
        let op = match &node.kind {
            Kind::Input(index) => return Home::Input(*index),
            Kind::Parameter { .. } => return Home::Parameter,
            Kind::Scalar(_) => return Home::Scalar,
            Kind::Op(op) => op,
        };
        let whole = || self.whole_home(op.as_ref(), value);
        let extents: Vec<Option<Dim>> =
            node.inputs.iter().map(|input| self.extent(*input, op.needs_samples())).collect();
        let mut found = extents.iter().flatten();
        let extent = match found.next() {
            Some(extent) if found.all(|other| other == extent) => extent.clone(),
            Some(_) => return whole(),
            None => {
                let first = node.ty.dims.first().filter(|dim| dim.as_known().is_none());
                match first.filter(|_| op.makes_samples() && node.ty.features().is_some()) {
                    Some(first) => first.clone(),
                    None => return whole(),
                }
            }
        };
        let operands: Vec<Operand> = node
            .inputs
            .iter()
            .zip(&extents)
            .map(|(input, extent)| Operand { ty: self.graph.node(*input).ty.clone(), batched: extent.is_some() })
            .collect();
        let batching = op.batching(&operands, &node.ty);
        let stage = node.inputs.iter().map(|input| self.ready_for_tiles(*input, &extent)).max().unwrap_or(0);
        match batching {
            Batching::PerSample if node.ty.features().is_some() && node.ty.dims.first() == Some(&extent) => {
                Home::Tile(stage, extent)
            }
            Batching::SumsSamples if node.ty.elements().is_some_and(|elements| elements.as_known().is_some()) => {
                Home::Sum(stage, extent)
            }
            _ => whole(),
        }
    }

    /// The first stage whose start may read the complete value.
    fn ready(&self, value: Value) -> usize {
        match &self.homes[value.0] {
            Home::Scalar | Home::Input(_) | Home::Parameter => 0,
            Home::Whole(stage) => *stage,
            Home::Tile(stage, _) | Home::Sum(stage, _) => stage + 1,
        }
    }

    /// The first stage whose loop over `extent` may read the value.
    fn ready_for_tiles(&self, value: Value, extent: &Dim) -> usize {
        match &self.homes[value.0] {
            Home::Tile(stage, own) if own == extent => *stage,
            _ => self.ready(value),
        }
    }

    fn whole_home(&self, op: &dyn Op, value: Value) -> Home {
        let node = self.graph.node(value);
        if op.is_view() {
            // A view lives where its memory lives, under another shape: a new tensor only for those who walk it.
            let input = node.inputs[0];
            return match &self.homes[input.0] {
                Home::Parameter => Home::Parameter,
                Home::Scalar => Home::Scalar,
                _ => Home::Whole(self.ready(input)),
            };
        }
        Home::Whole(node.inputs.iter().map(|input| self.ready(*input)).max().unwrap_or(0))
    }

    /// The complete tensor of a value, kept if it is not one by itself.
    fn place(&mut self, value: Value) -> Place {
        let root = self.root(value);
        match &self.graph.node(root).kind {
            Kind::Input(index) => return Place::Input(*index),
            Kind::Parameter { .. } => return Place::Parameter(root),
            _ => {}
        }
        Place::Value(self.kept_as(root))
    }

    /// The complete tensor of a node, made if it is new.
    fn kept_as(&mut self, value: Value) -> usize {
        if let Some(index) = self.kept[value.0] {
            return index;
        }
        self.values.push((value, self.graph.node(value).ty.clone()));
        self.kept[value.0] = Some(self.values.len() - 1);
        self.values.len() - 1
    }

    pub(super) fn schedule(mut self) -> Scheduled {
        let n_stages = self.homes.iter().map(|home| match home {
            Home::Whole(stage) | Home::Tile(stage, _) | Home::Sum(stage, _) => stage + 1,
            _ => 1,
        });
        let mut stages: Vec<Stage> = (0..n_stages.max().unwrap_or(1)).map(|_| Stage::default()).collect();
        let (outputs, gradients) = self.results(&mut stages);
        let graph = self.graph;
        for position in 0..graph.nodes.len() {
            let value = Value(position);
            match self.homes[position].clone() {
                Home::Whole(stage) if computes(graph, value) => {
                    self.place(value);
                    graph.node(value).inputs.iter().for_each(|input| self.keep(*input));
                    stages[stage].whole.push(value);
                }
                Home::Tile(stage, extent) | Home::Sum(stage, extent) if computes(graph, value) => {
                    let loops = &mut stages[stage].loops;
                    let index = loops.iter().position(|own| own.extent == extent).unwrap_or_else(|| {
                        let adds_up =
                            |home: &Home| matches!(home, Home::Sum(at, own) if *at == stage && *own == extent);
                        let adds_up = self.homes.iter().any(adds_up);
                        let wide = Self::is_wide(graph, &self.homes, stage, &extent);
                        loops.push(Loop::new(extent, adds_up, wide, graph));
                        loops.len() - 1
                    });
                    let own = &mut stages[stage].loops[index];
                    self.run_in_tile(own, stage, value);
                    own.one = own.one.take().filter(|_| graph.op(value).is_some_and(|op| op.takes_one_sample()));
                    if let Some(one) = &mut own.one {
                        self.run_in_tile(one, stage, value);
                    }
                }
                _ => {}
            }
        }
        self.store(&mut stages, &outputs);
        let unkept = graph.gradients.iter().zip(&gradients).filter(|(_, kept)| kept.is_none());
        let targets: HashMap<Value, Target> = unkept.map(|((target, value), _)| (self.root(*value), *target)).collect();
        for sum in stages.iter_mut().flat_map(|stage| &mut stage.loops).flat_map(|own| &mut own.sums) {
            sum.gradient = targets.get(&sum.value).copied();
        }
        for own in stages.iter_mut().flat_map(|stage| &mut stage.loops) {
            combine(graph, own);
            own.choose_chunks(graph);
            own.choose_few(graph);
        }
        self.keep_sums(&mut stages);
        let copied = outputs.iter().map(|output| match output {
            Place::Value(index) => Some(*index),
            _ => None,
        });
        let copied = copied.collect();
        let gradients = graph
            .gradients
            .iter()
            .zip(&gradients)
            .filter_map(|((target, _), kept)| Some((*target, (*kept)?)))
            .collect();
        let Placement { homes, values, .. } = self;
        Scheduled { homes, values, stages, outputs: copied, gradients }
    }

    /// The cost model for many parameters: whether those that a loop reads outgrow the cache, and its operations take wide tiles.
    fn is_wide(graph: &Graph, homes: &[Home], stage: usize, extent: &Dim) -> bool {
        let is_here =
            |home: &Home| matches!(home, Home::Tile(at, own) | Home::Sum(at, own) if *at == stage && own == extent);
        let here = (0..homes.len()).filter(|position| is_here(&homes[*position])).map(Value);
        let (mut parameters, mut floats) = (HashSet::new(), 0_usize);
        for value in here.filter(|value| computes(graph, *value)) {
            if !graph.op(value).is_some_and(|op| op.layouts().takes_rows()) {
                return false;
            }
            for input in &graph.node(value).inputs {
                let root = graph.root(*input);
                if matches!(graph.node(root).kind, Kind::Parameter { .. }) && parameters.insert(root) {
                    let own = graph.node(root).ty.elements().map_or(0, |elements| elements.factor());
                    floats = floats.saturating_add(own);
                }
            }
        }
        floats > CACHED_PARAMETERS
    }

    /// Makes sure that a complete tensor exists for a value that a whole operation reads.
    fn keep(&mut self, value: Value) {
        if !matches!(self.homes[value.0], Home::Scalar) {
            self.place(value);
        }
    }

    /// Where the results come from: (outputs, for each gradient the kept tensor or None for a sum nobody else reads).
    fn results(&mut self, stages: &mut [Stage]) -> (Vec<Place>, Vec<Option<usize>>) {
        let graph = self.graph;
        let last = stages.len() - 1;
        let mut kept = |placement: &mut Self, value: Value| {
            if let Place::Value(index) = placement.place(value) {
                return index;
            }
            // An argument or a parameter that is returned as it is: a copy, one for all its returns.
            if let Some(index) = placement.kept[value.0] {
                return index;
            }
            stages[last].whole.push(value);
            placement.kept_as(value)
        };
        let mut outputs: Vec<Place> = Vec::new();
        for (index, value) in graph.outputs.iter().enumerate() {
            let root = self.root(*value);
            let written_by_loop = matches!(self.homes[root.0], Home::Tile(..));
            outputs.push(if written_by_loop { Place::Output(index) } else { Place::Value(kept(self, *value)) });
        }
        // How often the memory of a node is read: by operations, and as a result.
        let mut n_reads = vec![0_usize; graph.nodes.len()];
        let computed = (0..graph.nodes.len()).filter(|node| computes(graph, Value(*node)));
        let inputs = computed.flat_map(|node| &graph.nodes[node].inputs).copied();
        for value in inputs.chain(graph.results()) {
            n_reads[self.root(value).0] += 1;
        }
        let mut gradients = Vec::new();
        for (_, value) in &graph.gradients {
            let root = self.root(*value);
            let read_elsewhere = n_reads[root.0] > 1;
            let sum = matches!(self.homes[root.0], Home::Sum(..));
            gradients.push(if sum && !read_elsewhere { None } else { Some(kept(self, *value)) });
        }
        (outputs, gradients)
    }

    /// Adds the steps that bring the operands of a node into the tile, and the node itself.
    fn run_in_tile(&mut self, own: &mut Loop, stage: usize, value: Value) {
        let graph = self.graph;
        let node = graph.node(value);
        let op = graph.op(value).expect("a computed value");
        let batched = self.batched(value);
        let operands: Vec<Value> = node
            .inputs
            .iter()
            .zip(&batched)
            .filter(|(_, batched)| **batched)
            .map(|(input, _)| self.root(*input))
            .collect();
        let layout = choose_layout(op.layouts(), own, &operands);
        let saved = op.reads_saved().and_then(|saved| Some((saved, self.save(own, node.inputs[saved.of], layout)?)));
        let mut inputs = Vec::new();
        for (position, (input, batched)) in node.inputs.iter().zip(&batched).enumerate() {
            inputs.push(match saved {
                Some((saved, buffer)) if position == saved.of => Source::Buffer(buffer),
                Some((saved, _)) if position == saved.instead_of => Source::Unread,
                _ if *batched => self.bring(own, stage, *input, layout),
                _ => Source::Full(self.place(*input)),
            });
        }
        let sums = matches!(self.homes[value.0], Home::Sum(..));
        let kernel = op.kernel(&Call { saved: saved.is_some(), ..self.call(own, value, layout) });
        let mut memory =
            |memory: Memory, floats: Option<usize>| Some(own.memory(value, layout, memory, floats.filter(|n| *n > 0)?));
        let (scratch, kept) = (memory(Memory::Scratch, kernel.scratch), memory(Memory::Kept, kernel.kept));
        let output = if sums {
            let len = node.ty.elements().and_then(|elements| elements.as_known()).unwrap_or(0);
            own.sums.push(Sum { value, len, gradient: None, kept: None });
            Destination::Sum(own.sums.len() - 1)
        } else {
            Destination::Buffer(own.buffer(value, layout, node.ty.features().unwrap_or(0)))
        };
        let kernel = Box::new(kernel);
        own.steps.push(Step::Run {
            value,
            layout,
            inputs,
            output,
            scratch,
            kept,
            saved: None,
            before: Vec::new(),
            kernel,
        });
    }

    /// Which inputs of a node carry samples.
    fn batched(&self, value: Value) -> Vec<bool> {
        let needs_samples = self.graph.op(value).is_some_and(|op| op.needs_samples());
        let inputs = self.graph.node(value).inputs.iter();
        inputs.map(|input| self.extent(*input, needs_samples).is_some()).collect()
    }

    /// The call of a node in a tile.
    fn call(&self, own: &Loop, value: Value, layout: Layout) -> Call {
        let sums = matches!(self.homes[value.0], Home::Sum(..));
        call(self.graph, value, layout, own.tile, &self.batched(value), !sums)
    }

    /// Makes the operation of `value` save what its gradient reads, if it runs in this loop in that layout: the buffer.
    fn save(&self, own: &mut Loop, value: Value, layout: Layout) -> Option<usize> {
        let is_run =
            |step: &Step| matches!(step, Step::Run { value: run, layout: at, .. } if *run == value && *at == layout);
        let position = own.steps.iter().position(is_run)?;
        if let Step::Run { saved: Some(buffer), .. } = own.steps[position] {
            return Some(buffer);
        }
        let saving = self.graph.op(value)?.kernel(&Call { saved: true, ..self.call(own, value, layout) });
        let buffer = own.memory(value, layout, Memory::Saved, saving.saved?);
        if let Step::Run { saved, kernel, .. } = &mut own.steps[position] {
            (*saved, **kernel) = (Some(buffer), saving);
        }
        Some(buffer)
    }

    /// Where a value is found in a layout; loads or converts it if need be.
    fn bring(&mut self, own: &mut Loop, stage: usize, value: Value, layout: Layout) -> Source {
        let root = self.root(value);
        let features = self.graph.node(value).ty.features().unwrap_or(0);
        let here = own.layouts_of(root).collect::<Vec<_>>();
        if here.contains(&layout) {
            return Source::Buffer(own.buffer(root, layout, features));
        }
        let computed_here = matches!(&self.homes[root.0], Home::Tile(own_stage, extent) if *own_stage == stage && *extent == own.extent);
        if let (Some(other), true) = (here.first(), computed_here) {
            let from = own.buffer(root, *other, features);
            let to = own.buffer(root, layout, features);
            own.steps.push(Step::Convert { from, to });
            return Source::Buffer(to);
        }
        let from = self.place(value);
        if own.tile == 1 {
            return Source::Sample { from, features };
        }
        let to = own.buffer(root, layout, features);
        own.steps.push(Step::Load { from, to });
        Source::Buffer(to)
    }

    /// Adds the stores: of results, and of values that a later stage or another loop reads.
    fn store(&mut self, stages: &mut [Stage], outputs: &[Place]) {
        let mut results: HashMap<Value, Vec<usize>> = HashMap::new();
        for (index, output) in self.graph.outputs.iter().enumerate() {
            results.entry(self.root(*output)).or_default().push(index);
        }
        for own in stages.iter_mut().flat_map(|stage| &mut stage.loops) {
            self.store_in(own, &results, outputs);
            if let Some(one) = &mut own.one {
                self.store_in(one, &results, outputs);
            }
        }
    }

    fn store_in(&self, own: &mut Loop, results: &HashMap<Value, Vec<usize>>, outputs: &[Place]) {
        let mut steps = Vec::new();
        for step in std::mem::take(&mut own.steps) {
            let produced = match &step {
                Step::Run { value, output: Destination::Buffer(buffer), .. } => Some((*value, *buffer)),
                _ => None,
            };
            steps.push(step);
            let Some((value, from)) = produced else { continue };
            if let Some(index) = self.kept[value.0] {
                steps.push(Step::Store { from, to: Place::Value(index) });
            }
            for index in results.get(&value).into_iter().flatten().copied() {
                if outputs[index] == Place::Output(index) {
                    steps.push(Step::Store { from, to: Place::Output(index) });
                }
            }
        }
        own.steps = steps;
    }

    /// Sums that somebody reads become complete tensors.
    fn keep_sums(&mut self, stages: &mut [Stage]) {
        for sum in stages.iter_mut().flat_map(|stage| &mut stage.loops).flat_map(|own| &mut own.sums) {
            sum.kept = self.kept[sum.value.0];
        }
    }
}

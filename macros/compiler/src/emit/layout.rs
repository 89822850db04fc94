//! The layout of a module's parameters: one after the other in the order of the fields, each at a multiple of 16 floats.

use std::ops::Range;

use graven_kernels::LANES;
use graven_kernels::layers::Weight;

use crate::check::instance::LayerInstance;

/// One parameter.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) layer: usize,
    pub(super) weight: usize,
    pub(super) name: String,
    pub(super) description: Weight,
    pub(super) offset: usize,
    pub(super) trained: bool,
}

/// All parameters.
#[derive(Debug, Default)]
pub(super) struct ParameterLayout {
    pub(super) entries: Vec<Entry>,
    pub(super) length: usize,
    /// The first entry of each layer.
    first: Vec<usize>,
}

impl ParameterLayout {
    pub(super) fn new(layers: &[LayerInstance]) -> ParameterLayout {
        let mut layout = ParameterLayout::default();
        for (layer, instance) in layers.iter().enumerate() {
            layout.first.push(layout.entries.len());
            for (weight, description) in instance.weights().into_iter().enumerate() {
                let elements: usize = description.dims.iter().product();
                let name = format!("{}.{}", instance.path, description.name);
                layout.entries.push(Entry {
                    layer,
                    weight,
                    name,
                    description,
                    offset: layout.length,
                    trained: !instance.frozen,
                });
                layout.length += elements.next_multiple_of(LANES);
            }
        }
        layout
    }

    pub(super) fn offset(&self, layer: usize, weight: usize) -> usize {
        self.first.get(layer).and_then(|first| self.entries.get(first + weight)).map_or(0, |entry| entry.offset)
    }

    /// How many numbers are parameters; gaps do not count.
    pub(super) fn parameters(&self) -> usize {
        self.entries.iter().map(|entry| entry.description.dims.iter().product::<usize>()).sum()
    }

    /// The ranges of some parameters, neighbours merged.
    pub(super) fn ranges(&self, wanted: impl Fn(usize, usize) -> bool) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for (index, entry) in self.entries.iter().enumerate().filter(|(_, entry)| wanted(entry.layer, entry.weight)) {
            let end = self.entries.get(index + 1).map_or(self.length, |next| next.offset);
            match ranges.last_mut() {
                Some(last) if last.end == entry.offset => last.end = end,
                _ => ranges.push(entry.offset..end),
            }
        }
        ranges
    }
}

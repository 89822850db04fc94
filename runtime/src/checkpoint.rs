//! Checkpoints: everything that a training needs to go on.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::floats::Floats;
use crate::model::Model;
use crate::optim::{Optimizer, Rule};
use crate::plan::ModulePlan;
use crate::structure::{Bound, BoundMut, bind_for, bind_mut_for};
use crate::values::Values;
use crate::weights::{self, CHECKPOINT, File, Metadata, RESERVED};

const OPTIMIZER: &str = "graven.optimizer";
const STEPS: &str = "graven.optimizer.steps";
const BUFFERS: &str = "graven.optimizer.buffers";
const SETTING: &str = "graven.optimizer.setting.";

/// Saves and resumes a training: the weights, the state and settings of the optimizer, where dropout stands, and what else
/// the program wants to know again.
///
/// A resumed training goes on as if it had not been interrupted, bit for bit. The file is a safetensors file, so
/// [`Model::load`] reads the weights of a checkpoint as well. Beside the weights it holds tensors such as
/// `optimizer.exp_avg.conv1.weight`.
#[derive(Debug)]
pub enum Checkpoint {}

impl Checkpoint {
    /// Writes a checkpoint, completely or not at all. `metadata` is free: the epoch, seeds, settings.
    ///
    /// Errors: the file cannot be written, then an older one is still there; the network holds a layer of another one; the
    /// optimizer belongs to another network; a key of the metadata is `format` or starts with `graven.`.
    pub fn save<M: Model>(
        path: impl AsRef<Path>,
        model: &M,
        optimizer: &impl Optimizer,
        metadata: &[(&str, String)],
    ) -> Result<()> {
        let bound = bind_for(model, M::plan(), "Checkpoint::save")?;
        Self::save_bound(path.as_ref(), M::plan(), &bound, optimizer, metadata)
    }

    /// What is no matter of types, so that it is compiled once.
    fn save_bound(
        path: &Path,
        plan: &'static ModulePlan,
        bound: &Bound<'_>,
        optimizer: &dyn Rule,
        metadata: &[(&str, String)],
    ) -> Result<()> {
        let memory = optimizer.memory();
        if memory.identity.is_some_and(|identity| identity != bound.identity()) {
            return Err(Error::ForeignOptimizer { optimizer: optimizer.name(), model: bound.model });
        }
        let mut all = weights::metadata(bound);
        all.extend(optimizer_metadata(optimizer));
        for (key, value) in metadata {
            if is_reserved(key) {
                let expected = "keys other than `format` that do not start with `graven.`";
                return Err(Error::Setting {
                    owner: "Checkpoint",
                    setting: "metadata",
                    given: (*key).into(),
                    expected,
                });
            }
            all.insert((*key).into(), value.clone());
        }
        let mut views = weights::views(plan, "", bound.parameters()?);
        for (name, buffer) in kept(optimizer) {
            views.extend(weights::views(plan, &prefix(name), buffer.read()?));
        }
        weights::write(path, &views, all)
    }

    /// Resumes from a checkpoint: sets the weights, dropout, and everything about the optimizer, its learning rate
    /// included. From here on the optimizer belongs to this network. The result is the metadata given to
    /// [`save`](Self::save).
    ///
    /// Errors: the file cannot be read, is damaged, or is no checkpoint; it was made with another optimizer or for another
    /// network; the network holds a layer of another one. In either case nothing was changed.
    pub fn load<M: Model>(
        path: impl AsRef<Path>,
        model: &mut M,
        optimizer: &mut impl Optimizer,
    ) -> Result<BTreeMap<String, String>> {
        let mut bound = bind_mut_for(model, M::plan(), "Checkpoint::load")?;
        Self::load_bound(path.as_ref(), M::plan(), &mut bound, optimizer)
    }

    /// What is no matter of types, so that it is compiled once.
    fn load_bound(
        path: &Path,
        plan: &'static ModulePlan,
        bound: &mut BoundMut<'_>,
        optimizer: &mut dyn Rule,
    ) -> Result<BTreeMap<String, String>> {
        let file = File::read(path)?;
        let saved = Saved::parse(path, &file, optimizer)?;
        let dropout = file.dropout_state()?;
        let metadata = own(&file.metadata);
        let state = file.into_state(plan.name, &saved.keys(plan))?;

        let identity = bound.shared().identity();
        let buffers = saved.buffers.iter().map(|name| {
            let mut buffer = Floats::zeros(identity.length);
            weights::set_with_prefix(plan, &prefix(name), &mut buffer, &state);
            Values::Host(buffer)
        });
        let buffers = buffers.collect();
        // The last thing that may fail.
        let parameters = bound.parameters_mut()?;
        let memory = optimizer.memory_mut();
        memory.buffers = buffers;
        memory.steps = saved.steps;
        memory.identity = (saved.steps > 0).then_some(identity);
        saved.settings.iter().for_each(|(setting, value)| optimizer.set(setting, *value));
        weights::set(plan, parameters, &state);
        weights::set_dropout(&bound.shared(), dropout);
        Ok(metadata)
    }

    /// The metadata given to [`save`](Self::save), without loading anything.
    ///
    /// Errors: the file cannot be read, is damaged, or is no checkpoint.
    pub fn read_metadata(path: impl AsRef<Path>) -> Result<BTreeMap<String, String>> {
        let file = File::read(path.as_ref())?;
        require_checkpoint(path.as_ref(), &file)?;
        Ok(own(&file.metadata))
    }

    /// Whether a safetensors file is a checkpoint, rather than bare weights.
    ///
    /// Errors: the file cannot be read or is damaged.
    pub fn is_checkpoint(path: impl AsRef<Path>) -> Result<bool> {
        Ok(File::read(path.as_ref())?.is_checkpoint())
    }
}

/// What a file says about an optimizer.
struct Saved {
    steps: u64,
    buffers: Vec<&'static str>,
    settings: Vec<(&'static str, f64)>,
}

impl Saved {
    fn parse(path: &Path, file: &File, optimizer: &dyn Rule) -> Result<Self> {
        require_checkpoint(path, file)?;
        let name = file.metadata.get(OPTIMIZER).map_or("", String::as_str);
        if name != optimizer.name() {
            let what = format!("the checkpoint was made with the optimizer `{name}`, not with `{}`", optimizer.name());
            return Err(Error::format(
                path,
                what,
                "take the same optimizer, or load the weights alone: `network.load(path)`",
            ));
        }
        let lacks = |key: &str| Error::format(path, format!("the checkpoint lacks `{key}`"), "the file is damaged");
        let mut settings = Vec::new();
        for (setting, _) in optimizer.settings() {
            let key = format!("{SETTING}{setting}");
            settings.push((setting, file.number(&key)?.ok_or_else(|| lacks(&key))?));
        }
        let names = file.metadata.get(BUFFERS).ok_or_else(|| lacks(BUFFERS))?;
        let known = |name| optimizer.all_buffers().iter().find(|known| **known == name).copied();
        let buffers =
            names.split(',').filter(|name| !name.is_empty()).map(|name| known(name).ok_or_else(|| lacks(BUFFERS)));
        Ok(Self {
            steps: file.number(STEPS)?.ok_or_else(|| lacks(STEPS))?,
            buffers: buffers.collect::<Result<_>>()?,
            settings,
        })
    }

    /// All keys that the file must have.
    fn keys(&self, plan: &'static ModulePlan) -> Vec<(String, crate::tensor::Shape)> {
        let buffers = self.buffers.iter().flat_map(|name| weights::keys_with_prefix(plan, &prefix(name)));
        weights::keys(plan).into_iter().chain(buffers).collect()
    }
}

fn optimizer_metadata(optimizer: &dyn Rule) -> Metadata {
    let buffers: Vec<&str> = kept(optimizer).map(|(name, _)| name).collect();
    let mut metadata: Metadata = weights::map_of([
        (CHECKPOINT.into(), "1".into()),
        (OPTIMIZER.into(), optimizer.name().into()),
        (STEPS.into(), optimizer.memory().steps.to_string()),
        (BUFFERS.into(), buffers.join(",")),
    ]);
    // `{:?}` of an f64 reads back as the same number.
    metadata.extend(
        optimizer.settings().iter().map(|(setting, value)| (format!("{SETTING}{setting}"), format!("{value:?}"))),
    );
    metadata
}

/// The buffers that an optimizer has, by name.
fn kept(optimizer: &dyn Rule) -> impl Iterator<Item = (&'static str, &Values)> {
    optimizer.buffers().iter().copied().zip(&optimizer.memory().buffers)
}

fn prefix(buffer: &str) -> String {
    format!("optimizer.{buffer}.")
}

fn require_checkpoint(path: &Path, file: &File) -> Result<()> {
    if file.is_checkpoint() {
        return Ok(());
    }
    Err(Error::format(path, "the file holds weights, but is no checkpoint", "load the weights: `network.load(path)`"))
}

fn is_reserved(key: &str) -> bool {
    key == "format" || key.starts_with(RESERVED)
}

/// The program's own part of the metadata.
fn own(metadata: &Metadata) -> BTreeMap<String, String> {
    let own = metadata.iter().filter(|(key, _)| !is_reserved(key));
    weights::map_of(own.map(|(key, value)| (key.clone(), value.clone())))
}

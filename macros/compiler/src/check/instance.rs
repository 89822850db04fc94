//! Instances: a module with its sizes put in, its layers in the order of their fields, nested modules in place.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use graven_kernels::arguments::Arguments;
use graven_kernels::dim::Dim;
use graven_kernels::layers::{Layer, Weight, layer};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens as _, quote};
use syn::Expr;

use super::number::{Names, Number, evaluate};
use crate::diagnostics::{Errors, did_you_mean};
use crate::syntax::{Module, path_key};

/// One layer of the network.
#[derive(Debug)]
pub(crate) struct LayerInstance {
    /// `conv1`, `blocks.0.conv1`.
    pub(crate) path: String,
    /// The field.
    pub(crate) field: Ident,
    /// The module that has the field, and the field's position in it.
    declared: (Rc<Module>, usize),
    pub(crate) layer: &'static Layer,
    /// What was written, and what the inputs implied.
    pub(crate) arguments: RefCell<Arguments>,
    /// The arguments that were written, by their positions in the field.
    written: Vec<(&'static str, usize)>,
    pub(crate) frozen: bool,
}

impl LayerInstance {
    /// The tokens of an argument, for errors.
    pub(crate) fn tokens(&self, name: &str) -> Option<TokenStream> {
        let (_, position) = self.written.iter().find(|(own, _)| *own == name)?;
        let (module, field) = &self.declared;
        Some(value(&module.fields[*field].arguments[*position]).to_token_stream())
    }

    /// The parameters of the layer; those of a layer that no function uses are known only if nothing was left out.
    pub(crate) fn weights(&self) -> Vec<Weight> {
        (self.layer.weights)(&self.arguments.borrow())
    }

    /// The argument that is missing, if the inputs should have implied it and no function uses the layer.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        self.layer.inferred.filter(|name| !self.arguments.borrow().has(name))
    }
}

/// `3` in `kernel_size = 3`.
fn value(argument: &Expr) -> &Expr {
    if let Expr::Assign(assign) = argument { &assign.right } else { argument }
}

/// What a field holds.
#[derive(Debug, Clone)]
pub(crate) enum Member {
    /// Index in the list of layers.
    Layer(usize),
    Module(Rc<Instance>),
    Array(Vec<Member>),
}

/// A module with its sizes.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) module: Rc<Module>,
    /// `encoder.`, or nothing for the network itself.
    pub(crate) path: String,
    /// Its sizes where they are written, for errors: `16, 32`.
    pub(crate) sizes: TokenStream,
    /// Constants and sizes.
    pub(crate) names: Names,
    pub(crate) members: Vec<(String, Member)>,
}

impl Instance {
    /// The name of the type, with its sizes: `BasicBlock<16, 32>`.
    pub(crate) fn type_name(&self) -> String {
        let sizes: Vec<String> = self.module.sizes.iter().map(|size| self.size_text(&size.to_string())).collect();
        if sizes.is_empty() {
            self.module.name.to_string()
        } else {
            format!("{}<{}>", self.module.name, sizes.join(", "))
        }
    }

    /// A size as a number; by its name where the module is looked at by itself.
    fn size_text(&self, name: &str) -> String {
        self.names.get(name).map_or_else(|| name.to_owned(), ToString::to_string)
    }

    /// The modules nested in it, by path, with the names of their types.
    pub(crate) fn nested(&self) -> Vec<(String, String)> {
        let mut nested = Vec::new();
        for (name, member) in &self.members {
            match member {
                Member::Layer(_) => {}
                Member::Module(instance) => instance.and_nested(&mut nested),
                Member::Array(members) => {
                    let element = match members.first() {
                        Some(Member::Module(instance)) => instance.type_name(),
                        _ => String::new(),
                    };
                    nested.push((format!("{}{name}", self.path), format!("[{element}; {}]", members.len())));
                    for member in members {
                        if let Member::Module(instance) = member {
                            instance.and_nested(&mut nested);
                        }
                    }
                }
            }
        }
        nested
    }

    fn and_nested(&self, nested: &mut Vec<(String, String)>) {
        nested.push((self.path.trim_end_matches('.').to_owned(), self.type_name()));
        nested.extend(self.nested());
    }

    pub(crate) fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|(own, _)| own == name).map(|(_, member)| member)
    }
}

/// The constants of a block, in order.
pub(crate) fn constants(module: &Module, names: &mut Names, errors: &mut Errors) {
    for constant in &module.constants {
        match evaluate(&constant.value, names) {
            Ok(number) => match number.as_dim() {
                Some(dim) => {
                    names.insert(constant.name.to_string(), dim);
                }
                None => errors.at(
                    &constant.value,
                    format!("the constant `{}` must be a size: a whole number of at least 0", constant.name),
                ),
            },
            Err((expression, message)) => errors.at(expression, message),
        }
    }
}

/// Modules of an array, which is unrolled.
const MAX_LENGTH: usize = 4096;

/// Layers and modules of a network, arrays of arrays unrolled.
const MAX_MEMBERS: usize = 1 << 14;

/// Builds the instance of a module; `n_members` counts the members of all instances.
pub(crate) fn instantiate(
    module: &Rc<Module>,
    sizes: &[usize],
    path: String,
    frozen: bool,
    layers: &mut Vec<LayerInstance>,
    n_members: &mut usize,
    errors: &mut Errors,
) -> Instance {
    let mut names: Names =
        module.sizes.iter().zip(sizes).map(|(name, size)| (name.to_string(), Dim::known(*size))).collect();
    constants(module, &mut names, errors);
    let mut instance =
        Instance { module: Rc::clone(module), path, sizes: TokenStream::new(), names, members: Vec::new() };
    let mut seen = HashSet::new();
    for (position, field) in module.fields.iter().enumerate() {
        let name = field.name.to_string();
        if !seen.insert(name.clone()) {
            errors.leave_to_rustc();
            continue;
        }
        let length = match &field.length {
            None => None,
            Some(length) => match size(length, &instance.names) {
                Ok(length) if length <= MAX_LENGTH => Some(length),
                Ok(length) => {
                    errors.at(
                        &field.length,
                        format!(
                            "`{}` has {length} modules; an array is unrolled, so it may have {MAX_LENGTH} at most",
                            field.name
                        ),
                    );
                    continue;
                }
                Err((expression, message)) => {
                    errors.at(expression, message);
                    continue;
                }
            },
        };
        let at = format!("{}{name}", instance.path);
        let mut element = |path: String| {
            *n_members += 1;
            if *n_members > MAX_MEMBERS {
                let message = format!(
                    "`{}` is too much: an array is unrolled, and a network may have {MAX_MEMBERS} layers and modules",
                    field.name
                );
                errors.at(&field.name, message);
                return None;
            }
            let frozen = frozen || field.frozen;
            self::member(module, position, path, frozen, &instance.names, layers, n_members, errors)
        };
        let member = match length {
            None => element(at),
            Some(length) => {
                (0..length).map(|index| element(format!("{at}.{index}"))).collect::<Option<_>>().map(Member::Array)
            }
        };
        if let Some(member) = member {
            instance.members.push((name, member));
        }
    }
    instance
}

/// Evaluates a size that must be a number.
fn size<'a>(expression: &'a syn::Expr, names: &Names) -> Result<usize, (&'a syn::Expr, String)> {
    match evaluate(expression, names)? {
        Number::Integer(number) => {
            usize::try_from(number).map_err(|_| (expression, format!("a size cannot be {number}")))
        }
        _ => Err((expression, "a size is a whole number".to_owned())),
    }
}

fn member(
    module: &Rc<Module>,
    position: usize,
    path: String,
    frozen: bool,
    names: &Names,
    layers: &mut Vec<LayerInstance>,
    n_members: &mut usize,
    errors: &mut Errors,
) -> Option<Member> {
    let field = &module.fields[position];
    let key = path_key(&field.path);
    if let Some((_, nested)) = module.nested.iter().find(|(own, _)| *own == key) {
        if nested.sizes.len() != field.sizes.len() {
            errors.leave_to_rustc();
            return None;
        }
        if let Some(argument) = field.arguments.first() {
            let sizes =
                if nested.sizes.is_empty() { String::new() } else { format!("; its sizes stand in `{key}<..>`") };
            errors.at(
                argument,
                format!("`{}` is a module, not a layer, and takes no arguments\nhelp: remove this{sizes}", field.name),
            );
            return None;
        }
        let mut sizes = Vec::new();
        for expression in &field.sizes {
            match size(expression, names) {
                Ok(size) => sizes.push(size),
                Err((expression, message)) => {
                    errors.at(expression, message);
                    return None;
                }
            }
        }
        let mut instance = instantiate(nested, &sizes, format!("{path}."), frozen, layers, n_members, errors);
        let written = &field.sizes;
        instance.sizes = quote!(#(#written),*);
        return Some(Member::Module(Rc::new(instance)));
    }
    let Some(layer) = layer(&key) else {
        let known = graven_kernels::layers::LAYERS.iter().map(|layer| layer.name);
        errors.at(&field.path, format!("`{key}` is neither a layer nor a module{}", did_you_mean(&key, known)));
        return None;
    };
    if !field.sizes.is_empty() {
        errors.leave_to_rustc();
        return None;
    }
    let (arguments, written) = super::arguments::layer_arguments(field, layer, names, errors)?;
    if let Err(mistake) = (layer.check)(&arguments) {
        let marked = written.iter().find(|(name, _)| mistake.argument == Some(*name));
        let marked = marked.map_or_else(
            || field.name.to_token_stream(),
            |(_, position)| value(&field.arguments[*position]).to_token_stream(),
        );
        let message = mistake.message.replace("{layer}", &format!("`{}`", field.name));
        errors.open(marked, &message, &message, mistake.fits, mistake.help, Vec::new());
        return None;
    }
    layers.push(LayerInstance {
        path,
        field: field.name.clone(),
        declared: (Rc::clone(module), position),
        layer,
        arguments: RefCell::new(arguments),
        written,
        frozen,
    });
    Some(Member::Layer(layers.len() - 1))
}

//! Calls: of functions, of layers, and of modules, whose functions are walked where they are called.

use std::rc::Rc;

use graven_kernels::arguments::{Arguments, Given, Kind as ArgumentKind, Parameter};
use graven_kernels::dim::Type;
use graven_kernels::functions::{FUNCTIONS, Function as BuiltIn, function as built_in};
use graven_kernels::layers::{Mode, infer};
use graven_kernels::op::{Builder as _, Mistake, Value};
use proc_macro2::Ident;
use quote::{ToTokens, quote};
use syn::{Expr, ExprMethodCall};

use super::{Body, Item, tensors, unwrapped};
use crate::check::arguments::{assign, constant, elements, report_kind};
use crate::check::explain::{Moves, Record};
use crate::check::instance::{Instance, Member};
use crate::check::text;
use crate::diagnostics::nearest;
use crate::graph::{Kind, too_large};
use crate::syntax::{Function, Module};

impl Body<'_> {
    pub(super) fn function_call(&mut self, call: &syn::ExprCall) -> Item {
        let arguments: Vec<&Expr> = call.args.iter().collect();
        let function = unwrapped(&call.func);
        if let Expr::Path(path) = function
            && let Some(name) = path.path.get_ident()
            && !self.frame().scopes.iter().any(|scope| scope.contains_key(&name.to_string()))
        {
            return self.named_call(name, None, &arguments);
        }
        if let Expr::Path(path) = function
            && let Some(name) = path.path.segments.last().map(|segment| segment.ident.to_string())
            && built_in(&name).is_some()
        {
            self.errors.at(path, format!("`{}` is called by its name alone\nhelp: write `{name}`", text(path)));
            return Item::Unknown;
        }
        match self.expression(function) {
            Item::Member(member) => self.apply_member(&member, "forward", &arguments, function),
            Item::Unknown => Item::Unknown,
            _ => {
                self.errors.at(function, format!("`{}` is no layer and no function", text(function)));
                Item::Unknown
            }
        }
    }

    pub(super) fn method_call(&mut self, call: &ExprMethodCall) -> Item {
        let arguments: Vec<&Expr> = call.args.iter().collect();
        let name = call.method.to_string();
        if self.is_unknown_name(&call.receiver) && built_in(&name).is_some() && !call.args.is_empty() {
            return self.belongs_to_nothing(call);
        }
        match self.expression(&call.receiver) {
            Item::Unknown => Item::Unknown,
            Item::Instance(instance) => self.instance_call(&instance, call, &arguments),
            Item::Member(Member::Module(instance)) => self.instance_call(&instance, call, &arguments),
            Item::Member(member) => {
                if name == "forward" {
                    return self.apply_member(&member, "forward", &arguments, &call.method);
                }
                self.errors.at(
                    &call.method,
                    format!(
                        "`{}` has no function `{name}`\nhelp: a layer is called: `{}(t)`",
                        text(&call.receiver),
                        text(&call.receiver)
                    ),
                );
                Item::Unknown
            }
            _ if self.is_foreign(call, &name) => Item::Unknown,
            receiver => self.named_call(&call.method, Some(receiver), &arguments),
        }
    }

    /// Reports a method of a tensor that other frameworks, or Rust, have and graven knows under another name or does not need.
    fn is_foreign(&mut self, call: &ExprMethodCall, name: &str) -> bool {
        if COPIES.contains(&name) && call.args.is_empty() {
            let message = format!("`{name}` means nothing here: a tensor may be used as often as you like");
            self.errors.at(call, format!("{message}\nhelp: write `{}`", text(&call.receiver)));
            return true;
        }
        let Some((_, ours)) = OTHER_NAMES.iter().find(|(theirs, _)| *theirs == name) else { return false };
        let arguments = text(&call.args);
        let mut marked = call.method.to_token_stream();
        call.paren_token.surround(&mut marked, |tokens| call.args.to_tokens(tokens));
        let message = format!("graven's name for `{name}` is `{ours}`");
        let fits = vec![format!("{ours}({arguments})"), format!("{ours}([{arguments}])")];
        self.errors.open(marked, message.clone(), message, fits, None, Vec::new());
        true
    }

    /// `F.relu(t)`, `self.relu(t)`: a function of graven that is called on what is no tensor.
    fn belongs_to_nothing(&mut self, call: &ExprMethodCall) -> Item {
        let (receiver, dot, method) = (&call.receiver, &call.dot_token, &call.method);
        let message = format!("`{method}` is a function, and belongs to nothing\nhelp: write `{method}`");
        self.errors.at(quote!(#receiver #dot #method), message);
        Item::Unknown
    }

    /// Whether an expression is a name that nothing has: a module of Python.
    fn is_unknown_name(&self, expression: &Expr) -> bool {
        let Expr::Path(path) = expression else { return false };
        let name = path.path.get_ident().map(ToString::to_string);
        name.is_some_and(|name| name != "self" && !self.is_named(&name))
    }

    /// Whether a variable or a size has that name here.
    fn is_named(&self, name: &str) -> bool {
        let frame = self.calls.last().expect("a function is being walked");
        frame.names.contains_key(name) || frame.scopes.iter().any(|scope| scope.contains_key(name))
    }

    /// `self.conv1(t)`, `self.forward(t)`, `self.block.forward(t)`.
    fn instance_call(&mut self, instance: &Rc<Instance>, call: &ExprMethodCall, arguments: &[&Expr]) -> Item {
        let name = call.method.to_string();
        if let Some(member) = instance.member(&name) {
            let member = member.clone();
            if let (Member::Array(_), [argument]) = (&member, arguments) {
                let (array, argument) = (format!("{}.{name}", text(&call.receiver)), text(argument));
                self.errors.at(call, format!("`{name}` is an array of modules, and cannot be called\nhelp: write `{{ let mut t = {argument}; for one in &{array} {{ t = one(t); }} t }}`"));
                return Item::Unknown;
            }
            return self.apply_member(&member, "forward", arguments, &call.method);
        }
        if instance.module.fields.iter().any(|field| field.name == name) {
            return Item::Unknown;
        }
        let module = Rc::clone(&instance.module);
        if let Some(function) = module.functions.iter().find(|function| function.method && function.name == name) {
            return self.inline(function, instance, arguments, &call.method);
        }
        if built_in(&name).is_some() && !arguments.is_empty() {
            return self.belongs_to_nothing(call);
        }
        let layers: Vec<String> = instance.members.iter().map(|(name, _)| name.clone()).collect();
        let functions: Vec<String> = module.functions.iter().map(|function| function.name.to_string()).collect();
        let near = nearest(&name, layers.iter().chain(&functions).map(String::as_str));
        let message = match near {
            Some(near) => format!("no layer of `{}` is called `{name}`; did you mean `{near}`?", module.name),
            None => format!(
                "no layer and no function of `{}` is called `{name}`\nhelp: its layers are {}",
                module.name,
                layers.join(", ")
            ),
        };
        self.errors.at(&call.method, message);
        Item::Unknown
    }

    /// Inlines a call of a function that users wrote.
    fn inline(&mut self, function: &Function, instance: &Rc<Instance>, arguments: &[&Expr], at: &dyn ToTokens) -> Item {
        let items: Vec<Item> = arguments.iter().map(|argument| self.expression(argument)).collect();
        if items.iter().any(|item| matches!(item, Item::Unknown)) {
            return self.unknown_results(function);
        }
        let items = items.into_iter().map(|item| self.tensor(item.clone()).map_or(item, Item::Tensor)).collect();
        let input = match &items {
            items if Vec::is_empty(items) => None,
            items => match &items[0] {
                Item::Tensor(value) => Some(*value),
                _ => None,
            },
        };
        let Some(values) = self.call(function, instance, items, at) else { return self.unknown_results(function) };
        if let (Some(input), [output]) = (input, values.as_slice())
            && !instance.path.is_empty()
        {
            // A nested module is one step of a chain, like a layer.
            let label = instance.path.trim_end_matches('.').to_owned();
            self.records.push(Record { label, input, output: *output, layer: true, moves: Moves::Written(Vec::new()) });
        }
        match function.output {
            crate::syntax::Output::One(_) => Item::Tensor(values[0]),
            crate::syntax::Output::Tuple(_) => Item::Tuple(values.into_iter().map(Item::Tensor).collect()),
        }
    }

    fn unknown_results(&self, function: &Function) -> Item {
        match &function.output {
            crate::syntax::Output::One(_) => Item::Unknown,
            crate::syntax::Output::Tuple(types) => Item::Tuple(vec![Item::Unknown; types.len()]),
        }
    }

    fn apply_member(&mut self, member: &Member, function: &str, arguments: &[&Expr], at: &dyn ToTokens) -> Item {
        match member {
            Member::Layer(layer) => self.apply_layer(*layer, arguments, at),
            Member::Array(_) => {
                self.errors.at(at, "an array of modules cannot be called\nhelp: walk over it: `for block in &self.blocks { t = block(t); }`");
                Item::Unknown
            }
            Member::Module(instance) => {
                let module: Rc<Module> = Rc::clone(&instance.module);
                match module.functions.iter().find(|own| own.method && own.name == function) {
                    Some(function) => self.inline(function, instance, arguments, at),
                    None => {
                        self.errors.at(at, format!("`{}` has no function `{function}`", module.name));
                        Item::Unknown
                    }
                }
            }
        }
    }

    fn apply_layer(&mut self, index: usize, arguments: &[&Expr], at: &dyn ToTokens) -> Item {
        let layers = self.layers;
        let instance = &layers[index];
        let [argument] = arguments else {
            let message = format!("`{}` takes one tensor, but was given {}", instance.path, tensors(arguments.len()));
            let texts: Vec<String> = arguments.iter().map(text).collect();
            let Some(first) = texts.first() else {
                self.errors.at(at, message);
                return Item::Unknown;
            };
            let fits = vec![format!("cat([{}], dim = 1)", texts.join(", ")), first.clone()];
            self.errors.open(quote!(#(#arguments),*), message.clone(), message, fits, None, Vec::new());
            return Item::Unknown;
        };
        let input = self.expression(argument);
        if matches!(input, Item::Unknown) {
            return Item::Unknown;
        }
        let Some(input) = self.tensor(input) else {
            self.errors.at(argument, format!("`{}` takes a tensor", instance.path));
            return Item::Unknown;
        };
        let result = self.layer_output(index, input);
        self.record(result, &instance.path, &[input], Some(index), &[("input", argument)], at)
    }

    fn layer_output(&mut self, index: usize, input: Value) -> Result<Value, Mistake> {
        let instance = &self.layers[index];
        infer(instance.layer, &mut instance.arguments.borrow_mut(), &self.graph.ty(input))?;
        let mut weights = Vec::new();
        for (weight, description) in instance.weights().into_iter().enumerate() {
            if let Some(mistake) = too_large(&Type::f32(description.dims.clone())) {
                return Err(Mistake {
                    message: mistake.message.replace("gives", &format!("has a {}", description.name)),
                    ..mistake
                });
            }
            let graph = &mut self.graph;
            let value = *self.parameters.entry((index, weight)).or_insert_with(|| {
                let label = format!("{}.{}", instance.path, description.name);
                graph.push(Kind::Parameter { layer: index, weight }, Vec::new(), Type::f32(description.dims), label)
            });
            weights.push(value);
        }
        let mode = Mode::new(self.training, self.n_streams);
        self.n_streams += 1;
        self.graph.label = instance.path.as_str().into();
        let output = (instance.layer.apply)(&mut self.graph, &instance.arguments.borrow(), input, &weights, &mode);
        self.asked_mode |= mode.asked();
        output
    }

    /// `relu(t)`, `t.reshape(..)`, or a function of the block.
    fn named_call(&mut self, name: &Ident, receiver: Option<Item>, arguments: &[&Expr]) -> Item {
        let text = name.to_string();
        if let Some(function) = built_in(&text) {
            return self.apply_function(function, name, receiver, arguments);
        }
        let instance = Rc::clone(&self.frame().instance);
        let module = Rc::clone(&instance.module);
        if receiver.is_none()
            && let Some(function) = module.functions.iter().find(|function| !function.method && function.name == text)
        {
            return self.inline(function, &instance, arguments, name);
        }
        let method = module.functions.iter().any(|function| function.method && function.name == text)
            || instance.member(&text).is_some();
        let message = if method {
            format!("`{text}` belongs to `{}`\nhelp: write `self.{text}`", module.name)
        } else {
            let own = module.functions.iter().map(|function| function.name.to_string()).collect::<Vec<_>>();
            let known = FUNCTIONS.iter().map(|function| function.name).chain(own.iter().map(String::as_str));
            match nearest(&text, known) {
                Some(near) => format!("no function is called `{text}`; did you mean `{near}`?"),
                None => format!("no function is called `{text}`"),
            }
        };
        self.errors.at(name, message);
        Item::Unknown
    }

    fn apply_function(
        &mut self,
        function: &'static BuiltIn,
        name: &Ident,
        receiver: Option<Item>,
        arguments: &[&Expr],
    ) -> Item {
        let whose = format!("`{}`", function.name);
        let mut given = Arguments::default();
        let mut written: Vec<(&'static str, &Expr)> = Vec::new();
        let n_before = usize::from(receiver.is_some());
        let Some(assigned) =
            assign(function.parameters, arguments.iter().copied(), n_before, &whose, (name, None), self.errors)
        else {
            return Item::Unknown;
        };
        let n_errors = self.errors.reported();
        let mut unknown = false;
        let mut tensors = Vec::new();
        if let Some(receiver) = receiver {
            match self.tensor(receiver) {
                Some(value) => {
                    tensors.push(value);
                    given.set(function.parameters[0].name, Given::Tensor(value));
                }
                None => self.errors.at(name, format!("{whose} takes a tensor")),
            }
        }
        for (parameter, expression) in assigned {
            match self.argument(function, parameter, expression) {
                Some(value) => {
                    match &value {
                        Given::Tensor(value) => tensors.push(*value),
                        Given::Tensors(values) => tensors.extend(values),
                        _ => {}
                    }
                    given.set(parameter.name, value);
                }
                None => unknown = true,
            }
            written.push((parameter.name, expression));
        }
        if unknown || self.errors.reported() > n_errors {
            return Item::Unknown;
        }
        self.graph.label = function.name.into();
        let result = (function.apply)(&mut self.graph, &given);
        if result.is_ok() {
            self.note_labels(function, &given);
        }
        self.record(result, function.name, &tensors, None, &written, name)
    }

    /// Reads one argument of a call. None: a mistake was reported.
    fn argument(&mut self, function: &BuiltIn, parameter: &Parameter, expression: &Expr) -> Option<Given> {
        let whose = format!("`{}`", function.name);
        let tensor = |body: &mut Self, expression: &Expr| {
            let item = body.expression(expression);
            if matches!(item, Item::Unknown) {
                return None;
            }
            let value = body.tensor(item);
            if value.is_none() {
                report_kind(&whose, parameter, expression, "", body.errors);
            }
            value
        };
        match parameter.kind {
            ArgumentKind::Tensor => tensor(self, expression).map(Given::Tensor),
            ArgumentKind::Tensors => match elements(expression) {
                Some(list) => {
                    let values: Vec<Option<Value>> = list.iter().map(|element| tensor(self, element)).collect();
                    values.into_iter().collect::<Option<_>>().map(Given::Tensors)
                }
                None => {
                    report_kind(&whose, parameter, expression, "", self.errors);
                    None
                }
            },
            kind => match constant(kind, expression, self.names())? {
                Ok(given) => Some(given),
                Err(reason) => {
                    report_kind(&whose, parameter, expression, &reason, self.errors);
                    None
                }
            },
        }
    }

    /// Remembers that labels which the user gives must lie in 0..classes.
    fn note_labels(&mut self, function: &BuiltIn, given: &Arguments) {
        let Some((labels, logits)) = function.labels else { return };
        let classes = self.graph.ty(given.tensor(logits)).dims.get(1).and_then(graven_kernels::dim::Dim::as_known);
        // Labels that were reshaped are still those of the user.
        let mut value = given.tensor(labels);
        while self.graph.op(value).is_some_and(|op| op.is_view()) {
            value = self.graph.node(value).inputs[0];
        }
        if let (Kind::Input(index), Some(classes)) = (self.graph.node(value).kind.clone(), classes) {
            let input = &mut self.graph.inputs[index];
            input.classes = Some(input.classes.map_or(classes, |own| own.min(classes)));
        }
    }
}

/// Methods that PyTorch, JAX or ndarray have under another name.
const OTHER_NAMES: &[(&str, &str)] =
    &[("view", "reshape"), ("mm", "matmul"), ("bmm", "matmul"), ("dot", "matmul"), ("concat", "cat")];

/// Methods that copy a tensor or take a result out of its wrapping.
const COPIES: &[&str] = &["clone", "contiguous", "unwrap", "to_owned"];

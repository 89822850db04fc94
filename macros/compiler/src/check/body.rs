//! Bodies: walks the statements and expressions of a function and records what they compute.

mod calls;
mod report;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;

use graven_kernels::dim::{Dim, Type};
use graven_kernels::op::{Builder as _, Mistake, Value};
use graven_kernels::pointwise;
use proc_macro2::Ident;
use quote::ToTokens;
use syn::{BinOp, Block, Expr, Member as FieldName, Pat, Stmt, UnOp};

use super::explain::Record;
use super::instance::{Instance, LayerInstance, Member};
use super::number::{Number, evaluate};
use super::summary::Call;
use super::{signature, text};
use crate::diagnostics::{Errors, did_you_mean, nearest};
use crate::graph::{Graph, GraphInput, Kind, too_large};
use crate::syntax::Function;

/// What an expression stands for.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Tensor(Value),
    Number(Number),
    Tuple(Vec<Item>),
    Member(Member),
    /// `self`.
    Instance(Rc<Instance>),
    /// A mistake was reported already.
    Unknown,
}

/// Functions that call each other deeper than this are taken for endless.
const MAX_DEPTH: usize = 64;

/// Expressions inside of each other, through inlined calls, that the stack of the compiler holds.
const MAX_NESTED: usize = 1024;

/// Expressions that are walked, and operations that are recorded, for one function once its loops and calls are unrolled: a
/// network of a thousand layers has a tenth of them. More would keep the compiler busy for minutes.
const MAX_WALKED: usize = 1 << 17;
const MAX_OPERATIONS: usize = 1 << 14;

/// One function of the emitted program, its callees included.
pub(crate) struct Body<'a> {
    layers: &'a [LayerInstance],
    errors: &'a mut Errors,
    training: bool,
    graph: Graph,
    root: Rc<Instance>,
    parameters: HashMap<(usize, usize), Value>,
    records: Vec<Record>,
    /// The calls, for the summary.
    summary: Vec<Call>,
    /// Functions being inlined, innermost last.
    calls: Vec<Frame>,
    n_streams: u64,
    /// A layer does something else in training.
    asked_mode: bool,
    /// An argument is declared with a mistake, so nothing is known of what follows from it.
    unknown_arguments: bool,
    /// Expressions around the one that is walked, and all that were walked.
    nested: usize,
    walked: usize,
    /// There were too many of them, which was reported.
    exhausted: bool,
    /// A size must be known that only a caller can give.
    needs_known_size: bool,
}

/// What a walk over a function found.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) graph: Graph,
    /// The calls, for the summary.
    pub(crate) calls: Vec<Call>,
    /// Whether a layer does something else in training.
    pub(crate) asked_mode: bool,
}

/// One function being walked.
struct Frame {
    instance: Rc<Instance>,
    function: String,
    names: super::number::Names,
    scopes: Vec<HashMap<String, Item>>,
}

impl Frame {
    /// `forward`, `blocks.0.forward`.
    fn path(&self) -> String {
        format!("{}{}", self.instance.path, self.function)
    }
}

impl<'a> Body<'a> {
    pub(crate) fn new(
        root: &Rc<Instance>,
        layers: &'a [LayerInstance],
        training: bool,
        errors: &'a mut Errors,
    ) -> Body<'a> {
        Body {
            layers,
            errors,
            training,
            graph: Graph::default(),
            root: Rc::clone(root),
            parameters: HashMap::new(),
            records: Vec::new(),
            summary: Vec::new(),
            calls: Vec::new(),
            n_streams: 0,
            asked_mode: false,
            unknown_arguments: false,
            nested: 0,
            walked: 0,
            exhausted: false,
            needs_known_size: false,
        }
    }

    pub(crate) fn finish(self) -> Walked {
        self.errors.add_work(self.walked);
        Walked { graph: self.graph, calls: self.summary, asked_mode: self.asked_mode }
    }

    /// Whether the function needs sizes that its signature leaves open (besides the batch), so that only its callers can use it.
    pub(crate) fn is_template(&self, _: &Function) -> bool {
        self.needs_known_size
    }

    /// The arguments of the function that users call.
    pub(crate) fn root_arguments(&mut self, function: &Function) -> Vec<Item> {
        let mut names = self.root.names.clone();
        let mut items = Vec::new();
        function.arguments.iter().for_each(|argument| signature::bind_symbols(&argument.ty, &mut names));
        for argument in &function.arguments {
            let Some(ty) = signature::declare(&argument.ty, &mut names, self.errors) else {
                self.unknown_arguments = true;
                items.push(Item::Unknown);
                continue;
            };
            let name = argument.name.to_string();
            if let Some(mistake) = too_large(&ty) {
                self.errors
                    .at_span(argument.ty.span, mistake.message.replace("{layer} gives", &format!("`{name}` is")));
                items.push(Item::Unknown);
                continue;
            }
            let value = self.graph.push(Kind::Input(self.graph.inputs.len()), Vec::new(), ty, name.clone());
            self.graph.inputs.push(GraphInput { name, value, classes: None });
            items.push(Item::Tensor(value));
        }
        items
    }

    /// Inlines a function of a module. None if its results are not all tensors that are known.
    pub(crate) fn call(
        &mut self,
        function: &Function,
        instance: &Rc<Instance>,
        items: Vec<Item>,
        at: &dyn ToTokens,
    ) -> Option<Vec<Value>> {
        let name = function.name.to_string();
        // A nested module is called by the name of its field.
        let nested = !self.calls.is_empty() && !Rc::ptr_eq(instance, &self.root);
        let whose = if nested { instance.path.trim_end_matches('.').to_owned() } else { name.clone() };
        let same = |frame: &Frame| frame.function == name && Rc::ptr_eq(&frame.instance, instance);
        if self.calls.iter().any(same) || self.calls.len() >= MAX_DEPTH {
            self.errors.at(at, format!("`{name}` calls itself: a network is unrolled while compiling, so calls must end\nhelp: use `for` over an array of modules"));
            return None;
        }
        let mut names = instance.names.clone();
        let mut scope = HashMap::new();
        if items.len() != function.arguments.len() {
            self.errors.at(
                at,
                format!("`{whose}` takes {}, but was given {}", tensors(function.arguments.len()), items.len()),
            );
            return None;
        }
        for (argument, item) in function.arguments.iter().zip(&items) {
            if let Item::Tensor(value) = item {
                signature::bind_given(&argument.ty, &self.graph.ty(*value), &mut names);
            }
        }
        for (argument, item) in function.arguments.iter().zip(items) {
            if let Item::Tensor(value) = &item {
                let given = self.graph.ty(*value);
                if let Err(declared) = signature::unify(&argument.ty, &given, &mut names, self.errors) {
                    if let Some(declared) = declared {
                        let mut message = format!(
                            "`{whose}` takes `{}` {declared}, but was given {given}{}",
                            argument.name,
                            self.note(*value)
                        );
                        if nested {
                            let _ = write!(message, "\nnote: `{whose}` is a `{}`", instance.type_name());
                        }
                        match fitting(instance, &argument.ty.dims, &given.dims) {
                            Some(sizes) if nested => {
                                let help = format!("write `{sizes}`: `{whose}: {}<{sizes}>`", instance.module.name);
                                self.errors.at(&instance.sizes, format!("{message}\nhelp: {help}"));
                            }
                            _ => self.errors.at(at, message),
                        }
                    }
                    return None;
                }
            }
            scope.insert(argument.name.to_string(), item);
        }
        self.calls.push(Frame { instance: Rc::clone(instance), function: name, names, scopes: vec![scope] });
        let result = self.body(function);
        let results = self.results(function, result);
        self.calls.pop();
        results
    }

    /// Checks what a body gives against what its signature promises.
    fn results(&mut self, function: &Function, result: Item) -> Option<Vec<Value>> {
        let items = match result {
            Item::Tuple(items) => items,
            item => vec![item],
        };
        let types = function.output.types();
        if items.len() != types.len() && !items.iter().any(|item| matches!(item, Item::Unknown)) {
            let values = if items.len() == 1 { "one value".to_owned() } else { format!("{} values", items.len()) };
            let help = if types.len() == 1 {
                "return one value".to_owned()
            } else {
                format!("return a tuple of {}: `(loss, ..)`", types.len())
            };
            let message = format!(
                "`{}` returns {values}, but its signature says {}\nhelp: {help}",
                function.name,
                signature::written(&function.output)
            );
            match function.body.stmts.last() {
                Some(Stmt::Expr(last, None)) => self.errors.at(last, message),
                _ => self.errors.at(&function.name, message),
            }
            return None;
        }
        let mut values = Vec::new();
        if self.unknown_arguments && items.iter().any(|item| matches!(item, Item::Unknown)) {
            return None;
        }
        for (item, ty) in items.into_iter().zip(types) {
            let names = self.frame().names.clone();
            let promised = signature::promised(ty, &names, self.errors);
            let value = match item {
                Item::Tensor(value) => value,
                Item::Number(number) => {
                    let scalar = self.graph.scalar(number.to_scalar());
                    self.graph.stored(scalar)
                }
                Item::Unknown => return None,
                _ => {
                    self.errors.at(&function.name, format!("`{}` must return tensors", function.name));
                    return None;
                }
            };
            let given = self.graph.ty(value);
            let promised = promised?;
            if promised != given {
                let note = self.note(value);
                let message = format!(
                    "`{}` returns {given}, but its signature says {promised}{note}\nhelp: write `{}`",
                    function.name,
                    signature::inner(&given)
                );
                self.errors.at_span(ty.span, message);
                return None;
            }
            values.push(value);
        }
        Some(values)
    }

    /// Walks the body of a function. One that ends with a semicolon has a mistake that deserves its own words.
    fn body(&mut self, function: &Function) -> Item {
        let item = self.block(&function.body);
        if let Item::Tuple(items) = &item
            && items.is_empty()
        {
            let signature = signature::written(&function.output);
            let message = format!("`{}` returns nothing, but its signature says {signature}", function.name);
            match function.body.stmts.last() {
                Some(statement @ Stmt::Expr(last, Some(_))) if returns(last) => {
                    let message = format!("{message}\nhelp: write `{}`, without the `;`", text(last));
                    self.errors.at(statement, message);
                }
                _ => self
                    .errors
                    .at(&function.name, format!("{message}\nhelp: end the body with the value, without a `;`")),
            }
            return Item::Unknown;
        }
        item
    }

    /// The sizes that have names here.
    fn names(&self) -> &super::number::Names {
        &self.calls.last().expect("a function is being walked").names
    }

    fn frame(&mut self) -> &mut Frame {
        self.calls.last_mut().expect("a function is being walked")
    }

    fn block(&mut self, block: &Block) -> Item {
        self.frame().scopes.push(HashMap::new());
        let mut result = Item::Tuple(Vec::new());
        for (position, statement) in block.stmts.iter().enumerate() {
            let last = position + 1 == block.stmts.len();
            match statement {
                Stmt::Local(local) => {
                    let item = match &local.init {
                        Some(init) => self.expression(&init.expr),
                        None => {
                            self.errors.at(local, "a `let` in a network needs a value");
                            Item::Unknown
                        }
                    };
                    self.bind(&local.pat, item);
                }
                Stmt::Expr(expression, None) if last && returns(expression) => result = self.expression(expression),
                Stmt::Expr(Expr::Return(back), _) if last => {
                    let value = back.expr.as_ref().map_or(String::new(), text);
                    let message = "a function of a network ends with its value, without `return`";
                    self.errors.at(statement, format!("{message}\nhelp: write `{value}`"));
                    result = Item::Unknown;
                }
                // Said once, by the function that returns nothing.
                Stmt::Expr(expression, Some(_)) if last && self.frame().scopes.len() == 2 && returns(expression) => {
                    self.expression(expression);
                }
                Stmt::Expr(expression, _) => self.statement(expression),
                Stmt::Macro(call) => {
                    let help = "help: remove it, and look at the results where the function is called";
                    let name = text(&call.mac.path);
                    self.errors
                        .at(call, format!("`{name}!` cannot stand in a network, which is compiled as a whole\n{help}"));
                }
                other => self
                    .errors
                    .at(other, "items cannot stand in the body of a network function\nhelp: move it out of the block"),
            }
        }
        self.frame().scopes.pop();
        result
    }

    /// An expression whose value is not used: an assignment or a loop.
    fn statement(&mut self, expression: &Expr) {
        match expression {
            Expr::Assign(assign) => {
                let item = self.expression(&assign.right);
                let name = text(&assign.left);
                let frame = self.frame();
                match frame.scopes.iter_mut().rev().find_map(|scope| scope.get_mut(&name)) {
                    Some(variable) => *variable = item,
                    None => self.errors.at(
                        &assign.left,
                        format!("no variable is called `{name}`\nhelp: declare it first: `let mut {name} = ..;`"),
                    ),
                }
            }
            Expr::ForLoop(for_loop) => self.for_loop(for_loop),
            Expr::Block(block) => {
                self.block(&block.block);
            }
            other => {
                let n_errors = self.errors.reported();
                self.expression(other);
                if self.errors.reported() == n_errors {
                    let shown = text(other);
                    self.errors.at(other, format!("the value of `{shown}` is computed and dropped\nhelp: write `let t = {shown}` and use it, or remove it"));
                }
            }
        }
    }

    fn for_loop(&mut self, for_loop: &syn::ExprForLoop) {
        let items = match unwrapped(&for_loop.expr) {
            Expr::Range(range) => {
                let names = self.frame().names.clone();
                let bound = |bound: &Option<Box<Expr>>| match bound {
                    None => Ok(0),
                    Some(bound) => match evaluate(bound, &names) {
                        Ok(Number::Integer(number)) if (0..=4096).contains(&number) => Ok(number),
                        _ => Err(()),
                    },
                };
                match (bound(&range.start), bound(&range.end)) {
                    (Ok(start), Ok(end)) => (start..end).map(|number| Item::Number(Number::Integer(number))).collect(),
                    _ => {
                        self.errors
                            .at(range, "a loop is unrolled while compiling, so its bounds must be known: 0 to 4096");
                        return;
                    }
                }
            }
            other => match self.expression(other) {
                Item::Member(Member::Array(members)) => members.into_iter().map(Item::Member).collect(),
                Item::Unknown => return,
                _ => {
                    self.errors.at(&for_loop.expr, "a loop walks over an array of modules, or a range\nhelp: `for block in &self.blocks { t = block(t); }`");
                    return;
                }
            },
        };
        let items: Vec<Item> = items;
        for item in items {
            if !self.affordable(&for_loop.expr) {
                return;
            }
            self.frame().scopes.push(HashMap::new());
            self.bind(&for_loop.pat, item);
            let result = self.block(&for_loop.body);
            if !matches!(&result, Item::Unknown) && !matches!(&result, Item::Tuple(items) if items.is_empty()) {
                self.errors
                    .at(&for_loop.body, "the value of the loop's body is dropped\nhelp: assign it: `t = block(t);`");
            }
            self.frame().scopes.pop();
        }
    }

    /// Binds the names of a pattern.
    fn bind(&mut self, pattern: &Pat, item: Item) {
        match (pattern, item) {
            (Pat::Ident(name), item) => {
                self.frame().scopes.last_mut().expect("a scope is open").insert(name.ident.to_string(), item);
            }
            (Pat::Type(typed), item) => self.bind(&typed.pat, item),
            (Pat::Paren(paren), item) => self.bind(&paren.pat, item),
            (Pat::Wild(_), _) => {}
            (Pat::Tuple(tuple), Item::Tuple(items)) if tuple.elems.len() == items.len() => {
                for (pattern, item) in tuple.elems.iter().zip(items) {
                    self.bind(pattern, item);
                }
            }
            (Pat::Tuple(tuple), Item::Unknown) => {
                tuple.elems.iter().for_each(|pattern| self.bind(pattern, Item::Unknown))
            }
            (Pat::Tuple(tuple), Item::Tuple(items)) => {
                self.errors.at(tuple, format!("{} names for {} values", tuple.elems.len(), items.len()));
                tuple.elems.iter().for_each(|pattern| self.bind(pattern, Item::Unknown));
            }
            (Pat::Tuple(tuple), _) => {
                self.errors.at(tuple, format!("{} names for one value", tuple.elems.len()));
                tuple.elems.iter().for_each(|pattern| self.bind(pattern, Item::Unknown));
            }
            (other, _) => self.errors.at(other, "a network binds names and tuples of names only"),
        }
    }

    fn expression(&mut self, expression: &Expr) -> Item {
        if !self.affordable(expression) {
            return Item::Unknown;
        }
        self.nested += 1;
        let item = self.item(expression);
        self.nested -= 1;
        item
    }

    /// Whether an expression may be walked in the stack and the time that a compiler has. Says once that it may not.
    fn affordable(&mut self, expression: &Expr) -> bool {
        self.walked += 1;
        let too_long = self.walked > MAX_WALKED || self.graph.nodes.len() > MAX_OPERATIONS;
        if self.exhausted || !too_long && self.nested < MAX_NESTED {
            return !self.exhausted;
        }
        self.exhausted = true;
        let name = self.calls.first().map_or(String::new(), |frame| frame.function.clone());
        let message = if too_long {
            format!(
                "`{name}` is too long: with its loops and calls unrolled it has more than {MAX_OPERATIONS} operations\nhelp: let the loops run less often"
            )
        } else {
            format!(
                "`{name}` is nested too deeply: with its calls inlined, {MAX_NESTED} expressions stand inside of each other\nhelp: give parts of them names: `let t = ..;`"
            )
        };
        self.errors.at(expression, message);
        false
    }

    fn item(&mut self, expression: &Expr) -> Item {
        match expression {
            Expr::Paren(inner) => self.expression(&inner.expr),
            Expr::Group(inner) => self.expression(&inner.expr),
            Expr::Reference(inner) => self.expression(&inner.expr),
            Expr::Block(block) => self.block(&block.block),
            Expr::Tuple(tuple) => Item::Tuple(tuple.elems.iter().map(|element| self.expression(element)).collect()),
            Expr::Lit(_) => self.number(expression),
            Expr::Path(path) => self.name(path),
            Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => self.negate(unary),
            Expr::Binary(binary) => self.binary(binary),
            Expr::Field(field) => self.field(field),
            Expr::Index(index) => self.index(index),
            Expr::Call(call) => self.function_call(call),
            Expr::MethodCall(call) => self.method_call(call),
            Expr::Try(inner) => {
                let inner = text(&inner.expr);
                self.errors.at(
                    expression,
                    format!("nothing in a network can fail, so nothing needs a `?`\nhelp: write `{inner}`"),
                );
                Item::Unknown
            }
            Expr::If(branches) => {
                let branch = branches.then_branch.stmts.as_slice();
                let fits: Vec<String> =
                    if let [Stmt::Expr(only, None)] = branch { vec![text(only)] } else { Vec::new() };
                let message = "a network has no `if`: what it computes is fixed when it is compiled".to_owned();
                let help = "write one function for each way, and choose where they are called".to_owned();
                let help = fits.first().map_or(help, |fit| format!("write `{fit}`, or one function for each way"));
                self.errors.open(branches, message.clone(), message, fits, Some(help), Vec::new());
                Item::Unknown
            }
            other => {
                let shown = text(other);
                let shown = if shown.len() > 40 { "this".to_owned() } else { format!("`{shown}`") };
                self.errors.at(other, format!("{shown} cannot stand in a network\nhelp: a network is made of `let`, calls, + - * /, tuples, and `for` over an array of modules"));
                Item::Unknown
            }
        }
    }

    fn number(&mut self, expression: &Expr) -> Item {
        match evaluate(expression, self.names()) {
            Ok(number) => Item::Number(number),
            Err((at, message)) => {
                self.errors.at(at, message);
                Item::Unknown
            }
        }
    }

    fn name(&mut self, path: &syn::ExprPath) -> Item {
        let Some(name) = path.path.get_ident().map(ToString::to_string) else {
            let message = signature::unknown_name(&path.path, self.names());
            self.errors.at(path, message);
            return Item::Unknown;
        };
        let frame = self.frame();
        if name == "self" {
            return Item::Instance(Rc::clone(&frame.instance));
        }
        if let Some(item) = frame.scopes.iter().rev().find_map(|scope| scope.get(&name)) {
            return item.clone();
        }
        if let Some(dim) = frame.names.get(&name) {
            return Item::Number(Number::from_dim(dim));
        }
        let mut known: Vec<&str> = frame.scopes.iter().flat_map(HashMap::keys).map(String::as_str).collect();
        known.sort_unstable();
        known.dedup();
        let near = match did_you_mean(&name, known.iter().copied()) {
            near if !near.is_empty() => near,
            _ => match known.as_slice() {
                [] => String::new(),
                [only] => format!("\nhelp: write `{only}`, the only variable so far"),
                several => format!("\nhelp: the variables so far are {}", quoted(several)),
            },
        };
        let message = if name.chars().all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit()) {
            signature::unknown_name(&path.path, &frame.names)
        } else {
            format!("no variable is called `{name}` here{near}")
        };
        self.errors.at(path, message);
        Item::Unknown
    }

    fn negate(&mut self, unary: &syn::ExprUnary) -> Item {
        match self.expression(&unary.expr) {
            Item::Number(number) => number.negate().map_or(Item::Unknown, Item::Number),
            Item::Tensor(value) => self.pointwise("neg", &[value], unary),
            Item::Unknown => Item::Unknown,
            _ => {
                self.errors.at(unary, "only tensors and numbers can be negated");
                Item::Unknown
            }
        }
    }

    fn binary(&mut self, binary: &syn::ExprBinary) -> Item {
        let row = match binary.op {
            BinOp::Add(_) => "add",
            BinOp::Sub(_) => "sub",
            BinOp::Mul(_) => "mul",
            BinOp::Div(_) => "div",
            BinOp::AddAssign(_) | BinOp::SubAssign(_) | BinOp::MulAssign(_) | BinOp::DivAssign(_) => {
                let (left, sign) = (text(&binary.left), text(&binary.op).replace('=', ""));
                self.errors.at(
                    binary,
                    format!("tensors do not change\nhelp: write `{left} = {left} {sign} ({})`", text(&binary.right)),
                );
                return Item::Unknown;
            }
            other => {
                self.errors.at(other, "tensors know + - * / only");
                return Item::Unknown;
            }
        };
        let (left, right) = (self.expression(&binary.left), self.expression(&binary.right));
        match (left, right) {
            (Item::Unknown, _) | (_, Item::Unknown) => Item::Unknown,
            (Item::Number(left), Item::Number(right)) => match left.binary(&binary.op, &right) {
                // In a shape, 7 / 2 is 3; beside tensors it would be a wrong number in silence.
                Ok(_) if left.leaves_a_remainder(&binary.op, &right) => {
                    let (left, right) = (text(&binary.left), text(&binary.right));
                    self.errors.at(
                        binary,
                        format!("`{left} / {right}` divides whole numbers and leaves a remainder\nhelp: write `{left}.0 / {right}.0`"),
                    );
                    Item::Unknown
                }
                Ok(number) => Item::Number(number),
                Err(message) => {
                    self.errors.at(binary, message);
                    Item::Unknown
                }
            },
            (left, right) => {
                let (left, right) = (self.tensor(left), self.tensor(right));
                match (left, right) {
                    (Some(left), Some(right)) => self.pointwise(row, &[left, right], binary),
                    _ => {
                        self.errors.at(binary, "only tensors and numbers can be combined");
                        Item::Unknown
                    }
                }
            }
        }
    }

    /// An item as a tensor; numbers become tensors of rank 0.
    fn tensor(&mut self, item: Item) -> Option<Value> {
        match item {
            Item::Tensor(value) => Some(value),
            Item::Number(number) => Some(self.graph.scalar(number.to_scalar())),
            _ => None,
        }
    }

    fn pointwise(&mut self, row: &'static str, inputs: &[Value], at: &dyn ToTokens) -> Item {
        self.graph.label = row.into();
        let result = match self.stretched(row, inputs) {
            Some(mistake) => Err(mistake),
            None => pointwise::apply(&mut self.graph, row, inputs).map_err(|mistake| self.declared(mistake, inputs)),
        };
        let sign = match row {
            "add" => "+",
            "sub" => "-",
            "mul" => "*",
            "div" => "/",
            other => other,
        };
        self.record(result, sign, inputs, None, &[], at)
    }

    /// A mistake about two arguments of the function that do not fit lies in the declaration of the second.
    fn declared(&self, mistake: Mistake, inputs: &[Value]) -> Mistake {
        let [left, right] = inputs else { return mistake };
        let [lhs, rhs] = [self.graph.node(*left), self.graph.node(*right)];
        match (&lhs.kind, &rhs.kind, lhs.ty.rank().checked_sub(rhs.ty.rank())) {
            (Kind::Input(_), Kind::Input(_), Some(from)) if lhs.ty.dtype == rhs.ty.dtype => {
                mistake.declare(1, Type { dtype: rhs.ty.dtype, dims: lhs.ty.dims[from..].into() })
            }
            _ => mistake,
        }
    }

    /// What is wrong with a residual addition `f(t) + t` that fits only because broadcasting stretches an axis of 1 that the
    /// layers of `f` have widened. Any other stretch is left alone: masks, biases and sums with `keepdim` are meant.
    fn stretched(&self, row: &str, inputs: &[Value]) -> Option<Mistake> {
        let [left, right] = inputs else { return None };
        let (lhs, rhs) = (&self.graph.node(*left).ty, &self.graph.node(*right).ty);
        if row != "add"
            || lhs.dims == rhs.dims
            || lhs.rank() != rhs.rank()
            || lhs.rank() < 2
            || lhs.dims[0] != rhs.dims[0]
        {
            return None;
        }
        let one = Dim::known(1);
        let axis = (1..lhs.rank()).find(|axis| lhs.dims[*axis] != rhs.dims[*axis])?;
        let (narrow, narrow_ty, wide, wide_ty) = match (&lhs.dims[axis], &rhs.dims[axis]) {
            (left_size, _) if *left_size == one => (*left, lhs, *right, rhs),
            (_, right_size) if *right_size == one => (*right, rhs, *left, lhs),
            _ => return None,
        };
        let size = |value: Value| self.graph.node(value).ty.dims.get(axis).cloned();
        let (mut value, mut widened) = (wide, false);
        while value != narrow {
            let record = self.records.iter().rev().find(|record| record.output == value && record.input < value)?;
            widened |=
                record.layer && size(record.input) == Some(one.clone()) && size(record.output) != Some(one.clone());
            value = record.input;
        }
        let (given, wanted) = (&narrow_ty.dims[axis], &wide_ty.dims[axis]);
        let mistake = Mistake::new(format!(
            "{{layer}} adds {narrow_ty} to {wide_ty}, which was made of it: {given} would be stretched to {wanted} on axis {axis}"
        ))
        .of_all_inputs()
        .help(format!("bring both to {wanted} first, as by a `Conv2d` with kernel_size 1 or a `Linear` on the shortcut"));
        widened.then_some(mistake)
    }

    fn field(&mut self, field: &syn::ExprField) -> Item {
        let FieldName::Named(name) = &field.member else {
            self.errors.at(field, "take a tuple apart with `let (a, b) = ..;`");
            return Item::Unknown;
        };
        match self.expression(&field.base) {
            Item::Instance(instance) => self.member(&instance, name),
            Item::Member(Member::Module(instance)) => self.member(&instance, name),
            Item::Unknown => Item::Unknown,
            _ => {
                self.errors.at(field, format!("`{}` has no field `{name}` that a network can use", text(&field.base)));
                Item::Unknown
            }
        }
    }

    fn member(&mut self, instance: &Rc<Instance>, name: &Ident) -> Item {
        if let Some(member) = instance.member(&name.to_string()) {
            return Item::Member(member.clone());
        }
        if instance.module.fields.iter().any(|field| field.name == *name) {
            // The field exists, but what it holds was reported.
            return Item::Unknown;
        }
        let candidates: Vec<String> = instance.members.iter().map(|(name, _)| name.clone()).collect();
        let near = nearest(&name.to_string(), candidates.iter().map(String::as_str));
        let message = match near {
            Some(near) => format!("no layer of `{}` is called `{name}`; did you mean `{near}`?", instance.module.name),
            None => format!(
                "no layer of `{}` is called `{name}`\nhelp: its layers are {}",
                instance.module.name,
                candidates.join(", ")
            ),
        };
        self.errors.at(name, message);
        Item::Unknown
    }

    fn index(&mut self, index: &syn::ExprIndex) -> Item {
        let base = self.expression(&index.expr);
        let position = self.expression(&index.index);
        match (base, position) {
            (Item::Member(Member::Array(members)), Item::Number(Number::Integer(position))) => {
                match usize::try_from(position).ok().and_then(|position| members.get(position)) {
                    Some(member) => Item::Member(member.clone()),
                    None => {
                        self.errors.at(
                            &index.index,
                            format!("`{}` has {} modules, so there is no {position}", text(&index.expr), members.len()),
                        );
                        Item::Unknown
                    }
                }
            }
            (Item::Unknown, _) | (_, Item::Unknown) => Item::Unknown,
            _ => {
                self.errors.at(index, "only arrays of modules can be indexed, by a number known at compile time");
                Item::Unknown
            }
        }
    }
}

/// Whether an expression has a value: loops and assignments have none.
fn returns(expression: &Expr) -> bool {
    !matches!(expression, Expr::ForLoop(_) | Expr::Assign(_))
}

/// The sizes with which a module would take an argument: `128` for `Block<128>`.
fn fitting(instance: &Instance, declared: &[Expr], given: &[Dim]) -> Option<String> {
    let mut names = instance.names.clone();
    for (declared, given) in declared.iter().zip(given) {
        names.extend(
            instance
                .module
                .sizes
                .iter()
                .find(|size| text(declared) == size.to_string())
                .map(|size| (size.to_string(), given.clone())),
        );
    }
    let sizes: Vec<String> =
        instance.module.sizes.iter().filter_map(|size| names.get(&size.to_string())).map(ToString::to_string).collect();
    (names != instance.names).then(|| sizes.join(", "))
}

/// "one tensor", "2 tensors".
fn tensors(count: usize) -> String {
    match count {
        0 => "none".to_owned(),
        1 => "one tensor".to_owned(),
        count => format!("{count} tensors"),
    }
}

/// "`a`, `b`".
fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// An expression without parentheses and references around it.
fn unwrapped(expression: &Expr) -> &Expr {
    match expression {
        Expr::Paren(inner) => unwrapped(&inner.expr),
        Expr::Group(inner) => unwrapped(&inner.expr),
        Expr::Reference(inner) => unwrapped(&inner.expr),
        other => other,
    }
}

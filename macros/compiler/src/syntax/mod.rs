//! Parse: from tokens to a [`Module`] and its [`Function`]s, with their spans. Nothing is decided here, and no operation is known.

mod depth;
mod envelope;
mod parse;
mod print;

use std::rc::Rc;

use proc_macro2::{Ident, Span, TokenStream};
use syn::{Attribute, Block, Expr, LitStr, Path, Visibility};

pub(crate) use depth::check_depth;
pub(crate) use envelope::Envelope;
pub(crate) use parse::{parse_description, parse_input, parse_struct};

/// A struct with `#[derive(Module)]`, and the functions of its `network!` block.
#[derive(Debug, Clone)]
pub struct Module {
    /// The name of the struct.
    pub name: Ident,
    /// Its visibility.
    pub visibility: Visibility,
    /// The names of its sizes: `IN`, `OUT`.
    pub sizes: Vec<Ident>,
    /// What stands behind its name: the sizes, and what cannot stand there.
    pub generics: syn::Generics,
    /// Its fields, in order.
    pub fields: Vec<Field>,
    /// The constants of the block.
    pub constants: Vec<Constant>,
    /// The functions of the block.
    pub functions: Vec<Function>,
    /// The files of `weights!("..");`.
    pub weights: Vec<LitStr>,
    /// The modules that its fields name, by the text of the path.
    pub nested: Vec<(String, Rc<Module>)>,
    /// What the parser could not read; it went on behind it.
    pub mistakes: Vec<syn::Error>,
    /// How many of them, the first ones, stand in the struct.
    pub struct_mistakes: usize,
    /// A mistake in it was reported where it stands.
    pub wrong: bool,
}

/// A field of a module.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its name.
    pub name: Ident,
    /// The path of its type, without sizes: `Conv2d`, `blocks::BasicBlock`.
    pub path: Path,
    /// The sizes of the type: `<16, 32>`.
    pub sizes: Vec<Expr>,
    /// For an array of modules, its length.
    pub length: Option<Expr>,
    /// What stands in `#[layer(..)]`.
    pub arguments: Vec<Expr>,
    /// `#[layer(frozen)]`.
    pub frozen: bool,
}

/// `const NAME: usize = ..;`
#[derive(Debug, Clone)]
pub struct Constant {
    /// Its name.
    pub name: Ident,
    /// Its value.
    pub value: Expr,
}

/// A function of the block.
#[derive(Debug, Clone)]
pub struct Function {
    /// Doc comments and other attributes.
    pub attributes: Vec<Attribute>,
    /// Its visibility.
    pub visibility: Visibility,
    /// Its name.
    pub name: Ident,
    /// Whether it takes `&self`.
    pub method: bool,
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// What it returns: one tensor, or several.
    pub output: Output,
    /// Its body.
    pub body: Block,
}

/// An argument of a function.
#[derive(Debug, Clone)]
pub struct Argument {
    /// Its name.
    pub name: Ident,
    /// Its shape and element type.
    pub ty: TensorType,
}

/// `Tensor<[N, 1, 28, 28]>`, `Tensor<[N], i64>`.
#[derive(Debug, Clone)]
pub struct TensorType {
    /// The sizes.
    pub dims: Vec<Expr>,
    /// Whether the elements are integers.
    pub integers: bool,
    /// It could not be read, and may be meant for either.
    pub unread: bool,
    /// Where it stands.
    pub span: Span,
}

/// What a function returns.
#[derive(Debug, Clone)]
pub enum Output {
    /// One tensor.
    One(TensorType),
    /// A tuple of tensors.
    Tuple(Vec<TensorType>),
}

impl Output {
    /// The tensors, one or several.
    #[must_use]
    pub fn types(&self) -> &[TensorType] {
        match self {
            Output::One(ty) => std::slice::from_ref(ty),
            Output::Tuple(types) => types,
        }
    }
}

/// `assert!(CLASSES == FashionMnist::CLASSES);`, which rustc evaluates.
#[derive(Debug, Clone)]
pub struct Assertion {
    /// The condition and the message, as written.
    pub tokens: TokenStream,
    /// The condition.
    pub condition: Expr,
}

/// The text of a path, by which nested modules are found again.
#[must_use]
pub fn path_key(path: &Path) -> String {
    // `graven::Conv2d` is the layer that `Conv2d` is.
    if let [first, last] = path.segments.iter().collect::<Vec<_>>().as_slice()
        && first.ident == "graven"
    {
        return last.ident.to_string();
    }
    let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    let leading = if path.leading_colon.is_some() { "::" } else { "" };
    format!("{leading}{}", segments.join("::"))
}

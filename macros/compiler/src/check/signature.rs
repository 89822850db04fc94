//! Signatures: what the arguments of a function bind, and what it promises to return.

use graven_kernels::dim::{Dim, Dtype, Type};
use syn::{Expr, ExprLit, ExprUnary as Unary, Lit, UnOp};

use super::number::{Names, evaluate, undeclared};
use crate::diagnostics::Errors;
use crate::syntax::{Output, TensorType};

/// Binds the sizes that stand alone in a signature, such as `N`, so that `N * 2` may stand in an argument before.
pub(crate) fn bind_symbols(ty: &TensorType, names: &mut Names) {
    for name in ty.dims.iter().filter_map(lone_name) {
        let symbol = Dim::symbol(&name);
        names.entry(name).or_insert(symbol);
    }
}

/// Binds them to the sizes that a call gives; the first argument that has one decides.
pub(crate) fn bind_given(ty: &TensorType, given: &Type, names: &mut Names) {
    for (name, size) in ty.dims.iter().map(lone_name).zip(given.dims.iter()) {
        if let Some(name) = name {
            names.entry(name).or_insert_with(|| size.clone());
        }
    }
}

/// A batch as other frameworks write it.
fn is_placeholder(expression: &Expr) -> bool {
    match expression {
        Expr::Infer(_) => true,
        Expr::Unary(Unary { op: UnOp::Neg(_), expr, .. }) => {
            matches!(&**expr, Expr::Lit(ExprLit { lit: Lit::Int(one), .. }) if one.base10_digits() == "1")
        }
        _ => false,
    }
}

/// The type that a signature declares, for an argument of a function that users call: an unknown name is a size that the
/// run binds.
pub(crate) fn declare(ty: &TensorType, names: &mut Names, errors: &mut Errors) -> Option<Type> {
    let mut dims = Vec::new();
    for expression in &ty.dims {
        dims.push(dim(expression, names, errors)?);
    }
    Some(Type { dtype: dtype(ty), dims: dims.into() })
}

/// Matches the type of an argument with what the signature declares; unknown names are bound to what is given.
///
/// The declared shape, as it is after binding, comes back if it does not fit.
pub(crate) fn unify(
    ty: &TensorType,
    given: &Type,
    names: &mut Names,
    errors: &mut Errors,
) -> Result<(), Option<String>> {
    let print = |names: &Names| {
        let sizes: Vec<String> = ty
            .dims
            .iter()
            .map(|expression| {
                evaluate(expression, names)
                    .ok()
                    .and_then(|number| number.as_dim())
                    .map_or_else(|| super::text(expression), |dim| dim.to_string())
            })
            .collect();
        format!("[{}]{}", sizes.join(", "), if ty.integers { " of i64" } else { "" })
    };
    if ty.dims.len() != given.rank() || dtype(ty) != given.dtype {
        return Err(Some(print(names)));
    }
    for (expression, given) in ty.dims.iter().zip(given.dims.iter()) {
        match dim(expression, names, errors) {
            None => return Err(None),
            Some(declared) if declared != *given => return Err(Some(print(names))),
            Some(_) => {}
        }
    }
    Ok(())
}

/// The type that a function promises to return; an unknown name is a mistake here.
pub(crate) fn promised(ty: &TensorType, names: &Names, errors: &mut Errors) -> Option<Type> {
    for expression in &ty.dims {
        if let Some(name) = lone_name(expression).filter(|name| !names.contains_key(name)) {
            let declare = format!("declare `const {name}: usize = ..;` in the block");
            let mut bound: Vec<&str> = names.values().flat_map(Dim::symbols).map(String::as_str).collect();
            bound.sort_unstable();
            bound.dedup();
            let help = match bound.first() {
                Some(bound) => format!("write `{bound}`, which an argument binds, or {declare}"),
                None => declare,
            };
            errors.at(expression, format!("`{name}` is the size of no argument, so no call can tell it\nhelp: {help}"));
            return None;
        }
    }
    let dims = ty.dims.iter().map(|expression| dim(expression, names, errors)).collect::<Option<_>>()?;
    Some(Type { dtype: dtype(ty), dims })
}

/// What a signature returns, as it is written: `[N, 10]`, `([], [] of i64)`.
pub(crate) fn written(output: &Output) -> String {
    let one = |ty: &TensorType| {
        let dims: Vec<String> = ty.dims.iter().map(super::text).collect();
        format!("[{}]{}", dims.join(", "), if ty.integers { " of i64" } else { "" })
    };
    match output {
        Output::One(ty) => one(ty),
        Output::Tuple(types) => format!("({})", types.iter().map(one).collect::<Vec<_>>().join(", ")),
    }
}

/// A type as it stands between `Tensor<` and `>`.
pub(crate) fn inner(ty: &Type) -> String {
    let dims = graven_kernels::dim::list(&ty.dims);
    if ty.dtype == Dtype::I64 { format!("{dims}, i64") } else { dims }
}

fn dim(expression: &Expr, names: &Names, errors: &mut Errors) -> Option<Dim> {
    if is_placeholder(expression) {
        let message = format!("`{}` is no size", super::text(expression));
        errors.at(expression, format!("{message}\nhelp: write `N`: a name stands for a size that the run brings"));
        return None;
    }
    match evaluate(expression, names) {
        Ok(number) => match number.as_dim() {
            Some(dim) if dim.as_known() != Some(0) => Some(dim),
            _ => {
                errors.at(
                    expression,
                    format!("`{}` is no size: a size is a whole number of at least 1", super::text(expression)),
                );
                None
            }
        },
        Err((at, message)) => {
            errors.at(at, message);
            None
        }
    }
}

fn dtype(ty: &TensorType) -> Dtype {
    if ty.integers { Dtype::I64 } else { Dtype::F32 }
}

fn lone_name(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
        _ => None,
    }
}

/// What to say about a name in an expression that is neither a variable nor a size.
pub(crate) fn unknown_name(path: &syn::Path, names: &Names) -> String {
    undeclared(path, names)
}

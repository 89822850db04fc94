//! The text form: what was parsed, one line each.

use std::fmt;

use super::{Function, Module, TensorType};
use crate::check::text;

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_module(self, "", f)
    }
}

fn write_module(module: &Module, indent: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let sizes: Vec<String> = module.sizes.iter().map(ToString::to_string).collect();
    let sizes = if sizes.is_empty() { String::new() } else { format!("<{}>", sizes.join(", ")) };
    writeln!(f, "{indent}module {}{sizes}", module.name)?;
    for constant in &module.constants {
        writeln!(f, "{indent}  const {} = {}", constant.name, text(&constant.value))?;
    }
    for field in &module.fields {
        let list = |items: &[syn::Expr]| items.iter().map(text).collect::<Vec<_>>().join(", ");
        let sizes = if field.sizes.is_empty() { String::new() } else { format!("<{}>", list(&field.sizes)) };
        let length = field.length.as_ref().map_or(String::new(), |length| format!(" times {}", text(length)));
        let frozen = if field.frozen { ", frozen" } else { "" };
        let path = text(&field.path);
        writeln!(f, "{indent}  field {}: {path}{sizes}{length}({}){frozen}", field.name, list(&field.arguments))?;
    }
    for function in &module.functions {
        writeln!(f, "{indent}  {}", signature(function))?;
        for statement in &function.body.stmts {
            writeln!(f, "{indent}    {}", text(statement))?;
        }
    }
    for path in &module.weights {
        writeln!(f, "{indent}  weights {:?}", path.value())?;
    }
    for (path, nested) in &module.nested {
        writeln!(f, "{indent}  by the name {path}:")?;
        write_module(nested, &format!("{indent}    "), f)?;
    }
    Ok(())
}

fn signature(function: &Function) -> String {
    let tensor = |ty: &TensorType| {
        let dims: Vec<String> = ty.dims.iter().map(text).collect();
        format!("[{}]{}", dims.join(", "), if ty.integers { " of i64" } else { "" })
    };
    let receiver = function.method.then(|| "self".to_owned());
    let arguments = function.arguments.iter().map(|argument| format!("{}: {}", argument.name, tensor(&argument.ty)));
    let arguments: Vec<String> = receiver.into_iter().chain(arguments).collect();
    let outputs: Vec<String> = function.output.types().iter().map(tensor).collect();
    format!("fn {}({}) -> {}", function.name, arguments.join(", "), outputs.join(", "))
}

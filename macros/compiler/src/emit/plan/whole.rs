//! Operations on complete tensors.

use graven_kernels::dim::Dtype;
use graven_kernels::op::{Layout, Value};

use super::{Emitter, KernelCall, PROFILE, STEPS_PER_FUNCTION, int};
use crate::emit::text::Text;
use crate::graph::Kind;
use crate::schedule::call;

impl Emitter<'_> {
    pub(super) fn whole(&mut self, stage: usize, values: &[Value]) -> Vec<String> {
        let mut functions = Vec::new();
        for values in values.chunks(STEPS_PER_FUNCTION) {
            let mut code = Text::default();
            values.iter().for_each(|value| self.whole_call(*value, &mut code));
            let bindings = self.bind_symbols("whole");
            let name = self.names.give("whole_tensors");
            let doc = format!(" Operations of stage {stage} on complete tensors.");
            writeln!(
                self.functions,
                "#[doc = {doc:?}] #[inline(never)] fn {name}(whole: &mut graven::Whole<'_>) {{ {bindings} {code} }}"
            );
            functions.push(name);
        }
        functions
    }

    fn kept(&self, value: Value) -> usize {
        let own = |wanted: Value| self.kept.get(&wanted).copied();
        own(value)
            .or_else(|| own(self.graph().root(value)))
            .unwrap_or_else(|| unreachable!("%{} is kept: the verifier checked it", value.0))
    }

    /// Adds the code of an operation on complete tensors.
    fn whole_call(&mut self, value: Value, code: &mut Text) {
        let node = self.schedule.graph.node(value);
        let output_index = self.kept(value);
        let sources: Vec<Value> = match &node.kind {
            Kind::Op(op) if !op.is_view() => node.inputs.clone(),
            _ => vec![self.graph().root(value)],
        };
        // Kept tensors that the call touches, each once, by element type; the output comes first.
        let mut kept: Vec<usize> = vec![output_index];
        let mut arguments = Vec::new();
        for source in &sources {
            let origin = self.graph().root(*source);
            let origin_node = self.schedule.graph.node(origin);
            arguments.push(match &origin_node.kind {
                Kind::Input(index) => format!("whole.{}inputs[{index}]", int(origin_node.ty.dtype)),
                Kind::Parameter { .. } => format!("&whole.parameters[{}]", self.parameter(origin)),
                _ => {
                    let index = self.kept(*source);
                    if !kept.contains(&index) {
                        kept.push(index);
                    }
                    format!("value_{index}")
                }
            });
        }
        let borrow = |wanted: Dtype, arena: &str| {
            let of = kept.iter().filter(|index| self.schedule.values[**index].1.dtype == wanted);
            let (names, slots): (Vec<String>, Vec<String>) =
                of.map(|index| (format!("value_{index}"), format!("whole.slots[{index}].clone()"))).unzip();
            if names.is_empty() {
                return String::new();
            }
            format!("let [{}] = graven::disjoint(whole.{arena}, [{}]);", names.join(", "), slots.join(", "))
        };
        if PROFILE {
            self.mark("whole", &node.label, &self.operation(value), 0, code);
        }
        self.describe(value, &node.label, code);
        write!(code, "{} {} ", borrow(Dtype::F32, "floats"), borrow(Dtype::I64, "ints"));
        let output = format!("value_{output_index}");
        match &node.kind {
            Kind::Op(op) if !op.is_view() => {
                let batched = vec![false; node.inputs.len()];
                let kernel = op.kernel(&call(self.graph(), value, Layout::Whole, 1, &batched, false));
                let call = KernelCall {
                    kernel: &kernel,
                    function: &kernel.function,
                    label: &node.label,
                    cx: "&whole.cx",
                    inputs: &arguments,
                    output: &output,
                    memory: [None; 3],
                };
                self.kernel_call(&call, code);
            }
            _ => {
                write!(code, "{output}.copy_from_slice({});", arguments[0]);
            }
        }
    }
}

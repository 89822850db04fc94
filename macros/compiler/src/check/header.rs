//! The header of a safetensors file: a JSON object that says of each tensor its type, its shape, and where its numbers lie.
//!
//! ```text
//! {"__metadata__":{"format":"pt"},"out.weight":{"dtype":"F32","shape":[10,60],"data_offsets":[0,2400]}}
//! ```
//!
//! The grammar is small and does not recurse, so reading it here spares every build of a network a JSON library.
//! Source: <https://github.com/huggingface/safetensors#format>

use std::collections::BTreeMap;

/// What a header says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// The tensors by name.
    pub(super) tensors: BTreeMap<String, Tensor>,
    /// The metadata say that a [`Checkpoint`](https://docs.rs/graven/latest/graven/struct.Checkpoint.html) was written.
    pub(super) is_checkpoint: bool,
    /// The end of the last tensor, counted from the end of the header.
    pub(super) data_end: u64,
}

/// What a header says of a tensor.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tensor {
    /// `F32`
    pub(super) dtype: String,
    pub(super) dims: Vec<u64>,
}

/// Where a text ceases to be a header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HeaderError {
    /// What should stand there.
    pub(super) expected: &'static str,
    pub(super) position: usize,
}

type Result<T> = std::result::Result<T, HeaderError>;

impl Header {
    pub(super) fn parse(text: &[u8]) -> Result<Header> {
        let mut header = Header::default();
        let mut reader = Reader { text, position: 0 };
        reader.object(|reader, name| {
            if name == "__metadata__" {
                return reader.object(|reader, key| {
                    header.is_checkpoint |= key == "graven.checkpoint";
                    reader.string().map(drop)
                });
            }
            let tensor = reader.tensor(&mut header.data_end)?;
            match header.tensors.insert(name, tensor) {
                None => Ok(()),
                Some(_) => reader.expected("a name that is not there yet"),
            }
        })?;
        reader.skip_space();
        if reader.position == text.len() { Ok(header) } else { reader.expected("its end") }
    }
}

struct Reader<'a> {
    text: &'a [u8],
    position: usize,
}

impl Reader<'_> {
    fn expected<T>(&self, expected: &'static str) -> Result<T> {
        Err(HeaderError { expected, position: self.position })
    }

    fn skip_space(&mut self) {
        while self.text.get(self.position).is_some_and(u8::is_ascii_whitespace) {
            self.position += 1;
        }
    }

    /// Whether this character comes next, behind space; then it is read.
    fn next_is(&mut self, wanted: u8) -> bool {
        self.skip_space();
        let found = self.text.get(self.position) == Some(&wanted);
        self.position += usize::from(found);
        found
    }

    fn punctuation(&mut self, wanted: u8, name: &'static str) -> Result<()> {
        if self.next_is(wanted) { Ok(()) } else { self.expected(name) }
    }

    /// Reads `{"key": value, ..}`, each value with `read`.
    fn object(&mut self, mut read: impl FnMut(&mut Self, String) -> Result<()>) -> Result<()> {
        self.punctuation(b'{', "`{`")?;
        if self.next_is(b'}') {
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.punctuation(b':', "`:`")?;
            read(self, key)?;
            if !self.next_is(b',') {
                return self.punctuation(b'}', "`,` or `}`");
            }
        }
    }

    fn tensor(&mut self, data_end: &mut u64) -> Result<Tensor> {
        let mut tensor = Tensor::default();
        self.object(|reader, key| {
            match key.as_str() {
                "dtype" => tensor.dtype = reader.string()?,
                "shape" => tensor.dims = reader.numbers()?,
                "data_offsets" => match reader.numbers()?.as_slice() {
                    [start, end] if start <= end => *data_end = (*data_end).max(*end),
                    _ => return reader.expected("two offsets"),
                },
                _ => return reader.expected("`dtype`, `shape` or `data_offsets`"),
            }
            Ok(())
        })?;
        if tensor.dtype.is_empty() { self.expected("a `dtype`") } else { Ok(tensor) }
    }

    fn numbers(&mut self) -> Result<Vec<u64>> {
        self.punctuation(b'[', "`[`")?;
        let mut numbers = Vec::new();
        if self.next_is(b']') {
            return Ok(numbers);
        }
        loop {
            numbers.push(self.number()?);
            if !self.next_is(b',') {
                self.punctuation(b']', "`,` or `]`")?;
                return Ok(numbers);
            }
        }
    }

    fn number(&mut self) -> Result<u64> {
        self.skip_space();
        let rest = &self.text[self.position..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match std::str::from_utf8(&rest[..digits]).ok().and_then(|text| text.parse().ok()) {
            Some(number) => {
                self.position += digits;
                Ok(number)
            }
            None => self.expected("a size"),
        }
    }

    fn string(&mut self) -> Result<String> {
        self.punctuation(b'"', "`\"`")?;
        let mut bytes = Vec::new();
        loop {
            let Some(byte) = self.text.get(self.position) else { return self.expected("the end of a text") };
            self.position += 1;
            match byte {
                b'"' => break,
                b'\\' => self.escape(&mut bytes)?,
                byte => bytes.push(*byte),
            }
        }
        String::from_utf8(bytes).or_else(|_| self.expected("a text in UTF-8"))
    }

    /// What stands behind a backslash. A pair of surrogates, which only exotic names have, is read as two unknown characters.
    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        let Some(byte) = self.text.get(self.position) else { return self.expected("the end of a text") };
        self.position += 1;
        let character = match byte {
            b'"' | b'\\' | b'/' => char::from(*byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let digits = self.text.get(self.position..self.position + 4);
                let code = digits.and_then(|digits| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
                let Some(code) = code else { return self.expected("four hexadecimal digits") };
                self.position += 4;
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return self.expected("an escape"),
        };
        bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read() {
        let text = br#" {"__metadata__": {"format": "pt", "graven.checkpoint": "1"},
            "a\u002e\"b": {"dtype": "F32", "shape": [10, 60], "data_offsets": [4, 2404]},
            "s": {"shape": [], "data_offsets": [0, 4], "dtype": "I64"}}  "#;
        let header = Header::parse(text).unwrap();
        let tensor = |dtype: &str, dims: &[u64]| Tensor { dtype: dtype.to_owned(), dims: dims.to_vec() };
        assert_eq!(header.tensors["a.\"b"], tensor("F32", &[10, 60]));
        assert_eq!(header.tensors["s"], tensor("I64", &[]));
        assert_eq!((header.is_checkpoint, header.data_end), (true, 2404));
        assert_eq!(Header::parse(b"{}"), Ok(Header::default()));
    }

    #[test]
    fn what_is_no_header_is_an_error() {
        let whole = r#"{"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"é\n":{"dtype":"F32","shape":[],"data_offsets":[8,12]}}"#;
        assert!(Header::parse(whole.as_bytes()).is_ok());
        for end in 0..whole.len() {
            assert!(Header::parse(&whole.as_bytes()[..end]).is_err(), "{}", &whole[..end.min(8)]);
        }
        for wrong in [
            r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}}"#,
            r#"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}"#,
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,0]}}"#,
            r#"{"a":{"shape":[1],"data_offsets":[0,8]}}"#,
            r#"{"a":{"dtype":"F32"},"a":{"dtype":"F32"}}"#,
            r#"{"a\x":{"dtype":"F32"}}"#,
            r#"{"a":1}"#,
            "{} x",
            "[]",
        ] {
            assert!(Header::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(Header::parse(b"{\"\xff\":{\"dtype\":\"F32\"}}").is_err());
    }
}

//! Bytes of D-Bus, as far as they are needed (the D-Bus specification, "Marshaling"): all little-endian.

/// The part of a message that has the same length in all.
pub(super) const HEAD: usize = 16;
/// The specification's limit is 128 MiB; nothing that is waited for here is near this one.
const LARGEST: usize = 1 << 20;

/// What is passed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Number(u64),
    Numbers(&'a [u32]),
    Texts(&'a [&'a str]),
    Properties(&'a [(&'a str, Value<'a>)]),
    /// An array of structures without any.
    None,
}

/// A method call.
#[derive(Debug)]
pub(super) struct Call {
    /// Destination, path, interface, member.
    to: [&'static str; 4],
    signature: &'static str,
    body: Vec<u8>,
}

impl Call {
    pub(super) fn new(to: [&'static str; 4]) -> Self {
        Self {
            to,
            signature: "",
            body: Vec::new(),
        }
    }

    pub(super) fn with(mut self, signature: &'static str, values: &[Value<'_>]) -> Self {
        self.signature = signature;
        for value in values {
            put(&mut self.body, *value);
        }
        self
    }

    pub(super) fn bytes(&self, serial: u32) -> Vec<u8> {
        // Little-endian, a method call, no flags, version 1.
        let mut out = vec![b'l', 1, 0, 1];
        out.extend(length(&self.body));
        out.extend(serial.to_le_bytes());
        let [destination, path, interface, member] = self.to;
        let mut fields = Vec::new();
        for (code, kind, text) in [
            (1, b'o', path),
            (2, b's', interface),
            (3, b's', member),
            (6, b's', destination),
            (8, b'g', self.signature),
        ] {
            if text.is_empty() {
                continue;
            }
            align(&mut fields, 8);
            fields.extend([code, 1, kind, 0]);
            if kind == b'g' {
                signature(&mut fields, text);
            } else {
                put(&mut fields, Value::Text(text));
            }
        }
        out.extend(length(&fields));
        // The fields start at a multiple of 8, so what was aligned in them alone is aligned here.
        out.extend(fields);
        align(&mut out, 8);
        out.extend(&self.body);
        out
    }
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()
}

fn align(out: &mut Vec<u8>, to: usize) {
    out.resize(out.len().next_multiple_of(to), 0);
}

fn signature(out: &mut Vec<u8>, text: &str) {
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend(text.bytes());
    out.push(0);
}

fn put(out: &mut Vec<u8>, value: Value<'_>) {
    align(out, 4);
    match value {
        Value::Text(text) => {
            out.extend(length(text.as_bytes()));
            out.extend(text.bytes());
            out.push(0);
        }
        Value::Number(number) => {
            align(out, 8);
            out.extend(number.to_le_bytes());
        }
        Value::Numbers(numbers) => {
            let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
            out.extend(length(&bytes));
            out.extend(bytes);
        }
        Value::Texts(texts) => {
            let mut all = Vec::new();
            for text in texts {
                put(&mut all, Value::Text(text));
            }
            out.extend(length(&all));
            out.extend(all);
        }
        Value::Properties(all) => {
            let at = out.len();
            out.extend([0; 4]);
            // The gap before the first structure is not counted.
            align(out, 8);
            let start = out.len();
            for (name, value) in all {
                align(out, 8);
                put(out, Value::Text(name));
                signature(out, kind(*value));
                put(out, *value);
            }
            let counted = length(out.get(start..).unwrap_or_default());
            for (to, from) in out.iter_mut().skip(at).zip(counted) {
                *to = from;
            }
        }
        Value::None => {
            out.extend([0; 4]);
            align(out, 8);
        }
    }
}

fn kind(value: Value<'_>) -> &'static str {
    match value {
        Value::Text(_) => "s",
        Value::Number(_) => "t",
        Value::Numbers(_) => "au",
        Value::Texts(_) => "as",
        Value::Properties(_) => "a(sv)",
        Value::None => "a(sa(sv))",
    }
}

/// What comes back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    Error,
    JobRemoved { unit: String, result: String },
    Other,
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(word)).ok()
}

/// How long the fields and the body are.
pub(super) fn lengths(head: &[u8; HEAD]) -> Option<(usize, usize)> {
    let (body, fields) = (number(head, 4)?, number(head, 12)?);
    (head[0] == b'l' && body <= LARGEST && fields <= LARGEST).then_some((fields, body))
}

pub(super) fn message(head: &[u8; HEAD], fields: &[u8], body: &[u8]) -> Message {
    const ERROR: u8 = 3;
    const SIGNAL: u8 = 4;
    match head[1] {
        ERROR => Message::Error,
        // Nothing else was asked to be told; a name of the bus, whose body is shorter, comes unasked.
        SIGNAL if fields.windows(10).any(|w| w == b"JobRemoved") => {
            job_removed(body).unwrap_or(Message::Other)
        }
        _ => Message::Other,
    }
}

/// `uoss`: the job's number and path, the unit, the result.
fn job_removed(body: &[u8]) -> Option<Message> {
    let mut at = 4;
    let mut text = || {
        let start: usize = at + 4;
        let end = start.checked_add(number(body, at)?)?;
        at = (end + 1).next_multiple_of(4);
        String::from_utf8(body.get(start..end)?.to_vec()).ok()
    };
    let _path = text()?;
    Some(Message::JobRemoved {
        unit: text()?,
        result: text()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_as_the_specification_lays_it_out() {
        let call = Call::new(["d.e", "/p", "i.f", "M"]).with("s", &[Value::Text("abc")]);
        let expected: &[u8] = b"l\x01\x00\x01\x08\0\0\0\x07\0\0\0\x47\0\0\0\
            \x01\x01o\0\x02\0\0\0/p\0\0\0\0\0\0\
            \x02\x01s\0\x03\0\0\0i.f\0\0\0\0\0\
            \x03\x01s\0\x01\0\0\0M\0\0\0\0\0\0\0\
            \x06\x01s\0\x03\0\0\0d.e\0\0\0\0\0\
            \x08\x01g\0\x01s\0\0\
            \x03\0\0\0abc\0";
        let made = call.bytes(7);
        assert_eq!(
            made.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

    /// The gap before the first structure is not counted; a long number stands at a multiple of eight.
    #[test]
    fn properties_as_the_specification_lays_them_out() {
        for (name, value, expected) in [
            (
                "D",
                Value::Numbers(&[]),
                &b"\x10\0\0\0\0\0\0\0\x01\0\0\0D\0\x02au\0\0\0\0\0\0\0"[..],
            ),
            (
                "N",
                Value::Number(7),
                b"\x18\0\0\0\0\0\0\0\x01\0\0\0N\0\x01t\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0",
            ),
        ] {
            let mut out = Vec::new();
            put(&mut out, Value::Properties(&[(name, value)]));
            assert_eq!(
                out.get(8..).expect("a body").escape_ascii().to_string(),
                expected.get(8..).expect("a body").escape_ascii().to_string()
            );
            assert_eq!(number(&out, 0), Some(out.len() - 8));
        }
    }

    #[test]
    fn texts_are_counted_with_the_gaps_between_them() {
        let mut out = Vec::new();
        put(&mut out, Value::Texts(&["io", "pids"]));
        let expected = b"\x11\0\0\0\x02\0\0\0io\0\0\x04\0\0\0pids\0";
        assert_eq!(
            out.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

    #[test]
    fn what_comes_back() {
        let mut body = vec![1, 0, 0, 0];
        for text in ["/job/1", "sbx-1.scope", "done"] {
            put(&mut body, Value::Text(text));
        }
        let mut head = [0; HEAD];
        (head[0], head[1]) = (b'l', 4);
        let fields = b"\x03\x01s\0\x0a\0\0\0JobRemoved\0";
        let expected = Message::JobRemoved {
            unit: "sbx-1.scope".into(),
            result: "done".into(),
        };
        assert_eq!(message(&head, fields, &body), expected);
        // Cut anywhere it is nothing, and no panic.
        for end in 0..body.len() - 1 {
            assert_eq!(
                message(&head, fields, body.get(..end).expect("a part")),
                Message::Other
            );
        }
        head[1] = 3;
        assert_eq!(message(&head, fields, &body), Message::Error);
        head[4] = 0xff;
        head[7] = 0xff;
        assert_eq!(lengths(&head), None);
    }
}

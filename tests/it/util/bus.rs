//! What a D-Bus peer answers, as far as it is listened to. The tests of the library that reads it have this file, too.

/// The D-Bus specification, "Message Protocol", with no field but the one that is looked for.
pub(crate) fn message(kind: u8, fields: &[u8], body: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("short").to_le_bytes();
    let mut out = vec![b'l', kind, 0, 1];
    out.extend(length(body));
    out.extend(7_u32.to_le_bytes());
    out.extend(length(fields));
    out.extend(fields);
    out.resize(out.len().next_multiple_of(8), 0);
    out.extend(body);
    out
}

/// A job that has ended.
pub(crate) fn removed(unit: &str, result: &str) -> Vec<u8> {
    let mut body = 1_u32.to_le_bytes().to_vec();
    for text in ["/job/1", unit, result] {
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(u32::try_from(text.len()).expect("short").to_le_bytes());
        body.extend(text.as_bytes());
        body.push(0);
    }
    message(4, b"\x03\x01s\0\x0a\0\0\0JobRemoved\0", &body)
}

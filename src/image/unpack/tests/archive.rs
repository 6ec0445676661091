//! Writes archives byte by byte, also such as no tool would.

use std::io::Write;

/// A PAX record, as long as it says.
pub(in super::super) fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let body = key.len() + value.len() + 3;
    let mut length = body;
    while length.to_string().len() + body != length {
        length = length.to_string().len() + body;
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

/// One header, in ustar form.
#[derive(Clone)]
pub(super) struct Head {
    pub(super) name: Vec<u8>,
    pub(super) flag: u8,
    pub(super) link: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: u64,
    pub(super) device: (u32, u32),
    pub(super) size: u64,
}

pub(super) fn head(flag: u8, name: impl AsRef<[u8]>) -> Head {
    let mode = if flag == b'5' { 0o755 } else { 0o644 };
    Head {
        name: name.as_ref().to_vec(),
        flag,
        link: Vec::new(),
        mode,
        uid: 0,
        gid: 0,
        mtime: 1_000_000_000,
        device: (0, 0),
        size: 0,
    }
}

impl Head {
    pub(super) fn link(mut self, link: impl AsRef<[u8]>) -> Self {
        self.link = link.as_ref().to_vec();
        self
    }

    pub(super) fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    pub(super) fn owner(mut self, uid: u32, gid: u32) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }

    fn block(&self) -> [u8; 512] {
        let mut block = [0; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.name[..self.name.len().min(100)]);
        put(100, format!("{:07o}\0", self.mode).as_bytes());
        put(108, format!("{:07o}\0", self.uid).as_bytes());
        put(116, format!("{:07o}\0", self.gid).as_bytes());
        put(124, format!("{:011o}\0", self.size).as_bytes());
        put(136, format!("{:011o}\0", self.mtime).as_bytes());
        put(148, b"        ");
        put(156, &[self.flag]);
        put(157, &self.link[..self.link.len().min(100)]);
        put(257, b"ustar\x0000");
        put(329, format!("{:07o}\0", self.device.0).as_bytes());
        put(337, format!("{:07o}\0", self.device.1).as_bytes());
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

/// An archive in the making.
#[derive(Clone, Default)]
pub(super) struct Tar(pub(super) Vec<u8>);

impl Tar {
    /// A header with these bytes behind it, whatever it says of its size.
    pub(super) fn raw(mut self, head: &Head, data: &[u8]) -> Self {
        self.0.extend(head.block());
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(super) fn entry(self, mut head: Head, data: &[u8]) -> Self {
        head.size = data.len() as u64;
        self.raw(&head, data)
    }

    pub(super) fn put(self, head: Head) -> Self {
        self.entry(head, b"")
    }

    pub(super) fn file(self, name: &str, data: &[u8]) -> Self {
        self.entry(head(b'0', name), data)
    }

    pub(super) fn directory(self, name: &str) -> Self {
        self.put(head(b'5', name))
    }

    pub(super) fn symlink(self, name: &str, to: &str) -> Self {
        self.put(head(b'2', name).link(to))
    }

    pub(super) fn hard_link(self, name: &str, to: &str) -> Self {
        self.put(head(b'1', name).link(to))
    }

    /// Records for the entry that follows.
    pub(super) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let records = records.iter();
        let data: Vec<u8> = records.flat_map(|(k, v)| record(k.as_bytes(), v)).collect();
        self.entry(head(b'x', "PaxHeaders/x"), &data)
    }

    /// With the two blocks that end it.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory")
}

//! Archives as the tests want them, honest or not: every field is written as it is given.

/// Entries of a layer, one after another. Ends with the two blocks of zeroes when it is taken.
#[derive(Clone, Default)]
pub struct Tar {
    bytes: Vec<u8>,
}

/// What one entry says of itself.
#[derive(Clone)]
pub struct Entry {
    name: Vec<u8>,
    kind: u8,
    mode: u32,
    ids: (u32, u32),
    link: Vec<u8>,
    device: (u32, u32),
    content: Vec<u8>,
    /// Where it is not that of the content.
    size: Option<u64>,
    pax: Vec<(String, Vec<u8>)>,
}

impl Entry {
    pub fn new(kind: u8, name: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            kind,
            mode: if kind == b'5' { 0o755 } else { 0o644 },
            ids: (0, 0),
            link: Vec::new(),
            device: (0, 0),
            content: Vec::new(),
            size: None,
            pax: Vec::new(),
        }
    }

    pub fn file(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        let mut entry = Self::new(b'0', name);
        entry.content = content.as_ref().to_vec();
        entry
    }

    pub fn program(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        Self::file(name, content).mode(0o755)
    }

    pub fn folder(name: impl AsRef<[u8]>) -> Self {
        Self::new(b'5', name)
    }

    pub fn symlink(name: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Self {
        Self::new(b'2', name).to(to)
    }

    pub fn hardlink(name: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Self {
        Self::new(b'1', name).to(to)
    }

    pub fn fifo(name: impl AsRef<[u8]>) -> Self {
        Self::new(b'6', name)
    }

    /// A character device.
    pub fn device(name: impl AsRef<[u8]>, major: u32, minor: u32) -> Self {
        let mut entry = Self::new(b'3', name);
        entry.device = (major, minor);
        entry
    }

    pub fn to(mut self, link: impl AsRef<[u8]>) -> Self {
        self.link = link.as_ref().to_vec();
        self
    }

    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    pub fn owner(mut self, uid: u32, gid: u32) -> Self {
        self.ids = (uid, gid);
        self
    }

    /// The size that it claims to have.
    pub fn size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }

    /// An extended header before it: `path`, `SCHILY.xattr.…`
    pub fn pax(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax.push((key.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub fn write(&self, to: &mut Vec<u8>) {
        if !self.pax.is_empty() {
            let records: Vec<u8> = self.pax.iter().flat_map(|(k, v)| record(k, v)).collect();
            let mut header = Self::file("pax", records);
            header.kind = b'x';
            header.write(to);
        }
        for (kind, field) in [(b'L', &self.name), (b'K', &self.link)] {
            if field.len() > 100 {
                let mut long = Self::file("././@LongLink", [field.as_slice(), b"\0"].concat());
                long.kind = kind;
                long.write(to);
            }
        }
        to.extend(self.header());
        to.extend(&self.content);
        to.resize(to.len().next_multiple_of(512), 0);
    }

    fn header(&self) -> [u8; 512] {
        let mut header = [0u8; 512];
        let mut put = |at: usize, field: &[u8]| header[at..at + field.len()].copy_from_slice(field);
        let octal = |n: u32| format!("{n:07o}\0").into_bytes();
        put(0, &self.name[..self.name.len().min(100)]);
        put(100, &octal(self.mode));
        put(108, &octal(self.ids.0));
        put(116, &octal(self.ids.1));
        let size = self.size.unwrap_or(self.content.len() as u64);
        put(124, &number(size));
        put(136, format!("{:011o}\0", 1_700_000_000).as_bytes());
        put(148, &[b' '; 8]);
        put(156, &[self.kind]);
        put(157, &self.link[..self.link.len().min(100)]);
        put(257, b"ustar\x0000");
        put(329, &octal(self.device.0));
        put(337, &octal(self.device.1));
        let sum: u32 = header.iter().copied().map(u32::from).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        header
    }
}

/// A size: octal, or GNU's binary form where that is too short.
fn number(n: u64) -> Vec<u8> {
    if n < 1 << 33 {
        return format!("{n:011o}\0").into_bytes();
    }
    [&[0x80, 0, 0, 0][..], &n.to_be_bytes()].concat()
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (1..).map(|digits| rest + digits);
    let length = length
        .into_iter()
        .find(|n| rest + n.to_string().len() == *n)
        .expect("a length");
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

impl Tar {
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        entries.into_iter().fold(Self::default(), Self::add)
    }

    pub fn add(mut self, entry: Entry) -> Self {
        entry.write(&mut self.bytes);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        [self.bytes.as_slice(), &[0; 1024]].concat()
    }
}

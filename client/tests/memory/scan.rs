//! A search of this process's whole memory, heap and stacks, for a secret that the search itself must not hold.

use std::{
    fmt,
    fs::{self, File},
    ops::Range,
    os::unix::fs::FileExt,
};

use serde::{Deserialize, Serialize};

/// The number of bytes that are read at once.
const BLOCK: usize = 1 << 20;

/// No byte of a password has its highest bit set, so that a masked one is never one.
const MASK: u8 = 0xff;

/// HMAC's keys are in memory as they are, or XORed with one of these (RFC 2104), which an attacker can undo.
const PADS: [u8; 3] = [0x00, 0x36, 0x5c];

/// Any part of this length finds a copy: the allocator's lists overwrite the beginning of freed memory.
const PART: usize = 8;

/// The secret to search for, masked.
pub(crate) struct Needle(Vec<u8>);

impl Needle {
    pub(crate) fn of(secret: impl Iterator<Item = u8>) -> Self {
        Self(secret.map(|byte| byte ^ MASK).collect())
    }

    pub(crate) fn written(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn read(written: &str) -> Self {
        let byte = |at| u8::from_str_radix(&written[at..at + 2], 16).unwrap();
        Self((0..written.len()).step_by(2).map(byte).collect())
    }

    /// Which of its parts stands at the beginning of these bytes, under which pad.
    fn part_at(&self, bytes: &[u8]) -> Option<(usize, u8)> {
        let bytes = bytes.get(..PART)?;
        let parts = self.0.chunks_exact(PART).enumerate();
        for (part, masked) in parts {
            for pad in PADS {
                let first = masked[0] ^ MASK ^ pad;
                if bytes[0] == first && (1..PART).all(|at| bytes[at] == masked[at] ^ MASK ^ pad) {
                    return Some((part, pad));
                }
            }
        }
        None
    }

    /// Which two bytes any part begins with, under any pad.
    fn beginnings(&self) -> Vec<bool> {
        let mut beginnings = vec![false; 1 << 16];
        for masked in self.0.chunks_exact(PART) {
            for pad in PADS {
                let two = [masked[0] ^ MASK ^ pad, masked[1] ^ MASK ^ pad];
                beginnings[usize::from(u16::from_ne_bytes(two))] = true;
            }
        }
        beginnings
    }
}

/// The place of each copy: its mapping, and the bytes before and after it.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Copies(Vec<String>);

impl Copies {
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.count())?;
        self.0.iter().try_for_each(|copy| write!(f, "\n    {copy}"))
    }
}

/// This process's memory, opened while that is still allowed.
pub(crate) struct Memory {
    file: File,
    block: Vec<u8>,
}

impl Memory {
    pub(crate) fn open() -> Self {
        Self {
            file: File::open("/proc/self/mem").unwrap(),
            block: vec![0; BLOCK],
        }
    }

    /// All copies in writable memory, except in the buffer of the search.
    pub(crate) fn copies(&mut self, needle: &Needle) -> Copies {
        let mut copies = Copies::default();
        let own = self.block.as_ptr_range();
        let own = own.start as usize..own.end as usize;
        for mapping in fs::read_to_string("/proc/self/maps").unwrap().lines() {
            let (range, rest) = mapping.split_once(' ').unwrap();
            if rest.starts_with("rw") {
                let name = rest.split_whitespace().nth(4).unwrap_or("anonymous");
                self.look(addresses(range), &own, needle, name, &mut copies);
            }
        }
        self.block.fill(0);
        copies
    }

    fn look(
        &mut self,
        mapping: Range<usize>,
        own: &Range<usize>,
        needle: &Needle,
        name: &str,
        copies: &mut Copies,
    ) {
        let beginnings = needle.beginnings();
        let mut from = mapping.start;
        // the end of the last part that was found: a part that begins here belongs to the same copy
        let mut end = 0;
        while from + PART <= mapping.end {
            let wanted = BLOCK.min(mapping.end - from);
            // the kernel's own mappings, and mappings that are gone by now
            let Ok(read @ PART..) = self.file.read_at(&mut self.block[..wanted], from as u64)
            else {
                return;
            };
            let block = &self.block[..read];
            for at in 0..=read - PART {
                let two = u16::from_ne_bytes([block[at], block[at + 1]]);
                if !beginnings[usize::from(two)] || own.contains(&(from + at)) {
                    continue;
                }
                if let Some((part, pad)) = needle.part_at(&block[at..]) {
                    if from + at != end {
                        copies.0.push(described(block, at, part, pad, from, name));
                    }
                    end = from + at + PART;
                }
            }
            // a part across two blocks is found in the next block
            from += read - PART + 1;
        }
    }
}

fn addresses(range: &str) -> Range<usize> {
    let (start, end) = range.split_once('-').unwrap();
    let address = |text| usize::from_str_radix(text, 16).unwrap();
    address(start)..address(end)
}

/// Without the part itself, and without what may be the rest of it.
fn described(block: &[u8], at: usize, part: usize, pad: u8, from: usize, name: &str) -> String {
    let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let before = at.saturating_sub(part * PART);
    let before = shown(&block[before.saturating_sub(32)..before]);
    format!(
        "{name} {:x}, part {part} under {pad:02x}, after {before}",
        from + at
    )
}

//! Where HTTP/2's frames begin and end, so that one that never ends is seen. What is in them is hyper's affair.

/// The bytes of one connection, from its preface on.
pub(super) struct Frames {
    /// Of the preface, or of the payload of a frame.
    missing: usize,
    head: [u8; HEAD],
    filled: usize,
    /// HEADERS came without END_HEADERS: only CONTINUATION may follow, until one ends them.
    headers: bool,
    whole: u64,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self { missing: PREFACE, head: [0; HEAD], filled: 0, headers: false, whole: 0 }
    }

    /// More bytes came.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.missing > 0 {
                let skipped = self.missing.min(bytes.len());
                self.missing -= skipped;
                bytes = &bytes[skipped..];
            } else {
                let taken = (HEAD - self.filled).min(bytes.len());
                self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
                self.filled += taken;
                bytes = &bytes[taken..];
                if self.filled < HEAD {
                    return;
                }
                self.filled = 0;
                let [a, b, c, kind, flags, ..] = self.head;
                self.missing = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                if matches!(kind, HEADERS | PUSH_PROMISE | CONTINUATION) {
                    self.headers = flags & END_HEADERS == 0;
                }
            }
            if self.missing == 0 && !self.headers {
                self.whole += 1;
            }
        }
    }

    /// Something began and has not ended: the preface, a frame, or a block of headers.
    pub(super) fn open(&self) -> bool {
        self.missing > 0 || self.filled > 0 || self.headers
    }

    /// How much has begun and ended.
    pub(super) fn whole(&self) -> u64 {
        self.whole
    }
}

/// Bytes of `PRI * HTTP/2.0` and what belongs to it: RFC 9113, 3.4.
const PREFACE: usize = 24;
/// Bytes of a frame's head: RFC 9113, 4.1.
const HEAD: usize = 9;
const HEADERS: u8 = 1;
const PUSH_PROMISE: u8 = 5;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.resize(HEAD + payload, 0);
        frame
    }

    #[test]
    fn what_began_is_open_until_it_ends_however_it_is_cut() {
        let whole = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(4, 0, 0),
            frame(HEADERS, 0, 10),
            frame(CONTINUATION, 0, 3),
            frame(CONTINUATION, END_HEADERS, 0),
            frame(0, 1, 300),
        ];
        // After the preface, after SETTINGS, after all three of the headers, after DATA.
        let ends: Vec<usize> = [0, 1, 4, 5].iter().map(|last| whole[..=*last].iter().map(Vec::len).sum()).collect();
        let bytes = whole.concat();
        for step in [1, 2, 7, 1000] {
            let mut frames = Frames::new();
            let mut fed = 0;
            assert!(frames.open());
            for part in bytes.chunks(step) {
                frames.feed(part);
                fed += part.len();
                assert_eq!(frames.open(), !ends.contains(&fed), "{fed} bytes in steps of {step}");
            }
            assert_eq!(frames.whole(), 4, "steps of {step}");
        }
    }
}

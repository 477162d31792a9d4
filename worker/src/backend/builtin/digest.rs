//! Stable 64-bit digests — pure.
//!
//! Ids of tasks and names of artifacts are made from these, so they must be the same in every process, every release and on
//! every machine; the standard library's hasher promises none of that. Not cryptographic: nobody gains by a collision, whose
//! worst effect is a part that is not read again.

/// A digest being made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Digest(u64);

const PRIME: u64 = 0x9E37_79B9_7F4A_7C15;

impl Digest {
    /// The empty digest.
    pub(crate) fn new() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }

    /// Adds a number.
    pub(crate) fn number(mut self, number: u64) -> Self {
        self.0 = (self.0 ^ number).wrapping_mul(PRIME);
        self.0 ^= self.0 >> 29;
        self
    }

    /// Adds bytes and their length, so that neighbours cannot run into each other.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let words = bytes.chunks(8).fold(self, |digest, chunk| {
            let word = chunk.iter().rev().fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
            digest.number(word)
        });
        words.number(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
    }

    /// The digest, with every bit depending on every input bit.
    pub(crate) fn finish(self) -> u64 {
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// The digest as 16 hexadecimal digits.
    pub(crate) fn hex(self) -> String {
        format!("{:016x}", self.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_never_changes_between_releases() {
        assert_eq!(Digest::new().hex(), "f52a15e9a9b5e89b");
        assert_eq!(Digest::new().bytes(b"src/main.rs").number(7).hex(), "a07501c18ad16e3a");
    }

    #[test]
    fn neighbours_do_not_run_into_each_other() {
        let digest = |parts: &[&str]| {
            parts.iter().fold(Digest::new(), |digest, part| digest.bytes(part.as_bytes())).finish()
        };
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&["a\0"]), digest(&["a"]));
        assert_ne!(digest(&[]), digest(&[""]));
    }
}

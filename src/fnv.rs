//! A number that tells texts and values apart: FNV-1a (Fowler, Noll, Vo; RFC 9923). It tells an accident, not an
//! attack.

use std::hash::Hasher;

/// A number for some bytes, the same in every build: the standard library's hash may change from one release to the
/// next.
pub(crate) fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let mut hasher = Fnv1a::default();
    bytes.into_iter().for_each(|byte| hasher.write(&[byte]));
    hasher.finish()
}

/// As [`fnv1a`], for values that are no bytes: the same on every machine that runs one build, since it takes numbers as
/// the smallest byte first, and lengths as 64 bits. What the values' own `Hash` gives it is the compiler's matter.
#[derive(Debug)]
pub(crate) struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv1a {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write_u16(&mut self, number: u16) {
        self.write(&number.to_le_bytes());
    }

    fn write_u32(&mut self, number: u32) {
        self.write(&number.to_le_bytes());
    }

    fn write_u64(&mut self, number: u64) {
        self.write(&number.to_le_bytes());
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_standard() {
        for (text, number) in
            [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            assert_eq!(fnv1a(text.bytes()), number, "{text}");
        }
    }

    #[test]
    fn numbers_count_by_their_smallest_byte_first() {
        let mut hasher = Fnv1a::default();
        hasher.write_u16(0x0201);
        hasher.write_u32(3);
        hasher.write_u64(4);
        hasher.write_usize(5);
        let bytes = [1, 2, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(hasher.finish(), fnv1a(bytes));
    }
}

//! A hash of texts: FNV-1a (Fowler, Noll, Vo; RFC 9923). It detects an accident, not an attack.

/// Returns the hash of some bytes, the same in every build: the standard library's hash may change from one release to
/// the next.
pub(crate) fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    fnv1a_after(OF_NOTHING, bytes)
}

/// The hash of no bytes.
pub(crate) const OF_NOTHING: u64 = 0xcbf2_9ce4_8422_2325;

/// Returns the hash of bytes that follow on those of `hash`.
pub(crate) fn fnv1a_after(hash: u64, bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(hash, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
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
}

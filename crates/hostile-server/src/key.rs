//! RSA public keys as text, of any length. They are no keys that anybody could decrypt by: their
//! numbers are made up.

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A key in PEM, of so many bits. Of none: what looks like a key and is none.
pub fn pem(bits: usize) -> Vec<u8> {
    let body = if bits == 0 {
        b"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A".to_vec()
    } else {
        base64(&public_key(bits))
    };
    let mut text = b"-----BEGIN PUBLIC KEY-----\n".to_vec();
    for line in body.chunks(64) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(b"-----END PUBLIC KEY-----\n");
    text
}

/// `SubjectPublicKeyInfo`.
fn public_key(bits: usize) -> Vec<u8> {
    const RSA: [u8; 15] = [
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ];
    let modulus = [&[0][..], &vec![0xab; bits.div_ceil(8)]].concat();
    let numbers = [element(0x02, &modulus), element(0x02, &[1, 0, 1])].concat();
    let key = [&[0][..], &element(0x30, &numbers)].concat();
    element(0x30, &[&RSA[..], &element(0x03, &key)].concat())
}

/// A tag, the length and the value.
fn element(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len().to_be_bytes();
    let digits: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let long = 0x80 | u8::try_from(digits.len()).unwrap_or(0);
    match value.len() {
        0..=127 => [&[tag], &length[7..], value].concat(),
        _ => [&[tag, long], &digits[..], value].concat(),
    }
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let number = u32::from_be_bytes(group);
        for at in 0..4 {
            let digit = (number >> (18 - 6 * at)) & 63;
            let letter = BASE64.get(digit as usize).copied().unwrap_or(b'=');
            text.push(if at > chunk.len() { b'=' } else { letter });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_in_base64() {
        for (bytes, expected) in [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foobar", "Zm9vYmFy")] {
            assert_eq!(String::from_utf8_lossy(&base64(bytes)), expected);
        }
    }

    #[test]
    fn a_key_is_as_long_as_it_says() {
        assert_eq!(public_key(1024).len(), 162);
        assert!(pem(65_536).len() > 65_536 / 6);
    }
}

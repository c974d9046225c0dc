//! The server's RSA key, which encrypts a password that is sent in the clear.
//!
//! The client's library encrypts, but trusts the key: it panics on one that is broken, and takes
//! minutes on one of 65,536 bits. So the key is read and bounded here.
//!
//! Bounds: PEM of 8 KiB ([`PEM_BYTES_MAX`]), a modulus of 1,024 to 8,192 bits, an exponent of 32
//! bits.

use std::convert::Infallible;

use mysql_common::crypto::rsa::{Pkcs1OaepPadding, PublicKey, Rng};
use num_bigint::BigUint;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;

use crate::sink::mysql::wire::fields::Fields;

/// A key of 8,192 bits has 1.4 KB.
const PEM_BYTES_MAX: usize = 8 * 1_024;
const MODULUS_BYTES_MIN: usize = 128;
const MODULUS_BYTES_MAX: usize = 1_024;
const EXPONENT_BYTES_MAX: usize = 4;
/// SHA-1's, which the padding uses.
const HASH_BYTES: usize = 20;
/// What the padding needs besides the message.
const PADDING_BYTES: usize = 2 * HASH_BYTES + 2;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
/// `rsaEncryption`, without parameters: 1.2.840.113549.1.1.1.
const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";

/// A key that can be used.
#[derive(Debug)]
pub struct RsaKey {
    key: PublicKey,
    bytes: usize,
}

/// Random bytes that were drawn before: the padding has no way to say that there are none.
struct Drawn([u8; HASH_BYTES]);

impl Rng for Drawn {
    type Error = Infallible;

    fn fill(&mut self, dest: &mut [u8]) -> Result<(), Infallible> {
        for (byte, drawn) in dest.iter_mut().zip(&self.0) {
            *byte = *drawn;
        }
        Ok(())
    }
}

impl RsaKey {
    /// Reads a key. `None`: it is none, or not one of a sane size.
    pub fn of_pem(pem: &[u8]) -> Option<Self> {
        if pem.len() > PEM_BYTES_MAX {
            return None;
        }
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
        let mut info = Fields::of(whole(der.as_ref(), SEQUENCE)?);
        (element(&mut info, SEQUENCE)? == RSA).then_some(())?;
        let mut bits = Fields::of(whole(info.rest(), BIT_STRING)?);
        // No bit is unused.
        (bits.byte()? == 0).then_some(())?;
        let mut numbers = Fields::of(whole(bits.rest(), SEQUENCE)?);
        let modulus = unsigned(element(&mut numbers, INTEGER)?)?;
        let exponent = unsigned(whole(numbers.rest(), INTEGER)?)?;
        let is_sane = (MODULUS_BYTES_MIN..=MODULUS_BYTES_MAX).contains(&modulus.len())
            // Whole bytes: the library miscounts other sizes.
            && modulus.first().is_some_and(|first| first & 0x80 != 0)
            && modulus.last().is_some_and(|last| last & 1 == 1)
            && exponent.len() <= EXPONENT_BYTES_MAX
            && exponent.last().is_some_and(|last| last & 1 == 1)
            && exponent != [1];
        is_sane.then(|| Self {
            key: PublicKey::new(BigUint::from_bytes_be(modulus), BigUint::from_bytes_be(exponent)),
            bytes: modulus.len(),
        })
    }

    /// Encrypts a message. `None`: the key is too short for it, or the system has no random
    /// numbers.
    pub fn encrypt(&self, message: &[u8]) -> Option<Vec<u8>> {
        if message.len() > self.bytes.checked_sub(PADDING_BYTES)? {
            return None;
        }
        let mut seed = [0; HASH_BYTES];
        getrandom::fill(&mut seed).ok()?;
        Some(self.key.encrypt_block(message, Pkcs1OaepPadding::new(Drawn(seed))))
    }
}

/// The content of an element that nothing follows.
fn whole(der: &[u8], tag: u8) -> Option<&[u8]> {
    let mut fields = Fields::of(der);
    let content = element(&mut fields, tag)?;
    fields.rest().is_empty().then_some(content)
}

/// The content of an element, by the Distinguished Encoding Rules.
fn element<'d>(der: &mut Fields<'d>, tag: u8) -> Option<&'d [u8]> {
    (der.byte()? == tag).then_some(())?;
    let length = match der.byte()? {
        short @ 0..=0x7f => usize::from(short),
        0x81 => usize::from(der.byte()?),
        0x82 => usize::from(u16::from_be_bytes(der.array()?)),
        _ => return None,
    };
    der.bytes(length)
}

/// The bytes of a number above zero, the first of which is not zero.
fn unsigned(integer: &[u8]) -> Option<&[u8]> {
    match integer {
        [0, rest @ ..] => rest.first().filter(|first| **first & 0x80 != 0).map(|_| rest),
        [first, ..] if first & 0x80 == 0 => Some(integer),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The one that the client library tests itself with.
    const KEY: &str = include_str!("tests/public_key.pem");

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).expect("short").to_be_bytes();
        [&[tag, 0x82], &length[..], content].concat()
    }

    fn pem(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
        use base64::Engine as _;
        let numbers = [der(INTEGER, modulus), der(INTEGER, exponent)].concat();
        let bits = [&[0][..], &der(SEQUENCE, &numbers)].concat();
        let algorithm = [&[SEQUENCE, 13][..], RSA].concat();
        let info = der(SEQUENCE, &[algorithm, der(BIT_STRING, &bits)].concat());
        let text = base64::engine::general_purpose::STANDARD.encode(info);
        format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n").into_bytes()
    }

    #[test]
    fn a_key_is_read_as_the_library_reads_it() {
        let ours = RsaKey::of_pem(KEY.as_bytes()).expect("a key");
        let theirs = PublicKey::from_pem(KEY);
        assert_eq!(ours.key.modulus(), theirs.modulus());
        assert_eq!(ours.key.exponent(), theirs.exponent());
        assert_eq!(ours.encrypt(&[7; 256 - 42]).map(|secret| secret.len()), Some(256));
        assert_eq!(ours.encrypt(&[7; 256 - 41]), None);
    }

    #[test]
    fn only_keys_of_a_sane_size_are_taken() {
        let modulus = |bytes: usize, first: u8, last: u8| {
            let mut modulus = vec![0x55; bytes + 1];
            modulus[0] = 0;
            modulus[1] = first;
            modulus[bytes] = last;
            modulus
        };
        let usual: &[u8] = &[1, 0, 1];
        for (name, modulus, exponent, is_taken) in [
            ("1,024 bits", modulus(128, 0x80, 1), usual, true),
            ("8,192 bits", modulus(1_024, 0xff, 1), usual, true),
            ("1,016 bits", modulus(127, 0x80, 1), usual, false),
            ("8,200 bits", modulus(1_025, 0x80, 1), usual, false),
            ("an even modulus", modulus(256, 0x80, 2), usual, false),
            ("a modulus of half a byte", modulus(256, 0x08, 1), usual, false),
            ("no modulus", vec![], usual, false),
            ("a modulus of zero", vec![0], usual, false),
            ("a negative modulus", vec![0x80; 256], usual, false),
            ("an exponent of one", modulus(256, 0x80, 1), &[1], false),
            ("an exponent of three", modulus(256, 0x80, 1), &[3], true),
            ("an even exponent", modulus(256, 0x80, 1), &[2], false),
            ("no exponent", modulus(256, 0x80, 1), &[], false),
            ("a long exponent", modulus(256, 0x80, 1), &[1, 0, 0, 0, 1], false),
        ] {
            let found = RsaKey::of_pem(&pem(&modulus, exponent));
            assert_eq!(found.is_some(), is_taken, "{name}");
            if let Some(key) = found {
                assert!(key.encrypt(b"secret").is_some(), "{name}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_key_makes_it_panic(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), cut: prop::sample::Index) {
            let mut bytes = KEY.as_bytes().to_vec();
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(cut.index(bytes.len() + 1));
            if let Some(key) = RsaKey::of_pem(&bytes) {
                key.encrypt(b"secret");
            }
        }
    }
}

//! The server's first packet:
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html>.

use mysql::consts::CapabilityFlags;

use crate::sink::mysql::wire::fields::Fields;

/// The bytes of a challenge.
pub const CHALLENGE_BYTES: usize = 20;
/// The only version of the protocol since 1998.
const VERSION: u8 = 10;
const FIRST_CHALLENGE_BYTES: usize = 8;

/// What the server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// What it can do.
    pub capabilities: CapabilityFlags,
    /// Random bytes, to be answered with the password.
    pub challenge: [u8; CHALLENGE_BYTES],
    /// How it expects accounts to authenticate. Empty: it does not say.
    pub plugin: Vec<u8>,
}

impl Greeting {
    /// Reads the packet. `None`: it is none.
    pub fn read(packet: &[u8]) -> Option<Self> {
        let mut fields = Fields::of(packet);
        (fields.byte()? == VERSION).then_some(())?;
        let _server_version = fields.until_zero()?;
        let _connection = fields.u32()?;
        let first = fields.bytes(FIRST_CHALLENGE_BYTES)?;
        let _filler = fields.byte()?;
        let lower = fields.u16()?;
        let _collation = fields.byte()?;
        let _status = fields.u16()?;
        let upper = fields.u16()?;
        let challenge_bytes = usize::from(fields.byte()?);
        let _reserved = fields.bytes(10)?;
        let bits = (u32::from(upper) << 16) | u32::from(lower);
        let capabilities = CapabilityFlags::from_bits_truncate(bits);
        let mut second: &[u8] = &[];
        if capabilities.contains(CapabilityFlags::CLIENT_SECURE_CONNECTION) {
            // Thirteen at least, with the zero at its end.
            second = fields.bytes(challenge_bytes.saturating_sub(FIRST_CHALLENGE_BYTES).max(13))?;
        }
        let mut challenge = [0; CHALLENGE_BYTES];
        for (byte, given) in challenge.iter_mut().zip(first.iter().chain(second)) {
            *byte = *given;
        }
        let mut plugin: &[u8] = &[];
        if capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH) {
            // Some servers leave out the zero at its end.
            plugin = fields.until_zero().unwrap_or(fields.rest());
        }
        Some(Self {
            capabilities,
            challenge,
            plugin: plugin.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_common::constants::StatusFlags;
    use mysql_common::packets::HandshakePacket;
    use mysql_common::proto::MySerialize as _;
    use proptest::prelude::*;

    proptest! {
        /// The client library's packets are the reference.
        #[test]
        fn a_greeting_is_read_as_the_library_writes_it(
            version in "[0-9.a-zA-Z-]{0,40}",
            first: [u8; 8],
            second in prop::collection::vec(any::<u8>(), 12..=12),
            bits: u32,
            plugin in "[a-z_0-9]{1,40}",
        ) {
            let capabilities = CapabilityFlags::from_bits_truncate(bits)
                | CapabilityFlags::CLIENT_SECURE_CONNECTION
                | CapabilityFlags::CLIENT_PLUGIN_AUTH;
            let terminated = [second.as_slice(), &[0]].concat();
            let packet = HandshakePacket::new(
                10, version.as_bytes(), 7, first, Some(terminated.as_slice()), capabilities, 45, StatusFlags::empty(),
                Some(plugin.as_bytes()),
            );
            let mut bytes = Vec::new();
            packet.serialize(&mut bytes);
            let read = Greeting::read(&bytes).expect("a greeting");
            prop_assert_eq!(read.capabilities, capabilities);
            prop_assert_eq!(&read.challenge[..8], &first[..]);
            prop_assert_eq!(&read.challenge[8..], second.as_slice());
            prop_assert_eq!(&read.plugin, plugin.as_bytes());
            for end in 0..bytes.len() - plugin.len() - 1 {
                prop_assert_eq!(Greeting::read(&bytes[..end]), None, "{} bytes", end);
            }
        }
    }
}

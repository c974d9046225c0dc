//! From the greeting to a session: TLS, and who this is.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html>.
//!
//! Known are the ways of `mysql_native_password`, `caching_sha2_password`, `client_ed25519` and
//! `parsec`, and those that ask the system who this is, which need no word of ours. A password goes
//! over the wire as it is only through TLS and unix sockets, and only for `caching_sha2_password`.
//! What encrypts and signs is the client library's.
//!
//! Invariant: nothing is offered that the engine does not need. So there are neither several
//! statements in one text nor `LOCAL INFILE`, whatever a server claims.
//!
//! Bounds: a packet of 16 KiB ([`PACKET_ROOM`]), 8 packets after the greeting ([`ROUNDS_MAX`]),
//! 262,144 iterations of a key derivation ([`HARDNESS_MAX`]).

use std::borrow::Cow;
use std::io::ErrorKind;
use std::time::Instant;

use mysql::DriverError;
use mysql::consts::CapabilityFlags;
use mysql_common::collations::CollationId;
use mysql_common::packets::{AuthPlugin, HandshakeResponse, SslRequest, parse_parsec_salt};
use mysql_common::proto::MySerialize as _;
use mysql_common::scramble::create_response_for_parsec;

use crate::sink::mysql::wire::answer::{EOF, OK, read_err, read_ok};
use crate::sink::mysql::wire::fields::Fields;
use crate::sink::mysql::wire::greeting::{CHALLENGE_BYTES, Greeting};
use crate::sink::mysql::wire::packets::{Packets, protocol_error};
use crate::sink::mysql::wire::rsa_key::RsaKey;
use crate::sink::mysql::wire::stream::Encryption;

/// A public key is the longest that is asked for.
const PACKET_ROOM: usize = 16 * 1_024;
/// A server may try one way after the other, each of which has three packets at most.
const ROUNDS_MAX: usize = 8;
/// The iterations of `parsec` are 1,024, doubled so often at most: a quarter of a second.
/// MariaDB's are doubled three times at most.
const HARDNESS_MAX: u32 = 1_024 << 8;
/// What a message repeats of a plugin's name. The longest that is known has 29.
const PLUGIN_NAME_BYTES_MAX: usize = 64;
/// Both sides of `client_ed25519` and `parsec` draw 32 random bytes.
const LONG_CHALLENGE_BYTES: usize = 32;
/// The protocol's own bound. The server's is read with the session's variables, and the plan keeps
/// it.
const MAX_PACKET_BYTES: u32 = 1 << 30;

const MORE_DATA: u8 = 0x01;
const FAST_IS_ENOUGH: u8 = 0x03;
const FULL_IS_NEEDED: u8 = 0x04;
const SEND_PUBLIC_KEY: u8 = 0x02;

/// Who this is.
#[derive(Debug, Clone, Copy)]
pub struct Account<'a> {
    /// The account's name.
    pub user: &'a str,
    /// Its password.
    pub password: Option<&'a str>,
    /// The session's database.
    pub database: &'a str,
}

/// One handshake.
struct Handshake<'h> {
    packets: &'h mut Packets,
    account: Account<'h>,
    /// Nobody but the server reads what is sent.
    is_private: bool,
    deadline: Instant,
    /// The number of the next packet.
    sequence: u8,
}

/// What the engine needs of a server.
fn wanted_capabilities() -> CapabilityFlags {
    CapabilityFlags::CLIENT_PROTOCOL_41
        | CapabilityFlags::CLIENT_SECURE_CONNECTION
        | CapabilityFlags::CLIENT_LONG_PASSWORD
        | CapabilityFlags::CLIENT_TRANSACTIONS
        | CapabilityFlags::CLIENT_PLUGIN_AUTH
        | CapabilityFlags::CLIENT_CONNECT_WITH_DB
        // An UPDATE counts the rows that it found, not those that it changed.
        | CapabilityFlags::CLIENT_FOUND_ROWS
}

/// Makes a session. `is_local`: over a unix socket.
pub fn authenticate(
    packets: &mut Packets,
    account: Account<'_>,
    encryption: Option<Encryption>,
    is_local: bool,
    deadline: Instant,
) -> mysql::Result<()> {
    if [account.user, account.database].iter().any(|name| name.contains('\0')) {
        let why = "the DSN's user or database has a NUL, which ends a name";
        return Err(std::io::Error::new(ErrorKind::InvalidInput, why).into());
    }
    let mut handshake = Handshake {
        packets,
        account,
        is_private: is_local || encryption.is_some(),
        deadline,
        sequence: 0,
    };
    let greeting = handshake.receive()?;
    let greeting = Greeting::read(&greeting).ok_or_else(unknown)?;
    let mut capabilities = wanted_capabilities();
    let needed = CapabilityFlags::CLIENT_PROTOCOL_41 | CapabilityFlags::CLIENT_SECURE_CONNECTION;
    if !greeting.capabilities.contains(needed) {
        return Err(protocol_error("the server speaks a protocol from before MySQL 4.1").into());
    }
    capabilities.set(CapabilityFlags::CLIENT_SSL, encryption.is_some());
    capabilities &= greeting.capabilities;
    if let Some(encryption) = encryption {
        if !capabilities.contains(CapabilityFlags::CLIENT_SSL) {
            return Err(DriverError::TlsNotSupported.into());
        }
        handshake.encrypt(capabilities, encryption)?;
    }
    handshake.introduce(&greeting, capabilities)
}

impl Handshake<'_> {
    /// The next packet, unless it is an error, in whatever place: the handshake fails by either.
    fn receive(&mut self) -> mysql::Result<Vec<u8>> {
        let packet = self.packets.receive(PACKET_ROOM, self.deadline)?;
        let payload = self.packets.payload(&packet);
        if let Some(error) = read_err(payload) {
            return Err(error.into());
        }
        if packet.sequence != self.sequence {
            return Err(protocol_error("the handshake is out of order").into());
        }
        self.sequence = packet.next_sequence;
        Ok(payload.to_vec())
    }

    fn send(&mut self, payload: &[u8]) -> mysql::Result<()> {
        self.sequence = self
            .packets
            .encode(self.sequence, |output| output.extend_from_slice(payload));
        Ok(self.packets.send(self.deadline)?)
    }

    fn encrypt(&mut self, capabilities: CapabilityFlags, encryption: Encryption) -> mysql::Result<()> {
        let mut request = Vec::new();
        SslRequest::new(capabilities, MAX_PACKET_BYTES, collation()).serialize(&mut request);
        self.send(&request)?;
        Ok(self.packets.upgrade(encryption, self.deadline)?)
    }

    /// Says who this is, and answers what the server asks.
    fn introduce(&mut self, greeting: &Greeting, capabilities: CapabilityFlags) -> mysql::Result<()> {
        // Others do not come in a greeting.
        let mut plugin = match AuthPlugin::from_bytes(&greeting.plugin) {
            AuthPlugin::CachingSha2Password => AuthPlugin::CachingSha2Password,
            _ => AuthPlugin::MysqlNativePassword,
        };
        let mut challenge = greeting.challenge.to_vec();
        let answer = self.answer(&plugin, &challenge);
        let mut response = Vec::new();
        HandshakeResponse::new(
            Some(Cow::Borrowed(answer.as_slice())),
            // Any server that knows utf8mb4.
            (8, 0, 0),
            Some(self.account.user.as_bytes()),
            Some(self.account.database.as_bytes()),
            capabilities
                .contains(CapabilityFlags::CLIENT_PLUGIN_AUTH)
                .then(|| plugin.clone()),
            capabilities,
            None,
            MAX_PACKET_BYTES,
        )
        .serialize(&mut response);
        self.send(&response)?;
        for _ in 0..ROUNDS_MAX {
            let packet = self.receive()?;
            let (first, rest) = packet.split_first().ok_or_else(unknown)?;
            match *first {
                OK => {
                    return Ok(read_ok(&packet).map(drop).ok_or_else(unknown)?);
                }
                EOF => {
                    (plugin, challenge) = switch(rest)?;
                    // Under `parsec` the server first sends its salt.
                    let answer = match plugin {
                        AuthPlugin::MariadbParsec { .. } => Vec::new(),
                        _ => self.answer(&plugin, &challenge),
                    };
                    self.send(&answer)?;
                }
                _ => self.go_on(&plugin, &challenge, &packet)?,
            }
        }
        Err(unknown().into())
    }

    /// Answers a challenge. Empty: there is no password.
    fn answer(&self, plugin: &AuthPlugin<'_>, challenge: &[u8]) -> Vec<u8> {
        let answer = plugin.gen_data(self.account.password, challenge);
        answer.map(|answer| answer.to_vec()).unwrap_or_default()
    }

    fn password(&self) -> Option<&[u8]> {
        self.account.password.map(str::as_bytes)
    }

    /// Answers what a plugin asks besides its challenge.
    fn go_on(&mut self, plugin: &AuthPlugin<'_>, challenge: &[u8], packet: &[u8]) -> mysql::Result<()> {
        match (plugin, packet) {
            (AuthPlugin::CachingSha2Password, [MORE_DATA, FAST_IS_ENOUGH]) => Ok(()),
            (AuthPlugin::CachingSha2Password, [MORE_DATA, FULL_IS_NEEDED]) => {
                let mut password = self.password().unwrap_or_default().to_vec();
                password.push(0);
                if self.is_private {
                    return self.send(&password);
                }
                self.send(&[SEND_PUBLIC_KEY])?;
                let answer = self.receive()?;
                let key = answer.strip_prefix(&[MORE_DATA]).and_then(RsaKey::of_pem);
                let key = key
                    .ok_or_else(|| protocol_error("the server's RSA key is none, or not one of 1,024 to 8,192 bits"))?;
                for (byte, mask) in password.iter_mut().zip(challenge.iter().cycle()) {
                    *byte ^= mask;
                }
                let secret = key.encrypt(&password);
                self.send(&secret.ok_or_else(|| protocol_error("the server's RSA key is too short for the password"))?)
            }
            (AuthPlugin::MariadbParsec { .. }, packet) => {
                // The first versions of the plugin leave the marker out.
                let salt = packet.strip_prefix(&[MORE_DATA]).unwrap_or(packet);
                let (iterations, salt) = parse_parsec_salt(salt)
                    .filter(|(iterations, _)| *iterations <= HARDNESS_MAX)
                    .ok_or_else(|| {
                        protocol_error("the server asks for another key than parsec has, or a harder one")
                    })?;
                let challenge = challenge.try_into().map_err(|_| unknown())?;
                let password = self.password().unwrap_or_default();
                self.send(&create_response_for_parsec(password, challenge, iterations, salt))
            }
            _ => Err(unknown().into()),
        }
    }
}

fn unknown() -> std::io::Error {
    protocol_error("the server's handshake is none that is known; is it MySQL or MariaDB?")
}

fn collation() -> u8 {
    // The same that the response has.
    u8::try_from(CollationId::UTF8MB4_GENERAL_CI as u16).unwrap_or_default()
}

/// Reads the name of another way to authenticate, and its challenge.
fn switch(request: &[u8]) -> mysql::Result<(AuthPlugin<'static>, Vec<u8>)> {
    if request.is_empty() {
        return Err(DriverError::OldMysqlPasswordDisabled.into());
    }
    let mut fields = Fields::of(request);
    let name = fields.until_zero().unwrap_or(request);
    let plugin = AuthPlugin::from_bytes(name).into_owned();
    let challenge_bytes = match &plugin {
        AuthPlugin::MysqlNativePassword | AuthPlugin::CachingSha2Password => CHALLENGE_BYTES,
        // Their last byte may be zero, and is no mark of an end.
        AuthPlugin::Ed25519 | AuthPlugin::MariadbParsec { .. } => LONG_CHALLENGE_BYTES,
        AuthPlugin::MysqlOldPassword => return Err(DriverError::OldMysqlPasswordDisabled.into()),
        AuthPlugin::MysqlClearPassword => return Err(DriverError::CleartextPluginDisabled.into()),
        AuthPlugin::Other(name) => {
            let name = name.get(..PLUGIN_NAME_BYTES_MAX).unwrap_or(name);
            return Err(DriverError::UnknownAuthPlugin(String::from_utf8_lossy(name).into_owned()).into());
        }
    };
    match (fields.bytes(challenge_bytes), fields.rest()) {
        (Some(challenge), [] | [0]) => Ok((plugin, challenge.to_vec())),
        _ => Err(unknown().into()),
    }
}

//! What a DSN says of TLS: `tls`, `tls_ca`, `tls_cert`, `tls_key`, `tls_verify`.
//!
//! Invariant: no connection falls back to plain text. TLS is off, or a server without it is
//! refused.

use crate::error::{Error, Result};

/// How a connection is encrypted. It has paths only: the files are read when a buffer is made, and
/// at each connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// A PEM file with the authorities that are trusted, and no others. `None`: the system's.
    pub ca: Option<String>,
    /// PEM files with this client's certificate chain and its key.
    pub identity: Option<(String, String)>,
    /// What is checked of the server's certificate.
    pub verify: Verify,
}

/// What is checked of the server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// A trusted authority signed it, for the host that the DSN names.
    Identity,
    /// A trusted authority signed it, for whatever host.
    Ca,
    /// Nothing: anyone on the way may be the server.
    None,
}

/// The options as they come, in any order.
#[derive(Debug, Default)]
pub struct TlsOptions {
    tls: Option<bool>,
    ca: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    verify: Option<Verify>,
}

impl Tls {
    /// The options that name files, and their paths.
    pub fn files(&mut self) -> impl Iterator<Item = (&'static str, &mut String)> {
        let identity = self
            .identity
            .as_mut()
            .map(|(cert, key)| [("tls_cert", cert), ("tls_key", key)]);
        let ca = self.ca.as_mut().map(|path| ("tls_ca", path));
        ca.into_iter().chain(identity.into_iter().flatten())
    }
}

impl TlsOptions {
    /// Takes an option. Returns whether it is one of these.
    pub fn set(&mut self, name: &str, value: &str) -> Result<bool> {
        match name {
            "tls" => {
                self.tls = Some(match value {
                    "off" => false,
                    "required" => true,
                    _ => return Err(Error::config("the DSN's tls must be off or required")),
                });
            }
            "tls_ca" => self.ca = Some(path(name, value)?),
            "tls_cert" => self.cert = Some(path(name, value)?),
            "tls_key" => self.key = Some(path(name, value)?),
            "tls_verify" => {
                self.verify = Some(match value {
                    "identity" => Verify::Identity,
                    "ca" => Verify::Ca,
                    "none" => Verify::None,
                    _ => return Err(Error::config("the DSN's tls_verify must be identity, ca or none")),
                });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What all of them together say.
    pub fn finish(self, unix_socket: bool) -> Result<Option<Tls>> {
        let details = [
            ("tls_ca", self.ca.is_some()),
            ("tls_cert", self.cert.is_some()),
            ("tls_key", self.key.is_some()),
            ("tls_verify", self.verify.is_some()),
        ];
        let detail = details.iter().find(|(_, given)| *given).map(|(name, _)| *name);
        match (self.tls, detail) {
            (Some(false), Some(name)) => {
                return Err(Error::config(format!(
                    "the DSN has tls=off and {name}: leave out one of the two"
                )));
            }
            (Some(false) | None, None) => return Ok(None),
            _ => {}
        }
        if unix_socket {
            return Err(Error::config(format!(
                "the DSN has unix_socket and {}: what goes through a unix socket never leaves the machine, and is not encrypted; \
                 leave out one of the two",
                detail.unwrap_or("tls=required")
            )));
        }
        let verify = self.verify.unwrap_or(Verify::Identity);
        if verify == Verify::None && self.ca.is_some() {
            return Err(Error::config(
                "the DSN has tls_verify=none, which checks nothing, and tls_ca: leave out one of the two",
            ));
        }
        let identity = match (self.cert, self.key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(_), None) => return Err(Error::config("the DSN has tls_cert without tls_key: give both")),
            (None, Some(_)) => return Err(Error::config("the DSN has tls_key without tls_cert: give both")),
        };
        Ok(Some(Tls {
            ca: self.ca,
            identity,
            verify,
        }))
    }
}

fn path(name: &str, value: &str) -> Result<String> {
    if value.is_empty() {
        return Err(Error::config(format!(
            "the DSN's {name} is empty: give a PEM file's path"
        )));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn parse(options: &str, unix_socket: bool) -> Result<Option<Tls>> {
        let mut tls = TlsOptions::default();
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').expect(option);
            assert!(tls.set(name, value)?, "{option}");
        }
        tls.finish(unix_socket)
    }

    #[test]
    fn any_detail_requires_tls() {
        for (options, verify) in [
            ("", None),
            ("tls=off", None),
            ("tls=required", Some(Verify::Identity)),
            ("tls_ca=/ca.pem", Some(Verify::Identity)),
            ("tls_cert=/c.pem&tls_key=/k.pem", Some(Verify::Identity)),
            ("tls_verify=ca&tls_ca=/ca.pem&tls=required", Some(Verify::Ca)),
            ("tls_verify=none", Some(Verify::None)),
        ] {
            let tls = parse(options, false).expect(options);
            assert_eq!(tls.map(|tls| tls.verify), verify, "{options}");
        }
        let tls = parse("tls_ca=/ca.pem&tls_key=/k.pem&tls_cert=/c.pem", false).expect("TLS");
        let expected = Tls {
            ca: Some("/ca.pem".to_owned()),
            identity: Some(("/c.pem".to_owned(), "/k.pem".to_owned())),
            verify: Verify::Identity,
        };
        assert_eq!(tls, Some(expected));
    }

    #[test]
    fn refuses_contradictions() {
        for (options, unix_socket, expected) in [
            ("tls=on", false, "tls must be off or required"),
            ("tls_verify=no", false, "tls_verify must be identity, ca or none"),
            ("tls_ca=", false, "tls_ca is empty"),
            ("tls=off&tls_ca=/ca.pem", false, "tls=off and tls_ca"),
            ("tls_verify=ca&tls=off", false, "tls=off and tls_verify"),
            ("tls_cert=/c.pem", false, "tls_cert without tls_key"),
            ("tls_key=/k.pem", false, "tls_key without tls_cert"),
            (
                "tls_verify=none&tls_ca=/ca.pem",
                false,
                "tls_verify=none, which checks nothing, and tls_ca",
            ),
            ("tls=required", true, "unix_socket and tls=required"),
            ("tls_verify=none", true, "unix_socket and tls_verify"),
        ] {
            let error = parse(options, unix_socket).expect_err(options);
            assert!(error.kind() == Kind::Config, "{options}");
            assert!(error.message().contains(expected), "{options}: {error}");
        }
        assert_eq!(parse("tls=off", true), Ok(None));
        assert_eq!(TlsOptions::default().set("charset", "utf8mb4"), Ok(false));
    }
}

//! The certificates of a TLS connection. They are read and checked when a buffer is made, and again
//! at each connect, for a message that names the file. Also what went wrong with a server's
//! certificate, in words.
//!
//! Whom does TLS trust? The authorities of `tls_ca`, or without it those of the system's bundle,
//! and nobody else.
//!
//! Bound: a file has at most 16 MiB ([`FILE_BYTES_MAX`]).

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, ClientConnection, RootCertStore};

use crate::dsn::{Tls, Verify};
use crate::sink::mysql::bounded_file;
use crate::sink::mysql::verify::{AnyName, Anybody};

/// The files of the authorities that a system trusts: Debian, Fedora, SUSE, Alpine and the BSDs.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The most bytes of a file. A system's bundle has about 0.2 MB.
const FILE_BYTES_MAX: u64 = 16 * 1_024 * 1_024;

/// Initializes the statics of the TLS library: its provider of cryptography, and what it knows of
/// the processor. On the thread that makes the buffer: a fork must not find them half made by a
/// thread that the child does not have.
pub fn warm_up() {
    let nobody = Tls {
        ca: None,
        identity: None,
        verify: Verify::None,
    };
    let name = ServerName::try_from("localhost");
    let hello = client_config(&nobody).map(|config| name.map(|name| ClientConnection::new(config, name)));
    // It is sent nowhere, so it does not matter whether it could be.
    std::hint::black_box(hello).ok();
}

/// Reads the files. The error says which one is of no use, and why.
pub fn check(tls: &Tls) -> Result<(), String> {
    client_config(tls).map(drop)
}

/// What the TLS library needs to know. Reads the files; the error says which one is of no use, and
/// why.
pub fn client_config(tls: &Tls) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    if let Some((option, path)) = authorities(tls)? {
        for certificate in certificates(option, path)? {
            roots
                .add(certificate)
                .map_err(|error| format!("{option} {path} holds a certificate that is no authority's: {error}"))?;
        }
    }
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be used: {error}"))?;
    let builder = match tls.verify {
        Verify::Identity => builder.with_root_certificates(roots),
        Verify::Ca => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyName::new(roots, &provider))),
        Verify::None => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody)),
    };
    let config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = certificates("tls_cert", cert)?;
            let private = PrivateKeyDer::from_pem_slice(&read("tls_key", key)?).map_err(|error| match error {
                pem::Error::NoItemsFound => format!(
                    "tls_key {key} holds no private key in PEM that can be read; an encrypted one is to be decrypted first (openssl pkey)"
                ),
                other => format!("tls_key {key} is no PEM file: {other}"),
            })?;
            builder
                .with_client_auth_cert(chain, private)
                .map_err(|error| format!("tls_cert {cert} and tls_key {key} cannot be used together: {error}"))?
        }
    };
    Ok(Arc::new(config))
}

/// The file of the trusted authorities, and the option that named it. `None` if nothing is
/// verified.
fn authorities(tls: &Tls) -> Result<Option<(&'static str, &str)>, String> {
    match (&tls.ca, tls.verify) {
        (_, Verify::None) => Ok(None),
        (Some(path), _) => Ok(Some(("tls_ca", path))),
        (None, _) => SYSTEM_BUNDLES
            .into_iter()
            .find(|path| Path::new(path).exists())
            .map(|path| Some(("the system's bundle", path)))
            .ok_or_else(|| {
                format!(
                    "TLS without tls_ca trusts the system's authorities, and there are none at {}: give tls_ca=PATH",
                    SYSTEM_BUNDLES.join(", ")
                )
            }),
    }
}

fn read(option: &str, path: &str) -> Result<Vec<u8>, String> {
    bounded_file::read(path, FILE_BYTES_MAX).map_err(|error| format!("{option} {path} cannot be read: {error}"))
}

fn certificates(option: &str, path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_slice_iter(&read(option, path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("{option} {path} is no PEM file: {error}"))?;
    if found.is_empty() {
        return Err(format!("{option} {path} holds no certificate in PEM"));
    }
    Ok(found)
}

/// The TLS library's error inside an error of reading or writing.
pub fn error_of(io: &std::io::Error) -> Option<&rustls::Error> {
    io.get_ref()?.downcast_ref()
}

/// What went wrong between client and server, and what to do.
pub fn explain(error: &rustls::Error, tls: &Tls) -> (String, &'static str) {
    use rustls::Error as E;
    match error {
        E::InvalidCertificate(
            CertificateError::UnknownIssuer
            | CertificateError::BadSignature
            | CertificateError::InvalidPurpose
            | CertificateError::InvalidPurposeContext { .. },
        ) => (
            format!(
                "the server's certificate is not signed by an authority of {}",
                tls.ca.as_deref().unwrap_or("the system")
            ),
            "; give the authority's certificate as tls_ca=PATH, or accept any certificate by tls_verify=none",
        ),
        E::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => (
            "the server's certificate is for another host".to_owned(),
            "; name the host in the DSN as the certificate does, or check the authority only, by tls_verify=ca",
        ),
        E::InvalidCertificate(certificate) => (
            format!("the server's certificate is not accepted ({certificate:?})"),
            "; renew it, or accept any certificate by tls_verify=none",
        ),
        E::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::UnknownCA,
        ) => (
            format!("the server refused this client's certificate ({error})"),
            "; give one that an authority of the server's ssl_ca signed, as tls_cert and tls_key",
        ),
        other => (
            format!("no TLS with the server: {other}"),
            "; check its TLS settings, and that it speaks TLS 1.2 or 1.3",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_own_authorities_can_be_used() {
        let tls = Tls {
            ca: None,
            identity: None,
            verify: Verify::Identity,
        };
        match authorities(&tls) {
            Ok(Some((_, path))) => assert_eq!(check(&tls), Ok(()), "{path}"),
            Ok(None) => panic!("something is checked"),
            Err(error) => assert!(error.contains("give tls_ca=PATH"), "{error}"),
        }
    }

    #[test]
    fn names_the_file_that_is_of_no_use() {
        let tls = |ca: &str, identity: Option<(&str, &str)>| Tls {
            ca: Some(ca.to_owned()),
            identity: identity.map(|(cert, key)| (cert.to_owned(), key.to_owned())),
            verify: Verify::Ca,
        };
        let not_pem = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let gone = "/nowhere/ca.pem";
        assert_eq!(
            check(&tls(gone, None)),
            Err("tls_ca /nowhere/ca.pem cannot be read: No such file or directory (os error 2)".to_owned())
        );
        assert_eq!(
            check(&tls(not_pem, None)),
            Err(format!("tls_ca {not_pem} holds no certificate in PEM"))
        );
        assert_eq!(
            check(&tls("/dev/zero", None)),
            Err("tls_ca /dev/zero cannot be read: it is no file".to_owned())
        );
        let nothing_checked = Tls {
            ca: None,
            verify: Verify::None,
            ..tls(gone, Some((not_pem, gone)))
        };
        assert_eq!(
            check(&nothing_checked),
            Err(format!("tls_cert {not_pem} holds no certificate in PEM"))
        );
    }
}

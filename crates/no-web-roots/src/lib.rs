//! An empty list of certificate authorities, in the place of Mozilla's.
//!
//! The `mysql` crate adds every authority of the web to those of `tls_ca`, and has no way to leave
//! them out. `tls_verify=ca` does not look at the certificate's name, so any certificate that
//! anybody can have from the web for nothing would pass for the server's. With this list in its
//! place, only what the DSN names is trusted.

use rustls_pki_types::{Der, TrustAnchor};

/// Nobody: an authority with neither a name nor a key, so it has signed nothing. The list must not
/// be empty: the client would refuse to connect even if nothing is checked and no authority is
/// needed.
pub static TLS_SERVER_ROOTS: &[TrustAnchor<'static>] = &[TrustAnchor {
    subject: Der::from_slice(&[]),
    subject_public_key_info: Der::from_slice(&[]),
    name_constraints: None,
}];

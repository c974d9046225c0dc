//! An empty list of certificate authorities, in the place of Mozilla's.
//!
//! The `mysql` crate adds every authority of the web to those of `tls_ca`, with no way to leave them out. With
//! `tls_verify=ca`, which does not look at the certificate's name, any certificate that anybody can have from the web for
//! nothing would then pass for the server's. With this list in its place, what the DSN names is what is trusted, and nothing
//! else.

use rustls_pki_types::{Der, TrustAnchor};

/// Nobody: an authority with neither a name nor a key, so it has signed nothing. The list may not be empty, or the client
/// would refuse to connect where nothing is checked and no authority needed.
pub static TLS_SERVER_ROOTS: &[TrustAnchor<'static>] = &[TrustAnchor {
    subject: Der::from_slice(&[]),
    subject_public_key_info: Der::from_slice(&[]),
    name_constraints: None,
}];

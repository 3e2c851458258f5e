//! A certificate authority for one test, and a server certificate for `localhost` under it.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What a TLS server and its clients need.
pub(crate) struct Authority {
    /// The authority's certificate, which clients must trust.
    pub(crate) pem: String,
    /// For the server.
    pub(crate) server: Arc<ServerConfig>,
}

impl Authority {
    /// Makes a new one with a certificate for `localhost` and `127.0.0.1`.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "a test's own authority");
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");

        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(names)
            .expect("valid names")
            .signed_by(&key, &issuer)
            .expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring knows the default versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .expect("the key fits the certificate");
        Self { pem: issuer.pem(), server: Arc::new(server) }
    }
}

//! TLS of outgoing connections: rustls with ring, the system's certificates and those of a setting.

use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::settings::SettingsError;

/// The certificates of a PEM file.
///
/// # Errors
/// When the file cannot be read, is not PEM or holds no certificate.
pub(crate) fn read_pem(setting: &str, path: &Path) -> Result<Vec<u8>, SettingsError> {
    let shown = path.display();
    let pem = std::fs::read(path)
        .map_err(|error| SettingsError::new(setting, format!("cannot read {shown}: {error}")))?;
    match CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
        Ok(found) if found.is_empty() => {
            Err(SettingsError::new(setting, format!("{shown} holds no certificate in PEM form")))
        }
        Ok(_) => Ok(pem),
        Err(error) => Err(SettingsError::new(setting, format!("{shown} is not PEM: {error}"))),
    }
}

/// For HTTPS. A machine without any certificates of its own is no error: plain HTTP works there,
/// and HTTPS fails with a message of its own.
///
/// # Errors
/// When a certificate of `extra` cannot be used as an authority.
pub(crate) fn client_config(
    setting: &str,
    extra: Option<&[u8]>,
) -> Result<ClientConfig, SettingsError> {
    let broken = |error: &dyn StdError| SettingsError::new(setting, error.to_string());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in CertificateDer::pem_slice_iter(extra.unwrap_or_default()) {
        let certificate = certificate.map_err(|error| broken(&error))?;
        roots.add(certificate).map_err(|error| broken(&error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| broken(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The first error of type `E` in a chain, also inside of [`std::io::Error`], which hides it.
pub(crate) fn find<'a, E: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

//! TLS by rustls, with the checks that libpq's `sslmode` names.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme, version};
use tokio_postgres_rustls::MakeRustlsConnect;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::config::{Tls, TlsMode};
use crate::error::{Error, Result};

/// Returns the connector for an encryption, or `None` where nothing is encrypted.
pub(super) fn connector(tls: &Tls) -> Result<Option<MakeRustlsConnect>> {
    if tls.mode == TlsMode::Disable {
        return Ok(None);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(tls, provider.signature_verification_algorithms)?;
    let versions = [&version::TLS12, &version::TLS13];
    let versions = match tls.versions {
        (true, true) => &versions[..],
        (true, false) => &versions[..1],
        (false, _) => &versions[1..],
    };
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|_| Error::InvalidSetting { setting: "sslmode", reason: "needs TLS, which this build lacks" })?
        // The trait is named so because it may do without checks: `Verifier` says which it makes.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &tls.certificate {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => config
            .with_client_auth_cert(certificates(certificate, "sslcert")?, private_key(key)?)
            .map_err(|_| Error::InvalidSetting { setting: "sslkey", reason: "is not the key of sslcert" })?,
    };
    config.enable_sni = tls.sends_name;
    Ok(Some(MakeRustlsConnect::new(config)))
}

/// Reads the certificates of a PEM file.
fn certificates(path: &Path, setting: &'static str) -> Result<Vec<CertificateDer<'static>>> {
    let invalid = |reason| Error::InvalidSetting { setting, reason };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|_| invalid("names a file that cannot be read"))?;
    let certificates: std::result::Result<Vec<_>, _> = certificates.collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(invalid("is not a PEM file of certificates")),
    }
}

/// Reads the client's key, which only its owner may read.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let invalid = |reason| Error::InvalidSetting { setting: "sslkey", reason };
    let text = std::fs::read_to_string(path).map_err(|_| invalid("names a file that cannot be read"))?;
    if text.contains("ENCRYPTED") {
        return Err(invalid(
            "is encrypted: decrypt it, as by `openssl pkey`, into a file that only its owner can read",
        ));
    }
    let metadata = std::fs::metadata(path).map_err(|_| invalid("names a file that cannot be read"))?;
    if others_can_read(&metadata) {
        return Err(invalid("can be read by other users: `chmod 600` it"));
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| invalid("is not a PEM file of a private key"))
}

/// Returns whether others can read a key. The group may read root's, as with libpq.
fn others_can_read(metadata: &std::fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let refused = if metadata.uid() == 0 { 0o027 } else { 0o077 };
        metadata.mode() & refused != 0
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        false
    }
}

/// Checks a server's certificate as far as `sslmode` asks for it. Every mode checks that the server has its key.
#[derive(Debug)]
struct Verifier {
    mode: TlsMode,
    authorities: RootCertStore,
    /// The certificates of `sslrootcert`. A server that has one of these needs no authority.
    named: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
    has_warned: AtomicBool,
}

impl Verifier {
    fn new(tls: &Tls, algorithms: WebPkiSupportedAlgorithms) -> Result<Self> {
        let mut authorities = RootCertStore::empty();
        let mut named = Vec::new();
        match &tls.root_certificate {
            Some(path) => {
                named = certificates(path, "sslrootcert")?;
                authorities.add_parsable_certificates(named.iter().cloned());
            }
            None => {
                authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if authorities.is_empty() && tls.mode > TlsMode::Require {
            return Err(Error::InvalidSetting {
                setting: "sslrootcert",
                reason: "names no authority, and the system trusts none: TLS needs one",
            });
        }
        Ok(Self { mode: tls.mode, authorities, named, algorithms, has_warned: AtomicBool::new(false) })
    }

    /// Checks a certificate's authority and dates, and its name unless the mode leaves that out.
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        if self.named.contains(certificate) {
            verify_dates(certificate, now)?;
        } else {
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&parsed, &self.authorities, intermediates, now, algorithms)?;
        }
        if self.mode == TlsMode::VerifyCa {
            return Ok(());
        }
        verify_server_name(&parsed, name)
            .or_else(|error| if has_common_name(certificate, &name.to_str()) { Ok(()) } else { Err(error) })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.mode {
            TlsMode::Disable | TlsMode::Allow | TlsMode::Prefer => {}
            TlsMode::Require => {
                if let Err(error) = self.verify(certificate, intermediates, name, now)
                    && !self.has_warned.swap(true, Ordering::Relaxed)
                {
                    tracing::warn!(
                        reason = explained(&error),
                        "the server's certificate cannot be verified, and sslmode=require goes on: it may be an \
                         impostor's"
                    );
                }
            }
            TlsMode::VerifyCa | TlsMode::VerifyFull => self.verify(certificate, intermediates, name, now)?,
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Checks the dates of a certificate that is trusted by itself.
fn verify_dates(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), CertificateError> {
    let certificate = Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let validity = certificate.tbs_certificate.validity;
    let now = Duration::from_secs(now.as_secs());
    if now < validity.not_before.to_unix_duration() {
        return Err(CertificateError::NotValidYet);
    }
    if now > validity.not_after.to_unix_duration() {
        return Err(CertificateError::Expired);
    }
    Ok(())
}

/// Returns whether a certificate without alternative names has this common name, as PostgreSQL's manual makes them.
fn has_common_name(certificate: &CertificateDer<'_>, name: &str) -> bool {
    use x509_cert::der::oid::AssociatedOid;
    use x509_cert::der::oid::db::rfc4519::CN;
    use x509_cert::ext::pkix::SubjectAltName;

    let Ok(certificate) = Certificate::from_der(certificate) else { return false };
    let certificate = certificate.tbs_certificate;
    if certificate.extensions.iter().flatten().any(|extension| extension.extn_id == SubjectAltName::OID) {
        return false;
    }
    let mut attributes = certificate.subject.0.iter().flat_map(|names| names.0.iter());
    let common_name = attributes.rfind(|attribute| attribute.oid == CN);
    let common_name = common_name.and_then(|attribute| std::str::from_utf8(attribute.value.value()).ok());
    common_name.is_some_and(|pattern| matches(pattern, name))
}

/// Returns whether a name matches a pattern, in which `*.` stands for one label.
fn matches(pattern: &str, name: &str) -> bool {
    let is_wildcard_for = |domain: &str| {
        name.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(domain))
    };
    pattern.eq_ignore_ascii_case(name) || pattern.strip_prefix("*.").is_some_and(is_wildcard_for)
}

/// Returns why there is no secure connection, and what to do about it.
pub(super) fn explained(error: &rustls::Error) -> String {
    use rustls::{AlertDescription, InvalidMessage};
    let advice = match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate is of an authority that is not trusted: name the authority's PEM file by sslrootcert \
             (a hosted server's is on its host's pages; a self-signed certificate is its own)"
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            return format!(
                "{error}: connect by the name in the certificate (hostaddr= can give its address), or check only its \
                 authority by sslmode=verify-ca"
            );
        }
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired: renew it on the server"
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "its certificate is not valid yet: check both clocks",
        // An authority's own certificate, as `openssl req -x509` makes it.
        rustls::Error::InvalidCertificate(CertificateError::Other(other))
            if other.to_string().contains("CaUsedAsEndEntity") =>
        {
            "its certificate is self-signed, and is not the one that is trusted: name its PEM file by sslrootcert"
        }
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::BadCertificate | AlertDescription::UnknownCA,
        ) => "the server wants a certificate of its own authority: name it by sslcert and its key by sslkey",
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "what answered does not speak TLS: check the host and the port"
        }
        rustls::Error::PeerIncompatible(_) | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            return format!("{error}: the server needs TLS 1.2 or 1.3");
        }
        other => return other.to_string(),
    };
    advice.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        assert!(matches("db.example", "DB.example") && matches("*.example", "db.example"));
        for name in ["example", "a.db.example", ".example", "db.example.org"] {
            assert!(!matches("*.example", name), "{name}");
        }
        assert!(!matches("*", "localhost") && !matches("db.*", "db.example"));
    }
}

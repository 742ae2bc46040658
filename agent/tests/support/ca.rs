//! A CA in the test: root and intermediate by rcgen, and the one route of Chancery's REST API that the agent uses.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use policy::World;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, SanType, SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};

use super::web::{Answer, Asked, Server, answer, serve};

/// A canary: must never be seen but in the request's header.
pub const TOKEN: &str = "chy_0123456789abcdef_cAnArYcAnArYcAnArYcAnArYcAnArYcAnArYcAnArY0";

/// Keys and certificates of a CA.
pub struct Ca {
    pub roots_pem: String,
    pub chain_pem: String,
    issuer: Issuer<'static, KeyPair>,
    world: World,
}

impl Ca {
    pub fn new(world: &World) -> Self {
        let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let root_params = authority("Test Root");
        let root = root_params.self_signed(&root_key).unwrap();
        let params = authority("Test Issuing CA");
        let intermediate = params.signed_by(&key, &Issuer::new(root_params, root_key)).unwrap();
        Self {
            roots_pem: root.pem(),
            chain_pem: intermediate.pem(),
            issuer: Issuer::new(params, key),
            world: world.clone(),
        }
    }

    /// Leaf and intermediate for a request, valid from `starts` seconds after now, last second included.
    pub fn issue(&self, mut request: CertificateSigningRequestParams, profile: &str, starts: i64, secs: i64) -> String {
        let now = self.world.now().unix() + starts;
        let mut serial = [0; 16];
        self.world.fill(&mut serial);
        serial[0] = 1;
        let params = &mut request.params;
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.not_before = moment(now).into();
        params.not_after = moment(now + secs - 1).into();
        params.extended_key_usages = vec![match profile {
            "tls-client" => ExtendedKeyUsagePurpose::ClientAuth,
            _ => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        format!("{}{}", request.signed_by(&self.issuer).unwrap().pem(), self.chain_pem)
    }

    /// The TLS configuration of a server of this CA, that asks for client certificates of this CA.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let chain = ders(&format!("{}{}", leaf.pem(), self.chain_pem));
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(ders(&self.roots_pem));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .unwrap();
        let config = ServerConfig::builder_with_details(provider, super::clock(&self.world))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        Arc::new(config)
    }
}

pub fn ders(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn moment(secs: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(secs.unsigned_abs())
}

/// What the API does with the next request instead of its duty.
pub enum Twist {
    /// An answer from a busy or broken server.
    Answer(u16, &'static [(&'static str, &'static str)], String),
    /// The certificate is for this name.
    OtherName(&'static str),
    /// The certificate is for another key.
    OtherKey,
    /// The certificate has this profile's usages.
    OtherProfile(&'static str),
    /// The certificate ended before it began to be of use.
    Expired,
    /// The certificate begins so many seconds from now: the server's clock is ahead.
    Early(i64),
    /// The certificate is from this CA.
    OtherCa(Arc<Ca>),
    /// The connection ends after the certificate was made.
    Lost,
}

/// What the API saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// `token`, or the serial of a client certificate.
    pub proof: String,
    pub body: Value,
}

#[derive(Default)]
struct Book {
    seen: Vec<Seen>,
    twists: VecDeque<Twist>,
}

/// The stand-in of `POST /api/v1/certificates`.
pub struct Api {
    pub ca: Arc<Ca>,
    book: Arc<Mutex<Book>>,
    server: Server,
}

impl Api {
    pub async fn start(world: &World) -> Self {
        let ca = Arc::new(Ca::new(world));
        let book = Arc::<Mutex<Book>>::default();
        let (desk, pages) = (ca.clone(), book.clone());
        let server = serve(ca.server_config(), move |asked| {
            let (ca, book) = (desk.clone(), pages.clone());
            async move { certify(&ca, &book, &asked) }
        })
        .await;
        Self { ca, book, server }
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.server.address.port())
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.book.lock().unwrap().seen.clone()
    }

    pub fn proofs(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.proof).collect()
    }

    pub fn twist(&self, twist: Twist) {
        self.book.lock().unwrap().twists.push_back(twist);
    }
}

fn certify(ca: &Ca, book: &Mutex<Book>, asked: &Asked) -> Answer {
    let mut book = book.lock().unwrap();
    let proof = match (&asked.client, asked.authorization.as_deref()) {
        (Some(der), None) => serial_of(der),
        (None, Some(text)) if text == format!("Bearer {TOKEN}") => "token".to_owned(),
        _ => return problem(401, "neither a token nor a client certificate"),
    };
    if (asked.method.as_str(), asked.path.as_str()) != ("POST", "/api/v1/certificates") {
        return problem(404, "no such route");
    }
    let Ok(body) = serde_json::from_slice::<Value>(&asked.body) else {
        return problem(400, "not JSON");
    };
    book.seen.push(Seen { proof, body: body.clone() });
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
    let Ok(mut request) = CertificateSigningRequestParams::from_pem(text("csr")) else {
        return problem(400, "not a request");
    };
    let mut secs = body.get("validity_secs").and_then(Value::as_i64).unwrap_or(120);
    let mut profile = text("profile");
    let mut lost = false;
    let mut starts = 0;
    let mut other = None;
    match book.twists.pop_front() {
        None => {}
        Some(Twist::Answer(status, headers, body)) => return answer(status, headers, body),
        Some(Twist::OtherName(name)) => {
            request.params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        }
        Some(Twist::OtherKey) => {
            let request_of_another = request.params.serialize_request(&KeyPair::generate().unwrap());
            request = CertificateSigningRequestParams::from_der(request_of_another.unwrap().der()).unwrap();
        }
        Some(Twist::OtherProfile(name)) => profile = name,
        Some(Twist::Expired) => secs = -600,
        Some(Twist::Early(secs)) => starts = secs,
        Some(Twist::OtherCa(ca)) => other = Some(ca),
        Some(Twist::Lost) => lost = true,
    }
    let chain = other.as_deref().unwrap_or(ca).issue(request, profile, starts, secs);
    match lost {
        true => answer(201, &[("content-length", "999999")], "{"),
        false => answer(
            201,
            &[("content-type", "application/json")],
            json!({ "chain": chain, "serial": "lies" }).to_string(),
        ),
    }
}

pub fn serial_of(der: &[u8]) -> String {
    use x509_parser::prelude::{FromDer, X509Certificate};
    let (_, certificate) = X509Certificate::from_der(der).unwrap();
    certificate.raw_serial().iter().map(|b| format!("{b:02x}")).collect()
}

fn problem(status: u16, detail: &str) -> Answer {
    let body = json!({ "type": "urn:chancery:problem:test", "title": "Refused", "status": status, "detail": detail });
    answer(status, &[("content-type", "application/problem+json")], body.to_string())
}

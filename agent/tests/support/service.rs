//! A TLS service that reads its files when it starts and when it is told to: what the agent keeps certificates for.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use policy::World;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A running service.
pub struct Service {
    pub address: SocketAddr,
    control: SocketAddr,
    deaf: Arc<AtomicBool>,
    pub reloads: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Service {
    /// Listens at once; serves once it was told to read `key` and `cert`.
    pub async fn start(key: PathBuf, cert: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let commands = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, control) = (listener.local_addr().unwrap(), commands.local_addr().unwrap());
        let running = Arc::new(RwLock::new(load(&key, &cert)));
        let (deaf, reloads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let tasks = vec![
            tokio::spawn(serve(listener, running.clone())),
            tokio::spawn(obey(commands, running, deaf.clone(), reloads.clone(), key, cert)),
        ];
        Self { address, control, deaf, reloads, tasks }
    }

    /// The reload command: a poke at the control port; it ends with 0 only if the service took the files.
    pub fn reload(&self) -> String {
        let port = self.control.port();
        let script = format!(r#"exec 3<>/dev/tcp/127.0.0.1/{port} && read -r said <&3 && [ \"$said\" = ok ]"#);
        format!(r#"["/bin/bash", "-c", "{script}"]"#)
    }

    /// From now on the service says it reloaded, and does not.
    pub fn go_deaf(&self, deaf: bool) {
        self.deaf.store(deaf, Ordering::SeqCst);
    }

    pub fn reloads(&self) -> usize {
        self.reloads.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, running: Arc<RwLock<Option<Arc<ServerConfig>>>>) {
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        let Some(config) = running.read().unwrap().clone() else { continue };
        tokio::spawn(async move {
            if let Ok(mut tls) = TlsAcceptor::from(config).accept(tcp).await {
                let _ = tls.write_all(b"hello").await;
                let _ = tls.shutdown().await;
            }
        });
    }
}

async fn obey(
    commands: TcpListener,
    running: Arc<RwLock<Option<Arc<ServerConfig>>>>,
    deaf: Arc<AtomicBool>,
    reloads: Arc<AtomicUsize>,
    key: PathBuf,
    cert: PathBuf,
) {
    loop {
        let (mut tcp, _) = commands.accept().await.unwrap();
        reloads.fetch_add(1, Ordering::SeqCst);
        let said: &[u8] = match (deaf.load(Ordering::SeqCst), load(&key, &cert)) {
            (true, _) => b"ok\n",
            (false, Some(config)) => {
                *running.write().unwrap() = Some(config);
                b"ok\n"
            }
            (false, None) => b"no\n",
        };
        let _ = tcp.write_all(said).await;
    }
}

/// Refuses, as real services do, a key that does not match.
fn load(key: &Path, cert: &Path) -> Option<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(cert).ok()?.collect::<Result<_, _>>().ok()?;
    let key = PrivateKeyDer::from_pem_file(key).ok()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .ok()?;
    Some(Arc::new(config))
}

/// A client that judges what the service shows, at the World's time.
#[derive(Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    address: SocketAddr,
}

impl Client {
    pub fn new(world: &World, roots_pem: &str, address: SocketAddr) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(super::ca::ders(roots_pem));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_details(provider, super::clock(world))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Self { config: Arc::new(config), address }
    }

    /// The serial that is served, if the chain holds for the name.
    pub async fn look(&self, name: &str) -> Result<String, String> {
        let tcp = TcpStream::connect(self.address).await.map_err(|e| e.to_string())?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let tls = TlsConnector::from(self.config.clone()).connect(name, tcp).await.map_err(|e| e.to_string())?;
        let chain = tls.get_ref().1.peer_certificates().unwrap();
        Ok(super::ca::serial_of(&chain[0]))
    }
}

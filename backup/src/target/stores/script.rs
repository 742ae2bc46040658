//! A store for tests: it gives the answers that a test wrote down, one a request, and keeps what it was asked. Behind the last one nobody
//! listens.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use super::access::Access;

/// What it does with a request.
pub(in crate::target) enum Says {
    /// A status, further lines of the head, a body.
    This(u16, &'static str, String),
    /// Takes the request, and cuts the line.
    Cut,
}

/// The store.
pub(in crate::target) struct Script {
    asked: Arc<Mutex<Vec<String>>>,
    /// How it is reached.
    pub access: Access,
    _dir: tempfile::TempDir,
}

impl Script {
    /// Begins to listen.
    pub fn new(answers: Vec<Says>) -> Script {
        // The program has one; `reqwest` builds no client without.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let credentials = dir.path().join("credentials");
        std::fs::write(&credentials, "aws_access_key_id = id\naws_secret_access_key = canary\n").unwrap();
        std::fs::set_permissions(&credentials, std::fs::Permissions::from_mode(0o600)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let access = Access { endpoint: Some(endpoint), credentials_file: Some(credentials), ..Access::default() };
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let notes = Arc::clone(&asked);
        std::thread::spawn(move || {
            for says in answers {
                let (line, _) = listener.accept().unwrap();
                let request = request(&line);
                notes.lock().unwrap().push(request);
                answer(&line, &says);
            }
        });
        Script { asked, access, _dir: dir }
    }

    /// What was asked: each method, path and, of the query, what is no signature; then so many bytes as came with it.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn request(line: &TcpStream) -> String {
    let mut input = BufReader::new(line);
    let (mut first, mut length) = (String::new(), 0_usize);
    input.read_line(&mut first).unwrap();
    loop {
        let mut header = String::new();
        input.read_line(&mut header).unwrap();
        match header.trim().to_ascii_lowercase().split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().unwrap(),
            Some(_) => {}
            None => break,
        }
    }
    std::io::copy(&mut input.take(length as u64), &mut std::io::sink()).unwrap();
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("X-Amz-") && !pair.is_empty()).collect();
    format!("{method} {path} {} {length}", query.join("&"))
}

fn answer(mut line: &TcpStream, says: &Says) {
    let Says::This(status, head, body) = says else { return };
    // The length of an object is in the head of an answer without a body.
    let length =
        if head.contains("content-length") { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let text = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n{length}{head}\r\n{body}");
    line.write_all(text.as_bytes()).unwrap();
}

/// Does something off the async threads, within a runtime.
pub(in crate::target) fn aside<T>(work: impl FnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _entered = runtime.enter();
    work()
}

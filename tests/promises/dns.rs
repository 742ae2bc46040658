//! A DNS server for tests: authoritative for `example.test`, answers A with 127.0.0.1, TXT from a folder (one file a
//! name, one line a value), SOA and NS at the zone's apex. UDP only; ends with the value.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const ZONE: &str = "example.test";
const TYPE_A: u16 = 1;
const TYPE_NS: u16 = 2;
const TYPE_SOA: u16 = 6;
const TYPE_TXT: u16 = 16;

/// The running server.
pub struct Dns {
    port: u16,
    folder: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Dns {
    /// Listens on a free port of loopback; TXT values live in `folder`.
    pub fn start(folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).expect("a folder for TXT values");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP port");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        let port = socket.local_addr().expect("an address").port();
        let stop = Arc::new(AtomicBool::new(false));
        let (ends, txt) = (stop.clone(), folder.clone());
        let thread = std::thread::spawn(move || {
            let mut query = [0; 1500];
            while !ends.load(Ordering::Relaxed) {
                if let Ok((len, peer)) = socket.recv_from(&mut query)
                    && let Some(answer) = answer(&query[..len], &txt)
                {
                    let _ = socket.send_to(&answer, peer);
                }
            }
        });
        Self { port, folder, stop, thread: Some(thread) }
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The script that lego's exec provider runs: `present` and `cleanup` with a name and a value; `value` replaces it.
    pub fn script(&self, path: &Path, value: &str) {
        use std::os::unix::fs::PermissionsExt;
        let folder = self.folder.display();
        let script = format!(
            "#!/bin/sh\nname=$(echo \"$2\" | sed 's/\\.$//')\ncase $1 in\npresent) echo \"{value}\" >> \"{folder}/$name\" ;;\ncleanup) rm -f \"{folder}/$name\" ;;\nesac\n"
        );
        std::fs::write(path, script).expect("a script");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The answer to a query with one question (RFC 1035 section 4).
fn answer(query: &[u8], txt: &Path) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let len = usize::from(*query.get(at)?);
        if len == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at + 1..at + 1 + len)?).to_lowercase());
        at += 1 + len;
    }
    let question = query.get(12..at + 5)?;
    let kind = u16::from_be_bytes([*query.get(at + 1)?, *query.get(at + 2)?]);
    let name = labels.join(".");
    let apex = name == ZONE;
    let inside = apex || name.ends_with(&format!(".{ZONE}"));
    let records: Vec<Vec<u8>> = match kind {
        TYPE_A if inside && !name.contains("_acme-challenge") => vec![vec![127, 0, 0, 1]],
        TYPE_NS if apex => vec![encode(&format!("ns.{ZONE}"))],
        TYPE_SOA if apex => vec![soa()],
        TYPE_TXT => std::fs::read_to_string(txt.join(&name))
            .unwrap_or_default()
            .lines()
            .map(|line| [&[line.len() as u8], line.as_bytes()].concat())
            .collect(),
        _ => vec![],
    };
    // Response, authoritative; NXDOMAIN outside the zone, an empty answer with the SOA inside it.
    let rcode = if inside { 0 } else { 3 };
    let authority = u16::from(records.is_empty() && inside);
    let mut answer = query[..2].to_vec();
    answer.extend([0x84 | (query[2] & 1), 0x80 | rcode, 0, 1]);
    answer.extend((records.len() as u16).to_be_bytes());
    answer.extend(authority.to_be_bytes());
    answer.extend([0, 0]);
    answer.extend(question);
    for data in &records {
        answer.extend([0xC0, 12]);
        append(&mut answer, kind, data);
    }
    if authority == 1 {
        answer.extend(encode(ZONE));
        append(&mut answer, TYPE_SOA, &soa());
    }
    Some(answer)
}

fn append(answer: &mut Vec<u8>, kind: u16, data: &[u8]) {
    answer.extend(kind.to_be_bytes());
    answer.extend([0, 1, 0, 0, 0, 1]); // class IN, TTL 1 s
    answer.extend((data.len() as u16).to_be_bytes());
    answer.extend(data);
}

fn soa() -> Vec<u8> {
    let mut data = encode(&format!("ns.{ZONE}"));
    data.extend(encode(&format!("hostmaster.{ZONE}")));
    data.extend([1u32, 60, 60, 60, 1].into_iter().flat_map(u32::to_be_bytes));
    data
}

fn encode(name: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = name.split('.').flat_map(|l| [&[l.len() as u8], l.as_bytes()].concat()).collect();
    bytes.push(0);
    bytes
}

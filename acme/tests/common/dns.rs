//! A DNS server for tests: a small zone in memory, over UDP on loopback, with the faults a validator must survive.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CAA, CNAME, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// What the server says about a name.
#[allow(dead_code)]
#[derive(Clone)]
pub enum Answer {
    /// These records.
    Records(Vec<RData>),
    /// SERVFAIL.
    Broken,
    /// REFUSED.
    Refused,
    /// These records to questions of this type, and nothing at all to others.
    OnlyTo(RecordType, Vec<RData>),
    /// These records to questions without EDNS, and FORMERR to those with it.
    WithoutEdns(Vec<RData>),
    /// Nothing at all.
    Silent,
}

/// The running server; it ends when dropped.
pub struct Dns {
    pub address: SocketAddr,
    zone: Arc<Mutex<HashMap<String, Answer>>>,
    task: JoinHandle<()>,
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[allow(dead_code)]
impl Dns {
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let zone = Arc::new(Mutex::new(HashMap::new()));
        let task = tokio::spawn(serve(socket, Arc::clone(&zone)));
        Self { address, zone, task }
    }

    pub fn set(&self, name: &str, answer: Answer) {
        self.zone.lock().unwrap().insert(format!("{name}."), answer);
    }

    pub fn txt(&self, name: &str, values: &[&str]) {
        let records = values.iter().map(|value| RData::TXT(TXT::new(vec![(*value).to_owned()])));
        self.set(name, Answer::Records(records.collect()));
    }

    pub fn a(&self, name: &str, address: Ipv4Addr) {
        self.set(name, Answer::Records(vec![RData::A(A(address))]));
    }

    pub fn cname(&self, name: &str, target: &str) {
        let target = Name::from_ascii(format!("{target}.")).unwrap();
        self.set(name, Answer::Records(vec![RData::CNAME(CNAME(target))]));
    }

    pub fn caa(&self, name: &str, issuer: &str) {
        let issuer = Name::from_ascii(issuer).unwrap();
        self.set(name, Answer::Records(vec![RData::CAA(CAA::new_issue(true, Some(issuer), Vec::new()))]));
    }

    pub fn remove(&self, name: &str) {
        self.zone.lock().unwrap().remove(&format!("{name}."));
    }
}

async fn serve(socket: UdpSocket, zone: Arc<Mutex<HashMap<String, Answer>>>) {
    let mut buffer = [0u8; 4096];
    loop {
        let Ok((len, from)) = socket.recv_from(&mut buffer).await else { return };
        let Ok(query) = Message::from_vec(&buffer[..len]) else { continue };
        let answer = answer(&query, &zone.lock().unwrap());
        if let Some(bytes) = answer.and_then(|answer| answer.to_vec().ok()) {
            let _ = socket.send_to(&bytes, from).await;
        }
    }
}

fn answer(query: &Message, zone: &HashMap<String, Answer>) -> Option<Message> {
    let asked = query.queries.first()?;
    let mut reply = Message::response(query.metadata.id, OpCode::Query);
    reply.add_query(asked.clone());
    let name = asked.name().to_ascii().to_ascii_lowercase();
    match zone.get(&name) {
        None => reply.metadata.response_code = ResponseCode::NXDomain,
        Some(Answer::Broken) => reply.metadata.response_code = ResponseCode::ServFail,
        Some(Answer::Refused) => reply.metadata.response_code = ResponseCode::Refused,
        Some(Answer::Silent) => return None,
        Some(Answer::OnlyTo(kind, _)) if *kind != asked.query_type() => return None,
        Some(Answer::WithoutEdns(_)) if query.edns.is_some() => reply.metadata.response_code = ResponseCode::FormErr,
        Some(Answer::Records(records) | Answer::OnlyTo(_, records) | Answer::WithoutEdns(records)) => {
            let fits = |data: &&RData| [asked.query_type(), RecordType::CNAME].contains(&data.record_type());
            for data in records.iter().filter(fits) {
                reply.add_answer(Record::from_rdata(asked.name().clone(), 60, data.clone()));
            }
        }
    }
    Some(reply)
}

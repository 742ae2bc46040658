use store::{Filter, Kind, State};

use super::super::recover::{interrupted, recover};
use super::*;
use crate::test_common::raw::Raw;
use crate::test_common::{Ca, csr, dns_name};

/// A ready order of a real CA and a task to finalize it.
async fn ready(ca: &Ca) -> (Task, Stored<Order>) {
    let raw = Raw::registered(ca).await;
    let (url, _) = raw.ready_order(ca, &["a.example"]).await;
    let order: Stored<Order> = ca.state.desk().get(url.rsplit('/').next().unwrap()).await.unwrap().unwrap();
    let account: Stored<Account> = ca.state.desk().get(&order.object.account).await.unwrap().unwrap();
    let csr = Csr::parse(&csr(&[dns_name("a.example")]).0).unwrap();
    (Task { state: ca.state.clone(), account: account.object, csr }, order)
}

fn finalized(ca: &Ca, csr: &str) -> Finalized {
    Finalized { csr: csr.to_owned(), key: "00".repeat(32), at: ca.state.now() }
}

/// The same, with the finalization just begun.
async fn begun(ca: &Ca) -> (Task, Stored<Order>, Order) {
    let (task, order) = ready(ca).await;
    let finalized = Finalized { key: sha256_hex(task.csr.spki_der()), ..finalized(ca, "one") };
    let processing = order.object.begin(finalized, ca.state.now()).unwrap();
    ca.state.desk().write(&server_actor(), vec![order.next(&processing)]).await.unwrap();
    let order = ca.state.desk().get(&processing.id).await.unwrap().unwrap();
    (task, order, processing)
}

/// What a reader makes of an order whose lease is over.
async fn give_up(ca: &Ca, order: &Stored<Order>) {
    let given_up = order.object.conclude(Err(interrupted(None))).unwrap();
    ca.state.desk().write(&server_actor(), vec![order.next(&given_up)]).await.unwrap();
}

#[tokio::test]
async fn nothing_is_signed_for_an_order_that_was_given_up() {
    let ca = Ca::start().await;
    let (task, order, begun) = begun(&ca).await;
    give_up(&ca, &order).await;
    let refused = task.issue(&begun).await.unwrap_err();
    assert!(refused.detail.contains("given up"), "{refused}");
    let filter = Filter { kind: Some(Kind::Certificate), ..Filter::default() };
    assert!(ca.authority.ledger().list(filter).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_certificate_whose_order_was_given_up_meanwhile_is_revoked() {
    let ca = Ca::start().await;
    let (task, order, begun) = begun(&ca).await;
    let serial = task.issue(&begun).await.unwrap();
    give_up(&ca, &order).await;
    assert_eq!(task.conclude(&begun.id, Ok(serial.clone())).await.unwrap().status, OrderStatus::Invalid);
    assert_eq!(ca.authority.ledger().credential(&serial).await.unwrap().unwrap().state, State::Revoked);
}

#[tokio::test]
async fn a_certificate_that_was_recovered_meanwhile_stays_good() {
    let ca = Ca::start().await;
    let (task, order, begun) = begun(&ca).await;
    let serial = task.issue(&begun).await.unwrap();
    let recovered = recover(&ca.state, &order.object).await.unwrap();
    ca.state.desk().write(&server_actor(), vec![order.next(&recovered)]).await.unwrap();
    assert_eq!(task.conclude(&begun.id, Ok(serial.clone())).await.unwrap().serial, Some(serial.clone()));
    assert_eq!(ca.authority.ledger().credential(&serial).await.unwrap().unwrap().state, State::Issued);
}

#[tokio::test]
async fn a_finalization_that_was_overtaken_is_answered_by_its_csr() {
    let ca = Ca::start().await;
    let (task, order) = ready(&ca).await;
    let begin = |csr: &str| order.object.begin(finalized(&ca, csr), ca.state.now()).unwrap();
    ca.state.desk().write(&server_actor(), vec![order.next(&begin("one"))]).await.unwrap();
    let again = Task { state: ca.state.clone(), account: task.account.clone(), csr: task.csr.clone() };
    assert_eq!(again.run(order.clone(), begin("one")).await.unwrap().status, OrderStatus::Processing);
    let late = task.run(order.clone(), begin("two")).await.unwrap_err();
    assert_eq!((late.kind, late.status), (ErrorKind::OrderNotReady, 403));
}

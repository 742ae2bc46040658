use super::*;
use crate::test_common::raw::Raw;
use crate::test_common::{Ca, csr, dns_name};

/// An order of a real CA whose finalization has just begun, and the task that goes on with it.
async fn begun(ca: &Ca) -> (Task, Stored<Order>, Order) {
    let raw = Raw::registered(ca).await;
    let (url, _) = raw.ready_order(ca, &["a.example"]).await;
    let order: Stored<Order> = ca.state.desk().get(url.rsplit('/').next().unwrap()).await.unwrap().unwrap();
    let account: Stored<Account> = ca.state.desk().get(&order.object.account).await.unwrap().unwrap();
    let csr = Csr::parse(&csr(&[dns_name("a.example")]).0).unwrap();
    let finalized = Finalized { csr: "00".repeat(32), key: sha256_hex(csr.spki_der()), at: ca.state.now() };
    let processing = order.object.begin(finalized, ca.state.now()).unwrap();
    ca.state.desk().write(&server_actor(), vec![order.next(&processing)]).await.unwrap();
    let order = ca.state.desk().get(&processing.id).await.unwrap().unwrap();
    (Task { state: ca.state.clone(), account: account.object, csr }, order, processing)
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

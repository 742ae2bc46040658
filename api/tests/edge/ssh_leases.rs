//! A process that ended between the signature of a leased certificate and the name that takes it back: the lease's end finds it.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use ca::{Authority, Lifetime, SshRequest};
use policy::{Action, Actor, Grant, Owner, Principal, Proof, Resource, Role};
use secrets::rotation::Outcome;
use secrets::{
    At, Hired, Hirer, LeaseStage, LeaseWish, Leases, Login, SecretError, SecretPath, Tenancy, Terms, Vault, Warrants,
};
use serde_json::json;
use store::State;

use crate::house::{Server, client, house, token, unique};

/// Signs as the service does, and ends before it says so.
struct Ends {
    authority: Authority,
    signed: Mutex<Option<String>>,
}

impl Tenancy for Ends {
    fn has(&self, _terms: Terms<'_>) -> Result<(), String> {
        Ok(())
    }

    async fn create(&self, _at: &At, _admin: &Login, hirer: Hirer<'_>) -> Hired {
        let lease = hirer.lease;
        let request = SshRequest {
            owner: lease.owner().clone(),
            public_key: lease.public_key().expect("a key").to_owned(),
            principals: vec![Principal::parse("alice").expect("a principal")],
            key_id: Some(format!("{} lease {}", lease.by(), lease.id())),
            life: Lifetime::Secs(600),
        };
        let signed = self.authority.sign_ssh_user(&Actor::system("lease"), request).await.expect("it is signed");
        *self.signed.lock().expect("a lock") = Some(signed.issued.serial_hex());
        Outcome::Unknown("the process ended".to_owned()).into()
    }

    async fn renew(&self, _at: &At, _admin: &Login, _hirer: Hirer<'_>) -> Hired {
        Outcome::Unknown("nobody asks".to_owned()).into()
    }

    async fn revoke(&self, _at: &At, _admin: &Login, _hirer: Hirer<'_>) -> Outcome {
        Outcome::Unknown("nobody asks".to_owned())
    }
}

/// Nobody's credential is opened for it.
struct Nobody;

impl Warrants for Nobody {
    async fn warrant(&self, _action: Action, path: &SecretPath, _owner: &Owner) -> Result<Grant, SecretError> {
        Err(SecretError::Conflict(format!("{path} is asked for")))
    }
}

#[tokio::test]
async fn a_certificate_of_which_nobody_took_down_the_name_ends_with_its_lease() {
    let (server, admin, client) =
        (Server::start().await, token(Role::Admin).await, client().build().expect("a client"));
    let path: SecretPath = format!("hosts/{}", unique()).parse().expect("a path");
    let url = server.url(&format!("/api/v1/secret-lease-roles/{path}"));
    let role = json!({"driver": "ssh", "like": "alice", "owner": "web"});
    let set = client.put(url).bearer_auth(&admin).json(&role).send().await.expect("an answer");
    assert_eq!(set.status(), 200, "{}", set.text().await.expect("text"));

    let house = house();
    let (authority, web) = (house.authority.clone(), Owner::parse("web").expect("an owner"));
    let actor = Actor {
        id: "token:of-a-test".to_owned(),
        roles: BTreeSet::from([Role::SecretLeaser]),
        owners: BTreeSet::from([web.clone()]),
        scopes: None,
        proof: Proof::Token { id: "of-a-test".to_owned() },
        second_factor: None,
    };
    let on = Resource::secret(Some(web), path.as_str());
    let grant = authority.authorize(&actor, Action::LeaseSecret, on).await.expect("a grant");
    let leases = Leases::new(Vault::new(house.ledger.clone(), Duration::ZERO), ANOTHER_NODE);
    let ends = Ends { authority, signed: Mutex::default() };
    let lost = leases.lease(grant, &path, LeaseWish::default(), &Nobody, &ends).await;
    assert!(matches!(lost, Err(SecretError::Conflict(_))), "{lost:?}");
    let serial = ends.signed.lock().expect("a lock").clone().expect("it was signed");

    let mut found = None;
    for _ in 0..TRIES {
        let credential = house.ledger.credential(&serial).await.expect("a register").expect("a certificate");
        found = Some(credential.state);
        if found == Some(State::Revoked) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(found, Some(State::Revoked), "whoever ends the lease looked for it");
    let standing = leases.list(None, 1_000).await.expect("leases").items;
    let of_role = standing.iter().filter(|lease| *lease.role() == path);
    assert!(of_role.clone().all(|lease| lease.stage() == LeaseStage::Ending), "{:?}", of_role.collect::<Vec<_>>());
    // Hosts are told.
    let list = client.get(server.url("/ssh/krl")).send().await.expect("an answer").bytes().await.expect("a list");
    let tail: Vec<u8> = hex::decode(&serial).expect("hex").into_iter().skip(8).collect();
    assert!(list.windows(8).any(|some| some == tail.as_slice()), "{serial}");
}

/// Whom another node makes is left to it: the server looks at this one once it is to be ended.
const ANOTHER_NODE: u16 = 7;
/// Far beyond what it takes.
const TRIES: usize = 3_000;

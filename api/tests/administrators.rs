//! Who administers, and who made himself an administrator. In a process of its own, because it revokes every other administrator.

extern crate chancery_api as api;

#[path = "edge/house.rs"]
mod house;

use api::tokens::rescue;
use policy::Role;
use serde_json::Value;

use house::{Server, client, house, token_of};

#[tokio::test(flavor = "multi_thread")]
async fn of_two_administrators_revoked_at_once_one_stays_and_every_rescue_is_told() {
    let server = Server::start().await;
    let client = client().build().expect("a client");
    let revoke = async |token: &str, id: &str| {
        let url = server.url(&format!("/api/v1/tokens/{id}"));
        client.delete(url).bearer_auth(token).send().await.expect("an answer").status().as_u16()
    };
    let (mut stays, mut stays_id) = token_of(&[Role::Admin], None, 3_600).await;
    for _ in 0..12 {
        let (other, other_id) = token_of(&[Role::Admin], None, 3_600).await;
        let both = tokio::join!(revoke(&stays, &stays_id), revoke(&other, &other_id));
        assert!(matches!(both, (204, 409) | (409, 204)), "{both:?}");
        if both.0 == 204 {
            (stays, stays_id) = (other, other_id);
        }
    }

    // More than are told one by one: the newest are, and the others are counted.
    for number in 0..23 {
        rescue(&house().authority, &format!("number {number} of them")).await.expect("a token");
    }
    let status = client.get(server.url("/api/v1/status")).bearer_auth(&stays).send().await.expect("an answer");
    let status: Value = status.json().await.expect("JSON");
    let alarms = status["alarms"].as_array().expect("alarms").iter().filter_map(Value::as_str);
    let rescues: Vec<&str> = alarms.filter(|alarm| alarm.contains("made on the host")).collect();
    assert_eq!(rescues.len(), 21, "{rescues:?}");
    assert!(rescues.iter().any(|alarm| alarm.starts_with("3 more")), "{rescues:?}");
}

//! One refresh, straight down. What a crash means after each step stands beside it.

use std::time::Duration;

use policy::{Action, Grant, Secret};

use super::base::Refreshes;
use super::endpoint::{Asked, ClientLogin, Endpoints, Tokens};
use super::record::{ASKING_SECS, Asking, Halt, Refresh, Way};
use crate::error::SecretError;
use crate::kinds::Patch;
use crate::nouns::{FieldName, SecretPath, Which};
use crate::rotation::Outcome;
use crate::turning::Warrants;
use crate::vault::{Change, Put, Used};

impl Refreshes {
    /// When something is to be done with it: none where somebody has to look first.
    pub fn due(&self, refresh: &Refresh, now: u64) -> Option<u64> {
        match refresh.body.asking {
            // Of this node it was broken off by the end of the process, unless it is at it, which its task knows.
            Some(asking) if asking.node == self.node => Some(now),
            // Of another, once that is over: then it is taken up.
            Some(asking) => Some(asking.held(now).unwrap_or(now)),
            None => refresh.due(),
        }
    }

    /// Gets new tokens, where they are due. `pause` waits, between tries to keep what came back.
    ///
    /// # Errors
    /// [`SecretError`]: what it takes cannot be opened, policy refuses, the register is away. Where the endpoint was asked by then, its
    /// record says so.
    pub async fn turn<P: Future<Output = ()> + Send>(
        &self,
        path: &SecretPath,
        warrants: &impl Warrants,
        endpoints: &impl Endpoints,
        pause: impl Fn(Duration) -> P + Sync,
    ) -> Result<Refresh, SecretError> {
        let mut refresh = self.there(path).await?;
        let now = self.seconds().await?;
        let grant = warrants.warrant(Action::WriteSecret, path, &refresh.owner).await?;
        match refresh.body.asking {
            Some(asking) if asking.node != self.node && self.is_asking(&refresh, now) => return Ok(refresh),
            Some(_) => {
                refresh.body.broke_off(now);
                self.write(&grant, &refresh).await?;
                return self.there(path).await;
            }
            None if refresh.body.halted.is_some() || now < refresh.body.due => return Ok(refresh),
            None => {}
        }
        // 1. What is shown to the endpoint is opened: an entry of the log. Nothing has happened yet.
        let (client, asked) = self.opened(&refresh, warrants).await?;
        // 2. It is written down that it is asked. A crash from here on means that it may have been.
        refresh.body.asking = Some(Asking { node: self.node, until: now.saturating_add(ASKING_SECS) });
        self.write(&grant, &refresh).await?;
        // 3. It is asked, once.
        let answer = endpoints.ask(&refresh.body.at, &client, &asked).await;
        // 4. What came back is kept before anything else, and nothing else is done until it is. A crash before that is told as above: the
        //    refresh token may be used up.
        match answer {
            Ok(tokens) => self.keep(path, &grant, &tokens, pause).await?,
            Err(outcome) => {
                let mut refresh = self.there(path).await?;
                let now = self.seconds().await?;
                match outcome {
                    Outcome::Refused(said) => refresh.body.halt(Halt::Refused, &said),
                    Outcome::Away(said) => refresh.body.away(&said, now),
                    Outcome::Unknown(said) => refresh.body.unknown(&said, now),
                    Outcome::Done | Outcome::Made(_) => refresh.body.unknown("no token came", now),
                }
                self.write(&grant, &refresh).await?;
            }
        }
        self.there(path).await
    }

    /// The client and the refresh token, opened for what is done with them here.
    async fn opened(&self, refresh: &Refresh, warrants: &impl Warrants) -> Result<(ClientLogin, Asked), SecretError> {
        let client: SecretPath = refresh.body.client.parse()?;
        let owner = self.vault.there(&client).await?.owner().clone();
        let of_client = warrants.warrant(Action::WriteSecret, &client, &owner).await?;
        let of_token = warrants.warrant(Action::WriteSecret, &refresh.path, &refresh.owner).await?;
        let client = self.vault.used(&of_client, &client, &Which::default()).await?;
        let token = self.vault.used(&of_token, &refresh.path, &Which::default()).await?;
        let refresh_token = match refresh.body.way {
            Way::RefreshToken => Some(secret(&token, "refresh_token")?),
            Way::ClientCredentials => None,
        };
        let scope = token.fields.text("scopes").or(client.fields.text("scopes")).map(str::to_owned);
        let scope = scope.filter(|_| refresh.body.way == Way::ClientCredentials);
        let id = client.fields.text("client_id").ok_or_else(|| none(client.secret.path(), "client_id"))?.to_owned();
        let login = ClientLogin { id, secret: secret(&client, "client_secret")? };
        Ok((login, Asked { refresh_token, scope }))
    }

    /// The new tokens as the next version, and the record that says so, in one transaction; tried again while the register does not take it.
    async fn keep<P: Future<Output = ()> + Send>(
        &self,
        path: &SecretPath,
        grant: &Grant,
        tokens: &Tokens,
        pause: impl Fn(Duration) -> P + Sync,
    ) -> Result<(), SecretError> {
        let mut last = None;
        for _ in 0..KEEP_TRIES {
            match self.keep_once(path, grant, tokens).await {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
            pause(KEEP_PAUSE).await;
        }
        Err(last.unwrap_or_else(|| none(path, "token")))
    }

    async fn keep_once(&self, path: &SecretPath, grant: &Grant, tokens: &Tokens) -> Result<(), SecretError> {
        // Whatever was said of it meanwhile: what came back is kept.
        let mut refresh = self.last(path).await?.ok_or_else(|| none(path, "refresh"))?;
        let now = self.seconds().await?;
        let end = now.saturating_add(tokens.expires_in.unwrap_or(EXPIRES_IN_SECS));
        refresh.body.holds_until(end, now);
        refresh.body.refreshed = Some(now);
        let mut patch = Patch::new();
        let mut set = |name: &str, value: &str| -> Result<(), SecretError> {
            patch = std::mem::take(&mut patch).set(name.parse::<FieldName>()?, value.as_bytes().to_vec());
            Ok(())
        };
        set("access_token", tokens.access_token.expose())?;
        set("token_type", &tokens.token_type)?;
        set("expires_at", &end.to_string())?;
        if let Some(refresh_token) = &tokens.refresh_token {
            set("refresh_token", refresh_token.expose())?;
        }
        let put = Put { change: Change::Patch(patch), ..Put::default() };
        let record = refresh.record(grant)?;
        self.vault.put_beside(grant, (path, &refresh.owner), &put, record).await
    }
}

fn secret(opened: &Used, name: &str) -> Result<Secret<String>, SecretError> {
    let text = opened.fields.text(name).filter(|text| !text.is_empty());
    text.map(|text| Secret::new(text.to_owned())).ok_or_else(|| none(opened.secret.path(), name))
}

fn none(path: &SecretPath, what: &str) -> SecretError {
    SecretError::NotFound(format!("the secret {path} has no {what}"))
}

/// What came back is tried to be kept for a minute and a half; then the record says that it was not.
const KEEP_TRIES: u32 = 90;
const KEEP_PAUSE: Duration = Duration::from_secs(1);
/// How long a token holds where the server does not say: an hour.
const EXPIRES_IN_SECS: u64 = 3_600;

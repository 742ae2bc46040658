//! The state machines of RFC 8555 section 7.1.6, pure: a state and an event give the next state or a refusal.
//!
//! Nothing here reads a clock, a disk or a socket. What time alone changes (an order or authorization past its `expires`) is
//! derived where it is shown and never written: the record carries its own end. The states `revoked` of accounts and
//! authorizations, in which a CA withdraws them, have no event yet and are left out until somebody can cause it.

/// Where an account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountStatus {
    /// In use.
    Valid,
    /// Given up by its holder.
    Deactivated,
}

/// What happens to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountEvent {
    /// Its holder changes its contacts.
    Update,
    /// Its holder puts another key in place.
    ChangeKey,
    /// Its holder gives it up.
    Deactivate,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderStatus {
    /// Authorizations are missing.
    Pending,
    /// Every identifier is proven: it waits for a CSR.
    Ready,
    /// A certificate is being issued.
    Processing,
    /// There is a certificate.
    Valid,
    /// There will be none.
    Invalid,
}

/// What happens to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderEvent {
    /// Its last authorization became valid.
    Proven,
    /// One of its authorizations ended otherwise.
    Lost,
    /// Its CSR came.
    Finalize,
    /// The certificate is durable.
    Issued,
    /// No certificate came of it.
    NotIssued,
    /// Its time is over.
    Expire,
}

/// Where an authorization stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthzStatus {
    /// Not proven yet.
    Pending,
    /// Proven, until it expires.
    Valid,
    /// Disproven, or never proven in time.
    Invalid,
    /// Given up by its holder.
    Deactivated,
    /// Was valid once.
    Expired,
}

/// What happens to an authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthzEvent {
    /// A challenge was met.
    Proven,
    /// A challenge was not met.
    Disproven,
    /// Its holder gives it up.
    Deactivate,
    /// Its time is over.
    Expire,
}

/// Where a challenge stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChallengeStatus {
    /// The client has not asked yet.
    Pending,
    /// Being checked.
    Processing,
    /// Met.
    Valid,
    /// Not met.
    Invalid,
}

/// What happens to a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeEvent {
    /// The client says it is ready.
    Begin,
    /// The check succeeded.
    Pass,
    /// The check failed.
    Fail,
}

/// The event has no place in this state; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event} has no place in the state {state}")]
pub struct Refused {
    /// The state it stays in.
    pub state: &'static str,
    /// What was refused.
    pub event: &'static str,
}

impl AccountStatus {
    /// The next state.
    pub fn on(self, event: AccountEvent) -> Result<Self, Refused> {
        use AccountEvent as E;
        match (self, event) {
            (Self::Valid, E::Update | E::ChangeKey) => Ok(Self::Valid),
            (Self::Valid, E::Deactivate) => Ok(Self::Deactivated),
            (Self::Deactivated, E::Update | E::ChangeKey | E::Deactivate) => {
                Err(Refused { state: self.as_str(), event: event.as_str() })
            }
        }
    }

    /// Its word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Deactivated => "deactivated",
        }
    }
}

impl OrderStatus {
    /// The next state.
    pub fn on(self, event: OrderEvent) -> Result<Self, Refused> {
        use OrderEvent as E;
        match (self, event) {
            (Self::Pending, E::Proven) => Ok(Self::Ready),
            (Self::Pending | Self::Ready, E::Lost | E::Expire) => Ok(Self::Invalid),
            (Self::Ready, E::Finalize) => Ok(Self::Processing),
            (Self::Processing, E::Issued) => Ok(Self::Valid),
            (Self::Processing, E::NotIssued) => Ok(Self::Invalid),
            (Self::Pending, E::Finalize | E::Issued | E::NotIssued)
            | (Self::Ready, E::Proven | E::Issued | E::NotIssued)
            // What is being issued is issued or fails; neither time nor a lost authorization can call it back.
            | (Self::Processing, E::Proven | E::Lost | E::Finalize | E::Expire)
            | (
                Self::Valid | Self::Invalid,
                E::Proven | E::Lost | E::Finalize | E::Issued | E::NotIssued | E::Expire,
            ) => Err(Refused { state: self.as_str(), event: event.as_str() }),
        }
    }

    /// Its word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Processing => "processing",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
        }
    }

    /// Whether it counts against the limit of open orders.
    pub fn is_open(self) -> bool {
        match self {
            Self::Pending | Self::Ready | Self::Processing => true,
            Self::Valid | Self::Invalid => false,
        }
    }
}

impl AuthzStatus {
    /// The next state.
    pub fn on(self, event: AuthzEvent) -> Result<Self, Refused> {
        use AuthzEvent as E;
        match (self, event) {
            (Self::Pending, E::Proven) => Ok(Self::Valid),
            (Self::Pending, E::Disproven | E::Expire) => Ok(Self::Invalid),
            // RFC 8555 section 7.5.2: a client may give up pending ones too.
            (Self::Pending | Self::Valid, E::Deactivate) => Ok(Self::Deactivated),
            (Self::Valid, E::Expire) => Ok(Self::Expired),
            (Self::Valid, E::Proven | E::Disproven)
            | (
                Self::Invalid | Self::Deactivated | Self::Expired,
                E::Proven | E::Disproven | E::Deactivate | E::Expire,
            ) => Err(Refused { state: self.as_str(), event: event.as_str() }),
        }
    }

    /// Its word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Deactivated => "deactivated",
            Self::Expired => "expired",
        }
    }
}

impl ChallengeStatus {
    /// The next state.
    pub fn on(self, event: ChallengeEvent) -> Result<Self, Refused> {
        use ChallengeEvent as E;
        match (self, event) {
            (Self::Pending, E::Begin) => Ok(Self::Processing),
            (Self::Processing, E::Pass) => Ok(Self::Valid),
            (Self::Processing, E::Fail) => Ok(Self::Invalid),
            (Self::Pending, E::Pass | E::Fail)
            | (Self::Processing, E::Begin)
            | (Self::Valid | Self::Invalid, E::Begin | E::Pass | E::Fail) => {
                Err(Refused { state: self.as_str(), event: event.as_str() })
            }
        }
    }

    /// Its word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
        }
    }
}

impl AccountEvent {
    fn as_str(self) -> &'static str {
        match self {
            Self::Update => "an update",
            Self::ChangeKey => "a key change",
            Self::Deactivate => "a deactivation",
        }
    }
}

impl OrderEvent {
    fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "a complete proof",
            Self::Lost => "a lost authorization",
            Self::Finalize => "a finalization",
            Self::Issued => "an issuance",
            Self::NotIssued => "a failed issuance",
            Self::Expire => "an expiry",
        }
    }
}

impl AuthzEvent {
    fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "a proof",
            Self::Disproven => "a failed proof",
            Self::Deactivate => "a deactivation",
            Self::Expire => "an expiry",
        }
    }
}

impl ChallengeEvent {
    fn as_str(self) -> &'static str {
        match self {
            Self::Begin => "a start",
            Self::Pass => "a success",
            Self::Fail => "a failure",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws the whole table, one row per state: `.` is a refusal.
    fn table<S: Copy, E: Copy>(
        states: &[S],
        events: &[E],
        on: fn(S, E) -> Result<S, Refused>,
        word: fn(S) -> &'static str,
    ) -> Vec<String> {
        let row = |state: S| {
            let cells = events.iter().map(|event| on(state, *event).map_or(".", word));
            format!("{}: {}", word(state), cells.collect::<Vec<_>>().join(" "))
        };
        states.iter().map(|state| row(*state)).collect()
    }

    #[test]
    fn an_account_moves_only_like_this() {
        use {AccountEvent as E, AccountStatus as S};
        let drawn = table(&[S::Valid, S::Deactivated], &[E::Update, E::ChangeKey, E::Deactivate], S::on, S::as_str);
        assert_eq!(drawn, ["valid: valid valid deactivated", "deactivated: . . ."]);
    }

    #[test]
    fn an_order_moves_only_like_this() {
        use {OrderEvent as E, OrderStatus as S};
        let drawn = table(
            &[S::Pending, S::Ready, S::Processing, S::Valid, S::Invalid],
            &[E::Proven, E::Lost, E::Finalize, E::Issued, E::NotIssued, E::Expire],
            S::on,
            S::as_str,
        );
        assert_eq!(
            drawn,
            [
                "pending: ready invalid . . . invalid",
                "ready: . invalid processing . . invalid",
                "processing: . . . valid invalid .",
                "valid: . . . . . .",
                "invalid: . . . . . .",
            ]
        );
    }

    #[test]
    fn an_authorization_moves_only_like_this() {
        use {AuthzEvent as E, AuthzStatus as S};
        let drawn = table(
            &[S::Pending, S::Valid, S::Invalid, S::Deactivated, S::Expired],
            &[E::Proven, E::Disproven, E::Deactivate, E::Expire],
            S::on,
            S::as_str,
        );
        assert_eq!(
            drawn,
            [
                "pending: valid invalid deactivated invalid",
                "valid: . . deactivated expired",
                "invalid: . . . .",
                "deactivated: . . . .",
                "expired: . . . .",
            ]
        );
    }

    #[test]
    fn a_challenge_moves_only_like_this() {
        use {ChallengeEvent as E, ChallengeStatus as S};
        let drawn =
            table(&[S::Pending, S::Processing, S::Valid, S::Invalid], &[E::Begin, E::Pass, E::Fail], S::on, S::as_str);
        assert_eq!(drawn, ["pending: processing . .", "processing: . valid invalid", "valid: . . .", "invalid: . . ."]);
    }

    #[test]
    fn a_refusal_says_what_was_refused_where() {
        let refused = OrderStatus::Valid.on(OrderEvent::Finalize).unwrap_err();
        assert_eq!(refused.to_string(), "a finalization has no place in the state valid");
    }
}

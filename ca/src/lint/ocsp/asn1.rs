//! OCSP responses as anybody may write them (RFC 6960 section 4.2.1), borrowed from the bytes.

use der::asn1::{BitStringRef, GeneralizedTime, IntRef, ObjectIdentifier, OctetStringRef};
use der::{AnyRef, Enumerated, Sequence};

/// OCSPResponseStatus; 4 is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumerated)]
#[repr(u8)]
pub(crate) enum Status {
    Successful = 0,
    MalformedRequest = 1,
    InternalError = 2,
    TryLater = 3,
    SigRequired = 5,
    Unauthorized = 6,
}

#[derive(Sequence)]
pub(crate) struct OcspResponse<'a> {
    pub(crate) status: Status,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(crate) bytes: Option<ResponseBytes<'a>>,
}

#[derive(Sequence)]
pub(crate) struct ResponseBytes<'a> {
    pub(crate) kind: ObjectIdentifier,
    pub(crate) response: &'a OctetStringRef,
}

#[derive(Sequence)]
pub(super) struct BasicResponse<'a> {
    pub(super) data: ResponseData<'a>,
    /// An AlgorithmIdentifier.
    pub(super) algorithm: AnyRef<'a>,
    pub(super) signature: BitStringRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) certificates: Option<Vec<AnyRef<'a>>>,
}

#[derive(Sequence)]
pub(crate) struct ResponseData<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", default = "v1")]
    pub(crate) version: u8,
    /// A CHOICE of `[1]` Name and `[2]` KeyHash.
    pub(crate) responder: AnyRef<'a>,
    pub(crate) produced_at: GeneralizedTime,
    pub(crate) responses: Vec<SingleResponse<'a>>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub(crate) extensions: Option<Vec<Extension<'a>>>,
}

#[derive(Sequence)]
pub(crate) struct SingleResponse<'a> {
    pub(crate) id: CertId<'a>,
    /// A CHOICE of good `[0]`, revoked `[1]` and unknown `[2]`.
    pub(crate) status: AnyRef<'a>,
    pub(crate) this_update: GeneralizedTime,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(crate) next_update: Option<GeneralizedTime>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub(crate) extensions: Option<Vec<Extension<'a>>>,
}

#[derive(Sequence)]
pub(crate) struct CertId<'a> {
    pub(crate) hash: AlgorithmIdentifier<'a>,
    pub(crate) issuer_name: &'a OctetStringRef,
    pub(crate) issuer_key: &'a OctetStringRef,
    pub(crate) serial: IntRef<'a>,
}

#[derive(Sequence)]
pub(crate) struct AlgorithmIdentifier<'a> {
    pub(crate) oid: ObjectIdentifier,
    pub(crate) parameters: Option<AnyRef<'a>>,
}

#[derive(Sequence)]
pub(crate) struct Extension<'a> {
    pub(crate) oid: ObjectIdentifier,
    #[asn1(default = "no")]
    pub(crate) critical: bool,
    pub(crate) value: &'a OctetStringRef,
}

/// The content of revoked `[1]`, which is IMPLICIT.
#[derive(Sequence)]
pub(crate) struct RevokedInfo<'a> {
    pub(crate) at: GeneralizedTime,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(crate) reason: Option<AnyRef<'a>>,
}

fn v1() -> u8 {
    0
}

fn no() -> bool {
    false
}

//! OCSP as it is read: the structures of RFC 6960, borrowed from the bytes.

use der::asn1::{GeneralizedTime, OctetStringRef};
use der::{AnyRef, Sequence};

pub(super) use crate::lint::ocsp::asn1::{CertId, Extension, RevokedInfo};

/// OCSPRequest, section 4.1.1. Who signed it is nobody's business here.
#[derive(Sequence)]
pub(super) struct OcspRequest<'a> {
    pub(super) tbs: TbsRequest<'a>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) signature: Option<AnyRef<'a>>,
}

#[derive(Sequence)]
pub(super) struct TbsRequest<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", default = "v1")]
    pub(super) version: u8,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) requestor: Option<AnyRef<'a>>,
    pub(super) list: Vec<Request<'a>>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) extensions: Option<Vec<Extension<'a>>>,
}

#[derive(Sequence)]
pub(super) struct Request<'a> {
    pub(super) id: CertId<'a>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) extensions: Option<Vec<Extension<'a>>>,
}

/// ResponseData, section 4.2.1, as we write it: version 1, the responder by its key.
#[derive(Sequence)]
pub(super) struct ResponseData<'a> {
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT")]
    pub(super) responder: &'a OctetStringRef,
    pub(super) produced_at: GeneralizedTime,
    pub(super) responses: Vec<SingleResponse<'a>>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) extensions: Option<Vec<Extension<'a>>>,
}

#[derive(Sequence)]
pub(super) struct SingleResponse<'a> {
    pub(super) id: CertId<'a>,
    /// A CHOICE of context-specific tags.
    pub(super) status: AnyRef<'a>,
    pub(super) this_update: GeneralizedTime,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub(super) next_update: GeneralizedTime,
}

fn v1() -> u8 {
    0
}

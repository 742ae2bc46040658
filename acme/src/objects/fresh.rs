//! Names and tokens for new objects, from the world's time and luck.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use policy::World;

/// A name for a new object: inverted time, then 96 random bits. The register lists by id, so the newest come first.
pub fn fresh_id(world: &World) -> String {
    let now = u32::try_from(world.now().unix().max(0)).unwrap_or(u32::MAX);
    let mut random = [0u8; 12];
    world.fill(&mut random);
    random.iter().fold(format!("{:08x}", u32::MAX - now), |id, byte| format!("{id}{byte:02x}"))
}

/// RFC 8555 section 8.1: a token "MUST have at least 128 bits of entropy" in the base64url alphabet.
pub(super) fn fresh_token(world: &World) -> String {
    let mut random = [0u8; 32];
    world.fill(&mut random);
    URL_SAFE_NO_PAD.encode(random)
}

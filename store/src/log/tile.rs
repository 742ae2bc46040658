//! Where hashes lie: C2SP tlog-tiles, tiles of height 8.

/// A tile represents a subtree of this height ...
pub(crate) const TILE_HEIGHT: u32 = 8;
/// ... and so holds this many hashes when full.
pub(crate) const TILE_WIDTH: u16 = 256;

/// "The partial tile at level l for a tree of size s has floor(s / 256**l) mod 256 entries."
pub(crate) fn partial_width(size: u64, level: u8) -> u16 {
    let shift = TILE_HEIGHT * u32::from(level);
    size.checked_shr(shift).map_or(0, |hashes| (hashes % u64::from(TILE_WIDTH)) as u16)
}

/// How many leaves a tree has at least that has so many hashes of this tile; none where no tree does.
pub(crate) fn leaves_under(level: u8, n: u64, width: u16) -> Option<u64> {
    let hashes = n.checked_mul(TILE_WIDTH.into())?.checked_add(width.into())?;
    hashes.checked_mul(1_u64.checked_shl(TILE_HEIGHT * u32::from(level))?)
}

/// `tile/<L>/<N>[.p/<W>]`.
pub(crate) fn tile_path(level: u8, n: u64, width: u16) -> String {
    format!("tile/{level}/{}{}", index_path(n), suffix(width))
}

/// `tile/entries/<N>[.p/<W>]`.
pub(crate) fn entries_path(n: u64, width: u16) -> String {
    format!("tile/entries/{}{}", index_path(n), suffix(width))
}

/// "encoded into zero-padded 3-digit path elements. All but the last path element MUST begin with an x."
fn index_path(n: u64) -> String {
    let mut path = format!("{:03}", n % 1000);
    let mut rest = n / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}

fn suffix(width: u16) -> String {
    if width == TILE_WIDTH { String::new() } else { format!(".p/{width}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        assert_eq!(tile_path(0, 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(tile_path(1, 0, 17), "tile/1/000.p/17");
        assert_eq!(tile_path(2, 1_000, 1), "tile/2/x001/000.p/1");
        assert_eq!(entries_path(273, 112), "tile/entries/273.p/112");
    }

    #[test]
    fn partial_widths_are_those_of_the_specification() {
        assert_eq!([0, 1, 2, 3].map(|l| partial_width(70_000, l)), [112, 17, 1, 0]);
        assert_eq!([0, 1].map(|l| partial_width(256, l)), [0, 1]);
        assert_eq!(partial_width(u64::MAX, 63), 0);
    }

    #[test]
    fn a_tile_wants_the_leaves_under_its_last_hash() {
        assert_eq!([0, 1, 2].map(|level| leaves_under(level, 1, 3)), [Some(259), Some(66_304), Some(16_973_824)]);
        assert_eq!([leaves_under(8, 0, 1), leaves_under(0, u64::MAX, 1), leaves_under(7, 1, 1)], [None; 3]);
    }
}

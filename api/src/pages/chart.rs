//! The histogram of expiries, as SVG text drawn on the server.
//!
//! Bars grow with the count; the axis is a ladder of spans (an hour to years), since lifetimes reach from minutes to decades.
//! Each bar is split: what the server renews by itself, and what somebody must act on. Only numbers and our own
//! labels go into the text, never anything a caller chose.

use std::fmt::Write;

use super::words::Tone;
use crate::observe::Rung;

const WIDTH: u32 = 1_000;
const HEIGHT: u32 = 230;
const TOP: u32 = 24;
const BASE: u32 = 195;
const SIDE: u32 = 8;
const GAP: u32 = 8;
/// Something is never drawn as nothing.
const BAR_MIN: u64 = 3;

/// The drawing, with its content in words for who does not see it.
pub(super) fn svg(rungs: &[Rung]) -> String {
    let most = rungs.iter().map(|rung| rung.expiring.count).max().unwrap_or(0).max(1);
    let count = u32::try_from(rungs.len()).unwrap_or(1).max(1);
    let step = (WIDTH - 2 * SIDE) / count;
    let mut text = String::with_capacity(4_096);
    // Writing to a String does not fail.
    let _ = write!(
        text,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"chart-name chart-words\">\
         <title id=\"chart-name\">Live credentials by the time they have left</title><desc id=\"chart-words\">{}</desc>\
         <line class=\"axis\" x1=\"0\" y1=\"{BASE}\" x2=\"{WIDTH}\" y2=\"{BASE}\"/>",
        in_words(rungs)
    );
    for (place, rung) in (0_u32..).zip(rungs) {
        draw(&mut text, rung, SIDE + place * step + GAP / 2, step.saturating_sub(GAP), most);
    }
    text.push_str("</svg>");
    text
}

fn draw(text: &mut String, rung: &Rung, x: u32, width: u32, most: u64) {
    let (total, renewed) = (rung.expiring.count, rung.expiring.renewed);
    let (manual, renewed) = (height(total.saturating_sub(renewed), most), height(renewed, most));
    let label = rung.label.replace('<', "&lt;").replace('>', "&gt;");
    let middle = x + width / 2;
    let base = u64::from(BASE);
    let top = base.saturating_sub(manual + renewed);
    let _ = write!(text, "<g class=\"t-{}\">", Tone::of(rung.from_secs).class());
    if manual > 0 {
        let y = base - manual;
        let _ =
            write!(text, "<rect class=\"bar\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{manual}\" rx=\"2\"/>");
    }
    if renewed > 0 {
        let _ = write!(
            text,
            "<rect class=\"auto\" x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{renewed}\" rx=\"2\"/>"
        );
    }
    text.push_str("</g>");
    if total > 0 {
        let y = top.saturating_sub(6);
        let _ = write!(text, "<text class=\"count\" x=\"{middle}\" y=\"{y}\" text-anchor=\"middle\">{}</text>", total);
    }
    let _ = write!(text, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>", BASE + 20, label);
}

fn height(count: u64, most: u64) -> u64 {
    let room = u64::from(BASE - TOP) - BAR_MIN;
    match count {
        0 => 0,
        _ => (count.saturating_mul(room) / most).max(BAR_MIN),
    }
}

fn in_words(rungs: &[Rung]) -> String {
    let told: Vec<_> = rungs
        .iter()
        .filter(|rung| rung.expiring.count > 0)
        .map(|Rung { label, expiring, .. }| {
            let label = label.replace('<', "under").replace('>', "over");
            format!("{label}: {}, of which {} renewed by the server", expiring.count, expiring.renewed)
        })
        .collect();
    if told.is_empty() { "Nothing expires.".to_owned() } else { told.join("; ") }
}

#[cfg(test)]
mod tests {
    use lifecycle::Expiring;

    use super::*;

    fn rung(renewed: u64, count: u64) -> Rung {
        Rung { label: "< 1 h", from_secs: 0, expiring: Expiring { count, renewed } }
    }

    #[test]
    fn a_single_expiry_is_seen_beside_a_million() {
        let drawn = svg(&[rung(0, 1_000_000), rung(1, 1)]);
        assert!(drawn.contains(&format!("height=\"{BAR_MIN}\"")));
        assert!(drawn.contains(">1000000<") && drawn.contains("of which 1 renewed"));
    }

    #[test]
    fn nothing_to_draw_is_still_a_drawing() {
        for rungs in [&[][..], &[rung(0, 0)], &[rung(u64::MAX, u64::MAX)], &[rung(2, 1)]] {
            let drawn = svg(rungs);
            assert!(drawn.starts_with("<svg") && drawn.ends_with("</svg>") && !drawn.contains("< 1"));
        }
    }
}

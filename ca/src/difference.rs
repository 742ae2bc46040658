//! What differs between two texts, line by line, for whoever reads the log.

/// Lines that are told; the rest is a number.
const LINES_MAX: usize = 100;
/// A longer line is cut.
const LINE_BYTES_MAX: usize = 200;
/// Texts whose changed parts are larger than this are not compared line by line: everything old goes, everything new comes.
const CELLS_MAX: usize = 1 << 20;

/// The lines that went (`-`) and came (`+`), in order; what stays is left out.
pub(crate) fn difference(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same = |(one, other): &(&&str, &&str)| one == other;
    let head = old.iter().zip(&new).take_while(same).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(same).count();
    let (old, new) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let mut lines = between(old, new);
    let more = lines.len().saturating_sub(LINES_MAX);
    lines.truncate(LINES_MAX);
    if more > 0 {
        lines.push(format!("({more} more lines)"));
    }
    lines
}

fn between(old: &[&str], new: &[&str]) -> Vec<String> {
    let common = if old.len().saturating_mul(new.len()) <= CELLS_MAX { lengths(old, new) } else { Vec::new() };
    let width = new.len() + 1;
    let left = |i: usize, j: usize| common.get(i * width + j).copied().unwrap_or(0);
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] && !common.is_empty() {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && left(i + 1, j) >= left(i, j + 1) {
            lines.push(told('-', old[i]));
            i += 1;
        } else {
            lines.push(told('+', new[j]));
            j += 1;
        }
    }
    lines
}

/// By where one stands in either text: how many lines both still have in common.
fn lengths(old: &[&str], new: &[&str]) -> Vec<u32> {
    let width = new.len() + 1;
    let mut common = vec![0; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = match old[i] == new[j] {
                true => common[(i + 1) * width + j + 1] + 1,
                false => common[(i + 1) * width + j].max(common[i * width + j + 1]),
            };
        }
    }
    common
}

fn told(sign: char, line: &str) -> String {
    let end = (0..=line.len().min(LINE_BYTES_MAX)).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
    format!("{sign} {}{}", &line[..end], if end < line.len() { "..." } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_and_what_came_is_told_and_what_stays_is_not() {
        assert_eq!(difference("a\nb\nc\nd", "a\nx\nc\ny\nd"), ["- b", "+ x", "+ y"]);
        assert_eq!(difference("", "a"), ["+ a"]);
        assert_eq!(difference("a\nb", "b"), ["- a"]);
        assert!(difference("a\nb", "a\nb").is_empty());
    }

    #[test]
    fn it_is_bounded_however_long_the_texts_and_their_lines_are() {
        let text = |word: &str| (0..2_000).map(|n| format!("{word}{n}\n")).collect::<String>();
        let told = difference(&text("a"), &text("b"));
        assert_eq!((told.len(), told.last().map(String::as_str)), (101, Some("(3900 more lines)")));
        assert!(difference("", &"ä".repeat(1_000))[0].len() < 300);
    }
}

//! By which words secrets are found, derived again from the present records.
//!
//! What is missing is found by the records. Whether there is more than that, the number of rows says; only then is each row held
//! against its record, which is read once for each of its words.

use super::wards::SECRETS;
use super::wrong::{KEYWORD, Wrong, text_of};
use super::{PAGE, Sink};
use crate::forms::keyword::keywords_of;
use crate::forms::ward::SECRET;
use crate::nouns::error::StoreError;
use crate::nouns::keyword::Keywords;
use crate::sql::{Cell, Sql, Value};

/// Compares `keyword` with what the present records of secrets say.
pub(crate) fn keywords(sql: &mut dyn Sql, sink: &mut Sink<'_>) -> Result<(), StoreError> {
    let there = of_records(sql, sink)?;
    let counted = sql.query("SELECT COUNT(*) FROM keyword", &[])?.into_iter().next();
    let all = counted.map_or(Ok(0), |mut row| row.index())?;
    if all == there { Ok(()) } else { of_nothing(sql, sink) }
}

/// Every word of a secret has its row; answers how many had.
fn of_records(sql: &mut dyn Sql, sink: &mut Sink<'_>) -> Result<u64, StoreError> {
    let (mut after, mut found) = (String::new(), 0);
    loop {
        let rows = sql.query(SECRETS, &[Value::Text(SECRET), Value::Text(&after), Value::Int(PAGE)])?;
        let (count, mut wrong) = (rows.len(), Vec::new());
        for row in rows {
            let cells = row.cells();
            let [path, owner, _, body] = &cells[..] else { continue };
            text_of(path).clone_into(&mut after);
            let (owner, words) = (text_of(owner), said(text_of(path), body));
            let there = there(sql, (owner, &after), &words)?;
            found += there.len() as u64;
            for word in words.iter().filter(|word| !there.iter().any(|there| there == word)) {
                let key = [word, owner, &after].map(|text| Cell::Text(text.to_owned())).to_vec();
                wrong.extend(Wrong::unless_same(&KEYWORD, key, None, Some(Vec::new())));
            }
        }
        sink(sql, wrong)?;
        if count < PAGE as usize {
            return Ok(found);
        }
    }
}

fn said(path: &str, body: &Cell) -> Keywords {
    keywords_of(path, &serde_json::from_str(text_of(body)).unwrap_or_default())
}

/// Which of its words a secret is found by.
fn there(sql: &mut dyn Sql, (owner, path): (&str, &str), words: &Keywords) -> Result<Vec<String>, StoreError> {
    let (words, mut there): (Vec<&str>, _) = (words.iter().collect(), Vec::new());
    for some in words.chunks(ASK_MAX) {
        // Few sizes, so that few statements are parsed.
        let asked = some.len().next_power_of_two();
        let marks: Vec<String> = (3..asked + 3).map(|at| format!("${at}")).collect();
        let text = format!(
            "SELECT k.word FROM keyword k WHERE k.owner = $1 AND k.path = $2 AND k.word IN ({})",
            marks.join(", ")
        );
        let words = some.iter().cycle().take(asked).map(|word| Value::Text(word));
        let params: Vec<Value<'_>> = [Value::Text(owner), Value::Text(path)].into_iter().chain(words).collect();
        for mut row in sql.query(&text, &params)? {
            there.push(row.text()?);
        }
    }
    Ok(there)
}

/// Every row is of a secret that says so.
fn of_nothing(sql: &mut dyn Sql, sink: &mut Sink<'_>) -> Result<(), StoreError> {
    let text = "SELECT k.word, k.owner, k.path, r.owner, r.body FROM keyword k LEFT JOIN present p ON p.kind = $1 AND p.id = k.path \
        LEFT JOIN record r ON r.leaf = p.leaf WHERE (k.word, k.owner, k.path) > ($2, $3, $4) ORDER BY k.word, k.owner, k.path LIMIT $5";
    let mut after = [String::new(), String::new(), String::new()];
    loop {
        let [word, owner, path] = after.each_ref().map(|text| Value::Text(text));
        let rows = sql.query(text, &[Value::Text(SECRET), word, owner, path, Value::Int(PAGE)])?;
        let (count, mut wrong) = (rows.len(), Vec::new());
        for row in rows {
            let cells = row.cells();
            let [word, owner, path, whose, body] = &cells[..] else { continue };
            let is_so =
                text_of(owner) == text_of(whose) && said(text_of(path), body).iter().any(|said| said == text_of(word));
            let there = (!is_so).then(Vec::new);
            after = [word, owner, path].map(|cell| text_of(cell).to_owned());
            let key = vec![word.clone(), owner.clone(), path.clone()];
            wrong.extend(Wrong::unless_same(&KEYWORD, key, there, None));
        }
        sink(sql, wrong)?;
        if count < PAGE as usize {
            return Ok(());
        }
    }
}

/// Words of one statement.
const ASK_MAX: usize = 64;

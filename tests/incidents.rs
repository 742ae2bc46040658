//! Each incident of docs/PROMISES.md has its tests: they are there, under the names that the table says.

use std::path::Path;

#[test]
fn each_incident_has_its_tests_by_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/PROMISES.md")).expect("docs/PROMISES.md");
    let (_, table) = text.split_once("## Incidents that must not happen here").expect("the table of incidents");
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ") && line.contains("`")).collect();
    assert_eq!(rows.len(), 16, "one row for each");
    for row in rows {
        let named: Vec<(&str, &str)> = row.split('`').filter_map(|part| part.split_once("::")).collect();
        assert!(!named.is_empty(), "{row}");
        for (file, test) in named {
            let source = std::fs::read_to_string(root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert!(source.contains(&format!("fn {test}(")), "{file} has no test {test}");
        }
    }
}

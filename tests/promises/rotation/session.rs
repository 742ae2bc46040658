//! A session at PostgreSQL that stays, with what it holds.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use crate::house::command;
use crate::postgres::Postgres;

/// A session that stays, as an administrator of the target has one.
pub struct Session(Child);

impl Session {
    /// Of PostgreSQL.
    pub fn of(target: &Postgres) -> Session {
        let port = target.port().to_string();
        let mut psql = command("psql", &["-h", "127.0.0.1", "-p", &port, "-U", "chancery", "-d", "postgres"]);
        psql.args(["-qAt", "-v", "ON_ERROR_STOP=1"]);
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Session(psql.spawn().expect("psql starts"))
    }

    /// Says something, and waits until it is done.
    pub fn says(&mut self, sql: &str) {
        let (input, output) = (self.0.stdin.as_mut(), self.0.stdout.as_mut());
        let (input, output) = (input.expect("its input"), output.expect("its output"));
        writeln!(input, "{sql};\nSELECT 'done';").expect("it listens");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("it answers");
        assert_eq!(line.trim(), "done", "{sql}");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The end of its input ends it, and its transaction with it.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

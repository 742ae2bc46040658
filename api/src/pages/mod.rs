//! The dashboard: what expires when, what raises an alarm, where the log stands. Drawn on the server, readable without
//! JavaScript; the Content-Security-Policy allows no script at all, so that a subject with `<script>` in it is text.
//!
//! A visitor signs in by pasting an API token (`session`) or comes with a client certificate. The page shows what policy
//! lets that actor read and leaves out the rest; it changes nothing.

mod frame;
mod session;

mod chart;
mod page;
mod words;

mod routes;

pub(crate) use routes::routes;

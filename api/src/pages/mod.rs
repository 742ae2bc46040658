//! The pages for people: what needs somebody, lists, one certificate with its history. Drawn on the server, readable and usable
//! without JavaScript; the one script there is fetches the page anew and touches no form. The Content-Security-Policy allows no
//! other, so that a subject with `<script>` in it is text.
//!
//! A visitor signs in by pasting an API token (`session`) or comes with a client certificate. A page shows what policy lets
//! that actor read and leaves out the rest. What it changes (a renewal, a revocation) goes the way of the API's requests, by a
//! form that only a page of ours to this visitor can have.

mod contents;
mod fact;
mod first;
mod frame;
mod refusal;
mod session;

mod chart;
mod lives;
mod piece;
mod words;

mod asked;
mod row;

mod acts;
mod certificate;
mod drills;
mod issuers;
mod list;
mod overview;
mod secret;
mod secrets;

mod routes;

pub(crate) use refusal::for_browsers;
pub(crate) use routes::routes;

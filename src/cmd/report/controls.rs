//! Which controls a part of the report answers: ISO/IEC 27001:2022 Annex A, the SOC 2 common criteria (TSC 2017), PCI DSS 4.0. That a part
//! answers a control says what evidence it is, and not that whoever prints it complies.

/// A part, and what it is evidence for.
pub struct Part {
    pub what: &'static str,
    pub answers: &'static str,
    pub iso: &'static str,
    pub soc: &'static str,
    pub pci: &'static str,
}

/// All of them.
pub const PARTS: &[Part] = &[
    Part {
        what: "secrets: may_read",
        answers: "Who may read which secret by the policy in force, for the review of rights",
        iso: "A.5.15, A.5.18, A.8.3",
        soc: "CC6.1, CC6.2, CC6.3",
        pci: "7.2.1, 7.2.4, 7.2.5",
    },
    Part {
        what: "secrets: read_by",
        answers: "Who did read which secret, with the entry of the log that says so",
        iso: "A.8.15, A.8.16",
        soc: "CC6.1, CC7.2",
        pci: "10.2.1, 10.2.1.1",
    },
    Part {
        what: "secrets: rotated, period_days, overdue_days, expires",
        answers: "How old each credential is, and whether it is older than it may be",
        iso: "A.5.17, A.8.24",
        soc: "CC6.1",
        pci: "3.7.4, 8.3.9, 8.6.3",
    },
    Part {
        what: "secrets: owner, owned",
        answers: "Which secrets there are, and that each has an owner",
        iso: "A.5.9",
        soc: "CC6.1",
        pci: "12.5.1",
    },
    Part {
        what: "secrets: last_read_hour",
        answers: "What nobody uses, for the removal of what is not needed",
        iso: "A.5.18",
        soc: "CC6.3",
        pci: "7.2.4, 8.2.6",
    },
    Part {
        what: "tokens",
        answers: "Which credentials of this service itself live, whose they are, and when they end",
        iso: "A.5.16, A.5.18, A.8.2",
        soc: "CC6.2, CC6.3",
        pci: "7.2.4, 8.2.1, 8.2.6",
    },
    Part {
        what: "proofs",
        answers: "How each administrator proved who he is for each act, and by how many factors: the log says so of every entry",
        iso: "A.8.2, A.8.5",
        soc: "CC6.1",
        pci: "8.4.1, 8.4.2, 8.5.1, 10.2.1.2",
    },
    Part {
        what: "tokens: second_factor, second_factor_since",
        answers: "Which administrators have a second factor, and since when; who has none is an alarm where one is demanded",
        iso: "A.5.17, A.8.5",
        soc: "CC6.1",
        pci: "8.3.11, 8.4.1",
    },
    Part {
        what: "refusals",
        answers: "What was asked for and refused",
        iso: "A.8.15, A.8.16",
        soc: "CC7.2, CC7.3",
        pci: "10.2.1.4",
    },
    Part {
        what: "report: log, size, root",
        answers: "That none of it was altered: every entry is under the signed head of an append-only log",
        iso: "A.8.15, A.5.33",
        soc: "CC7.2",
        pci: "10.3.2, 10.3.4",
    },
];

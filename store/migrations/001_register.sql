-- The register. Every table is append-only but `head`; a row is written once, in the transaction of its leaf.
-- Types are BIGINT, TEXT, BYTEA alone; a numeric key is spelled BIGINT PRIMARY KEY. LEAF.md says what the digests cover.

CREATE TABLE leaf (
    idx BIGINT PRIMARY KEY,
    hash BYTEA NOT NULL,
    bytes BYTEA NOT NULL
);

-- Full tiles only (C2SP tlog-tiles): 256 hashes end to end, and the root over them, which is one hash of the level above.
CREATE TABLE tile (
    level BIGINT NOT NULL,
    n BIGINT NOT NULL,
    hashes BYTEA NOT NULL,
    root BYTEA NOT NULL,
    PRIMARY KEY (level, n)
);

-- The one mutable row: how many leaves, the roots of the perfect subtrees that make them up, largest first; the time in force:
-- the greatest of the leaves' times since the newest leaf of kind `clock`, seconds since 1970; a MAC over them under the head
-- key, and that key sealed by the token.
CREATE TABLE head (
    id BIGINT PRIMARY KEY,
    size BIGINT NOT NULL,
    edge BYTEA NOT NULL,
    time BIGINT NOT NULL,
    seal BYTEA NOT NULL,
    sealed_key BYTEA
);

CREATE TABLE checkpoint (
    size BIGINT PRIMARY KEY,
    note TEXT NOT NULL
);

CREATE TABLE intent (
    op BIGINT PRIMARY KEY,
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    proof TEXT NOT NULL,
    proof_id TEXT NOT NULL,
    action TEXT NOT NULL,
    rule TEXT NOT NULL,
    policy_hash BYTEA NOT NULL,
    profile TEXT NOT NULL,
    profile_hash BYTEA NOT NULL,
    key_label TEXT NOT NULL,
    key_hash BYTEA NOT NULL,
    algorithm TEXT NOT NULL,
    form TEXT NOT NULL,
    message BYTEA NOT NULL,
    serial BYTEA,
    issuer TEXT NOT NULL,
    owner TEXT,
    subject TEXT NOT NULL,
    names TEXT NOT NULL,
    subject_key_hash BYTEA NOT NULL,
    not_before BIGINT,
    not_after BIGINT,
    details TEXT NOT NULL
);
-- The two whose entries come in no order are kept narrow: their pages are most of what a commit writes.
CREATE UNIQUE INDEX intent_serial ON intent (serial, key_label);
CREATE INDEX intent_subject_key ON intent (substr(subject_key_hash, 1, 8));
CREATE INDEX intent_issuer ON intent (kind, issuer, op);
CREATE INDEX intent_owner ON intent (owner, op);
CREATE INDEX intent_expiry ON intent (not_after, op);

-- An index by name: slot = op * 128 + position among the intent's names.
CREATE TABLE name (
    slot BIGINT PRIMARY KEY,
    name TEXT NOT NULL
);
CREATE INDEX name_text ON name (name, slot);

CREATE TABLE conclusion (
    leaf BIGINT PRIMARY KEY,
    op BIGINT NOT NULL,
    at BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    signature BYTEA,
    reason TEXT
);
CREATE UNIQUE INDEX conclusion_op ON conclusion (op);

CREATE TABLE revocation (
    leaf BIGINT PRIMARY KEY,
    op BIGINT NOT NULL,
    at BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL,
    reason BIGINT NOT NULL,
    actor TEXT NOT NULL,
    proof TEXT NOT NULL,
    proof_id TEXT NOT NULL,
    action TEXT NOT NULL,
    rule TEXT NOT NULL,
    policy_hash BYTEA NOT NULL
);
CREATE UNIQUE INDEX revocation_op ON revocation (op);

-- Versioned records: the row with the greatest leaf is the present version.
CREATE TABLE record (
    leaf BIGINT PRIMARY KEY,
    replaces BIGINT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    at BIGINT NOT NULL,
    owner TEXT,
    lookup TEXT,
    expires BIGINT,
    body TEXT NOT NULL,
    actor TEXT NOT NULL,
    proof TEXT NOT NULL,
    proof_id TEXT NOT NULL
);
CREATE INDEX record_latest ON record (kind, id, leaf);
CREATE INDEX record_lookup ON record (kind, lookup) WHERE lookup IS NOT NULL;

-- The register. Every table that has leaves is append-only; a row is written once, in the transaction of its leaf. `head`,
-- `object`, `batch`, `beside` and the projections (at the end) change; what they hold is in a leaf by its hash.
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
-- The 64 bits that OpenSSH prints.
CREATE INDEX intent_ssh_serial ON intent (substr(serial, 9, 8)) WHERE kind IN ('ssh-user', 'ssh-host');
CREATE INDEX intent_subject_key ON intent (substr(subject_key_hash, 1, 8), op);
-- What somebody asked for; of an actor in order.
CREATE INDEX intent_actor ON intent (actor, op) WHERE kind IN ('certificate', 'ssh-user', 'ssh-host');

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
    invalid_at BIGINT,
    actor TEXT NOT NULL,
    proof TEXT NOT NULL,
    proof_id TEXT NOT NULL,
    action TEXT NOT NULL,
    rule TEXT NOT NULL,
    policy_hash BYTEA NOT NULL
);
-- The newest row of an operation is what holds: a reason may change, and what was on hold may be released.
CREATE INDEX revocation_op ON revocation (op, leaf);

-- What a batch of OCSP responses said, by when its responses begin to hold.
CREATE INDEX intent_batch ON intent (not_before, op) WHERE kind = 'ocsp-batch';

-- The hashes of a batch's messages, 32 bytes each, in their order: by them a response is led to the root in the batch's leaf. They go 401
-- days after it.
CREATE TABLE batch (
    op BIGINT PRIMARY KEY,
    hashes BYTEA NOT NULL
);

-- Bytes that are signed and are no column of their intent (CRLs), in chunks of 1 MiB: slot = op * 512 + n. They go when a newer
-- CRL of the issuer is concluded; their digest stands in the intent.
CREATE TABLE object (
    slot BIGINT PRIMARY KEY,
    bytes BYTEA NOT NULL
);

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

-- The bytes beside the present version of a sealed record, by its leaf; they go with it. Their digest stands in its body.
CREATE TABLE beside (
    leaf BIGINT PRIMARY KEY,
    bytes BYTEA NOT NULL
);

-- Projections: what lists, searches and counts are answered from, so that none of them walks the register. The writer keeps
-- them in the transaction of the rows they follow from; `verify` derives them again. store/src/forms/projection.rs has their rules.

-- Where credentials that have everything in common but their names stand, and how many there are in each state. As many rows
-- as the configuration has owners, profiles and issuers in use: the one table that questions may walk.
CREATE TABLE place (
    id BIGINT PRIMARY KEY,
    kind TEXT NOT NULL,
    profile TEXT NOT NULL,
    issuer TEXT NOT NULL,
    owner TEXT,
    renewer BIGINT NOT NULL,
    intended BIGINT NOT NULL,
    issued BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    revoked BIGINT NOT NULL,
    replaced BIGINT NOT NULL
);

-- Each operation in its place. Pile 0: intended or issued; 1: failed; 2: revoked; 3: issued, and a later one of its family took
-- its place. From `look` on somebody should act.
CREATE TABLE card (
    op BIGINT PRIMARY KEY,
    place BIGINT NOT NULL,
    pile BIGINT NOT NULL,
    not_after BIGINT,
    look BIGINT,
    family BIGINT
);
CREATE INDEX card_newest ON card (place, pile, op);
CREATE INDEX card_expiry ON card (place, pile, not_after, op, look);
CREATE INDEX card_family ON card (family, pile, op) WHERE family IS NOT NULL;

-- Operations that are neither concluded nor revoked, with what their conclusion will need.
CREATE TABLE open (
    op BIGINT PRIMARY KEY,
    place BIGINT NOT NULL,
    not_after BIGINT,
    due BIGINT,
    renews BYTEA,
    family BIGINT
);

-- Certificates that the server renews, by the second they fall due, until they are renewed or revoked.
CREATE TABLE renewal (
    op BIGINT PRIMARY KEY,
    due BIGINT NOT NULL,
    not_after BIGINT NOT NULL
);
CREATE INDEX renewal_due ON renewal (due, op);

-- How many certificates of an owner (of all: the empty owner) that are neither failed, revoked nor replaced end in an hour, and for
-- how many somebody should look from that hour on. Class 0: of end entities; 1: of SSH; 2: of CAs.
CREATE TABLE expiring (
    owner TEXT NOT NULL,
    class BIGINT NOT NULL,
    hour BIGINT NOT NULL,
    live BIGINT NOT NULL,
    renewed BIGINT NOT NULL,
    looked BIGINT NOT NULL,
    look BIGINT NOT NULL,
    PRIMARY KEY (owner, class, hour)
);

-- The present version of each record.
CREATE TABLE present (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    leaf BIGINT NOT NULL,
    owner TEXT,
    lookup TEXT,
    PRIMARY KEY (kind, id)
);
CREATE INDEX present_lookup ON present (kind, lookup, id) WHERE lookup IS NOT NULL;
CREATE INDEX present_owner ON present (kind, owner, id) WHERE owner IS NOT NULL;

-- Secrets that are there, each life of a path by itself (`path@life`): whose it is; when its current version ends; when it was read
-- last, by whom and in which leaf, or where it never was, when it was made; and since when a version of it waits as pending.
CREATE TABLE ward (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    ends BIGINT,
    seen BIGINT NOT NULL,
    pending BIGINT,
    reader TEXT,
    leaf BIGINT
);
CREATE INDEX ward_ends ON ward (ends, id) WHERE ends IS NOT NULL;
CREATE INDEX ward_owner_ends ON ward (owner, ends, id) WHERE ends IS NOT NULL;
CREATE INDEX ward_seen ON ward (seen, id);
CREATE INDEX ward_owner_seen ON ward (owner, seen, id);
CREATE INDEX ward_pending ON ward (pending, id) WHERE pending IS NOT NULL;
CREATE INDEX ward_owner_pending ON ward (owner, pending, id) WHERE pending IS NOT NULL;

-- Who read which secret: of the newest hour in which somebody did, the first reading.
CREATE TABLE reading (
    id TEXT NOT NULL,
    reader TEXT NOT NULL,
    leaf BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (id, reader)
);
CREATE INDEX reading_leaf ON reading (id, leaf);

-- By which words of its path and description, and by which tags (`#name=value`), a secret is found. There are many: where
-- the engine can, they lie in the order of their key, and nowhere else.
CREATE TABLE keyword (
    word TEXT NOT NULL,
    owner TEXT NOT NULL,
    path TEXT NOT NULL,
    PRIMARY KEY (word, owner, path)
) /* WITHOUT ROWID */;

-- One row for each decision, one for each call it made, one for each verdict on its drafts.
-- `outcome` is the whole decision as JSON; the other columns are what is searched and summed.
PRAGMA application_id = 1162690886; -- 'EMAF'

CREATE TABLE schema_version (
    version INTEGER PRIMARY KEY NOT NULL,
    applied TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE decisions (
    id TEXT PRIMARY KEY NOT NULL,
    created REAL NOT NULL,
    prompt_sha256 TEXT NOT NULL,
    model TEXT NOT NULL,
    arrangement TEXT, -- NULL where no plan was made
    confidence REAL NOT NULL,
    cost_usd REAL NOT NULL,
    latency_s REAL NOT NULL,
    finish_reason TEXT NOT NULL,
    tier INTEGER NOT NULL,
    error TEXT,
    outcome TEXT NOT NULL
);

CREATE INDEX decisions_by_time ON decisions (created);

CREATE TABLE calls (
    decision_id TEXT NOT NULL REFERENCES decisions (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    model TEXT NOT NULL,
    purpose TEXT NOT NULL,
    cost_usd REAL NOT NULL,
    latency_s REAL NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    finish_reason TEXT NOT NULL,
    error TEXT,
    PRIMARY KEY (decision_id, seq)
) WITHOUT ROWID;

CREATE TABLE verdicts (
    decision_id TEXT NOT NULL REFERENCES decisions (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    judge TEXT NOT NULL,
    draft INTEGER NOT NULL,
    score REAL,
    reason TEXT NOT NULL,
    PRIMARY KEY (decision_id, seq)
) WITHOUT ROWID;

-- One row for each decision, one for each call it made, one for each verdict on its drafts.
-- `outcome` is the whole decision as JSON, and the other columns are what is searched and summed.
-- `rowid` only grows, in the order of commits: writers take a lock before they draw one.
CREATE TABLE decisions (
    rowid BIGINT GENERATED ALWAYS AS IDENTITY,
    id TEXT PRIMARY KEY,
    created DOUBLE PRECISION NOT NULL,
    prompt_sha256 TEXT NOT NULL,
    model TEXT NOT NULL,
    arrangement TEXT, -- NULL where no plan was made
    confidence DOUBLE PRECISION NOT NULL,
    cost_usd DOUBLE PRECISION NOT NULL,
    latency_s DOUBLE PRECISION NOT NULL,
    finish_reason TEXT NOT NULL,
    tier BIGINT NOT NULL,
    error TEXT,
    outcome TEXT NOT NULL
);

CREATE UNIQUE INDEX decisions_by_rowid ON decisions (rowid);
CREATE INDEX decisions_by_time ON decisions (created, rowid);

CREATE TABLE calls (
    decision_id TEXT NOT NULL REFERENCES decisions (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    model TEXT NOT NULL,
    purpose TEXT NOT NULL,
    cost_usd DOUBLE PRECISION NOT NULL,
    latency_s DOUBLE PRECISION NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    cached_tokens BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    finish_reason TEXT NOT NULL,
    error TEXT,
    PRIMARY KEY (decision_id, seq)
);

CREATE TABLE verdicts (
    decision_id TEXT NOT NULL REFERENCES decisions (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    judge TEXT NOT NULL,
    draft BIGINT NOT NULL,
    score DOUBLE PRECISION,
    reason TEXT NOT NULL,
    PRIMARY KEY (decision_id, seq)
);

-- `rowid` is a column of its own that only grows: compacting the file keeps it, and the number of
-- an erased decision is never another's, so whoever reads on from the last one seen misses nothing.
CREATE TABLE numbered (
    rowid INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
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

INSERT INTO numbered (rowid, id, created, prompt_sha256, model, arrangement, confidence, cost_usd,
    latency_s, finish_reason, tier, error, outcome)
SELECT rowid, id, created, prompt_sha256, model, arrangement, confidence, cost_usd, latency_s,
    finish_reason, tier, error, outcome FROM decisions ORDER BY rowid;

DROP TABLE decisions;
ALTER TABLE numbered RENAME TO decisions;
CREATE INDEX decisions_by_time ON decisions (created);

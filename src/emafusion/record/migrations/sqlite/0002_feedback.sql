-- What callers said of decisions: one row for each caller and decision, the last one said.
-- `seq` only grows, and a changed opinion gets a new one: whoever reads on from the last `seq` seen
-- misses nothing.
CREATE TABLE feedback (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    decision_id TEXT NOT NULL REFERENCES decisions (id) ON DELETE CASCADE,
    caller TEXT NOT NULL,
    score REAL NOT NULL,
    created REAL NOT NULL,
    comment TEXT NOT NULL,
    UNIQUE (decision_id, caller)
);

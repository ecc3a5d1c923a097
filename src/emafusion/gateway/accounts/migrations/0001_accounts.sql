-- One text for SQLite and PostgreSQL. Money is in billionths of a US dollar, time in seconds since
-- 1970. `changed` is the edition a row was last written in: a reader asks for what is newer than
-- the edition it has.
CREATE TABLE emf_edition (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number BIGINT NOT NULL
);
INSERT INTO emf_edition (one, number) VALUES (1, 0);

CREATE TABLE emf_teams (
    name TEXT PRIMARY KEY,
    created DOUBLE PRECISION NOT NULL,
    removed DOUBLE PRECISION,
    terms TEXT NOT NULL,
    changed BIGINT NOT NULL
);

CREATE TABLE emf_keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    team TEXT NOT NULL,
    created DOUBLE PRECISION NOT NULL,
    expires DOUBLE PRECISION,
    revoked DOUBLE PRECISION,
    scopes TEXT NOT NULL,
    terms TEXT NOT NULL,
    salt TEXT NOT NULL,
    digest TEXT NOT NULL,
    old_salt TEXT NOT NULL,
    old_digest TEXT NOT NULL,
    old_until DOUBLE PRECISION NOT NULL,
    changed BIGINT NOT NULL
);
CREATE INDEX emf_keys_changed ON emf_keys (changed);

CREATE TABLE emf_budgets (
    holder TEXT NOT NULL,
    period TEXT NOT NULL,
    most BIGINT,
    changed BIGINT NOT NULL,
    PRIMARY KEY (holder, period)
);

-- What of one budget's window is spoken for: `granted` to workers, of which `settled` is spent.
CREATE TABLE emf_purses (
    holder TEXT NOT NULL,
    period TEXT NOT NULL,
    since TEXT NOT NULL,
    granted BIGINT NOT NULL,
    settled BIGINT NOT NULL,
    starved DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (holder, period, since)
);

CREATE TABLE emf_workers (
    id TEXT PRIMARY KEY,
    seen DOUBLE PRECISION NOT NULL
);

-- One worker's part of a purse; by number, for it may hold the same window twice: a clock that is
-- set back returns to a day that was over.
CREATE TABLE emf_leases (
    worker TEXT NOT NULL,
    number BIGINT NOT NULL,
    holder TEXT NOT NULL,
    period TEXT NOT NULL,
    since TEXT NOT NULL,
    granted BIGINT NOT NULL,
    spent BIGINT NOT NULL,
    PRIMARY KEY (worker, number)
);
CREATE INDEX emf_leases_purse ON emf_leases (holder, period, since);

-- What was spent, whether or not anything limits it: by UTC day, key, team and model. A worker's
-- messages are numbered; `told` is the last that was entered, so that none is entered twice.
ALTER TABLE emf_workers ADD COLUMN told BIGINT NOT NULL DEFAULT 0;

CREATE TABLE emf_spent (
    day TEXT NOT NULL,
    key TEXT NOT NULL,
    team TEXT NOT NULL,
    model TEXT NOT NULL,
    requests BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    spent BIGINT NOT NULL,
    PRIMARY KEY (day, key, team, model)
);

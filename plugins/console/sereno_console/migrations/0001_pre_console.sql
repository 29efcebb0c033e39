-- Who may use the console, what they did there, and answers that are given again.

CREATE TABLE sereno_console.account (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9._@+-]{0,99}$'),
    password    text NOT NULL,
    scopes      text[] NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    created_by  text NOT NULL,
    disabled_at timestamptz,
    seen_at     timestamptz
);

-- A token is known by its SHA-256: it is 256 bits made at random, which nobody guesses from that.
CREATE TABLE sereno_console.token (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9._@+-]{0,99}$'),
    hash       bytea NOT NULL UNIQUE,
    hint       text NOT NULL,
    scopes     text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    revoked_by text,
    used_at    timestamptz,
    used_from  text
);
-- One that is revoked leaves its name to the next.
CREATE UNIQUE INDEX token_name ON sereno_console.token (name) WHERE revoked_at IS NULL;

CREATE TABLE sereno_console.session (
    hash       bytea PRIMARY KEY,
    account    bigint NOT NULL REFERENCES sereno_console.account ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    address    text NOT NULL,
    agent      text NOT NULL
);
CREATE INDEX session_account ON sereno_console.session (account);
CREATE INDEX session_expires ON sereno_console.session (expires_at);

-- Log-ins that failed, by whom (`account:ana`) and from where (`address:10.0.0.7`).
CREATE TABLE sereno_console.log_in_failure (
    about text NOT NULL,
    at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX log_in_failure_about ON sereno_console.log_in_failure (about, at);
CREATE INDEX log_in_failure_at ON sereno_console.log_in_failure (at);

-- What the kernel's own trail does not tell: log-ins, users, tokens, secrets that were shown.
CREATE TABLE sereno_console.trail (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    by      text NOT NULL,
    action  text NOT NULL,
    subject text NOT NULL,
    reason  text NOT NULL DEFAULT ''
);

-- Answers to requests with an Idempotency-Key. `status` is null while the first is at work.
CREATE TABLE sereno_console.answered (
    who        text NOT NULL,
    key        text NOT NULL,
    request    bytea NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    status     int,
    headers    jsonb,
    body       bytea,
    PRIMARY KEY (who, key)
);
CREATE INDEX answered_at ON sereno_console.answered (at);

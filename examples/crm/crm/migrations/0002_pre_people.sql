-- Who may log in. `password`: salt and hash, by scrypt. Of a session its hash alone is kept.
ALTER TABLE seller ADD COLUMN login text UNIQUE, ADD COLUMN password bytea;
CREATE TABLE session (
  hashed bytea PRIMARY KEY,
  seller bigint NOT NULL REFERENCES seller ON DELETE CASCADE,
  ends_at timestamptz NOT NULL
);

CREATE TABLE seller (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  role text NOT NULL DEFAULT 'seller' CHECK (role IN ('seller', 'ceo')),
  boss bigint REFERENCES seller
);
CREATE TABLE lead (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  seller bigint NOT NULL REFERENCES seller,
  probability real NOT NULL CHECK (probability BETWEEN 0 AND 1),
  converted boolean NOT NULL DEFAULT false,
  follow_up_at timestamptz
);
CREATE TABLE conversation (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  seller bigint NOT NULL REFERENCES seller,
  opened_at timestamptz NOT NULL,
  last_customer_at timestamptz,
  last_reply_at timestamptz,
  response_seconds real
);
CREATE TABLE chat_session (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  active_at timestamptz NOT NULL
);
-- What a person is told. `subject`: what it is about; of one kind it is told once.
CREATE TABLE notification (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL,
  subject text NOT NULL,
  seller bigint REFERENCES seller,
  body jsonb,
  made_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (kind, subject)
);
CREATE TABLE seller_metric (
  seller bigint NOT NULL REFERENCES seller,
  at timestamptz NOT NULL,
  conversations bigint NOT NULL,
  conversations_today bigint NOT NULL,
  response_seconds real,
  conversion real,
  leads bigint NOT NULL,
  converted bigint NOT NULL,
  PRIMARY KEY (seller, at)
);

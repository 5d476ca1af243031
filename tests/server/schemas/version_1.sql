-- The tables of version 1, as files have them that were made before the audit journal. Never edited.
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES ('id', 0);
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE profiles (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    inn TEXT NOT NULL UNIQUE,
    kpp TEXT,
    registration TEXT,
    permissions TEXT NOT NULL,
    linked TEXT NOT NULL,
    client_secret TEXT NOT NULL
);

CREATE TABLE tokens (
    digest TEXT PRIMARY KEY,
    profile_id TEXT NOT NULL REFERENCES profiles (id),
    permissions TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tokens_by_expiry ON tokens (expires_at);

CREATE TABLE idempotency_keys (
    profile_id TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    kept_at INTEGER NOT NULL,
    location TEXT,
    status INTEGER NOT NULL,
    headers TEXT NOT NULL,
    content BLOB,
    PRIMARY KEY (profile_id, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_answers_by_age ON idempotency_keys (kept_at)
    WHERE content IS NOT NULL AND location IS NOT NULL;

CREATE TABLE charges (
    id TEXT PRIMARY KEY,
    profile_id TEXT NOT NULL REFERENCES profiles (id),
    kind TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    paid INTEGER NOT NULL DEFAULT 0 CHECK (paid >= 0),
    pending INTEGER NOT NULL DEFAULT 0 CHECK (pending >= 0),
    refunding INTEGER NOT NULL DEFAULT 0 CHECK (refunding BETWEEN 0 AND max(0, paid - amount)),
    overpaid_on TEXT CHECK ((overpaid_on IS NOT NULL) = (paid > amount)),
    last_refund_id TEXT,
    status TEXT NOT NULL GENERATED ALWAYS AS (
        CASE WHEN paid = 0 THEN 'not_paid' WHEN paid < amount THEN 'partly_paid' ELSE 'paid' END
    ) VIRTUAL,
    accrued_on TEXT NOT NULL,
    due_on TEXT NOT NULL,
    uin TEXT UNIQUE,
    order_number TEXT,
    payee_inn TEXT NOT NULL,
    details BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX charges_by_accrual ON charges (profile_id, accrued_on, id);
CREATE INDEX charges_by_term ON charges (profile_id, due_on, id);
CREATE INDEX charges_by_amount ON charges (profile_id, amount, id);
CREATE INDEX charges_by_kind ON charges (profile_id, kind, accrued_on, id);
CREATE INDEX charges_by_status ON charges (profile_id, status, accrued_on, id);
CREATE INDEX charges_by_status_and_term ON charges (profile_id, status, due_on, id);
CREATE INDEX charges_by_order_number ON charges (profile_id, order_number) WHERE order_number IS NOT NULL;
CREATE INDEX charges_unpaid_by_term ON charges (profile_id, due_on, accrued_on, id) WHERE paid < amount;
CREATE INDEX charges_overpaid_by_accrual ON charges (profile_id, accrued_on, id) WHERE paid > amount;
CREATE INDEX charges_overpaid_by_day ON charges (profile_id, overpaid_on, id) WHERE paid > amount;
CREATE INDEX charges_overpaid_by_kind ON charges (profile_id, kind, overpaid_on, id) WHERE paid > amount;

CREATE TABLE charge_events (
    id TEXT NOT NULL UNIQUE,
    charge_id TEXT NOT NULL REFERENCES charges (id),
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    amount INTEGER NOT NULL,
    payment_id TEXT,
    payment_order_number TEXT,
    comment TEXT NOT NULL,
    refund_id TEXT,
    PRIMARY KEY (charge_id, number)
) WITHOUT ROWID;

CREATE TABLE payments (
    id TEXT PRIMARY KEY,
    profile_id TEXT NOT NULL REFERENCES profiles (id),
    status TEXT NOT NULL,
    method TEXT NOT NULL,
    number TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    settled_at INTEGER,
    next_at INTEGER,
    outcome TEXT NOT NULL,
    payment_order_number TEXT,
    decline_reason TEXT
) WITHOUT ROWID;
CREATE INDEX payments_by_next ON payments (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX payments_by_time ON payments (profile_id, created_at, id);
CREATE INDEX payments_by_status ON payments (profile_id, status, created_at, id);
CREATE INDEX payments_by_method ON payments (profile_id, method, created_at, id);

CREATE TABLE payment_items (
    payment_id TEXT NOT NULL REFERENCES payments (id),
    position INTEGER NOT NULL,
    charge_id TEXT NOT NULL REFERENCES charges (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    credited INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (payment_id, position)
) WITHOUT ROWID;

CREATE TABLE bank_transfers (
    id TEXT PRIMARY KEY,
    profile_id TEXT,
    amount INTEGER NOT NULL CHECK (amount > 0),
    unmatched INTEGER NOT NULL,
    status TEXT NOT NULL GENERATED ALWAYS AS (CASE WHEN unmatched = 0 THEN 'matched' ELSE 'unmatched' END) VIRTUAL,
    received_at INTEGER NOT NULL,
    payment_order_number TEXT NOT NULL,
    payer_inn TEXT NOT NULL,
    purpose TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX bank_transfers_by_time ON bank_transfers (profile_id, received_at, id);
CREATE INDEX bank_transfers_by_status ON bank_transfers (profile_id, status, received_at, id);

CREATE TABLE bank_transfer_items (
    transfer_id TEXT NOT NULL REFERENCES bank_transfers (id),
    position INTEGER NOT NULL,
    charge_id TEXT NOT NULL REFERENCES charges (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    PRIMARY KEY (transfer_id, position)
) WITHOUT ROWID;

CREATE TABLE refunds (
    id TEXT PRIMARY KEY,
    profile_id TEXT NOT NULL REFERENCES profiles (id),
    charge_id TEXT NOT NULL REFERENCES charges (id),
    status TEXT NOT NULL,
    method TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    advance INTEGER NOT NULL DEFAULT 0 CHECK (advance BETWEEN 0 AND amount),
    number TEXT NOT NULL UNIQUE,
    awaits_card INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    settled_at INTEGER,
    next_at INTEGER,
    outcome TEXT NOT NULL,
    payment_order_number TEXT,
    refusal_reason TEXT
) WITHOUT ROWID;
CREATE INDEX refunds_by_next ON refunds (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX refunds_by_time ON refunds (profile_id, created_at, id);
CREATE INDEX refunds_by_status ON refunds (profile_id, status, created_at, id);
CREATE INDEX refunds_by_method ON refunds (profile_id, method, created_at, id);
CREATE INDEX refunds_by_charge ON refunds (charge_id, created_at, id);
CREATE INDEX refunds_by_advance ON refunds (profile_id, settled_at, id) WHERE advance > 0;

CREATE TABLE refund_items (
    refund_id TEXT NOT NULL REFERENCES refunds (id),
    position INTEGER NOT NULL,
    charge_id TEXT NOT NULL REFERENCES charges (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    PRIMARY KEY (refund_id, position)
) WITHOUT ROWID;

CREATE TABLE scripted_outcomes (position INTEGER PRIMARY KEY, subject TEXT NOT NULL, outcome TEXT NOT NULL);
CREATE INDEX scripted_outcomes_by_subject ON scripted_outcomes (subject, position);

CREATE TABLE ledger (
    entry INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    at INTEGER NOT NULL,
    account TEXT NOT NULL,
    amount INTEGER NOT NULL
);
CREATE INDEX ledger_by_account ON ledger (account);

-- A journal's file format, version 1. The writer begins and ends the transaction around this.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE stream (
    number INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL
);

-- The data comes last: whoever wants only the hash does not walk through a large record.
CREATE TABLE record (
    offset INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES stream,
    seq INTEGER NOT NULL,
    at TEXT NOT NULL,
    type TEXT NOT NULL,
    hash BLOB NOT NULL,
    erased INTEGER NOT NULL DEFAULT 0,
    data BLOB NOT NULL,
    UNIQUE (stream, seq)
);

CREATE TABLE label (
    stream INTEGER NOT NULL REFERENCES stream,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (stream, key)
) WITHOUT ROWID;

CREATE INDEX label_by_value ON label (key, value, stream);

-- REPLACE deletes without firing these, unless the connection says PRAGMA recursive_triggers=ON.
-- `sha256` is a function of the writer's connection: where it is missing, no UPDATE passes at all.
CREATE TRIGGER record_is_only_ever_erased BEFORE UPDATE ON record
WHEN NOT (
    OLD.erased IS 0 AND NEW.erased IS 1 AND NEW.data IS sha256(OLD.data)
    AND NEW.offset IS OLD.offset AND NEW.stream IS OLD.stream AND NEW.seq IS OLD.seq
    AND NEW.at IS OLD.at AND NEW.type IS OLD.type AND NEW.hash IS OLD.hash
)
BEGIN
    SELECT RAISE(ABORT, 'a record never changes, except that its data is erased');
END;

CREATE TRIGGER record_is_never_deleted BEFORE DELETE ON record
BEGIN
    SELECT RAISE(ABORT, 'a record is never deleted');
END;

CREATE TRIGGER stream_never_changes BEFORE UPDATE ON stream
BEGIN
    SELECT RAISE(ABORT, 'a stream never changes');
END;

CREATE TRIGGER stream_is_never_deleted BEFORE DELETE ON stream
BEGIN
    SELECT RAISE(ABORT, 'a stream is never deleted');
END;

CREATE TRIGGER meta_never_changes BEFORE UPDATE ON meta
BEGIN
    SELECT RAISE(ABORT, 'what a journal was made with never changes');
END;

CREATE TRIGGER meta_is_never_deleted BEFORE DELETE ON meta
BEGIN
    SELECT RAISE(ABORT, 'what a journal was made with never goes');
END;

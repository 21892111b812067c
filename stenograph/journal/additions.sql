-- What journals have gained since format 1 was fixed. Run on every opening, so each statement may be
-- repeated; programs of before leave alone what they do not know.

-- No record holds these. `value` begins with padding: see the writer.
CREATE TABLE IF NOT EXISTS secret (
    stream INTEGER NOT NULL REFERENCES stream,
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (stream, name)
);

CREATE TRIGGER IF NOT EXISTS erasing_forgets_secrets AFTER UPDATE OF erased ON record
BEGIN
    DELETE FROM secret WHERE stream = NEW.stream;
END;

-- A cache: rows may go at any time. `version` says how the data is to be read.
CREATE TABLE IF NOT EXISTS snapshot (
    stream INTEGER NOT NULL REFERENCES stream,
    seq INTEGER NOT NULL,
    version INTEGER NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (stream, version, seq)
);

CREATE TRIGGER IF NOT EXISTS erasing_deletes_snapshots AFTER UPDATE OF erased ON record
BEGIN
    DELETE FROM snapshot WHERE stream = NEW.stream;
END;

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

-- What a query sees of a journal. Data that was erased is no JSON any more, so each view looks first.

CREATE TEMP VIEW events AS
SELECT record.offset AS "offset", stream.run_id AS run, record.seq AS seq, record.at AS at,
    record.type AS type,
    CASE WHEN NOT record.erased THEN CAST(record.data AS TEXT) ->> '$.scope' END AS scope,
    CASE WHEN NOT record.erased THEN CAST(record.data AS TEXT) ->> '$.node' END AS node,
    CASE WHEN NOT record.erased THEN CAST(record.data AS TEXT) ->> '$.visit' END AS visit,
    CASE WHEN NOT record.erased THEN CAST(record.data AS TEXT) ->> '$.attempt' END AS attempt,
    CASE WHEN NOT record.erased THEN CAST(record.data AS TEXT) END AS data,
    lower(hex(record.hash)) AS hash, record.erased AS erased
FROM main.record AS record JOIN main.stream AS stream ON stream.number = record.stream;

CREATE TEMP VIEW runs AS
SELECT stream.run_id AS run,
    (SELECT value FROM main.label WHERE stream = stream.number AND key = 'graph') AS graph,
    (SELECT value FROM main.label WHERE stream = stream.number AND key = 'status') AS status,
    last.seq AS seq, stream.created_at AS created_at, last.at AS updated_at,
    CASE WHEN last.type IN ('run.completed', 'run.failed', 'run.cancelled') THEN last.at
        END AS finished_at,
    round((julianday(last.at) - julianday(stream.created_at)) * 86400, 3) AS lasted_s,
    (SELECT json_group_object(substr(key, 5), value) FROM main.label
        WHERE stream = stream.number AND substr(key, 1, 4) = 'tag:') AS tags,
    last.type = 'run.erased' AS erased
FROM main.label AS kind
CROSS JOIN main.stream AS stream ON stream.number = kind.stream
CROSS JOIN main.record AS last ON last.stream = stream.number
    AND last.seq = (SELECT max(seq) FROM main.record WHERE stream = stream.number)
WHERE kind.key = 'kind' AND kind.value = 'run';

CREATE TEMP VIEW transitions AS
SELECT stream.run_id AS run, record.seq AS seq, record.at AS at,
    CAST(record.data AS TEXT) ->> '$.scope' AS scope,
    CAST(record.data AS TEXT) ->> '$.node' AS node,
    CAST(record.data AS TEXT) ->> '$.visit' AS visit,
    CAST(record.data AS TEXT) ->> '$.to' AS to_node,
    CAST(record.data AS TEXT) ->> '$.reason' AS reason,
    CAST(record.data AS TEXT) ->> '$.edge' AS edge,
    CAST(record.data AS TEXT) ->> '$.label' AS label,
    CAST(record.data AS TEXT) -> '$.considered' AS considered
FROM main.record AS record JOIN main.stream AS stream ON stream.number = record.stream
WHERE record.type = 'transition.taken' AND NOT record.erased;

CREATE TEMP VIEW attempts AS
WITH told_of_attempts AS (
    SELECT record.stream AS number, stream.run_id AS run, record.seq AS seq, record.at AS at,
        record.type = 'node.entered' AS is_begin,
        CAST(record.data AS TEXT) ->> '$.scope' AS scope,
        CAST(record.data AS TEXT) ->> '$.node' AS node,
        CAST(record.data AS TEXT) ->> '$.visit' AS visit,
        CAST(record.data AS TEXT) ->> '$.attempt' AS attempt,
        CAST(record.data AS TEXT) ->> '$.tool' AS tool,
        CAST(record.data AS TEXT) ->> '$.tool_version' AS tool_version,
        coalesce(CAST(record.data AS TEXT) ->> '$.outcome', 'failed') AS outcome,
        CAST(record.data AS TEXT) ->> '$.duration_ms' AS duration_ms,
        CAST(record.data AS TEXT) ->> '$.error.type' AS error_type,
        CAST(record.data AS TEXT) ->> '$.error.message' AS error_message
    FROM main.record AS record JOIN main.stream AS stream ON stream.number = record.stream
    WHERE record.type IN ('node.entered', 'node.attempt_failed', 'node.exited')
        AND NOT record.erased
)
SELECT run, scope, node, visit, attempt, max(tool) AS tool, max(tool_version) AS tool_version,
    min(seq) FILTER (WHERE is_begin) AS entered_seq,
    min(at) FILTER (WHERE is_begin) AS entered_at,
    max(seq) FILTER (WHERE NOT is_begin) AS ended_seq,
    max(at) FILTER (WHERE NOT is_begin) AS ended_at,
    max(outcome) FILTER (WHERE NOT is_begin) AS outcome,
    max(duration_ms) FILTER (WHERE NOT is_begin) AS duration_ms,
    max(error_type) AS error_type, max(error_message) AS error_message
FROM told_of_attempts GROUP BY run, scope, node, visit, attempt;

CREATE TEMP VIEW visits AS
WITH told_of_visits AS (
    SELECT record.stream AS number, stream.run_id AS run, record.seq AS seq, record.at AS at,
        record.type = 'node.entered' AS is_begin,
        CAST(record.data AS TEXT) ->> '$.scope' AS scope,
        CAST(record.data AS TEXT) ->> '$.node' AS node,
        CAST(record.data AS TEXT) ->> '$.visit' AS visit,
        CAST(record.data AS TEXT) ->> '$.tool' AS tool
    FROM main.record AS record JOIN main.stream AS stream ON stream.number = record.stream
    WHERE record.type IN ('node.entered', 'node.exited') AND NOT record.erased
), visits_begun AS (
    SELECT number, run, scope, node, visit, max(tool) AS tool,
        min(seq) FILTER (WHERE is_begin) AS entered_seq,
        min(at) FILTER (WHERE is_begin) AS entered_at,
        max(seq) FILTER (WHERE NOT is_begin) AS exited_seq,
        max(at) FILTER (WHERE NOT is_begin) AS exited_at,
        count(*) FILTER (WHERE is_begin) AS attempts
    FROM told_of_visits GROUP BY run, scope, node, visit
)
SELECT each.run AS run, each.scope AS scope, each.node AS node, each.visit AS visit,
    each.tool AS tool, each.attempts AS attempts, each.entered_seq AS entered_seq,
    each.entered_at AS entered_at, each.exited_seq AS exited_seq, each.exited_at AS exited_at,
    CAST(last.data AS TEXT) ->> '$.outcome' AS outcome,
    CAST(last.data AS TEXT) ->> '$.duration_ms' AS duration_ms,
    CAST(last.data AS TEXT) ->> '$.error.type' AS error_type,
    CAST(last.data AS TEXT) ->> '$.error.message' AS error_message
FROM visits_begun AS each LEFT JOIN main.record AS last
    ON last.stream = each.number AND last.seq = each.exited_seq;

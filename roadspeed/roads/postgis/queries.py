"""What a database of roads is asked, in SQL. Constants: `postgis` fills in names and asks.

Rule: names are filled in by `psycopg2.sql.Identifier`, values are literals of psycopg2's; nothing
here writes. PostGIS' functions are named with the schema it is installed in.
"""

from __future__ import annotations

from psycopg2 import sql

STATEMENT_TIMEOUT = "10min"

# One transaction sees one state of the roads. A time limit of the user's own goes before ours.
# Compiling a query that runs once costs more than it saves.
BEGIN = f"""
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT set_config('statement_timeout', CASE current_setting('statement_timeout')
         WHEN '0' THEN '{STATEMENT_TIMEOUT}' ELSE current_setting('statement_timeout') END, true),
       set_config('jit', 'off', true);
"""
RELATIONS = """
SELECT n.nspname, c.relname, a.attname, t.typname, t.typcategory,
       format_type(t.oid, CASE d.typtype WHEN 'd' THEN d.typtypmod ELSE a.atttypmod END),
       (SELECT s.nspname FROM pg_extension e JOIN pg_namespace s ON s.oid = e.extnamespace
         WHERE e.extname = 'postgis')
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type d ON d.oid = a.atttypid
  JOIN pg_type t ON t.oid = CASE d.typtype WHEN 'd' THEN d.typbasetype ELSE d.oid END
 WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p')
   AND CASE WHEN %(table)s::text IS NULL
            THEN EXISTS (SELECT FROM pg_attribute g JOIN pg_type x ON x.oid = g.atttypid
                           LEFT JOIN pg_type y ON y.oid = x.typbasetype
                          WHERE g.attrelid = c.oid AND NOT g.attisdropped
                            AND (x.typname IN ('geometry', 'geography')
                              OR y.typname IN ('geometry', 'geography')))
             AND n.nspname NOT IN ('pg_catalog', 'information_schema')
             AND NOT c.relispartition
             AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.objid = c.oid
                              AND e.classid = 'pg_class'::regclass AND e.deptype = 'e')
            ELSE (c.relname = %(table)s AND pg_table_is_visible(c.oid))
              OR n.nspname || '.' || c.relname = %(table)s END
 ORDER BY n.nspname, c.relname, a.attnum
"""

# What an id is, by the category of its column's type; anything else is NULL and matches nothing.
WHOLE = {
    "int": sql.SQL("{column}::bigint"),
    "numeric": sql.SQL(
        "CASE WHEN {column} BETWEEN -9223372036854775808 AND 9223372036854775807"
        " AND {column} = trunc({column}) THEN {column}::bigint END"
    ),
    "float": sql.SQL(
        "CASE WHEN {column} BETWEEN -9007199254740991 AND 9007199254740991"
        " AND {column} = trunc({column}::float8) THEN {column}::bigint END"
    ),
    "text": sql.SQL(
        "CASE WHEN {column}::text COLLATE \"C\" ~ '^-?0*[0-9]{{1,19}}$' THEN CASE WHEN"
        " {column}::numeric BETWEEN -9223372036854775808 AND 9223372036854775807"
        " THEN {column}::bigint END END"
    ),
}

TEXT = sql.SQL("{column}::text")  # what it is where ids are any text

# The first rows that could be joined; of them that say no SRID, one that is not in degrees; what
# there is where none can be.
ROADS = sql.SQL(
    "WHERE {id} IS NOT NULL AND {g} IS NOT NULL AND NOT {empty}({g}) AND {dimension}({g}) = 1"
    " LIMIT {most}"
)
STRANGE = sql.SQL(
    "WHERE {id} IS NOT NULL AND {srid}({g}) = 0 AND ({xmin}({g}) < -180 OR {xmax}({g}) > 180"
    " OR {ymin}({g}) < -90 OR {ymax}({g}) > 90) LIMIT {most}"
)
SEEN = sql.SQL(
    "SELECT count(*), count({id}), min({text}) FILTER (WHERE {id} IS NULL),"
    " array_agg(DISTINCT {kind}({g})) FILTER (WHERE {g} IS NOT NULL AND NOT {empty}({g}))"
    " FROM {table} AS r"
)
LINED = sql.SQL("SELECT EXISTS (SELECT FROM {table} AS r WHERE {dimension}({g}) = 1)")

FUNCTIONS = {
    "dimension": "st_dimension",
    "empty": "st_isempty",
    "kind": "geometrytype",
    "srid": "st_srid",
    "xmin": "st_xmin",
    "xmax": "st_xmax",
    "ymin": "st_ymin",
    "ymax": "st_ymax",
}
WANTED = sql.SQL("JOIN unnest({ids}) WITH ORDINALITY AS w(id, place) ON w.id = {whole}")
MATCH = sql.SQL(
    "SELECT (SELECT count(*) FROM unnest({ids}) AS w(id)"
    " WHERE w.id IN (SELECT {whole} FROM {table} AS r)),"
    " ARRAY(SELECT {whole} FROM {table} AS r WHERE {whole} IS NOT NULL LIMIT {few})"
)
IDS = sql.SQL("SELECT DISTINCT {id} FROM {table} AS r")

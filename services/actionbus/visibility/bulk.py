"""Many rows in one statement, as each database takes them fastest.

PostgreSQL gets one array per column (`INSERT ... SELECT FROM unnest`): one statement, planned once, however many rows.
SQLite is a library, so a prepared statement run for each row costs nothing but the row; keys come as JSON.
"""

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, SmallInteger, Table, Text
from sqlalchemy.ext.asyncio import AsyncConnection

Rows = Sequence[tuple[Any, ...]]

_TYPES: Final = (
    (BigInteger, "bigint"),
    (SmallInteger, "smallint"),
    (Integer, "integer"),
    (Boolean, "boolean"),
    (LargeBinary, "bytea"),
    (Text, "text"),
)


async def upsert(connection: AsyncConnection, table: Table, rows: Rows) -> None:
    """Write whole rows, in the order of the table's columns, in place of those with the same keys."""
    await _run(connection, rows, table, tuple(table.columns.keys()), _upsert)


async def insert(connection: AsyncConnection, table: Table, rows: Rows) -> None:
    """Write whole rows; one whose key is there already stays as it is."""
    await _run(connection, rows, table, tuple(table.columns.keys()), _insert)


async def add(connection: AsyncConnection, table: Table, rows: Rows) -> None:
    """Add whole rows to those with the same keys: what is not of the key is a number."""
    await _run(connection, rows, table, tuple(table.columns.keys()), _add)


async def change(connection: AsyncConnection, table: Table, columns: tuple[str, ...], rows: Rows) -> None:
    """Change some columns of rows that are there; ``columns``: those of the key, then the others."""
    await _run(connection, rows, table, columns, _change)


async def delete(connection: AsyncConnection, table: Table, columns: tuple[str, ...], rows: Rows) -> None:
    """Delete the rows that have these values in these columns."""
    await _run(connection, rows, table, columns, _delete)


async def select(
    connection: AsyncConnection, table: Table, columns: tuple[str, ...], rows: Rows, where: str = ""
) -> Sequence[Any]:
    """The rows that have these values in these columns, whole; ``where``: a condition on the table ``t`` besides."""
    if not rows:
        return []
    if connection.dialect.name == "postgresql":
        sql = _select_postgresql(table, columns, where)
        return (await connection.exec_driver_sql(sql, _arrays(rows))).all()
    sql = _select_sqlite(table, columns, where)
    return (await connection.exec_driver_sql(sql, (json.dumps(rows),))).all()


_Maker = Callable[[Table, tuple[str, ...], str, bool], str]


async def _run(connection: AsyncConnection, rows: Rows, table: Table, columns: tuple[str, ...], make: _Maker) -> None:
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql(_statement(make, table, columns, True), _arrays(rows))
    else:
        await connection.exec_driver_sql(_statement(make, table, columns, False), list(rows))


def _arrays(rows: Rows) -> tuple[list[Any], ...]:
    return tuple(list(column) for column in zip(*rows, strict=True))


@cache
def _statement(make: _Maker, table: Table, columns: tuple[str, ...], arrays: bool) -> str:  # noqa: FBT001 - a cache key
    if arrays:
        parts = ", ".join(f"${place}::{_type(table.c[name])}[]" for place, name in enumerate(columns, start=1))
        given = f"unnest({parts})"
    else:
        given = ", ".join("?" * len(columns))
    return make(table, columns, given, arrays)


def _upsert(table: Table, columns: tuple[str, ...], given: str, arrays: bool) -> str:  # noqa: FBT001 - as above
    rest = [name for name in columns if not table.c[name].primary_key]
    changes = ", ".join(f'"{name}" = excluded."{name}"' for name in rest)
    return f"{_into(table, columns, given, arrays)} ON CONFLICT ({_key(table)}) DO UPDATE SET {changes}"


def _insert(table: Table, columns: tuple[str, ...], given: str, arrays: bool) -> str:  # noqa: FBT001 - as above
    return f"{_into(table, columns, given, arrays)} ON CONFLICT ({_key(table)}) DO NOTHING"


def _add(table: Table, columns: tuple[str, ...], given: str, arrays: bool) -> str:  # noqa: FBT001 - as above
    rest = [name for name in columns if not table.c[name].primary_key]
    changes = ", ".join(f'"{name}" = {table.name}."{name}" + excluded."{name}"' for name in rest)
    return f"{_into(table, columns, given, arrays)} ON CONFLICT ({_key(table)}) DO UPDATE SET {changes}"


def _change(table: Table, columns: tuple[str, ...], given: str, arrays: bool) -> str:  # noqa: FBT001 - as above
    rest = [name for name in columns if not table.c[name].primary_key]
    changes = ", ".join(f'"{name}" = given."{name}"' for name in rest)
    return f"UPDATE {table.name} AS t SET {changes} FROM {_given(columns, given, arrays)} WHERE {_same(table, columns)}"  # noqa: S608 - names of columns


def _delete(table: Table, columns: tuple[str, ...], given: str, arrays: bool) -> str:  # noqa: FBT001 - as above
    if arrays:
        same = " AND ".join(f't."{name}" = given."{name}"' for name in columns)
        return f"DELETE FROM {table.name} AS t USING {_given(columns, given, arrays)} WHERE {same}"  # noqa: S608 - the same
    same = " AND ".join(f'"{name}" = ?' for name in columns)
    return f"DELETE FROM {table.name} WHERE {same}"  # noqa: S608 - the same


@cache
def _select_postgresql(table: Table, columns: tuple[str, ...], where: str) -> str:
    parts = ", ".join(f"${place}::{_type(table.c[name])}[]" for place, name in enumerate(columns, start=1))
    same = " AND ".join(f't."{name}" = given."{name}"' for name in columns)
    more = f" AND {where}" if where else ""
    return f"SELECT t.* FROM {_given(columns, f'unnest({parts})', True)} JOIN {table.name} AS t ON {same}{more}"  # noqa: S608 - the same


@cache
def _select_sqlite(table: Table, columns: tuple[str, ...], where: str) -> str:
    same = " AND ".join(f"t.\"{name}\" = json_extract(given.value, '$[{place}]')" for place, name in enumerate(columns))
    more = f" AND {where}" if where else ""
    # CROSS JOIN: go through what is given, and look each up, never the other way round
    return f"SELECT t.* FROM json_each(?) AS given CROSS JOIN {table.name} AS t WHERE {same}{more}"  # noqa: S608 - the same


def _given(columns: tuple[str, ...], given: str, arrays: bool) -> str:  # noqa: FBT001 - as above
    names = ", ".join(f'"{name}"' for name in columns)
    if arrays:
        return f"{given} AS given ({names})"
    shown = ", ".join(f'? AS "{name}"' for name in columns)
    return f"(SELECT {shown}) AS given"


def _into(table: Table, columns: tuple[str, ...], given: str, arrays: bool) -> str:  # noqa: FBT001 - as above
    names = ", ".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table.name} ({names}) " + (f"SELECT * FROM {given}" if arrays else f"VALUES ({given})")  # noqa: S608 - the same


def _same(table: Table, columns: tuple[str, ...]) -> str:
    return " AND ".join(f't."{name}" = given."{name}"' for name in columns if table.c[name].primary_key)


def _key(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.primary_key)


def _type(column: Column[Any]) -> str:
    return next(name for kind, name in _TYPES if isinstance(column.type, kind))

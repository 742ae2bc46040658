#!/usr/bin/python3
"""Tampers with a copy of a register in SQLite, as someone with the disk in hand would.

Usage: flip.py DATABASE list                       prints TABLE ROWID COLUMN of what can be flipped
       flip.py DATABASE flip TABLE ROWID COLUMN    flips one bit of that value
       flip.py DATABASE delete-last-leaf
       flip.py DATABASE swap-leaves
       flip.py DATABASE delete-checkpoints
"""

import random
import sqlite3
import sys

database, what = sys.argv[1:3]
connection = sqlite3.connect(database)
connection.text_factory = bytes


def tables():
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    return [name.decode() for (name,) in names]


def keys(table):
    """What names a row of a table whose rows have no number: its primary key."""
    columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
    return "||'|'||".join(f"hex({column[1].decode()})" for column in columns if column[5])


def number(table):
    try:
        connection.execute(f"SELECT rowid FROM {table} LIMIT 1")
        return "rowid"
    except sqlite3.OperationalError:
        return keys(table)


def flipped(value):
    if isinstance(value, int):
        return value ^ (1 << 40)  # not the lowest bit: a neighbour may have that number, and the database would refuse
    data = bytearray(value)
    at = len(data) // 2
    data[at] ^= 1
    return bytes(data)


if what == "list":
    random.seed(7)
    for table in tables():
        rows = connection.execute(f"SELECT {number(table)}, * FROM {table}").fetchall()
        columns = [c[1].decode() for c in connection.execute(f"PRAGMA table_info({table})")]
        for row in random.sample(rows, min(2, len(rows))):
            for column, value in zip(columns, row[1:]):
                if table == "head" and column in ("seal", "sealed_key"):
                    continue  # no evidence for outsiders: a node holds the token's key against it (database_thief.rs)
                if value is not None and value != b"":
                    print(table, row[0].decode() if isinstance(row[0], bytes) else row[0], column)
elif what == "flip":
    table, rowid, column = sys.argv[3:6]
    by = number(table)
    rowid = int(rowid) if by == "rowid" else rowid
    (value, kind), = connection.execute(
        f"SELECT {column}, typeof({column}) FROM {table} WHERE {by} = ?", (rowid,)
    ).fetchall()
    new = flipped(value)
    if kind == b"text":
        new = new.decode("utf-8", "replace")
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute(f"UPDATE {table} SET {column} = ? WHERE {by} = ?", (new, rowid))
    connection.commit()
elif what == "delete-last-leaf":
    connection.execute("DELETE FROM leaf WHERE idx = (SELECT max(idx) FROM leaf)")
    connection.commit()
elif what == "swap-leaves":
    (a, b) = [i for (i,) in connection.execute("SELECT idx FROM leaf ORDER BY idx LIMIT 2 OFFSET 3")]
    rows = {i: connection.execute("SELECT hash, bytes FROM leaf WHERE idx = ?", (i,)).fetchone() for i in (a, b)}
    for i, other in ((a, b), (b, a)):
        connection.execute("UPDATE leaf SET hash = ?, bytes = ? WHERE idx = ?", (*rows[other], i))
    connection.commit()
    print(a, b)
elif what == "delete-checkpoints":
    connection.execute("DELETE FROM checkpoint")
    connection.commit()
else:
    sys.exit(__doc__)

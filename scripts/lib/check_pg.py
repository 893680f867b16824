"""Say in one sentence what is wrong with the server the PG* variables name."""

import os
import sys

import psycopg2


def problem(minimum):
    """:return: a sentence, or None when Odoo can work with the server."""
    try:
        connection = psycopg2.connect(dbname="postgres", connect_timeout=10)
    except psycopg2.OperationalError as error:
        reason = " ".join(str(error).split())
        where = os.environ.get("PGHOST", "the local socket")
        return f"the PostgreSQL server at {where} does not answer ({reason})."
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_user, rolcreatedb OR rolsuper FROM pg_roles"
            " WHERE rolname = current_user"
        )
        user, may_create = cursor.fetchone()
    if connection.server_version < minimum * 10000:
        return f"the PostgreSQL server is older than version {minimum}."
    if user == "postgres":
        return "Odoo refuses to work as the PostgreSQL user postgres."
    if not may_create:
        return f"the PostgreSQL role {user} may not create databases."
    return None


if __name__ == "__main__":
    if sentence := problem(int(sys.argv[1])):
        sys.exit(sentence)

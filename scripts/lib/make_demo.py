"""Make (again) the database of the demonstration: Odoo's demo data and the add-on's."""

import sys

import databases

MODULES = ["crm", "contacts", databases.ADDON]


def sessions(name):
    """:return: how many others are using a database"""
    with databases.maintenance_cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        return cursor.fetchone()[0]


def main(name):
    if sessions(name):
        sys.exit(
            f"The database {name} is in use, probably by another `make run`: "
            "stop that one, or choose another name: make run DB=crm_archive_demo2"
        )
    databases.drop(name)
    print(f"Making the database {name} …", flush=True)
    try:
        databases.clone(name, MODULES, demo=True, report=print)
    except databases.InstallError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1])

"""Let rows that no foreign key ties to their owner hold on to it all the same.

Messages, followers, activities and attachments name their document by model and id.
Nothing stops somebody from writing one for a document that is being deleted at this
very moment, and it would belong to nobody. A trigger takes the lock that a foreign key
would take: who comes first keeps the document, who comes too late is told so.
"""

from odoo.tools import SQL


def tie(env, owners, references):
    """Make the triggers that are missing.

    :param env: environment
    :param owners: names of the models whose rows are deleted
    :param references: names of the models whose rows name their owner
    """
    for owner in owners:
        table = env[owner]._table
        function = SQL.identifier(f"crm_archive_tie_{table}")
        env.cr.execute(
            SQL(
                "CREATE OR REPLACE FUNCTION %s() RETURNS trigger AS $$ BEGIN"
                " PERFORM 1 FROM %s WHERE id = NEW.res_id FOR KEY SHARE;"
                " RETURN NEW; END $$ LANGUAGE plpgsql",
                function,
                SQL.identifier(table),
            )
        )
        for model, column in _find_columns(env, references):
            _tie_table(env.cr, model, column, owner, function)


def _find_columns(env, references):
    """Yield ``(table, column of the owner's model)``; ``res_id`` names the owner."""
    for name in sorted(set(references) & set(env.registry)):
        field = env[name]._fields.get("res_id")
        if field and field.store and field.type == "many2one_reference":
            yield env[name]._table, field.model_field


def _tie_table(cr, table, column, owner, function):
    name = f"crm_archive_tie_{owner.replace('.', '_')}"
    cr.execute(
        "SELECT 1 FROM pg_trigger WHERE tgname = %s"
        " AND tgrelid = to_regclass(quote_ident(%s))",
        [name, table],
    )
    if cr.rowcount:
        return
    cr.execute(
        SQL(
            "CREATE TRIGGER %s BEFORE INSERT OR UPDATE OF res_id, %s ON %s"
            " FOR EACH ROW WHEN (NEW.%s = %s) EXECUTE FUNCTION %s()",
            SQL.identifier(name),
            SQL.identifier(column),
            SQL.identifier(table),
            SQL.identifier(column),
            owner,
            function,
        )
    )


def untie(env):
    """Remove every trigger, at uninstallation: also those of models that are gone."""
    env.cr.execute(
        "SELECT proname FROM pg_proc WHERE proname LIKE 'crm\\_archive\\_tie\\_%'"
        " AND pronamespace = current_schema::regnamespace"
    )
    for (name,) in env.cr.fetchall():
        function = SQL.identifier(name)
        env.cr.execute(SQL("DROP FUNCTION IF EXISTS %s() CASCADE", function))

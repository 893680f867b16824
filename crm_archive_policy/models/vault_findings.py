"""What a restore found, in the words of the person who restores."""


def describe(env, finding):
    """Put a finding into a sentence that says what it means.

    :param env: environment, for the language
    :param finding: :class:`~..vault.report.Finding`
    :return: text
    """
    texts = _get_texts(env)
    return texts[finding.kind] % {
        "count": finding.count,
        "place": _name_place(env, finding),
        "target": _name_table(env, finding.target),
        "ids": ", ".join(map(str, finding.ids)),
    }


def describe_refused(env, refused):
    """Say which records cannot be restored, why, and what to do.

    :param env: environment, for the language
    :param dict refused: ``{entry: findings}``
    :return: text
    """
    return "\n".join(
        env._(
            "“%(name)s” cannot be restored, and nothing was changed. %(reasons)s",
            name=entry.display_name,
            reasons=" ".join(describe(env, f) for f in findings if f.refuses),
        )
        for entry, findings in refused.items()
    )


def _get_texts(env):
    """Return the sentence of each kind of finding."""

    return {
        "column_gone": env._(
            "%(place)s does not exist any more. %(count)s values stay in the vault."
        ),
        "table_gone": env._(
            "%(place)s does not exist any more, or does not belong to the record any "
            "more. %(count)s rows stay in the vault."
        ),
        "target_gone": env._(
            "%(place)s pointed at %(target)s no. %(ids)s, which was deleted. "
            "It comes back empty."
        ),
        "target_merged": env._(
            "%(place)s pointed at %(target)s no. %(ids)s, which was merged into "
            "another one. It points there."
        ),
        "target_replaced": env._(
            "%(place)s pointed at %(target)s no. %(ids)s, which was deleted. It "
            "points at what you have chosen."
        ),
        "value_converted": env._(
            "%(place)s has another type now. %(count)s values were converted, and "
            "none lost anything."
        ),
        "row_gone": env._(
            "%(count)s rows of %(place)s belonged to %(target)s no. %(ids)s as well, "
            "which was deleted. They do not come back."
        ),
        "live_kept": env._(
            "%(count)s rows of %(place)s have a newer one in their place, which is "
            "kept."
        ),
        "reference_changed": env._(
            "%(count)s rows pointed at the record through %(place)s and were changed "
            "or deleted since. They stay as they are."
        ),
        "shell_changed": env._(
            "Somebody has filled in %(place)s meanwhile. The archived value takes its "
            "place."
        ),
        "id_taken": env._(
            "%(place)s: the numbers %(ids)s are taken by other records. The record "
            "cannot come back under its own number, and never gets another one. If the "
            "other record is a copy made by mistake, delete it and try again."
        ),
        "unique_taken": env._(
            "%(place)s: another record has taken a value that only one may have. "
            "Change or merge the other record, and try again."
        ),
        "required_gone": env._(
            "%(place)s needs %(target)s no. %(ids)s, which was deleted. Choose "
            "another one in the dialog that restores it."
        ),
        "required_column": env._(
            "%(place)s is new and required, and the archived record has no value for "
            "it. Give the field a default value first."
        ),
        "bad_value": env._(
            "The archived value of %(place)s does not fit any more, or would lose "
            "something. Ask an administrator to undo the change of this field, or to "
            "allow the old value, and try again."
        ),
    }


def _name_place(env, finding):
    table = _name_table(env, finding.table)
    if not finding.column or _find_relation(env, finding.table):
        return table
    model = _find_model(env, finding.table)
    field = model._fields.get(finding.column) if model is not None else None
    label = field._description_string(env) if field else finding.column
    return f"{table}: {label}"


def _name_table(env, table):
    """Return what people call a table: its model, or the list it stands for."""
    if field := _find_relation(env, table):
        return f"{_name_model(env, field.model_name)}: {field._description_string(env)}"
    model = _find_model(env, table)
    return table if model is None else _name_model(env, model._name)


def _name_model(env, name):
    # Only the name, in the language of the person: no more is read of it.
    return env["ir.model"]._get(name).sudo().name


def _find_relation(env, table):
    """Return the many2many field of contacts or leads that a table belongs to."""
    for model in (env["crm.lead"], env["res.partner"]):
        for field in model._fields.values():
            if field.type == "many2many" and field.store and field.relation == table:
                return field
    return None


def _find_model(env, table):
    for name, model in env.registry.items():
        if model._table == table and not model._abstract:
            return env[name]
    return None


def find_model_name(env, table):
    """:return: the model of a table, ``False`` when there is none"""
    model = _find_model(env, table)
    return model._name if model is not None else False

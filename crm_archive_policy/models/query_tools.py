"""Small helpers to build set-based SQL from fields of the registry."""

from ast import literal_eval

from odoo.fields import Domain
from odoo.tools import SQL, Query

#: Group of the stored fields that no daily screen needs: they are read together when
#: one of them is, and stay out of what the ORM reads along with everything else.
PREFETCH = "crm_archive"


def path_to_sql(model, query, path):
    """Return the SQL expression of a dotted field path, adding its joins.

    Only stored many2one links are followed, so one row stays one row.

    :param model: recordset of the query's main table
    :param query: :class:`~odoo.tools.Query` that receives the LEFT JOINs
    :param str path: for example ``'date'`` or ``'event_id.start'``
    :return: :class:`~odoo.tools.SQL`
    :raise KeyError: when a name of the path is not a field
    """
    alias = query.table
    *links, name = path.split(".")
    for link in links:
        field = model._fields[link]
        comodel = model.env[field.comodel_name]
        alias = query.left_join(alias, link, comodel._table, "id", link)
        model = comodel
    return model._field_to_sql(alias, name, query)


def search_links(env, model_name, link, domain, target_name):
    """Return ``(model, query, link)`` for rows of a model that point at targets.

    Technical look-up over whole tables: record rules are bypassed on purpose,
    since an invoice of another company protects a shared contact as well.

    :param str model_name: model whose rows are searched, e.g. ``'sale.order'``
    :param str link: path to the target's id, or a many2one_reference
    :param domain: condition on the rows
    :param str target_name: model the link has to point at
    :return: the model, the query and the SQL of the target's id
    """
    model = env[model_name].sudo().with_context(active_test=False)
    domain = Domain(domain)
    field = model._fields[link.split(".")[0]]
    if field.type == "many2one_reference":
        domain &= Domain(field.model_field, "=", target_name)
    if model_name == target_name:
        # An alias of its own: the table is likely to be the outer one as well.
        query = Query(env, f"{model._table}__link", SQL.identifier(model._table))
        condition = domain.optimize_full(model)._to_sql(model, query.table, query)
        query.add_where(condition)
    else:
        query = model._search(domain)
    return model, query, path_to_sql(model, query, link)


def as_domain(condition):
    """Turn a raw SQL condition into a search domain.

    :param condition: callable ``alias -> SQL``
    """

    def to_sql(_model, alias, _query):
        return condition(alias)

    return Domain.custom(to_sql=to_sql)


def identifier_id(alias):
    """Return the id column of a table alias."""
    return SQL.identifier(alias, "id")


def id_array(ids, kind="int4"):
    """Return the ids of a batch as the SQL of one array.

    Sent as a single text: a thousand values of their own take longer to write down
    and to parse than many a query takes to be answered.

    :param ids: iterable of int
    :param str kind: ``int8`` for tables that are not Odoo's own
    """
    text = "{%s}" % ",".join(map(str, map(int, ids)))
    return SQL("%s::%s[]", text, SQL.identifier(kind))


#: A domain longer than this is a mistake or an attack, and slow either way.
DOMAIN_MAX_TERMS = 500
DOMAIN_MAX_CHARACTERS = 65_536

#: What a text that is no domain may raise, when it is parsed or validated.
DOMAIN_ERRORS = (
    ValueError,
    SyntaxError,
    KeyError,
    TypeError,
    MemoryError,
    RecursionError,
)


def parse_domain(env, text):
    """Parse the domain that somebody has written; nothing in it is ever executed.

    :param env: environment, for the language of the errors
    :param str text: list of literals
    :return: :class:`~odoo.fields.Domain`
    :raise ValueError: when it is not a list of literals, or far too long
    """
    text = (text or "[]").strip()
    if len(text) > DOMAIN_MAX_CHARACTERS:
        raise ValueError(
            env._("longer than %(max)s characters", max=DOMAIN_MAX_CHARACTERS)
        )
    terms = literal_eval(text)
    if not isinstance(terms, list):
        raise ValueError(env._("a domain is a list of conditions"))  # noqa: TRY004 - the caller's contract
    if len(terms) > DOMAIN_MAX_TERMS or count_conditions(terms) > DOMAIN_MAX_TERMS:
        raise ValueError(env._("more than %(max)s conditions", max=DOMAIN_MAX_TERMS))
    return Domain(terms)


def count_conditions(terms):
    """Return how many conditions there are, those inside of others included.

    Not how many values: a condition may ask for thousands of ids.
    """
    count, left = 0, [terms]
    while left:
        part = left.pop()
        inner = [value for value in part if isinstance(value, list | tuple)]
        count += len(part) == 3 and isinstance(part[0], str)
        left += inner
    return count

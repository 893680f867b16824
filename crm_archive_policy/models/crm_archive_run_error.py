import psycopg2

from odoo import fields, models


def tell_error(error):
    """Return what may be kept and shown of an error.

    What the database says quotes the values it choked on, which may be personal data.

    :param error: any exception
    """
    if not isinstance(error, psycopg2.Error):
        return str(error)
    where = error.diag.constraint_name or error.diag.column_name
    return f"{type(error).__name__}: {where}" if where else type(error).__name__


class CrmArchiveRunError(models.Model):
    """A record that a run had to skip, with the reason."""

    _name = "crm.archive.run.error"
    _description = "Archive Run Error"

    run_id = fields.Many2one(
        "crm.archive.run", required=True, ondelete="cascade", index=True
    )
    res_model = fields.Char("Model", required=True)
    res_id = fields.Many2oneReference("Record", model_field="res_model", required=True)
    message = fields.Text(required=True)

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError

PERIOD_UNITS = [
    ("days", "Days"),
    ("weeks", "Weeks"),
    ("months", "Months"),
    ("years", "Years"),
]


class CrmArchiveCategory(models.Model):
    """Retention category: how long a kind of record is kept, and by which rule.

    The minimum period is a duty to keep (for example a commercial code), the
    maximum a duty to let go (storage limitation, GDPR Article 5(1)(e); shortest
    necessary period, PIPL Article 19).
    """

    _name = "crm.archive.category"
    _description = "Retention Category"
    _order = "sequence, name"

    name = fields.Char(required=True, translate=True)
    active = fields.Boolean(default=True)
    sequence = fields.Integer(default=10)
    minimum_number = fields.Integer(
        "Keep at Least", help="0: no duty to keep the record."
    )
    minimum_unit = fields.Selection(PERIOD_UNITS, default="years", required=True)
    maximum_number = fields.Integer(
        "Keep at Most", help="0: no limit to how long the record is kept."
    )
    maximum_unit = fields.Selection(PERIOD_UNITS, default="years", required=True)
    legal_basis = fields.Text(
        translate=True, help="The law, contract or interest behind the periods."
    )

    @api.constrains("minimum_number", "minimum_unit", "maximum_number", "maximum_unit")
    def _check_periods(self):
        today = fields.Date.today()
        for category in self:
            if category.minimum_number < 0 or category.maximum_number < 0:
                raise ValidationError(
                    self.env._(
                        "“%(name)s”: a retention period cannot be negative.",
                        name=category.name,
                    )
                )
            if category.maximum_number and category._get_retention_date(
                today
            ) > category._get_deadline(today):
                raise ValidationError(
                    self.env._(
                        "“%(name)s”: the minimum period is longer than the maximum.",
                        name=category.name,
                    )
                )

    def _get_retention_date(self, start):
        """Return the day until which a record has to be kept.

        :param date start: first day of the period
        :return: date
        """
        self.ensure_one()
        return start + relativedelta(**{self.minimum_unit: self.minimum_number})

    def _get_deadline(self, start):
        """Return the day at which a record has to be gone, or False.

        :param date start: first day of the period
        """
        self.ensure_one()
        if not self.maximum_number:
            return False
        return start + relativedelta(**{self.maximum_unit: self.maximum_number})

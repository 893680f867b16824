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
    _inherit = ["crm.archive.audit"]
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
    start_event = fields.Selection(
        [
            ("archive", "When archived"),
            ("interaction", "Last sign of life"),
            ("creation", "Creation"),
            ("close", "Won or lost"),
        ],
        "Counted from",
        default="archive",
        required=True,
        help="Where there is no such day, such as “won or lost” for a contact, the "
        "day of archiving counts.",
    )
    end_action = fields.Selection(
        [("review", "Review"), ("anonymise", "Anonymise"), ("delete", "Delete")],
        "At the End",
        default="review",
        required=True,
        help="What is proposed when the period is over.",
    )
    legal_basis = fields.Text(
        translate=True, help="The law, contract or interest behind the periods."
    )

    @api.constrains("minimum_number", "minimum_unit", "maximum_number", "maximum_unit")
    def _check_periods(self):
        today = self.env.cr.now().date()
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

    def _get_planned_date(self, start):
        """Return the day on which the action at the end is due, or False.

        It is the end of the duty to keep; without one, the day at which the record
        has to be gone.

        :param date start: first day of the period
        """
        self.ensure_one()
        if self.minimum_number:
            return self._get_retention_date(start)
        return self._get_deadline(start)

    def _is_stricter_than(self, other):
        """Tell whether this category keeps records for longer than another one.

        The same on every server: by the clock of the database.

        :param other: a category, or none
        """
        self.ensure_one()
        if not other:
            return True
        today = self.env.cr.now().date()
        return self._get_retention_date(today) > other._get_retention_date(today)

    @api.model
    def _cron_extend_retention(self):
        """Ask the categories again about records whose retention has ended."""
        cron = self.env["ir.cron"]
        models_ = self.env["crm.archive.policy"]._get_lifecycle_models()
        cron._commit_progress(remaining=len(models_))
        for model_name in models_:
            last = 0
            while last := self.env[model_name]._extend_ended_retention(last):
                if not cron._commit_progress():
                    return
            if not cron._commit_progress(1):
                return

from collections import defaultdict

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.tools.misc import frozendict

from .query_tools import PREFETCH

#: What a record holds while nothing about it is archived.
LIVE_VALUES = frozendict(
    archive_state="live",
    archive_date=False,
    archive_user_id=False,
    archive_reason_id=False,
    archive_policy_id=False,
    archive_due_date=False,
    archive_restricted=False,
    archive_snapshot=False,
    archive_cascade_partner_id=False,
    archive_duplicate_of_id=False,
)

#: Fields that are only ever set to a later day or a stricter rule.
RETENTION_FIELDS = frozenset(["archive_category_id", "retention_date"])

#: Fields that only the lifecycle writes.
OWNED_FIELDS = LIVE_VALUES.keys() | {"archive_on_hold"}


class Transition:
    """Tells :meth:`CrmArchiveMixin.write` why it is called, and for which records.

    It travels in the context under :data:`TRANSITION`, and so reaches whatever other
    overrides write on the way, such as the children of a company: hence the ids. A
    client can send a context too, but never an instance of this class.

    :ivar records: what the transition is about
    :ivar values: what the lifecycle sets, past every other override; ``None`` when
        CRM marks leads as lost, which makes them inactive without archiving them
    :ivar shortens: whether a manager brings the end of retention forward
    """

    def __init__(self, records, values=None, *, shortens=False):
        self.model = records._name
        self.ids = set(records.ids)
        self.values = values
        self.shortens = shortens

    def select(self, records):
        """Return those of the records that the transition is about."""
        if records._name != self.model:
            return records.browse()
        if self.ids.issuperset(records._ids):
            return records  # nearly always, and by far the fastest
        return records.filtered(lambda record: record.id in self.ids)


class Merge(Transition):
    """Tells ``write()`` that it is called with what merged records had.

    The survivor keeps its own place in the lifecycle.
    """


TRANSITION = "archive_transition"


class CrmArchiveMixin(models.AbstractModel):
    """Gives the records of a model a lifecycle.

    ``archive_state`` is independent of ``active`` and of won or lost: a lost lead
    is inactive and live, and comes back lost when it was archived meanwhile.

    A model joins by inheriting the mixin *after* itself
    (``_inherit = ['crm.lead', 'crm.archive.mixin']``): then :meth:`write` here is
    the last one before the ORM's own and sees the values as every other override
    has left them, so nothing can flip ``active`` behind its back.
    """

    _name = "crm.archive.mixin"
    _inherit = [
        "crm.archive.data.quality",
        "crm.archive.holdable",
        "crm.archive.retention",
    ]
    _description = "Archive Lifecycle"

    # lifecycle
    archive_state = fields.Selection(
        [
            ("live", "Live"),
            ("pending", "To be archived"),
            ("archived", "Archived"),
            ("vaulted", "In the vault"),
        ],
        default="live",
        required=True,
        readonly=True,
        copy=False,
    )
    archive_date = fields.Datetime(
        "Archived on", readonly=True, copy=False, prefetch=PREFETCH
    )
    archive_user_id = fields.Many2one(
        "res.users", "Archived by", readonly=True, copy=False, prefetch=PREFETCH
    )
    archive_reason_id = fields.Many2one(
        "crm.archive.reason",
        readonly=True,
        copy=False,
        ondelete="restrict",
        prefetch=PREFETCH,
    )
    archive_policy_id = fields.Many2one(
        "crm.archive.policy",
        readonly=True,
        copy=False,
        ondelete="restrict",
        index="btree_not_null",
        prefetch=PREFETCH,
    )
    archive_due_date = fields.Date(
        "Archive Due",
        readonly=True,
        copy=False,
        prefetch=PREFETCH,
        help="The day on which a policy is going to archive this record.",
    )
    archive_restricted = fields.Boolean(
        "Restricted",
        readonly=True,
        copy=False,
        help="Only the archive groups see this record.",
    )
    archive_snapshot = fields.Json(
        readonly=True,
        copy=False,
        prefetch=PREFETCH,
        help="Values that archiving changed, to be put back by a restore.",
    )
    # classification
    archive_exempt = fields.Boolean(
        "Never Archive",
        copy=False,
        prefetch=PREFETCH,
        help="No policy touches this record. It can still be archived by hand.",
    )
    archive_tag_ids = fields.Many2many("crm.archive.tag", copy=False)

    # ------------------------------------------------------------
    # ORM
    # ------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._check_owned_fields(
                name
                for name in OWNED_FIELDS & vals.keys()
                if vals[name] != LIVE_VALUES.get(name, False)
            )
            self._check_retention_ahead(vals.get("retention_date"))
            self._enforce_restriction(vals)
        records = super().create(vals_list)
        if any(vals.get("archive_category_id") for vals in vals_list):
            records._extend_retention()
        return records

    def write(self, vals):
        """Single choke point: whatever flips ``active`` passes here."""
        transition = self.env.context.get(TRANSITION)
        if not isinstance(transition, Transition):
            return self._write_by_others(vals)
        moving = transition.select(self)
        result = True
        if moving and isinstance(transition, Merge):
            own = OWNED_FIELDS | {"retention_date"}
            values = {k: v for k, v in vals.items() if k not in own}
            result = moving._write_by_others(values)
        elif moving and transition.values is None:
            moving._check_values_by_others(vals)
            result = super(CrmArchiveMixin, moving).write(vals)
        elif moving:
            kept = self._get_archive_kept_fields()
            vals_moving = {k: v for k, v in vals.items() if k not in kept}
            vals_moving.update(transition.values)
            result = moving._write_moving(vals_moving, transition.shortens)
        if others := self - moving:
            result = others._write_by_others(vals)
        return result

    # ------------------------------------------------------------
    # CHOKE POINT
    # ------------------------------------------------------------

    def _check_owned_fields(self, names):
        """Refuse to set by hand what only the lifecycle may set.

        :raise AccessError: for a user; code running as superuser is trusted
        """
        names = sorted(names)
        if names and not self.env.su:
            raise AccessError(
                self.env._(
                    "“%(field)s” cannot be written directly, it follows from "
                    "archiving and restoring. Use Archive or Restore instead.",
                    field=self._fields[names[0]]._description_string(self.env),
                )
            )

    def _write_by_others(self, vals):
        """Write what a person or another module wants to write."""
        self._check_values_by_others(vals)
        if self._active_name in vals:
            result = self._write_active(vals)
        else:
            result = super().write(vals)
        if vals.get("archive_category_id"):
            self._extend_retention()
        return result

    def _check_values_by_others(self, vals):
        """Refuse what only the lifecycle, or only a manager, may change.

        :raise AccessError: for fields of the lifecycle
        :raise UserError: when retention would get shorter
        """
        self._check_owned_fields(OWNED_FIELDS & vals.keys())
        self._enforce_restriction(vals)
        if "retention_date" in vals:
            self._check_retention_date(vals["retention_date"])

    def _enforce_restriction(self, values):
        """Let the record rules hide what these values restrict, from this very
        transaction on, and take back the links that were handed out."""
        if values.get("archive_restricted"):
            self.env["ir.rule"]._enforce_archive_restriction()
            self._revoke_links()

    def _write_moving(self, values, shortens):
        """Write what the lifecycle sets, and weaken no retention with it.

        :param dict values: lifecycle fields, and what other overrides added
        :param bool shortens: a manager brings the end of retention forward
        """
        if shortens or values.keys().isdisjoint(RETENTION_FIELDS):
            return super().write(values)
        for records, allowed in self._split_by_retention(values):
            super(CrmArchiveMixin, records).write(allowed)
        return True

    def _write_active(self, vals):
        """Archive or restore by a plain write: gear menu, import, other modules.

        Core's values are kept as they are; the lifecycle fields join the same
        UPDATE.
        """
        self.check_access("write")  # messages name the records
        records = self.sudo()
        if vals[self._active_name]:
            records._check_not_vaulted()
            action, values = "restore", self._get_live_values()
            moving = records.filtered(lambda r: r.archive_state == "archived")
            groups = {frozenset(): moving}
        else:
            action, values = "archive", self._prepare_archived_values()
            moving = records._filter_archivable_by_values(vals)
            moving._check_archivable()
            groups = moving._group_by_snapshot(vals)
        for snapshot, group in groups.items():
            extra = {"archive_snapshot": dict(snapshot) or False} if snapshot else {}
            super(CrmArchiveMixin, group.with_env(self.env)).write(
                {**vals, **values, **extra}
            )
        result = super(CrmArchiveMixin, self - moving.with_env(self.env)).write(vals)
        if action == "archive":
            moving._extend_retention()
        moving._log_archive(action, {"how": "manual"})
        return result

    def _check_archivable(self):
        """Refuse to archive by hand what must not be archived at all.

        :raise UserError: naming the record and what to do
        """
        self._check_not_held()

    def _filter_archivable_by_values(self, vals):
        """Return the records that ``vals`` archive, rather than e.g. lose."""
        return self.filtered(
            lambda r: r[self._active_name] and r.archive_state in ("live", "pending")
        )

    @api.model
    def _get_archive_kept_fields(self):
        """Return the fields that core overwrites on archiving and we keep."""
        return frozenset()

    @api.model
    def _get_archive_snapshot_fields(self):
        """Return the stored fields that a plain write may change on archiving."""
        return [self._active_name]

    def _group_by_snapshot(self, vals):
        """Group records by the values that ``vals`` are about to overwrite.

        That ``active`` was true goes without saying, which leaves the snapshot of
        nearly every record empty.

        :param dict vals: as they reach the ORM's own ``write``
        :return: dict ``{frozenset of (field, JSON value): records}``
        """
        names = [
            name
            for name in self._get_archive_snapshot_fields()
            if name in vals and name != self._active_name
        ]
        groups = defaultdict(self.browse)
        for record in self:
            groups[frozenset(record._get_snapshot(names).items())] += record
        return groups

    def _get_snapshot(self, names):
        """Return field values as JSON that ``write()`` takes back.

        :param names: stored fields of simple types or many2one
        :return: dict
        """
        self.ensure_one()
        values = {}
        for name in names:
            value = self[name]
            if isinstance(value, models.BaseModel):
                value = value.id
            elif self._fields[name].type == "datetime":
                value = fields.Datetime.to_string(value)
            elif self._fields[name].type == "date":
                value = fields.Date.to_string(value)
            values[name] = value
        return values

    # ------------------------------------------------------------
    # LIFECYCLE
    # ------------------------------------------------------------

    @api.model
    def _get_live_values(self):
        """Return what a record of this model holds while nothing of it is archived.

        A model that does not look for duplicates has no field for them.
        """
        return {k: v for k, v in LIVE_VALUES.items() if k in self._fields}

    @api.model
    def _prepare_archived_values(self):
        """Return the lifecycle fields of a record that is archived now."""
        return {
            "archive_state": "archived",
            "archive_date": self.env.cr.now(),
            "archive_user_id": self.env.uid,
            # That a policy had named the record does not make it the policy's.
            "archive_policy_id": False,
            "archive_due_date": False,
            "archive_snapshot": False,
        }

    def _move(self, values, vals=None, *, shortens=False):
        """Write lifecycle fields past every other override and the chatter.

        :param dict values: lifecycle fields, and snapshot values put back
        :param dict vals: what other modules' ``write()`` must see: ``active``
        :param bool shortens: a manager brings the end of retention forward
        """
        self._enforce_restriction(values)
        transition = Transition(self, values, shortens=shortens)
        self.sudo().with_context(
            tracking_disable=True, **{TRANSITION: transition}
        ).write(vals or {})

    def _archive(self, values=None, details=None):
        """Archive these records: one batch, one audit line.

        The caller has checked rights and guards. Field tracking is off:
        the audit log is the track, and tracking is what makes core's own
        archiving slow.

        :param dict values: further lifecycle fields (policy, reason, category,
            retention, ``archive_restricted``, tags as commands)
        :param dict details: JSON values for the audit line
        :return: the records that were archived; the others were already
        :raise UserError: when a legal hold covers one of them
        """
        records = self.sudo()
        records.fetch(self._get_archive_read_fields())
        records = records._filter_by_value("archive_state", {"live", "pending"})
        records._check_not_held()
        values = {**self._prepare_archived_values(), **(values or {})}
        inactive = records._filter_by_value(self._active_name, {False})
        if inactive:
            snapshot = {self._active_name: False}
            inactive._move({**values, "archive_snapshot": snapshot})
        if active := records - inactive:
            active._move(values, {self._active_name: False})
        records._extend_retention(
            self.env["crm.archive.category"].browse(values.get("archive_category_id"))
        )
        reason = {"reason_id": values.get("archive_reason_id")}
        records = records.with_env(self.env)
        records._log_archive("archive", {**reason, **(details or {})})
        return records

    def _restore(self, details=None):
        """Put archived records back exactly as they were: one audit line.

        :param dict details: JSON values for the audit line
        :return: the records that were restored; the others were not archived
        """
        archived = self.sudo()._filter_by_value("archive_state", {"archived"})
        records = archived.with_env(self.env)
        groups = defaultdict(list)
        snapshots = archived.mapped("archive_snapshot")
        for res_id, snapshot in zip(records.ids, snapshots, strict=True):
            groups[frozenset((snapshot or {}).items())].append(res_id)
        # Written before the state is gone: the line names the policy of each.
        records._log_archive("restore", details)
        for snapshot, ids in groups.items():
            snapshot = dict(snapshot)
            active = snapshot.pop(self._active_name, True)
            records.browse(ids)._move(
                {**self._get_live_values(), **snapshot},
                {self._active_name: True} if active else None,
            )
        return records

    def _filter_pending(self):
        """Return those of the records that a policy has named, as superuser."""
        return self.sudo()._filter_by_value("archive_state", {"pending"})

    def _set_pending(self, policy, due_date=False):
        """Name these records as due, or let go of them.

        :param policy: the policy that named them; falsy to let go
        :param date due_date: day on which they are going to be archived
        """
        if not self:
            return
        self._move(
            {
                "archive_state": "pending" if policy else "live",
                "archive_policy_id": policy.id if policy else False,
                "archive_due_date": due_date,
            }
        )
        if policy:
            self._log_archive("pend", {"due": due_date.isoformat()})

    def _log_archive(self, action, details=None):
        """Append the audit line of what happened to these records."""
        if self:
            self.env["crm.archive.log"]._append(action, self, details)

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_archive_wizard(self):
        """Open the dialog that archives these records with a reason.

        :return: window action
        """
        self.check_access("write")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Archive"),
            "res_model": "crm.archive.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"active_model": self._name, "active_ids": self.ids},
        }

    def action_archive_explain(self):
        """Answer for this record what every policy and guard says about it.

        :return: window action of the explanation
        """
        self.ensure_one()
        self.check_access("read")
        explanation = self.env["crm.archive.explanation"]._create_for(self)
        return explanation._get_action()

from odoo import api, models

from .crm_archive_audit_settings import _compare
from .crm_archive_rights import GROUPS

#: What decides who may do what, by model.
RULE_FIELDS = (
    "name",
    "active",
    "domain_force",
    "groups",
    "model_id",
    "perm_read",
    "perm_write",
    "perm_create",
    "perm_unlink",
)
ACCESS_FIELDS = (
    "name",
    "active",
    "group_id",
    "model_id",
    "perm_read",
    "perm_write",
    "perm_create",
    "perm_unlink",
)
GROUP_FIELDS = ("name", "implied_ids", "implied_by_ids", "rule_groups", "model_access")


class CrmArchiveLog(models.Model):
    """Rules and access rights belong to core's models; their changes are told, too."""

    _inherit = "crm.archive.log"

    @api.model
    def _get_changes_models(self):
        return super()._get_changes_models() | {
            "ir.model.access",
            "ir.rule",
            "res.groups",
        }

    @api.model
    def _get_rights_models(self):
        """Return the names of the models whose rights are watched."""
        own = {name for name in self.env if name.startswith("crm.archive.")}
        return own | {*self.env["crm.archive.policy"]._get_lifecycle_models()}


class CrmArchiveWatchedRights(models.AbstractModel):
    """Puts into the audit log what is changed of rules, access rights and groups."""

    _name = "crm.archive.watched.rights"
    _description = "Watched Rights"

    @api.model
    def _get_watched_fields(self):
        """Return the names of the fields that are told."""
        raise NotImplementedError

    def _filter_watched(self):
        """Return those of the records that touch this add-on."""
        raise NotImplementedError

    def _read_rights(self):
        """Return ``{record: values as JSON}`` of those that are watched.

        Technical look-up: what is noted does not depend on who changes it.
        """
        return {
            record.id: {
                name: _to_json(record[name]) for name in self._get_watched_fields()
            }
            for record in self.sudo()._filter_watched()
        }

    def _note_rights(self, action, before, after):
        log = self.env["crm.archive.log"]
        nothing = dict.fromkeys(self._get_watched_fields())
        for res_id in sorted(before.keys() | after.keys()):
            old, new = before.get(res_id, nothing), after.get(res_id, nothing)
            log._append_setting(action, self.browse(res_id), _compare(old, new))

    @api.model_create_multi
    def create(self, vals_list):
        records = super().create(vals_list)
        if self.env.registry.ready:
            records._note_rights("create", {}, records._read_rights())
        return records

    def write(self, vals):
        if not (self.env.registry.ready and self._is_told(vals)):
            return super().write(vals)
        before = self._read_rights()
        result = super().write(vals)
        # A rule that is moved away from the add-on is told as well.
        after = self._read_rights()
        self._note_rights("write", before, after)
        return result

    def unlink(self):
        before = self._read_rights() if self.env.registry.ready else {}
        result = super().unlink()
        self._note_rights("unlink", before, {})
        return result

    def _is_told(self, vals):
        return not vals.keys().isdisjoint(self._get_watched_fields())


class IrRule(models.Model):
    _name = "ir.rule"
    _inherit = ["ir.rule", "crm.archive.watched.rights"]

    @api.model
    def _get_watched_fields(self):
        return RULE_FIELDS

    def _filter_watched(self):
        names = self.env["crm.archive.log"]._get_rights_models()
        groups = _get_groups(self.env)
        return self.filtered(lambda r: r.model_id.model in names or r.groups & groups)

    def _is_told(self, vals):
        """What puts the restriction in force is told: the policy or the archiving."""
        if self.env.su and vals == {"active": True}:
            names = self._get_lifecycle_models()
            if any(self == self.env[name]._get_restriction_rule() for name in names):
                return False
        return super()._is_told(vals)


class IrModelAccess(models.Model):
    _name = "ir.model.access"
    _inherit = ["ir.model.access", "crm.archive.watched.rights"]

    @api.model
    def _get_watched_fields(self):
        return ACCESS_FIELDS

    def _filter_watched(self):
        names = self.env["crm.archive.log"]._get_rights_models()
        groups = _get_groups(self.env)
        return self.filtered(lambda r: r.model_id.model in names or r.group_id & groups)


class ResGroups(models.Model):
    _name = "res.groups"
    _inherit = ["res.groups", "crm.archive.watched.rights"]

    @api.model
    def _get_watched_fields(self):
        return GROUP_FIELDS

    def _filter_watched(self):
        return self & _get_groups(self.env)


def _get_groups(env):
    """Return the archive groups, for a technical look-up."""
    groups = env["res.groups"].sudo()
    for name in GROUPS:
        if group := env.ref(name, raise_if_not_found=False):
            groups |= group.sudo()
    return groups


def _to_json(value):
    if isinstance(value, models.BaseModel):
        return sorted(value.ids) or None
    return value or None

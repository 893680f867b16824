from functools import partial

from odoo import api, models
from odoo.tools import SQL

#: The four archive groups.
GROUPS = (
    "crm_archive_policy.group_archive_user",
    "crm_archive_policy.group_archive_officer",
    "crm_archive_policy.group_archive_auditor",
    "crm_archive_policy.group_archive_manager",
)

#: What of a user decides over membership.
USER_FIELDS = {"group_ids", "active", "role"}

#: Where a transaction keeps who was a member before it.
BEFORE = "crm_archive_members"


class ResGroups(models.Model):
    """Puts into the audit log who joins and leaves the archive groups.

    Members are compared before the first change and at the end of the transaction:
    whichever way rights are given (a user, a group, a group implied by another), and
    through however many writes, the line says what came of it.
    """

    _inherit = "res.groups"

    @api.model_create_multi
    def create(self, vals_list):
        self._watch_archive_members()
        return super().create(vals_list)

    def write(self, vals):
        self._watch_archive_members()
        return super().write(vals)

    def unlink(self):
        self._watch_archive_members()
        return super().unlink()

    @api.model
    def _get_archive_members(self):
        """Return who is in the archive groups, directly or by another group.

        Technical look-up, for the audit log and the review of rights.

        :return: ``{XML id of the group: set of ids of active users}``
        """
        members = {}
        self.env.flush_all()
        for name in GROUPS:
            if group := self.env.ref(name, raise_if_not_found=False):
                rows = self.env.execute_query(
                    SQL(
                        "SELECT rel.uid FROM res_groups_users_rel rel"
                        "  JOIN res_users member ON member.id = rel.uid"
                        " WHERE member.active AND rel.gid = ANY(%s)",
                        list(group.sudo().all_implied_by_ids.ids),
                    )
                )
                members[name] = {user_id for (user_id,) in rows}
        return members

    @api.model
    def _watch_archive_members(self):
        """Remember who is a member, to be compared at the end of the transaction.

        What data files write while a module is being loaded is nobody's decision.
        """
        precommit = self.env.cr.precommit
        if self.env.registry.ready and BEFORE not in precommit.data:
            precommit.data[BEFORE] = before = self._get_archive_members()
            precommit.add(partial(self._log_archive_members, before))

    @api.model
    def _log_archive_members(self, before):
        """Append the audit line, unless nobody came or went.

        :param dict before: as :meth:`_get_archive_members` returned it
        """
        after = self._get_archive_members()
        gained, lost = {}, {}
        for name in before.keys() & after.keys():
            for changes, users in (
                (gained, after[name] - before[name]),
                (lost, before[name] - after[name]),
            ):
                if users:
                    changes[name.rpartition(".")[2]] = sorted(users)
        ids = set().union(*gained.values(), *lost.values())
        if ids:
            self.env["crm.archive.log"]._append(
                "rights",
                self.env["res.users"].browse(sorted(ids)),
                {"gained": gained, "lost": lost},
            )


class ResUsers(models.Model):
    _inherit = "res.users"

    @api.model_create_multi
    def create(self, vals_list):
        self.env["res.groups"]._watch_archive_members()
        return super().create(vals_list)

    def write(self, vals):
        if USER_FIELDS & vals.keys():
            self.env["res.groups"]._watch_archive_members()
        return super().write(vals)

    def unlink(self):
        self.env["res.groups"]._watch_archive_members()
        return super().unlink()

    @api.model
    def _get_audit_names(self, ids):
        """Return what users are called, for whoever may read the audit log.

        :param ids: user ids; who is no more stays a number
        """
        users = self.sudo().browse(ids).exists()
        names = {user.id: user.name for user in users}
        return [names.get(user_id) or f"#{user_id}" for user_id in ids]


class CrmArchiveLog(models.Model):
    """Tells in words who joined and who left which group."""

    _inherit = "crm.archive.log"

    @api.model
    def _get_changes_models(self):
        return super()._get_changes_models() | {"res.users"}

    def _describe_changes(self, model):
        if self.action != "rights":
            yield from super()._describe_changes(model)
            return
        details = self._get_details()
        for sign, changes in (("+", details["gained"]), ("−", details["lost"])):
            for name, ids in sorted(changes.items()):
                group = self.env.ref(
                    f"crm_archive_policy.{name}", raise_if_not_found=False
                )
                yield self.env._(
                    "%(group)s: %(sign)s %(people)s",
                    group=group.sudo().name if group else name,
                    sign=sign,
                    people=", ".join(model._get_audit_names(ids)),
                )

from odoo import api, models

from .crm_archive_policy import LIFECYCLE_MODELS

#: Guards that every model with a lifecycle has, with the word in their external id.
COMMON_GUARDS = {
    "hold": "crm_archive_policy.crm_archive_guard_lead_hold",
    "exempt": "crm_archive_policy.crm_archive_guard_lead_exempt",
}

RESTRICTION_RULE = "crm_archive_policy.crm_lead_rule_archive_restricted"


class CrmArchiveMixin(models.AbstractModel):
    """What a model of another module gets by joining, without its maker's doing."""

    _inherit = "crm.archive.mixin"

    def init(self):
        """Protect a model that has joined as contacts and leads are protected.

        The records belong to the module that made it join, and go with it.
        """
        super().init()
        if self._auto and not self._abstract and self._name not in LIFECYCLE_MODELS:
            # Once the model is known to ir.model and its references are in place.
            self.pool.post_init(self._join_guards)
            self.pool.post_init(self._join_restriction_rule)

    @api.model
    def _get_joining_module(self):
        """Return the name of the module that gives this model a lifecycle."""
        for cls in type(self).__mro__:
            parents = vars(cls).get("_inherit") or ()
            parents = [parents] if isinstance(parents, str) else parents
            if "crm.archive.mixin" in parents and vars(cls).get("_module"):
                return cls._module
        return self._original_module

    @api.model
    def _get_restriction_rule(self):
        """Return the global rule that hides restricted records, if it exists."""
        own = self._name in LIFECYCLE_MODELS
        module = "crm_archive_policy" if own else self._get_joining_module()
        name = f"{module}.{self._table}_rule_archive_restricted"
        rules = self.env["ir.rule"].sudo()
        return rules.env.ref(name, raise_if_not_found=False) or rules

    def _get_guard_name(self, word):
        label = {
            "hold": self.env._("Legal hold"),
            "exempt": self.env._("Never Archive"),
        }[word]
        return f"{self._description}: {label}"

    def _join_guards(self):
        for word, name in COMMON_GUARDS.items():
            guard = self.env.ref(name, raise_if_not_found=False)
            if guard:
                self._join_copy(
                    guard,
                    f"crm_archive_guard_{self._table}_{word}",
                    {"model_name": self._name, "name": self._get_guard_name(word)},
                )

    def _join_restriction_rule(self):
        rule = self.env.ref(RESTRICTION_RULE, raise_if_not_found=False)
        if rule:
            self._join_copy(
                rule,
                f"{self._table}_rule_archive_restricted",
                {
                    "model_id": self.env["ir.model"]._get_id(self._name),
                    "name": f"{self._description}: restricted when archived",
                },
            )

    def _join_copy(self, record, name, values):
        """Copy a record that leads have, unless that was done before.

        :param record: of this add-on
        :param str name: of its external id, in the module that joins
        :param dict values: what is different
        """
        module = self._get_joining_module()
        if self.env.ref(f"{module}.{name}", raise_if_not_found=False):
            return
        copy = record.copy(values)
        self.env["ir.model.data"].create(
            {
                "module": module,
                "name": name,
                "model": copy._name,
                "res_id": copy.id,
                "noupdate": True,
            }
        )

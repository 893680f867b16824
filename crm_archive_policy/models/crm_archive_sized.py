from odoo import api, fields, models
from odoo.tools import human_size

from .big_integer import BigInteger

#: Bundles that are in the store and needed.
IN_STORE = [("state", "in", ("used", "damaged"))]


class CrmArchiveSized(models.AbstractModel):
    """How much was moved to the vault, and what it takes there."""

    _name = "crm.archive.sized"
    _description = "Sizes in the Vault"

    moved_size = BigInteger(
        "Moved (Bytes)",
        compute="_compute_vault_sizes",
        compute_sudo=True,
        help="Rows and files of the records, before compression.",
    )
    stored_size = BigInteger(
        "In the Store (Bytes)", compute="_compute_vault_sizes", compute_sudo=True
    )
    stored_ratio = fields.Float(
        compute="_compute_vault_sizes",
        compute_sudo=True,
        help="What is stored, divided by what was moved.",
    )
    size_summary = fields.Char(
        "Room in the Vault", compute="_compute_vault_sizes", compute_sudo=True
    )

    @api.depends_context("lang")
    def _compute_vault_sizes(self):
        """Add up the bundles: few, where records are many."""
        sizes = self._get_vault_sizes()
        for record in self:
            moved, stored = sizes.get(record._origin.id, (0, 0))
            record.moved_size, record.stored_size = moved, stored
            record.stored_ratio = stored / moved if moved else 0
            record.size_summary = describe_sizes(self.env, moved, stored)

    def _get_vault_sizes(self):
        """Return ``{id: (bytes moved, bytes in the store)}``."""
        raise NotImplementedError

    def _sum_bundles(self, domain, field):
        """Add up bundles by one of their fields.

        :return: dict ``{record: (bytes moved, bytes in the store)}``
        """
        return {
            record: (moved or 0, stored or 0)
            for record, moved, stored in self.env["crm.archive.bundle"]._read_group(
                [*IN_STORE, *domain], [field], ["content_size:sum", "size:sum"]
            )
        }


def describe_sizes(env, moved, stored):
    """Put two sizes into a sentence.

    :param env: environment, for the language
    :return: text, ``False`` when nothing was moved
    """
    if not moved:
        return False
    return env._(
        "%(moved)s of rows and files take %(stored)s in the store: %(percent)s %%.",
        moved=human_size(moved),
        stored=human_size(stored),
        percent=round(100 * stored / moved) or "< 1",
    )


class CrmArchiveStore(models.Model):
    _name = "crm.archive.store"
    _inherit = ["crm.archive.store", "crm.archive.sized"]

    def _get_vault_sizes(self):
        sums = self._sum_bundles([("store_id", "in", self.ids)], "store_id")
        return {store.id: sizes for store, sizes in sums.items()}


class CrmArchiveRun(models.Model):
    _name = "crm.archive.run"
    _inherit = ["crm.archive.run", "crm.archive.sized"]

    def _get_vault_sizes(self):
        sums = self._sum_bundles([("run_id", "in", self.ids)], "run_id")
        return {run.id: sizes for run, sizes in sums.items()}


class CrmArchivePolicy(models.Model):
    _name = "crm.archive.policy"
    _inherit = ["crm.archive.policy", "crm.archive.sized"]

    def _get_vault_sizes(self):
        totals = {}
        sums = self._sum_bundles([("run_id.policy_id", "in", self.ids)], "run_id")
        for run, sizes in sums.items():
            before = totals.get(run.policy_id.id, (0, 0))
            totals[run.policy_id.id] = tuple(map(sum, zip(before, sizes, strict=True)))
        return totals

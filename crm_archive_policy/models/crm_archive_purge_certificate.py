import hashlib
from collections import Counter

from odoo import fields, models

from ..lib import canonical

#: Version of what a certificate holds.
CERTIFICATE_VERSION = 1


class CrmArchivePurge(models.Model):
    """The certificate: what was destroyed, by whose decision, and nothing personal.

    It is written once and kept as it is, so that it can be printed years later, when
    categories have other names and people have left.
    """

    _inherit = "crm.archive.purge"

    def _certify(self):
        """Write the certificate of a request that is done."""
        self.ensure_one()
        certificate = self._prepare_certificate()
        digest = hashlib.sha256(canonical.dumps(certificate)).hexdigest()
        self.write({"certificate": certificate, "certificate_digest": digest})
        self._log("run", {"certificate": digest})

    def _prepare_certificate(self):
        """Return the certificate as JSON values."""
        head = self.env["crm.archive.log"].search([], limit=1)
        return {
            "version": CERTIFICATE_VERSION,
            "number": self.id,
            "kind": self.kind,
            "database": self.env["crm.archive.store"]._get_database_uuid(),
            "company": self.company_id.name,
            "reason": self.reason,
            "asked": self._prepare_signature(self.user_id, self.ask_date),
            "approved": self._prepare_signature(self.decide_user_id, self.decide_date),
            "done": fields.Datetime.to_string(self.done_date),
            "groups": self._prepare_groups(),
            "kept": self._prepare_kept(),
            "mentions": self.mention_count,
            "bundles": self._prepare_bundles(),
            "records_sha256": self._get_records_digest(),
            "log_line": head.sequence,
            "log_sha256": head.digest,
        }

    def _prepare_signature(self, user, date):
        return {
            "user_id": user.id,
            "name": user.name,
            "date": fields.Datetime.to_string(date),
        }

    def _prepare_groups(self):
        """Return what was destroyed, by model, category and way."""
        done = self.line_ids.filtered(lambda line: line.state == "done")
        groups = []
        for key, lines in done.grouped(
            lambda line: (
                line.res_model,
                line.category_id,
                "anonymise" if line.outcome == "linked" else line.act,
                bool(line.entry_id),
            )
        ).items():
            model_name, category, act, vaulted = key
            dates = lines.filtered("retention_date").mapped("retention_date")
            groups.append(
                {
                    "model": model_name,
                    "model_name": self.env["ir.model"]._get(model_name).name,
                    "category": category.name or None,
                    "legal_basis": category.legal_basis or None,
                    "policies": sorted(set(lines.policy_id.mapped("name"))),
                    "act": act,
                    "vaulted": vaulted,
                    "count": len(lines),
                    "first_date": fields.Date.to_string(min(dates, default=None)),
                    "last_date": fields.Date.to_string(max(dates, default=None)),
                }
            )
        return sorted(groups, key=lambda group: canonical.dumps(group))

    def _prepare_kept(self):
        """Return how many records stay, by reason."""
        kept = self.line_ids.filtered(lambda line: line.state == "kept")
        counts = Counter(kept.mapped("outcome"))
        return [{"outcome": k, "count": n} for k, n in sorted(counts.items())]

    def _prepare_bundles(self):
        """Return the objects in the stores that were replaced or removed."""
        bundles = self.env["crm.archive.bundle"].search(
            [("purge_id", "=", self.id)], order="id"
        )
        return [
            {
                "bundle": bundle.name,
                "sha256": bundle.sha256,
                "replaced_by": bundle.replaced_by_id.name or None,
                "replaced_sha256": bundle.replaced_by_id.sha256 or None,
            }
            for bundle in bundles
        ]

    def _get_records_digest(self):
        """Return a digest of which records were destroyed: their models and ids.

        Ids are nobody's name; whoever has the lines of the request can compare.
        """
        done = self.line_ids.filtered(lambda line: line.state == "done")
        records = sorted([line.res_model, line.res_id] for line in done)
        return hashlib.sha256(canonical.dumps(records)).hexdigest()

    # ------------------------------------------------------------
    # PRINTING
    # ------------------------------------------------------------

    def _get_certificate_values(self):
        """Return the certificate with the words that a person reads.

        :return: dict
        """
        self.ensure_one()
        kinds = dict(self._fields["kind"]._description_selection(self.env))
        line = self.env["crm.archive.purge.line"]._fields
        acts = dict(line["act"]._description_selection(self.env))
        outcomes = dict(line["outcome"]._description_selection(self.env))
        certificate = self.certificate
        return {
            **certificate,
            "digest": self.certificate_digest,
            "kind_name": kinds[certificate["kind"]],
            "groups": [
                {**group, "act_name": acts[group["act"]]}
                for group in certificate["groups"]
            ],
            "kept": [
                {**kept, "name": outcomes.get(kept["outcome"], "")}
                for kept in certificate["kept"]
            ],
            "total": sum(group["count"] for group in certificate["groups"]),
        }

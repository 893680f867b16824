from importlib.util import find_spec

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..lib.stores.fsspec import needed_packages, option_names
from . import vault_config
from .vault_errors import VAULT_ERRORS, vault_error

#: What the value of a setting looks like.
EXAMPLES = {
    "dsn": "host=… dbname=… user=… password=… sslmode=verify-full",
    "endpoint_url": "https://…",
    "master_keys": "2026:…",
    "region": "eu-central-1",
    "roots": "/srv/odoo/archive",
}


class CrmArchiveStore(models.Model):
    """Tells an administrator what to write where, and what is missing."""

    _inherit = "crm.archive.store"

    setup_hint = fields.Text(compute="_compute_setup_hint")
    setup_example = fields.Text(
        compute="_compute_setup_example", help="For the server's configuration file."
    )
    setup_found = fields.Char(
        "Set Already",
        compute="_compute_setup_example",
        help="Settings that the server has a value for, which is shown to nobody.",
    )

    @api.depends("kind", "url", "secret_name", "encrypt")
    @api.depends_context("lang")
    def _compute_setup_hint(self):
        for store in self:
            hints = []
            try:
                store._make_store()
            except VAULT_ERRORS as error:
                hints.append(str(vault_error(self.env, error)))
            hints += store._get_package_hints()
            try:
                store._get_masters()
            except UserError as error:
                hints.append(str(error))
            store.setup_hint = "\n".join(hints)

    @api.depends("kind", "url", "secret_name", "encrypt")
    def _compute_setup_example(self):
        for store in self:
            settings = {
                vault_config.get_option_name(*words): EXAMPLES.get(words[-1], "…")
                for words in store._get_settings()
            }
            lines = [f"{name} = {example}" for name, example in settings.items()]
            store.setup_example = "\n".join(["[options]", *lines] if lines else [])
            found = filter(vault_config.get_option_by_name, settings)
            store.setup_found = ", ".join(found)

    def _get_settings(self):
        """Return the words of the names of the server's settings for this store."""
        name = self.secret_name or "NAME"
        words = []
        if self.kind == "postgres":
            words.append((name, "dsn"))
        scheme = (self.url or "s3").partition("://")[0]
        if self.kind == "fsspec":
            words += [("roots",)] if scheme == "file" else []
            words += [(name, option) for option in option_names(scheme)]
        if self.encrypt:
            words.append((self.secret_name, "master_keys"))
        return words

    def _get_package_hints(self):
        """Return what Python packages are missing, a sentence each."""
        needed = []
        if self.kind == "fsspec":
            scheme = (self.url or "").partition("://")[0]
            needed += needed_packages(scheme) if "://" in (self.url or "") else ()
        if self.encrypt:
            needed.append("cryptography")
        return [
            self.env._(
                "The Python package %(package)s is missing on the server: install it "
                "with “pip install %(package)s” where Odoo runs.",
                package=package,
            )
            for package in needed
            if not find_spec(package)
        ]

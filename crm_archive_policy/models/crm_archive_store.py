from contextlib import closing, contextmanager
from functools import partial

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError

from ..lib.stores import DatabaseStore, Mirror, StoreMisconfigured, open_store
from ..lib.stores.fsspec import option_names, split_url
from . import vault_config
from .vault_errors import VAULT_ERRORS, vault_error, vault_errors

#: Fields that decide where data and credentials are sent.
CONNECTION_FIELDS = {"kind", "url", "secret_name"}


class CrmArchiveStore(models.Model):
    """A place outside the live tables where bundles of vaulted records are kept.

    Which place it is stands in the record; secrets never do: credentials, connection
    strings and master keys are read from the server's configuration each time, see
    :mod:`.vault_config`.
    """

    _name = "crm.archive.store"
    _inherit = ["mail.thread", "mail.activity.mixin", "crm.archive.audit"]
    _description = "Archive Store"
    _order = "sequence, id"
    _check_company_auto = True

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company", help="Used for this company only; empty: for every company."
    )
    user_id = fields.Many2one(
        "res.users",
        "Responsible",
        default=lambda self: self.env.user,
        domain=[("share", "=", False)],
        help="Gets the activity when the store is in trouble.",
    )

    # Where
    kind = fields.Selection(
        [
            ("database", "This database"),
            ("fsspec", "Folder or object storage"),
            ("postgres", "Another PostgreSQL server"),
        ],
        default="database",
        required=True,
    )
    url = fields.Char(
        "URL",
        help="s3://bucket/folder, gs://bucket/folder, abfs://container/folder, "
        "sftp://server/folder or file:///folder. Never with a password in it.",
    )
    secret_name = fields.Char(
        "Settings Name",
        help="Lower-case letters and digits. The server's administrator puts "
        "credentials and keys under this name into Odoo's configuration file or the "
        "environment; they are never stored in the database.",
    )
    location = fields.Char(compute="_compute_location")

    # How
    encrypt = fields.Boolean(
        help="New bundles are encrypted, a key for each record. The master key is in "
        "the server's configuration: without it nobody reads them, you included."
    )
    mirror_id = fields.Many2one(
        "crm.archive.store",
        ondelete="restrict",
        check_company=True,
        index="btree_not_null",
        help="A second copy of everything goes here. A bundle counts as written when "
        "both have it, and a damaged one is healed from the other.",
    )
    is_readonly = fields.Boolean(
        "Read-Only",
        help="Nothing is written to the store or deleted from it. Copies of a database "
        "start like this when they are neutralized.",
    )

    # ------------------------------------------------------------
    # COMPUTE
    # ------------------------------------------------------------

    @api.depends("kind", "url", "secret_name")
    def _compute_location(self):
        for store in self:
            try:
                store.location = store._make_store().describe()
            except VAULT_ERRORS:
                store.location = False

    # ------------------------------------------------------------
    # CONSTRAINTS
    # ------------------------------------------------------------

    @api.constrains("kind", "url", "secret_name")
    def _check_place(self):
        for store in self:
            if store.secret_name and not vault_config.NAME.fullmatch(store.secret_name):
                raise ValidationError(
                    self.env._(
                        "The settings name of a store is a lower-case letter, then "
                        "lower-case letters and digits, 32 at most: it becomes part of "
                        "the names of settings."
                    )
                )
            if store.kind == "fsspec":
                try:
                    store._make_store()
                except StoreMisconfigured as error:
                    raise ValidationError(str(vault_error(self.env, error))) from error
            elif store.url:
                raise ValidationError(
                    self.env._("Only a folder or object storage has a URL.")
                )
            store._check_overlap()

    def _check_overlap(self):
        """Refuse two stores in one place: each would sweep up what the other keeps."""
        others = self.sudo().with_context(active_test=False)
        for other in others.search([("id", "!=", self.id), ("kind", "=", self.kind)]):
            places = (self.location, other.location)
            if all(places) and (_is_within(*places) or _is_within(*reversed(places))):
                raise ValidationError(
                    self.env._(
                        "“%(name)s” would be in the same place as “%(other)s”: "
                        "%(place)s. Choose a place of its own.",
                        name=self.name,
                        other=other.name,
                        place=other.location,
                    )
                )

    @api.constrains("mirror_id")
    def _check_mirror(self):
        if self._has_cycle("mirror_id"):
            raise ValidationError(
                self.env._("A store cannot be its own mirror, directly or in a circle.")
            )

    # ------------------------------------------------------------
    # CRUD
    # ------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        stores = super().create(vals_list)
        # Looked at afterwards: values may come from defaults in the context as well.
        if any(store.kind != "database" or store.secret_name for store in stores):
            self._check_may_connect()
        return stores

    def write(self, vals):
        if any(
            (vals[name] or False) != store[name]
            for store in self
            for name in CONNECTION_FIELDS & vals.keys()
        ):
            self._check_may_connect()
        return super().write(vals)

    def _check_may_connect(self):
        """Refuse everybody but administrators to say where data is sent.

        Whoever chooses a URL chooses the server that is shown the credentials, and
        what the Odoo server talks to within its own network.
        """
        if not (self.env.su or self.env.user.has_group("base.group_system")):
            raise AccessError(
                self.env._(
                    "Only an administrator (Settings) says where a store is: Odoo's "
                    "server connects there and shows its credentials."
                )
            )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_in_use(self):
        if "crm.archive.bundle" in self.env:
            bundles = self.env["crm.archive.bundle"].sudo()
            if used := bundles.search([("store_id", "in", self.ids)], limit=1).store_id:
                raise UserError(
                    self.env._(
                        "“%(name)s” holds archived records. Restore them or move them "
                        "to another store first; to stop using it, make it read-only.",
                        name=used.name,
                    )
                )
        mirrored = (
            self.sudo()
            .with_context(active_test=False)
            .search(
                [("mirror_id", "in", self.ids), ("id", "not in", self.ids)], limit=1
            )
        )
        if mirrored:
            raise UserError(
                self.env._(
                    "“%(name)s” is mirrored here. Give it another mirror first.",
                    name=mirrored.name,
                )
            )

    # ------------------------------------------------------------
    # OPENING
    # ------------------------------------------------------------

    def init(self):
        """Make the tables of the database store, which needs no setting up."""
        DatabaseStore(database_uuid="", cursor=self.env.cr).ensure_schema()

    @contextmanager
    def _open(self):
        """Open the store, with its mirror if it has one; use it in a ``with``.

        What is written to another server or a folder is durable at once, before the
        transaction that deletes the rows commits; a crash in between leaves an
        orphan, which is swept later. The database store takes part in the caller's
        transaction instead: bundle, entry and delete commit as one, so that kill -9
        leaves either the rows or the bundle, never neither and never both. A
        connection of its own would give that up for nothing, and could not be rolled
        back with a batch's savepoint.

        Errors of the library pass as they are, for callers who tell one kind from
        another; :func:`~.vault_errors.vault_error` puts them into words for people.

        :return: context manager that gives a :class:`~..lib.stores.Store`
        :raise StoreError: when it cannot be opened
        """
        self.ensure_one()
        healed = []
        # Who may vault or restore need not be allowed to see where things are kept.
        with closing(self.sudo()._make_mirrored(healed.append)) as store:
            try:
                yield store
            except BaseException:
                self._log_healed_on_rollback(healed)
                raise
            # After savepoints inside have been rolled back, as those of a drill are.
            self._log_healed(healed)
            self._log_healed_on_rollback(healed)

    def _make_mirrored(self, on_heal):
        """Return the library's store, a mirror if there is one."""
        store = self._make_store()
        if self.mirror_id:
            store = Mirror(store, self.mirror_id._make_mirrored(on_heal), on_heal)
        return store

    def _make_store(self):
        """Return the library's store without its mirror; nothing is connected yet.

        :raise StoreMisconfigured: when a setting is missing or not allowed
        """
        self.ensure_one()
        store = open_store(
            self.kind,
            database_uuid=self._get_database_uuid(),
            **self._get_store_config(),
        )
        store.readonly = bool(self._get_readonly_reason())
        return store

    def _get_store_config(self):
        """Return what the library's class of this kind takes.

        A module that adds a kind registers its class with the library, adds to the
        selection and overrides this.

        :raise StoreMisconfigured: when a setting is missing
        """
        if self.kind == "database":
            return {"cursor": self.env.cr}
        if self.kind == "postgres":
            return {"dsn": self._get_dsn()}
        scheme = split_url(self.url or "")[0]
        config = {
            "url": self.url,
            "options": vault_config.get_store_options(
                self.secret_name, option_names(scheme)
            ),
            "roots": vault_config.get_roots(),
            "loopback": vault_config.is_loopback_allowed(),
        }
        if schemes := vault_config.get_schemes():
            config["schemes"] = schemes
        return config

    def _get_dsn(self):
        dsn = self.secret_name and vault_config.get_option(self.secret_name, "dsn")
        if not dsn:
            name = vault_config.get_option_name(self.secret_name or "NAME", "dsn")
            raise StoreMisconfigured(
                self.env._(
                    "the connection string is missing; put it as %(option)s into the "
                    "server's configuration file, or as %(variable)s into its "
                    "environment",
                    option=name,
                    variable=name.upper(),
                )
            )
        return dsn

    @api.model
    def _get_database_uuid(self):
        """Return the identity of this database, which stores know it by."""
        return self.env["ir.config_parameter"].sudo().get_param("database.uuid")

    def _get_readonly_reason(self):
        """Return why nothing may be written, ``False`` when it may be.

        A neutralized copy never writes to what the original may use as well, whatever
        its form says; its own database is its own.
        """
        self.ensure_one()
        parameters = self.env["ir.config_parameter"].sudo()
        if self.kind != "database" and parameters.get_param("database.is_neutralized"):
            return self.env._(
                "This database is a neutralized copy: “%(name)s” may be read only.",
                name=self.name,
            )
        if self.is_readonly:
            return self.env._(
                "The store “%(name)s” is switched to read-only.", name=self.name
            )
        return False

    # ------------------------------------------------------------
    # CHOOSING
    # ------------------------------------------------------------

    @api.model
    def _get_default(self, company):
        """Return the store that new bundles of a company go to.

        Technical look-up: who vaults need not be allowed to see stores.

        :param company: ``res.company``
        :return: one store
        :raise UserError: when there is none
        """
        chosen = company.sudo().archive_store_id
        if chosen.active:
            return self.browse(chosen.id)
        stores = self.sudo().search(
            [("company_id", "in", (company.id, False)), ("is_readonly", "=", False)]
        )
        store = stores.filtered("company_id")[:1] or stores[:1]
        if not store:
            raise UserError(
                self.env._(
                    "There is no store for %(company)s to put archived records in. "
                    "Make one under Archive → Configuration → Stores.",
                    company=company.name,
                )
            )
        return self.browse(store.id)

    def _check_writable(self):
        """Refuse to go on when it is known that nothing can be written.

        Asks the store, so once a batch is enough. Trouble that may pass by itself is
        left to the write, whose caller tries again.

        :raise UserError: when the store or its mirror is switched off, read-only,
            another database's, or was in trouble and still is
        """
        self.ensure_one()
        side = self.sudo()
        while side:
            if reason := side._get_inactive_reason() or side._get_readonly_reason():
                raise UserError(reason)
            with vault_errors(self.env), closing(side._make_store()) as store:
                side._check_owner(store)
            side = side.mirror_id
        self.sudo()._check_recovered()

    def _get_inactive_reason(self):
        if self.active:
            return False
        return self.env._("The store “%(name)s” is archived.", name=self.name)

    def _check_owner(self, store):
        """Refuse a store that another database has marked as its own.

        :param store: the library's store
        """
        owner = store.owner() if store.shared else None
        if owner not in (None, store.database_uuid):
            raise UserError(
                self.env._(
                    "The store “%(name)s” belongs to another database (%(owner)s): "
                    "this one may read it only. If the other one is gone for good, an "
                    "administrator takes the store over from its form.",
                    name=self.name,
                    owner=owner,
                )
            )

    # ------------------------------------------------------------
    # AUDIT
    # ------------------------------------------------------------

    @api.model
    def _get_unaudited_fields(self):
        return super()._get_unaudited_fields() | self._get_state_fields()

    def _log_healed(self, healed):
        """Append an audit line for each object that was not in order."""
        for item in healed:
            self.env["crm.archive.log"]._append(
                "heal",
                self,
                {
                    "object": item.key,
                    "store": item.store,
                    "trouble": item.reason,
                    "repaired": item.repaired,
                },
            )

    def _log_healed_on_rollback(self, healed):
        """Append the lines anew if this transaction is rolled back.

        What was put in order in another store stays in order.
        """
        if healed:
            self.env.cr.postrollback.add(partial(_log_in_new_transaction, self, healed))


def _is_within(inner, outer):
    return f"{inner}/".startswith(f"{outer.rstrip('/')}/")


def _log_in_new_transaction(store, healed):
    with store.env.registry.cursor() as cursor:
        store.with_env(store.env(cr=cursor))._log_healed(healed)

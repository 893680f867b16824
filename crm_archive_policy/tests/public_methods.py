"""How each public method answers people who have no business with it."""

#: Nobody gets an answer who has no business with it: neither people of the portal, nor
#: employees without the archive groups, nor officers of another company.
REFUSED = {
    "crm.archive.access.review": [
        "action_ask",
        "action_reviewed",
        "write",
    ],
    "crm.archive.anchor": [
        "action_anchor",
    ],
    "crm.archive.approval": [
        "action_decide",
        "action_view_records",
        "action_withdraw",
    ],
    "crm.archive.approval.decide": [
        "action_grant",
        "action_refuse",
    ],
    "crm.archive.bundle": [
        "action_verify",
        "action_view_entries",
    ],
    "crm.archive.candidate": [
        "action_approve",
        "action_end_keep",
        "action_keep",
        "action_keep_until",
        "action_open_record",
        "action_undo_keep",
        "write",
    ],
    "crm.archive.category": [
        "create",
        "unlink",
        "write",
    ],
    "crm.archive.entry": [
        "action_archive_history",
        "action_archive_hold",
        "action_drill",
        "action_erase",
        "action_export",
        "action_open_record",
        "action_purge",
        "action_restore",
        "action_subject_export",
        "action_view_content",
        "export_data",
        "get_content",
    ],
    "crm.archive.erase": [
        "action_ask",
        "action_search",
    ],
    "crm.archive.export": [
        "action_export",
    ],
    "crm.archive.guard": [
        "create",
        "unlink",
        "write",
    ],
    "crm.archive.hold": [
        "action_lift",
        "action_start",
        "action_view_records",
        "create",
        "write",
    ],
    "crm.archive.hold.lift": [
        "action_lift",
    ],
    "crm.archive.hold.record": [
        "action_open_record",
    ],
    "crm.archive.incident": [
        "action_close",
        "write",
    ],
    "crm.archive.keep": [
        "action_keep",
    ],
    "crm.archive.leave": [
        "action_restore_all",
    ],
    "crm.archive.log": [
        "action_verify_chain",
        "create",
        "unlink",
        "verify_chain",
        "write",
    ],
    "crm.archive.policy": [
        "action_preview",
        "action_restore_vaulted",
        "action_reviewed",
        "action_run",
        "action_view_runs",
        "create",
        "unlink",
        "write",
    ],
    "crm.archive.preview": [
        "action_run",
        "action_switch_on",
        "action_view_records",
    ],
    "crm.archive.purge": [
        "action_approve",
        "action_print",
        "action_reject",
        "action_retry",
        "action_view_lines",
        "action_withdraw",
    ],
    "crm.archive.purge.ask": [
        "action_ask",
    ],
    "crm.archive.purge.line": [
        "action_open_record",
    ],
    "crm.archive.recontact": [
        "action_dismiss",
        "action_merge",
        "action_open_archived",
        "action_open_new",
        "action_restore",
    ],
    "crm.archive.report": [
        "action_compute",
        "action_download_csv",
        "action_sign",
        "action_view_lines",
        "create",
        "write",
    ],
    "crm.archive.restore": [
        "action_restore",
    ],
    "crm.archive.retention.wizard": [
        "action_apply",
    ],
    "crm.archive.run": [
        "action_cancel",
        "action_drill",
        "action_restore_vaulted",
    ],
    "crm.archive.space": [
        "action_refresh",
    ],
    "crm.archive.store": [
        "action_adopt",
        "action_check_health",
        "action_drill",
        "action_rotate_keys",
        "action_verify",
        "action_view_bundles",
        "create",
        "unlink",
        "write",
    ],
    "crm.archive.subject.export": [
        "action_export",
        "action_search",
    ],
    "crm.archive.vault.restore": [
        "action_restore",
    ],
    "crm.archive.wizard": [
        "action_archive",
    ],
    "crm.lead": [
        "action_archive_erase",
        "action_archive_explain",
        "action_archive_history",
        "action_archive_hold",
        "action_archive_keep",
        "action_archive_purge",
        "action_archive_restore",
        "action_archive_restore_wizard",
        "action_archive_retention",
        "action_archive_subject_export",
        "action_archive_vault_read",
        "action_archive_vault_restore",
        "action_archive_wizard",
        "action_set_lost",
        "action_unarchive",
        "create",
        "export_data",
        "message_update",
        "write",
    ],
    "ir.actions.server": [
        "write",
    ],
    "ir.config_parameter": [
        "create",
        "unlink",
        "write",
    ],
    "ir.cron": [
        "unlink",
        "write",
    ],
    "ir.model.access": [
        "create",
        "unlink",
        "write",
    ],
    "ir.module.module": [
        "button_uninstall_wizard",
        "write",
    ],
    "ir.rule": [
        "create",
        "unlink",
        "write",
    ],
    "mail.mail": [
        "send",
    ],
    "res.company": [
        "write",
    ],
    "res.config.settings": [
        "action_archive_test_anchor",
        "action_archive_test_drill",
        "action_archive_test_log",
        "action_archive_test_mail",
        "action_archive_test_rights",
        "action_archive_test_stores",
        "action_archive_test_verify",
        "action_open_archive_cron",
        "set_values",
    ],
    "res.groups": [
        "create",
        "unlink",
        "write",
    ],
    "res.partner": [
        "action_archive_erase",
        "action_archive_explain",
        "action_archive_history",
        "action_archive_hold",
        "action_archive_keep",
        "action_archive_purge",
        "action_archive_restore",
        "action_archive_restore_wizard",
        "action_archive_retention",
        "action_archive_subject_export",
        "action_archive_vault_read",
        "action_archive_vault_restore",
        "action_archive_wizard",
        "action_unarchive",
        "create",
        "export_data",
        "message_route",
        "message_update",
        "write",
    ],
    "res.users": [
        "create",
        "unlink",
        "write",
    ],
}

#: Those who get one, and why it tells nothing: a window that shows what they may see;
#: what is suggested for a dialog of their own, out of the context that they have sent;
#: one of core's that asks core's rights.
OPENS = {
    "res.config.settings": {
        "action_archive_tour": ("portal_spy", "seller", "foreign_spy"),
        "get_values": ("portal_spy", "seller", "foreign_spy"),
    },
    "crm.archive.overview": {"get_overview": ("foreign_spy",)},
    "crm.archive.export.part": {"action_download": ("foreign_spy",)},
    "crm.archive.history": {"action_open_log": ("foreign_spy",)},
    "crm.archive.keep": {"default_get": ("portal_spy", "seller", "foreign_spy")},
    "crm.archive.leave": {"action_export_all": ("foreign_spy",)},
    "crm.archive.policy": {
        "action_view_archived": ("seller",),
        "action_view_candidates": ("seller",),
        "action_view_own_candidates": ("seller",),
        "action_view_vaulted": ("seller",),
    },
    "crm.archive.restore": {"default_get": ("portal_spy", "seller", "foreign_spy")},
    "crm.archive.retention.wizard": {
        "default_get": ("portal_spy", "seller", "foreign_spy")
    },
    "crm.archive.vault.restore": {"action_rehearse": ("foreign_spy",)},
    "crm.archive.wizard": {"default_get": ("portal_spy", "seller", "foreign_spy")},
    "res.partner": {"find_or_create": ("seller", "foreign_spy")},
}

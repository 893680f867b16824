"""Every picture of the handbook: who sees it, and how to get there.

`scripts/screenshots` takes them, in each language, from a database that
`scripts/shell/handbook.py` has prepared. Steps name what the page has in every
language: fields, buttons, menus; a text is given in English and looked up in the
translation.
"""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HANDBOOK = ROOT / "docs" / "handbook"
DESCRIPTION = ROOT / "crm_archive_policy" / "static" / "description"
LANGUAGES = {"en": "en_US", "zh_CN": "zh_CN"}

MANAGER, OFFICER, SELLER, AUDITOR = "ines", "samuel", "petra", "ruta"
WIDTH, HEIGHT = 1280, 720

#: Drawn from a page of our own, in the size that app lists ask for.
BANNER_PAGE = ROOT / "scripts" / "lib" / "banner.html"
BANNER, BANNER_SIZE = DESCRIPTION / "banner.png", (560, 280)

GEAR = ".o_cp_action_menus button:has(.fa-cog)"


@dataclass(frozen=True)
class Picture:
    """One picture.

    ``page`` is an address below ``/odoo/``; ``{name}`` stands for a record of the
    preparation. A step is a tuple: ``("click", selector)``, ``("text", English)`` to
    click on a menu item with that text, ``("type", selector, text)``,
    ``("press", key)``, ``("look", selector)`` to wait for it. ``mark`` frames what the
    text is about.
    """

    name: str
    user: str
    page: str
    steps: tuple = ()
    height: int = HEIGHT
    mark: str = ""
    in_app_list: bool = False

    def get_file(self, language):
        """Return where the picture of a language goes."""
        return HANDBOOK / "images" / language / f"{self.name}.png"

    def get_files(self, language):
        """Return every place the picture of a language goes to."""
        files = [self.get_file(language)]
        if self.in_app_list and language == "en":
            files.append(DESCRIPTION / f"{self.name}.png")
        return files


def action(name, record=""):
    """Return the page of a window action of the add-on, of one record if given."""
    page = f"action-crm_archive_policy.{name}"
    return f"{page}/{record}" if record else page


PICTURES = [
    Picture(
        "overview",
        MANAGER,
        action("crm_archive_overview_action"),
        height=960,
        in_app_list=True,
    ),
    # quick start
    Picture("policies", MANAGER, action("crm_archive_policy_action"), height=520),
    Picture(
        "policy",
        MANAGER,
        action("crm_archive_policy_action", "{policy_contacts}"),
        height=960,
        mark="button[name=action_preview]",
        in_app_list=True,
    ),
    Picture(
        "preview",
        MANAGER,
        action("crm_archive_policy_action", "{policy_new}"),
        [("click", "button[name=action_preview]"), ("look", ".modal footer")],
        height=760,
        mark=".modal footer button[name=action_run]",
        in_app_list=True,
    ),
    Picture("run", MANAGER, action("crm_archive_run_action", "{run}"), height=640),
    # archive one contact
    Picture(
        "archive-menu",
        SELLER,
        "action-contacts.action_contacts/{live_contact}",
        [("click", GEAR), ("look", ".o-dropdown-item")],
        height=620,
    ),
    Picture(
        "archive-dialog",
        SELLER,
        "action-contacts.action_contacts/{live_contact}",
        [("click", GEAR), ("text", "Archive…"), ("look", ".modal footer")],
        mark=".modal .o_field_widget[name=reason_id]",
        in_app_list=True,
    ),
    Picture(
        "archived-contact",
        SELLER,
        "action-contacts.action_contacts/{archived_contact}",
        height=560,
        mark="button[name=action_archive_restore_wizard]",
    ),
    Picture(
        "pending-contact",
        SELLER,
        "action-contacts.action_contacts/{pending_contact}",
        height=560,
        mark="button[name=action_archive_keep]",
    ),
    Picture(
        "explain",
        SELLER,
        "action-contacts.action_contacts/{pending_contact}",
        [
            ("click", "div.alert button[name=action_archive_explain]"),
            ("look", ".modal footer"),
        ],
        height=760,
        in_app_list=True,
    ),
    # review
    Picture(
        "candidates",
        OFFICER,
        action("crm_archive_candidate_action"),
        in_app_list=True,
    ),
    Picture(
        "candidate",
        OFFICER,
        action("crm_archive_candidate_action", "{candidate}"),
        height=560,
    ),
    Picture(
        "keep-until",
        OFFICER,
        action("crm_archive_candidate_action", "{candidate}"),
        [
            ("click", "button[name=action_keep_until]"),
            # out of the date, whose calendar lies over everything
            ("click", ".modal .modal-title"),
        ],
        height=560,
    ),
    # bring back
    Picture("archived-leads", OFFICER, action("crm_lead_archived_action")),
    Picture(
        "restore-dialog",
        SELLER,
        "action-contacts.action_contacts/{archived_contact}",
        [
            ("click", "button[name=action_archive_restore_wizard]"),
            ("look", ".modal footer"),
        ],
        height=620,
    ),
    Picture(
        "back-in-touch",
        OFFICER,
        action("crm_archive_recontact_action", "{recontact}"),
        height=620,
        mark="button[name=action_restore]",
        in_app_list=True,
    ),
    # vault
    Picture("vault", OFFICER, action("crm_archive_entry_action"), in_app_list=True),
    Picture(
        "vault-content",
        OFFICER,
        action("crm_archive_entry_action", "{contact_entry}"),
        [("click", "button[name=action_view_content]")],
        height=760,
    ),
    Picture(
        "vault-restore",
        OFFICER,
        action("crm_archive_entry_action", "{entry}"),
        [("click", "button[name=action_restore]"), ("look", ".modal footer")],
        height=620,
    ),
    # holds, retention, erasing
    Picture("hold", MANAGER, action("crm_archive_hold_action", "{hold}")),
    Picture(
        "category",
        MANAGER,
        action("crm_archive_category_action", "{category}"),
        height=460,
    ),
    Picture("retention-ended", MANAGER, action("crm_lead_retention_action")),
    Picture("purge", MANAGER, action("crm_archive_purge_action", "{purge}")),
    Picture("purge-done", MANAGER, action("crm_archive_purge_action", "{purge_done}")),
    Picture(
        "erase",
        MANAGER,
        action("crm_archive_purge_action"),
        [
            (
                "click",
                "[data-menu-xmlid='crm_archive_policy.crm_archive_menu_retention']",
            ),
            ("click", "[data-menu-xmlid='crm_archive_policy.crm_archive_menu_erase']"),
            ("type", ".modal .o_field_widget[name=email] input", "{erase_email}"),
            ("click", ".modal button[name=action_search]"),
            ("look", ".modal .o_field_widget[name=line_ids]"),
        ],
        height=820,
    ),
    # stores
    Picture("store", MANAGER, action("crm_archive_store_action", "{store}")),
    Picture("new-store", MANAGER, action("crm_archive_store_action", "{new_store}")),
    # audit
    Picture("log", AUDITOR, action("crm_archive_log_action"), in_app_list=True),
    Picture(
        "report",
        AUDITOR,
        action("crm_archive_report_action", "{report}"),
        # the figures keep the language that they are taken in
        [("click", "button[name=action_compute]")],
        height=960,
    ),
    Picture(
        "rights",
        MANAGER,
        action("crm_archive_access_review_action", "{review}"),
        height=560,
    ),
    # what an administrator looks at
    Picture("runs", MANAGER, action("crm_archive_run_action")),
    Picture("drill", MANAGER, action("crm_archive_run_action", "{drill_run}")),
    Picture("space", MANAGER, action("crm_archive_space_action"), height=620),
    Picture("settings", MANAGER, action("res_config_settings_action"), height=960),
]

import { registry } from "@web/core/registry";

/** A seller archives a contact with a reason and brings it back. */
registry.category("web_tour.tours").add("crm_archive_contact", {
    // A machine that does other things as well is no failure.
    timeout: 30000,
    steps: () => [
        {
            trigger: ".o_form_view .o_field_widget[name=name]",
            content: "the contact is open",
        },
        {
            trigger: ".o_cp_action_menus .dropdown-toggle:has(.fa-cog)",
            content: "open the gear menu",
            run: "click",
        },
        {
            trigger: ".o-dropdown-item:contains(Archive…)",
            content: "archive with a reason",
            run: "click",
        },
        {
            trigger:
                ".modal .o_field_widget[name=reason_id] label:contains(No sign of life)",
            content: "say why, in one click",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=child_count]:contains(1)",
            content: "the dialog says what else is affected",
        },
        {
            trigger: ".modal footer button[name=action_archive]",
            run: "click",
        },
        {
            trigger: ".o_notification:contains(1 archived)",
        },
        {
            trigger:
                ".alert-info:contains(No sign of life) button[name=action_archive_restore_wizard]",
            content: "the banner says why, and offers the way back",
            run: "click",
        },
        {
            trigger: ".modal button[name=action_restore]:contains(mistake)",
            content: "one click says why and restores",
            run: "click",
        },
        {
            trigger: ".o_notification:contains(1 restored)",
        },
        {
            trigger: ".o_form_view:not(:has(.ribbon:visible))",
            content: "the contact is live again",
        },
    ],
});

import { registry } from "@web/core/registry";

let clicks = 0;
const count = () => {
    clicks += 1;
};

/**
 * Count every press of the mouse from here on, wherever it goes: the browser sends the
 * click on a label a second time, to its input.
 */
function startCounting(content) {
    return {
        trigger: "body",
        content,
        run() {
            clicks = 0;
            document.addEventListener("pointerdown", count, true);
        },
    };
}

function expectAtMost(limit, what) {
    return {
        trigger: "body",
        content: `${what}: ${limit} clicks at most`,
        run() {
            document.removeEventListener("pointerdown", count, true);
            if (!clicks || clicks > limit) {
                throw new Error(`${what} took ${clicks} clicks instead of ${limit}`);
            }
        },
    };
}

/** The three most common jobs, with their clicks counted. */
registry.category("web_tour.tours").add("crm_archive_clicks", {
    // A machine that does other things as well is no failure.
    timeout: 30000,
    steps: () => [
        {
            trigger: ".o_form_view .o_field_widget[name=name]",
            content: "the contact is open",
        },
        startCounting("archive one contact"),
        {
            trigger: ".o_cp_action_menus .dropdown-toggle:has(.fa-cog)",
            run: "click",
        },
        {
            trigger: ".o-dropdown-item:contains(Archive…)",
            run: "click",
        },
        {
            trigger:
                ".modal .o_field_widget[name=reason_id] label:contains(No sign of life)",
            run: "click",
        },
        {
            trigger: ".modal footer button[name=action_archive]",
            run: "click",
        },
        {
            trigger: ".alert-info button[name=action_archive_restore_wizard]",
        },
        expectAtMost(4, "archive one contact"),
        {
            trigger: ".o_navbar_apps_menu button",
            content: "go to the archive",
            run: "click",
        },
        {
            trigger:
                ".o_app[data-menu-xmlid='crm_archive_policy.crm_archive_menu_root']",
            run: "click",
        },
        {
            trigger: ".o_archive_stock",
        },
        startCounting("bring a customer back"),
        {
            trigger: ".o_archive_stock .o_archive_figure:contains(Archived contacts)",
            run: "click",
        },
        {
            trigger: ".o_data_row:contains(Clicked contact) .o_data_cell:first",
            run: "click",
        },
        {
            trigger: ".alert-info button[name=action_archive_restore_wizard]",
            run: "click",
        },
        {
            trigger: ".modal button[name=action_restore]:contains(mistake)",
            run: "click",
        },
        {
            trigger: ".o_form_view:not(:has(.alert-info:visible))",
        },
        expectAtMost(4, "bring a customer back"),
        {
            trigger: "[data-menu-xmlid='crm_archive_policy.crm_archive_menu_overview']",
            run: "click",
        },
        {
            trigger: ".o_archive_overview .o_archive_new",
        },
        startCounting("set up a yearly policy"),
        {
            trigger: ".o_archive_new",
            run: "click",
        },
        {
            trigger: ".o_form_view .o_field_widget[name=name] :is(input, textarea)",
            run: "edit Silent for a year",
        },
        {
            trigger: ".o_field_widget[name=model_id] input",
            run: "edit Lead",
        },
        {
            trigger: ".ui-autocomplete a:contains(/^Lead$/)",
            run: "click",
        },
        {
            trigger: ".o_field_widget[name=idle_number] input",
            run: "edit 1",
        },
        {
            trigger: ".o_field_widget[name=mode] label:contains(Archive by itself)",
            run: "click",
        },
        {
            trigger: ".o_form_button_save",
            run: "click",
        },
        {
            trigger: ".o_form_saved button[name=action_run]",
        },
        expectAtMost(8, "set up a yearly policy"),
    ],
});

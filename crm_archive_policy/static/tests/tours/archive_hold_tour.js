import { registry } from "@web/core/registry";

/** A manager puts a contact on hold, and lifts the hold with a reason. */
registry.category("web_tour.tours").add("crm_archive_hold", {
    // A machine that does other things as well is no failure.
    timeout: 30000,
    steps: () => [
        {
            trigger: ".o_list_button_add",
            run: "click",
        },
        {
            trigger: ".o_field_widget[name=name] input",
            run: "edit Case 2026-114",
        },
        {
            trigger: ".o_field_widget[name=reason] textarea",
            run: "edit Product liability",
        },
        {
            trigger: ".o_field_widget[name=partner_ids] .o_field_x2many_list_row_add a",
            run: "click",
        },
        {
            trigger: ".modal .o_searchview_input",
            run: "edit Silent contact",
        },
        {
            trigger: ".modal .o_searchview_input",
            run: "press Enter",
        },
        {
            trigger:
                ".modal .o_list_table:not(:has(.o_data_row:not(:contains(Silent contact))))",
            content: "the list shows what was searched for, and nothing else",
        },
        {
            trigger:
                ".modal .o_data_row:contains(Silent contact) .o_list_record_selector input",
            run: "click",
        },
        {
            trigger: ".modal .o_select_button:enabled",
            run: "click",
        },
        {
            trigger: "body:not(:has(.modal)) button[name=action_start]",
            run: "click",
        },
        {
            trigger: ".modal footer .btn-primary",
            content: "it says what cannot be undone",
            run: "click",
        },
        {
            trigger: ".o_arrow_button_current:contains(In force)",
        },
        {
            trigger: ".oe_stat_button .o_stat_value:contains(1)",
        },
        {
            trigger: "button[name=action_lift]",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=reason] textarea",
            run: "edit Settled",
        },
        {
            trigger: ".modal footer button[name=action_lift]",
            run: "click",
        },
        {
            trigger: ".o_arrow_button_current:contains(Lifted)",
        },
    ],
});

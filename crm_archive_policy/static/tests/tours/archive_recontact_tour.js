import { registry } from "@web/core/registry";

/** An officer brings back a customer who got in touch again. */
registry.category("web_tour.tours").add("crm_archive_recontact", {
    // A machine that does other things as well is no failure.
    timeout: 30000,
    steps: () => [
        {
            trigger:
                ".o_data_row:contains(Silent contact) .o_data_cell[name=archived_name]",
            run: "click",
        },
        {
            trigger: ".o_form_view button[name=action_restore]",
            run: "click",
        },
        {
            trigger: ".o_arrow_button_current:contains(Restored)",
        },
    ],
});

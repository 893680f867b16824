import { registry } from "@web/core/registry";

/** A manager brings the end of retention of a contact forward, with a reason. */
registry.category("web_tour.tours").add("crm_archive_retention", {
    // A machine that does other things as well is no failure.
    timeout: 30000,
    steps: () => [
        {
            trigger: ".o_notebook_headers .nav-link[name=archive]",
            run: "click",
        },
        {
            trigger: "button[name=action_archive_retention]",
            content: "the date itself can only be extended",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=current_date]:contains(2051)",
            content: "the dialog says until when it is kept now",
        },
        {
            trigger: ".modal .o_field_widget[name=retention_date] input",
            run: "edit 03/05/2050",
        },
        {
            trigger: ".modal footer button[name=action_apply]",
            content: "not without a reason",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=reason].o_field_invalid",
        },
        {
            trigger: ".modal .o_field_widget[name=reason] textarea",
            run: "edit Contract ended early",
        },
        {
            trigger: ".modal footer button[name=action_apply]",
            run: "click",
        },
        {
            trigger: ".o_notification:contains(Retention of 1 changed)",
        },
        {
            trigger:
                "body:not(:has(.modal)) .o_form_view .o_field_widget[name=retention_date]:contains(2050)," +
                " body:not(:has(.modal)) .o_form_view .o_field_widget[name=retention_date] input:value(2050)",
            content: "the form shows the new day",
        },
    ],
});

import { registry } from "@web/core/registry";

/** An officer keeps one candidate for a while and approves all the others. */
registry.category("web_tour.tours").add("crm_archive_review", {
    // A machine that does other things as well is no failure.
    timeout: 30000,
    steps: () => [
        {
            trigger:
                ".o_search_panel .o_search_panel_category_value:contains(Tour review)",
            content: "the queue can be narrowed to one policy",
            run: "click",
        },
        {
            trigger: ".o_data_row:contains(Review 1) .o_data_cell[name=res_name]",
            content: "look at one of them",
            run: "click",
        },
        {
            trigger: ".o_form_view .o_field_widget[name=message_count]",
            content: "the form says what depends on it",
        },
        {
            trigger: ".o_form_view button[name=action_keep_until]",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=note] input",
            run: "edit Fair in May",
        },
        {
            trigger: ".modal footer button[name=action_keep]",
            run: "click",
        },
        {
            trigger: ".o_arrow_button_current:contains(Kept)",
            content: "it is kept",
        },
        {
            trigger: ".o_form_view .o_field_widget[name=note]:contains(Fair in May)",
        },
        {
            trigger: ".breadcrumb-item.o_back_button",
            run: "click",
        },
        {
            trigger: ".o_list_view:not(:has(.o_data_row:contains(Review 1)))",
            content: "it has left the queue",
        },
        {
            trigger: ".o_data_row:contains(Review 2)",
        },
        {
            trigger: "thead .o_list_record_selector input",
            content: "take all the others",
            run: "click",
        },
        {
            trigger: ".o_control_panel button[name=action_approve]",
            run: "click",
        },
        {
            trigger: ".o_view_nocontent:contains(Nothing waits)",
            content: "and the queue is empty",
        },
    ],
});

/** A salesperson keeps a lead right on its form. */
registry.category("web_tour.tours").add("crm_archive_keep", {
    // A machine that does other things as well is no failure.
    timeout: 30000,
    steps: () => [
        {
            trigger: ".alert-warning button[name=action_archive_keep]",
            content: "the banner offers to keep it",
            run: "click",
        },
        {
            trigger: ".o_notification:contains(1 kept)",
        },
        {
            trigger: ".o_form_view:not(:has(.alert-warning:visible))",
            content: "the lead is live again",
        },
    ],
});

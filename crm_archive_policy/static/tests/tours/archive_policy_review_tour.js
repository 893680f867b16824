import { registry } from "@web/core/registry";

/** A manager looks at the results of a policy and says that they are reviewed. */
registry.category("web_tour.tours").add("crm_archive_policy_reviewed", {
    // A machine that does other things as well is no failure.
    timeout: 30000,
    steps: () => [
        {
            trigger: ".o_notebook_headers .nav-link[name=results]",
            run: "click",
        },
        {
            trigger: ".o_field_widget[name=taken_count]:contains(1)",
            content: "the figures are what the review is about",
        },
        {
            trigger: ".o-mail-Activity:contains(Is this policy still right?)",
            content: "the responsible was asked",
        },
        {
            trigger: "button[name=action_reviewed]",
            run: "click",
        },
        {
            trigger: ".o_form_view:not(:has(button[name=action_reviewed]))",
            content: "the next review is far away",
        },
        {
            trigger: "body:not(:has(.o-mail-Activity))",
        },
    ],
});

import { registry } from "@web/core/registry";
import { stepUtils } from "@web_tour/tour_utils";

/** A manager writes a policy, previews it, runs it and restores one lead. */
registry.category("web_tour.tours").add("crm_archive_policy", {
    // A machine that does other things as well is no failure.
    timeout: 30000,
    steps: () => [
        stepUtils.showAppsMenuItem(),
        {
            trigger:
                ".o_app[data-menu-xmlid='crm_archive_policy.crm_archive_menu_root']",
            run: "click",
        },
        {
            trigger: "[data-menu-xmlid='crm_archive_policy.crm_archive_menu_policies']",
            run: "click",
        },
        {
            trigger: ".o_list_button_add",
            run: "click",
        },
        {
            trigger:
                ".o_field_widget[name=name] input, .o_field_widget[name=name] textarea",
            run: "edit Tour policy",
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
            trigger: ".o_field_widget[name=mode] label:contains(Archive by itself)",
            run: "click",
        },
        {
            trigger: "button[name=action_preview]",
            content: "preview saves the policy and changes nothing",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=archived_count]:contains(2)",
            content: "two leads would be archived",
        },
        {
            trigger: ".modal .o_field_widget[name=line_ids]:contains(Never Archive)",
            content: "and it says why the third one is kept",
        },
        {
            trigger: ".modal button[name=action_run]",
            run: "click",
        },
        {
            trigger: ".o_field_widget[name=archived_count]:contains(2)",
            content: "the run says what it did",
        },
        {
            trigger: ".o_arrow_button_current:contains(Done)",
        },
        {
            trigger: "[data-menu-xmlid='crm_archive_policy.crm_archive_menu_records']",
            content: "open the menu of records",
            run: "click",
        },
        {
            trigger: "[data-menu-xmlid='crm_archive_policy.crm_archive_menu_leads']",
            run: "click",
        },
        {
            trigger: ".o_data_row:contains(Tour lead 1) .o_list_record_selector input",
            run: "click",
        },
        {
            trigger: ".o_control_panel button[name=action_archive_restore_wizard]",
            run: "click",
        },
        {
            trigger: ".modal button[name=action_restore]:contains(too early)",
            run: "click",
        },
        {
            trigger: ".o_notification:contains(1 restored)",
        },
        {
            trigger: ".o_list_view:not(:has(.o_data_row:contains(Tour lead 1)))",
            content: "it has left the archive",
        },
    ],
});

import { markup } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";

/**
 * "Your first policy in three minutes": offered by the overview of an empty archive and
 * by the settings, to whoever asks for it. It writes a policy and looks at its preview;
 * nothing is archived.
 */
registry.category("web_tour.tours").add("crm_archive_first_policy", {
    url: "/odoo/archive",
    steps: () => [
        {
            trigger: ".o_archive_overview .o_archive_new",
            content: markup(
                _t(
                    "A <b>policy</b> says what is archived and when. Write your first one."
                )
            ),
            tooltipPosition: "bottom",
            run: "click",
        },
        {
            trigger: ".o_form_view .o_field_widget[name=name] :is(input, textarea)",
            content: _t("Give it a name that everybody understands."),
            tooltipPosition: "bottom",
            run: "edit Contacts silent for three years",
        },
        {
            trigger: ".o_field_widget[name=model_id] input",
            content: _t("Is it about contacts or about leads? Type the first letters."),
            tooltipPosition: "bottom",
            run: "edit Contact",
        },
        {
            trigger: ".ui-autocomplete a:contains(/^Contact$/)",
            content: _t("Choose it here."),
            tooltipPosition: "bottom",
            run: "click",
        },
        {
            trigger: ".o_field_widget[name=idle_number] input",
            content: markup(
                _t(
                    "How long without a <b>sign of life</b>? A message, a meeting or an order counts as one."
                )
            ),
            tooltipPosition: "bottom",
            run: "edit 3",
        },
        {
            trigger: ".o_field_widget[name=grace_days] input",
            content: markup(
                _t(
                    "Days of <b>grace</b>: in this time anybody can keep the record, and any sign of life does."
                )
            ),
            tooltipPosition: "top",
            run: "edit 14",
        },
        {
            trigger: "button[name=action_preview]",
            content: markup(
                _t(
                    "The <b>preview</b> counts what the policy would take today, and says what it keeps and why. It changes nothing."
                )
            ),
            tooltipPosition: "bottom",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=archived_count]",
        },
        {
            trigger: ".modal-header .btn-close",
            content: _t("Have a look at it, then close it."),
            tooltipPosition: "top",
            run: "click",
        },
        {
            trigger: ".o_form_view button[name=action_run]",
        },
    ],
});

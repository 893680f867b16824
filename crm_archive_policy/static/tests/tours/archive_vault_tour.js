import { registry } from "@web/core/registry";

const tours = registry.category("web_tour.tours");

/** A seller searches for somebody who is in the vault, finds him and reads. */
tours.add("crm_archive_vault_read", {
    // A machine that does other things as well is no failure.
    timeout: 30000,
    steps: () => [
        {
            trigger: ".o_searchview_input",
            content: "look for them among the contacts",
            run: "edit Grace Hopper",
        },
        {
            trigger: ".o_archive_vault_search:contains(Grace Hopper)",
            content: "look in the vault as well",
            run: "click",
        },
        {
            trigger: ".o_data_row:contains(Grace Hopper)",
            content: "there she is",
        },
        {
            trigger: ".o_data_row button[name=action_view_content]",
            content: "read it without restoring",
            run: "click",
        },
        {
            trigger: ".o_archive_content_form:contains(Rear Admiral)",
            content: "the form",
        },
        {
            trigger: ".o_archive_message:contains(Met at the fair)",
            content: "the chatter",
        },
        {
            trigger: ".o_archive_file:contains(card.txt)",
            content: "the files",
        },
    ],
});

/** An officer brings a lead back though its stage is gone, and is told so before. */
tours.add("crm_archive_vault_restore", {
    // A machine that does other things as well is no failure.
    timeout: 30000,
    steps: () => [
        {
            trigger: "button[name=action_restore]",
            run: "click",
        },
        {
            trigger: ".modal .alert-warning:contains(different)",
            content: "the rehearsal tells what is not as before",
        },
        {
            trigger: ".modal .o_data_row:contains(which was deleted)",
        },
        {
            trigger: ".modal button[name=action_rehearse]",
            content: "check again",
            run: "click",
        },
        {
            trigger: ".modal .o_data_row:contains(which was deleted)",
        },
        {
            trigger: ".modal button[name=action_restore]:contains(They came back)",
            run: "click",
        },
        {
            trigger: ".o_form_view .o_field_widget[name=email_from]",
            content: "the live record",
        },
    ],
});

/** A manager lets a policy move what it archives to the vault. */
tours.add("crm_archive_vault_policy", {
    // A machine that does other things as well is no failure.
    timeout: 30000,
    steps: () => [
        {
            trigger: ".o_field_widget[name=vault_enabled] input",
            run: "click",
        },
        {
            trigger: ".o_field_widget[name=vault_after_days] input",
            run: "edit 30",
        },
        {
            trigger: ".o_form_button_save",
            run: "click",
        },
        {
            trigger: ".o_archive_timeline:contains(To the vault):contains(Day 30)",
            content: "the timetable shows it",
        },
        {
            trigger: ".o_form_saved",
        },
    ],
});

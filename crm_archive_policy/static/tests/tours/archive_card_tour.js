import { registry } from "@web/core/registry";

/** A seller archives a contact from the menu of its card. */
registry.category("web_tour.tours").add("crm_archive_card", {
    // A machine that does other things as well is no failure.
    timeout: 30000,
    steps: () => [
        {
            trigger: ".o_list_view .o_data_row:contains(Silent contact)",
        },
        {
            trigger: ".o_switch_view.o_kanban",
            run: "click",
        },
        {
            trigger: ".o_kanban_record:contains(Silent contact)",
            content: "the menu shows when the mouse is over the card",
            run: "hover && click .o_kanban_record:contains(Silent contact) .o_dropdown_kanban button",
        },
        {
            trigger: ".dropdown-item:contains(Archive…)",
            run: "click",
        },
        {
            trigger:
                ".modal .o_field_widget[name=reason_id] label:contains(No sign of life)",
            content: "say why, in one click",
            run: "click",
        },
        {
            trigger: ".modal footer button[name=action_archive]",
            run: "click",
        },
        {
            trigger: ".o_notification:contains(1 archived)",
        },
        {
            trigger: ".o_notification button:contains(Undo)",
            content: "a mistake: one click brings it back",
            run: "click",
        },
        {
            trigger: ".o_notification:contains(1 restored)",
        },
        {
            trigger: ".o_kanban_record:contains(Silent contact)",
            content: "the card is there again",
        },
    ],
});

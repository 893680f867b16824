import { rpc } from "@web/core/network/rpc";
import { registry } from "@web/core/registry";

/** A manager watches a run that another process works on, and stops it. */
registry.category("web_tour.tours").add("crm_archive_run", {
    // A machine that does other things as well is no failure.
    timeout: 30000,
    steps: () => [
        {
            trigger: ".o_field_widget[name=progress]:contains(20)",
            content: "the run is on its way",
        },
        {
            trigger: ".o_field_widget[name=progress]",
            content: "the worker goes on",
            async run() {
                const id = Number(window.location.pathname.split("/").pop());
                await rpc("/web/dataset/call_kw/crm.archive.run/write", {
                    model: "crm.archive.run",
                    method: "write",
                    args: [[id], { done_count: 60, archived_count: 60 }],
                    kwargs: {},
                });
            },
        },
        {
            trigger: ".o_field_widget[name=progress]:contains(60)",
            content: "the form keeps itself fresh, nobody reloads",
        },
        {
            trigger: ".o_field_widget[name=archived_count]:contains(60)",
        },
        {
            trigger: "button[name=action_cancel]",
            run: "click",
        },
        {
            trigger: ".o_arrow_button_current:contains(Cancelled)",
        },
    ],
});

import { Component, markup, onWillStart, useState } from "@odoo/owl";

import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { Layout } from "@web/search/layout";
import { standardActionServiceProps } from "@web/webclient/actions/action_service";

/** What is in the vault, read without restoring it; the server lays it out. */
export class EntryContent extends Component {
    static template = "crm_archive_policy.EntryContent";
    static components = { Layout };
    static props = { ...standardActionServiceProps };

    setup() {
        this.action = useService("action");
        this.orm = useService("orm");
        this.display = { controlPanel: {} };
        this.entryId = this.props.action.context.active_id;
        this.form = "";
        this.beside = "";
        this.pages = [];
        this.state = useState({
            before: 0,
            canRestore: false,
            error: "",
            loading: false,
        });
        onWillStart(async () => {
            try {
                const content = await this.load();
                this.form = markup(content.form);
                this.beside = markup(content.beside);
            } catch (error) {
                // Say it on the page: a dialog over an empty page would help nobody.
                this.state.error = error.data?.message || error.message;
            }
        });
    }

    /** Load the latest page of messages, or the one before the last that is shown. */
    async load() {
        this.state.loading = true;
        try {
            const content = await this.orm.call("crm.archive.entry", "get_content", [
                [this.entryId],
                this.state.before,
            ]);
            this.pages.push(markup(content.messages));
            this.state.before = content.before;
            this.state.canRestore = content.can_restore;
            return content;
        } finally {
            this.state.loading = false;
        }
    }

    restore() {
        return this.action.doActionButton({
            type: "object",
            name: "action_restore",
            resModel: "crm.archive.entry",
            resId: this.entryId,
            resIds: [this.entryId],
            context: {},
        });
    }
}

registry.category("actions").add("crm_archive_entry_content", EntryContent);

import { onMounted, onWillUnmount } from "@odoo/owl";

import { registry } from "@web/core/registry";
import {
    ProgressBarField,
    progressBarField,
} from "@web/views/fields/progress_bar/progress_bar_field";

const REFRESH_MILLISECONDS = 2000;

/** Progress bar of a run that another process is working on: it keeps itself fresh. */
export class ArchiveRunProgress extends ProgressBarField {
    setup() {
        super.setup();
        let timer = null;
        onMounted(() => {
            timer = setInterval(() => this.refresh(), REFRESH_MILLISECONDS);
        });
        onWillUnmount(() => clearInterval(timer));
    }

    async refresh() {
        const { record } = this.props;
        if (["waiting", "running"].includes(record.data.state)) {
            await record.load();
        }
    }
}

registry.category("fields").add("archive_run_progress", {
    ...progressBarField,
    component: ArchiveRunProgress,
});

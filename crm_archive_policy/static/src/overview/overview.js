import { Component, onWillStart, useState } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { Layout } from "@web/search/layout";
import { standardActionServiceProps } from "@web/webclient/actions/action_service";
import { formatInteger } from "@web/views/fields/formatters";

import { formatArchiveSize } from "../fields/archive_size";
import { ArchiveGrowthChart } from "./growth_chart";

const POLICY_ACTION = "crm_archive_policy.crm_archive_policy_action";

/** A state is told by an icon and a word; its colour only underlines them. */
const STATES = {
    good: { icon: "fa-check-circle", color: "success", word: _t("In order") },
    unknown: { icon: "fa-circle-o", color: "secondary", word: _t("Not known yet") },
    warn: { icon: "fa-exclamation-triangle", color: "warning", word: _t("Look at it") },
    bad: { icon: "fa-times-circle", color: "danger", word: _t("In trouble") },
};

/** First screen of the app: what happened, what comes, and whether all is well. */
export class ArchiveOverview extends Component {
    static template = "crm_archive_policy.ArchiveOverview";
    static components = { Layout, ArchiveGrowthChart };
    static props = { ...standardActionServiceProps };

    setup() {
        this.orm = useService("orm");
        this.action = useService("action");
        this.tour = useService("tour_service");
        this.display = { controlPanel: {} };
        this.state = useState({ data: null });
        onWillStart(() => this.load());
    }

    async load() {
        this.state.data = await this.orm.call("crm.archive.overview", "get_overview");
    }

    get data() {
        return this.state.data;
    }

    /**
     * @param {Object} figure
     * @returns {String} the number, in the user's language
     */
    format(figure) {
        if (figure.is_size) {
            return formatArchiveSize(figure.count);
        }
        const number = formatInteger(figure.count);
        return figure.more ? _t("%s or more", number) : number;
    }

    /**
     * @param {Object} figure
     * @returns {String} the fine print of a number, may be empty
     */
    formatText(figure) {
        return figure.is_size
            ? _t("%s in the store", formatArchiveSize(figure.stored))
            : "";
    }

    getState(line) {
        return STATES[line.state];
    }

    /**
     * Share of a week in the busiest one, for the length of its bar.
     *
     * @param {Object} row
     * @param {String} name part of the row
     * @returns {Number} per cent
     */
    getShare(row, name) {
        const totals = this.data.pending.rows.map((r) => r.review + r.planned);
        return (100 * row[name]) / Math.max(...totals, 1);
    }

    /**
     * @param {Object} row
     * @returns {String} what a week brings
     */
    describe(row) {
        const parts = [];
        if (row.review) {
            parts.push(_t("%s to review", formatInteger(row.review)));
        }
        if (row.planned) {
            parts.push(_t("%s planned", formatInteger(row.planned)));
        }
        return parts.join(" · ") || _t("nothing");
    }

    get isPendingEmpty() {
        return this.data.pending.rows.every((row) => !row.review && !row.planned);
    }

    /**
     * Open the list behind a number, narrowed to exactly what was counted.
     *
     * @param {Object} target
     */
    async open(target) {
        const action = await this.action.loadAction(target.xmlid);
        await this.action.doAction({
            ...action,
            name: target.name,
            display_name: target.name,
            domain: target.domain,
            context: target.context,
        });
    }

    openPolicy(policy) {
        return this.action.doAction({
            type: "ir.actions.act_window",
            res_model: "crm.archive.policy",
            res_id: policy.id,
            views: [[false, "form"]],
        });
    }

    openPolicies() {
        return this.action.doAction(POLICY_ACTION);
    }

    newPolicy() {
        return this.action.doAction(POLICY_ACTION, { viewType: "form" });
    }

    previewLabel(policy) {
        return _t("Start with a preview: %s", policy.name);
    }

    openLabel(policy) {
        return _t("Open: %s", policy.name);
    }

    /** A preview counts and explains; it changes nothing. */
    async preview(policy) {
        const action = await this.orm.call("crm.archive.policy", "action_preview", [
            [policy.id],
        ]);
        await this.action.doAction(action, { onClose: () => this.load() });
    }

    startTour() {
        return this.tour.startTour("crm_archive_first_policy", {
            mode: "manual",
            redirect: false,
            rainbowManMessage: _t(
                "<b>Well done!</b> Your first policy is written. It asks before it archives anything; run it whenever you like."
            ),
        });
    }
}

registry.category("actions").add("crm_archive_overview", ArchiveOverview);

import { onWillStart } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";
import { user } from "@web/core/user";
import { useService } from "@web/core/utils/hooks";
import { patch } from "@web/core/utils/patch";
import { SearchBar } from "@web/search/search_bar/search_bar";

/** Models whose records may be in the vault, and the filter that shows only those. */
const FILTERS = { "crm.lead": "leads", "res.partner": "contacts" };

/**
 * Whoever searches contacts or leads is offered to look in the vault as well: what he
 * looks for may have moved there.
 */
patch(SearchBar.prototype, {
    setup() {
        super.setup();
        this.action = useService("action");
        this.vaultFilter = FILTERS[this.env.searchModel.resModel];
        onWillStart(async () => {
            this.hasVault =
                this.vaultFilter &&
                (await user.hasGroup("crm_archive_policy.group_archive_user"));
        });
    },

    async computeState(options) {
        await super.computeState(options);
        const query = this.state.query.trim();
        if (query && this.hasVault) {
            this.items.push({
                id: "archive_vault",
                isVault: true,
                label: query,
                title: _t("Search in the vault"),
            });
        }
    },

    selectItem(item) {
        if (!item.isVault) {
            return super.selectItem(item);
        }
        this.resetState();
        this.action.doAction("crm_archive_policy.crm_archive_entry_action", {
            additionalContext: {
                search_default_vaulted: 1,
                [`search_default_${this.vaultFilter}`]: 1,
                search_default_name: item.label,
            },
        });
    },
});

import { Component } from "@odoo/owl";

import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { formatFloat } from "@web/views/fields/formatters";
import { standardFieldProps } from "@web/views/fields/standard_field_props";

const UNITS = ["kB", "MB", "GB", "TB", "PB"];

/**
 * A number of bytes as people say it.
 *
 * @param {Number} value bytes
 * @returns {String} such as "54.7 kB"
 */
export function formatArchiveSize(value) {
    let size = value || 0;
    if (size < 1000) {
        return _t("%s bytes", formatFloat(size, { digits: [16, 0] }));
    }
    let power = -1;
    while (size >= 1000 && power < UNITS.length - 1) {
        size /= 1000;
        power += 1;
    }
    const digits = size < 100 ? 1 : 0;
    return `${formatFloat(size, { digits: [16, digits] })} ${UNITS[power]}`;
}

export class ArchiveSize extends Component {
    static template = "crm_archive_policy.ArchiveSize";
    static props = { ...standardFieldProps };

    get text() {
        return formatArchiveSize(this.props.record.data[this.props.name]);
    }
}

registry.category("fields").add("archive_size", {
    component: ArchiveSize,
    supportedTypes: ["integer", "float"],
});
registry.category("formatters").add("archive_size", formatArchiveSize);

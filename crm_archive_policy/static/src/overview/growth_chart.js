/* global Chart */
import { Component, onWillStart, useEffect, useRef } from "@odoo/owl";

import { loadBundle } from "@web/core/assets";
import { cookie } from "@web/core/browser/cookie";
import { getColor, getCustomColor } from "@web/core/colors/colors";
import { formatInteger } from "@web/views/fields/formatters";
import { localization } from "@web/core/l10n/localization";

/** Places in the host's palette of six: blue, orange, purple. None of them alarms. */
const COLORS = [0, 3, 4];
const PALETTE = 6;

/** Stacked bars of what is live, archived and in the vault, month by month. */
export class ArchiveGrowthChart extends Component {
    static template = "crm_archive_policy.ArchiveGrowthChart";
    static props = { growth: Object };

    setup() {
        this.canvas = useRef("canvas");
        onWillStart(() => loadBundle("web.chartjs_lib"));
        useEffect(
            () => {
                const chart = new Chart(this.canvas.el, this.getConfig());
                return () => chart.destroy();
            },
            () => [this.props.growth]
        );
    }

    get formatInteger() {
        return formatInteger;
    }

    getConfig() {
        const scheme = cookie.get("color_scheme");
        const ink = getCustomColor(scheme, "#111827", "#E4E4E4");
        const grid = getCustomColor(scheme, "#d8dadd", "#3C3E4B");
        const isRtl = localization.direction === "rtl";
        const { labels, series } = this.props.growth;
        return {
            type: "bar",
            data: {
                labels,
                datasets: series.map((serie, index) => ({
                    label: serie.label,
                    data: serie.data,
                    backgroundColor: getColor(COLORS[index], scheme, PALETTE),
                    maxBarThickness: 48,
                })),
            },
            options: {
                animation: false,
                maintainAspectRatio: false,
                interaction: { mode: "index", intersect: false },
                plugins: {
                    legend: {
                        position: "bottom",
                        rtl: isRtl,
                        labels: { color: ink, boxWidth: 12 },
                    },
                    tooltip: {
                        rtl: isRtl,
                        callbacks: {
                            label: ({ dataset, parsed }) =>
                                ` ${dataset.label}: ${formatInteger(parsed.y)}`,
                        },
                    },
                },
                scales: {
                    x: {
                        stacked: true,
                        reverse: isRtl,
                        grid: { display: false },
                        ticks: { color: ink },
                    },
                    y: {
                        stacked: true,
                        position: isRtl ? "right" : "left",
                        beginAtZero: true,
                        grid: { color: grid },
                        ticks: {
                            color: ink,
                            precision: 0,
                            callback: (value) => formatInteger(value),
                        },
                    },
                },
            },
        };
    }
}

import { registry } from "@web/core/registry";

/** Flatten the menus of the app into those that open something. */
function getLeaves(menu) {
    return menu.childrenTree.length ? menu.childrenTree.flatMap(getLeaves) : [menu];
}

function checkNoError(what) {
    const dialog = document.querySelector(".o_error_dialog");
    if (dialog) {
        throw new Error(`${what}: ${dialog.textContent}`);
    }
}

/**
 * Open everything that a menu leads to: its screen, each kind of view if it shall be
 * thorough, and the form of a record if there is one.
 */
async function visit(menu, { action, orm }, isThorough) {
    await action.doAction(menu.actionID, { clearBreadcrumbs: true });
    checkNoError(menu.xmlid);
    const { currentController: controller } = action;
    const { res_model: model, views, domain, target, type } = controller.action;
    if (type !== "ir.actions.act_window") {
        return;
    }
    if (target === "new") {
        await action.doAction({ type: "ir.actions.act_window_close" });
        return;
    }
    const kinds = views
        .map((view) => view[1])
        .filter((kind) => !["form", "search"].includes(kind));
    for (const kind of isThorough ? kinds.slice(1) : []) {
        await action.switchView(kind);
        checkNoError(`${menu.xmlid}: ${kind}`);
    }
    if (kinds.length && views.some((view) => view[1] === "form")) {
        const context = { active_test: false };
        const ids = await orm.search(model, Array.isArray(domain) ? domain : [], {
            limit: 1,
            context,
        });
        if (ids.length) {
            await action.switchView("form", { resId: ids[0], resIds: ids });
            checkNoError(`${menu.xmlid}: form`);
        }
    }
}

/**
 * Walk through every menu of the app that the user has.
 *
 * @param {Number} from share of the menus to begin with
 * @param {Number} to share of the menus to end before
 * @param {Boolean} isThorough whether each kind of view is opened
 */
async function walk(from, to, isThorough) {
    const { services } = odoo.__WOWL_DEBUG__.root.env;
    const app = services.menu
        .getApps()
        .find((menu) => menu.xmlid === "crm_archive_policy.crm_archive_menu_root");
    const leaves = getLeaves(services.menu.getMenuAsTree(app.id));
    const part = leaves.slice(leaves.length * from, leaves.length * to);
    for (const menu of part) {
        try {
            await visit(menu, services, isThorough);
        } catch (error) {
            const cause = error.cause || error;
            throw new Error(`${menu.xmlid}: ${cause.data?.message || cause.message}`, {
                cause: error,
            });
        }
    }
    document.body.dataset.visited = `${leaves.length}`;
}

const STEPS = 4;

const getSteps = (isThorough) => [
    {
        trigger: ".o_archive_overview .o_archive_grid",
        content: "the app opens with its overview",
    },
    ...Array.from({ length: STEPS }, (_, index) => ({
        trigger: ".o_action_manager",
        content: `walk through a part of the menus: ${index + 1} of ${STEPS}`,
        timeout: 60000,
        run: () => walk(index / STEPS, (index + 1) / STEPS, isThorough),
    })),
    {
        trigger: "body[data-visited]",
    },
];

registry.category("web_tour.tours").add("crm_archive_walk", {
    // A machine that does other things as well is no failure.
    timeout: 30000,
    steps: () => getSteps(true),
});

/** For people who see fewer menus of the same screens. */
registry.category("web_tour.tours").add("crm_archive_walk_quick", {
    // A machine that does other things as well is no failure.
    timeout: 30000,
    steps: () => getSteps(false),
});

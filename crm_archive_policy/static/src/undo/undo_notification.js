import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";

/** Long enough to read the message, notice the mistake and reach for the button. */
const UNDO_MILLISECONDS = 10000;

/**
 * Tell what was done, and offer to undo it.
 *
 * @param {Object} env
 * @param {Object} action its params: message, undo ({model, method, ids}), next
 * @returns {Object} the action that follows at once
 */
function archiveUndoNotification(env, action) {
    const { message, undo, next } = action.params;
    const { notification, orm, action: actionService } = env.services;
    const close = notification.add(message, {
        type: "success",
        autocloseDelay: UNDO_MILLISECONDS,
        buttons: [
            {
                name: _t("Undo"),
                icon: "fa-undo",
                primary: true,
                onClick: async () => {
                    close();
                    await actionService.doAction(
                        await orm.call(undo.model, undo.method, [undo.ids])
                    );
                },
            },
        ],
    });
    return next;
}

registry.category("actions").add("crm_archive_undo", archiveUndoNotification);

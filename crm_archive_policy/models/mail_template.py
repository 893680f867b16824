from odoo import models

#: Context key of :class:`Recipients`.
RECIPIENTS = "archive_recipients"


class Recipients(dict):
    """The one e-mail address that each record's mail goes to: ``{id: address}``.

    A template may say something else, such as the contact of a lead, who may be on
    the blacklist. What was checked is what is written to.
    """


class MailTemplate(models.Model):
    _inherit = "mail.template"

    def _generate_template_recipients(
        self,
        res_ids,
        render_fields,
        allow_suggested=False,
        find_or_create_partners=False,
        render_results=None,
    ):
        recipients = self.env.context.get(RECIPIENTS)
        # A client can send a context, but never an instance of this class.
        if not isinstance(recipients, Recipients):
            return super()._generate_template_recipients(
                res_ids,
                render_fields,
                allow_suggested=allow_suggested,
                find_or_create_partners=find_or_create_partners,
                render_results=render_results,
            )
        render_results = {} if render_results is None else render_results
        for res_id in res_ids:
            render_results.setdefault(res_id, {}).update(
                email_to=recipients[res_id], email_cc="", partner_ids=[]
            )
        return render_results

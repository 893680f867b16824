"""A scripted attack on restricted records, over every model the database has.

Whoever may not see them must not be able to tell a database with them from one without.
"""

import json

from odoo.tests import tagged
from odoo.tools import SQL, mute_logger

from .attack_common import MARKER, AttackCase, Attacker

TEXT = {"char", "text", "html"}

#: Models that say something about a contact or a lead: what others point at is
#: searched through these.
TELLING_MODELS = (
    "res.partner",
    "crm.lead",
    "mail.message",
    "mail.activity",
    "mail.followers",
    "mail.notification",
    "ir.attachment",
    "calendar.event",
    "calendar.attendee",
    "res.partner.bank",
)

#: Say nothing, and take long or change from second to second.
TIRESOME = {
    "description_html",
    "icon_image",
    "duration_tracking",
    "author_avatar",  # with the author's name, as is written down
}


class Sweep:
    """Asks all models that a person may read, in every way there is.

    :ivar answers: ``{question: answer}``
    """

    def __init__(self, spy):
        self.spy = spy
        self.env = spy.case.env(user=spy.user)
        self.answers = {}

    def run(self, names=None):
        for name in names or sorted(self.env):
            model = self.env[name]
            if model._abstract or model._transient or not model.has_access("read"):
                continue
            if self.spy.user != self.spy.case.seller and not self.tells(model):
                continue  # the same for every employee
            self.ask_everything(model)
            self.ask_oracles(model)
            if name in TELLING_MODELS:
                self.ask_closely(model)
            if "activity_ids" in model._fields:
                self.ask_activities(model)
        return self.answers

    def ask(self, model, method, *args, **kwargs):
        answer = self.spy.call(model._name, method, *args, **kwargs)
        question = f"{model._name} {method} {args} {kwargs}"
        self.answers[f"{self.spy.user.login}: {question[:300]}"] = answer
        return json.loads(answer)

    def get_names(self, model, only=lambda field: True):
        return [
            name
            for name, field in model._fields.items()
            if name not in TIRESOME
            and model._has_field_access(field, "read")
            and only(field)
        ]

    def ask_everything(self, model):
        """All rows with all their fields, how many, and in which groups."""
        names = self.get_names(model)
        sizes = {"bin_size": True}
        self.ask(model, "search_read", [], names, limit=500, context=sizes)
        groups = self.get_names(
            model,
            lambda field: (
                field.store
                and field.type in ("many2one", "many2many", "char", "selection", "date")
                and (field.column_type or field.type == "many2many")
                and not field.inherited
            ),
        )
        sets = [[name] for name in groups]
        if self.tells(model):
            self.ask(model, "formatted_read_grouping_sets", [], sets, ["__count"])

    def tells(self, model):
        """Whether rows of a model may say something about contacts and leads."""
        return model._name.startswith("crm.archive.") or any(
            field.comodel_name in TELLING_MODELS or field.type == "many2one_reference"
            for field in model._fields.values()
        )

    def ask_oracles(self, model):
        """Search by what is hidden: fields of the rows, and of what they point at."""
        oracles = [
            (name, "ilike", MARKER)
            for name in self.get_names(model, self.is_searched_text)
        ]
        for link in self.get_names(model, self.is_searched_link):
            comodel = self.env[model._fields[link].comodel_name]
            if comodel._name not in TELLING_MODELS or not comodel.has_access("read"):
                continue
            texts = self.get_names(comodel, self.is_searched_text)
            terms = [(name, "ilike", MARKER) for name in texts]
            if "message_ids" in comodel._fields:
                terms.append(("message_ids.body", "ilike", MARKER))
            any_of = ["|"] * (len(terms) - 1) + terms
            oracles += [(f"{link}.{terms[0][0]}", "=like", f"{MARKER}%")]
            oracles += [(link, "any", any_of), (link, "ilike", MARKER)]
        self.count_any(model, oracles)

    @staticmethod
    def is_searched_link(field):
        return bool(field.comodel_name) and field._description_searchable

    @staticmethod
    def is_searched_text(field):
        return (
            field.type in TEXT and (field.store or field.search) and not field.translate
        )

    def count_any(self, model, oracles):
        """Ask in one question whether any oracle finds something; where one of them
        cannot be asked, in two halves."""
        if not oracles:
            return
        domain = ["|"] * (len(oracles) - 1) + oracles
        if "error" in self.ask(model, "search_count", domain) and len(oracles) > 1:
            half = len(oracles) // 2
            self.count_any(model, oracles[:half])
            self.count_any(model, oracles[half:])

    def ask_closely(self, model):
        """Further ways, for the models that say something."""
        self.ask(model, "name_search", MARKER)
        found = self.ask(model, "search", []).get("result", [])
        shown = {
            name: {"fields": {"display_name": {}}}
            if model._fields[name].relational
            else {}
            for name in self.get_names(model, lambda field: field.type != "binary")
        }
        self.ask(model, "web_search_read", [], shown, limit=500, count_limit=10_000)
        self.ask(model, "export_data", found, self.get_names(model, self.is_exported))
        for link in self.get_names(model, self.is_stored_link):
            self.ask(model, "search", [], limit=500, order=f"{link}, id desc")
            self.ask(model, "web_read_group", [], [link], ["__count"])
        for domain in ([("create_uid", "=", self.spy.user.id)], [("id", ">", 0)]):
            self.ask(model, "search_count", domain)

    @staticmethod
    def is_exported(field):
        return field.exportable and field.type not in (
            "binary",
            "one2many",
            "many2many",
        )

    @staticmethod
    def is_stored_link(field):
        return (
            field.type == "many2one"
            and field.store
            and field.comodel_name
            in (
                "res.partner",
                "crm.lead",
            )
        )

    def ask_activities(self, model):
        """Activity views and the bars above columns."""
        self.ask(model, "search_count", [("activity_ids.summary", "ilike", MARKER)])
        colors = {"field": "activity_state", "colors": {"overdue": "danger"}}
        self.ask(model, "read_progress_bar", [], "create_uid", colors)
        if self.env["mail.activity"].has_access("read"):
            self.ask(
                self.env["mail.activity"], "get_activity_data", model._name, [], 100
            )


@tagged("post_install", "-at_install")
class TestAttack(AttackCase):
    @mute_logger("odoo.http", "odoo.addons.base.models.ir_rule", "odoo.domains")
    def test_not_one_bit(self):
        """Answers are the same, byte by byte, whether the records exist or not."""
        present = self.attack()
        self.assertGreater(len(present), 400)
        for question, answer in present.items():
            self.assertNoSecret(answer, question)
        self.remove_prey()
        self.assertSame(present, self.attack())

    def attack(self, names=None, users=None):
        answers = {}
        for user in users or (self.seller, self.portal, self.foreigner):
            answers.update(Sweep(Attacker(self, user)).run(names))
        return answers

    def assertSame(self, present, absent):
        """Name the questions that were answered differently."""
        different = [
            question
            for question in present.keys() | absent.keys()
            if present.get(question) != absent.get(question)
        ]
        self.assertFalse(different[:20], f"{len(different)} answers")

    def test_overview_counts_nothing_of_other_companies(self):
        spy = Attacker(self, self.foreigner)
        present = spy.result("crm.archive.overview", "get_overview")
        self.remove_prey()
        absent = spy.result("crm.archive.overview", "get_overview")
        for part in ("stock", "todo", "starters"):
            self.assertEqual(present[part], absent[part], part)

    @mute_logger("odoo.http", "odoo.addons.base.models.ir_rule", "odoo.domains")
    def test_documents_tell_the_name_and_nothing_else(self):
        """What others point at the contact with shows its name, as is written down."""
        named = self.create_contact("A Named Customer", company_id=self.own.id)
        child = self.create_contact("Their employee", company_id=self.own.id)
        self.lead.message_post(
            body="Of a customer", author_id=named.id, subtype_xmlid="mail.mt_comment"
        )
        secrets = self.get_contact_secrets()
        named.write({name: secrets[name] for name in secrets if name != "name"})
        self.env.flush_all()
        # Not by way of core, which would copy what the contact has.
        for table, link, record in (
            ("crm_lead", "partner_id", self.lead),
            ("res_partner", "parent_id", child),
        ):
            self.env.cr.execute(
                SQL(
                    "UPDATE %s SET %s = %s WHERE id = %s",
                    SQL.identifier(table),
                    SQL.identifier(link),
                    named.id,
                    record.id,
                )
            )
        self.env.invalidate_all()
        named._archive({"archive_restricted": True})
        asked = self.attack(TELLING_MODELS, self.seller)
        seen = b" ".join(asked.values())
        self.assertIn(b"A Named Customer", seen)
        self.assertNoSecret(seen, "documents")
        self.env.cr.execute(
            "UPDATE res_partner SET email = 'b@x.example', email_normalized = NULL,"
            " phone = '1', phone_sanitized = '1', street = 'B', ref = 'B',"
            " comment = 'B' WHERE id = %s",
            [named.id],
        )
        self.env.invalidate_all()
        self.assertSame(asked, self.attack(TELLING_MODELS, self.seller))

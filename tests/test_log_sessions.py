"""Many people at once, in sessions of their own: one log, without a gap (F3)."""

import http.cookiejar
import json
import threading
import urllib.request

SESSIONS = 6
LEADS = 5

PREPARE = f"""
values = [{{"name": f"Lead {{n}}"}} for n in range({SESSIONS * LEADS})]
leads = env["crm.lead"].create(values)
admin = env.ref("base.user_admin")
admin.group_ids += env.ref("crm_archive_policy.group_archive_manager")
env.cr.commit()
print("LEADS", *leads.ids)
"""

COUNT = """
log = env["crm.archive.log"]
lines = log.search([("action", "in", ("archive", "restore"))])
print("KEPT", len(lines.filtered(lambda line: line.action == "archive")),
      len(lines.filtered(lambda line: line.action == "restore")),
      max(log.search([]).mapped("sequence")) - log.search_count([]),
      len(set(lines.mapped("sequence"))) == len(lines))
"""


class Session:
    """Somebody who has signed in by the web client's own address."""

    def __init__(self, server):
        self.url = server.url
        jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(jar)
        )
        self.post(
            "/web/session/authenticate",
            {"db": server.database, "login": "admin", "password": "admin"},
        )

    def post(self, path, params):
        body = json.dumps({"jsonrpc": "2.0", "method": "call", "params": params})
        request = urllib.request.Request(
            self.url + path, body.encode(), {"Content-Type": "application/json"}
        )
        with self.opener.open(request, timeout=120) as response:
            answer = json.load(response)
        assert "error" not in answer, answer
        return answer.get("result")

    def call(self, model, method, *args):
        params = {"model": model, "method": method, "args": args, "kwargs": {}}
        return self.post(f"/web/dataset/call_kw/{model}/{method}", params)


def test_many_sessions_write_one_log(server, odoo_shell):
    *_before, ids = odoo_shell(server.database, PREPARE).partition("LEADS")
    ids = [int(number) for number in ids.split()]
    sessions = [Session(server) for _number in range(SESSIONS)]
    together, failed = threading.Barrier(SESSIONS), []

    def work(session, own):
        try:
            together.wait(60)
            for lead in own:
                session.call("crm.lead", "action_archive", [lead])
                session.call("crm.lead", "action_unarchive", [lead])
        except Exception as error:  # noqa: BLE001 - told by the test
            failed.append(error)

    threads = [
        threading.Thread(target=work, args=(session, ids[number::SESSIONS]))
        for number, session in enumerate(sessions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert not failed
    assert sessions[0].call("crm.archive.log", "verify_chain")["ok"]
    *_before, kept = odoo_shell(server.database, COUNT).partition("KEPT")
    total = str(SESSIONS * LEADS)
    assert kept.split() == [total, total, "0", "True"]

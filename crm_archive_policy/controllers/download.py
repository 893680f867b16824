from werkzeug.exceptions import Conflict
from werkzeug.wsgi import FileWrapper

from odoo.exceptions import AccessError, MissingError, UserError
from odoo.http import content_disposition, request


def answer_errors(act):
    """Do something, and answer refusals in the terms of HTTP.

    Whether there is such a thing is nobody's business who may not see it.
    """
    try:
        return act()
    except (AccessError, MissingError) as error:
        raise request.not_found() from error
    except UserError as error:
        raise Conflict(str(error)) from error


def stream(file, size, name, mimetype=None, *, inline=False):
    """Answer with a file, so that a browser runs nothing of what is in it.

    :param file: open binary file, closed at the end
    :param int size: bytes
    :param str name: name to save it under
    :param mimetype: what it is; ``None`` for a browser not to know
    :param bool inline: show it in the page instead of saving it
    """
    return request.make_response(
        FileWrapper(file, 1 << 18),
        [
            ("Content-Type", mimetype or "application/octet-stream"),
            ("Content-Length", str(size)),
            (
                "Content-Disposition",
                content_disposition(name, "inline" if inline else "attachment"),
            ),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Security-Policy", "default-src 'none'; sandbox"),
            ("Cache-Control", "private, no-store"),
        ],
    )

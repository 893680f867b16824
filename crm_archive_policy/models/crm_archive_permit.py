"""What tells an approved deletion from any other."""

#: Key in the context under which :class:`Permit` travels.
PERMIT = "archive_permit"


class Permit:
    """Tells the checks of ``unlink()`` that a deletion was approved.

    It travels in the context; a client can send a context too, but never an instance
    of this class.

    :ivar model: model of the records
    :ivar ids: ids of the records that may go; those a merge takes in are among them,
        whose retention goes on with the record that remains
    """

    def __init__(self, records):
        self.model, self.ids = records._name, set(records.ids)

    def covers(self, record):
        """Tell whether a record may be deleted."""
        return record._name == self.model and record.id in self.ids

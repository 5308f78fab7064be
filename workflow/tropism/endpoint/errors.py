"""What can go wrong with a server."""

from tropism.records.files import InputError


class EndpointError(InputError):
    """A server that could not be asked, or did not answer; the message holds no key."""


class MalformedError(ValueError):
    """An answer of status 200 that is not what was asked for; the next try may bring a whole one."""

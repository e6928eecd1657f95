"""Why a URL is not fetched."""


class FetchRefused(ValueError):
    """The URL may not be fetched, or gave no file; the message is a sentence for the caller.

    It names no address, and not what a redirect led to.
    """

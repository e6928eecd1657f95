"""The refusals of the routes of kept responses."""

from __future__ import annotations

from inference.api.offenders import ROOT, abridged
from inference.errors import ApiError, NotFound, Offender


class PreviousResponseNotFound(ApiError, status=400, code="previous_response_not_found"):
    """The response to continue is not there: unknown, expired, deleted, another's, or never kept."""

    def __init__(self, response_id: str) -> None:
        message = f"Previous response with id '{response_id}' not found."
        super().__init__(message, offenders=[Offender((ROOT, "previous_response_id"), response_id, message)])


class ItemNotFound(NotFound, code="item_not_found"):
    """The item that is referred to is not there."""

    def __init__(self, item_id: str, index: int) -> None:
        shown = abridged(item_id)
        message = (
            f"Item with id '{shown}' not found. Items of responses that were not kept cannot be referred to"
        )
        super().__init__(f"{message}.", offenders=[Offender((ROOT, "input", index, "id"), shown, message)])


class ResponseNotFound(NotFound):
    """The response is not there."""

    def __init__(self, response_id: str) -> None:
        super().__init__(f"Response with id '{abridged(response_id)}' not found.")

    @property
    def param(self) -> str:
        return "response_id"


class NotCancellable(ApiError, status=400, code="not_cancellable"):
    """The response did not run in the background."""

    def __init__(self) -> None:
        super().__init__("Only responses that run in the background can be cancelled, and none does here.")

    @property
    def param(self) -> str:
        return "response_id"

"""Who may reach the dashboard and act there: nobody beyond this machine without an identity, unless the operator says so."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from enum import StrEnum

from orchestrator.errors import NotAllowed
from orchestrator.settings import Settings

LOCAL = "dashboard"
"""The actor where no proxy names a person: whoever sits at this machine."""


class Role(StrEnum):
    """What a person may do in the dashboard."""

    VIEWER = "viewer"
    """Look."""
    SUBMITTER = "submitter"
    """Submit studies, and pause, resume and cancel those that they submitted."""
    OPERATOR = "operator"
    """Pause, resume and cancel any study, too."""


def refusal(settings: Settings, address: str) -> str:
    """Return why a dashboard may not listen on an address, "" if it may.

    Args:
        settings: of the operator.
        address: that it is to listen on.
    """
    reached = settings.dashboard_published or address
    if is_loopback(reached) or settings.dashboard_user_header or settings.dashboard_insecure:
        return ""
    return (
        f"the dashboard would be reached on {reached} by whoever comes, and could cancel studies\n"
        "hint: put a proxy that authenticates in front, and name the header in which it says who it is by "
        "ABLATE_DASHBOARD_USER_HEADER; or allow it with ABLATE_DASHBOARD_INSECURE=true"
    )


def is_loopback(address: str) -> bool:
    """Return whether an address is this machine's own; an empty one is all of its addresses."""
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address == "localhost"


def person(settings: Settings, headers: Mapping[str, str]) -> str:
    """Return who asks: the person that the proxy names, "" if it names none; without a proxy, `LOCAL`."""
    return headers.get(settings.dashboard_user_header, "").strip() if settings.dashboard_user_header else LOCAL


def role(settings: Settings, who: str) -> Role:
    """Return what a person may do, as the operator's settings say; without a proxy, everything."""
    if not settings.dashboard_user_header or who in settings.dashboard_operators:
        return Role.OPERATOR
    return Role.SUBMITTER if who in settings.dashboard_submitters else Role.VIEWER


def may_submit(settings: Settings, who: str) -> bool:
    """Return whether a person may submit studies."""
    return role(settings, who) is not Role.VIEWER


def may_move(settings: Settings, who: str, submitted_by: str) -> bool:
    """Return whether a person may pause, resume and cancel a study that somebody submitted."""
    return role(settings, who) is Role.OPERATOR or (may_submit(settings, who) and who == submitted_by)


def refuse_submission(settings: Settings, who: str) -> None:
    """Refuse whoever may not submit.

    Raises:
        NotAllowed: who it is, and which setting decides.
    """
    if not may_submit(settings, who):
        raise NotAllowed(f"{who or 'somebody without a name'} may look, but not submit\n"
                         "hint: ABLATE_DASHBOARD_SUBMITTERS and ABLATE_DASHBOARD_OPERATORS name who may")


def refuse_move(settings: Settings, who: str, submitted_by: str) -> None:
    """Refuse whoever may not pause, resume or cancel a study that somebody submitted.

    Raises:
        NotAllowed: who it is, whose study it is, and which setting decides.
    """
    if not may_move(settings, who, submitted_by):
        whose = f"{submitted_by} submitted it; " if submitted_by else ""
        raise NotAllowed(f"{who or 'somebody without a name'} may not change this study: {whose}operators may change any\n"
                         "hint: ABLATE_DASHBOARD_OPERATORS names them")

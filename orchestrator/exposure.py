"""Who may reach the dashboard and act there: nobody beyond this machine without an identity, unless the operator says so."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from orchestrator.settings import Settings

LOCAL = "dashboard"
"""The actor where no proxy names a person: whoever sits at this machine."""


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


def may_act(settings: Settings, who: str) -> bool:
    """Return whether somebody may change studies in the dashboard."""
    return who in settings.dashboard_operators if settings.dashboard_user_header else True

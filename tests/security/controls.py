"""The 17 controls of the threat model, and the beginnings of the names of the tests that show each of them."""

from dataclasses import dataclass

_S, _O = "tests/security/", "tests/orchestrator/"
_SOURCES, _IMAGES = "tests/model/data/sources/test_safety.py::", "tests/model/images/test_decode.py::"


@dataclass(frozen=True)
class Control:
    """What is promised, and where it is shown."""

    number: int
    promise: str
    tests: tuple[str, ...]


CONTROLS = tuple(Control(number, promise, tests) for number, promise, tests in (
    (1, "Ray asks for a token", (f"{_S}test_services.py::test_s01",)),
    (2, "nothing listens beyond loopback by default", (
        f"{_S}test_services.py::test_s02", f"{_O}execution/ray/test_cluster.py::test_local_cluster")),
    (3, "foreign hosts and origins are refused", (f"{_S}test_services.py::test_s03",)),
    (4, "no identity, no page; a viewer changes nothing", (f"{_S}test_people.py::test_s04",)),
    (5, "a study file is data", (f"{_O}study/test_strict_yaml.py::test_any_bytes", f"{_O}study/test_strict_yaml.py::test_is_refused",
                                 f"{_O}study/test_strict_yaml.py::test_large_hostile")),
    (6, "no path leads out of its root", (f"{_S}test_inputs.py::test_s06", f"{_SOURCES}test_a_name_that_climbs",
                                          f"{_SOURCES}test_no_name_whatever",
                                          f"{_SOURCES}test_a_link_out")),
    (7, "no address leads inside", (f"{_SOURCES}test_an_address_that", f"{_SOURCES}test_a_host_with",
                                    f"{_SOURCES}test_a_redirect_to", f"{_SOURCES}test_remote_is_off")),
    (8, "a picture cannot exhaust a worker", (f"{_IMAGES}test_decompression_bomb", f"{_IMAGES}test_truncated",
                                              f"{_IMAGES}test_animation")),
    (9, "parsing cannot execute", ("tests/test_architecture.py::test_no_module_breaks_the_rule", f"{_S}test_inputs.py::test_s09")),
    (10, "names are data for the database, and readers only read", (f"{_S}test_people.py::test_s10",)),
    (11, "no secret is stored or shown", (f"{_S}test_secrets.py::test_s11", f"{_O}test_redaction.py")),
    (12, "names are data for browsers and spreadsheets", (f"{_S}test_inputs.py::test_s12",
                                                       "tests/dashboard/test_pages.py::test_page_opens")),
    (13, "no dependency below its floor", ("tests/test_versions.py::test_nothing_is_below",)),
    (14, "the browser is told no internals", (f"{_S}test_services.py::test_s14",)),
    (15, "a study cannot ask for everything", (f"{_S}test_inputs.py::test_s15",)),
    (16, "the compose file is confined", ("tests/test_compose.py",)),
    (17, "an open door is refused, with the setting that allows it", (f"{_S}test_people.py::test_s17",)),
))

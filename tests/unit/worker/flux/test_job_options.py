"""What `workers.launcher_options` may pass on to Flux."""

from __future__ import annotations

import pytest

from moireloop_worker.flux.job_options import job_options, why_refused


def test_options_come_where_flux_has_them() -> None:
    """By the names that `flux submit` has: queue, bank, -o and -S."""
    options = {
        "queue": "batch",
        "time-limit": "90m",
        "exclusive": "",
        "o.cpu-affinity": "off",
        "o.verbose": "",
        "S.system.x": "2",
    }
    assert why_refused(options) is None
    found = job_options(options)
    assert found.attributes == {"system.queue": "batch", "system.x": 2, "system.duration": 5400}
    assert found.shell == {"cpu-affinity": "off", "verbose": 1}
    assert found.exclusive
    assert not job_options({}).exclusive


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"que": "batch"}, "got 'que'"),
        ({"queue": ""}, "a value for queue"),
        ({"time-limit": "soon"}, "such as 90, 30m or 2h, got 'soon'"),
        ({"exclusive": "yes"}, "got 'yes'"),
        ({"o.output.mode": "truncate"}, "which moireloop sets itself"),
        ({"o.exit-on-error": "0"}, "which moireloop sets itself"),
        ({"o.": "1"}, "got 'o.'"),
    ],
)
def test_what_flux_would_not_take_is_refused(options: dict[str, str], words: str) -> None:
    """Before anything starts, with the names that there are."""
    assert words in str(why_refused(options))

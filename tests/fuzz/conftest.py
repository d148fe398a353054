"""Shares the time of ``make fuzz`` among the tests that were chosen."""

import pytest

from fuzz import running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    running.share(sum("fuzz" in item.path.parts for item in items))
    if running.SECONDS:
        for item in items:
            item.add_marker(pytest.mark.timeout(running.SECONDS + 180))

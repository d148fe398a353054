"""How the demonstration judges its steps."""

import pytest

import demo


def test_only_known_names_are_filled_in() -> None:
    assert demo.fill("ping {address} {{.Id}} [0-9]{2} {other}", {"address": "10.0.0.1"}) == (
        "ping 10.0.0.1 {{.Id}} [0-9]{2} {other}"
    )


@pytest.mark.parametrize(
    ("step", "code", "output", "fault"),
    [
        (demo.Step("", "x"), 0, "", ""),
        (demo.Step("", "x"), 1, "", "exit status 1, where 0 was expected"),
        (demo.Step("", "x", succeeds=False), 1, "", ""),
        (demo.Step("", "x", succeeds=False), 0, "", "exit status 0, where a failure was expected"),
        (demo.Step("", "x", shows="^b$"), 0, "a\nb\n", ""),
        (demo.Step("", "x", shows="^c$"), 0, "a\nb\n", "expected in the output: ^c$"),
        (demo.Step("", "x", shows="to {address} "), 0, "to 10.0.0.1 ", ""),
        (
            demo.Step("", "x", shows="to {address} "),
            0,
            "to 10x0.0.1 ",
            r"expected in the output: to 10\.0\.0\.1 ",
        ),
    ],
)
def test_an_outcome_is_judged_by_exit_status_and_output(
    step: demo.Step, code: int, output: str, fault: str
) -> None:
    assert demo.fault_of(step, code, output, {"address": "10.0.0.1"}) == fault


def test_every_name_used_was_captured_before() -> None:
    known = {"archive"}
    for step in demo.WALK:
        if step:
            names = {"archive", "address", "web", "app"}
            used = {name for name in names if f"{{{name}}}" in step.command + step.shows}
            assert used <= known
            known |= {step.captures}

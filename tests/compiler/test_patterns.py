"""What a function pattern may be, and what its routes give: by any axis, chains within tables, names of routes."""

import dataclasses
from types import SimpleNamespace

import pytest

STACKED = "{name: p, group_by: channel, stack: site, func: {DNA: DNA_, GFP: GFP_}, outputs: {positions: tiles}}"


def steps(*lines: str) -> str:
    return "name: demo\nsteps:\n" + "".join(f"  - {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("axis", "values", "index"),
    [
        ("site", (1, 2), {}), ("channel", ("GFP", "DNA"), {}), ("z", (1, 2, 3), {"z": 3}),
        ("t", (0, 1), {"t": 2}),
    ],
)  # fmt: skip
def test_one_function_for_each_value_of_any_axis(
    fake: SimpleNamespace, axis: str, values: tuple[object, ...], index: dict[str, int]
) -> None:
    table = ", ".join(f"{value}: {{call: fake.gamma, args: {{gamma: {n}}}}}" for n, value in enumerate(values, 2))
    plan = fake.compile(steps(f"{{name: a, group_by: {axis}, func: {{{table}}}, keep: true}}"), fake.index(**index))[
        "B02"
    ].step_plans[0]
    assert [plan.func.chain_for(value)[0].args["gamma"] for value in values] == list(range(2, len(values) + 2))


def test_the_four_forms(fake: SimpleNamespace) -> None:
    forms = {
        "fake.blur": [["fake.blur"]],
        "{call: fake.blur, args: {sigma: 3}}": [["fake.blur"]],
        "[fake.blur, {call: fake.gamma, args: {gamma: 2}}]": [["fake.blur", "fake.gamma"]],
        "{DNA: [fake.blur, fake.gamma], GFP: fake.blur}": [["fake.blur", "fake.gamma"], ["fake.blur"]],
    }
    for form, expected in forms.items():
        routed = "group_by: channel, " if form.startswith("{DNA") else ""
        func = fake.compile(steps(f"{{name: a, {routed}func: {form}, keep: true}}"))["B02"].step_plans[0].func
        chains = [func.chain] if func.group_by is None else [func.chain_for(value) for value in ("DNA", "GFP")]
        assert [[call.call for call in chain] for chain in chains] == expected


def test_what_routes_is_not_stacked(fake: SimpleNamespace) -> None:
    text = steps("{name: a, group_by: z, stack: z, func: {1: fake.blur}, keep: true}")
    assert "pipeline.yaml:3: Step 'a': z is stacked, and cannot route too." in fake.problems(text)


@pytest.mark.parametrize(
    ("wells", "found"),
    [
        ("[B02]", {"B02"}), ("[B]", {"B02", "B03"}), ("['3']", {"B03"}), ("[B03-C03]", {"B03"}),
        ("[B02, C]", {"B02", "C02"}), ("[A01-C02]", {"B02", "C02"}),
    ],
)  # fmt: skip
def test_wells_of_a_step(fake: SimpleNamespace, wells: str, found: set[str]) -> None:
    contexts = fake.compile(steps("{name: all, func: fake.gamma, keep: true}",
                                  f"{{name: some, wells: {wells}, input: raw, stack: channel, func: fake.quality, outputs: {{table: q}}}}"))  # noqa: E501 # fmt: skip
    assert {well for well, context in contexts.items() if len(context.step_plans) == 2} == found


def routed(first: str, second: str) -> str:
    return STACKED.replace("DNA_", first).replace("GFP_", second)


def test_a_value_of_one_route_by_its_name(fake: SimpleNamespace) -> None:
    text = steps(
        routed("fake.stage", "fake.stage"),
        "{name: whole, input: raw, channels: [GFP], stack: site, func: fake.mosaic, inputs: {positions: tiles.DNA}, keep: true}",  # noqa: E501
    )
    plan = fake.compile(text)["B02"].step_plans[1]
    (link,) = plan.special_inputs["positions"]
    assert (link.name, link.axis, link.value, link.key) == ("tiles", "channel", "DNA", "tiles.DNA")
    assert plan.func.chain[0].special_inputs == {"positions": "tiles.DNA"}


ONLY = "pipeline.yaml:4: Step 'whole': "
WHOLE = "{name: whole, input: raw, stack: site, func: fake.mosaic, inputs: {positions: NAME}, keep: true}"


@pytest.mark.parametrize(
    ("second", "name", "problem"),
    [
        ("fake.volume2", "tiles", f"{ONLY}'tiles' was not made for channel GFP."),
        ("fake.volume2", "tiles.GFP", f"{ONLY}step 'p' gives no 'tiles.GFP'. Did you mean tiles.DNA?"),
        ("fake.stage", "tiles.DAN", f"{ONLY}step 'p' gives no 'tiles.DAN'. Did you mean tiles.DNA or tiles.GFP?"),
        ("fake.stage", "tile.DNA", f"{ONLY}no earlier step names 'tile.DNA' among its outputs. Did you mean tiles?"),
    ],
)
def test_names_of_routes_that_are_not_there(
    fake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, second: str, name: str, problem: str
) -> None:
    monkeypatch.setitem(
        fake.entries, "fake.volume2", dataclasses.replace(fake.entries["fake.volume"], coupling="none", axis="site")
    )
    found = fake.problems(steps(routed("fake.stage", second), WHOLE.replace("NAME", name)))
    assert any(problem in one for one in found), found


def test_a_name_of_a_route_where_nothing_routes(fake: SimpleNamespace) -> None:
    stage = "{name: p, stack: site, func: fake.stage, outputs: {positions: tiles}}"
    found = fake.problems(steps(stage, WHOLE.replace("NAME", "tiles.DNA")))
    assert f"{ONLY}'tiles' comes from no routing table, so there is no 'tiles.DNA'. Write `positions: tiles`." in found


@pytest.mark.parametrize(
    ("axis", "routes", "alone"),
    [
        ("channel", ("DNA", "GFP"), " For those of DNA alone, make them in a step with `channels: [DNA]`."),
        ("site", (1, 2), ""),
    ],
)
def test_labels_are_not_taken_by_route(
    fake: SimpleNamespace, axis: str, routes: tuple[object, object], alone: str
) -> None:
    table = ", ".join(f"{route}: {{call: fake.segment, args: {{min_diameter: 2}}}}" for route in routes)
    found = fake.problems(steps(
        f"{{name: n, group_by: {axis}, func: {{{table}}}, outputs: {{labels: nuclei}}}}",
        f"{{name: divide, input: raw, func: fake.divide, inputs: {{field: nuclei.{routes[0]}}}, keep: true}}",
    ))  # fmt: skip
    (problem,) = found
    assert problem == (
        "pipeline.yaml:4: Step 'divide': 'nuclei' cannot be taken by route, only special outputs can: each image is "
        f"given what was made for its own {axis}. Write `field: nuclei`.{alone}"
    )


def test_routes_that_give_images_of_different_sizes(fake: SimpleNamespace) -> None:
    whole = "{name: whole, group_by: channel, stack: site, func: {DNA: fake.mosaic, GFP: fake.mean}, keep: true"
    stage = "{name: p, stack: site, func: fake.stage, outputs: {positions: tiles}}"
    found = fake.problems(steps(stage, f"{whole}, inputs: {{positions: tiles}}}}"))
    assert f"{ONLY}the routes give images of different sizes." in found


def test_labels_that_only_some_routes_give(fake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    both = dataclasses.replace(fake.entries["fake.gamma"], special_outputs=("labels",))
    monkeypatch.setitem(fake.entries, "fake.both", both)
    text = steps("{name: p, group_by: channel, func: {DNA: fake.both, GFP: fake.gamma}, outputs: {labels: dots}}")
    problem = "pipeline.yaml:3: Step 'p': only some of its routes give 'labels'. Make a step of its own for them, with"
    assert any(problem in one for one in fake.problems(text))

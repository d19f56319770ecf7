"""Methods: what was done to a plate, in sentences for a methods section, from what was executed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hcs_lib.contexts.context import FrozenContext
from hcs_lib.contexts.gates import GateFound
from hcs_lib.contexts.manifests import APPROVALS
from hcs_lib.contexts.plans import StepPlan
from hcs_lib.core.canonical import digest
from hcs_lib.core.domains import AXES
from hcs_lib.core.files import read_json
from hcs_lib.provenance import values
from hcs_lib.provenance.calls import CallRecord, Functions, calls_of
from hcs_lib.provenance.citations import Bibliography, software
from hcs_lib.provenance.descriptions import DESCRIPTIONS, Call
from hcs_lib.provenance.protocols import Protocol, differences, protocols_of
from hcs_lib.provenance.runs import PlateRun
from hcs_lib.provenance.versions import software_of, workflow_version

_SHOWN = 20
"""How many failures and sites left out are listed by name."""

_ORIGINS = {
    "pipeline": "pipeline",
    "default": "default",
    "plate": "metadata of the plate",
    "step": "earlier step",
    "compiler": "compiler",
}


def methods_of(run: PlateRun, snakemake: str | None = None) -> str:
    """Return the methods of a plate, in Markdown. The same receipts give the same text.

    Everything is read from receipts and from the contexts that they stand for; the registry adds defaults and
    documentation, where it is of the functions that were executed.

    Parameters
    ----------
    run
        What was executed.
    snakemake
        Version of the Snakemake that ran the workflow, where one did.
    """
    bibliography = Bibliography()
    functions = Functions(run.folder.parent / "registry")
    main, *others = protocols_of(run.executed)
    calls = [call for context, plan in main.model.steps() for call in calls_of(context, plan, functions)]
    parts = [
        f"# Image analysis of plate {run.plan.plate}",
        "## Images",
        *_images(run, main),
        "## Analysis",
        *_workflow(run, snakemake, bibliography),
        *_steps(main, calls, functions, bibliography),
        *_gate(run),
        *_tables(run),
        *_exceptions(run, main, others, functions),
        "## Software",
        *_software(run, snakemake, bibliography),
        "## Parameters",
        *_parameters(main, calls),
        "## References",
        "\n".join(bibliography.lines()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _images(run: PlateRun, main: Protocol) -> Iterator[str]:
    context = main.model.contexts[0]
    planes = [plane for well in run.executed for plane in _planes(well.contexts)]
    expected = len(planes) + len({problem for well in run.executed for c in well.contexts for problem in c.problems})
    read = sum(len({name for receipt in well.receipts for name in receipt.planes}) for well in run.executed)
    per_well = {
        axis: {len({getattr(plane, axis) for plane in _planes(well.contexts)}) for well in run.executed}
        for axis in AXES
    }
    size, pixel = context.plane_shape, context.metadata.pixel_size_um
    spacing = context.metadata.z_spacing_um
    stack = f", {values.number(spacing)} µm apart" if spacing and max(per_well["z"]) > 1 else ""
    channels = context.metadata.channel_names
    imaged = values.count(len(run.plan.imaged), "imaged well")
    yield (
        f"Plate {run.plan.plate} was analysed in {len(run.executed)} of {imaged} "
        f"({values.wells([well.well for well in run.executed])}). A well had {_range(per_well['site'], 'site')}, "
        f"{values.count(len(channels), 'channel')} ({values.listed(channels)}), "
        f"{_range(per_well['z'], 'z-plane')}{stack} and {_range(per_well['t'], 'time point')}. "
        f"{read:,} of {values.count(expected, 'plane')} were read, of "
        f"{size[1]:,} × {size[0]:,} pixels ({context.plane_dtype})"
        + (f", with pixels of {values.number(pixel)} µm." if pixel else "; the pixel size is not recorded.")
    )
    if any(context.metadata.positions_um for well in run.executed for context in well.contexts):
        yield "Stage positions were recorded, and travel with the images."


def _planes(contexts: tuple[FrozenContext, ...]) -> set[object]:
    return {plane for context in contexts for plane in context.planes}


def _range(counts: set[int], noun: str) -> str:
    low, high = min(counts), max(counts)
    return values.count(high, noun) if low == high else f"{low:,} to {high:,} {noun}s"


def _workflow(run: PlateRun, snakemake: str | None, bibliography: Bibliography) -> Iterator[str]:
    version = workflow_version(run)
    with_ = f", run by Snakemake {snakemake}{bibliography.cite('snakemake')}" if snakemake else ""
    yield (
        f"Images were analysed with hcs-workflow{f' {version}' if version else ''}{with_}. The pipeline "
        f"“{run.plan.pipeline}” was compiled, before anything was executed, into a fixed plan for each well, with its "
        "images, functions, versions and arguments; pixel values were not rescaled unless said below."
    )


def _steps(main: Protocol, calls: list[CallRecord], functions: Functions, bibliography: Bibliography) -> Iterator[str]:
    lines = []
    for number, (context, plan) in enumerate(main.model.steps(), 1):
        own = [call for call in calls if call.step == plan.step_name]
        sentences = [f"Input: {_reads(context, plan)}."]
        for call in own:
            route = f"For {plan.group_by} {call.route}: " if call.route is not None else ""
            sentences.append(f"{route}{_describe(call, plan, context, functions, bibliography)}")
        sentences += _keeps(plan)
        lines.append(f"{number}. **{plan.step_name}**. {' '.join(sentences)}")
    raw = next((context.raw_store for context in main.model.contexts if context.raw_store), None)
    yield "\n".join(lines)
    kept = [plan.zarr_store for _, plan in main.model.steps() if plan.zarr_store]
    if raw or kept:
        what = (
            "The raw planes were stored unchanged beside the label images" if raw else "Images and labels were stored"
        )
        yield f"{what}, as an OME-Zarr 0.5 plate{bibliography.cite('ome-ngff', 'ome-zarr')}."


def _gate(run: PlateRun) -> Iterator[str]:
    gate = run.plan.gate
    if gate is not None:
        yield (
            f"After stage {gate.stage}, the plate was to go on only if no more than {gate.max_flagged:.0%} of its "
            f"sites were flagged for {values.listed(gate.flags)}, or a person approved them."
        )
        yield from _passage(run)


def _passage(run: PlateRun) -> Iterator[str]:
    """Say how the plate went through its gate, and who let it through where too many sites were flagged."""
    found = GateFound.load(run.folder)
    if found is None:
        return
    flagged = found.flagged
    sites = "; ".join(f"{site.well} site {site.site}: {site.flags}" for site in flagged)
    yield f"{len(flagged)} of {found.sites} sites were flagged{f' ({sites})' if sites else ''}."
    if not found.passed:
        yield "The plate waits there."
    elif len(flagged) > found.max_flagged * found.sites:
        approvals = read_json(run.folder / APPROVALS, "Approvals at the gate")
        key = digest([site.model_dump() for site in flagged])
        for approval in [item for item in approvals if item["digest"] == key][-1:]:
            yield f"They were approved by {approval['by']} on {approval['at'][:10]}: {approval['reason']}"


def _reads(context: FrozenContext, plan: StepPlan) -> str:
    """Say what a step takes: `Each raw plane of channel DNA`."""
    counts = {axis: len(plan.domain.values(axis)) for axis in AXES}
    channels = [name for name in plan.domain.channel if name is not None]
    of_channels = f" of channel{'s' if len(channels) > 1 else ''} {values.listed(channels)}" if channels else ""
    source = "raw plane"
    if plan.input is not None:
        producer = next((other for other in context.step_plans.values() if other.step_index == plan.input), None)
        name = producer.step_name if producer else str(plan.input)
        labels = producer is not None and producer.returns == "labels"
        source = f"label image of step *{name}*" if labels else f"plane of step *{name}*"
        of_channels = "" if labels else of_channels
    if plan.stack is None:
        return f"each {source}{of_channels}"
    axis = {"z": "z-plane", "t": "time point"}.get(plan.stack, plan.stack)
    stacked = values.count(counts[plan.stack], axis)
    if plan.stack == "channel":
        return f"the {stacked} ({values.listed(channels)}) of each {source}, stacked"
    return f"the {stacked} of each {source}{of_channels}, stacked"


def _describe(
    record: CallRecord, plan: StepPlan, context: FrozenContext, functions: Functions, bibliography: Bibliography
) -> str:
    pixel = context.metadata.pixel_size_um
    arguments = {argument.name: argument.value for argument in record.arguments}
    describe = DESCRIPTIONS.get(record.call.call)
    function = f"(`{record.call.call}`, {record.software})"
    slices = (
        " slice by slice" if plan.stack and (record.call.slice_by_slice or record.call.contract == "PURE_2D") else ""
    )
    if describe is not None and record.entry is not None:
        special = {
            name: values.listed([linked] if isinstance(linked, str) else list(linked))
            for name, linked in record.call.special_inputs.items()
        }
        text = describe(Call(arguments, special, bibliography, pixel))
        return f"{text.removesuffix('.')}{slices} {function}."
    given = [
        f"{argument.name} = {argument.text(pixel)}" for argument in record.arguments if argument.origin != "default"
    ]
    doc = record.entry.doc.rstrip(".") if record.entry and record.entry.doc else ""
    cited = bibliography.cite_texts(*functions.references(record.reference))
    what = f" ({doc[0].lower()}{doc[1:]})" if doc else ""
    with_ = f" with {', '.join(given)}" if given else ""
    return f"`{record.call.call}`{what}{cited} was applied{slices}{with_} ({record.software})."


def _keeps(plan: StepPlan) -> Iterator[str]:
    if plan.zarr_store and plan.zarr_store.label:
        yield f"The result was kept as label image *{plan.zarr_store.label}*."
    elif plan.zarr_store:
        yield f"The resulting images ({plan.zarr_store.array.dtype}) were kept."
    if plan.table:
        yield f"The values went into table *{plan.table.name}*."


def _tables(run: PlateRun) -> Iterator[str]:
    plan = run.plan
    sites = [site for well in run.executed for site in well.receipts[-1].sites]
    done = [site for well in run.done for site in well.receipts[-1].sites if site.status == "done"]
    counts = [
        f"{sum(int(site.counts.get(label, 0)) for site in done):,} {label}" for label in plan.labels
    ]  # fmt: skip
    if counts:
        yield (
            f"In {len(done):,} of {values.count(len(sites), 'site')} of {len(run.done)} of "
            f"{values.count(len(run.wells), 'well')}, {values.listed(counts)} were found."
        )
    if plan.table:
        yield (
            f"Table *{plan.table.name}* has one row for each of the {plan.table.primary}, with "
            f"{values.count(len(plan.table.columns), 'measured feature')}; wells are summarised by the median."
        )
    for name, expression in plan.derived.items():
        yield f"Derived for each row: *{name}* = `{expression}`."


def _exceptions(run: PlateRun, main: Protocol, others: list[Protocol], functions: Functions) -> Iterator[str]:
    yield "## Exceptions"
    total = len(run.executed)
    if others:
        lines = [
            f"{values.wells(main.wells)} ({len(main.wells)} of {total} wells executed) were analysed as said above."
        ]
        for other in others:
            told = list(differences(main, other, functions)) or ["the plan differed in a detail"]
            lines.append(f"In {values.wells(other.wells)} ({len(other.wells)} of {total}), {'; '.join(told)}.")
        yield "\n".join(f"- {line}" for line in lines)
    else:
        yield f"All {values.count(total, 'well')} that {'was' if total == 1 else 'were'} executed were analysed alike."
    failed = [well for well in run.executed if well.failure and not well.left_out]
    left_out = [well for well in run.executed if well.left_out]
    sites = [(well, site) for well in run.done for site in well.receipts[-1].sites if site.status != "done"]
    all_sites = sum(len(well.receipts[-1].sites) for well in run.executed)
    missing = [well.well for well in run.wells if not well.receipts]
    of_sites = f"{len(sites)} of {values.count(all_sites, 'site')} were left out of wells that were analysed"
    lines = [
        *_said(f"{len(failed)} of {total} wells failed", [f"{well.well}: {well.failure}" for well in failed]),
        *_said(f"{len(left_out)} of {total} wells were left out because of bad planes",
               [f"{well.well}: {well.failure}" for well in left_out]),
        *_said(of_sites, [f"{well.well}, site {site.site}: {site.reason}" for well, site in sites]),
    ]  # fmt: skip
    part = [well.well for well in run.executed if not well.done and not well.failure]
    if part:
        lines.append(f"- {len(part)} of {total} wells were executed in part, not in all stages: {values.wells(part)}.")
    if missing:
        lines.append(f"- {len(missing)} of {len(run.wells)} wells were not executed: {values.wells(missing)}.")
    yield "\n".join(lines)


def _said(what: str, reasons: list[str]) -> list[str]:
    """Return what happened how often, and below it why, each time."""
    more = [f"  - and {len(reasons) - _SHOWN} more (see failures.csv)"] if len(reasons) > _SHOWN else []
    lines = [f"  - {' '.join(reason.split())}" for reason in reasons[:_SHOWN]]
    return [f"- {what}{':' if reasons else '.'}", *lines, *more]


def _software(run: PlateRun, snakemake: str | None, bibliography: Bibliography) -> Iterator[str]:
    total = len(run.executed)
    parts = []
    for name, versions in software_of(run).items():
        known = software(name)
        which = " and ".join(
            version if count == total else f"{version} ({count} of {total} wells)"
            for version, count in versions.items()
        )
        parts.append(f"{known.name} {which}{bibliography.cite(known.key) if known.key else ''}")
    engines = sorted({context.engine.digest for well in run.executed for context in well.contexts})
    version = workflow_version(run)
    own = f"hcs-workflow{f' {version}' if version else ''} (engine {', '.join(digest[:12] for digest in engines)})"
    first = [own, f"Snakemake {snakemake}{bibliography.cite('snakemake')}"] if snakemake else [own]
    yield f"{values.listed([*first, *parts])}."
    devices = sorted({_device(receipt.device) for well in run.executed for receipt in well.receipts})
    yield (
        f"Executed on {values.listed(devices)}. Digests of the plans, functions and tables are in `versions.json`; the "
        "receipt of each well has those of its outputs and of the pixels of every plane that was read."
    )


def _device(device: Mapping[str, object]) -> str:
    facts = [f"{name} {value}" for name, value in device.items() if name not in ("type", "machine", "threads")]
    threads = values.count(int(str(device.get("threads", 1))), "thread")
    return f"{str(device['type']).upper()} ({', '.join([str(device['machine']), threads, *facts])})"


def _parameters(main: Protocol, calls: list[CallRecord]) -> Iterator[str]:
    pixel = main.model.contexts[0].metadata.pixel_size_um
    rows = ["| step | function | parameter | value | from |", "|---|---|---|---|---|"]
    for record in calls:
        step = record.step if record.route is None else f"{record.step} ({record.route})"
        arguments = record.arguments or (None,)
        for argument in arguments:
            cells = ("", "", "") if argument is None else (
                argument.name, argument.text(pixel), _ORIGINS[argument.origin]
            )  # fmt: skip
            rows.append(f"| {' | '.join(_cell(cell) for cell in (step, record.call.call, *cells))} |")
    yield "\n".join(rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

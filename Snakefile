from snakemake.utils import min_version

min_version("9.20")

if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/registry.smk"
include: "workflow/rules/index.smk"
include: "workflow/rules/compile.smk"
include: "workflow/rules/execute.smk"
include: "workflow/rules/gate.smk"
include: "workflow/rules/collect.smk"
include: "workflow/rules/screen.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/provenance.smk"


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        expand("results/{plate}/verdict.txt", plate=PIPELINES),
        expand(rules.collect.output, plate=PIPELINES),
        expand(rules.screen.output, plate=PIPELINES),
        rules.screen_replicates.output if len(PIPELINES) > 1 else [],
        "results/ro-crate-metadata.json",
        expand("results/{plate}/figures/plate.html", plate=PIPELINES),
        "results/report/summary.html",

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
        *plates_gone_on(*rules.collect.output, *rules.screen.output, "results/{plate}/figures/plate.html"),
        expand("results/{plate}/verdict.txt", plate=PIPELINES),
        replicates,
        crate,
        "results/report/summary.html",

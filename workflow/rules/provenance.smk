rule provenance:
    input:
        plan="results/{plate}/plan.json",
        # Wells executed anew may give the same tables, by other contexts.
        receipts=all_receipts,
        tables=rules.collect.output,
        statistics=rules.screen.output,
    output:
        methods="results/{plate}/provenance/methods.md",
        versions="results/{plate}/provenance/versions.json",
    log:
        "results/{plate}/logs/provenance.log",
    benchmark:
        "results/{plate}/benchmarks/provenance.tsv"
    conda:
        "../envs/hcs.yaml"
    threads: 1
    resources:
        mem_mb=more(1000),
        runtime=more(30),
        gpu=0,
    params:
        snakemake=SNAKEMAKE,
        code=code("contexts", "core", "provenance", "registry"),
    message:
        "Methods of plate {wildcards.plate}"
    shell:
        "hcs provenance results/{wildcards.plate} --snakemake {params.snakemake} > {log:q} 2>&1"


rule crate:
    input:
        *plates_gone_on(rules.provenance.output.methods),
        # A change that matters changes the methods; a comment does not.
        snakefile=ancient(CLONE / "Snakefile"),
        config=ancient(configuration_files()),
    output:
        "results/ro-crate-metadata.json",
    log:
        "results/workflow/logs/crate.log",
    benchmark:
        "results/workflow/benchmarks/crate.tsv"
    conda:
        "../envs/hcs.yaml"
    threads: 1
    resources:
        mem_mb=more(1000),
        runtime=more(30),
        gpu=0,
    params:
        plates=lambda wildcards, input: [
            Path(folder).name for folder in folders_of(file for file in input if file.endswith("methods.md"))
        ],
        snakemake=SNAKEMAKE,
        code=code("contexts", "core", "provenance"),
        config=lambda wildcards, input: [part for file in input.config for part in ("--config", file)],
    message:
        "RO-Crate of {params.plates}"
    shell:
        "hcs crate results {params.plates:q} --workflow {input.snakefile:q} {params.config:q}"
        " --snakemake {params.snakemake} > {log:q} 2>&1"

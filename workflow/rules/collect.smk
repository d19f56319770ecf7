rule collect:
    input:
        plan="results/{plate}/plan.json",
        receipts=all_receipts,
        gate=gate_of,
        platemap=platemap,
    output:
        objects="results/{plate}/tables/objects.parquet",
        sites="results/{plate}/tables/sites.parquet",
        wells="results/{plate}/tables/wells.csv",
        failures="results/{plate}/tables/failures.csv",
    log:
        "results/{plate}/logs/collect.log",
    benchmark:
        "results/{plate}/benchmarks/collect.tsv"
    conda:
        "../envs/hcs.yaml"
    threads: 1
    resources:
        mem_mb=more(4000),
        runtime=more(60),
        gpu=0,
    params:
        code=code("contexts", "core", "plates", "screening", "storage"),
    message:
        "Tables of plate {wildcards.plate}"
    shell:
        "hcs collect results/{wildcards.plate} > {log:q} 2>&1"


rule verdict:
    input:
        failures,
        plan="results/{plate}/plan.json",
    output:
        "results/{plate}/verdict.txt",
    log:
        "results/{plate}/logs/verdict.log",
    benchmark:
        "results/{plate}/benchmarks/verdict.tsv"
    retries: 0
    localrule: True
    conda:
        "../envs/hcs.yaml"
    threads: 1
    resources:
        mem_mb=more(500),
        runtime=more(10),
        gpu=0,
    params:
        code=code("contexts", "core", "screening", "cli/collect.py", "cli/gate.py"),
    message:
        "Verdict on plate {wildcards.plate}"
    shell:
        "hcs verdict results/{wildcards.plate} > {log:q} 2>&1 && cp {log:q} {output:q}"


onstart:
    # Snakemake deletes what its own rules write; the receipts of wells would keep them from being done again.
    forced = workflow.dag_settings
    for kind in ("cpu", "gpu"):
        if forced.forceall or f"execute_{kind}" in forced.forcerun:
            for folder in expand("results/{plate}", plate=PIPELINES):
                forget(Path(folder), stages={path.name for path in Path(folder, "receipts").glob(f"s*-{kind}")})
    from snakemake.logging import logger
    from hcs_lib.cli.watching import Watcher

    logger.handlers.insert(0, Watcher(Path("results"), logger.info))


onsuccess:
    say_how_it_ended()


onerror:
    say_how_it_ended()

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
        mem_mb=4000,
        gpu=0,
    message:
        "Tables of plate {wildcards.plate}"
    shell:
        "hcs collect results/{wildcards.plate} > {log:q} 2>&1"


rule verdict:
    input:
        plan="results/{plate}/plan.json",
        # All of them, so that a table that was deleted is made again.
        tables=rules.collect.output,
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
        mem_mb=500,
        gpu=0,
    message:
        "Verdict on plate {wildcards.plate}"
    shell:
        "hcs verdict results/{wildcards.plate} > {log:q} 2>&1 && cp {log:q} {output:q}"

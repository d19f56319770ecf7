rule registry:
    output:
        "results/registry/{library}.json",
    log:
        "results/registry/logs/{library}.log",
    benchmark:
        "results/registry/benchmarks/{library}.tsv"
    conda:
        "../envs/hcs.yaml"
    threads: 2
    resources:
        mem_mb=more(2000),
        runtime=more(60),
        gpu=lambda wildcards: gpus_to_probe(wildcards.library),
    params:
        versions=lambda wildcards: library_versions(wildcards.library),
        age=SETTINGS.registry.max_age_days,
    message:
        "Functions of {wildcards.library}"
    shell:
        "hcs registry build {wildcards.library} --max-age-days {params.age} --output {output:q} > {log:q} 2>&1"

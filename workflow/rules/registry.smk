rule registry:
    output:
        "results/registry/{library}.json",
    params:
        versions=lambda wildcards: library_versions(wildcards.library),
        modules=MODULES,
    log:
        "results/registry/logs/{library}.log",
    benchmark:
        "results/registry/benchmarks/{library}.tsv"
    threads: 2
    resources:
        mem_mb=2000,
        gpu=0,
    conda:
        "../envs/hcs.yaml"
    message:
        "Functions of {wildcards.library}"
    shell:
        "hcs registry build {wildcards.library} --output {output:q} {params.modules} > {log:q} 2>&1"

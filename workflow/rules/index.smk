rule index:
    output:
        "results/{plate}/index.json",
    log:
        "results/{plate}/logs/index.log",
    benchmark:
        "results/{plate}/benchmarks/index.tsv"
    conda:
        "../envs/hcs.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        gpu=0,
    params:
        options=index_options,
        snapshot=lambda wildcards: snapshot(SETTINGS.plate(wildcards.plate).path),
        code=code("core", "plates"),
    message:
        "Index of plate {wildcards.plate}"
    shell:
        "hcs index {params.options:q} --output {output:q} > {log:q} 2>&1"

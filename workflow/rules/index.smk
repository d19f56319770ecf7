rule index:
    output:
        "results/{plate}/index.json",
    params:
        options=index_options,
        snapshot=lambda wildcards: snapshot(PLATES[wildcards.plate].path),
    log:
        "results/{plate}/logs/index.log",
    benchmark:
        "results/{plate}/benchmarks/index.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        gpu=0,
    conda:
        "../envs/hcs.yaml"
    message:
        "Index of plate {wildcards.plate}"
    shell:
        "hcs index {params.options} --output {output:q} > {log:q} 2>&1"

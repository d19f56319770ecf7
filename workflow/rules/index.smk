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
        mem_mb=more(1000),
        runtime=more(60),
        gpu=0,
    params:
        again=lambda wildcards: when_useless(Path("results", wildcards.plate, "index.json")),
        options=index_options,
        snapshot=lambda wildcards: snapshot(SETTINGS.plate(wildcards.plate).path),
        code=code("core", "plates"),
    message:
        "Index of plate {wildcards.plate}"
    shell:
        # Of a folder that holds no plate, the index says so; other plates go on, and the verdict makes it an error.
        "hcs index {params.options:q} --output {output:q} > {log:q} 2>&1 || [ $? -eq 2 ]"

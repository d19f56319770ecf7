rule screen:
    input:
        plan="results/{plate}/plan.json",
        wells="results/{plate}/tables/wells.csv",
    output:
        quality="results/{plate}/tables/assay_quality.csv",
        doses="results/{plate}/tables/dose_response.csv",
        normalised="results/{plate}/tables/normalised.csv",
        hits="results/{plate}/tables/hits.csv",
    log:
        "results/{plate}/logs/screen.log",
    benchmark:
        "results/{plate}/benchmarks/screen.tsv"
    conda:
        "../envs/hcs.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        gpu=0,
    params:
        settings=SETTINGS.screen.model_dump_json(),
        code=code("contexts", "core", "pipeline", "plates", "screening", "storage"),
    message:
        "Statistics of plate {wildcards.plate}"
    shell:
        "hcs screen results/{wildcards.plate} --settings {params.settings:q} > {log:q} 2>&1"


rule screen_replicates:
    input:
        quality=expand("results/{plate}/tables/assay_quality.csv", plate=PIPELINES),
        hits=expand("results/{plate}/tables/hits.csv", plate=PIPELINES),
    output:
        quality="results/screen/assay_quality.csv",
        hits="results/screen/hits.csv",
    log:
        "results/screen/logs/replicates.log",
    benchmark:
        "results/screen/benchmarks/replicates.tsv"
    conda:
        "../envs/hcs.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        gpu=0,
    params:
        folders=expand("results/{plate}", plate=PIPELINES),
        settings=SETTINGS.screen.model_dump_json(),
        code=code("core", "pipeline", "screening", "storage"),
    message:
        "Statistics over {input.quality}"
    shell:
        "hcs replicates {params.folders:q} --settings {params.settings:q} > {log:q} 2>&1"

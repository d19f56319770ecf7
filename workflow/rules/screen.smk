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
        mem_mb=more(2000),
        runtime=more(30),
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
        *plates_gone_on("results/{plate}/tables/assay_quality.csv", "results/{plate}/tables/hits.csv"),
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
        mem_mb=more(2000),
        runtime=more(30),
        gpu=0,
    params:
        folders=lambda wildcards, input: folders_of(file for file in input if file.endswith("hits.csv")),
        settings=SETTINGS.screen.model_dump_json(),
        code=code("core", "pipeline", "screening", "storage"),
    message:
        "Statistics over {params.folders}"
    shell:
        "hcs replicates {params.folders:q} --settings {params.settings:q} > {log:q} 2>&1"

checkpoint compile:
    input:
        index="results/{plate}/index.json",
        registry=registry_files,
        platemap=platemap,
        files=lambda wildcards: files_of(PIPELINES[wildcards.plate]),
    output:
        "results/{plate}/plan.json",
    log:
        "results/{plate}/logs/compile.log",
    benchmark:
        "results/{plate}/benchmarks/compile.tsv"
    conda:
        "../envs/hcs.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        gpu=0,
    params:
        source=str(SOURCE),
        settings=settings_of,
        pipeline=lambda wildcards: PIPELINES[wildcards.plate].model.model_dump(mode="json"),
        engine=current_engine().model_dump(mode="json"),
        code=code("compiler", "contexts", "core", "pipeline", "plates", "registry", "storage"),
    message:
        "Contexts of plate {wildcards.plate}"
    script:
        "../scripts/compile.py"

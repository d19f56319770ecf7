rule compile:
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
        mem_mb=more(1000),
        runtime=more(30),
        gpu=0,
    params:
        # What was refused is tried again by every run, and what was cut is written again.
        again=lambda wildcards: when_useless(Path("results", wildcards.plate, "plan.json")),
        source=str(SOURCE),
        settings=settings_of,
        pipeline=lambda wildcards: PIPELINES[wildcards.plate].model.model_dump(mode="json"),
        engine=current_engine().model_dump(mode="json"),
        code=code("compiler", "contexts", "core", "pipeline", "plates", "registry", "storage"),
    message:
        "Contexts of plate {wildcards.plate}"
    script:
        "../scripts/compile.py"


checkpoint plans:
    # For a group of plates: whenever a checkpoint is done, Snakemake looks at all jobs that are not.
    input:
        lambda wildcards: expand("results/{plate}/plan.json", plate=GROUPS[wildcards.group]),
    output:
        "results/workflow/plans/{group}.txt",
    log:
        "results/workflow/logs/plans/{group}.log",
    benchmark:
        "results/workflow/benchmarks/plans/{group}.tsv"
    localrule: True
    conda:
        "../envs/hcs.yaml"
    threads: 1
    resources:
        mem_mb=more(500),
        runtime=more(10),
        gpu=0,
    message:
        "Plans of plates, group {wildcards.group}"
    shell:
        "cksum {input:q} > {output:q} 2> {log:q}"

rule execute_cpu:
    input:
        manifest=manifest,
        before=stages_before,
        gate=gate_before,
    output:
        "results/{plate}/receipts/{stage}/batches/{batch}.json",
    log:
        "results/{plate}/logs/{stage}/{batch}.log",
    benchmark:
        "results/{plate}/benchmarks/{stage}/{batch}.tsv"
    wildcard_constraints:
        stage=r"s\d+-cpu",
    conda:
        "../envs/hcs.yaml"
    threads: 1
    resources:
        mem_mb=stage_memory,
        runtime=stage_minutes,
        gpu=0,
    message:
        "Wells of plate {wildcards.plate}, stage {wildcards.stage}, batch {wildcards.batch}"
    shell:
        "hcs execute {input.manifest:q} > {log:q} 2>&1"


use rule execute_cpu as execute_gpu with:
    wildcard_constraints:
        stage=r"s\d+-gpu",
    resources:
        mem_mb=stage_memory,
        runtime=stage_minutes,
        gpu=1,
    message:
        "Wells of plate {wildcards.plate}, stage {wildcards.stage}, batch {wildcards.batch}, on a GPU"

checkpoint gate:
    input:
        plan="results/{plate}/plan.json",
        receipts=gated_receipts,
    output:
        "results/{plate}/gate.json",
    log:
        "results/{plate}/logs/gate.log",
    benchmark:
        "results/{plate}/benchmarks/gate.tsv"
    retries: 0
    localrule: True
    conda:
        "../envs/hcs.yaml"
    threads: 1
    resources:
        mem_mb=more(1000),
        runtime=more(10),
        gpu=0,
    params:
        code=code("contexts", "core", "screening", "cli/gate.py"),
    message:
        "Gate of plate {wildcards.plate}"
    shell:
        # That the plate waits is what the gate found; the verdict makes it an error.
        "hcs gate results/{wildcards.plate} > {log:q} 2>&1 || [ $? -eq 1 ]"

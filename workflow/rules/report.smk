rule figures:
    input:
        plan="results/{plate}/plan.json",
        wells="results/{plate}/tables/wells.csv",
        sites="results/{plate}/tables/sites.parquet",
        failures="results/{plate}/tables/failures.csv",
        quality="results/{plate}/tables/assay_quality.csv",
        doses="results/{plate}/tables/dose_response.csv",
        hits="results/{plate}/tables/hits.csv",
    output:
        report(
            "results/{plate}/figures/plate.html",
            caption="../report/plate.rst",
            category="2 Plates",
            subcategory="{plate}",
            labels={"shows": "1 map and tables"},
        ),
        report(
            "results/{plate}/figures/heatmaps.png",
            caption="../report/heatmaps.rst",
            category="2 Plates",
            subcategory="{plate}",
            labels={"shows": "2 heat maps"},
        ),
        report(
            "results/{plate}/figures/controls.svg",
            caption="../report/controls.rst",
            category="2 Plates",
            subcategory="{plate}",
            labels={"shows": "3 controls"},
        ),
        report(
            "results/{plate}/figures/dose_response.svg",
            caption="../report/dose_response.rst",
            category="2 Plates",
            subcategory="{plate}",
            labels={"shows": "4 dose-response"},
        ),
        report(
            "results/{plate}/figures/quality.svg",
            caption="../report/quality.rst",
            category="2 Plates",
            subcategory="{plate}",
            labels={"shows": "5 quality"},
        ),
        report(
            "results/{plate}/figures/montage.png",
            caption="../report/montage.rst",
            category="2 Plates",
            subcategory="{plate}",
            labels={"shows": "6 all wells"},
        ),
        report(
            "results/{plate}/figures/fields.png",
            caption="../report/fields.rst",
            category="2 Plates",
            subcategory="{plate}",
            labels={"shows": "7 fields, full size"},
        ),
    log:
        "results/{plate}/logs/figures.log",
    benchmark:
        "results/{plate}/benchmarks/figures.tsv"
    conda:
        "../envs/hcs.yaml"
    threads: 1
    resources:
        mem_mb=more(2000),
        runtime=more(30),
        gpu=0,
    params:
        code=code("contexts", "core", "report", "screening", "storage", "cli/report.py"),
    message:
        "Figures of plate {wildcards.plate}"
    shell:
        "hcs figures results/{wildcards.plate} > {log:q} 2>&1"


rule summary:
    input:
        *plates_gone_on(
            *expand(
                "results/{{plate}}/tables/{table}",
                table=["wells.csv", "sites.parquet", "failures.csv", "assay_quality.csv", "hits.csv"],
            )
        ),
        replicates=replicates,
    output:
        report(
            "results/report/summary.html",
            caption="../report/summary.rst",
            category="1 Summary",
            labels={"shows": "1 all plates"},
        ),
        report(
            "results/report/plates.png",
            caption="../report/plates.rst",
            category="1 Summary",
            labels={"shows": "2 plates on one scale"},
        ),
        "results/report/landing.html",
    log:
        "results/report/logs/summary.log",
    benchmark:
        "results/report/benchmarks/summary.tsv"
    conda:
        "../envs/hcs.yaml"
    threads: 1
    resources:
        mem_mb=more(2000),
        runtime=more(30),
        gpu=0,
    params:
        code=code("contexts", "core", "report", "screening", "storage", "cli/report.py"),
        folders=expand("results/{plate}", plate=PIPELINES),
        screen=lambda wildcards, input: ["--screen", "results/screen"] if input.replicates else [],
    message:
        "Summary of all plates"
    shell:
        "hcs report {params.folders:q} {params.screen:q} --output results/report > {log:q} 2>&1"

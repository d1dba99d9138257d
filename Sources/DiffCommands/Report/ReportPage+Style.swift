extension ReportPage {
  static let style = """
    :root{--paper:#f6f7f8;--card:#fff;--text:#1c2128;--muted:#5f6670;--line:#e2e4e8;
    --empty:#eceef1;--copies:#8a929c;--ink:31 95 191;--most:.62;--full:.9;
    --c0:#1f5fbf;--c1:#b8560f;--c2:#2a7f3f;--c3:#8a3fb0;--c4:#0b7a85;--c5:#c02f6e}
    @media (prefers-color-scheme:dark){:root{--paper:#14171b;--card:#1b1f25;--text:#e4e7eb;
    --muted:#98a1ad;--line:#2c323a;--empty:#262b33;--copies:#77818d;--ink:110 168 255;--most:.42;--full:.8;
    --c0:#6ea8ff;--c1:#f2a65a;--c2:#6fcf87;--c3:#c79bf2;--c4:#4fc3cf;--c5:#f58bb5}}
    *{box-sizing:border-box}
    body{margin:0 auto;max-width:76rem;padding:1.5rem 1rem 4rem;background:var(--paper);
    color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
    overflow-wrap:anywhere}
    h1{font-size:1.6rem;margin:.5rem 0 .2rem}h2{font-size:1.15rem;margin:0 0 .6rem}
    h3{font-size:.95rem;margin:1.2rem 0 .4rem}p{margin:.2rem 0}
    .muted{color:var(--muted);font-size:.86rem}code{font-size:.95em}
    section{background:var(--card);border:1px solid var(--line);border-radius:10px;
    padding:1.1rem 1.2rem;margin:1rem 0}
    .beside{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));
    gap:1.2rem 2rem;margin:.8rem 0}.beside.broad{
    grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr))}
    .beside.single{grid-template-columns:minmax(0,1fr)}
    figure{margin:0;min-width:0;max-width:46rem}figcaption{font-size:.86rem;margin-bottom:.35rem}
    figcaption b{font-weight:600;margin-right:.8rem}
    .key{color:var(--muted);margin-right:.8rem;font-variant-numeric:tabular-nums}
    .key::before{content:"";display:inline-block;width:.9rem;height:.2rem;margin-right:.35rem;
    vertical-align:middle;background:var(--c)}
    .c0{--c:var(--c0)}.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}.c4{--c:var(--c4)}
    .c5{--c:var(--c5)}
    .rows{font-size:.8rem;line-height:1.25}
    .row{display:grid;grid-template-columns:6rem minmax(0,1fr) 4.6rem;gap:0 .6rem;
    align-items:center;padding:1px 0}.bars .row{grid-template-columns:6rem minmax(0,1fr) 7.5rem}
    .long .row{grid-template-columns:min(15.5rem,45%) minmax(0,1fr) 4.6rem}
    .name{text-align:right}.value{font-variant-numeric:tabular-nums;white-space:nowrap}
    .bar{display:flex;height:1rem}.bar i{min-width:1px}
    .ink{background:var(--c0)}.second{background:var(--c1)}.copies{background:var(--copies)}
    .cells{display:grid;grid-auto-flow:column;grid-auto-columns:minmax(0,1fr);gap:1px}
    i{font-style:normal}.cells i{height:1.15rem}.cells i,.matrix i{background:var(--empty)}
    .cells i[style]{background:rgb(var(--ink)/calc(.05 + var(--s)*var(--full)))}
    .matrix i[style],.pale i[style]{background:rgb(var(--ink)/calc(.05 + var(--s)*var(--most)))}
    .cells .gap{visibility:hidden}.top{color:var(--muted);white-space:nowrap}
    .scale{display:flex;align-items:center;gap:.5rem;font-size:.8rem;color:var(--muted);
    margin:.5rem 0}.scale .cells{width:10rem}.scale .cells i{height:.8rem}
    .matrix{display:grid;grid-template-columns:minmax(5rem,8rem) repeat(var(--n),minmax(0,3rem));
    gap:1px;font-size:.75rem;line-height:1.2}
    .matrix .name{padding-right:.5rem;align-self:center}
    .matrix i{min-height:1.2rem;display:grid;place-items:center;font-variant-numeric:tabular-nums}
    .matrix:not(.dense) i{min-height:2rem}
    .column{writing-mode:vertical-rl;transform:rotate(180deg);justify-self:center;
    white-space:nowrap;padding-top:.3rem}
    svg{display:block;width:100%}
    .raster{background:var(--empty);shape-rendering:crispEdges}
    .raster path{fill:rgb(var(--ink)/calc(.05 + var(--s)*var(--full)))}
    .row .raster{height:1.15rem}.map .raster{max-width:34rem;border:1px solid var(--line)}
    .plot{display:grid;grid-template-columns:auto minmax(0,1fr);gap:0 .5rem;font-size:.75rem;
    line-height:1rem;color:var(--muted);font-variant-numeric:tabular-nums}
    .plot svg{height:8rem;margin:.5rem 0;overflow:visible;fill:none}
    .ticks{display:flex;flex-direction:column;justify-content:space-between;text-align:right;
    white-space:nowrap}.steps{grid-column:2;display:flex;justify-content:space-between}
    .plot path,.plot polyline{vector-effect:non-scaling-stroke}
    .plot polyline,.dot{stroke:var(--c);stroke-width:1.8;stroke-linejoin:round}
    .plot .faint{stroke-opacity:.3;stroke-width:1}.dashed{stroke-dasharray:5 3}
    .plot .dot{stroke-width:7;stroke-linecap:round}.grid{stroke:var(--line)}
    .mark{stroke:var(--muted);stroke-dasharray:2 3}
    .cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));
    gap:.8rem}
    .card{border:1px solid var(--line);border-radius:8px;padding:.7rem .9rem;min-width:0;
    font-size:.86rem}.card h3{margin:0 0 .3rem}.card .score{font-size:1.25rem;font-weight:650}
    dl{margin:.4rem 0}dt{color:var(--muted)}dd{margin:0 0 .4rem}
    table{border-collapse:collapse;font-size:.86rem;font-variant-numeric:tabular-nums}
    th{text-align:left;color:var(--muted);font-weight:600;vertical-align:bottom;
    overflow-wrap:normal}
    th,td{padding:.25rem 1.2rem .25rem 0;border-bottom:1px solid var(--line)}
    .number{text-align:right}td.number{white-space:nowrap}
    details{margin:.6rem 0}summary{cursor:pointer;color:var(--muted);font-size:.86rem}
    @media (max-width:40rem){
    section{padding:.9rem}body{padding:.8rem .6rem 3rem}
    .long .row{grid-template-columns:minmax(0,1fr) auto;padding:.25rem 0}.long .name{text-align:left}
    .long .picture{grid-row:2;grid-column:1/3}.many i{font-size:0}
    thead{display:none}table,tbody,tr{display:block}tr{padding:.5rem 0;
    border-bottom:1px solid var(--line)}
    td{display:flex;justify-content:space-between;gap:1rem;border:0;padding:.1rem 0;
    text-align:right}td:first-child{font-weight:600;text-align:left}
    td::before{content:attr(data-name);color:var(--muted);text-align:left;flex:none}
    td:first-child::before{content:none}}
    @media print{section{break-inside:avoid}}
    """
}

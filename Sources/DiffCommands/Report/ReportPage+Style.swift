extension ReportPage {
  static let style = """
    :root{--paper:#fbfbfa;--card:#fff;--text:#1c2128;--muted:#69707a;--line:#e2e4e8;
    --ink:#1f5fbf;--second:#c8641a;--empty:#eef0f3;--most:.62}
    @media (prefers-color-scheme:dark){:root{--paper:#14171b;--card:#1b1f25;--text:#e4e7eb;
    --muted:#98a1ad;--line:#2c323a;--ink:#6ea8ff;--second:#f2a65a;--empty:#262b33;--most:.42}}
    *{box-sizing:border-box}
    body{margin:0 auto;max-width:64rem;padding:1.5rem 1rem 4rem;background:var(--paper);
    color:var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
    h1{font-size:1.7rem;margin:.5rem 0 .2rem}h2{font-size:1.15rem;margin:0 0 .8rem;
    overflow-wrap:anywhere}h3{font-size:.95rem;margin:1.4rem 0 .4rem;overflow-wrap:anywhere}
    p{margin:.2rem 0}.muted,figcaption{color:var(--muted);font-size:.86rem}
    section{background:var(--card);border:1px solid var(--line);border-radius:10px;
    padding:1.1rem 1.2rem;margin:1rem 0}
    figure{margin:.4rem 0}figcaption{margin-top:.3rem}.wide{overflow-x:auto}
    .beside{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));
    gap:1.2rem 1.5rem}.beside figure{min-width:0}.wide+p{margin-top:.7rem}
    svg{display:block;width:100%;height:auto}svg text{font:12px system-ui,sans-serif;
    fill:var(--text)}
    .ink{fill:var(--ink)}.shade{fill:var(--ink);fill-opacity:calc(.05 + var(--s)*var(--most))}
    .line{fill:none;stroke:var(--ink);stroke-width:1.6}.faint{stroke-opacity:.25;stroke-width:1}
    .grid{stroke:var(--line)}.scale{display:flex;align-items:center;gap:.5rem;font-size:.82rem;
    color:var(--muted);margin:.3rem 0}.scale svg{width:10rem;max-width:50%}
    .cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,17rem),1fr));gap:.8rem}
    .card{border:1px solid var(--line);border-radius:8px;padding:.7rem .9rem;min-width:0}
    .card h3{margin:0 0 .3rem}.card p{overflow-wrap:anywhere;font-size:.88rem}
    .card .score{font-size:1.25rem;font-weight:650}.second{fill:var(--second)}.none{fill:var(--empty)}
    .frame{fill:none;stroke:var(--line)}
    table{border-collapse:collapse;font-size:.86rem;font-variant-numeric:tabular-nums}
    th{text-align:left;color:var(--muted);font-weight:600}
    th,td{padding:.25rem .9rem .25rem 0;border-bottom:1px solid var(--line);white-space:nowrap}
    td[data-value]{text-align:right}th:not(:first-child){text-align:right}
    td:not(:first-child):not([data-value]){text-align:right}
    details{margin:.6rem 0}summary{cursor:pointer;color:var(--muted);font-size:.86rem}
    @media print{section{break-inside:avoid}}
    """
}

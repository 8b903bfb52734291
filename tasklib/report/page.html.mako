<%def name="picture(nodes)"><% at = drawn(layout(nodes)) %>
<div class="graph"><svg width="${at['text'] + 430}" height="${at['height']}" role="img" aria-label="revision graph">
% for way in at["lines"]:
<path d="${way}"/>
% endfor
% for x, y, node in at["dots"]:
% if node.folded:
<text x="${at['text']}" y="${y + 4}" class="fold">⋮ ${node.folded} more</text>
% else:
<circle cx="${x}" cy="${y}" r="${7 if node.kind == 'base' else 5}" class="${node.kind}"/>
<text x="${at['text']}" y="${y + 4}" class="${node.kind}"><tspan class="id">${node.id[:14]}</tspan> ${node.message[:48]}${"…" if len(node.message) > 48 else ""}<title>${node.id} ${node.message}</title></text>
% endif
% endfor
</svg></div>
</%def>
<%def name="long(lines)">
% if len(lines) > 20:
<details><summary>${len(lines)} of them</summary>${items(lines)}</details>
% else:
${items(lines)}
% endif
</%def>
<%def name="items(lines)">
<ul>
% for line in lines:
<li>${ticked(line) | n}</li>
% endfor
</ul>
</%def>
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${report.title}</title>
<style>
:root { --ink: #1c2430; --soft: #5b6675; --paper: #ffffff; --card: #f4f6f9; --line: #d6dce4;
  --base: #0b6bcb; --kept: #2f855a; --gone: #9aa4b1; --bad: #b3261e; --add: #d6f5e0; --sub: #fbdcda; --chg: #fdf1c7; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa6b6; --paper: #14181f; --card: #1d232d;
  --line: #333c49; --base: #63b3ff; --kept: #6fd3a0; --gone: #69748a; --bad: #ff8a80; --add: #163d27; --sub: #4a1f1d;
  --chg: #443a12; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem clamp(1rem, 4vw, 2.5rem) 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: clamp(1.3rem, 4vw, 1.9rem); line-height: 1.25; margin: .2rem 0 .6rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
h3 { font-size: 1rem; margin: 1rem 0 .4rem; }
.badge { display: inline-block; padding: .1rem .7rem; border-radius: 1rem; font-weight: 600; color: #fff;
  background: #1f7a4d; }
.badge.not { background: #b3261e; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.2rem; margin: 1rem 0; }
dt { color: var(--soft); } dd { margin: 0; font-family: ui-monospace, monospace; font-size: .9rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1.2rem; }
.graph, .scroll { overflow-x: auto; background: var(--card); border-radius: .5rem; padding: .6rem; }
svg { display: block; } svg path { fill: none; stroke: var(--gone); stroke-width: 2; }
svg text { fill: var(--ink); font-size: 13px; } svg .id { font-family: ui-monospace, monospace; }
svg text.gone, svg text.fold { fill: var(--soft); } svg text.base { font-weight: 700; }
circle.gone { fill: var(--paper); stroke: var(--gone); stroke-width: 2; } circle.kept { fill: var(--kept); }
circle.base { fill: var(--base); }
table { border-collapse: collapse; font-size: .95rem; } table.wide { width: 100%; } th { text-align: left; color: var(--soft); }
td, th { padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.yes { color: var(--kept); font-weight: 700; } .number { text-align: right; font-variant-numeric: tabular-nums; }
pre { background: var(--card); padding: .7rem; border-radius: .5rem; white-space: pre-wrap; font-size: .85rem; }
pre.code { white-space: pre; overflow-x: auto; }
.scroll { margin-bottom: .8rem; } table.diff { font: 12px/1.45 ui-monospace, monospace; }
table.diff td { border: 0; padding: 0 .4rem; white-space: nowrap; } table.diff thead th { padding: .2rem .4rem; white-space: nowrap; }
.diff_header, .diff_next { color: var(--soft); } .diff_add { background: var(--add); } .diff_sub { background: var(--sub); }
.diff_chg { background: var(--chg); } .bad { color: var(--bad); font-weight: 600; }
ul { padding-left: 1.2rem; } footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 34rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; } }
</style>
</head>
<body>
<span class="badge${'' if report.is_proven else ' not'}">${"proven" if report.is_proven else "not proven"}</span>
<h1>${report.title}</h1>
% if report.said:
<pre class="bad">${report.said}</pre>
% endif
<dl>
% for name, value in report.facts:
<dt>${name}</dt><dd>${value}</dd>
% endfor
</dl>
% if report.differences:
<h2>Differences</h2>
% for one in report.differences:
<h3>${one["what"]}: ${one["kind"]} ${one["name"]} <small>(${one["at"]}, ${one["database"]})</small></h3>
<div class="scroll">${side_by_side(one) | n}</div>
% endfor
% endif
<h2>Revisions</h2>
<div class="pair">
<section><h3>Before: ${len(report.before)} migration${"" if len(report.before) == 1 else "s"}</h3>${picture(report.before)}</section>
<section><h3>${"After" if report.is_proven else "As it would be"}: ${len(report.after)} migration${"" if len(report.after) == 1 else "s"}</h3>${picture(report.after)}</section>
</div>
% if report.checks:
<h2>The proof</h2>
<table class="wide"><thead><tr><th></th><th>compared</th><th>result</th></tr></thead><tbody>
% for what, numbers in report.checks:
<tr><td class="yes">${"–" if "not fenced" in what else "✓"}</td><td${'' if numbers else ' colspan="2"' | n}>${ticked(what) | n}</td>
% if numbers:
<td>${numbers}</td>
% endif
</tr>
% endfor
</tbody></table>
% for classes in report.classes:
<p><small>At head: ${classes}</small></p>
% endfor
% endif
% if report.code:
<h2>The base migration</h2>
<details><summary>${len(report.code.splitlines())} lines</summary><pre class="code">${report.code}</pre></details>
% endif
% if report.notes:
<h2>Decided, and to be known</h2>
% for title, lines in report.notes:
<h3>${title}</h3>${long(lines)}
% endfor
% endif
% if report.condition:
<h2>For whoever deploys it</h2>
<pre>${"\n".join(report.condition)}</pre>
% for title, lines in report.operator:
<h3>${title}</h3>${long(lines)}
% endfor
% endif
% if report.timings:
<h2>What it took</h2>
<details><summary>${report.timings[-1][1]} s</summary><table><thead><tr>
% for number, name in enumerate(report.timings[0]):
<th${' class="number"' if number else '' | n}>${name}</th>
% endfor
</tr></thead><tbody>
% for row in report.timings[1:]:
<tr>
% for number, value in enumerate(row):
<td${' class="number"' if number else '' | n}>${value}</td>
% endfor
</tr>
% endfor
</tbody></table></details>
% endif
<footer>alembic-squash ${version}, ${when}</footer>
</body>
</html>

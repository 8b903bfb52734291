<%def name="long(lines)">\
% if len(lines) > 20:
<details><summary>${len(lines)} of them</summary>

% endif
% for line in lines:
- ${cell(line)}
% endfor
% if len(lines) > 20:

</details>
% endif
</%def>\
${"#"} ${"✅" if report.is_proven else "❌"} ${report.title}

% if report.said:
```
${report.said}
```

% endif
| | |
|---|---|
% for name, value in report.facts:
| ${name} | ${cell(value)} |
% endfor
% if report.differences:

${"##"} Differences
% for one in report.differences:

${"###"} ${one["what"]}: ${one["kind"]} ${cell(one["name"])} (${cell(one["at"])}, ${cell(one["database"])})

```diff
${unified(one)}
```
% endfor
% endif

${"##"} Before: ${len(report.before)} migration${'' if len(report.before) == 1 else 's'}

```mermaid
${mermaid(report.before)}
```

${"##"} ${"After" if report.is_proven else "As it would be"}: ${len(report.after)} migration${'' if len(report.after) == 1 else 's'}

```mermaid
${mermaid(report.after)}
```
% if report.checks:

${"##"} The proof

| compared | result |
|---|---|
% for what, numbers in report.checks:
| ${cell(what)} | ${cell(numbers) or "yes"} |
% endfor
% for classes in report.classes:

At head: ${classes}
% endfor
% endif
% if report.notes:

${"##"} Decided, and to be known
% for title, lines in report.notes:

${"###"} ${title}

${long(lines)}\
% endfor
% endif
% if report.condition:

${"##"} For whoever deploys it

```
${"\n".join(report.condition)}
```
% for title, lines in report.operator:

${"###"} ${title}

${long(lines)}\
% endfor
% endif
% if report.timings:

${"##"} What it took

| ${" | ".join(report.timings[0])} |
|${"---|" * len(report.timings[0])}
% for row in report.timings[1:]:
| ${" | ".join(row)} |
% endfor
% endif

alembic-squash ${version}, ${when}

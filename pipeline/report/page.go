package report

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"tsrun/pipeline/plot"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

const (
	roomForAll  = 900 << 10 // bytes of a page
	roomForBins = 500 << 10 // of it, until when tables are written out
	maxListed   = 100       // reasons, losses
)

// page is a report as it is written. It has no script and loads nothing.
type page struct {
	out strings.Builder
	dir string
	m   *run.Manifest
	r   *recipe.Recipe // nil: it cannot be read

	regions int // that were begun
}

// Page writes the report of a run as one file of HTML: from its manifest, and from the
// tables and the recipe in its directory. The same run always has the same bytes.
func Page(w io.Writer, m *run.Manifest, dir string) error {
	p := &page{dir: dir, m: m}
	if _, r, err := run.ReadRun(dir); err == nil {
		p.r = r
	}
	title := m.Name
	if title == "" {
		title = "a run"
	}
	p.raw(`<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
		`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"><title>`)
	p.text(title + " " + conditionText(m))
	p.raw("</title><style>" + pageStyle + plot.Style + "</style></head><body><main><h1>")
	p.text(title)
	p.raw("</h1>")
	p.verdict()
	p.para("", Paragraph(m))
	for _, section := range []struct {
		title string
		write func()
	}{
		{"Expected and got", p.expected}, {"Times", p.times},
		{"Results", p.results}, {"Start and clocks", p.clocks}, {"Files", p.files}, {"Devices and programs", p.devices},
		{"Recipe", p.recipe}, {"Load it", p.snippets}, {"Repeat it", p.repeat},
	} {
		p.raw("<section><h2>" + section.title + "</h2>")
		section.write()
		p.raw("</section>\n")
	}
	p.raw("</main></body></html>\n")
	_, err := io.WriteString(w, p.out.String())
	return err
}

// times are the lanes of nodes and of channels.
func (p *page) times() {
	p.picture(Drawn{Name: "nodes", Picture: nodeTimes(p.m)})
	p.picture(Drawn{Name: "times", Picture: timeline(p.m)})
}

// WritePage writes the report of a run into its directory.
func WritePage(m *run.Manifest, dir string) error {
	err := run.Atomically(filepath.Join(dir, run.ReportFile), func(w io.Writer) error { return Page(w, m, dir) })
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

const pageStyle = `:root{color-scheme:light dark}body{font:15px/1.5 sans-serif;margin:0;color:#1c1c1c;background:#fff}main{max-width:60em;margin:auto;padding:1em}` +
	`h1{margin:.2em 0}h2{margin:1.6em 0 .4em;border-bottom:1px solid #ccc}h3{margin:1.2em 0 .3em}table{border-collapse:collapse;margin:.5em 0}.wide{overflow-x:auto}` +
	`th,td{text-align:left;padding:.2em .8em .2em 0;vertical-align:top}td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}thead th{border-bottom:1px solid #999}` +
	`pre{overflow-x:auto;background:#f4f4f4;padding:.7em;font-size:13px}.v{display:inline-block;padding:.1em .6em;border-radius:.3em;margin-right:.4em;font-weight:bold;color:#fff;background:#a15c00}` +
	`.good{background:#1a7f3c}.bad{background:#b00020}.sim{background:#5b21b6}.mono{font-family:monospace;overflow-wrap:anywhere}p,li,td{overflow-wrap:break-word}` +
	`@media(max-width:30em){.wide svg{width:40em;max-width:none}}@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#101216}pre{background:#1b1e25}h2{border-color:#444}}` +
	`@media print{body{font-size:11px;color:#000;background:#fff}section{break-inside:auto}svg,tr{break-inside:avoid}h2,h3{break-after:avoid}details{display:none}pre{white-space:pre-wrap;font-size:10px}.v{color:#000;background:none;border:1px solid #000}}`

func (p *page) raw(s string)  { p.out.WriteString(s) }
func (p *page) text(s string) { p.out.WriteString(plot.Escape(s)) }

func (p *page) para(class, s string) {
	p.raw(`<p class="` + class + `">`)
	p.text(s)
	p.raw("</p>")
}

func (p *page) heading(s string) {
	p.raw("<h3>")
	p.text(s)
	p.raw("</h3>")
}

// code writes lines as they are.
func (p *page) code(lines string) {
	p.raw(`<pre tabindex="0">`)
	for line := range strings.Lines(lines) {
		p.text(strings.ReplaceAll(strings.TrimRight(line, "\r\n"), "\t", "    "))
		p.raw("\n")
	}
	p.raw("</pre>")
}

// region begins what may be wider than a phone; each has a name of its own, for who hears them listed.
func (p *page) region(what string) {
	p.regions++
	p.raw(fmt.Sprintf(`<div class="wide" tabindex="0" role="region" aria-label="%s %d">`, what, p.regions))
}

// rows writes a table. A heading that begins with # is of numbers, one with ~ of what may be
// broken anywhere.
func (p *page) rows(headings []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	p.region("table")
	p.raw(`<table><thead><tr>`)
	for _, h := range headings {
		p.raw(`<th scope="col">`)
		p.text(strings.TrimLeft(h, "#~"))
		p.raw("</th>")
	}
	p.raw("</tr></thead><tbody>")
	for _, row := range rows {
		p.raw("<tr>")
		for i, cell := range row {
			switch {
			case strings.HasPrefix(headings[i], "#"):
				p.raw(`<td class="n">`)
			case strings.HasPrefix(headings[i], "~"):
				p.raw(`<td class="mono">`)
			default:
				p.raw("<td>")
			}
			p.text(cell)
			p.raw("</td>")
		}
		p.raw("</tr>")
	}
	p.raw("</tbody></table></div>")
}

// verdict says in which condition the run is, and why.
func (p *page) verdict() {
	p.raw("<p>")
	for _, c := range p.m.Condition {
		class := ""
		switch c {
		case run.Good:
			class = "good"
		case run.Simulated:
			class = "sim"
		case run.Aborted, run.Unverified:
			class = "bad"
		}
		p.raw(`<span class="v ` + class + `">`)
		p.text(string(c))
		p.raw("</span>")
	}
	p.raw("</p>")
	if len(p.m.Reasons) > 0 {
		p.raw("<ul>")
		for _, r := range p.m.Reasons[:min(len(p.m.Reasons), maxListed)] {
			p.raw("<li>")
			if where := strings.Trim(r.Node+"."+r.Channel, "."); where != "" {
				where += ": "
				p.text(string(r.Condition) + ": " + where + r.Message)
			} else {
				p.text(string(r.Condition) + ": " + r.Message)
			}
			p.raw("</li>")
		}
		p.raw("</ul>")
		if more := len(p.m.Reasons) - maxListed; more > 0 {
			p.para("", fmt.Sprintf("and %s in %s", quantity.Counted(more, "more reason"), run.ManifestFile))
		}
	}
	if p.m.Insecure {
		p.para("", "INSECURE: the network between the PCs could read and change what they said (network.insecure)")
	}
}

// picture writes one, and the lines of its table where there is room.
func (p *page) picture(d Drawn) {
	if p.out.Len() > roomForAll-150<<10 {
		p.para("", fmt.Sprintf("The picture %s is left out of this page, which would be too long: tsrun plot RUN %s draws it.", d.Name, d.Name))
		return
	}
	p.region("picture")
	_ = plot.SVG(&p.out, d.Picture) // into memory
	p.raw("</div>")
	if d.words != "" {
		p.para("", d.words)
	}
	if d.table == nil || d.table.lines == 0 {
		return
	}
	if d.table.lines > plot.MaxPoints || p.out.Len() > roomForBins {
		p.para("", fmt.Sprintf("All %d lines of it are in %s.", d.table.lines, d.file))
		return
	}
	p.raw("<details><summary>")
	p.text(fmt.Sprintf("%s, %s", d.file, quantity.Counted(d.table.lines, "line")))
	p.raw("</summary>")
	p.code(strings.Join(d.table.columns, ",") + "\n" + strings.Join(d.table.text, "\n") + "\n")
	p.raw("</details>")
}

// results says what each stage found, with its pictures.
func (p *page) results() {
	if len(p.m.Results) == 0 {
		p.para("", "No stage has looked at the tags.")
		return
	}
	drawn := map[string][]Drawn{}
	for _, d := range Pictures(p.dir, p.m) {
		drawn[d.stage] = append(drawn[d.stage], d)
	}
	for _, r := range p.m.Results {
		p.heading(r.Stage + " (" + r.Kind + ")")
		if r.Skipped != "" {
			p.para("", "skipped: "+r.Skipped)
			continue
		}
		if over := stage.OverWords(r); over != "" {
			p.para("", over)
		}
		stage.Report(r, func(format string, args ...any) { p.para("", fmt.Sprintf(format, args...)) })
		for _, d := range drawn[r.Stage] {
			p.picture(d)
		}
	}
}
